//! The one place where the pure part's errors become Python's.

use pyo3::{
    exceptions::PyKeyboardInterrupt,
    prelude::*,
    types::{IntoPyDict, PyDict},
};

use crate::error::Error;

impl From<Error> for PyErr {
    fn from(error: Error) -> PyErr {
        Python::attach(|py| match raised(py, &error) {
            Ok(raised) => raised,
            Err(failed) => failed,
        })
    }
}

fn raised(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let params = |name: &str, value: usize| [(name, value)].into_py_dict(py);
    let (class, params) = match error {
        Error::BadElement { batch, index } => {
            let params = params("index", *index)?;
            params.set_item("batch", batch.name())?;
            ("BadElement", params)
        }
        Error::BadScalar => ("BadScalar", PyDict::new(py)),
        Error::BatchSize { size } => ("BatchSize", params("size", *size)?),
        Error::ProofInvalid => ("ProofInvalid", PyDict::new(py)),
        Error::LabelInvalid { index } => ("LabelInvalid", params("index", *index)?),
        Error::Input(_) => ("InputError", PyDict::new(py)),
        Error::Backend(_) => ("BackendError", PyDict::new(py)),
        Error::Cancelled => return Ok(PyKeyboardInterrupt::new_err(())),
    };
    let class = py.import("psi.errors")?.getattr(class)?;
    Ok(PyErr::from_value(
        class.call((error.to_string(),), Some(&params))?,
    ))
}
