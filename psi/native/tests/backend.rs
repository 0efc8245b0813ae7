//! What every backend owes: the same bytes as curve25519-dalek and sha2 used plainly, for
//! every operation and for partial chunks.

use _native::backend::{
    Backend, BadElement, BaseTable, CHUNK, Encoding, Portable, PreparedScalar, decode_element,
};
use curve25519_dalek::{
    RistrettoPoint, Scalar, constants::RISTRETTO_BASEPOINT_POINT as G,
    ristretto::CompressedRistretto,
};
use proptest::prelude::*;
use sha2::{Digest, Sha512};

const BACKENDS: [&dyn Backend; 1] = [&Portable];
const SIZES: [usize; 9] = [0, 1, 7, 8, 9, 16, 255, CHUNK - 3, CHUNK];

/// Different for every (label, i), the same in every run.
fn uniform(label: &str, i: usize) -> [u8; 64] {
    Sha512::digest(format!("{label} {i}")).into()
}

fn scalar(label: &str, i: usize) -> Scalar {
    match i {
        0 => Scalar::ONE,
        1 => -Scalar::ONE,
        2 => Scalar::from(2u8),
        _ => Scalar::from_bytes_mod_order_wide(&uniform(label, i)),
    }
}

fn scalars(size: usize) -> Vec<Scalar> {
    (0..size).map(|i| scalar("each", i)).collect()
}

fn hash(i: usize) -> RistrettoPoint {
    RistrettoPoint::from_uniform_bytes(&uniform("hash", i))
}

fn expect(size: usize, point: impl Fn(usize) -> RistrettoPoint) -> Vec<Encoding> {
    (0..size).map(|i| point(i).compress().to_bytes()).collect()
}

fn outputs(size: usize, fill: impl FnOnce(&mut [Encoding])) -> Vec<Encoding> {
    let mut out = vec![[0xaa; 32]; size];
    fill(&mut out);
    out
}

#[test]
fn hashed_points() {
    for (backend, size) in BACKENDS.into_iter().flat_map(|b| SIZES.map(|s| (b, s))) {
        let inputs: Vec<[u8; 64]> = (0..size).map(|i| uniform("hash", i)).collect();
        let each = scalars(size);
        for k in (0..4).map(|i| scalar("key", i)) {
            let key = PreparedScalar::new(&k);
            let out = outputs(size, |out| backend.hash_mul_encode(&inputs, &key, out));
            assert_eq!(out, expect(size, |i| k * hash(i)));
        }
        let out = outputs(size, |out| {
            backend.hash_mul_each_encode(&inputs, &each, out)
        });
        assert_eq!(out, expect(size, |i| each[i] * hash(i)));
        let out = outputs(size, |out| {
            backend.hash_add_base_encode(&inputs, &each, out)
        });
        assert_eq!(out, expect(size, |i| hash(i) + each[i] * G));
    }
}

#[test]
fn decoded_points() {
    let base = scalar("base", 9) * G;
    let table = BaseTable::new(&base);
    for (backend, size) in BACKENDS.into_iter().flat_map(|b| SIZES.map(|s| (b, s))) {
        let elements = expect(size, hash);
        let each = scalars(size);
        backend.validate(&elements).unwrap();
        for k in (0..4).map(|i| scalar("key", i)) {
            let key = PreparedScalar::new(&k);
            let out = outputs(size, |out| {
                backend.decode_mul_encode(&elements, &key, out).unwrap();
            });
            assert_eq!(out, expect(size, |i| k * hash(i)));
        }
        let out = outputs(size, |out| {
            backend
                .decode_mul_each_encode(&elements, &each, out)
                .unwrap();
        });
        assert_eq!(out, expect(size, |i| each[i] * hash(i)));
        let out = outputs(size, |out| {
            backend
                .decode_sub_base_encode(&elements, &each, &table, out)
                .unwrap();
        });
        assert_eq!(out, expect(size, |i| hash(i) - each[i] * base));
    }
}

#[test]
fn base_points_and_sums() {
    let base = scalar("base", 9) * G;
    let table = BaseTable::new(&base);
    for (backend, size) in BACKENDS.into_iter().flat_map(|b| SIZES.map(|s| (b, s))) {
        let each = scalars(size);
        let out = outputs(size, |out| backend.mul_base_encode(&each, &table, out));
        assert_eq!(out, expect(size, |i| each[i] * base));
        let generator = BaseTable::generator();
        let out = outputs(size, |out| backend.mul_base_encode(&each, generator, out));
        assert_eq!(out, expect(size, |i| each[i] * G));
        let sum: RistrettoPoint = (0..size).map(|i| each[i] * hash(i)).sum();
        assert_eq!(backend.msm(&expect(size, hash), &each).unwrap(), sum);
    }
    let size = 3 * CHUNK + 5; // msm takes any number
    let sum: RistrettoPoint = (0..size).map(|i| scalar("each", i) * hash(i)).sum();
    for backend in BACKENDS {
        assert_eq!(
            backend.msm(&expect(size, hash), &scalars(size)).unwrap(),
            sum
        );
    }
}

#[test]
fn the_first_bad_element_is_named_and_nothing_is_written() {
    let good = expect(CHUNK, hash);
    let each = scalars(CHUNK);
    let key = PreparedScalar::new(&scalar("key", 5));
    let table = BaseTable::generator();
    for backend in BACKENDS {
        for (first, second) in [(0, 1), (7, 255), (8, 200), (255, 255)] {
            let mut elements = good.clone();
            elements[second] = [0; 32]; // the identity
            elements[first] = [0xff; 32]; // not canonical
            let refused = Err(BadElement(first));
            let mut out = vec![[0xaa; 32]; CHUNK];
            assert_eq!(backend.validate(&elements), refused);
            assert_eq!(
                backend.decode_mul_encode(&elements, &key, &mut out),
                refused
            );
            assert_eq!(
                backend.decode_mul_each_encode(&elements, &each, &mut out),
                refused
            );
            assert_eq!(
                backend.decode_sub_base_encode(&elements, &each, table, &mut out),
                refused
            );
            assert_eq!(
                backend.msm(&elements, &each).unwrap_err(),
                BadElement(first)
            );
            assert_eq!(out, vec![[0xaa; 32]; CHUNK]);
        }
    }
}

proptest! {
    #[test]
    fn sha512(
        prefix in prop::collection::vec(any::<u8>(), 0..300),
        suffix in prop::collection::vec(any::<u8>(), 0..300),
        width in 0usize..300,
        count in 0usize..20,
        seed in any::<u8>(),
    ) {
        let byte = |i: usize| (i as u8).wrapping_mul(31) ^ seed;
        let messages: Vec<u8> = (0..width * count).map(byte).collect();
        for backend in BACKENDS {
            let mut out = vec![[0; 64]; count];
            backend.sha512(&prefix, &messages, width, &suffix, &mut out);
            for (i, digest) in out.iter().enumerate() {
                let message = [&prefix, &messages[i * width..(i + 1) * width], &suffix].concat();
                let expected: [u8; 64] = Sha512::digest(message).into();
                prop_assert_eq!(*digest, expected);
            }
        }
    }

    #[test]
    fn any_bytes_decode_as_dalek_decodes_them(bytes in any::<[u8; 32]>(), clear in any::<bool>()) {
        let mut bytes = bytes;
        if clear {
            bytes[0] &= 0xfe; // half of all canonical encodings of non-negative numbers decode
            bytes[31] &= 0x7f;
        }
        let expected = CompressedRistretto(bytes).decompress();
        prop_assert_eq!(decode_element(&bytes), expected);
        for backend in BACKENDS {
            prop_assert_eq!(backend.validate(&[bytes]).is_ok(), expected.is_some());
        }
    }
}
