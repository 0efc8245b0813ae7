//! The vector kernel: batches of ristretto255 operations, several points per register.
//!
//! From the bottom: `word` (one 64-bit number per lane), `field_*` (GF(2^255 - 19)), `point`
//! (Edwards formulas), `power` and `ristretto` (square roots, RFC 9496), `scalar` (digits),
//! `multiply` (secret scalars), `msm` (public scalars), `sha512`, `engine` (all of that compiled
//! for one processor), `batch` (the seam).

mod batch;
mod constants;
mod engine;
mod field;
mod field_avx2;
mod field_ifma;
#[cfg(test)]
mod interval;
mod msm;
mod multiply;
mod point;
mod power;
mod ristretto;
mod scalar;
mod sha512;
#[cfg(test)]
mod tests;
mod wipe;
mod word;
mod word_avx2;
mod word_avx512;

#[cfg(feature = "bench-internals")]
pub mod bench;

pub use batch::AffinePoints;

use super::{Backend, BaseTable, Table};
use batch::{Comb, Vector};
use curve25519_dalek::Scalar;
use engine::{Avx2, Engine, Ifma512};

pub type IfmaComb = Comb<<Ifma512 as Engine>::Field>;
pub type Avx2Comb = Comb<<Avx2 as Engine>::Field>;

/// scalar / 2 mod l, recoded for `digit16`.
pub fn recoded_half(scalar: &Scalar) -> [u64; 4] {
    scalar::recode16(&scalar::half(&scalar::words(scalar)))
}

pub fn ifma512() -> Option<Box<dyn Backend>> {
    Vector::<Ifma512>::new().map(|backend| Box::new(backend) as Box<dyn Backend>)
}

pub fn avx2() -> Option<Box<dyn Backend>> {
    Vector::<Avx2>::new().map(|backend| Box::new(backend) as Box<dyn Backend>)
}

impl batch::OwnTable for Ifma512 {
    fn wrap(comb: IfmaComb) -> Table {
        Table::Ifma512(comb)
    }
    fn own(table: &BaseTable) -> Option<&IfmaComb> {
        match &table.table {
            Table::Ifma512(comb) => Some(comb),
            _ => None,
        }
    }
}

impl batch::OwnTable for Avx2 {
    fn wrap(comb: Avx2Comb) -> Table {
        Table::Avx2(comb)
    }
    fn own(table: &BaseTable) -> Option<&Avx2Comb> {
        match &table.table {
            Table::Avx2(comb) => Some(comb),
            _ => None,
        }
    }
}
