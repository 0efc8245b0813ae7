//! From a PRF output to a row: `docs/reference/protocol.md` section 2.
//!
//! All of it is HMAC-SHA-512 (RFC 2104) over equal-length messages, hashed in bulk.

use std::ops::Deref;

use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::{
    backend::{Backend, CHUNK, Text},
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
    let mut expanded = Digests::new(outputs.len());
    backend.hmac_sha512(outputs, &[fixed(&info)], &mut [expanded.as_mut()]);
    expanded.cut(tags);
}

/// label_key = HKDF-Expand(prf, "mingce/1 label" || 0x00 || context || I2OSP(row_version, 4), 32):
/// the first 32 of the 64 bytes returned for each row.
pub fn derive_label_keys(
    backend: &dyn Backend,
    context: &Context,
    outputs: &[Output],
    versions: &[[u8; 4]],
) -> Digests {
    let info = context.info("mingce/1 label");
    let versions = big_endian_each(versions);
    let mut expanded = Digests::new(outputs.len());
    let text = versioned(&info, &versions);
    backend.hmac_sha512(outputs, &[text], &mut [expanded.as_mut()]);
    expanded
}

/// [`derive_tags`] and [`derive_label_keys`] at once, which saves the hashing of each key for the second.
pub fn derive_tags_and_label_keys(
    backend: &dyn Backend,
    context: &Context,
    outputs: &[Output],
    versions: &[[u8; 4]],
    tags: &mut [[u8; TAG]],
) -> Digests {
    let infos = ["mingce/1 tag", "mingce/1 label"].map(|label| context.info(label));
    let versions = big_endian_each(versions);
    let texts = [fixed(&infos[0]), versioned(&infos[1], &versions)];
    let [mut expanded, mut label_keys] = [(); 2].map(|()| Digests::new(outputs.len()));
    backend.hmac_sha512(
        outputs,
        &texts,
        &mut [expanded.as_mut(), label_keys.as_mut()],
    );
    expanded.cut(tags);
    label_keys
}

/// HKDF-Expand's first block ends in I2OSP(1, 1).
fn fixed(info: &[u8]) -> Text<'_> {
    versioned(info, b"")
}

/// The same with four bytes a row between.
fn versioned<'a>(info: &'a [u8], versions: &'a [u8]) -> Text<'a> {
    Text {
        head: info,
        messages: versions,
        width: if versions.is_empty() { 0 } else { 4 },
        tail: &[1],
    }
}

/// One secret digest a row.
pub struct Digests(Zeroizing<Vec<[u8; 64]>>);

impl Digests {
    fn new(rows: usize) -> Self {
        Digests(Zeroizing::new(vec![[0; 64]; rows]))
    }

    fn as_mut(&mut self) -> &mut [[u8; 64]] {
        &mut self.0
    }

    /// The first bytes of each.
    fn cut<const N: usize>(&self, out: &mut [[u8; N]]) {
        for (out, digest) in out.iter_mut().zip(self.0.iter()) {
            out.copy_from_slice(&digest[..N]);
        }
    }
}

impl Deref for Digests {
    type Target = [[u8; 64]];
    fn deref(&self) -> &[[u8; 64]] {
        &self.0
    }
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
    let mut padded = Zeroizing::new(vec![[0; 64]; out.len()]);
    for (padded, key) in padded.iter_mut().zip(keys) {
        padded[..key.len()].copy_from_slice(key);
    }
    let mut digests = Digests::new(out.len());
    let text = Text {
        head: &context.info("mingce/1 receipt"),
        messages: &messages,
        width,
        tail: b"",
    };
    backend.hmac_sha512(&padded, &[text], &mut [digests.as_mut()]);
    digests.cut(out);
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

fn big_endian_each(little: &[[u8; 4]]) -> Vec<u8> {
    little.iter().flat_map(|value| big_endian(*value)).collect()
}

fn pad_key(key: &[u8], pad: u8) -> Zeroizing<[u8; BLOCK]> {
    let mut block = Zeroizing::new([pad; BLOCK]);
    block
        .iter_mut()
        .zip(key)
        .for_each(|(byte, key)| *byte ^= key);
    block
}
