//! The Python face of `psi/_native.pyi`: takes buffers, checks lengths, runs the pure part
//! with the GIL released, and turns its errors into the classes of `psi.errors`.

mod buffers;
mod columns;
mod errors;
mod protocol;
mod rows;
mod runner;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    #[pymodule_export]
    use super::columns::{
        find_tags, normalise_ids, pack_labels, sort_order, take_rows, unpack_labels,
    };
    #[pymodule_export]
    use super::protocol::{
        BlindedBatch, DecodedElements, SecretKey, backend_name, blind_evaluate, decode_and_encode,
        element_from_uniform_bytes, evaluate, thread_count, verify_proof,
    };
    #[pymodule_export]
    use super::rows::{derive_tags, encode_rows, keyed_references, open_labels, receipts};
    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("MODE_OPRF", crate::suite::Mode::Oprf as u8)?;
        module.add("MODE_VOPRF", crate::suite::Mode::Voprf as u8)?;
        module.add("MAX_BATCH", crate::suite::MAX_BATCH)
    }
}
