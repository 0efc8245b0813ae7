//! From a PRF output to a row: `docs/reference/protocol.md` section 2.
//!
//! All of it is HMAC-SHA-512 (RFC 2104) over equal-length messages, hashed in bulk.

use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::{
    backend::{Backend, CHUNK},
    error::{Error, Result},
    run::Job,
    suite::Output,
};

pub const TAG: usize = 16;
pub const RECEIPT: usize = 16;

/// SHA-512's block: HMAC pads its key to it.
const BLOCK: usize = 128;

/// Which dataset and epoch rows belong to:
/// context = I2OSP(len(dataset), 1) || dataset || I2OSP(len(epoch), 1) || epoch
pub struct Context(Vec<u8>);

impl Context {
    pub fn new(dataset: &str, epoch: &str) -> Result<Context> {
        let mut context = Vec::new();
        for (name, text) in [("dataset", dataset), ("epoch", epoch)] {
            let allowed = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte)
            };
            if !(1..=63).contains(&text.len()) || !text.bytes().all(allowed) {
                return Err(Error::input(format!(
                    "the {name} is 1 to 63 characters of [a-z0-9._-]"
                )));
            }
            context.push(text.len() as u8);
            context.extend_from_slice(text.as_bytes());
        }
        Ok(Context(context))
    }

    /// label || 0x00 || context
    fn info(&self, label: &str) -> Vec<u8> {
        [label.as_bytes(), &[0], &self.0].concat()
    }
}

/// tag = HKDF-Expand(prf, "mingce/1 tag" || 0x00 || context, 16)
pub fn derive_tags(
    backend: &dyn Backend,
    context: &Context,
    outputs: &[Output],
    tags: &mut [[u8; TAG]],
) {
    let info = context.info("mingce/1 tag");
    let mut expanded = Zeroizing::new(vec![[0; 64]; outputs.len()]);
    hmac_each(
        backend,
        outputs.iter().map(|prf| prf.as_slice()),
        &info,
        b"",
        0,
        &[1],
        &mut expanded,
    );
    for (tag, bytes) in tags.iter_mut().zip(expanded.iter()) {
        tag.copy_from_slice(&bytes[..TAG]);
    }
}

/// label_key = HKDF-Expand(prf, "mingce/1 label" || 0x00 || context || I2OSP(row_version, 4), 32):
/// the first 32 of the 64 bytes returned for each row.
pub fn derive_label_keys(
    backend: &dyn Backend,
    context: &Context,
    outputs: &[Output],
    versions: &[[u8; 4]],
) -> Zeroizing<Vec<[u8; 64]>> {
    let info = context.info("mingce/1 label");
    let messages: Vec<u8> = versions
        .iter()
        .flat_map(|version| big_endian(*version))
        .collect();
    let mut expanded = Zeroizing::new(vec![[0; 64]; outputs.len()]);
    hmac_each(
        backend,
        outputs.iter().map(|prf| prf.as_slice()),
        &info,
        &messages,
        4,
        &[1],
        &mut expanded,
    );
    expanded
}

/// The columns a receipt is made over; all of one length in rows.
#[derive(Clone, Copy)]
pub struct ReceiptRows<'a> {
    pub items: &'a [u8],
    pub width: usize,
    pub versions: &'a [[u8; 4]],
    pub labels: &'a [u8],
    pub label_width: usize,
}

impl ReceiptRows<'_> {
    pub fn slice(&self, start: usize, count: usize) -> Self {
        ReceiptRows {
            items: &self.items[start * self.width..][..count * self.width],
            versions: &self.versions[start..][..count],
            labels: &self.labels[start * self.label_width..][..count * self.label_width],
            ..*self
        }
    }
}

/// receipt = first 16 bytes of HMAC-SHA-512(receipt_key, "mingce/1 receipt" || 0x00 || context
///           || I2OSP(row_version, 4) || I2OSP(len(item), 1) || item || label)
pub fn receipts<'k>(
    backend: &dyn Backend,
    context: &Context,
    keys: impl Iterator<Item = &'k [u8]>,
    rows: ReceiptRows,
    out: &mut [[u8; RECEIPT]],
) -> Result<()> {
    let item_length = u8::try_from(rows.width)
        .map_err(|_| Error::input("an item with a receipt is at most 255 bytes"))?;
    let width = 4 + 1 + rows.width + rows.label_width;
    let mut messages = Zeroizing::new(Vec::with_capacity(width * out.len()));
    for (i, version) in rows.versions.iter().enumerate() {
        messages.extend_from_slice(&big_endian(*version));
        messages.push(item_length);
        messages.extend_from_slice(&rows.items[i * rows.width..][..rows.width]);
        messages.extend_from_slice(&rows.labels[i * rows.label_width..][..rows.label_width]);
    }
    let mut digests = Zeroizing::new(vec![[0; 64]; out.len()]);
    hmac_each(
        backend,
        keys,
        &context.info("mingce/1 receipt"),
        &messages,
        width,
        b"",
        &mut digests,
    );
    for (receipt, digest) in out.iter_mut().zip(digests.iter()) {
        receipt.copy_from_slice(&digest[..RECEIPT]);
    }
    Ok(())
}

/// HMAC-SHA-512(key, item) cut to 16 bytes, for each item.
pub fn keyed_references(
    job: &Job,
    key: &[u8; 32],
    items: &[u8],
    width: usize,
    out: &mut [[u8; 16]],
) -> Result<()> {
    let (inner_key, outer_key) = (pad_key(key, 0x36), pad_key(key, 0x5c));
    job.for_each_chunk(
        items
            .par_chunks(width * CHUNK)
            .zip(out.par_chunks_mut(CHUNK)),
        |(items, out)| {
            let mut digests = Zeroizing::new([[0; 64]; CHUNK]);
            let digests = &mut digests[..out.len()];
            job.backend
                .sha512(inner_key.as_slice(), items, width, b"", digests);
            let inner = Zeroizing::new(digests.as_flattened().to_vec());
            job.backend
                .sha512(outer_key.as_slice(), &inner, 64, b"", digests);
            out.iter_mut()
                .zip(digests)
                .for_each(|(reference, digest)| reference.copy_from_slice(&digest[..16]));
            Ok(())
        },
    )
}

/// Columns hold little-endian numbers, hashed inputs I2OSP.
fn big_endian(little: [u8; 4]) -> [u8; 4] {
    u32::from_le_bytes(little).to_be_bytes()
}

fn pad_key(key: &[u8], pad: u8) -> Zeroizing<[u8; BLOCK]> {
    let mut block = Zeroizing::new([pad; BLOCK]);
    block
        .iter_mut()
        .zip(key)
        .for_each(|(byte, key)| *byte ^= key);
    block
}

/// out[i] = HMAC-SHA-512(keys[i], head || messages[i] || tail), the keys at most a block long:
/// H((key ^ opad) || H((key ^ ipad) || text))
fn hmac_each<'k>(
    backend: &dyn Backend,
    keys: impl Iterator<Item = &'k [u8]>,
    head: &[u8],
    messages: &[u8],
    width: usize,
    tail: &[u8],
    out: &mut [[u8; 64]],
) {
    let (inner_row, outer_row) = (BLOCK + head.len() + width, BLOCK + 64);
    let mut inner = Zeroizing::new(Vec::with_capacity(inner_row * out.len()));
    let mut outer = Zeroizing::new(Vec::with_capacity(outer_row * out.len()));
    for (i, key) in keys.enumerate() {
        inner.extend_from_slice(&*pad_key(key, 0x36));
        inner.extend_from_slice(head);
        inner.extend_from_slice(&messages[i * width..(i + 1) * width]);
        outer.extend_from_slice(&*pad_key(key, 0x5c));
        outer.extend_from_slice(&[0; 64]);
    }
    backend.sha512(b"", &inner, inner_row, tail, out);
    for (row, digest) in outer.chunks_exact_mut(outer_row).zip(out.iter()) {
        row[BLOCK..].copy_from_slice(digest);
    }
    backend.sha512(b"", &outer, outer_row, b"", out);
}
