//! What the curve formulas need from a field: GF(2^255 - 19), one element per lane.
//!
//! Two types per field. `Self` is *reduced*: every limb within the bounds that multiplication
//! accepts. `Wide` is what multiplication returns: limbs that still have to be carried. Additions
//! and subtractions of products happen on `Wide`, before the carry, so that a doubling needs eight
//! carries and not fifteen.
//!
//! Subtracting must never borrow, so the left operand carries a *bias*: a multiple of p whose
//! limbs are all larger than those of what is subtracted. Products have it built in (`BIAS` units of
//! it): it is the starting value of the accumulators, hence free.

use super::word::{LaneMask, Word};

/// Limb-wise bounds are stated by each implementation and checked by `interval.rs`.
pub trait Field: Copy {
    type Word: Word<Mask = Self::Mask>;
    type Mask: LaneMask;
    type Wide: Copy;
    /// Sixteen public constants, arranged for `lookup`.
    type Row: Clone + Send + Sync;

    fn zero() -> Self;
    fn one() -> Self;
    /// The same constant in every lane; `words` little-endian, below p.
    fn constant(words: [u64; 4]) -> Self;
    /// The low 255 bits of four little-endian words per lane (not necessarily below p).
    fn from_words(words: &[Self::Word; 4]) -> Self;
    /// The unique representative below p.
    fn to_words(&self) -> [Self::Word; 4];

    /// a b + BIAS units of bias. One unit makes room for the subtraction of two plain products.
    fn mul_wide<const BIAS: u64>(a: &Self, b: &Self) -> Self::Wide;
    /// a^2 + BIAS units of bias.
    fn square_wide<const BIAS: u64>(a: &Self) -> Self::Wide;
    /// Reduced to wide, without cost.
    fn widen(a: &Self) -> Self::Wide;
    /// Reduced to wide, with one unit of bias.
    fn widen_biased(a: &Self) -> Self::Wide;
    fn wide_add(a: &Self::Wide, b: &Self::Wide) -> Self::Wide;
    /// a - b; `a` must be biased enough (checked by the interval test).
    fn wide_sub(a: &Self::Wide, b: &Self::Wide) -> Self::Wide;
    /// Wide to reduced.
    fn carry(a: &Self::Wide) -> Self;

    fn add(a: &Self, b: &Self) -> Self;
    fn sub(a: &Self, b: &Self) -> Self;
    /// a + b and a - b, good enough as factors of products but not for more sums.
    fn add_factor(a: &Self, b: &Self) -> Self;
    fn sub_factor(a: &Self, b: &Self) -> Self;
    /// -a, good enough as a factor of a product but not for `add` or `sub`.
    fn negate_factor(a: &Self) -> Self;
    fn select(mask: Self::Mask, on: &Self, off: &Self) -> Self;

    /// Entries below p, little-endian words.
    fn row(entries: &[[u64; 4]; 16]) -> Self::Row;
    /// `entries[index]`, `index` < 16 per lane; no address depends on it.
    fn lookup(row: &Self::Row, index: Self::Word) -> Self;

    /// The raw limbs, for `msm`'s buckets.
    fn limbs(&self) -> &[Self::Word];
    fn limbs_mut(&mut self) -> &mut [Self::Word];

    #[inline(always)]
    fn mul(a: &Self, b: &Self) -> Self {
        Self::carry(&Self::mul_wide::<0>(a, b))
    }
    #[inline(always)]
    fn square(a: &Self) -> Self {
        Self::carry(&Self::square_wide::<0>(a))
    }
    #[inline(always)]
    fn negate(a: &Self) -> Self {
        Self::sub(&Self::zero(), a)
    }

    /// The lanes in which a = 0.
    #[inline(always)]
    fn is_zero(a: &Self) -> Self::Mask {
        let [w0, w1, w2, w3] = a.to_words();
        w0.or(w1).or(w2.or(w3)).equal(Self::Word::splat(0))
    }
    /// The lanes in which a = b.
    #[inline(always)]
    fn equal(a: &Self, b: &Self) -> Self::Mask {
        Self::is_zero(&Self::sub(a, b))
    }
    /// IS_NEGATIVE of RFC 9496, 3.1: the lowest bit of the canonical value.
    #[inline(always)]
    fn is_negative(a: &Self) -> Self::Mask {
        let one = Self::Word::splat(1);
        a.to_words()[0].and(one).equal(one)
    }
    /// -a in the lanes of `mask`.
    #[inline(always)]
    fn negate_if(mask: Self::Mask, a: &Self) -> Self {
        Self::select(mask, &Self::negate(a), a)
    }
    /// CT_ABS of RFC 9496, 3.1.
    #[inline(always)]
    fn abs(a: &Self) -> Self {
        Self::negate_if(Self::is_negative(a), a)
    }
}
