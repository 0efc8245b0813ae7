//! Which backend runs, and what is said if it cannot.

mod common;
use _native::backend::{
    Backend, BackendError, BadElement, BaseTable, Encoding, Points, PreparedScalar, Text, active,
    select, self_check,
};
use common::backends;
use curve25519_dalek::{RistrettoPoint, Scalar};

#[test]
fn names_are_obeyed() {
    for known in backends() {
        assert_eq!(
            select(Some(known.name())).map(|b| b.name()),
            Ok(known.name())
        );
    }
    for name in ["AVX2", "avx512", "dalek", "ifma512 "] {
        let error = select(Some(name)).map(|b| b.name()).expect_err("unknown");
        assert_eq!(error, BackendError::Unknown(name.into()));
        assert!(error.to_string().contains("ifma512, avx2, portable"));
    }
    // Not set, or set to nothing: the fastest.
    assert_eq!(select(None).map(|b| b.name()), Ok(backends()[0].name()));
    assert_eq!(select(Some("")).map(|b| b.name()), Ok(backends()[0].name()));
    assert!(active().is_ok());
}

#[test]
fn every_backend_passes_its_self_check() {
    for backend in backends() {
        assert_eq!(self_check(backend.as_ref()), Ok(()));
    }
}

/// A backend with one wrong bit in one operation.
struct Faulty(Box<dyn Backend>, &'static str);

impl Faulty {
    fn spoil(&self, operation: &str, out: &mut [Encoding]) {
        if operation == self.1 {
            let last = out.len() - 1;
            out[last][31] ^= 1;
        }
    }
}

impl Backend for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }
    fn sha512(&self, prefix: &[u8], m: &[u8], width: usize, suffix: &[u8], out: &mut [[u8; 64]]) {
        self.0.sha512(prefix, m, width, suffix, out);
        if self.1 == "sha512" {
            out[36][0] ^= 1;
        }
    }
    fn hash_mul_encode(&self, u: &[[u8; 64]], key: &PreparedScalar, out: &mut [Encoding]) {
        self.0.hash_mul_encode(u, key, out);
        self.spoil("hash_mul_encode", out);
    }
    fn hash_mul_each_encode(&self, u: &[[u8; 64]], s: &[Scalar], out: &mut [Encoding]) {
        self.0.hash_mul_each_encode(u, s, out);
        self.spoil("hash_mul_each_encode", out);
    }
    fn hmac_sha512(&self, keys: &[[u8; 64]], texts: &[Text], out: &mut [&mut [[u8; 64]]]) {
        self.0.hmac_sha512(keys, texts, out);
        if self.1 == "hmac_sha512" {
            out[1][36][0] ^= 1;
        }
    }
    fn hash_add_base_encode(&self, u: &[[u8; 64]], s: &[Scalar], out: &mut [Encoding]) -> Points {
        let points = self.0.hash_add_base_encode(u, s, out);
        self.spoil("hash_add_base_encode", out);
        points
    }
    fn decode_mul_encode(
        &self,
        e: &[Encoding],
        key: &PreparedScalar,
        out: &mut [Encoding],
    ) -> Result<(), BadElement> {
        let result = self.0.decode_mul_encode(e, key, out);
        self.spoil("decode_mul_encode", out);
        // Accepts what it should refuse.
        if self.1 == "refusal of bad elements" {
            return Ok(());
        }
        result
    }
    fn decode_mul_each_encode(
        &self,
        e: &[Encoding],
        s: &[Scalar],
        out: &mut [Encoding],
    ) -> Result<(), BadElement> {
        let result = self.0.decode_mul_each_encode(e, s, out);
        self.spoil("decode_mul_each_encode", out);
        result
    }
    fn mul_base_encode(&self, s: &[Scalar], table: &BaseTable, out: &mut [Encoding]) -> Points {
        let points = self.0.mul_base_encode(s, table, out);
        self.spoil("mul_base_encode", out);
        points
    }
    fn base_table(&self, point: &RistrettoPoint) -> BaseTable {
        self.0.base_table(point)
    }
    fn generator(&self) -> &BaseTable {
        self.0.generator()
    }
    fn decode(&self, e: &[Encoding]) -> Result<Points, BadElement> {
        self.0.decode(e)
    }
    fn points_mul_encode(
        &self,
        points: &Points,
        start: usize,
        key: &PreparedScalar,
        out: &mut [Encoding],
    ) {
        self.0.points_mul_encode(points, start, key, out);
        self.spoil("points_mul_encode", out);
    }
    fn points_sub_base_encode(
        &self,
        points: &Points,
        start: usize,
        s: &[Scalar],
        table: &BaseTable,
        out: &mut [Encoding],
    ) {
        self.0.points_sub_base_encode(points, start, s, table, out);
        self.spoil("points_sub_base_encode", out);
    }
    fn msm(&self, points: &Points, scalars: &[Scalar]) -> RistrettoPoint {
        let sum = self.0.msm(points, scalars);
        if self.1 == "msm" {
            return sum + sum;
        }
        sum
    }
}

#[test]
fn the_self_check_sees_a_single_wrong_bit_anywhere() {
    for operation in [
        "sha512",
        "hmac_sha512",
        "hash_mul_encode",
        "hash_mul_each_encode",
        "hash_add_base_encode",
        "decode_mul_encode",
        "decode_mul_each_encode",
        "mul_base_encode",
        "points_mul_encode",
        "points_sub_base_encode",
        "msm",
        "refusal of bad elements",
    ] {
        let faulty = Faulty(backends().remove(0), operation);
        let want = BackendError::SelfCheck {
            backend: "faulty",
            operation,
        };
        assert_eq!(self_check(&faulty), Err(want));
    }
}
