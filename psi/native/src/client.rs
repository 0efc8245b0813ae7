//! The client's side of RFC 9497 section 3.3: Blind and the unblinding of Finalize.

use curve25519_dalek::scalar::Scalar;
use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::{
    backend::{BaseTable, CHUNK, Encoding, Points},
    dleq,
    error::{Batch, Error, Result},
    oprf::{DecodedBatch, Sums, bad_element, finalize_hash, refuse_identity},
    public_tables::public_table,
    run::Job,
    suite::{Mode, Output, check_batch_size, hash_to_uniform, item_count},
};

/// What the sender sends to be believed, and the pinned key it must belong to.
#[derive(Clone, Copy)]
pub struct ProofOf<'a> {
    pub public_key: &'a [u8],
    pub proof: &'a [u8],
}

/// What fixes the blinds and the padding of a batch, for a repetition. The secret is a run's,
/// the context the batch's.
#[derive(Clone, Copy)]
pub struct Seed<'a> {
    pub secret: &'a [u8; 32],
    pub context: &'a [u8],
}

/// How an input is hidden. On the wire both look the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blinding {
    /// RFC 9497 section 3.3.1: blind * H(x), undone by the inverse of the blind.
    Multiplicative,
    /// H(x) + blind * G, undone by subtracting blind * public key: one fixed-base
    /// multiplication each way. Sound only under a pinned public key, with the proof
    /// verified before unblinding and a blind for each element of its own (ePrint 2021/273),
    /// so only mode VOPRF has it.
    Additive,
}

/// The client's side of one batch: section 3.3.1 Blind and Finalize.
pub struct BlindedBatch {
    mode: Mode,
    blinding: Blinding,
    width: usize,
    items: Zeroizing<Vec<u8>>,
    blinds: Zeroizing<Vec<Scalar>>,
    blinded: Vec<Encoding>,
    /// The blinded elements as points, chunk by chunk; none after multiplicative blinding.
    points: Vec<Points>,
}

impl BlindedBatch {
    /// Blind, and pad with random elements up to `pad_to`.
    pub fn blind(
        job: &Job,
        mode: Mode,
        blinding: Blinding,
        items: &[u8],
        width: usize,
        seed: Seed,
        pad_to: usize,
    ) -> Result<BlindedBatch> {
        let count = item_count(items, width)?;
        let size = count.max(pad_to);
        check_batch_size(count)?;
        check_batch_size(size)?;
        let blinds = seeded_scalars(job, "mingce/1 blind", seed, count, items, width)?;
        let mut batch = BlindedBatch::with_blinds(job, mode, blinding, items, width, blinds)?;
        let spare = size - count;
        let padding = seeded_scalars(job, "mingce/1 padding", seed, spare, b"", 0)?;
        batch.blinded.resize(size, [0; 32]);
        let points = padding
            .par_chunks(CHUNK)
            .zip(batch.blinded[count..].par_chunks_mut(CHUNK))
            .map(|(scalars, out)| {
                job.check()?;
                let generator = job.backend.generator();
                Ok(job.backend.mul_base_encode(scalars, generator, out))
            });
        let points: Result<Vec<Points>> = points.collect();
        match blinding {
            Blinding::Multiplicative => {}
            Blinding::Additive => batch.points.extend(points?),
        }
        Ok(batch)
    }

    /// Dangerous: a blind that is known or used twice reveals its item.
    pub fn with_blinds(
        job: &Job,
        mode: Mode,
        blinding: Blinding,
        items: &[u8],
        width: usize,
        blinds: Zeroizing<Vec<Scalar>>,
    ) -> Result<BlindedBatch> {
        if (mode, blinding) == (Mode::Oprf, Blinding::Additive) {
            return Err(Error::input("additive blinding needs a proof: mode VOPRF"));
        }
        let count = item_count(items, width)?;
        check_batch_size(count)?;
        if blinds.len() != count {
            return Err(Error::input("there must be one blind for each item"));
        }
        let mut blinded = vec![[0; 32]; count];
        let mut points: Vec<Option<Points>> = (0..count.div_ceil(CHUNK)).map(|_| None).collect();
        let chunks = items
            .par_chunks(width * CHUNK)
            .zip(blinds.par_chunks(CHUNK))
            .zip(blinded.par_chunks_mut(CHUNK))
            .zip(points.par_iter_mut());
        job.for_each_chunk(chunks, |(((items, blinds), out), points)| {
            let uniform = hash_to_uniform(job.backend, mode, items, width);
            match blinding {
                Blinding::Multiplicative => {
                    job.backend.hash_mul_each_encode(&uniform, blinds, out);
                }
                Blinding::Additive => {
                    *points = Some(job.backend.hash_add_base_encode(&uniform, blinds, out));
                }
            }
            job.advance(out.len());
            refuse_identity(out)
        })?;
        Ok(BlindedBatch {
            mode,
            blinding,
            width,
            items: Zeroizing::new(items.to_vec()),
            blinds,
            blinded,
            points: points.into_iter().flatten().collect(),
        })
    }

    /// The number of items, without the padding.
    pub fn count(&self) -> usize {
        self.blinds.len()
    }

    pub fn blinded_elements(&self) -> &[Encoding] {
        &self.blinded
    }

    /// Section 3.3.2 Finalize (3.3.1 in mode OPRF, which has no proof): nothing is unblinded
    /// before the proof over the whole batch, padding included, has been verified. `out`
    /// holds [`count`](Self::count) outputs.
    pub fn finalize(
        &self,
        job: &Job,
        evaluated: &[Encoding],
        proof: Option<ProofOf>,
        out: &mut [Output],
    ) -> Result<()> {
        if evaluated.len() != self.blinded.len() {
            return Err(Error::input(
                "there must be one evaluated element for each blinded one",
            ));
        }
        match (self.mode, proof) {
            (Mode::Oprf, None) => self.unblind(job, evaluated, out),
            (Mode::Voprf, Some(ProofOf { public_key, proof })) => {
                let decoded = match self.blinding {
                    Blinding::Multiplicative => None,
                    Blinding::Additive => Some(DecodedBatch::from_chunks(&self.points, Sums::Two)),
                };
                let verified = dleq::verify_proof(
                    job,
                    self.mode,
                    public_key,
                    &self.blinded,
                    decoded.as_ref(),
                    evaluated,
                    proof,
                )?;
                match self.blinding {
                    Blinding::Multiplicative => self.unblind(job, evaluated, out),
                    Blinding::Additive => {
                        let (encoding, point) = dleq::decode_public_key(public_key)?;
                        let table = public_table(job.backend, &encoding, &point);
                        self.unblind_verified(job, &verified, &table, out)
                    }
                }
            }
            _ => Err(Error::input("mode VOPRF takes a proof, mode OPRF none")),
        }
    }

    /// unblindedElement = G.ScalarInverse(blind) * evaluatedElement, then the hash.
    fn unblind(&self, job: &Job, evaluated: &[Encoding], out: &mut [Output]) -> Result<()> {
        let chunks = self
            .items
            .par_chunks(self.width * CHUNK)
            .zip(self.blinds.par_chunks(CHUNK))
            .zip(evaluated[..self.count()].par_chunks(CHUNK))
            .zip(out.par_chunks_mut(CHUNK))
            .enumerate();
        job.for_each_chunk(chunks, |(chunk, (((items, blinds), evaluated), out))| {
            let mut inverses = Zeroizing::new(blinds.to_vec());
            Scalar::invert_batch_alloc(&mut inverses);
            let mut elements = Zeroizing::new(vec![[0; 32]; out.len()]);
            job.backend
                .decode_mul_each_encode(evaluated, &inverses, &mut elements)
                .map_err(|bad| bad_element(Batch::Evaluated, chunk, bad.0))?;
            finalize_hash(job.backend, items, self.width, &elements, out);
            job.advance(out.len());
            Ok(())
        })
    }

    /// unblindedElement = evaluatedElement - blind * public key, then the hash. The type of
    /// `verified` says that the proof was verified first.
    fn unblind_verified(
        &self,
        job: &Job,
        verified: &DecodedBatch,
        public_key: &BaseTable,
        out: &mut [Output],
    ) -> Result<()> {
        let chunks = self
            .items
            .par_chunks(self.width * CHUNK)
            .zip(self.blinds.par_chunks(CHUNK))
            .zip(out.par_chunks_mut(CHUNK))
            .enumerate();
        job.for_each_chunk(chunks, |(chunk, ((items, blinds), out))| {
            let mut elements = Zeroizing::new(vec![[0; 32]; out.len()]);
            let (points, start) = verified.place(chunk * CHUNK);
            job.backend
                .points_sub_base_encode(points, start, blinds, public_key, &mut elements);
            refuse_identity(&elements)?; // additive blinding hides such an input until here
            finalize_hash(job.backend, items, self.width, &elements, out);
            job.advance(out.len());
            Ok(())
        })
    }
}

/// Blinds and padding from a seed, so that a batch can be made again after a break and
/// single positions opened to an auditor:
///
/// scalar i = SHA-512(label || 0x00 || I2OSP(len(context), 2) || context || seed || I2OSP(i, 8) || item i),
/// little-endian, modulo the order.
///
/// The item is hashed in so that a seed used again by mistake, for other items, still
/// gives blinds of their own: a blind shared by two items would tie them together.
fn seeded_scalars(
    job: &Job,
    label: &str,
    seed: Seed,
    count: usize,
    items: &[u8],
    width: usize,
) -> Result<Zeroizing<Vec<Scalar>>> {
    let Seed { secret, context } = seed;
    let length = u16::try_from(context.len())
        .map_err(|_| Error::input("a context is at most 65,535 bytes"))?
        .to_be_bytes();
    let prefix = Zeroizing::new([label.as_bytes(), &[0], &length, context, secret].concat());
    let mut scalars = Zeroizing::new(vec![Scalar::ZERO; count]);
    job.for_each_chunk(scalars.par_chunks_mut(CHUNK).enumerate(), |(chunk, out)| {
        let mut messages = Zeroizing::new(Vec::with_capacity(out.len() * (8 + width)));
        for i in chunk * CHUNK..chunk * CHUNK + out.len() {
            messages.extend_from_slice(&(i as u64).to_be_bytes());
            messages.extend_from_slice(&items[i * width..(i + 1) * width]);
        }
        let mut uniform = Zeroizing::new([[0; 64]; CHUNK]);
        let uniform = &mut uniform[..out.len()];
        job.backend
            .sha512(&prefix, &messages, 8 + width, b"", uniform);
        for (scalar, bytes) in out.iter_mut().zip(uniform) {
            *scalar = Scalar::from_bytes_mod_order_wide(bytes);
        }
        Ok(())
    })?;
    if scalars.contains(&Scalar::ZERO) {
        return Err(Error::input("the seed gives a zero blind: take another"));
    }
    Ok(scalars)
}
