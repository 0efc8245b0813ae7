//! The batched DLEQ proof: RFC 9497 section 2.2, with A = G and B = the public key.

use curve25519_dalek::{ristretto::RistrettoPoint, scalar::Scalar};
use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::{
    backend::{Backend, CHUNK, Encoding, decode_element},
    error::{Batch, Error, Result},
    key::SecretKey,
    oprf::{DecodedBatch, Sums},
    run::Job,
    suite::{Mode, check_batch_size, expand_message_xmd, hash_to_scalar, sha512},
};

/// c || s, each SerializeScalar.
pub type Proof = [u8; 64];

const LENGTH: [u8; 2] = 32u16.to_be_bytes();

/// Section 2.2.1 GenerateProof; `decoded` are the blinded elements as points. `randomness` is the
/// scalar r of a test vector.
pub fn generate_proof(
    job: &Job,
    mode: Mode,
    key: &SecretKey,
    blinded: &[Encoding],
    decoded: &DecodedBatch,
    evaluated: &[Encoding],
    randomness: Option<Scalar>,
) -> Result<Proof> {
    let weights = composite_weights(job, mode, key.public_key(), blinded, evaluated)?;
    // ComputeCompositesFast: M = sum d_i * C_i, Z = k * M
    let m = decoded.weighted_sum(job, &weights)?;
    let k = key.prepared().scalar();
    let z = k * m;
    let [m_bytes, z_bytes] = [m, z].map(|point| point.compress().to_bytes());
    let r = Zeroizing::new(match randomness {
        Some(r) => r,
        None => derive_nonce(mode, key, &m_bytes, &z_bytes),
    });
    let t2 = RistrettoPoint::mul_base(&r);
    let t3 = *r * m;
    let c = challenge(
        job.backend,
        mode,
        key.public_key(),
        &m_bytes,
        &z_bytes,
        &t2,
        &t3,
    );
    let s = *r - c * k;
    Ok(encode_proof(&c, &s))
}

/// The scalar r without a random source, so that the same request gives the same bytes:
///
/// r = SHA-512("mingce/1 proof nonce" || 0x00 || k || contextString || Bm || a0 || a1) mod order
///
/// A DLEQ proof leaks k only if one r serves two different challenges. The challenge
/// hashes the public key Bm, the composites a0 and a1, and r*G and r*M, under a tag that
/// holds contextString. All of these are fixed by the hashed input above, so whoever gets
/// the same r gets the same challenge and the same proof; and without k the r of any
/// batch is unpredictable.
fn derive_nonce(mode: Mode, key: &SecretKey, m: &Encoding, z: &Encoding) -> Scalar {
    let k = key.expose_bytes();
    let uniform = Zeroizing::new(sha512(&[
        b"mingce/1 proof nonce\0",
        k.as_slice(),
        &mode.context_string(),
        key.public_key(),
        m,
        z,
    ]));
    Scalar::from_bytes_mod_order_wide(&uniform)
}

/// Section 2.2.2 VerifyProof. `ProofInvalid` unless the same k that gave the public key
/// took every blinded element to its evaluated one. `decoded` are the blinded elements as points,
/// where they are known. Returns the evaluated elements, decoded.
pub fn verify_proof(
    job: &Job,
    mode: Mode,
    public_key: &[u8],
    blinded: &[Encoding],
    decoded: Option<&DecodedBatch>,
    evaluated: &[Encoding],
    proof: &[u8],
) -> Result<DecodedBatch> {
    check_batch_size(blinded.len())?;
    if evaluated.len() != blinded.len() {
        return Err(Error::input(
            "there must be one evaluated element for each blinded one",
        ));
    }
    let (pk_bytes, pk) = decode_public_key(public_key)?;
    let (c, s) = decode_proof(proof)?;
    let weights = composite_weights(job, mode, &pk_bytes, blinded, evaluated)?;
    // ComputeComposites: M = sum d_i * C_i, Z = sum d_i * D_i
    let own;
    let blinded = match decoded {
        Some(points) => points,
        None => {
            own = DecodedBatch::decode(job, Batch::Blinded, blinded, Sums::Two)?;
            &own
        }
    };
    let evaluated = DecodedBatch::decode(job, Batch::Evaluated, evaluated, Sums::Two)?;
    let (m, z) = rayon::join(
        || blinded.weighted_sum(job, &weights),
        || evaluated.weighted_sum(job, &weights),
    );
    let (m, z) = (m?, z?);
    // t2 = s*A + c*B, t3 = s*M + c*Z; all public
    let t2 = RistrettoPoint::vartime_double_scalar_mul_basepoint(&c, &pk, &s);
    let t3 = s * m + c * z;
    let [m_bytes, z_bytes] = [m, z].map(|point| point.compress().to_bytes());
    if challenge(job.backend, mode, &pk_bytes, &m_bytes, &z_bytes, &t2, &t3) == c {
        Ok(evaluated)
    } else {
        Err(Error::ProofInvalid)
    }
}

pub fn decode_public_key(encoded: &[u8]) -> Result<(Encoding, RistrettoPoint)> {
    let refused = Error::BadElement {
        batch: Batch::PublicKey,
        index: 0,
    };
    let Ok(bytes) = Encoding::try_from(encoded) else {
        return Err(refused);
    };
    decode_element(&bytes)
        .map(|point| (bytes, point))
        .ok_or(refused)
}

/// Both scalars canonical; a zero is as good as any here, the equation decides.
fn decode_proof(proof: &[u8]) -> Result<(Scalar, Scalar)> {
    let (halves, []) = proof.as_chunks::<32>() else {
        return Err(Error::ProofInvalid);
    };
    let [c, s] = halves else {
        return Err(Error::ProofInvalid);
    };
    let scalar = |bytes: &[u8; 32]| Option::<Scalar>::from(Scalar::from_canonical_bytes(*bytes));
    scalar(c).zip(scalar(s)).ok_or(Error::ProofInvalid)
}

fn encode_proof(c: &Scalar, s: &Scalar) -> Proof {
    let mut proof = [0; 64];
    proof[..32].copy_from_slice(c.as_bytes());
    proof[32..].copy_from_slice(s.as_bytes());
    proof
}

/// The weights d_i of section 2.2.1 ComputeComposites:
///
/// seed = SHA-512(I2OSP(len(Bm), 2) || Bm || I2OSP(len(seedDST), 2) || seedDST), seedDST = "Seed-" || contextString
/// d_i = HashToScalar(I2OSP(len(seed), 2) || seed || I2OSP(i, 2) || I2OSP(len(Ci), 2) || Ci
///                    || I2OSP(len(Di), 2) || Di || "Composite")
fn composite_weights(
    job: &Job,
    mode: Mode,
    public_key: &Encoding,
    blinded: &[Encoding],
    evaluated: &[Encoding],
) -> Result<Vec<Scalar>> {
    let seed_dst = mode.tag("Seed-");
    let seed = sha512(&[
        &LENGTH,
        public_key,
        &(seed_dst.len() as u16).to_be_bytes(),
        &seed_dst,
    ]);
    let head = [64u16.to_be_bytes().as_slice(), &seed].concat();
    let dst = mode.tag("HashToScalar-");
    let mut weights = vec![Scalar::ZERO; blinded.len()];
    let chunks = blinded
        .par_chunks(CHUNK)
        .zip(evaluated.par_chunks(CHUNK))
        .zip(weights.par_chunks_mut(CHUNK))
        .enumerate();
    job.for_each_chunk(chunks, |(chunk, ((blinded, evaluated), weights))| {
        let mut messages = Vec::with_capacity(weights.len() * 70);
        for (i, (c_i, d_i)) in blinded.iter().zip(evaluated).enumerate() {
            let position = u16::try_from(chunk * CHUNK + i).expect("a batch holds at most 65,535");
            messages.extend_from_slice(&position.to_be_bytes());
            messages.extend_from_slice(&LENGTH);
            messages.extend_from_slice(c_i);
            messages.extend_from_slice(&LENGTH);
            messages.extend_from_slice(d_i);
        }
        let mut uniform = [[0; 64]; CHUNK];
        let uniform = &mut uniform[..weights.len()];
        expand_message_xmd(
            job.backend,
            &head,
            &messages,
            70,
            b"Composite",
            &dst,
            uniform,
        );
        for (weight, bytes) in weights.iter_mut().zip(uniform) {
            *weight = Scalar::from_bytes_mod_order_wide(bytes);
        }
        Ok(())
    })?;
    Ok(weights)
}

/// c = HashToScalar(I2OSP(len(Bm), 2) || Bm || I2OSP(len(a0), 2) || a0 || … || a3 || "Challenge")
/// with a0..a3 = M, Z, t2, t3.
fn challenge(
    backend: &dyn Backend,
    mode: Mode,
    public_key: &Encoding,
    m: &Encoding,
    z: &Encoding,
    t2: &RistrettoPoint,
    t3: &RistrettoPoint,
) -> Scalar {
    let [a2, a3] = [t2, t3].map(|point| point.compress().to_bytes());
    let mut transcript = Vec::with_capacity(5 * 34 + 9);
    for part in [public_key, m, z, &a2, &a3] {
        transcript.extend_from_slice(&LENGTH);
        transcript.extend_from_slice(part);
    }
    transcript.extend_from_slice(b"Challenge");
    hash_to_scalar(backend, mode, &transcript)
}
