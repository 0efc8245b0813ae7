//! The reference backend: curve25519-dalek and sha2.

use curve25519_dalek::{ristretto::RistrettoPoint, scalar::Scalar, traits::VartimeMultiscalarMul};
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use super::{Backend, BadElement, BaseTable, Encoding, PreparedScalar, decode_element};

pub struct Portable;

/// Points that are secret or lead to one: wiped when dropped.
type Points = Zeroizing<Vec<RistrettoPoint>>;

impl Backend for Portable {
    fn name(&self) -> &'static str {
        "portable"
    }

    fn sha512(
        &self,
        prefix: &[u8],
        messages: &[u8],
        width: usize,
        suffix: &[u8],
        out: &mut [[u8; 64]],
    ) {
        let begun = Sha512::new_with_prefix(prefix);
        for (i, digest) in out.iter_mut().enumerate() {
            let mut hash = begun.clone();
            hash.update(&messages[i * width..(i + 1) * width]);
            hash.update(suffix);
            hash.finalize_into(digest.into());
        }
    }

    fn hash_mul_encode(&self, uniform: &[[u8; 64]], key: &PreparedScalar, out: &mut [Encoding]) {
        encode_doubles(
            &collect(uniform.iter().map(|bytes| hash(bytes) * key.half())),
            out,
        );
    }

    fn hash_mul_each_encode(&self, uniform: &[[u8; 64]], scalars: &[Scalar], out: &mut [Encoding]) {
        let points = uniform
            .iter()
            .zip(scalars)
            .map(|(bytes, scalar)| hash(bytes) * scalar.div_by_2());
        encode_doubles(&collect(points), out);
    }

    fn hash_add_base_encode(&self, uniform: &[[u8; 64]], scalars: &[Scalar], out: &mut [Encoding]) {
        for ((bytes, scalar), encoding) in uniform.iter().zip(scalars).zip(out) {
            *encoding = (hash(bytes) + RistrettoPoint::mul_base(scalar))
                .compress()
                .to_bytes();
        }
    }

    fn decode_mul_encode(
        &self,
        elements: &[Encoding],
        key: &PreparedScalar,
        out: &mut [Encoding],
    ) -> Result<(), BadElement> {
        let points = decode(elements)?;
        encode_doubles(&collect(points.iter().map(|point| point * key.half())), out);
        Ok(())
    }

    fn decode_mul_each_encode(
        &self,
        elements: &[Encoding],
        scalars: &[Scalar],
        out: &mut [Encoding],
    ) -> Result<(), BadElement> {
        let points = decode(elements)?;
        let products = points
            .iter()
            .zip(scalars)
            .map(|(point, scalar)| point * scalar.div_by_2());
        encode_doubles(&collect(products), out);
        Ok(())
    }

    fn decode_sub_base_encode(
        &self,
        elements: &[Encoding],
        scalars: &[Scalar],
        table: &BaseTable,
        out: &mut [Encoding],
    ) -> Result<(), BadElement> {
        let points = decode(elements)?;
        for ((point, scalar), encoding) in points.iter().zip(scalars).zip(out) {
            *encoding = (point - scalar * table.table()).compress().to_bytes();
        }
        Ok(())
    }

    fn mul_base_encode(&self, scalars: &[Scalar], table: &BaseTable, out: &mut [Encoding]) {
        encode_doubles(
            &collect(
                scalars
                    .iter()
                    .map(|scalar| &scalar.div_by_2() * table.table()),
            ),
            out,
        );
    }

    fn msm(&self, elements: &[Encoding], scalars: &[Scalar]) -> Result<RistrettoPoint, BadElement> {
        let points = decode(elements)?;
        Ok(RistrettoPoint::vartime_multiscalar_mul(
            scalars,
            points.iter(),
        ))
    }
}

fn hash(uniform: &[u8; 64]) -> RistrettoPoint {
    RistrettoPoint::from_uniform_bytes(uniform)
}

fn collect(points: impl Iterator<Item = RistrettoPoint>) -> Points {
    Zeroizing::new(points.collect())
}

fn decode(elements: &[Encoding]) -> Result<Vec<RistrettoPoint>, BadElement> {
    let points = elements
        .iter()
        .enumerate()
        .map(|(i, element)| decode_element(element).ok_or(BadElement(i)));
    points.collect()
}

/// One inversion for the whole chunk, instead of an inverse square root for each point.
fn encode_doubles(points: &[RistrettoPoint], out: &mut [Encoding]) {
    let encodings = Zeroizing::new(RistrettoPoint::double_and_compress_batch(points));
    for (encoding, out) in encodings.iter().zip(out) {
        *out = encoding.to_bytes();
    }
}
