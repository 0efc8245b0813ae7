//! RFC 9497 section 3.3: Evaluate and BlindEvaluate, and the hash that ends Finalize.
//!
//! Each step works on a chunk of equal-length inputs; the whole-batch functions spread
//! chunks over the cores.

use curve25519_dalek::{ristretto::RistrettoPoint, scalar::Scalar};
use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::{
    backend::{Backend, CHUNK, Encoding, Points},
    error::{Batch, Error, Result},
    key::SecretKey,
    run::Job,
    suite::{Mode, Output, hash_to_uniform},
};

/// Sections 3.3.1 and 3.3.2: an input that hashes to the identity is refused
/// (InvalidInputError). A non-zero multiple is the identity just then.
pub fn refuse_identity(elements: &[Encoding]) -> Result<()> {
    if elements.contains(&[0; 32]) {
        Err(Error::input("an input hashes to the identity"))
    } else {
        Ok(())
    }
}

/// The hash at the end of Finalize and Evaluate:
/// SHA-512(I2OSP(len(input), 2) || input || I2OSP(len(element), 2) || element || "Finalize")
pub fn finalize_hash(
    backend: &dyn Backend,
    items: &[u8],
    width: usize,
    elements: &[Encoding],
    out: &mut [Output],
) {
    let input_length = u16::try_from(width)
        .expect("checked by item_count")
        .to_be_bytes();
    let element_length = 32u16.to_be_bytes();
    let row = width + 2 + 32;
    let mut messages = Zeroizing::new(vec![0; row * elements.len()]);
    for ((message, item), element) in messages
        .chunks_exact_mut(row)
        .zip(items.chunks_exact(width))
        .zip(elements)
    {
        message[..width].copy_from_slice(item);
        message[width..width + 2].copy_from_slice(&element_length);
        message[width + 2..].copy_from_slice(element);
    }
    backend.sha512(&input_length, &messages, row, b"Finalize", out);
}

/// Section 3.3.1 Evaluate for at most [`CHUNK`] inputs.
pub fn evaluate_chunk(
    backend: &dyn Backend,
    mode: Mode,
    key: &SecretKey,
    items: &[u8],
    width: usize,
    out: &mut [Output],
) -> Result<()> {
    let uniform = hash_to_uniform(backend, mode, items, width);
    let mut elements = Zeroizing::new(vec![[0; 32]; out.len()]);
    backend.hash_mul_encode(&uniform, key.prepared(), &mut elements);
    refuse_identity(&elements)?;
    finalize_hash(backend, items, width, &elements, out);
    Ok(())
}

/// Section 3.3.1 Evaluate for any number of inputs; `out` holds one output for each.
pub fn evaluate(
    job: &Job,
    mode: Mode,
    key: &SecretKey,
    items: &[u8],
    width: usize,
    out: &mut [Output],
) -> Result<()> {
    let chunks = items
        .par_chunks(width * CHUNK)
        .zip(out.par_chunks_mut(CHUNK));
    job.for_each_chunk(chunks, |(items, out)| {
        evaluate_chunk(job.backend, mode, key, items, width, out)?;
        job.advance(out.len());
        Ok(())
    })
}

/// A whole batch as points, in one piece for each core: the larger a piece, the cheaper
/// each of its points in a multi-scalar multiplication.
pub struct DecodedBatch {
    pieces: Vec<Points>,
    piece: usize,
}

/// How many weighted sums are computed side by side: each then has its share of the cores.
#[derive(Clone, Copy)]
pub enum Sums {
    /// A sender's composite M.
    One = 1,
    /// A receiver's M and Z.
    Two = 2,
}

/// Whole chunks, as many as are a core's share.
fn piece_of(elements: usize, sums: Sums) -> usize {
    let cores = rayon::current_num_threads().div_ceil(sums as usize);
    let share = elements.div_ceil(cores);
    share.next_multiple_of(CHUNK).max(CHUNK)
}

impl DecodedBatch {
    /// A batch whose points are known, chunk by chunk: those that encoded it need not decode it.
    pub fn from_chunks(chunks: &[Points], sums: Sums) -> DecodedBatch {
        let piece = piece_of(chunks.iter().map(Points::len).sum(), sums);
        let pieces = chunks.par_chunks(piece / CHUNK).map(Points::join).collect();
        DecodedBatch { pieces, piece }
    }

    /// Section 2.1 DeserializeElement; the error names the first element that does not decode.
    pub fn decode(
        job: &Job,
        batch: Batch,
        elements: &[Encoding],
        sums: Sums,
    ) -> Result<DecodedBatch> {
        let chunks: Vec<Result<Points>> = elements
            .par_chunks(CHUNK)
            .enumerate()
            .map(|(i, elements)| {
                job.check()?;
                job.backend
                    .decode(elements)
                    .map_err(|bad| Error::BadElement {
                        batch,
                        index: i * CHUNK + bad.0,
                    })
            })
            .collect();
        let chunks: Vec<Points> = chunks.into_iter().collect::<Result<_>>()?;
        Ok(DecodedBatch::from_chunks(&chunks, sums))
    }

    /// The sum of `weights[i] * element[i]`; all public.
    pub fn weighted_sum(&self, job: &Job, weights: &[Scalar]) -> Result<RistrettoPoint> {
        let mut rest = weights;
        let shares: Vec<(&Points, &[Scalar])> = self
            .pieces
            .iter()
            .map(|points| {
                let (share, after) = rest.split_at(points.len());
                rest = after;
                (points, share)
            })
            .collect();
        let sums: Vec<Result<RistrettoPoint>> = shares
            .into_par_iter()
            .map(|(points, weights)| {
                job.check()?;
                Ok(job.backend.msm(points, weights))
            })
            .collect();
        sums.into_iter().sum()
    }

    /// The piece that element `start` is in, and its place there. `start` is a multiple of
    /// [`CHUNK`], and so a whole chunk from there on lies in the same piece.
    pub fn place(&self, start: usize) -> (&Points, usize) {
        (&self.pieces[start / self.piece], start % self.piece)
    }
}

pub fn bad_element(batch: Batch, chunk: usize, index: usize) -> Error {
    Error::BadElement {
        batch,
        index: chunk * CHUNK + index,
    }
}

/// The element part of sections 3.3.1 and 3.3.2 BlindEvaluate: `out[i] = k * blinded[i]`.
/// On an error `out` is to be thrown away whole.
pub fn blind_evaluate(
    job: &Job,
    key: &SecretKey,
    blinded: &[Encoding],
    out: &mut [Encoding],
) -> Result<()> {
    let chunks = blinded
        .par_chunks(CHUNK)
        .zip(out.par_chunks_mut(CHUNK))
        .enumerate();
    job.for_each_chunk(chunks, |(chunk, (blinded, out))| {
        job.backend
            .decode_mul_encode(blinded, key.prepared(), out)
            .map_err(|bad| bad_element(Batch::Blinded, chunk, bad.0))?;
        job.advance(out.len());
        Ok(())
    })
}

/// The same for a batch that is decoded already.
pub fn blind_evaluate_decoded(
    job: &Job,
    key: &SecretKey,
    blinded: &DecodedBatch,
    out: &mut [Encoding],
) -> Result<()> {
    job.for_each_chunk(out.par_chunks_mut(CHUNK).enumerate(), |(chunk, out)| {
        let (points, start) = blinded.place(chunk * CHUNK);
        job.backend
            .points_mul_encode(points, start, key.prepared(), out);
        job.advance(out.len());
        Ok(())
    })
}
