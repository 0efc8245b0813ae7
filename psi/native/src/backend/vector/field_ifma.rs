//! GF(2^255 - 19) in five limbs of radix 2^51, for words with a 52-bit multiply-add.
//!
//! Why radix 2^51 and not 2^52: 5 * 51 = 255, so a product's upper half comes back multiplied by
//! 19 exactly, one multiplication per column, and columns of 2^56 still fit 64 bits then. With
//! radix 2^52 the factor is 608, too large for a 64-bit column, and the fold costs thirteen
//! multiply-adds per product. The price is a doubling, which other ports do: the high half of a
//! product of limbs i and j has weight 2^(51(i+j)+52), i.e. twice that of column i+j+1.
//!
//! The order of the instructions matters: a product is a few long chains, and the processor looks
//! ahead about one product far. `step!` lists what may go in parallel.
//!
//! Bounds. *Reduced*: every limb <= 2^51 + 2^16 (`REDUCED_MAX`). *Factor*: every limb < 2^52, what
//! the instruction reads; reduced values and `negate_factor` are factors. *Wide*: every limb
//! < 2^63. A product of reduced elements is *plain*: limbs < 125 * 2^52. One unit of bias is 608 p,
//! i.e. about 304 * 2^52 per limb, more than two plain products.

use super::field::Field;
use super::word::{LaneValues, Madd52, Word};

pub const MASK51: u64 = (1 << 51) - 1;
/// Largest limb of a reduced element.
#[cfg(test)]
pub const REDUCED_MAX: u64 = (1 << 51) + (1 << 16);

/// One unit of bias as multiples of p at the start of `product`'s chains: comes out 38-fold, as 608 p. 608 * 2^51 = 304 * 2^52 exceeds two
/// plain products (each below 125 * 2^52).
const PRODUCT_BIAS: u64 = 16;
/// One unit of bias as multiples of p at the start of `square`'s chains: comes out 76-fold, as 608 p too.
const SQUARE_BIAS: u64 = 8;
/// Limbs of 2p: at least as large as those of any reduced element, and still factors.
const TWO_P: [u64; 5] = multiple_of_p(2);

/// `n` p, limb by limb: the limbs are n times those of p, not carried.
const fn multiple_of_p(n: u64) -> [u64; 5] {
    [
        (MASK51 - 18) * n,
        MASK51 * n,
        MASK51 * n,
        MASK51 * n,
        MASK51 * n,
    ]
}

/// Reduced element, one per lane.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Fe51<W>(pub [W; 5]);

/// Uncarried element, one per lane.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Wide51<W>(pub [W; 5]);

/// Sixteen constants, limb by limb, ready for `lookup`.
#[derive(Clone)]
#[repr(C)]
pub struct Row51([[LaneValues; 2]; 5]);

/// Multiply-adds that do not depend on each other: the low (`lo`) or high (`hi`) half of a product
/// onto an accumulator.
macro_rules! step {
    ($($half:ident $acc:ident $a:ident $b:ident),*) => { $(step!(@$half $acc $a $b);)* };
    (@lo $acc:ident $a:ident $b:ident) => { $acc = $acc.madd_lo($a, $b); };
    (@hi $acc:ident $a:ident $b:ident) => { $acc = $acc.madd_hi($a, $b); };
}

/// a b + 38 * start. Factors in, wide out. Column k collects low halves of products of limbs i and
/// j with i + j = k, and twice the high halves of those with i + j = k - 1 (h: high halves, doubled
/// when complete, and then the low halves are added). Columns 5 to 9 count 19-fold in 0 to 4.
///
/// Bound of a plain product: column pair 0 and 5 is the largest. With lo < 2^52 and
/// hi < 2^50 + 2^16 it is below 2^52 + 19 (4 * 2^52 + 2 * 5 * (2^50 + 2^16)) < 125 * 2^52.
#[inline(always)]
fn product<W: Madd52>(a: &[W; 5], b: &[W; 5], start: &[W; 5]) -> [W; 5] {
    let [a0, a1, a2, a3, a4] = *a;
    let [b0, b1, b2, b3, b4] = *b;

    let zero = W::splat(0);
    let [mut h5, mut h6, mut h7, mut h8, mut h9] = *start;
    let (mut t5, mut t6) = (zero, zero);
    let (mut r0, mut h1, mut h2, mut h3, mut h4) = (zero, zero, zero, zero, zero);
    step!(hi h9 a4 b4, hi h8 a3 b4, hi h7 a2 b4, hi h6 a1 b4, hi h5 a0 b4, lo t5 a1 b4, lo t6 a2 b4);
    step!(hi h8 a4 b3, hi h7 a3 b3, hi h6 a2 b3, hi h5 a1 b3, lo t5 a2 b3, lo t6 a3 b3);
    step!(hi h7 a4 b2, hi h6 a3 b2, hi h5 a2 b2, lo t5 a3 b2, lo t6 a4 b2, hi h4 a0 b3, hi h3 a0 b2);
    let mut t8 = h8.add(h8);
    step!(lo t8 a4 b4, hi h6 a4 b1, hi h5 a3 b1, lo t5 a4 b1, hi h4 a1 b2, hi h3 a1 b1, hi h2 a0 b1, hi h1 a0 b0);
    let mut t7 = h7.add(h7);
    step!(lo t7 a3 b4, hi h5 a4 b0, hi h4 a2 b1, hi h3 a2 b0, hi h2 a1 b0, lo r0 a0 b0);
    let t6 = h6.add(h6).add(t6);
    let mut r1 = h1.add(h1);
    step!(lo t7 a4 b3, hi h4 a3 b0, lo r1 a0 b1);
    let mut r2 = h2.add(h2);
    let mut r3 = h3.add(h3);
    let t5 = h5.add(h5).add(t5);
    let t9 = h9.add(h9).times19();
    let t8 = t8.times19();
    let mut r4 = h4.add(h4);
    step!(lo r1 a1 b0, lo r2 a0 b2, lo r3 a0 b3, lo r4 a0 b4);
    let t6 = t6.times19();
    let t7 = t7.times19();
    let t5 = t5.times19();
    step!(lo r2 a1 b1, lo r3 a1 b2, lo r4 a1 b3);
    step!(lo r2 a2 b0, lo r3 a2 b1, lo r4 a2 b2);
    step!(lo r3 a3 b0, lo r4 a3 b1);
    step!(lo r4 a4 b0);
    [r0.add(t5), r1.add(t6), r2.add(t7), r3.add(t8), r4.add(t9)]
}

/// a^2 + 76 * start, like `product`; mixed terms count twice, so a column has two doublings:
/// 2 (2 hi_mixed + lo_mixed + hi_square) + lo_square.
#[inline(always)]
fn square<W: Madd52>(a: &[W; 5], start: &[W; 5]) -> [W; 5] {
    let [a0, a1, a2, a3, a4] = *a;

    let zero = W::splat(0);
    // Upper columns t and lower columns r, side by side. m: mixed high halves (four times),
    // s: mixed low and square high halves (twice), then the square low halves.
    let [mut m5, mut m6, mut m7, mut m8, s9] = *start;
    let mut s9 = s9.add(s9);
    let (mut m2, mut m3, mut m4) = (zero, zero, zero);
    let (mut r0, mut s1) = (zero, zero);
    step!(hi m8 a3 a4, hi s9 a4 a4, hi m5 a0 a4, hi m6 a1 a4, hi m7 a2 a4, hi m4 a0 a3);
    step!(hi m5 a1 a3, hi m6 a2 a3, hi m4 a1 a2, hi m3 a0 a2, hi m2 a0 a1);
    let s8 = m8.add(m8);
    let t9 = s9.add(s9);
    let mut s7 = m7.add(m7);
    let mut s5 = m5.add(m5);
    let mut s6 = m6.add(m6);
    let mut t8 = s8.add(s8);
    step!(lo s7 a3 a4, lo s5 a1 a4, lo s6 a2 a4, lo t8 a4 a4, lo s1 a0 a1);
    let mut s4 = m4.add(m4);
    let mut s3 = m3.add(m3);
    let mut s2 = m2.add(m2);
    step!(hi s7 a3 a3, lo s5 a2 a3, lo s4 a0 a4, lo s3 a0 a3, lo s2 a0 a2, hi s1 a0 a0);
    let mut t6 = s6.add(s6);
    let t9 = t9.times19();
    let t8 = t8.times19();
    step!(lo t6 a3 a3, hi s5 a2 a2, lo s4 a1 a3, lo s3 a1 a2, lo r0 a0 a0);
    let t7 = s7.add(s7).times19();
    let mut r2 = s2.add(s2);
    step!(hi s3 a1 a1, lo r2 a1 a1);
    let mut r4 = s4.add(s4);
    let t6 = t6.times19();
    let t5 = s5.add(s5).times19();
    step!(lo r4 a2 a2);
    [
        r0.add(t5),
        s1.add(s1).add(t6),
        r2.add(t7),
        s3.add(s3).add(t8),
        r4.add(t9),
    ]
}

/// One parallel carry pass: each limb keeps 51 bits and receives its neighbour's excess.
/// Limbs < 2^63 in; limbs < 2^51 + 19 * 2^12 out, the first being the largest.
#[inline(always)]
fn carry<W: Madd52>(r: &[W; 5]) -> [W; 5] {
    let mask = W::splat(MASK51);
    let nineteen = W::splat(19);
    [
        r[0].and(mask).madd_lo(r[4].shr::<51>(), nineteen),
        r[1].and(mask).add(r[0].shr::<51>()),
        r[2].and(mask).add(r[1].shr::<51>()),
        r[3].and(mask).add(r[2].shr::<51>()),
        r[4].and(mask).add(r[3].shr::<51>()),
    ]
}

/// The five limbs of a constant.
#[inline(always)]
const fn split(w: &[u64; 4]) -> [u64; 5] {
    [
        w[0] & MASK51,
        (w[0] >> 51 | w[1] << 13) & MASK51,
        (w[1] >> 38 | w[2] << 26) & MASK51,
        (w[2] >> 25 | w[3] << 39) & MASK51,
        (w[3] >> 12) & MASK51,
    ]
}

#[inline(always)]
fn splat<W: Word>(limbs: &[u64; 5]) -> [W; 5] {
    [
        W::splat(limbs[0]),
        W::splat(limbs[1]),
        W::splat(limbs[2]),
        W::splat(limbs[3]),
        W::splat(limbs[4]),
    ]
}

#[inline(always)]
fn add<W: Word>(a: &[W; 5], b: &[W; 5]) -> [W; 5] {
    [
        a[0].add(b[0]),
        a[1].add(b[1]),
        a[2].add(b[2]),
        a[3].add(b[3]),
        a[4].add(b[4]),
    ]
}

#[inline(always)]
fn sub<W: Word>(a: &[W; 5], b: &[W; 5]) -> [W; 5] {
    [
        a[0].sub(b[0]),
        a[1].sub(b[1]),
        a[2].sub(b[2]),
        a[3].sub(b[3]),
        a[4].sub(b[4]),
    ]
}

impl<W: Madd52> Field for Fe51<W> {
    type Word = W;
    type Mask = W::Mask;
    type Wide = Wide51<W>;
    type Row = Row51;

    #[inline(always)]
    fn zero() -> Self {
        Fe51(splat(&[0; 5]))
    }
    #[inline(always)]
    fn one() -> Self {
        Fe51(splat(&[1, 0, 0, 0, 0]))
    }
    #[inline(always)]
    fn constant(w: [u64; 4]) -> Self {
        Fe51(splat(&split(&w)))
    }
    /// Limbs < 2^51 out.
    #[inline(always)]
    fn from_words(w: &[W; 4]) -> Self {
        let mask = W::splat(MASK51);
        Fe51([
            w[0].and(mask),
            w[0].shr::<51>().or(w[1].shl::<13>()).and(mask),
            w[1].shr::<38>().or(w[2].shl::<26>()).and(mask),
            w[2].shr::<25>().or(w[3].shl::<39>()).and(mask),
            w[3].shr::<12>().and(mask),
        ])
    }
    /// A reduced element is below 2^255 + 2^221 < 2p, so at most one p has to go. It has to if
    /// adding 19 carries out of bit 255.
    #[inline(always)]
    fn to_words(&self) -> [W; 4] {
        let mask = W::splat(MASK51);
        let nineteen = W::splat(19);
        let r = &self.0;
        let mut over = r[0].add(nineteen).shr::<51>();
        over = r[1].add(over).shr::<51>();
        over = r[2].add(over).shr::<51>();
        over = r[3].add(over).shr::<51>();
        over = r[4].add(over).shr::<51>();
        let l0 = r[0].madd_lo(over, nineteen);
        let l1 = r[1].add(l0.shr::<51>());
        let l2 = r[2].add(l1.shr::<51>());
        let l3 = r[3].add(l2.shr::<51>());
        let l4 = r[4].add(l3.shr::<51>()).and(mask);
        let (l0, l1, l2, l3) = (l0.and(mask), l1.and(mask), l2.and(mask), l3.and(mask));
        [
            l0.or(l1.shl::<51>()),
            l1.shr::<13>().or(l2.shl::<38>()),
            l2.shr::<26>().or(l3.shl::<25>()),
            l3.shr::<39>().or(l4.shl::<12>()),
        ]
    }

    #[inline(always)]
    fn mul_wide<const BIAS: u64>(a: &Self, b: &Self) -> Wide51<W> {
        Wide51(product(
            &a.0,
            &b.0,
            &splat(&multiple_of_p(BIAS * PRODUCT_BIAS)),
        ))
    }
    #[inline(always)]
    fn square_wide<const BIAS: u64>(a: &Self) -> Wide51<W> {
        Wide51(square(&a.0, &splat(&multiple_of_p(BIAS * SQUARE_BIAS))))
    }
    #[inline(always)]
    fn widen(a: &Self) -> Wide51<W> {
        Wide51(a.0)
    }
    #[inline(always)]
    fn widen_biased(a: &Self) -> Wide51<W> {
        Wide51(add(&a.0, &splat(&multiple_of_p(38 * PRODUCT_BIAS))))
    }
    #[inline(always)]
    fn wide_add(a: &Wide51<W>, b: &Wide51<W>) -> Wide51<W> {
        Wide51(add(&a.0, &b.0))
    }
    #[inline(always)]
    fn wide_sub(a: &Wide51<W>, b: &Wide51<W>) -> Wide51<W> {
        Wide51(sub(&a.0, &b.0))
    }
    #[inline(always)]
    fn carry(a: &Wide51<W>) -> Self {
        Fe51(carry(&a.0))
    }

    #[inline(always)]
    fn add(a: &Self, b: &Self) -> Self {
        Fe51(carry(&add(&a.0, &b.0)))
    }
    #[inline(always)]
    fn sub(a: &Self, b: &Self) -> Self {
        Fe51(carry(&sub(&add(&a.0, &splat(&TWO_P)), &b.0)))
    }
    #[inline(always)]
    fn add_factor(a: &Self, b: &Self) -> Self {
        Self::add(a, b)
    }
    #[inline(always)]
    fn sub_factor(a: &Self, b: &Self) -> Self {
        Self::sub(a, b)
    }
    #[inline(always)]
    fn negate_factor(a: &Self) -> Self {
        Fe51(sub(&splat(&TWO_P), &a.0))
    }
    #[inline(always)]
    fn select(mask: W::Mask, on: &Self, off: &Self) -> Self {
        Fe51([
            W::select(mask, on.0[0], off.0[0]),
            W::select(mask, on.0[1], off.0[1]),
            W::select(mask, on.0[2], off.0[2]),
            W::select(mask, on.0[3], off.0[3]),
            W::select(mask, on.0[4], off.0[4]),
        ])
    }

    fn row(entries: &[[u64; 4]; 16]) -> Row51 {
        let mut row = [[LaneValues([0; 8]); 2]; 5];
        for (i, words) in entries.iter().enumerate() {
            for (limb, value) in row.iter_mut().zip(split(words)) {
                limb[i / 8].0[i % 8] = value;
            }
        }
        Row51(row)
    }
    #[inline(always)]
    fn lookup(row: &Row51, index: W) -> Self {
        Fe51([
            W::lookup16(&row.0[0], index),
            W::lookup16(&row.0[1], index),
            W::lookup16(&row.0[2], index),
            W::lookup16(&row.0[3], index),
            W::lookup16(&row.0[4], index),
        ])
    }

    #[inline(always)]
    fn limbs(&self) -> &[W] {
        &self.0
    }
    #[inline(always)]
    fn limbs_mut(&mut self) -> &mut [W] {
        &mut self.0
    }
}
