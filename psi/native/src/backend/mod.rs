//! Group operations on whole batches, behind one seam.
//!
//! Three implementations: `ifma512` (eight points per register, AVX-512 IFMA), `avx2` (four), and
//! `portable` (curve25519-dalek), which is also the reference that the others are checked against
//! when the process starts. Threads and chunking live above; any number of elements is accepted,
//! and `CHUNK` at a time is best.

mod portable;
#[cfg(target_arch = "x86_64")]
pub mod vector;

pub use portable::{Portable, decode_element};

use curve25519_dalek::{RistrettoPoint, Scalar};
use std::fmt;
use std::sync::OnceLock;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::error::{Error, Result as CrateResult};

/// How many elements a worker should hand over at once: one inversion is shared by so many.
pub const CHUNK: usize = 256;

pub type Encoding = [u8; 32];

/// The index of the first refused element of the slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadElement(pub usize);

impl fmt::Display for BadElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "element {} is not a valid encoding, or is the identity",
            self.0
        )
    }
}

impl std::error::Error for BadElement {}

/// A secret scalar that multiplies many points, with what can be computed once.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct PreparedScalar {
    scalar: Scalar,
    /// scalar / 2 mod l, recoded for `digit16`.
    #[cfg(target_arch = "x86_64")]
    half16: [u64; 4],
}

impl PreparedScalar {
    pub fn new(scalar: &Scalar) -> Self {
        PreparedScalar {
            scalar: *scalar,
            #[cfg(target_arch = "x86_64")]
            half16: vector::recoded_half(scalar),
        }
    }

    pub fn scalar(&self) -> &Scalar {
        &self.scalar
    }
}

impl fmt::Debug for PreparedScalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PreparedScalar(..)")
    }
}

/// Precomputed multiples of a public point; belongs to the backend that made it.
pub struct BaseTable {
    point: RistrettoPoint,
    table: Table,
}

enum Table {
    Portable(Box<curve25519_dalek::ristretto::RistrettoBasepointTable>),
    #[cfg(target_arch = "x86_64")]
    Ifma512(vector::IfmaComb),
    #[cfg(target_arch = "x86_64")]
    Avx2(vector::Avx2Comb),
}

impl BaseTable {
    pub fn point(&self) -> &RistrettoPoint {
        &self.point
    }
}

/// Elements as points, kept so that nothing is decoded twice. Wiped when dropped.
pub struct Points(Decoded);

enum Decoded {
    Portable(Vec<RistrettoPoint>),
    #[cfg(target_arch = "x86_64")]
    Affine(vector::AffinePoints),
}

impl Drop for Decoded {
    fn drop(&mut self) {
        match self {
            Decoded::Portable(points) => points.zeroize(),
            #[cfg(target_arch = "x86_64")]
            // Wipes itself.
            Decoded::Affine(_) => {}
        }
    }
}

impl Points {
    pub fn len(&self) -> usize {
        match &self.0 {
            Decoded::Portable(points) => points.len(),
            #[cfg(target_arch = "x86_64")]
            Decoded::Affine(points) => points.count(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All the points of one backend's `parts`, in order.
    pub fn join(parts: &[Points]) -> Points {
        #[cfg(target_arch = "x86_64")]
        if let Some(Points(Decoded::Affine(_))) = parts.first() {
            let affine = parts.iter().map(|part| match &part.0 {
                Decoded::Affine(points) => points,
                Decoded::Portable(_) => panic!("points of two backends"),
            });
            return Points(Decoded::Affine(vector::AffinePoints::join(affine)));
        }
        let portable = parts.iter().flat_map(|part| match &part.0 {
            Decoded::Portable(points) => points.iter().copied(),
            #[cfg(target_arch = "x86_64")]
            Decoded::Affine(_) => panic!("points of two backends"),
        });
        Points(Decoded::Portable(portable.collect()))
    }
}

/// A text of each row: head || messages[i * width..][..width] || tail.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    pub head: &'a [u8],
    pub messages: &'a [u8],
    pub width: usize,
    pub tail: &'a [u8],
}

/// Batches of group operations. All slices of one call have the same length, or the call panics.
///
/// Secret: scalars, keys, uniform bytes, decoded points. Public: lengths, whether an encoding is
/// valid, the inputs of `msm`, the points of tables. No branch and no address depends on a secret.
pub trait Backend: Send + Sync {
    fn name(&self) -> &'static str;

    /// out[i] = SHA-512(prefix || messages[i * width..][..width] || suffix)
    fn sha512(
        &self,
        prefix: &[u8],
        messages: &[u8],
        width: usize,
        suffix: &[u8],
        out: &mut [[u8; 64]],
    );

    /// out[t][i] = HMAC-SHA-512(keys[i], row i of texts[t]), RFC 2104; shorter keys end in zeros.
    fn hmac_sha512(&self, keys: &[[u8; 64]], texts: &[Text], out: &mut [&mut [[u8; 64]]]);

    /// Evaluate (RFC 9497, 3.3.1): encode(k * map(uniform[i])), where map is the element
    /// derivation function of RFC 9496, 4.3.4.
    fn hash_mul_encode(&self, uniform: &[[u8; 64]], key: &PreparedScalar, out: &mut [Encoding]);

    /// Multiplicative Blind: encode(r_i * map(uniform[i]))
    fn hash_mul_each_encode(&self, uniform: &[[u8; 64]], scalars: &[Scalar], out: &mut [Encoding]);

    /// Additive Blind: encode(map(uniform[i]) + r_i * G), and the points themselves.
    fn hash_add_base_encode(
        &self,
        uniform: &[[u8; 64]],
        scalars: &[Scalar],
        out: &mut [Encoding],
    ) -> Points;

    /// BlindEvaluate: encode(k * decode(e)). Decoding is strict: RFC 9496, 4.3.1, and the identity
    /// is refused too. `out` is untouched if an element is refused.
    fn decode_mul_encode(
        &self,
        elements: &[Encoding],
        key: &PreparedScalar,
        out: &mut [Encoding],
    ) -> Result<(), BadElement>;

    /// Multiplicative unblind: encode(r_i * decode(e))
    fn decode_mul_each_encode(
        &self,
        elements: &[Encoding],
        scalars: &[Scalar],
        out: &mut [Encoding],
    ) -> Result<(), BadElement>;

    /// encode(s_i * P), P the table's point, and the points themselves.
    fn mul_base_encode(
        &self,
        scalars: &[Scalar],
        table: &BaseTable,
        out: &mut [Encoding],
    ) -> Points;

    /// A table for a public point.
    fn base_table(&self, point: &RistrettoPoint) -> BaseTable;

    /// The table of the generator.
    fn generator(&self) -> &BaseTable;

    /// Strict decoding, for elements that are needed more than once.
    fn decode(&self, elements: &[Encoding]) -> Result<Points, BadElement>;

    /// BlindEvaluate of elements from `start` on that are decoded already: encode(k * P_i).
    fn points_mul_encode(
        &self,
        points: &Points,
        start: usize,
        key: &PreparedScalar,
        out: &mut [Encoding],
    );

    /// Additive unblind of elements from `start` on that are decoded already.
    fn points_sub_base_encode(
        &self,
        points: &Points,
        start: usize,
        scalars: &[Scalar],
        table: &BaseTable,
        out: &mut [Encoding],
    );

    /// Sum of s_i * P_i. Public inputs only: variable time.
    fn msm(&self, points: &Points, scalars: &[Scalar]) -> RistrettoPoint;
}

/// Why no backend could be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackendError {
    /// `MINGCE_BACKEND` names something else than ifma512, avx2 or portable.
    Unknown(String),
    /// This processor cannot run the backend that `MINGCE_BACKEND` names.
    Unavailable(&'static str),
    /// The backend computes something else than the reference. Nothing it says can be trusted.
    SelfCheck {
        backend: &'static str,
        operation: &'static str,
    },
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BackendError::Unknown(name) => write!(
                f,
                "MINGCE_BACKEND is {name:?}; it must be ifma512, avx2, portable, or not set"
            ),
            BackendError::Unavailable(name) => {
                write!(
                    f,
                    "MINGCE_BACKEND is {name}, but this processor cannot run it"
                )
            }
            BackendError::SelfCheck { backend, operation } => write!(
                f,
                "self-check failed: backend {backend} disagrees with the reference in {operation}; \
                 refusing to work. Set MINGCE_BACKEND=portable and report this processor"
            ),
        }
    }
}

impl std::error::Error for BackendError {}

/// The backends this processor can run, fastest first. Not self-checked.
pub fn available() -> Vec<Box<dyn Backend>> {
    #[cfg(target_arch = "x86_64")]
    let vector = [vector::ifma512(), vector::avx2()];
    #[cfg(not(target_arch = "x86_64"))]
    let vector: [Option<Box<dyn Backend>>; 0] = [];
    let portable: Box<dyn Backend> = Box::new(Portable::new());
    vector.into_iter().flatten().chain([portable]).collect()
}

/// The backend that `name` forces, or the fastest, after its self-check.
pub fn select(name: Option<&str>) -> Result<Box<dyn Backend>, BackendError> {
    let known = ["ifma512", "avx2", "portable"];
    let wanted = match name {
        None | Some("") => None,
        Some(name) => Some(
            *known
                .iter()
                .find(|known| **known == name)
                .ok_or_else(|| BackendError::Unknown(name.to_owned()))?,
        ),
    };
    let chosen = available()
        .into_iter()
        .find(|backend| wanted.is_none_or(|wanted| backend.name() == wanted))
        .ok_or(BackendError::Unavailable(wanted.unwrap_or("portable")))?;
    self_check(chosen.as_ref())?;
    Ok(chosen)
}

/// The process's backend: `MINGCE_BACKEND` or the fastest, chosen and checked once.
pub fn active() -> CrateResult<&'static dyn Backend> {
    static CHOSEN: OnceLock<Result<Box<dyn Backend>, BackendError>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let name = std::env::var_os("MINGCE_BACKEND");
        select(name.as_ref().map(|name| name.to_string_lossy()).as_deref())
    });
    match chosen {
        Ok(backend) => Ok(backend.as_ref()),
        Err(error) => Err(Error::Backend(error.to_string())),
    }
}

mod self_check;
pub use self_check::self_check;
