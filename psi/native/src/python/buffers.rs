//! Foreign memory in, Python bytes out.

use pyo3::{buffer::PyUntypedBuffer, exceptions::PyOverflowError, prelude::*, types::PyBytes};

use crate::error::Error;

/// A column of fixed-width values, as Python gets it.
pub type Rows<'py> = Bound<'py, PyBytes>;

/// Any C-contiguous bytes-like object, read in place. Its owner must not write to it
/// during the call; exporting the buffer already keeps it from moving.
pub struct Buffer(PyUntypedBuffer);

impl<'py> FromPyObject<'_, 'py> for Buffer {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let buffer = PyUntypedBuffer::get(&object)?;
        if buffer.is_c_contiguous() {
            Ok(Buffer(buffer))
        } else {
            Err(Error::input("a buffer must be contiguous").into())
        }
    }
}

impl Buffer {
    pub fn bytes(&self) -> &[u8] {
        match self.0.len_bytes() {
            0 => &[],
            // SAFETY: a C-contiguous export is `len_bytes` initialised bytes at `buf_ptr`
            // that stay in place until it is released, which is when self is dropped.
            length => unsafe { std::slice::from_raw_parts(self.0.buf_ptr().cast::<u8>(), length) },
        }
    }

    /// The buffer as rows of N bytes.
    pub fn rows<const N: usize>(&self, name: &str) -> Result<&[[u8; N]], Error> {
        match self.bytes().as_chunks() {
            (rows, []) => Ok(rows),
            _ => Err(Error::input(format!(
                "{name}: not a whole number of {N}-byte values"
            ))),
        }
    }

    /// The same, where the number of rows is known.
    pub fn exact_rows<const N: usize>(
        &self,
        name: &str,
        count: usize,
    ) -> Result<&[[u8; N]], Error> {
        let rows = self.rows(name)?;
        if rows.len() == count {
            Ok(rows)
        } else {
            Err(Error::input(format!("{name}: not {count} values")))
        }
    }

    /// The buffer as exactly `count` rows of `width` bytes.
    pub fn columns(&self, name: &str, count: usize, width: usize) -> Result<&[u8], Error> {
        if self.bytes().len() == checked_size(count, width)? {
            Ok(self.bytes())
        } else {
            Err(Error::input(format!(
                "{name}: not {count} values of {width} bytes"
            )))
        }
    }

    /// Exactly N bytes.
    pub fn array<const N: usize>(&self, name: &str) -> Result<&[u8; N], Error> {
        self.bytes()
            .try_into()
            .map_err(|_| Error::input(format!("{name} is {N} bytes")))
    }
}

/// A size, width or count from Python; a negative or huge one is an InputError.
#[derive(Clone, Copy, Default)]
pub struct Size(pub usize);

impl<'py> FromPyObject<'_, 'py> for Size {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let unfit = || Error::input("a size is negative or too large");
        let size: i128 = object.extract().map_err(|error: PyErr| {
            match error.is_instance_of::<PyOverflowError>(object.py()) {
                true => unfit().into(),
                false => error,
            }
        })?;
        let size = usize::try_from(size).ok();
        let size = size.filter(|size| isize::try_from(*size).is_ok());
        Ok(Size(size.ok_or_else(unfit)?))
    }
}

pub fn checked_size(count: usize, width: usize) -> Result<usize, Error> {
    let size = count
        .checked_mul(width)
        .filter(|size| isize::try_from(*size).is_ok());
    size.ok_or_else(|| Error::input("more bytes than fit into memory"))
}

/// `bytes` of `count` rows of `width`, filled in place.
pub fn new_bytes<'py>(
    py: Python<'py>,
    count: usize,
    width: usize,
    fill: impl FnOnce(&mut [u8]) -> PyResult<()>,
) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, checked_size(count, width)?, fill)
}

/// The same as rows of N bytes.
pub fn new_rows<'py, const N: usize>(
    py: Python<'py>,
    count: usize,
    fill: impl FnOnce(&mut [[u8; N]]) -> PyResult<()>,
) -> PyResult<Bound<'py, PyBytes>> {
    new_bytes(py, count, N, |bytes| fill(bytes.as_chunks_mut().0))
}
