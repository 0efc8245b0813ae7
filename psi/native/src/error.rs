//! The errors of the pure part, one for each class of `psi/errors.py`.

/// Which of a call's batches a refused element stood in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    Blinded,
    Evaluated,
    PublicKey,
}

impl Batch {
    pub fn name(self) -> &'static str {
        match self {
            Batch::Blinded => "blinded_elements",
            Batch::Evaluated => "evaluated_elements",
            Batch::PublicKey => "public_key",
        }
    }
}

/// None of these carries an input: an item, a key and a label are never repeated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("not the canonical encoding of a non-identity element")]
    BadElement { batch: Batch, index: usize },
    #[error("not a canonical, non-zero scalar")]
    BadScalar,
    #[error("a batch holds 1 to 65,535 elements")]
    BatchSize { size: usize },
    #[error("the proof does not hold for this batch and public key")]
    ProofInvalid,
    #[error("a sealed label does not open")]
    LabelInvalid { index: usize },
    #[error("{0}")]
    Input(String),
    #[error("{0}")]
    Backend(String),
    /// The caller asked for the end; the face knows why and raises that instead.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    pub fn input(detail: impl Into<String>) -> Self {
        Error::Input(detail.into())
    }
}

pub type Result<T> = std::result::Result<T, Error>;
