//! One fuzzing step: every backend against curve25519-dalek.

use _native::backend::{Backend, Encoding, PreparedScalar, available};
use curve25519_dalek::traits::Identity;
use curve25519_dalek::{RistrettoPoint, Scalar};
use std::sync::OnceLock;

fn backends() -> &'static [Box<dyn Backend>] {
    static BACKENDS: OnceLock<Vec<Box<dyn Backend>>> = OnceLock::new();
    BACKENDS.get_or_init(available)
}

/// Bytes of the input, then zeros.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        let n = N.min(self.0.len());
        out[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        out
    }
}

/// Interprets `data` as a batch of any size up to a few blocks: scalars, uniform bytes and
/// encodings, some valid and some as they come. Panics if a backend disagrees with the reference.
pub fn fuzz_one(data: &[u8]) {
    let mut input = Input(data);
    let [count, shape] = input.take();
    let n = usize::from(count % 70) + 1;

    let (mut scalars, mut uniform, mut elements) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..n {
        let wide = input.take::<64>();
        scalars.push(match wide[0] {
            0 => Scalar::ZERO,
            1 => Scalar::ONE,
            2 => -Scalar::ONE,
            3 => Scalar::from_bytes_mod_order(wide[1..33].try_into().expect("32 bytes")),
            _ => Scalar::from_bytes_mod_order_wide(&wide),
        });
        uniform.push(wide);
        let raw: Encoding = wide[32..].try_into().expect("32 bytes");
        let as_it_comes = shape & 1 == 1 && i == usize::from(shape / 2) % n;
        elements.push(if as_it_comes {
            raw
        } else {
            (RistrettoPoint::from_uniform_bytes(&wide) + RistrettoPoint::mul_base(&Scalar::ONE))
                .compress()
                .0
        });
    }
    let key = scalars[0];
    let prepared = PreparedScalar::new(&key);

    let map: Vec<_> = uniform
        .iter()
        .map(RistrettoPoint::from_uniform_bytes)
        .collect();
    let decoded: Vec<_> = elements
        .iter()
        .map(|e| curve25519_dalek::ristretto::CompressedRistretto(*e).decompress())
        .map(|p| p.filter(|p| *p != RistrettoPoint::identity()))
        .collect();
    let bad = decoded.iter().position(Option::is_none);
    let valid: Vec<RistrettoPoint> = decoded.iter().copied().flatten().collect();
    let encode = |points: Vec<RistrettoPoint>| -> Vec<Encoding> {
        points.iter().map(|p| p.compress().0).collect()
    };
    let each = |points: &[RistrettoPoint], f: &dyn Fn(&RistrettoPoint, &Scalar) -> _| {
        encode(points.iter().zip(&scalars).map(|(p, s)| f(p, s)).collect())
    };
    let base = |s: &Scalar| RistrettoPoint::mul_base(s);

    for backend in backends() {
        let name = backend.name();
        let mut out = vec![[0; 32]; n];
        backend.hash_mul_encode(&uniform, &prepared, &mut out);
        assert_eq!(out, encode(map.iter().map(|p| p * key).collect()), "{name}");
        backend.hash_mul_each_encode(&uniform, &scalars, &mut out);
        assert_eq!(out, each(&map, &|p, s| p * s), "{name}");
        backend.hash_add_base_encode(&uniform, &scalars, &mut out);
        assert_eq!(out, each(&map, &|p, s| p + base(s)), "{name}");
        backend.mul_base_encode(&scalars, backend.generator(), &mut out);
        assert_eq!(out, encode(scalars.iter().map(base).collect()), "{name}");

        let untouched = out.clone();
        let result = backend.decode_mul_encode(&elements, &prepared, &mut out);
        assert_eq!(result.err().map(|bad| bad.0), bad, "{name}");
        if bad.is_some() {
            assert_eq!(out, untouched, "{name}");
            assert!(backend.decode(&elements).is_err(), "{name}");
            continue;
        }
        assert_eq!(
            out,
            encode(valid.iter().map(|p| p * key).collect()),
            "{name}"
        );
        backend
            .decode_mul_each_encode(&elements, &scalars, &mut out)
            .expect("valid");
        assert_eq!(out, each(&valid, &|p, s| p * s), "{name}");
        let table = backend.generator();
        let points = backend.decode(&elements).expect("valid");
        backend.points_mul_encode(&points, 0, &prepared, &mut out);
        assert_eq!(
            out,
            encode(valid.iter().map(|p| p * key).collect()),
            "{name}"
        );
        backend.points_sub_base_encode(&points, 0, &scalars, table, &mut out);
        assert_eq!(out, each(&valid, &|p, s| p - base(s)), "{name}");
        let sum: RistrettoPoint = valid.iter().zip(&scalars).map(|(p, s)| p * s).sum();
        assert_eq!(backend.msm(&points, &scalars), sum, "{name}");
    }
}
