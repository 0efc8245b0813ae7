//! Labels of schema `fields/1`: `docs/reference/protocol.md` section 2.
//!
//! For each field one length byte and that many bytes of UTF-8, then zeros up to the width.

use crate::error::{Error, Result};

/// The widest label there is.
const MAX_WIDTH: usize = 65_535;

pub fn check_width(label_width: usize) -> Result<()> {
    if (1..=MAX_WIDTH).contains(&label_width) {
        Ok(())
    } else {
        Err(Error::input("a label is 1 to 65,535 bytes wide"))
    }
}

/// One Arrow string column: n + 1 little-endian int32 offsets into UTF-8 data.
#[derive(Clone, Copy)]
pub struct Column<'a> {
    pub offsets: &'a [[u8; 4]],
    pub data: &'a [u8],
}

impl<'a> Column<'a> {
    fn rows(&self) -> Result<usize> {
        self.offsets
            .len()
            .checked_sub(1)
            .ok_or_else(|| Error::input("a string column has n + 1 offsets"))
    }

    fn field(&self, row: usize) -> Option<&'a [u8]> {
        let offset = |i: usize| usize::try_from(i32::from_le_bytes(self.offsets[i])).ok();
        self.data.get(offset(row)?..offset(row + 1)?)
    }
}

/// The number of labels `columns` hold; all columns must be of one length.
pub fn label_count(columns: &[Column]) -> Result<usize> {
    let Some(first) = columns.first() else {
        return Err(Error::input("a label has at least one field"));
    };
    let rows = first.rows()?;
    for (number, column) in columns.iter().enumerate() {
        if column.rows()? != rows {
            return Err(Error::input(format!(
                "column {number} is not as long as column 0"
            )));
        }
    }
    Ok(rows)
}

/// `out` is `label_count` labels of `label_width` zero bytes.
pub fn pack_labels(columns: &[Column], label_width: usize, out: &mut [u8]) -> Result<()> {
    check_width(label_width)?;
    for (row, label) in out.chunks_exact_mut(label_width).enumerate() {
        let mut rest = label;
        for (number, column) in columns.iter().enumerate() {
            let refused = |why: &str| Error::input(format!("row {row}, column {number}: {why}"));
            let field = column
                .field(row)
                .ok_or_else(|| refused("the offsets leave the data"))?;
            std::str::from_utf8(field).map_err(|_| refused("not UTF-8"))?;
            let length = u8::try_from(field.len()).map_err(|_| refused("longer than 255 bytes"))?;
            let Some((place, after)) = rest.split_at_mut_checked(1 + field.len()) else {
                return Err(refused("the label is wider than its dataset allows"));
            };
            place[0] = length;
            place[1..].copy_from_slice(field);
            rest = after;
        }
    }
    Ok(())
}

/// Offsets and data of each of `fields` string columns. Refuses a field that runs past the
/// width, one that is not UTF-8, and any non-zero byte after the last field.
pub fn unpack_labels(
    labels: &[u8],
    label_width: usize,
    fields: usize,
) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    check_width(label_width)?;
    if fields == 0 || fields > label_width {
        return Err(Error::input(
            "a label has at least one field and one byte for each",
        ));
    }
    if !labels.len().is_multiple_of(label_width) {
        return Err(Error::input("the labels are not a whole number of widths"));
    }
    let rows = labels.len() / label_width;
    let mut columns: Vec<(Vec<u8>, Vec<u8>)> = (0..fields)
        .map(|_| (Vec::with_capacity(4 * (rows + 1)), Vec::new()))
        .collect();
    columns
        .iter_mut()
        .for_each(|(offsets, _)| offsets.extend_from_slice(&0i32.to_le_bytes()));
    for (row, label) in labels.chunks_exact(label_width).enumerate() {
        let refused = |why: &str| Error::input(format!("label {row}: {why}"));
        let mut rest = label;
        for (offsets, data) in &mut columns {
            let (&length, after) = rest
                .split_first()
                .ok_or_else(|| refused("a field is missing"))?;
            let (field, after) = after
                .split_at_checked(length.into())
                .ok_or_else(|| refused("a field runs past the width"))?;
            std::str::from_utf8(field).map_err(|_| refused("a field is not UTF-8"))?;
            data.extend_from_slice(field);
            let end =
                i32::try_from(data.len()).map_err(|_| refused("a column of more than 2 GiB"))?;
            offsets.extend_from_slice(&end.to_le_bytes());
            rest = after;
        }
        if rest.iter().any(|byte| *byte != 0) {
            return Err(refused("bytes after the last field"));
        }
    }
    Ok(columns)
}
