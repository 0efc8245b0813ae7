//! Scalar multiplication of points by secret scalars: no branch and no address depends on them.

use super::field::Field;
use super::point::{Affine, Cached, Extended};
use super::power::BLOCK;
use super::scalar::{DIGITS16, DIGITS32, LaneScalars, digit16, digit32, nonzero};
use super::word::Word;

/// 1P, 2P, ..., 8P of a point per lane.
pub type Multiples<F> = [Cached<F>; 8];

#[inline(always)]
fn fill_multiples<F: Field>(p: &Extended<F>, table: &mut Multiples<F>) {
    table[0] = p.cached();
    let augend = p.augend();
    let mut multiple = [*p; 8];
    for i in 1..8 {
        // (i + 1) P: an even multiple is a double, an odd one a sum.
        let completed = if i % 2 == 1 {
            multiple[i / 2].projective().double()
        } else {
            augend.add(&table[i - 1])
        };
        multiple[i] = completed.extended();
        table[i] = multiple[i].cached();
    }
}

/// digit * P: a scan of the whole table and a conditional negation.
#[inline(always)]
fn lookup<F: Field>(table: &Multiples<F>, scalars: &LaneScalars, i: usize) -> Cached<F> {
    let digit = digit16::<F::Word>(scalars, i);
    let mut q = Cached::identity();
    for (j, entry) in table.iter().enumerate() {
        let found = digit.magnitude.equal(F::Word::splat(j as u64 + 1));
        q = Cached::select(found, entry, &q);
    }
    Cached::negate_if(digit.negative, &q)
}

/// s P with a scalar per lane (the same in all lanes for one key): 64 signed radix-16 digits,
/// from the top; 252 doublings and 64 additions. `scalars` come from `recode16`. `table` is
/// scratch, owned by the caller so that it can be wiped.
#[inline(always)]
pub fn multiply<F: Field>(
    p: &Extended<F>,
    scalars: &LaneScalars,
    table: &mut Multiples<F>,
) -> Extended<F> {
    fill_multiples(p, table);
    let mut sum = Extended::identity()
        .augend()
        .add(&lookup(table, scalars, DIGITS16 - 1));
    for i in (0..DIGITS16 - 1).rev() {
        let mut r = sum.projective();
        for _ in 0..3 {
            r = r.double().projective();
        }
        sum = r.double().augend().add(&lookup(table, scalars, i));
    }
    sum.extended()
}

/// The multiples 1 to 16 of 32^i times a public point, for every digit i: fixed-base comb.
pub struct Comb<F: Field>(pub Box<[CombRow<F>; DIGITS32]>);

/// y + x, y - x and 2dxy of sixteen multiples.
#[derive(Clone)]
pub struct CombRow<F: Field> {
    pub y_plus_x: F::Row,
    pub y_minus_x: F::Row,
    pub t2d: F::Row,
}

impl<F: Field> CombRow<F> {
    #[inline(always)]
    fn lookup(&self, scalars: &LaneScalars, i: usize) -> Affine<F> {
        let digit = digit32::<F::Word>(scalars, i);
        // Entry j holds the multiple j + 1, so 16 has a place; for digit 0 the index wraps
        // around and the identity is taken instead.
        let index = digit
            .magnitude
            .add(F::Word::splat(15))
            .and(F::Word::splat(15));
        let q = Affine {
            y_plus_x: F::lookup(&self.y_plus_x, index),
            y_minus_x: F::lookup(&self.y_minus_x, index),
            t2d: F::lookup(&self.t2d, index),
        };
        let q = Affine::select(nonzero(&digit), &q, &Affine::identity());
        Affine::negate_if(digit.negative, &q)
    }
}

/// sum + s P for the comb's point: 51 additions, no doubling. Row by row over a block of groups:
/// the row stays in the first-level cache and the groups hide each other's latencies. `scalars`
/// come from `recode32`.
#[inline(always)]
pub fn multiply_comb_add<F: Field>(
    sum: &mut [Extended<F>; BLOCK],
    comb: &Comb<F>,
    scalars: &[LaneScalars; BLOCK],
) {
    let mut augend = [sum[0].augend(); BLOCK];
    for g in 1..BLOCK {
        augend[g] = sum[g].augend();
    }
    for (i, row) in comb.0[..DIGITS32 - 1].iter().enumerate() {
        for g in 0..BLOCK {
            augend[g] = augend[g].add_affine(&row.lookup(&scalars[g], i)).augend();
        }
    }
    let last = DIGITS32 - 1;
    for g in 0..BLOCK {
        sum[g] = augend[g]
            .add_affine(&comb.0[last].lookup(&scalars[g], last))
            .extended();
    }
}
