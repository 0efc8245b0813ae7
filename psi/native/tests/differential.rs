//! Every operation of every backend against curve25519-dalek: all partial batches, edge scalars,
//! permuted lanes.

mod common;
#[path = "common/fuzz_step.rs"]
mod fuzz_step;
use _native::backend::{Backend, Encoding, Points, PreparedScalar, Text};
use common::{Stream, backends, encode};
use curve25519_dalek::{RistrettoPoint, Scalar, traits::VartimeMultiscalarMul};
use fuzz_step::fuzz_one;

struct Batch {
    uniform: Vec<[u8; 64]>,
    scalars: Vec<Scalar>,
    points: Vec<RistrettoPoint>,
    key: Scalar,
    /// The private key of the table's point.
    other: Scalar,
}

impl Batch {
    fn new(stream: &mut Stream, n: usize) -> Self {
        let mut scalars: Vec<Scalar> = (0..n).map(|_| stream.scalar()).collect();
        let edges = [
            Scalar::ZERO,
            Scalar::ONE,
            -Scalar::ONE,
            Scalar::from(2u8),
            -Scalar::from(8u8),
        ];
        for edge in edges {
            // Somewhere else in every batch.
            let place = stream.bytes()[0] as usize;
            if place < n {
                scalars[place] = edge;
            }
        }
        Batch {
            uniform: (0..n).map(|_| stream.bytes()).collect(),
            points: (0..n).map(|_| stream.point()).collect(),
            key: stream.scalar(),
            other: stream.scalar(),
            scalars,
        }
    }
}

fn map<A, B, C>(a: &[A], b: &[B], f: impl Fn(&A, &B) -> C) -> Vec<C> {
    a.iter().zip(b).map(|(a, b)| f(a, b)).collect()
}

/// Runs every operation; returns all outputs, for comparison between backends.
fn check(backend: &dyn Backend, batch: &Batch) -> Vec<Vec<Encoding>> {
    let Batch {
        uniform,
        scalars,
        points,
        key,
        other,
    } = batch;
    let n = points.len();
    let name = backend.name();
    let maps: Vec<_> = uniform
        .iter()
        .map(RistrettoPoint::from_uniform_bytes)
        .collect();
    let elements = encode(points);
    let prepared = PreparedScalar::new(key);
    let public = RistrettoPoint::mul_base(other);
    let table = backend.base_table(&public);
    let mut all = Vec::new();
    let mut out = vec![[0; 32]; n];
    let mut expect = |out: &mut Vec<Encoding>, want: Vec<RistrettoPoint>, what: &str| {
        assert_eq!(*out, encode(&want), "{name}: {what}, {n} elements");
        all.push(core::mem::replace(out, vec![[0; 32]; n]));
    };

    backend.hash_mul_encode(uniform, &prepared, &mut out);
    expect(&mut out, maps.iter().map(|p| p * key).collect(), "hash_mul");
    backend.hash_mul_each_encode(uniform, scalars, &mut out);
    expect(&mut out, map(&maps, scalars, |p, s| p * s), "hash_mul_each");
    let blinded = backend.hash_add_base_encode(uniform, scalars, &mut out);
    expect(
        &mut out,
        map(&maps, scalars, |p, s| p + RistrettoPoint::mul_base(s)),
        "hash_add_base",
    );
    backend
        .decode_mul_encode(&elements, &prepared, &mut out)
        .expect("valid");
    expect(
        &mut out,
        points.iter().map(|p| p * key).collect(),
        "decode_mul",
    );
    backend
        .decode_mul_each_encode(&elements, scalars, &mut out)
        .expect("valid");
    expect(
        &mut out,
        map(points, scalars, |p, s| p * s),
        "decode_mul_each",
    );
    let differences = map(points, scalars, |p, s| {
        p - RistrettoPoint::mul_base(&(s * other))
    });
    let decoded = backend.decode(&elements).expect("valid");
    let start = n / 3;
    backend.points_sub_base_encode(
        &decoded,
        start,
        &scalars[start..],
        &table,
        &mut out[start..],
    );
    out[..start].copy_from_slice(&encode(&differences[..start]));
    expect(&mut out, differences, "points_sub_base");
    backend.points_mul_encode(&decoded, start, &prepared, &mut out[start..]);
    let products: Vec<_> = points.iter().map(|p| p * key).collect();
    out[..start].copy_from_slice(&encode(&products[..start]));
    expect(&mut out, products, "points_mul");
    let kept = backend.mul_base_encode(scalars, &table, &mut out);
    let multiples: Vec<_> = scalars
        .iter()
        .map(|s| RistrettoPoint::mul_base(&(s * other)))
        .collect();
    expect(&mut out, multiples.clone(), "mul_base");
    let hidden = map(&maps, scalars, |p, s| p + RistrettoPoint::mul_base(s));
    for (kept, points, what) in [(blinded, hidden, "blinded"), (kept, multiples, "multiples")] {
        let joined = Points::join(&[kept, backend.decode(&elements).expect("valid")]);
        let weights = [scalars.as_slice(), scalars].concat();
        let all = points.iter().chain(&batch.points);
        assert_eq!(
            backend.msm(&joined, &weights),
            RistrettoPoint::vartime_multiscalar_mul(&weights, all),
            "{name}: kept {what}, {n} elements"
        );
    }
    let sum: RistrettoPoint = points.iter().zip(scalars).map(|(p, s)| p * s).sum();
    assert_eq!(
        backend.msm(&decoded, scalars),
        sum,
        "{name}: msm, {n} elements"
    );
    all
}

#[test]
fn every_partial_batch() {
    for backend in backends() {
        let mut stream = Stream::new("partial batches");
        for n in (1..=70).chain([127, 255, 256, 257, 511, 513, 700]) {
            check(backend.as_ref(), &Batch::new(&mut stream, n));
        }
    }
}

/// Empty batches are allowed and do nothing.
#[test]
fn empty_batches() {
    for backend in backends() {
        let key = PreparedScalar::new(&Scalar::ONE);
        backend.sha512(b"prefix", &[], 5, b"", &mut []);
        backend.hmac_sha512(&[], &[], &mut []);
        backend.hash_mul_encode(&[], &key, &mut []);
        backend.hash_mul_each_encode(&[], &[], &mut []);
        backend.hash_add_base_encode(&[], &[], &mut []);
        backend
            .decode_mul_encode(&[], &key, &mut [])
            .expect("nothing to refuse");
        backend
            .decode_mul_each_encode(&[], &[], &mut [])
            .expect("nothing to refuse");
        let table = backend.generator();
        backend.mul_base_encode(&[], table, &mut []);
        let none = backend.decode(&[]).expect("nothing to refuse");
        assert!(none.is_empty());
        assert_eq!(backend.msm(&none, &[]), RistrettoPoint::default());
    }
}

#[test]
fn edge_keys() {
    let mut stream = Stream::new("edge keys");
    for key in [
        Scalar::ZERO,
        Scalar::ONE,
        -Scalar::ONE,
        Scalar::from(2u8),
        -Scalar::from(2u8),
    ] {
        let mut batch = Batch::new(&mut stream, 19);
        batch.key = key;
        batch.scalars = vec![key; 19];
        backends()
            .iter()
            .for_each(|backend| drop(check(backend.as_ref(), &batch)));
    }
}

#[test]
fn backends_agree_bit_by_bit() {
    let mut stream = Stream::new("agreement");
    let batch = Batch::new(&mut stream, 300);
    let results: Vec<_> = backends()
        .iter()
        .map(|b| check(b.as_ref(), &batch))
        .collect();
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
}

/// A result depends on its element, not on its lane or its neighbours.
#[test]
fn lanes_are_alike() {
    let mut stream = Stream::new("lanes");
    let n = 37;
    let batch = Batch::new(&mut stream, n);
    for backend in backends() {
        let straight = check(backend.as_ref(), &batch);
        for step in [2, 5, 8, 11, 36] {
            // 37 is prime, so every step makes a permutation.
            let order: Vec<usize> = (0..n).map(|i| (i * step + 3) % n).collect();
            let permuted = Batch {
                uniform: order.iter().map(|i| batch.uniform[*i]).collect(),
                scalars: order.iter().map(|i| batch.scalars[*i]).collect(),
                points: order.iter().map(|i| batch.points[*i]).collect(),
                ..batch
            };
            for (list, permuted) in straight.iter().zip(check(backend.as_ref(), &permuted)) {
                let want: Vec<_> = order.iter().map(|i| list[*i]).collect();
                assert_eq!(permuted, want);
            }
        }
    }
}

#[test]
fn sha512_of_all_shapes() {
    use sha2::{Digest, Sha512};
    let data: Vec<u8> = (0..20_000u32).map(|i| ((i * i) >> 3) as u8).collect();
    for backend in backends() {
        for prefix in [0, 1, 55, 111, 112, 127, 128, 129, 256, 300] {
            for width in [0, 1, 18, 47, 64, 111, 112, 127, 128, 129, 240, 300] {
                for (suffix, n) in [(0, 1), (3, 8), (112, 9), (200, 17)] {
                    let (prefix, suffix) = (&data[..prefix], &data[500..500 + suffix]);
                    let messages = &data[1000..1000 + n * width];
                    let mut out = vec![[0; 64]; n];
                    backend.sha512(prefix, messages, width, suffix, &mut out);
                    for (i, out) in out.iter().enumerate() {
                        let message = &messages[i * width..][..width];
                        let hash = Sha512::new().chain_update(prefix).chain_update(message);
                        assert_eq!(out[..], hash.chain_update(suffix).finalize()[..]);
                    }
                }
            }
        }
    }
}

/// Against HMAC built from its definition, RFC 2104.
#[test]
fn hmac_of_all_shapes() {
    use sha2::{Digest, Sha512};
    let data: Vec<u8> = (0..20_000u32).map(|i| ((i * i) >> 3) as u8).collect();
    let hash = |parts: [&[u8]; 4]| -> [u8; 64] { Sha512::digest(parts.concat()).into() };
    for backend in backends() {
        for (n, width) in [(1, 0), (7, 4), (8, 111), (9, 112), (17, 64), (33, 300)] {
            let keys: Vec<[u8; 64]> = (0..n)
                .map(|i| core::array::from_fn(|j| data[9 * i + j]))
                .collect();
            let texts = [(0, width), (13, 0), (130, width)].map(|(head, width)| Text {
                head: &data[700..700 + head],
                messages: &data[1000..1000 + n * width],
                width,
                tail: &data[..head / 10],
            });
            let mut out = [(); 3].map(|()| vec![[0; 64]; n]);
            backend.hmac_sha512(&keys, &texts, &mut out.each_mut().map(|out| &mut out[..]));
            for (text, out) in texts.iter().zip(&out) {
                for (i, out) in out.iter().enumerate() {
                    let pad = |pad: u8| [keys[i].map(|byte| byte ^ pad), [pad; 64]].concat();
                    let message = &text.messages[i * text.width..][..text.width];
                    let inner = hash([&pad(0x36), text.head, message, text.tail]);
                    assert_eq!(*out, hash([&pad(0x5c), &inner, &[], &[]]));
                }
            }
        }
    }
}

#[test]
fn msm_of_all_sizes_and_extremes() {
    let mut stream = Stream::new("msm");
    for n in [1, 2, 63, 64, 65, 500, 1000, 3000] {
        let mut batch = Batch::new(&mut stream, n);
        if n == 500 {
            // All in one bucket, and cancelling each other.
            batch.scalars = (0..n)
                .map(|i| {
                    if i % 2 == 0 {
                        -Scalar::ONE
                    } else {
                        Scalar::ONE
                    }
                })
                .collect();
            batch.points = vec![batch.points[0]; n];
        }
        let elements = encode(&batch.points);
        let sum: RistrettoPoint = batch
            .points
            .iter()
            .zip(&batch.scalars)
            .map(|(p, s)| p * s)
            .sum();
        for backend in backends() {
            let points = backend.decode(&elements).expect("valid");
            assert_eq!(
                backend.msm(&points, &batch.scalars),
                sum,
                "{} {n}",
                backend.name()
            );
        }
    }
}

#[test]
fn fuzz_steps() {
    let mut stream = Stream::new("fuzz");
    for round in 0..40 {
        let mut data = Vec::new();
        for _ in 0..round * 2 {
            data.extend(stream.bytes());
        }
        data.truncate(data.len().saturating_sub(round % 7));
        fuzz_one(&data);
    }
}

/// The larger share of the cases: `cases` elements through every operation of every vector
/// backend, on all cores. dalek computes each expected value, which is what takes the time.
fn many(cases: usize) {
    const CHECKED: usize = 11; // results of each element
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for name in ["many 1", "many 2", "many 3", "many 4"]
            .iter()
            .take(workers)
        {
            scope.spawn(|| {
                let mut stream = Stream::new(name);
                let mut done = 0;
                while done < cases / workers.min(4) {
                    let bytes = stream.bytes();
                    let n = 1 + usize::from(u16::from_le_bytes([bytes[0], bytes[1]])) % 512;
                    let batch = Batch::new(&mut stream, n);
                    for backend in backends() {
                        if backend.name() != "portable" {
                            check(backend.as_ref(), &batch);
                            done += CHECKED * n;
                        }
                    }
                }
            });
        }
    });
}

/// 10^5 cases.
#[test]
fn many_cases() {
    many(100_000);
}

/// 10^7 cases, some minutes: `cargo test --release --test differential -- --ignored ten_million`.
#[test]
#[ignore = "slow"]
fn ten_million_cases() {
    many(10_000_000);
}
