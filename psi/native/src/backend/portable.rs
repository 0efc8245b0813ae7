//! The reference: curve25519-dalek and sha2. Also what runs on ARM64.

use curve25519_dalek::{
    RistrettoPoint, Scalar,
    constants::RISTRETTO_BASEPOINT_POINT,
    ristretto::{CompressedRistretto, RistrettoBasepointTable},
    traits::VartimeMultiscalarMul,
};
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use super::{
    Backend, BadElement, BaseTable, Decoded, Encoding, Points, PreparedScalar, Table, Text,
};

pub struct Portable {
    generator: BaseTable,
}

/// Points that are secret or lead to one: wiped when dropped.
type Wiped = Zeroizing<Vec<RistrettoPoint>>;

impl Portable {
    pub fn new() -> Self {
        Portable {
            generator: table_of(&RISTRETTO_BASEPOINT_POINT),
        }
    }
}

impl Default for Portable {
    fn default() -> Self {
        Self::new()
    }
}

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
        assert_eq!(messages.len(), width * out.len());
        let begun = Sha512::new_with_prefix(prefix);
        for (i, digest) in out.iter_mut().enumerate() {
            let mut hash = begun.clone();
            hash.update(&messages[i * width..(i + 1) * width]);
            hash.update(suffix);
            hash.finalize_into(digest.into());
        }
    }

    fn hmac_sha512(&self, keys: &[[u8; 64]], texts: &[Text], out: &mut [&mut [[u8; 64]]]) {
        assert_eq!(texts.len(), out.len());
        for (i, key) in keys.iter().enumerate() {
            let padded = |pad: u8| {
                let mut block = Zeroizing::new([pad; 128]);
                block
                    .iter_mut()
                    .zip(key)
                    .for_each(|(byte, key)| *byte ^= key);
                Sha512::new_with_prefix(block.as_slice())
            };
            let (inner, outer) = (padded(0x36), padded(0x5c));
            for (text, out) in texts.iter().zip(out.iter_mut()) {
                let mut hash = inner.clone();
                hash.update(text.head);
                hash.update(&text.messages[i * text.width..][..text.width]);
                hash.update(text.tail);
                let digest = Zeroizing::new(<[u8; 64]>::from(hash.finalize()));
                let mut hash = outer.clone();
                hash.update(digest.as_slice());
                hash.finalize_into((&mut out[i]).into());
            }
        }
    }

    fn hash_mul_encode(&self, uniform: &[[u8; 64]], key: &PreparedScalar, out: &mut [Encoding]) {
        let half = Zeroizing::new(key.scalar().div_by_2());
        encode_doubles(uniform.iter().map(|bytes| hash(bytes) * *half), out);
    }

    fn hash_mul_each_encode(&self, uniform: &[[u8; 64]], scalars: &[Scalar], out: &mut [Encoding]) {
        assert_eq!(uniform.len(), scalars.len());
        let pairs = uniform.iter().zip(scalars);
        encode_doubles(
            pairs.map(|(bytes, scalar)| hash(bytes) * scalar.div_by_2()),
            out,
        );
    }

    fn hash_add_base_encode(
        &self,
        uniform: &[[u8; 64]],
        scalars: &[Scalar],
        out: &mut [Encoding],
    ) -> Points {
        assert_eq!((uniform.len(), scalars.len()), (out.len(), out.len()));
        let pairs = uniform.iter().zip(scalars);
        let points: Vec<RistrettoPoint> = pairs
            .map(|(bytes, scalar)| hash(bytes) + RistrettoPoint::mul_base(scalar))
            .collect();
        for (point, encoding) in points.iter().zip(out) {
            *encoding = point.compress().to_bytes();
        }
        Points(Decoded::Portable(points))
    }

    fn decode_mul_encode(
        &self,
        elements: &[Encoding],
        key: &PreparedScalar,
        out: &mut [Encoding],
    ) -> Result<(), BadElement> {
        let half = Zeroizing::new(key.scalar().div_by_2());
        let points = decode_all(elements)?;
        encode_doubles(points.iter().map(|point| point * *half), out);
        Ok(())
    }

    fn decode_mul_each_encode(
        &self,
        elements: &[Encoding],
        scalars: &[Scalar],
        out: &mut [Encoding],
    ) -> Result<(), BadElement> {
        assert_eq!(elements.len(), scalars.len());
        let points = decode_all(elements)?;
        let pairs = points.iter().zip(scalars);
        encode_doubles(pairs.map(|(point, scalar)| point * scalar.div_by_2()), out);
        Ok(())
    }

    fn mul_base_encode(
        &self,
        scalars: &[Scalar],
        table: &BaseTable,
        out: &mut [Encoding],
    ) -> Points {
        let halves: Wiped = Zeroizing::new(
            scalars
                .iter()
                .map(|scalar| mul_table(table, &scalar.div_by_2()))
                .collect(),
        );
        encode_doubles(halves.iter().copied(), out);
        let doubles = halves.iter().map(|half| half + half);
        Points(Decoded::Portable(doubles.collect()))
    }

    fn base_table(&self, point: &RistrettoPoint) -> BaseTable {
        table_of(point)
    }

    fn generator(&self) -> &BaseTable {
        &self.generator
    }

    fn decode(&self, elements: &[Encoding]) -> Result<Points, BadElement> {
        let mut points = decode_all(elements)?;
        Ok(Points(Decoded::Portable(std::mem::take(&mut *points))))
    }

    fn points_mul_encode(
        &self,
        points: &Points,
        start: usize,
        key: &PreparedScalar,
        out: &mut [Encoding],
    ) {
        let half = Zeroizing::new(key.scalar().div_by_2());
        let points = &own(points)[start..start + out.len()];
        encode_doubles(points.iter().map(|point| point * *half), out);
    }

    fn points_sub_base_encode(
        &self,
        points: &Points,
        start: usize,
        scalars: &[Scalar],
        table: &BaseTable,
        out: &mut [Encoding],
    ) {
        assert_eq!(scalars.len(), out.len());
        let points = &own(points)[start..start + out.len()];
        for ((point, scalar), encoding) in points.iter().zip(scalars).zip(out) {
            *encoding = (point - mul_table(table, scalar)).compress().to_bytes();
        }
    }

    fn msm(&self, points: &Points, scalars: &[Scalar]) -> RistrettoPoint {
        let points = own(points);
        assert_eq!(points.len(), scalars.len());
        RistrettoPoint::vartime_multiscalar_mul(scalars, points)
    }
}

/// RFC 9497 section 2.1 DeserializeElement: canonical and not the identity.
pub fn decode_element(encoding: &Encoding) -> Option<RistrettoPoint> {
    if encoding == &[0; 32] {
        return None;
    }
    CompressedRistretto(*encoding).decompress()
}

fn decode_all(elements: &[Encoding]) -> Result<Wiped, BadElement> {
    let mut points = Zeroizing::new(Vec::with_capacity(elements.len()));
    for (i, element) in elements.iter().enumerate() {
        points.push(decode_element(element).ok_or(BadElement(i))?);
    }
    Ok(points)
}

fn hash(uniform: &[u8; 64]) -> RistrettoPoint {
    RistrettoPoint::from_uniform_bytes(uniform)
}

fn table_of(point: &RistrettoPoint) -> BaseTable {
    let table = Table::Portable(Box::new(RistrettoBasepointTable::create(point)));
    BaseTable {
        point: *point,
        table,
    }
}

/// A table made by another backend still holds its point.
fn mul_table(table: &BaseTable, scalar: &Scalar) -> RistrettoPoint {
    match &table.table {
        Table::Portable(own) => own.as_ref() * scalar,
        #[cfg(target_arch = "x86_64")]
        _ => table.point * scalar,
    }
}

fn own(points: &Points) -> &[RistrettoPoint] {
    match &points.0 {
        Decoded::Portable(points) => points,
        #[cfg(target_arch = "x86_64")]
        _ => panic!("these points were decoded by another backend"),
    }
}

/// One inversion for the whole chunk, instead of an inverse square root for each point.
fn encode_doubles(halves: impl Iterator<Item = RistrettoPoint>, out: &mut [Encoding]) {
    let points: Wiped = Zeroizing::new(halves.collect());
    assert_eq!(points.len(), out.len());
    let encodings = Zeroizing::new(RistrettoPoint::double_and_compress_batch(points.iter()));
    for (encoding, out) in encodings.iter().zip(out) {
        *out = encoding.to_bytes();
    }
}
