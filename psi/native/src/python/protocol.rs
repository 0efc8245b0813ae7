//! Keys, batches and proofs.

use pyo3::{prelude::*, types::PyBytes};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{
    buffers::{Buffer, Rows, Size, new_rows},
    runner::run,
};
use crate::{
    backend::{self, Encoding, PreparedScalar},
    client::{self, Blinding, ProofOf},
    dleq,
    error::{Batch, Error},
    key,
    oprf::{self, DecodedBatch, Sums},
    suite::{self, Mode},
};

pub type Progress = Option<Py<PyAny>>;

#[pyfunction]
pub fn backend_name() -> PyResult<&'static str> {
    Ok(backend::active()?.name())
}

#[pyfunction]
pub fn thread_count() -> usize {
    super::runner::thread_count()
}

fn mode(number: Size) -> Result<Mode, Error> {
    Mode::from_number(number.0.try_into().unwrap_or(u8::MAX))
}

/// Additive where there is a proof to make it sound, unless the caller chooses.
fn blinding(mode: Mode, name: Option<&str>) -> Result<Blinding, Error> {
    match (name, mode) {
        (None, Mode::Voprf) | (Some("additive"), _) => Ok(Blinding::Additive),
        (None, Mode::Oprf) | (Some("multiplicative"), _) => Ok(Blinding::Multiplicative),
        (Some(_), _) => Err(Error::input("a blinding is additive or multiplicative")),
    }
}

#[pyclass(frozen, module = "psi._native")]
pub struct SecretKey(pub key::SecretKey);

#[pymethods]
impl SecretKey {
    #[staticmethod]
    fn derive(mode: Size, seed: Buffer, info: Buffer) -> PyResult<SecretKey> {
        let mode = self::mode(mode)?;
        Ok(SecretKey(key::SecretKey::derive(
            backend::active()?,
            mode,
            seed.bytes(),
            info.bytes(),
        )?))
    }

    #[staticmethod]
    fn generate() -> PyResult<SecretKey> {
        Ok(SecretKey(key::SecretKey::generate()?))
    }

    #[staticmethod]
    fn from_bytes(encoded: Buffer) -> PyResult<SecretKey> {
        Ok(SecretKey(key::SecretKey::from_bytes(encoded.bytes())?))
    }

    fn expose_bytes<'py>(&self, py: Python<'py>) -> Rows<'py> {
        PyBytes::new(py, self.0.expose_bytes().as_slice())
    }

    #[getter]
    fn public_key<'py>(&self, py: Python<'py>) -> Rows<'py> {
        PyBytes::new(py, self.0.public_key())
    }

    fn __repr__(&self) -> String {
        let fingerprint = Sha256::digest(self.0.public_key());
        let hex: String = fingerprint
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("<SecretKey of public key {hex}>")
    }
}

#[pyclass(frozen, module = "psi._native")]
pub struct BlindedBatch(client::BlindedBatch);

#[pymethods]
impl BlindedBatch {
    #[new]
    #[pyo3(signature = (mode, items, width, *, seed = None, context = None, pad_to = Size(0), blinding = None, threads = Size(0), progress = None))]
    #[expect(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        mode: Size,
        items: Buffer,
        width: Size,
        seed: Option<Buffer>,
        context: Option<Buffer>,
        pad_to: Size,
        blinding: Option<&str>,
        threads: Size,
        progress: Progress,
    ) -> PyResult<BlindedBatch> {
        let mode = self::mode(mode)?;
        let blinding = self::blinding(mode, blinding)?;
        let secret = match seed {
            Some(seed) => Zeroizing::new(*seed.array("seed")?),
            None => suite::random_bytes()?,
        };
        let items = items.bytes();
        let seed = client::Seed {
            secret: &secret,
            context: context.as_ref().map_or(b"".as_slice(), Buffer::bytes),
        };
        let batch = run(py, threads, progress.as_ref(), |job| {
            client::BlindedBatch::blind(job, mode, blinding, items, width.0, seed, pad_to.0)
        })?;
        Ok(BlindedBatch(batch))
    }

    #[staticmethod]
    #[pyo3(signature = (mode, items, width, blinds, *, blinding = Some("multiplicative")))]
    fn with_blinds(
        py: Python<'_>,
        mode: Size,
        items: Buffer,
        width: Size,
        blinds: Buffer,
        blinding: Option<&str>,
    ) -> PyResult<BlindedBatch> {
        let mode = self::mode(mode)?;
        let blinding = self::blinding(mode, blinding)?;
        let blinds = blinds
            .rows::<32>("blinds")?
            .iter()
            .map(|blind| suite::decode_scalar(blind));
        let blinds = Zeroizing::new(blinds.collect::<Result<Vec<_>, Error>>()?);
        let items = items.bytes();
        let batch = run(py, Size(0), None, |job| {
            client::BlindedBatch::with_blinds(job, mode, blinding, items, width.0, blinds)
        })?;
        Ok(BlindedBatch(batch))
    }

    fn __len__(&self) -> usize {
        self.0.count()
    }

    #[getter]
    fn blinded_elements<'py>(&self, py: Python<'py>) -> Rows<'py> {
        PyBytes::new(py, self.0.blinded_elements().as_flattened())
    }

    #[pyo3(signature = (evaluated_elements, proof = None, public_key = None, *, threads = Size(0), progress = None))]
    fn finalize<'py>(
        &self,
        py: Python<'py>,
        evaluated_elements: Buffer,
        proof: Option<Buffer>,
        public_key: Option<Buffer>,
        threads: Size,
        progress: Progress,
    ) -> PyResult<Rows<'py>> {
        let evaluated = evaluated_elements.rows("evaluated_elements")?;
        let proof = match (&proof, &public_key) {
            (Some(proof), Some(public_key)) => Some(ProofOf {
                public_key: public_key.bytes(),
                proof: proof.bytes(),
            }),
            (None, None) => None,
            _ => return Err(Error::input("a proof is checked against a public key").into()),
        };
        new_rows(py, self.0.count(), |out| {
            run(py, threads, progress.as_ref(), |job| {
                self.0.finalize(job, evaluated, proof, out)
            })
        })
    }

    fn __repr__(&self) -> String {
        format!("<BlindedBatch of {} items>", self.0.count())
    }
}

/// A batch that was checked, and need not be decoded again to be evaluated.
#[pyclass(frozen, module = "psi._native")]
pub struct DecodedElements {
    encodings: Vec<Encoding>,
    points: DecodedBatch,
}

#[pymethods]
impl DecodedElements {
    #[new]
    #[pyo3(signature = (elements, *, threads = Size(0)))]
    fn new(py: Python<'_>, elements: Buffer, threads: Size) -> PyResult<DecodedElements> {
        let encodings = elements.rows("elements")?.to_vec();
        suite::check_batch_size(encodings.len())?;
        let points = run(py, threads, None, |job| {
            DecodedBatch::decode(job, Batch::Blinded, &encodings, Sums::One)
        })?;
        Ok(DecodedElements { encodings, points })
    }

    fn __len__(&self) -> usize {
        self.encodings.len()
    }

    fn __repr__(&self) -> String {
        format!("<DecodedElements: {}>", self.encodings.len())
    }
}

/// Elements as they came, or decoded already.
#[derive(FromPyObject)]
pub enum BlindedElements<'py> {
    Decoded(PyRef<'py, DecodedElements>),
    Encoded(Buffer),
}

#[pyfunction]
#[pyo3(signature = (mode, key, blinded_elements, *, proof_randomness = None, threads = Size(0), progress = None))]
pub fn blind_evaluate<'py>(
    py: Python<'py>,
    mode: Size,
    key: &SecretKey,
    blinded_elements: BlindedElements<'py>,
    proof_randomness: Option<Buffer>,
    threads: Size,
    progress: Progress,
) -> PyResult<(Rows<'py>, Rows<'py>)> {
    let mode = self::mode(mode)?;
    let (blinded, known) = match &blinded_elements {
        BlindedElements::Decoded(batch) => (&batch.encodings[..], Some(&batch.points)),
        BlindedElements::Encoded(buffer) => (buffer.rows("blinded_elements")?, None),
    };
    suite::check_batch_size(blinded.len())?;
    let randomness = proof_randomness
        .map(|encoded| suite::decode_scalar(encoded.bytes()))
        .transpose()?;
    let mut proof = None;
    let evaluated = new_rows(py, blinded.len(), |out| {
        proof = run(py, threads, progress.as_ref(), |job| {
            let decoded;
            let points = match (known, mode) {
                (Some(points), _) => points,
                (None, Mode::Oprf) => {
                    return oprf::blind_evaluate(job, &key.0, blinded, out).map(|()| None);
                }
                (None, Mode::Voprf) => {
                    decoded = DecodedBatch::decode(job, Batch::Blinded, blinded, Sums::One)?;
                    &decoded
                }
            };
            oprf::blind_evaluate_decoded(job, &key.0, points, out)?;
            match mode {
                Mode::Oprf => Ok(None),
                Mode::Voprf => {
                    dleq::generate_proof(job, mode, &key.0, blinded, points, out, randomness)
                        .map(Some)
                }
            }
        })?;
        Ok(())
    })?;
    Ok((
        evaluated,
        PyBytes::new(py, proof.as_ref().map_or(b"", |proof| proof.as_slice())),
    ))
}

#[pyfunction]
pub fn verify_proof(
    py: Python<'_>,
    public_key: Buffer,
    blinded: Buffer,
    evaluated: Buffer,
    proof: Buffer,
) -> PyResult<()> {
    let (public_key, proof) = (public_key.bytes(), proof.bytes());
    let (blinded, evaluated) = (blinded.rows("blinded")?, evaluated.rows("evaluated")?);
    run(py, Size(0), None, |job| {
        dleq::verify_proof(
            job,
            Mode::Voprf,
            public_key,
            blinded,
            None,
            evaluated,
            proof,
        )
        .map(drop)
    })
}

#[pyfunction]
#[pyo3(signature = (mode, key, items, width, *, threads = Size(0), progress = None))]
pub fn evaluate<'py>(
    py: Python<'py>,
    mode: Size,
    key: &SecretKey,
    items: Buffer,
    width: Size,
    threads: Size,
    progress: Progress,
) -> PyResult<Rows<'py>> {
    let (mode, items) = (self::mode(mode)?, items.bytes());
    new_rows(py, suite::item_count(items, width.0)?, |out| {
        run(py, threads, progress.as_ref(), |job| {
            oprf::evaluate(job, mode, &key.0, items, width.0, out)
        })
    })
}

/// RFC 9496 section 4.3.4, for its test vectors.
#[pyfunction]
#[pyo3(name = "_element_from_uniform_bytes")]
pub fn element_from_uniform_bytes<'py>(py: Python<'py>, uniform: Buffer) -> PyResult<Rows<'py>> {
    let mut out = [[0; 32]];
    let one = PreparedScalar::new(&curve25519_dalek::scalar::Scalar::ONE);
    backend::active()?.hash_mul_encode(&[*uniform.array("uniform")?], &one, &mut out);
    Ok(PyBytes::new(py, &out[0]))
}

/// RFC 9496 sections 4.3.1 and 4.3.2, for its test vectors: the element, encoded again.
#[pyfunction]
#[pyo3(name = "_decode_element")]
pub fn decode_and_encode<'py>(py: Python<'py>, encoded: Buffer) -> PyResult<Rows<'py>> {
    let refused = Error::BadElement {
        batch: Batch::Blinded,
        index: 0,
    };
    let Ok(bytes) = encoded.bytes().try_into() else {
        return Err(refused.into());
    };
    let mut out = [[0; 32]];
    let one = PreparedScalar::new(&curve25519_dalek::scalar::Scalar::ONE);
    backend::active()?
        .decode_mul_encode(&[bytes], &one, &mut out)
        .map_err(|_| refused)?;
    Ok(PyBytes::new(py, &out[0]))
}
