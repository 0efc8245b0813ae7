//! Foreign memory in, Python bytes out.

use std::mem::MaybeUninit;

use pyo3::{buffer::PyUntypedBuffer, exceptions::PyOverflowError, ffi, prelude::*, types::PyBytes};

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
///
/// Like PyBytes::new_with, but gigabytes are zeroed in pieces with the GIL released, so that
/// Ctrl-C and other threads need not wait for it.
pub fn new_bytes<'py>(
    py: Python<'py>,
    count: usize,
    width: usize,
    fill: impl FnOnce(&mut [u8]) -> PyResult<()>,
) -> PyResult<Rows<'py>> {
    const PIECE: usize = 1 << 25;
    let size = checked_size(count, width)?;
    // SAFETY: the call returns a new bytes object of `size` bytes, not yet initialised, that
    // only we know of, or null with an exception set. `size` is at most isize::MAX. The
    // slice ends before the object is given away.
    let (bytes, uninitialised) = unsafe {
        let bytes = ffi::PyBytes_FromStringAndSize(std::ptr::null(), size as ffi::Py_ssize_t);
        let bytes = Bound::from_owned_ptr_or_err(py, bytes)?;
        let start = ffi::PyBytes_AsString(bytes.as_ptr()).cast::<MaybeUninit<u8>>();
        (bytes, std::slice::from_raw_parts_mut(start, size))
    };
    for piece in uninitialised.chunks_mut(PIECE) {
        py.detach(|| piece.fill(MaybeUninit::new(0)));
        py.check_signals()?;
    }
    // SAFETY: every byte was just written; MaybeUninit<u8> is laid out as u8.
    fill(unsafe { &mut *(std::ptr::from_mut(uninitialised) as *mut [u8]) })?;
    Ok(bytes.cast_into()?)
}

/// The same as rows of N bytes.
pub fn new_rows<'py, const N: usize>(
    py: Python<'py>,
    count: usize,
    fill: impl FnOnce(&mut [[u8; N]]) -> PyResult<()>,
) -> PyResult<Bound<'py, PyBytes>> {
    new_bytes(py, count, N, |bytes| fill(bytes.as_chunks_mut().0))
}
