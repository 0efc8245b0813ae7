//! The official vectors and the refusals, through the pure part: no Python here.

use std::{fs, path::Path};

use _native::{
    Error,
    backend::{Backend, Encoding, available, decode_element},
    client::{BlindedBatch, Blinding, ProofOf, Seed},
    dleq::{generate_proof, verify_proof},
    error::Batch,
    key::SecretKey,
    oprf::{DecodedBatch, Sums, blind_evaluate, blind_evaluate_decoded, evaluate},
    run::Job,
    suite::{Mode, decode_scalar},
};
use serde_json::Value;
use zeroize::Zeroizing;

const SEED: Seed = Seed {
    secret: &[7; 32],
    context: b"",
};

fn load(file: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
    serde_json::from_str(&fs::read_to_string(folder.join(file)).unwrap()).unwrap()
}

fn parts(value: &Value) -> Vec<Vec<u8>> {
    let parts = value.as_str().unwrap().split(',');
    parts.map(|part| hex::decode(part).unwrap()).collect()
}

fn encodings(value: &Value) -> Vec<Encoding> {
    let parts = parts(value);
    parts
        .iter()
        .map(|part| part.as_slice().try_into().unwrap())
        .collect()
}

#[test]
fn rfc9497_appendix_a1() {
    for backend in available() {
        assert_eq!(check_groups(backend.as_ref()), 5);
    }
}

fn check_groups(backend: &dyn Backend) -> usize {
    let groups = load("oprf/rfc9497_allVectors.json");
    let mut cases = 0;
    for group in groups.as_array().unwrap() {
        let mode = match (group["identifier"].as_str(), group["mode"].as_u64()) {
            (Some("ristretto255-SHA512"), Some(0)) => Mode::Oprf,
            (Some("ristretto255-SHA512"), Some(1)) => Mode::Voprf,
            _ => continue,
        };
        let (seed, info) = (&parts(&group["seed"])[0], &parts(&group["keyInfo"])[0]);
        let key = SecretKey::derive(backend, mode, seed, info).unwrap();
        assert_eq!(key.expose_bytes().as_slice(), parts(&group["skSm"])[0]);
        for vector in group["vectors"].as_array().unwrap() {
            check_vector(backend, mode, &key, vector);
            cases += 1;
        }
    }
    cases
}

fn check_vector(backend: &dyn Backend, mode: Mode, key: &SecretKey, vector: &Value) {
    let job = Job::new(backend);
    let mut blinded = Vec::new();
    let inputs = parts(&vector["Input"]);
    let blinds = parts(&vector["Blind"]);
    let outputs = parts(&vector["Output"]);
    for ((input, blind), output) in inputs.iter().zip(blinds).zip(outputs) {
        let blinds = Zeroizing::new(vec![decode_scalar(&blind).unwrap()]);
        let batch = BlindedBatch::with_blinds(
            &job,
            mode,
            Blinding::Multiplicative,
            input,
            input.len(),
            blinds,
        )
        .unwrap();
        blinded.extend_from_slice(batch.blinded_elements());
        let mut own = [[0; 64]];
        evaluate(&job, mode, key, input, input.len(), &mut own).unwrap();
        assert_eq!(own[0].to_vec(), output);
    }
    assert_eq!(blinded, encodings(&vector["BlindedElement"]));
    let mut evaluated = vec![[0; 32]; blinded.len()];
    blind_evaluate(&job, key, &blinded, &mut evaluated).unwrap();
    assert_eq!(evaluated, encodings(&vector["EvaluationElement"]));
    if mode == Mode::Voprf {
        let r = decode_scalar(&parts(&vector["Proof"]["r"])[0]).unwrap();
        let decoded = DecodedBatch::decode(&job, Batch::Blinded, &blinded, Sums::One).unwrap();
        let mut again = vec![[0; 32]; blinded.len()];
        blind_evaluate_decoded(&job, key, &decoded, &mut again).unwrap();
        assert_eq!(again, evaluated);
        let proof =
            generate_proof(&job, mode, key, &blinded, &decoded, &evaluated, Some(r)).unwrap();
        assert_eq!(proof.to_vec(), parts(&vector["Proof"]["proof"])[0]);
        verify_proof(
            &job,
            mode,
            key.public_key(),
            &blinded,
            None,
            &evaluated,
            &proof,
        )
        .unwrap();
    }
}

#[test]
fn derived_negative_encodings() {
    let suite = &load("oprf/derived_negative_encodings.json")["suite"]["ristretto255-SHA512"];
    let hexed = |case: &Value| hex::decode(case["hex"].as_str().unwrap()).unwrap();
    for case in suite["elements"].as_array().unwrap() {
        let Ok(element) = Encoding::try_from(hexed(case)) else {
            continue; // another length is no Encoding
        };
        assert!(decode_element(&element).is_none());
        assert!(available().iter().all(|b| b.decode(&[element]).is_err()));
    }
    for list in ["scalars", "scalars_zero_policy"] {
        for case in suite[list].as_array().unwrap() {
            let encoded = hexed(case);
            assert!(matches!(decode_scalar(&encoded), Err(Error::BadScalar)));
            assert!(SecretKey::from_bytes(&encoded).is_err());
        }
    }
}

#[test]
fn a_proof_is_bound_to_its_mode() {
    for backend in available() {
        let job = Job::new(backend.as_ref());
        let key = SecretKey::generate().unwrap();
        let items: Vec<u8> = (0..40).collect();
        for blinding in [Blinding::Multiplicative, Blinding::Additive] {
            let batch =
                BlindedBatch::blind(&job, Mode::Voprf, blinding, &items, 4, SEED, 16).unwrap();
            let blinded = batch.blinded_elements();
            let mut evaluated = vec![[0; 32]; blinded.len()];
            blind_evaluate(&job, &key, blinded, &mut evaluated).unwrap();
            let decoded = DecodedBatch::decode(&job, Batch::Blinded, blinded, Sums::One).unwrap();
            let prove = |mode| {
                generate_proof(&job, mode, &key, blinded, &decoded, &evaluated, None).unwrap()
            };
            let mut outputs = vec![[0; 64]; batch.count()];
            let mut finalize = |proof: &[u8]| {
                let public_key = key.public_key();
                let proof = Some(ProofOf { public_key, proof });
                batch.finalize(&job, &evaluated, proof, &mut outputs)
            };
            let refused = finalize(&prove(Mode::Oprf));
            assert!(matches!(refused, Err(Error::ProofInvalid)));
            finalize(&prove(Mode::Voprf)).unwrap();
        }
    }
}

/// Both blindings, all backends, sizes around the chunks: the same outputs as Evaluate.
#[test]
fn the_two_blindings_agree() {
    for backend in available() {
        let job = Job::new(backend.as_ref());
        let key = SecretKey::generate().unwrap();
        for (count, pad_to) in [(1, 0), (7, 256), (255, 0), (256, 0), (257, 1024), (1000, 0)] {
            let items: Vec<u8> = (0..count).flat_map(u32::to_le_bytes).collect();
            let mut expected = vec![[0; 64]; count as usize];
            evaluate(&job, Mode::Voprf, &key, &items, 4, &mut expected).unwrap();
            for blinding in [Blinding::Multiplicative, Blinding::Additive] {
                let batch =
                    BlindedBatch::blind(&job, Mode::Voprf, blinding, &items, 4, SEED, pad_to)
                        .unwrap();
                let blinded = batch.blinded_elements();
                let mut evaluated = vec![[0; 32]; blinded.len()];
                blind_evaluate(&job, &key, blinded, &mut evaluated).unwrap();
                let decoded =
                    DecodedBatch::decode(&job, Batch::Blinded, blinded, Sums::One).unwrap();
                let mode = Mode::Voprf;
                let proof =
                    generate_proof(&job, mode, &key, blinded, &decoded, &evaluated, None).unwrap();
                let mut outputs = vec![[0; 64]; count as usize];
                let public_key = key.public_key().as_slice();
                let proof = Some(ProofOf {
                    public_key,
                    proof: &proof,
                });
                batch
                    .finalize(&job, &evaluated, proof, &mut outputs)
                    .unwrap();
                assert_eq!(outputs, expected, "{} {count} {blinding:?}", backend.name());
            }
        }
    }
}

#[test]
fn additive_blinding_needs_a_proof() {
    let backend = &available()[0];
    let job = Job::new(backend.as_ref());
    let refused = BlindedBatch::blind(&job, Mode::Oprf, Blinding::Additive, b"item", 4, SEED, 0);
    assert!(matches!(refused, Err(Error::Input(_))));
}
