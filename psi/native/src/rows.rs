//! An edition's rows: items and labels in, tags and sealed labels out, and back.

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, Key, KeyInit, Nonce, Tag};
use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::{
    backend::CHUNK,
    error::{Error, Result},
    kdf::{
        Context, RECEIPT, ReceiptRows, TAG, derive_label_keys, derive_tags,
        derive_tags_and_label_keys, receipts,
    },
    key::SecretKey,
    oprf::evaluate_chunk,
    run::Job,
    suite::{Mode, Output},
};

const AEAD_TAG: usize = 16;

/// What a sealed label is longer than its label.
pub const SEALING: usize = RECEIPT + AEAD_TAG;

/// Receipt keys, and which of them each row uses (little-endian positions).
#[derive(Clone, Copy)]
pub struct ReceiptKeys<'a> {
    pub keys: &'a [[u8; 32]],
    pub index: &'a [[u8; 2]],
}

impl ReceiptKeys<'_> {
    /// One index for each row, each within the keys; or no keys at all.
    pub fn check(&self, rows: usize) -> Result<()> {
        if self.keys.is_empty() && self.index.is_empty() {
            return Ok(());
        }
        if self.index.len() != rows {
            return Err(Error::input(
                "there must be one receipt key index for each row",
            ));
        }
        match self
            .index
            .iter()
            .position(|index| usize::from(u16::from_le_bytes(*index)) >= self.keys.len())
        {
            Some(row) => Err(Error::input(format!(
                "row {row} names a receipt key that is not there"
            ))),
            None => Ok(()),
        }
    }

    fn key(&self, row: usize) -> &[u8] {
        &self.keys[usize::from(u16::from_le_bytes(self.index[row]))]
    }
}

/// Evaluate, derive, receipt and seal; PRF outputs and keys live for one chunk only.
/// Columns are already checked to be of one length.
pub fn encode_rows(
    job: &Job,
    key: &SecretKey,
    context: &Context,
    rows: ReceiptRows,
    receipt_keys: ReceiptKeys,
    tags: &mut [[u8; TAG]],
    sealed: &mut [u8],
) -> Result<()> {
    let sealed_width = rows.label_width + SEALING;
    let chunks = tags
        .par_chunks_mut(CHUNK)
        .zip(sealed.par_chunks_mut(CHUNK * sealed_width))
        .enumerate();
    job.for_each_chunk(chunks, |(chunk, (tags, sealed))| {
        let (start, count) = (chunk * CHUNK, tags.len());
        let rows = rows.slice(start, count);
        let mut prf = Zeroizing::new(vec![[0; 64]; count]);
        evaluate_chunk(
            job.backend,
            Mode::Voprf,
            key,
            rows.items,
            rows.width,
            &mut prf,
        )?;
        let label_keys =
            derive_tags_and_label_keys(job.backend, context, &prf, rows.versions, tags);
        let mut issued = vec![[0; RECEIPT]; count];
        if !receipt_keys.keys.is_empty() {
            receipts(
                job.backend,
                context,
                (start..start + count).map(|row| receipt_keys.key(row)),
                rows,
                &mut issued,
            )?;
        }
        for (i, row) in sealed.chunks_exact_mut(sealed_width).enumerate() {
            row[..rows.label_width]
                .copy_from_slice(&rows.labels[i * rows.label_width..][..rows.label_width]);
            row[rows.label_width..][..RECEIPT].copy_from_slice(&issued[i]);
            seal(&label_keys[i], row);
        }
        job.advance(count);
        Ok(())
    })
}

/// sealed_label = ChaCha20-Poly1305(label_key, nonce = 12 zero bytes, aad = "", label || receipt), in place.
/// The zero nonce is safe because a label key seals one plaintext only.
fn seal(label_key: &[u8; 64], row: &mut [u8]) {
    let (plain, tag) = row.split_at_mut(row.len() - AEAD_TAG);
    let made = cipher(label_key).encrypt_inout_detached(&Nonce::default(), b"", plain.into());
    tag.copy_from_slice(&made.expect("a label is far below 256 GiB"));
}

fn cipher(label_key: &[u8; 64]) -> ChaCha20Poly1305 {
    let key: &Key = label_key[..32].try_into().expect("32 of 64 bytes");
    ChaCha20Poly1305::new(key)
}

/// The tags of PRF outputs a bank got, to look up in an edition.
pub fn derive_all_tags(
    job: &Job,
    context: &Context,
    outputs: &[Output],
    tags: &mut [[u8; TAG]],
) -> Result<()> {
    job.for_each_chunk(
        outputs.par_chunks(CHUNK).zip(tags.par_chunks_mut(CHUNK)),
        |(outputs, tags)| {
            derive_tags(job.backend, context, outputs, tags);
            Ok(())
        },
    )
}

/// Rows of an edition; all columns of one length.
#[derive(Clone, Copy)]
pub struct SealedRows<'a> {
    pub sealed: &'a [u8],
    pub versions: &'a [[u8; 4]],
    pub label_width: usize,
}

/// Open the sealed label of each row under the key that `outputs[i]` and its version give.
/// `LabelInvalid` names the first that does not authenticate.
pub fn open_labels(
    job: &Job,
    context: &Context,
    outputs: &[Output],
    rows: SealedRows,
    labels: &mut [u8],
    receipts: &mut [[u8; RECEIPT]],
) -> Result<()> {
    let (width, sealed_width) = (rows.label_width, rows.label_width + SEALING);
    let chunks = labels
        .par_chunks_mut(CHUNK * width)
        .zip(receipts.par_chunks_mut(CHUNK))
        .enumerate();
    job.for_each_chunk(chunks, |(chunk, (labels, receipts))| {
        let (start, count) = (chunk * CHUNK, receipts.len());
        let (outputs, versions) = (&outputs[start..][..count], &rows.versions[start..][..count]);
        let label_keys = derive_label_keys(job.backend, context, outputs, versions);
        let mut row = Zeroizing::new(vec![0; sealed_width]);
        for i in 0..count {
            row.copy_from_slice(&rows.sealed[(start + i) * sealed_width..][..sealed_width]);
            open(&label_keys[i], &mut row).ok_or(Error::LabelInvalid { index: start + i })?;
            labels[i * width..][..width].copy_from_slice(&row[..width]);
            receipts[i].copy_from_slice(&row[width..][..RECEIPT]);
        }
        Ok(())
    })
}

fn open(label_key: &[u8; 64], row: &mut [u8]) -> Option<()> {
    let (ciphertext, tag) = row.split_at_mut(row.len() - AEAD_TAG);
    let tag: &Tag = (&*tag).try_into().ok()?;
    cipher(label_key)
        .decrypt_inout_detached(&Nonce::default(), b"", ciphertext.into(), tag)
        .ok()
}

/// Receipts of rows under one division's key, for issue and for checking.
pub fn issue_receipts(
    job: &Job,
    context: &Context,
    key: &[u8; 32],
    rows: ReceiptRows,
    out: &mut [[u8; RECEIPT]],
) -> Result<()> {
    job.for_each_chunk(out.par_chunks_mut(CHUNK).enumerate(), |(chunk, out)| {
        let rows = rows.slice(chunk * CHUNK, out.len());
        receipts(
            job.backend,
            context,
            std::iter::repeat_n(key.as_slice(), out.len()),
            rows,
            out,
        )
    })
}
