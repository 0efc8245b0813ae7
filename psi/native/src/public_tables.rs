//! Tables of public keys, kept from one batch to the next: a receiver meets the same few keys again
//! and again, and a table costs as much as some 300 elements, on one core.

use std::sync::{Arc, Mutex, PoisonError};

use curve25519_dalek::ristretto::RistrettoPoint;

use crate::backend::{Backend, BaseTable, Encoding};

/// Enough for a receiver's datasets and epochs; a table is about 100 KiB.
const KEPT: usize = 8;

struct Entry {
    backend: &'static str,
    public_key: Encoding,
    table: Arc<BaseTable>,
}

/// The least recently used first.
static TABLES: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

/// The table of a decoded public key for this backend.
pub fn public_table(
    backend: &dyn Backend,
    public_key: &Encoding,
    point: &RistrettoPoint,
) -> Arc<BaseTable> {
    let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
    let known = tables
        .iter()
        .position(|entry| entry.backend == backend.name() && entry.public_key == *public_key);
    let entry = match known {
        Some(place) => tables.remove(place),
        None => Entry {
            backend: backend.name(),
            public_key: *public_key,
            table: Arc::new(backend.base_table(point)),
        },
    };
    let table = Arc::clone(&entry.table);
    tables.push(entry);
    let spare = tables.len().saturating_sub(KEPT);
    tables.drain(..spare);
    table
}
