//! The kernel under `psi/`: RFC 9497 over batches, the derivations of
//! `docs/reference/protocol.md` section 2, and the bulk work on fixed-width columns.
//!
//! Everything but `python` is plain Rust. All bulk values are contiguous; group
//! elements stay encoded outside `backend`, so that a backend can keep its own
//! representation of a whole chunk.

pub mod backend;
pub mod client;
pub mod dleq;
pub mod error;
pub mod identifiers;
pub mod kdf;
pub mod key;
pub mod labels;
pub mod oprf;
pub mod public_tables;
pub mod rows;
pub mod run;
pub mod suite;
pub mod table;

#[cfg(feature = "python")]
mod python;

pub use error::Error;
