//! Fixed-width columns and labels.

use pyo3::{prelude::*, types::PyBytes};

use super::{
    buffers::{Buffer, Rows, Size, new_bytes, new_rows},
    runner::run,
};
use crate::{
    error::Error,
    labels::{self, Column},
    table,
};

#[pyfunction]
#[pyo3(signature = (sorted_tags, queries, *, threads = Size(0)))]
pub fn find_tags<'py>(
    py: Python<'py>,
    sorted_tags: Buffer,
    queries: Buffer,
    threads: Size,
) -> PyResult<Rows<'py>> {
    let (sorted, queries) = (sorted_tags.rows("sorted_tags")?, queries.rows("queries")?);
    new_rows(py, queries.len(), |out| {
        run(py, threads, None, |job| {
            table::find_tags(job, sorted, queries, out)
        })
    })
}

#[pyfunction]
#[pyo3(signature = (keys, width, *, threads = Size(0)))]
pub fn sort_order<'py>(
    py: Python<'py>,
    keys: Buffer,
    width: Size,
    threads: Size,
) -> PyResult<Rows<'py>> {
    let keys = keys.bytes();
    let rows = row_count(keys, width.0)?;
    new_rows(py, rows, |out| {
        run(py, threads, None, |job| {
            table::sort_order(job, keys, width.0, out)
        })
    })
}

#[pyfunction]
pub fn take_rows<'py>(
    py: Python<'py>,
    rows: Buffer,
    width: Size,
    order: Buffer,
) -> PyResult<Rows<'py>> {
    let (rows, order) = (rows.bytes(), order.rows("order")?);
    if row_count(rows, width.0)? == 0 && !order.is_empty() {
        return Err(Error::input("there are no rows to take").into());
    }
    new_bytes(py, order.len(), width.0, |out| {
        run(py, Size(0), None, |job| {
            table::take_rows(job, rows, width.0, order, out)
        })
    })
}

fn row_count(rows: &[u8], width: usize) -> Result<usize, Error> {
    match rows.len().checked_rem(width) {
        Some(0) => Ok(rows.len() / width),
        _ => Err(Error::input("the rows are not a whole number of widths")),
    }
}

#[pyfunction]
pub fn pack_labels<'py>(
    py: Python<'py>,
    columns: Vec<(Buffer, Buffer)>,
    label_width: Size,
) -> PyResult<Rows<'py>> {
    let columns = columns
        .iter()
        .map(|(offsets, data)| {
            Ok(Column {
                offsets: offsets.rows("offsets")?,
                data: data.bytes(),
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let rows = labels::label_count(&columns)?;
    labels::check_width(label_width.0)?;
    new_bytes(py, rows, label_width.0, |out| {
        run(py, Size(1), None, |_| {
            labels::pack_labels(&columns, label_width.0, out)
        })
    })
}

#[pyfunction]
pub fn unpack_labels<'py>(
    py: Python<'py>,
    labels: Buffer,
    label_width: Size,
    fields: Size,
) -> PyResult<Vec<(Rows<'py>, Rows<'py>)>> {
    let bytes = labels.bytes();
    let columns = run(py, Size(1), None, |_| {
        labels::unpack_labels(bytes, label_width.0, fields.0)
    })?;
    let columns = columns
        .iter()
        .map(|(offsets, data)| (PyBytes::new(py, offsets), PyBytes::new(py, data)));
    Ok(columns.collect())
}

#[pyfunction]
#[pyo3(signature = (offsets, data, *, threads = Size(0)))]
pub fn normalise_ids<'py>(
    py: Python<'py>,
    offsets: Buffer,
    data: Buffer,
    threads: Size,
) -> PyResult<(Rows<'py>, Rows<'py>)> {
    let column = Column {
        offsets: offsets.rows("offsets")?,
        data: data.bytes(),
    };
    let rows = labels::label_count(&[column])?;
    let mut verdicts = None;
    let items = new_rows(py, rows, |items| {
        verdicts = Some(new_bytes(py, rows, 1, |verdicts| {
            run(py, threads, None, |job| {
                table::normalise_ids(job, column, items, verdicts)
            })
        })?);
        Ok(())
    })?;
    Ok((items, verdicts.expect("filled beside the items")))
}
