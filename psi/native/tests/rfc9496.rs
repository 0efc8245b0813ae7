//! The official ristretto255 vectors (RFC 9496, appendix A) on every backend.

mod common;
use _native::backend::{BadElement, Encoding, PreparedScalar};
use common::{array, backends, hex, json};
use curve25519_dalek::Scalar;

const VECTORS: &str = include_str!("../../../tests/vectors/ristretto255/rfc9496_ristretto255.json");

fn texts(value: &serde_json::Value) -> Vec<&str> {
    value
        .as_array()
        .expect("array")
        .iter()
        .map(|x| x.as_str().expect("text"))
        .collect()
}

#[test]
fn multiples_of_the_generator() {
    let vectors = json(VECTORS);
    let want: Vec<Encoding> = texts(&vectors["multiples_of_generator"])
        .into_iter()
        .map(array)
        .collect();
    let scalars: Vec<Scalar> = (0..want.len() as u64).map(Scalar::from).collect();
    let one = PreparedScalar::new(&Scalar::ONE);
    for backend in backends() {
        let mut out = vec![[0; 32]; want.len()];
        backend.mul_base_encode(&scalars, backend.generator(), &mut out);
        assert_eq!(out, want, "{}", backend.name());
        // Decoding and encoding again; without the identity, which is refused.
        let mut out = vec![[0; 32]; want.len() - 1];
        backend
            .decode_mul_encode(&want[1..], &one, &mut out)
            .expect("valid");
        assert_eq!(out, want[1..], "{}", backend.name());
        // G times i.
        let generators = vec![want[1]; want.len()];
        let mut out = vec![[0; 32]; want.len()];
        backend
            .decode_mul_each_encode(&generators, &scalars, &mut out)
            .expect("valid");
        assert_eq!(out, want, "{}", backend.name());
    }
}

#[test]
fn bad_encodings_are_refused_in_every_place() {
    let vectors = json(VECTORS);
    let list = vectors["bad_encodings"].as_array().expect("array");
    assert_eq!(list.len(), 29);
    let mut bad: Vec<Vec<u8>> = list
        .iter()
        .map(|case| hex(case["encoding"].as_str().expect("text")))
        .collect();
    let derived = json(include_str!(
        "../../../tests/vectors/oprf/derived_negative_encodings.json"
    ));
    let more = &derived["suite"]["ristretto255-SHA512"]["elements"];
    bad.extend(
        more.as_array()
            .expect("array")
            .iter()
            .map(|c| hex(c["hex"].as_str().expect("text"))),
    );
    bad.push(vec![0; 32]);
    let good: Encoding = array(texts(&vectors["multiples_of_generator"])[5]);

    for backend in backends() {
        // Other lengths do not fit the type.
        for bad in bad
            .iter()
            .filter_map(|bad| Encoding::try_from(bad.as_slice()).ok())
        {
            for n in [1, 7, 8, 9, 33] {
                for place in 0..n {
                    let mut elements = vec![good; n];
                    elements[place] = bad;
                    let mut out = vec![[7; 32]; n];
                    let key = PreparedScalar::new(&Scalar::from(3u8));
                    let result = backend.decode_mul_encode(&elements, &key, &mut out);
                    assert_eq!(result, Err(BadElement(place)), "{}", backend.name());
                    assert_eq!(out, vec![[7; 32]; n]);
                }
            }
            let mut elements = vec![good; 700];
            elements[600] = bad;
            elements[650] = bad;
            assert_eq!(backend.decode(&elements).err(), Some(BadElement(600)));
        }
    }
}

#[test]
fn element_derivation() {
    let vectors = json(VECTORS);
    let mut cases: Vec<([u8; 64], Encoding)> = Vec::new();
    for case in vectors["from_uniform_bytes"].as_array().expect("array") {
        let text = |name: &str| case[name].as_str().expect("text");
        cases.push((array(text("input")), array(text("output"))));
    }
    let same = &vectors["from_uniform_bytes_same_output"];
    for input in texts(&same["inputs"]) {
        cases.push((array(input), array(same["output"].as_str().expect("text"))));
    }
    let uniform: Vec<[u8; 64]> = cases.iter().map(|case| case.0).collect();
    let want: Vec<Encoding> = cases.iter().map(|case| case.1).collect();
    let one = PreparedScalar::new(&Scalar::ONE);
    for backend in backends() {
        let mut out = vec![[0; 32]; want.len()];
        backend.hash_mul_encode(&uniform, &one, &mut out);
        assert_eq!(out, want, "{}", backend.name());
        backend.hash_add_base_encode(&uniform, &vec![Scalar::ZERO; want.len()], &mut out);
        assert_eq!(out, want, "{}", backend.name());
        for case in vectors["from_sha512_of_label"].as_array().expect("array") {
            let text = |name: &str| case[name].as_str().expect("text");
            let label = text("label").as_bytes();
            let mut hash = [[0; 64]];
            backend.sha512(&[], label, label.len(), &[], &mut hash);
            assert_eq!(hash[0].to_vec(), hex(text("sha512")));
            let mut out = [[0; 32]];
            backend.hash_mul_encode(&hash, &one, &mut out);
            assert_eq!(out[0].to_vec(), hex(text("output")));
        }
    }
}
