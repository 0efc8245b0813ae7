//! The sender's key: RFC 9497 sections 2.1 and 3.2.1.

use curve25519_dalek::{ristretto::RistrettoPoint, scalar::Scalar};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    backend::{Backend, Encoding, PreparedScalar},
    error::{Error, Result},
    suite::{Mode, decode_scalar, hash_to_scalar_tagged, random_bytes},
};

/// A non-zero scalar k with its public key; wiped when dropped.
pub struct SecretKey {
    prepared: Box<PreparedScalar>,
    public: Encoding,
}

impl SecretKey {
    fn new(scalar: &Scalar) -> SecretKey {
        let public = RistrettoPoint::mul_base(scalar).compress().to_bytes();
        SecretKey {
            prepared: Box::new(PreparedScalar::new(scalar)),
            public,
        }
    }

    /// Section 2.1 DeserializeScalar, refusing zero.
    pub fn from_bytes(encoded: &[u8]) -> Result<SecretKey> {
        let mut scalar = decode_scalar(encoded)?;
        let key = SecretKey::new(&scalar);
        scalar.zeroize();
        Ok(key)
    }

    /// Section 2.1 RandomScalar.
    pub fn generate() -> Result<SecretKey> {
        loop {
            let uniform = random_bytes::<64>()?;
            let mut scalar = Scalar::from_bytes_mod_order_wide(&uniform);
            if scalar != Scalar::ZERO {
                let key = SecretKey::new(&scalar);
                scalar.zeroize();
                return Ok(key);
            }
        }
    }

    /// Section 3.2.1 DeriveKeyPair:
    /// HashToScalar(seed || I2OSP(len(info), 2) || info || I2OSP(counter, 1), DST = "DeriveKeyPair" || contextString)
    pub fn derive(
        backend: &dyn Backend,
        mode: Mode,
        seed: &[u8],
        info: &[u8],
    ) -> Result<SecretKey> {
        if seed.len() != 32 {
            return Err(Error::input("a seed is 32 bytes"));
        }
        let info_length =
            u16::try_from(info.len()).map_err(|_| Error::input("info is at most 65,535 bytes"))?;
        let mut derive_input =
            Zeroizing::new([seed, &info_length.to_be_bytes(), info, &[0]].concat());
        for counter in 0..=255 {
            *derive_input.last_mut().expect("it ends with the counter") = counter;
            let mut scalar =
                hash_to_scalar_tagged(backend, &derive_input, &mode.tag("DeriveKeyPair"));
            if scalar != Scalar::ZERO {
                let key = SecretKey::new(&scalar);
                scalar.zeroize();
                return Ok(key);
            }
        }
        Err(Error::input("the seed gives no key"))
    }

    pub fn prepared(&self) -> &PreparedScalar {
        &self.prepared
    }

    pub fn public_key(&self) -> &Encoding {
        &self.public
    }

    /// SerializeScalar, for wrapping only.
    pub fn expose_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.prepared.scalar().to_bytes())
    }
}
