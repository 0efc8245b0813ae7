//! GF(2^255 - 19) in ten limbs of alternately 26 and 25 bits (radix 2^25.5), for words with a
//! 32 x 32 -> 64 multiplication: limb i has weight 2^ceil(25.5 i), as in Bernstein's ref10.
//!
//! Bounds. *Reduced*: even limbs < 2^26 + 4, odd ones < 2^25 + 2^13 (`REDUCED_MAX`). *Factor*: up
//! to three times that (`sub_factor`: a + 2p - b), so that 19 times it stays below 2^32. A product
//! of reduced elements is *plain*: even columns < 125 * 2^52, odd ones < 154 * 2^51; one of factors
//! counts as up to nine. *Wide*: every limb < 2^63 + 2^62.

use super::field::Field;
use super::word::{Mul32, Word};

/// Largest even and odd limb of a reduced element.
#[cfg(test)]
pub const REDUCED_MAX: [u64; 2] = [(1 << 26) + 4, (1 << 25) + (1 << 13)];

/// Bits of limb i, and where its lowest one stands.
const WIDTH: [u32; 10] = [26, 25, 26, 25, 26, 25, 26, 25, 26, 25];
const POSITION: [u32; 10] = [0, 26, 51, 77, 102, 128, 153, 179, 204, 230];

/// One unit of bias as a multiple of p: exceeds four plain products.
const BIAS_UNIT: u64 = 3 << 34;

/// `n` p, limb by limb: the limbs are n times those of p, not carried.
const fn multiple_of_p(n: u64) -> [u64; 10] {
    let mut limbs = [0; 10];
    let mut i = 0;
    while i < 10 {
        limbs[i] = ((1 << WIDTH[i]) - 1) * n;
        i += 1;
    }
    limbs[0] -= 18 * n;
    limbs
}

/// Reduced element, one per lane.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Fe25<W>(pub [W; 10]);

/// Uncarried element, one per lane.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Wide25<W>(pub [W; 10]);

/// Sixteen constants, limb by limb, ready for `lookup`.
#[derive(Clone)]
#[repr(C)]
pub struct Row25([[[u32; 8]; 2]; 10]);

/// start + a sum of products.
macro_rules! dot {
    ($start:expr, $($a:ident $b:ident),*) => {{
        let sum = $start;
        $(let sum = sum.add(W::mul32($a, $b));)*
        sum
    }};
}

/// a b + BIAS units, schoolbook. Limb i has weight 2^ceil(25.5 i), so a product of two odd limbs counts
/// twice (d: doubled), and what reaches 2^255 comes back 19-fold (n).
/// Column 0 of reduced elements is the largest: (1 + 4 * 19) 2^52 + 5 * 2 * 19 * 2^50 < 125 * 2^52.
#[inline(always)]
pub fn product<W: Mul32, const BIAS: u64>(a: &[W; 10], b: &[W; 10]) -> [W; 10] {
    let start: [W; 10] = splat(&multiple_of_p(BIAS * BIAS_UNIT));
    let [a0, a1, a2, a3, a4, a5, a6, a7, a8, a9] = *a;
    let [b0, b1, b2, b3, b4, b5, b6, b7, b8, b9] = *b;
    let (d1, d3, d5, d7, d9) = (a1.add(a1), a3.add(a3), a5.add(a5), a7.add(a7), a9.add(a9));
    let nineteen = W::splat(19);
    let n1 = W::mul32(b1, nineteen).opaque();
    let n2 = W::mul32(b2, nineteen).opaque();
    let n3 = W::mul32(b3, nineteen).opaque();
    let n4 = W::mul32(b4, nineteen).opaque();
    let n5 = W::mul32(b5, nineteen).opaque();
    let n6 = W::mul32(b6, nineteen).opaque();
    let n7 = W::mul32(b7, nineteen).opaque();
    let n8 = W::mul32(b8, nineteen).opaque();
    let n9 = W::mul32(b9, nineteen).opaque();
    [
        dot!(start[0], a0 b0, d1 n9, a2 n8, d3 n7, a4 n6, d5 n5, a6 n4, d7 n3, a8 n2, d9 n1),
        dot!(start[1], a0 b1, a1 b0, a2 n9, a3 n8, a4 n7, a5 n6, a6 n5, a7 n4, a8 n3, a9 n2),
        dot!(start[2], a0 b2, d1 b1, a2 b0, d3 n9, a4 n8, d5 n7, a6 n6, d7 n5, a8 n4, d9 n3),
        dot!(start[3], a0 b3, a1 b2, a2 b1, a3 b0, a4 n9, a5 n8, a6 n7, a7 n6, a8 n5, a9 n4),
        dot!(start[4], a0 b4, d1 b3, a2 b2, d3 b1, a4 b0, d5 n9, a6 n8, d7 n7, a8 n6, d9 n5),
        dot!(start[5], a0 b5, a1 b4, a2 b3, a3 b2, a4 b1, a5 b0, a6 n9, a7 n8, a8 n7, a9 n6),
        dot!(start[6], a0 b6, d1 b5, a2 b4, d3 b3, a4 b2, d5 b1, a6 b0, d7 n9, a8 n8, d9 n7),
        dot!(start[7], a0 b7, a1 b6, a2 b5, a3 b4, a4 b3, a5 b2, a6 b1, a7 b0, a8 n9, a9 n8),
        dot!(start[8], a0 b8, d1 b7, a2 b6, d3 b5, a4 b4, d5 b3, a6 b2, d7 b1, a8 b0, d9 n9),
        dot!(start[9], a0 b9, a1 b8, a2 b7, a3 b6, a4 b5, a5 b4, a6 b3, a7 b2, a8 b1, a9 b0),
    ]
}

/// a^2 + BIAS units, as `product`: mixed terms count twice (d), or four times (q) if both are odd.
#[inline(always)]
pub fn square<W: Mul32, const BIAS: u64>(a: &[W; 10]) -> [W; 10] {
    let start: [W; 10] = splat(&multiple_of_p(BIAS * BIAS_UNIT));
    let [a0, a1, a2, a3, a4, a5, a6, a7, a8, a9] = *a;
    let d0 = a0.add(a0);
    let d1 = a1.add(a1);
    let d2 = a2.add(a2);
    let d3 = a3.add(a3);
    let d4 = a4.add(a4);
    let d5 = a5.add(a5);
    let d6 = a6.add(a6);
    let d7 = a7.add(a7);
    let d8 = a8.add(a8);
    let d9 = a9.add(a9);
    let q1 = d1.add(d1);
    let q3 = d3.add(d3);
    let q5 = d5.add(d5);
    let q7 = d7.add(d7);
    let nineteen = W::splat(19);
    let n5 = W::mul32(a5, nineteen).opaque();
    let n6 = W::mul32(a6, nineteen).opaque();
    let n7 = W::mul32(a7, nineteen).opaque();
    let n8 = W::mul32(a8, nineteen).opaque();
    let n9 = W::mul32(a9, nineteen).opaque();
    [
        dot!(start[0], a0 a0, q1 n9, d2 n8, q3 n7, d4 n6, d5 n5),
        dot!(start[1], d0 a1, d2 n9, d3 n8, d4 n7, d5 n6),
        dot!(start[2], d0 a2, d1 a1, q3 n9, d4 n8, q5 n7, a6 n6),
        dot!(start[3], d0 a3, d1 a2, d4 n9, d5 n8, d6 n7),
        dot!(start[4], d0 a4, q1 a3, a2 a2, q5 n9, d6 n8, d7 n7),
        dot!(start[5], d0 a5, d1 a4, d2 a3, d6 n9, d7 n8),
        dot!(start[6], d0 a6, q1 a5, d2 a4, d3 a3, q7 n9, a8 n8),
        dot!(start[7], d0 a7, d1 a6, d2 a5, d3 a4, d8 n9),
        dot!(start[8], d0 a8, q1 a7, d2 a6, q3 a5, a4 a4, d9 n9),
        dot!(start[9], d0 a9, d1 a8, d2 a7, d3 a6, d4 a5),
    ]
}

/// The low bits of limb i, and what goes to the next.
#[inline(always)]
fn split_limb<W: Word>(x: W, i: usize) -> (W, W) {
    let low = x.and(W::splat((1 << WIDTH[i]) - 1));
    (
        low,
        if WIDTH[i] == 26 {
            x.shr::<26>()
        } else {
            x.shr::<25>()
        },
    )
}

/// Two interleaved carry chains, 0 to 4 and 4 to 9 and around, as in ref10. Wide in, reduced out:
/// the carry out of limb 9 is below 2^39, 19 times it below 2^43.3, and what that hands on to limb 1
/// below 2^18, hence the last step. Limb 5 keeps a carry below 2^13.
#[inline(always)]
pub fn carry<W: Mul32>(r: &[W; 10]) -> [W; 10] {
    let mut r = *r;
    let mut c;
    macro_rules! pass {
        ($($i:literal)*) => { $(
            (r[$i], c) = split_limb(r[$i], $i);
            r[$i + 1] = r[$i + 1].add(c);
        )* };
    }
    pass!(0 4 1 5 2 6 3 7 4 8);
    (r[9], c) = split_limb(r[9], 9);
    // 19 c, with additions: c may have more than 32 bits. (Left to itself, LLVM multiplies.)
    r[0] = r[0]
        .add(c.scale::<4>())
        .opaque()
        .add(c.scale::<1>())
        .opaque()
        .add(c);
    pass!(0 1);
    [
        r[0].opaque(),
        r[1].opaque(),
        r[2].opaque(),
        r[3].opaque(),
        r[4].opaque(),
        r[5].opaque(),
        r[6].opaque(),
        r[7].opaque(),
        r[8].opaque(),
        r[9].opaque(),
    ]
}

/// a b, reduced.
#[inline(always)]
pub fn product_carried<W: Mul32>(a: &[W; 10], b: &[W; 10]) -> [W; 10] {
    carry(&product::<W, 0>(a, b))
}

/// a^2, reduced.
#[inline(always)]
pub fn square_carried<W: Mul32>(a: &[W; 10]) -> [W; 10] {
    carry(&square::<W, 0>(a))
}

/// `[f(0), ..., f(9)]`, unrolled by construction.
macro_rules! limbs {
    ($i:ident => $e:expr) => {
        limbs!(@ $i $e; 0 1 2 3 4 5 6 7 8 9)
    };
    (@ $i:ident $e:expr; $($n:literal)*) => {
        [$({ #[allow(non_upper_case_globals)] const $i: usize = $n; $e }),*]
    };
}

#[inline(always)]
fn splat<W: Word>(x: &[u64; 10]) -> [W; 10] {
    limbs!(i => W::splat(x[i]))
}

#[inline(always)]
fn add<W: Word>(a: &[W; 10], b: &[W; 10]) -> [W; 10] {
    limbs!(i => a[i].add(b[i]))
}

#[inline(always)]
fn sub<W: Word>(a: &[W; 10], b: &[W; 10]) -> [W; 10] {
    limbs!(i => a[i].sub(b[i]))
}

/// The ten limbs of a constant below 2^255.
fn split(w: &[u64; 4]) -> [u64; 10] {
    let mut out = [0; 10];
    for ((out, at), width) in out.iter_mut().zip(POSITION).zip(WIDTH) {
        let (word, shift) = ((at / 64) as usize, at % 64);
        let mut bits = w[word] >> shift;
        if shift + width > 64 {
            bits |= w[word + 1] << (64 - shift);
        }
        *out = bits & ((1 << width) - 1);
    }
    out
}

impl<W: Mul32> Field for Fe25<W> {
    type Word = W;
    type Mask = W::Mask;
    type Wide = Wide25<W>;
    type Row = Row25;

    #[inline(always)]
    fn zero() -> Self {
        Fe25(splat(&[0; 10]))
    }
    #[inline(always)]
    fn one() -> Self {
        Fe25(splat(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
    }
    #[inline(always)]
    fn constant(w: [u64; 4]) -> Self {
        Fe25(splat(&split(&w)))
    }
    #[inline(always)]
    fn from_words(w: &[W; 4]) -> Self {
        let even = |x: W| x.and(W::splat((1 << 26) - 1)).opaque();
        let odd = |x: W| x.and(W::splat((1 << 25) - 1)).opaque();
        Fe25([
            even(w[0]),
            odd(w[0].shr::<26>()),
            even(w[0].shr::<51>().or(w[1].shl::<13>())),
            odd(w[1].shr::<13>()),
            even(w[1].shr::<38>()),
            odd(w[2]),
            even(w[2].shr::<25>()),
            odd(w[2].shr::<51>().or(w[3].shl::<13>())),
            even(w[3].shr::<12>()),
            odd(w[3].shr::<38>()),
        ])
    }
    /// A reduced element is below 2p, so at most one p has to go. It has to if adding 19 carries
    /// out of bit 255.
    #[inline(always)]
    fn to_words(&self) -> [W; 4] {
        let mut r = self.0;
        let mut over = W::splat(19);
        let mut low;
        for (i, limb) in r.iter().enumerate() {
            (_, over) = split_limb(limb.add(over), i);
        }
        r[0] = r[0].add(W::mul32(over, W::splat(19)));
        for i in 0..9 {
            (low, over) = split_limb(r[i], i);
            r[i] = low;
            r[i + 1] = r[i + 1].add(over);
        }
        (r[9], _) = split_limb(r[9], 9);
        [
            r[0].or(r[1].shl::<26>()).or(r[2].shl::<51>()),
            r[2].shr::<13>().or(r[3].shl::<13>()).or(r[4].shl::<38>()),
            r[5].or(r[6].shl::<25>()).or(r[7].shl::<51>()),
            r[7].shr::<13>().or(r[8].shl::<12>()).or(r[9].shl::<38>()),
        ]
    }

    #[inline(always)]
    fn mul_wide<const BIAS: u64>(a: &Self, b: &Self) -> Wide25<W> {
        Wide25(W::product::<BIAS>(&a.0, &b.0))
    }
    #[inline(always)]
    fn square_wide<const BIAS: u64>(a: &Self) -> Wide25<W> {
        Wide25(W::square::<BIAS>(&a.0))
    }
    #[inline(always)]
    fn widen(a: &Self) -> Wide25<W> {
        Wide25(a.0)
    }
    #[inline(always)]
    fn widen_biased(a: &Self) -> Wide25<W> {
        Wide25(add(&a.0, &splat(&multiple_of_p(BIAS_UNIT))))
    }
    #[inline(always)]
    fn wide_add(a: &Wide25<W>, b: &Wide25<W>) -> Wide25<W> {
        Wide25(add(&a.0, &b.0))
    }
    #[inline(always)]
    fn wide_sub(a: &Wide25<W>, b: &Wide25<W>) -> Wide25<W> {
        Wide25(sub(&a.0, &b.0))
    }
    #[inline(always)]
    fn carry(a: &Wide25<W>) -> Self {
        Fe25(W::carry(&a.0))
    }

    #[inline(always)]
    fn mul(a: &Self, b: &Self) -> Self {
        Fe25(W::product_carried(&a.0, &b.0))
    }
    #[inline(always)]
    fn square(a: &Self) -> Self {
        Fe25(W::square_carried(&a.0))
    }
    #[inline(always)]
    fn add(a: &Self, b: &Self) -> Self {
        Fe25(W::carry(&add(&a.0, &b.0)))
    }
    #[inline(always)]
    fn sub(a: &Self, b: &Self) -> Self {
        Fe25(W::carry(&add(&a.0, &sub(&splat(&multiple_of_p(2)), &b.0))))
    }
    #[inline(always)]
    fn add_factor(a: &Self, b: &Self) -> Self {
        Fe25(add(&a.0, &b.0))
    }
    #[inline(always)]
    fn sub_factor(a: &Self, b: &Self) -> Self {
        Fe25(add(&a.0, &sub(&splat(&multiple_of_p(2)), &b.0)))
    }
    #[inline(always)]
    fn negate_factor(a: &Self) -> Self {
        Fe25(sub(&splat(&multiple_of_p(2)), &a.0))
    }
    #[inline(always)]
    fn select(mask: W::Mask, on: &Self, off: &Self) -> Self {
        Fe25(limbs!(i => W::select(mask, on.0[i], off.0[i])))
    }

    fn row(entries: &[[u64; 4]; 16]) -> Row25 {
        let mut row = [[[0; 8]; 2]; 10];
        for (i, words) in entries.iter().enumerate() {
            for (limb, value) in row.iter_mut().zip(split(words)) {
                limb[i / 8][i % 8] = value as u32;
            }
        }
        Row25(row)
    }
    #[inline(always)]
    fn lookup(row: &Row25, index: W) -> Self {
        Fe25(limbs!(i => W::lookup16(&row.0[i], index)))
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
