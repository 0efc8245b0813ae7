//! The suite ristretto255-SHA512 of RFC 9497 section 4.1: modes, hashes and scalars, named as
//! there. `||` in the comments is concatenation.

use curve25519_dalek::scalar::Scalar;
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use crate::{
    backend::Backend,
    error::{Error, Result},
};

/// RFC 9497 section 2.2.1: the composites count elements in two bytes.
pub const MAX_BATCH: usize = 65_535;

pub type Output = [u8; 64];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Oprf = 0,
    Voprf = 1,
}

impl Mode {
    pub fn from_number(number: u8) -> Result<Mode> {
        match number {
            0 => Ok(Mode::Oprf),
            1 => Ok(Mode::Voprf),
            _ => Err(Error::input("the mode is 0 (OPRF) or 1 (VOPRF)")),
        }
    }

    /// Section 3.1 CreateContextString: "OPRFV1-" || I2OSP(mode, 1) || "-" || identifier
    pub fn context_string(self) -> Vec<u8> {
        [
            b"OPRFV1-".as_slice(),
            &[self as u8],
            b"-ristretto255-SHA512",
        ]
        .concat()
    }

    /// label || contextString: the domain separation tags of sections 2 to 4.
    pub fn tag(self, label: &str) -> Vec<u8> {
        [label.as_bytes(), &self.context_string()].concat()
    }
}

/// Section 2.1 DeserializeScalar: 32 bytes, canonical; zero is refused as well, for a key
/// and a blind alike.
pub fn decode_scalar(encoded: &[u8]) -> Result<Scalar> {
    let bytes: [u8; 32] = encoded.try_into().map_err(|_| Error::BadScalar)?;
    let scalar =
        Option::<Scalar>::from(Scalar::from_canonical_bytes(bytes)).ok_or(Error::BadScalar)?;
    if scalar == Scalar::ZERO {
        Err(Error::BadScalar)
    } else {
        Ok(scalar)
    }
}

pub fn random_bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice())
        .map_err(|_| Error::Backend("the system gives no randomness".into()))?;
    Ok(bytes)
}

/// RFC 9380 section 5.3.1 expand_message_xmd with SHA-512 to 64 bytes, of the messages
/// `head || messages[i] || tail`:
///
/// DST_prime = DST || I2OSP(len(DST), 1)
/// b_0 = SHA-512(I2OSP(0, 128) || message || I2OSP(64, 2) || I2OSP(0, 1) || DST_prime)
/// b_1 = SHA-512(b_0 || I2OSP(1, 1) || DST_prime)
pub fn expand_message_xmd(
    backend: &dyn Backend,
    head: &[u8],
    messages: &[u8],
    width: usize,
    tail: &[u8],
    dst: &[u8],
    out: &mut [[u8; 64]],
) {
    let dst_length = u8::try_from(dst.len()).expect("our tags are short");
    let z_pad = [0; 128];
    backend.sha512(
        &[&z_pad, head].concat(),
        messages,
        width,
        &[tail, &64u16.to_be_bytes(), &[0], dst, &[dst_length]].concat(),
        out,
    );
    let b_0 = Zeroizing::new(out.as_flattened().to_vec());
    backend.sha512(b"", &b_0, 64, &[&[1], dst, &[dst_length]].concat(), out);
}

/// Section 4.1 HashToScalar: the 64 bytes, little-endian, reduced modulo the order.
pub fn hash_to_scalar_tagged(backend: &dyn Backend, message: &[u8], dst: &[u8]) -> Scalar {
    let mut uniform = Zeroizing::new([[0; 64]]);
    expand_message_xmd(
        backend,
        b"",
        message,
        message.len(),
        b"",
        dst,
        uniform.as_mut_slice(),
    );
    Scalar::from_bytes_mod_order_wide(&uniform[0])
}

pub fn hash_to_scalar(backend: &dyn Backend, mode: Mode, message: &[u8]) -> Scalar {
    hash_to_scalar_tagged(backend, message, &mode.tag("HashToScalar-"))
}

/// Section 4.1 HashToGroup up to the map: DST = "HashToGroup-" || contextString
pub fn hash_to_uniform(
    backend: &dyn Backend,
    mode: Mode,
    items: &[u8],
    width: usize,
) -> Zeroizing<Vec<[u8; 64]>> {
    let mut uniform = Zeroizing::new(vec![[0; 64]; items.len() / width]);
    expand_message_xmd(
        backend,
        b"",
        items,
        width,
        b"",
        &mode.tag("HashToGroup-"),
        &mut uniform,
    );
    uniform
}

/// The number of equal-length inputs in a buffer. A PrivateInput is at most 2^16 - 1 bytes.
pub fn item_count(items: &[u8], width: usize) -> Result<usize> {
    if !(1..=65_535).contains(&width) {
        return Err(Error::input("an item is 1 to 65,535 bytes wide"));
    }
    if !items.len().is_multiple_of(width) {
        return Err(Error::input("the items are not a whole number of widths"));
    }
    Ok(items.len() / width)
}

pub fn check_batch_size(size: usize) -> Result<()> {
    if (1..=MAX_BATCH).contains(&size) {
        Ok(())
    } else {
        Err(Error::BatchSize { size })
    }
}

/// SHA-512 of one message, where a single digest is wanted.
pub fn sha512(parts: &[&[u8]]) -> Output {
    let mut hash = Sha512::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}
