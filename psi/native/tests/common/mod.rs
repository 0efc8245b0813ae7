#![allow(dead_code)]

use _native::backend::{Backend, Encoding, available};
use curve25519_dalek::{RistrettoPoint, Scalar};
use sha2::{Digest, Sha512};

/// All backends of this processor; says loudly which are missing.
pub fn backends() -> Vec<Box<dyn Backend>> {
    let list = available();
    for name in ["ifma512", "avx2", "portable"] {
        if !list.iter().any(|backend| backend.name() == name) {
            eprintln!("NOT RUN: this processor cannot run {name}");
        }
    }
    list
}

/// A stream of reproducible test values.
pub struct Stream {
    name: &'static str,
    counter: u64,
}

impl Stream {
    pub fn new(name: &'static str) -> Self {
        Stream { name, counter: 0 }
    }
    pub fn bytes(&mut self) -> [u8; 64] {
        self.counter += 1;
        Sha512::new()
            .chain_update(self.name)
            .chain_update(self.counter.to_le_bytes())
            .finalize()
            .into()
    }
    pub fn scalar(&mut self) -> Scalar {
        Scalar::from_bytes_mod_order_wide(&self.bytes())
    }
    pub fn point(&mut self) -> RistrettoPoint {
        RistrettoPoint::from_uniform_bytes(&self.bytes())
    }
}

pub fn encode(points: &[RistrettoPoint]) -> Vec<Encoding> {
    points.iter().map(|p| p.compress().0).collect()
}

pub fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..][..2], 16).expect("hex"))
        .collect()
}

pub fn array<const N: usize>(text: &str) -> [u8; N] {
    hex(text).try_into().expect("length")
}

pub fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}
