//! Rows of an edition, receipts and references.

use pyo3::prelude::*;
use zeroize::Zeroizing;

use super::{
    buffers::{Buffer, Rows, Size, new_bytes, new_rows},
    protocol::{Progress, SecretKey},
    runner::run,
};
use crate::{
    error::Error,
    kdf::{self, Context, ReceiptRows},
    labels,
    rows::{self, ReceiptKeys, SEALING, SealedRows},
    suite,
};

#[pyfunction]
#[pyo3(signature = (key, items, width, *, dataset, epoch, versions, labels, label_width, receipt_keys = vec![], receipt_key_index = None, threads = Size(0), progress = None))]
#[expect(clippy::too_many_arguments)]
pub fn encode_rows<'py>(
    py: Python<'py>,
    key: &SecretKey,
    items: Buffer,
    width: Size,
    dataset: &str,
    epoch: &str,
    versions: Buffer,
    labels: Buffer,
    label_width: Size,
    receipt_keys: Vec<Buffer>,
    receipt_key_index: Option<Buffer>,
    threads: Size,
    progress: Progress,
) -> PyResult<(Rows<'py>, Rows<'py>)> {
    let context = Context::new(dataset, epoch)?;
    let columns = receipt_rows(&items, width, &versions, &labels, label_width)?;
    let count = columns.versions.len();
    // Its capacity is never outgrown, so no copy of a key is left behind unwiped.
    let mut keys = Zeroizing::new(Vec::with_capacity(receipt_keys.len()));
    for key in &receipt_keys {
        keys.push(*key.array("a receipt key")?);
    }
    let index = match &receipt_key_index {
        Some(index) => index.rows("receipt_key_index")?,
        None => &[],
    };
    let receipt_keys = ReceiptKeys { keys: &keys, index };
    receipt_keys.check(count)?;
    let mut sealed = None;
    let tags = new_rows(py, count, |tags| {
        sealed = Some(new_bytes(
            py,
            count,
            sealed_width(label_width)?,
            |sealed| {
                run(py, threads, progress.as_ref(), |job| {
                    rows::encode_rows(job, &key.0, &context, columns, receipt_keys, tags, sealed)
                })
            },
        )?);
        Ok(())
    })?;
    Ok((tags, sealed.expect("filled beside the tags")))
}

fn sealed_width(label_width: Size) -> Result<usize, Error> {
    labels::check_width(label_width.0)?;
    Ok(label_width.0 + SEALING)
}

fn receipt_rows<'a>(
    items: &'a Buffer,
    width: Size,
    versions: &'a Buffer,
    labels: &'a Buffer,
    label_width: Size,
) -> Result<ReceiptRows<'a>, Error> {
    let count = suite::item_count(items.bytes(), width.0)?;
    labels::check_width(label_width.0)?;
    Ok(ReceiptRows {
        items: items.bytes(),
        width: width.0,
        versions: versions.exact_rows("versions", count)?,
        labels: labels.columns("labels", count, label_width.0)?,
        label_width: label_width.0,
    })
}

#[pyfunction]
#[pyo3(signature = (outputs, *, dataset, epoch, threads = Size(0)))]
pub fn derive_tags<'py>(
    py: Python<'py>,
    outputs: Buffer,
    dataset: &str,
    epoch: &str,
    threads: Size,
) -> PyResult<Rows<'py>> {
    let context = Context::new(dataset, epoch)?;
    let outputs = outputs.rows("outputs")?;
    new_rows(py, outputs.len(), |tags| {
        run(py, threads, None, |job| {
            rows::derive_all_tags(job, &context, outputs, tags)
        })
    })
}

#[pyfunction]
#[pyo3(signature = (outputs, sealed, versions, label_width, *, dataset, epoch, threads = Size(0)))]
#[expect(clippy::too_many_arguments)]
pub fn open_labels<'py>(
    py: Python<'py>,
    outputs: Buffer,
    sealed: Buffer,
    versions: Buffer,
    label_width: Size,
    dataset: &str,
    epoch: &str,
    threads: Size,
) -> PyResult<(Rows<'py>, Rows<'py>)> {
    let context = Context::new(dataset, epoch)?;
    let outputs = outputs.rows("outputs")?;
    let rows = SealedRows {
        sealed: sealed.columns("sealed", outputs.len(), sealed_width(label_width)?)?,
        versions: versions.exact_rows("versions", outputs.len())?,
        label_width: label_width.0,
    };
    let mut labels = None;
    let receipts = new_rows(py, outputs.len(), |receipts| {
        labels = Some(new_bytes(py, outputs.len(), label_width.0, |labels| {
            run(py, threads, None, |job| {
                rows::open_labels(job, &context, outputs, rows, labels, receipts)
            })
        })?);
        Ok(())
    })?;
    Ok((labels.expect("filled beside the receipts"), receipts))
}

#[pyfunction]
#[pyo3(signature = (key, items, width, versions, labels, label_width, *, dataset, epoch))]
#[expect(clippy::too_many_arguments)]
pub fn receipts<'py>(
    py: Python<'py>,
    key: Buffer,
    items: Buffer,
    width: Size,
    versions: Buffer,
    labels: Buffer,
    label_width: Size,
    dataset: &str,
    epoch: &str,
) -> PyResult<Rows<'py>> {
    let context = Context::new(dataset, epoch)?;
    let key = key.array::<32>("a receipt key")?;
    let columns = receipt_rows(&items, width, &versions, &labels, label_width)?;
    new_rows(py, columns.versions.len(), |out| {
        run(py, Size(0), None, |job| {
            rows::issue_receipts(job, &context, key, columns, out)
        })
    })
}

#[pyfunction]
#[pyo3(signature = (key, items, width, *, threads = Size(0)))]
pub fn keyed_references<'py>(
    py: Python<'py>,
    key: Buffer,
    items: Buffer,
    width: Size,
    threads: Size,
) -> PyResult<Rows<'py>> {
    let key = key.array::<32>("a reference key")?;
    let items = items.bytes();
    new_rows(py, suite::item_count(items, width.0)?, |out| {
        run(py, threads, None, |job| {
            kdf::keyed_references(job, key, items, width.0, out)
        })
    })
}
