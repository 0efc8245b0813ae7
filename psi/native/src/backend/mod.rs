//! The seam between the protocol and the arithmetic.
//!
//! A backend works on whole chunks of at most [`CHUNK`] items, encodings in and
//! encodings out, so that it may lay points and hash states out as it likes. Every
//! backend gives the same bytes; [`portable`] is the reference.

mod portable;

use std::sync::OnceLock;

use curve25519_dalek::{
    constants::{RISTRETTO_BASEPOINT_COMPRESSED, RISTRETTO_BASEPOINT_POINT},
    ristretto::{CompressedRistretto, RistrettoBasepointTable, RistrettoPoint},
    scalar::Scalar,
};
use zeroize::{Zeroize, ZeroizeOnDrop};

pub use portable::Portable;

use crate::error::{Error, Result};

/// The most items one call takes (but `msm`): small enough for a cache and for a
/// prompt Ctrl-C, large enough to share one inversion.
pub const CHUNK: usize = 256;

/// A canonical RFC 9496 encoding when it comes from us, any 32 bytes when foreign.
pub type Encoding = [u8; 32];

/// Position of the first element that is not canonical or is the identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadElement(pub usize);

/// A secret scalar made ready to multiply many elements.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct PreparedScalar {
    scalar: Scalar,
    half: Scalar,
}

impl PreparedScalar {
    pub fn new(scalar: &Scalar) -> Self {
        PreparedScalar {
            scalar: *scalar,
            half: scalar.div_by_2(),
        }
    }

    pub fn scalar(&self) -> &Scalar {
        &self.scalar
    }

    /// scalar / 2: batched encoders give the encoding of a point's double.
    pub fn half(&self) -> &Scalar {
        &self.half
    }
}

/// A public point made ready to be multiplied by many scalars.
pub struct BaseTable {
    table: RistrettoBasepointTable,
}

impl BaseTable {
    pub fn new(base: &RistrettoPoint) -> Self {
        BaseTable {
            table: RistrettoBasepointTable::create(base),
        }
    }

    /// The table of the group's generator, built once.
    pub fn generator() -> &'static BaseTable {
        static TABLE: OnceLock<BaseTable> = OnceLock::new();
        TABLE.get_or_init(|| BaseTable::new(&RISTRETTO_BASEPOINT_POINT))
    }

    pub fn table(&self) -> &RistrettoBasepointTable {
        &self.table
    }
}

/// Inputs and outputs of one call are of equal length. "hash" is the map of RFC 9496
/// section 4.3.4 on 64 uniform bytes, "encode" and "decode" are its sections 4.3.2
/// and 4.3.1; decoding refuses the identity as well. Scalars are secret unless said
/// otherwise: no branch and no address may depend on them.
pub trait Backend: Send + Sync {
    fn name(&self) -> &'static str;

    /// `out[i] = SHA-512(prefix || message i || suffix)`, the messages each `width` bytes.
    fn sha512(
        &self,
        prefix: &[u8],
        messages: &[u8],
        width: usize,
        suffix: &[u8],
        out: &mut [[u8; 64]],
    );

    /// `out[i] = key * hash(uniform[i])`
    fn hash_mul_encode(&self, uniform: &[[u8; 64]], key: &PreparedScalar, out: &mut [Encoding]);

    /// `out[i] = scalars[i] * hash(uniform[i])`
    fn hash_mul_each_encode(&self, uniform: &[[u8; 64]], scalars: &[Scalar], out: &mut [Encoding]);

    /// `out[i] = hash(uniform[i]) + scalars[i] * G`
    fn hash_add_base_encode(&self, uniform: &[[u8; 64]], scalars: &[Scalar], out: &mut [Encoding]);

    /// `out[i] = key * elements[i]`; nothing is multiplied when an element is refused.
    fn decode_mul_encode(
        &self,
        elements: &[Encoding],
        key: &PreparedScalar,
        out: &mut [Encoding],
    ) -> std::result::Result<(), BadElement>;

    /// `out[i] = scalars[i] * elements[i]`; nothing is multiplied when an element is refused.
    fn decode_mul_each_encode(
        &self,
        elements: &[Encoding],
        scalars: &[Scalar],
        out: &mut [Encoding],
    ) -> std::result::Result<(), BadElement>;

    /// `out[i] = elements[i] - scalars[i] * base`
    fn decode_sub_base_encode(
        &self,
        elements: &[Encoding],
        scalars: &[Scalar],
        table: &BaseTable,
        out: &mut [Encoding],
    ) -> std::result::Result<(), BadElement>;

    /// `out[i] = scalars[i] * base`
    fn mul_base_encode(&self, scalars: &[Scalar], table: &BaseTable, out: &mut [Encoding]);

    /// The sum of `scalars[i] * elements[i]`. Inputs are public, time varies with them,
    /// and any number is taken.
    fn msm(
        &self,
        elements: &[Encoding],
        scalars: &[Scalar],
    ) -> std::result::Result<RistrettoPoint, BadElement>;

    /// Decodes and forgets.
    fn validate(&self, elements: &[Encoding]) -> std::result::Result<(), BadElement> {
        elements
            .iter()
            .enumerate()
            .try_for_each(|(i, element)| match decode_element(element) {
                Some(_) => Ok(()),
                None => Err(BadElement(i)),
            })
    }
}

/// RFC 9497 section 2.1 DeserializeElement: canonical and not the identity.
pub fn decode_element(encoding: &Encoding) -> Option<RistrettoPoint> {
    if encoding == &[0; 32] {
        return None;
    }
    CompressedRistretto(*encoding).decompress()
}

/// The backend of this process, chosen and checked at its first use.
pub fn active() -> Result<&'static dyn Backend> {
    static ACTIVE: OnceLock<bool> = OnceLock::new();
    if *ACTIVE.get_or_init(|| self_check(&Portable)) {
        Ok(&Portable)
    } else {
        Err(Error::Backend(
            "the arithmetic backend failed its self-check".into(),
        ))
    }
}

/// Known answers, to tell a broken processor or build before it touches a key: the generator
/// (RFC 9496 A.1), the map of A.3's first label, blinding undone, and the identity refused.
fn self_check(backend: &dyn Backend) -> bool {
    let mut digest = [[0; 64]];
    backend.sha512(
        b"Ristretto is ",
        b"traditionally",
        13,
        b" a short shot of espresso coffee",
        &mut digest,
    );
    const MAPPED: Encoding = [
        0x30, 0x66, 0xf8, 0x2a, 0x1a, 0x74, 0x7d, 0x45, 0x12, 0x0d, 0x17, 0x40, 0xf1, 0x43, 0x58,
        0x53, 0x1a, 0x8f, 0x04, 0xbb, 0xff, 0xe6, 0xa8, 0x19, 0xf8, 0x6d, 0xfe, 0x50, 0xf4, 0x4a,
        0x0a, 0x46,
    ];
    let (mut key, mut each, mut base, mut unblinded) = ([[0; 32]], [[0; 32]], [[0; 32]], [[0; 32]]);
    let three = Scalar::from(3u8);
    let one = PreparedScalar::new(&Scalar::ONE);
    backend.hash_mul_encode(&digest, &one, &mut key);
    backend.hash_mul_each_encode(&digest, &[three], &mut each);
    backend.mul_base_encode(&[Scalar::ONE], BaseTable::generator(), &mut base);
    backend
        .decode_mul_each_encode(&each, &[three.invert()], &mut unblinded)
        .is_ok()
        && key == [MAPPED]
        && unblinded == [MAPPED]
        && base == [RISTRETTO_BASEPOINT_COMPRESSED.to_bytes()]
        && backend
            .decode_mul_encode(&[[0; 32]], &one, &mut key)
            .is_err()
}
