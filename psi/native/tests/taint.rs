//! No branch and no address of the portable backend depends on a secret, shown by valgrind.
//!
//! Secrets are declared undefined memory; memcheck then reports every conditional jump and
//! every address that is computed from them, which is the idea of Langley's ctgrind. The vector
//! backends use instructions that valgrind does not know; tests/constant_time.rs is for them.

#![cfg(target_arch = "x86_64")]

use std::{arch::asm, collections::BTreeSet, hint::black_box, process::Command};

use _native::backend::{Backend, Portable, PreparedScalar};
use curve25519_dalek::Scalar;

const MAKE_UNDEFINED: u64 = 0x4d43_0001;
const MAKE_DEFINED: u64 = 0x4d43_0002;

/// A valgrind client request; outside valgrind it does nothing.
fn request(code: u64, bytes: &[u8]) {
    let arguments = [code, bytes.as_ptr() as u64, bytes.len() as u64, 0, 0, 0];
    // SAFETY: the rotations add up to 128 bits and so change nothing; valgrind knows them by sight.
    unsafe {
        asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") &raw const arguments, inout("rdx") 0u64 => _,
        );
    }
}

fn secret<T: Copy>(values: &[T]) {
    request(MAKE_UNDEFINED, bytes_of(values));
}

fn public<T: Copy>(values: &[T]) {
    request(MAKE_DEFINED, bytes_of(values));
}

fn bytes_of<T: Copy>(values: &[T]) -> &[u8] {
    // SAFETY: plain numbers without padding.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

fn scalars() -> Vec<Scalar> {
    (1..4u8)
        .map(|i| Scalar::from_bytes_mod_order_wide(&[i; 64]))
        .collect()
}

#[test]
#[ignore = "run under valgrind by the tests below"]
fn every_operation_with_secret_inputs() {
    let backend = Portable::new();
    let uniform = black_box([[1u8; 64], [2; 64], [3; 64]]);
    let (key, blinds) = (PreparedScalar::new(&scalars()[0]), scalars());
    let mut elements = [[0u8; 32]; 3];
    backend.hash_mul_encode(&uniform, &key, &mut elements);

    secret(&uniform);
    secret(&blinds);
    secret(std::slice::from_ref(key.scalar()));
    let mut out = [[0u8; 32]; 3];
    backend.hash_mul_encode(&uniform, &key, &mut out);
    backend.hash_mul_each_encode(&uniform, &blinds, &mut out);
    backend.hash_add_base_encode(&uniform, &blinds, &mut out);
    backend
        .decode_mul_encode(&elements, &key, &mut out)
        .unwrap();
    backend
        .decode_mul_each_encode(&elements, &blinds, &mut out)
        .unwrap();
    let table = backend.generator();
    let points = backend.decode(&elements).unwrap();
    backend.points_mul_encode(&points, 0, &key, &mut out);
    backend.points_sub_base_encode(&points, 0, &blinds, table, &mut out);
    backend.mul_base_encode(&blinds, table, &mut out);
    let mut digests = [[0u8; 64]; 3];
    backend.sha512(
        b"prefix",
        uniform.as_flattened(),
        64,
        b"suffix",
        &mut digests,
    );
    public(&out);
}

#[test]
#[ignore = "run under valgrind by the tests below"]
fn a_branch_on_a_secret() {
    let value = black_box([7u8]);
    secret(&value);
    if black_box(value)[0] > 9 {
        println!("large");
    }
}

/// Where valgrind finds a decision made by undefined bytes in one of the tests above; None where
/// valgrind is not installed.
fn valgrind_findings(test: &str) -> Option<BTreeSet<String>> {
    let run = Command::new("valgrind")
        .args(["--error-exitcode=99", "--quiet"])
        .arg(std::env::current_exe().expect("a path"))
        .args(["--ignored", "--exact", "--test-threads=1", test])
        .output();
    let Ok(output) = run else {
        eprintln!("NOT RUN: valgrind is not installed");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 99)), "{said}");
    let places = said
        .lines()
        .filter_map(|line| line.split_once(" at "))
        .map(|(_, place)| place.into());
    Some(places.collect())
}

/// One place is known: dalek asserts that the product it is about to invert is not zero. It never
/// is, because zeros were left out of it, so the branch always goes the same way.
#[test]
fn no_branch_or_address_depends_on_a_secret() {
    if let Some(places) = valgrind_findings("every_operation_with_secret_inputs") {
        assert!(places.len() <= 1, "{places:#?}");
        assert!(
            places
                .iter()
                .all(|place| place.contains("double_and_compress_batch")),
            "{places:#?}"
        );
    }
}

#[test]
fn a_planted_branch_is_seen() {
    if let Some(places) = valgrind_findings("a_branch_on_a_secret") {
        assert!(!places.is_empty());
    }
}
