//! The start-up check of a backend against curve25519-dalek, on points that differ every time.

use super::{Backend, BackendError, Encoding, Portable, PreparedScalar, Text};
use curve25519_dalek::Scalar;
use sha2::{Digest, Sha512};
use std::time::{SystemTime, UNIX_EPOCH};

/// More than one block of the widest backend, and not a multiple of any lane count.
const COUNT: usize = 37;

/// Not secret, only different from start to start.
fn seed() -> [u8; 64] {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_nanos());
    Sha512::new()
        .chain_update(b"mingce self-check")
        .chain_update(now.to_le_bytes())
        .chain_update(std::process::id().to_le_bytes())
        .finalize()
        .into()
}

/// Runs every operation on random inputs and on the edge scalars 0, 1 and l - 1.
pub fn self_check(backend: &dyn Backend) -> Result<(), BackendError> {
    let reference = Portable::new();
    let fail = |operation| {
        Err(BackendError::SelfCheck {
            backend: backend.name(),
            operation,
        })
    };

    let seed = seed();
    let messages: Vec<u8> = (0..COUNT as u64).flat_map(u64::to_le_bytes).collect();
    let (mut uniform, mut again) = (vec![[0u8; 64]; COUNT], vec![[0u8; 64]; COUNT]);
    reference.sha512(&seed, &messages, 8, b"point", &mut uniform);
    backend.sha512(&seed, &messages, 8, b"point", &mut again);
    if uniform != again {
        return fail("sha512");
    }

    let texts = [(b"one".as_slice(), 8), (b"other", 0)].map(|(head, width)| Text {
        head,
        messages: &messages[..width * COUNT],
        width,
        tail: b"end",
    });
    let mut wanted = [vec![[0u8; 64]; COUNT], vec![[0u8; 64]; COUNT]];
    let mut found = wanted.clone();
    reference.hmac_sha512(
        &uniform,
        &texts,
        &mut wanted.each_mut().map(|out| &mut out[..]),
    );
    backend.hmac_sha512(
        &uniform,
        &texts,
        &mut found.each_mut().map(|out| &mut out[..]),
    );
    if wanted != found {
        return fail("hmac_sha512");
    }

    let mut wide = vec![[0u8; 64]; COUNT];
    reference.sha512(&seed, &messages, 8, b"scalar", &mut wide);
    let mut scalars: Vec<Scalar> = wide.iter().map(Scalar::from_bytes_mod_order_wide).collect();
    scalars[1] = Scalar::ZERO;
    scalars[2] = Scalar::ONE;
    scalars[3] = -Scalar::ONE;
    let key = PreparedScalar::new(&scalars[0]);

    let (mut want, mut got) = (vec![[0u8; 32]; COUNT], vec![[0u8; 32]; COUNT]);
    reference.hash_mul_encode(&uniform, &key, &mut want);
    backend.hash_mul_encode(&uniform, &key, &mut got);
    if want != got {
        return fail("hash_mul_encode");
    }
    let elements: Vec<Encoding> = want.clone();

    reference.hash_mul_each_encode(&uniform, &scalars, &mut want);
    backend.hash_mul_each_encode(&uniform, &scalars, &mut got);
    if want != got {
        return fail("hash_mul_each_encode");
    }
    let blinded = reference.hash_add_base_encode(&uniform, &scalars, &mut want);
    let own_blinded = backend.hash_add_base_encode(&uniform, &scalars, &mut got);
    if want != got {
        return fail("hash_add_base_encode");
    }

    let expected = reference.decode_mul_encode(&elements, &key, &mut want);
    if backend.decode_mul_encode(&elements, &key, &mut got) != expected || want != got {
        return fail("decode_mul_encode");
    }
    let expected = reference.decode_mul_each_encode(&elements, &scalars, &mut want);
    if backend.decode_mul_each_encode(&elements, &scalars, &mut got) != expected || want != got {
        return fail("decode_mul_each_encode");
    }
    let table = backend.generator();
    let multiples = reference.mul_base_encode(&scalars, reference.generator(), &mut want);
    let own_multiples = backend.mul_base_encode(&scalars, table, &mut got);
    if want != got {
        return fail("mul_base_encode");
    }

    let own = reference.decode(&elements);
    let decoded = backend.decode(&elements);
    let (Ok(own), Ok(decoded)) = (own, decoded) else {
        return fail("decode");
    };
    reference.points_mul_encode(&own, 0, &key, &mut want);
    backend.points_mul_encode(&decoded, 0, &key, &mut got);
    if want != got {
        return fail("points_mul_encode");
    }
    reference.points_sub_base_encode(&own, 0, &scalars, reference.generator(), &mut want);
    backend.points_sub_base_encode(&decoded, 0, &scalars, table, &mut got);
    if want != got {
        return fail("points_sub_base_encode");
    }
    if reference.msm(&own, &scalars) != backend.msm(&decoded, &scalars) {
        return fail("msm");
    }
    for (theirs, ours) in [(&blinded, &own_blinded), (&multiples, &own_multiples)] {
        if reference.msm(theirs, &scalars) != backend.msm(ours, &scalars) {
            return fail("points kept");
        }
    }

    // A refusal must be seen, and at its place.
    let mut spoilt = elements;
    spoilt[COUNT - 2] = [0; 32];
    spoilt[COUNT - 1][31] |= 0x80;
    let expected = reference.decode_mul_encode(&spoilt, &key, &mut want);
    if expected.is_ok() || backend.decode_mul_encode(&spoilt, &key, &mut got) != expected {
        return fail("refusal of bad elements");
    }
    Ok(())
}
