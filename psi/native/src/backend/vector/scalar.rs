//! Scalars as signed digits. Everything here runs in constant time.
//!
//! A scalar s < l is turned into signed digits by adding a constant: if every digit of
//! s + sum(8 * 16^i) is read as its value minus 8, the sum of digit * 16^i is s again, and every
//! digit lies in [-8, 7]. No carry has to be chased through the digits, so the recoded scalar is
//! four words, and a digit of eight scalars at once is a shift and a mask. The same works in
//! radix 32 with 51 digits in [-16, 15].

use super::word::{LaneMask, LaneValues, Word};
use curve25519_dalek::Scalar;

pub type Words = [u64; 4];

/// l = 2^252 + 27742317777372353535851937790883648493, the order of the group.
const ORDER: Words = [
    0x5812631a5cf5d3ed,
    0x14def9dea2f79cd6,
    0,
    0x1000000000000000,
];
/// 8 * (1 + 16 + ... + 16^63)
const OFFSET16: Words = [0x8888888888888888; 4];
/// 16 * (1 + 32 + ... + 32^50)
const OFFSET32: Words = [
    0x0842108421084210,
    0x1084210842108421,
    0x2108421084210842,
    0x4210842108421084,
];

pub const DIGITS16: usize = 64;
pub const DIGITS32: usize = 51;

fn add(a: &Words, b: &Words) -> Words {
    let mut out = [0; 4];
    let mut carry = 0u128;
    for i in 0..4 {
        let sum = u128::from(a[i]) + u128::from(b[i]) + carry;
        out[i] = sum as u64;
        carry = sum >> 64;
    }
    debug_assert!(carry == 0);
    out
}

/// The words of a reduced scalar.
pub fn words(scalar: &Scalar) -> Words {
    let bytes = scalar.as_bytes();
    let mut out = [0; 4];
    for (word, chunk) in out.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(chunk.try_into().expect("eight bytes"));
    }
    out
}

/// s / 2 mod l: an odd s becomes even by adding l. Below 2^253 in and out.
pub fn half(scalar: &Words) -> Words {
    // Hidden from the optimiser, so that it stays a mask and does not become a branch.
    let odd = core::hint::black_box(0u64.wrapping_sub(scalar[0] & 1));
    let sum = add(scalar, &ORDER.map(|word| word & odd));
    [
        sum[0] >> 1 | sum[1] << 63,
        sum[1] >> 1 | sum[2] << 63,
        sum[2] >> 1 | sum[3] << 63,
        sum[3] >> 1,
    ]
}

/// For `digit16`. The scalar must be below 2^254, so that nothing carries out of 256 bits.
pub fn recode16(scalar: &Words) -> Words {
    add(scalar, &OFFSET16)
}

/// For `digit32`. The scalar must be below 2^254, so that nothing carries out of 255 bits.
pub fn recode32(scalar: &Words) -> Words {
    add(scalar, &OFFSET32)
}

/// One recoded scalar per lane.
pub type LaneScalars = [LaneValues; 4];

/// A signed digit per lane.
pub struct Digit<W: Word> {
    pub magnitude: W,
    pub negative: W::Mask,
}

#[inline(always)]
fn signed<W: Word>(biased: W, bias: u64) -> Digit<W> {
    let bias = W::splat(bias);
    // The top bit of the biased digit is clear exactly for the negative ones.
    let negative = biased.and(bias).equal(W::splat(0));
    let magnitude = W::select(negative, bias.sub(biased), biased.sub(bias));
    Digit {
        magnitude,
        negative,
    }
}

/// Digit `i` of 64, in [-8, 7].
#[inline(always)]
pub fn digit16<W: Word>(scalars: &LaneScalars, i: usize) -> Digit<W> {
    let word = W::load(&scalars[i / 16]);
    signed(word.shr_by(4 * (i as u32 % 16)).and(W::splat(15)), 8)
}

/// Digit `i` of 51, in [-16, 15].
#[inline(always)]
pub fn digit32<W: Word>(scalars: &LaneScalars, i: usize) -> Digit<W> {
    let (index, shift) = (5 * i / 64, 5 * i as u32 % 64);
    let low = W::load(&scalars[index]).shr_by(shift);
    // A digit may straddle two words; a shift by 64 or more gives 0.
    let high = W::load(&scalars[(index + 1).min(3)]).shl_by(64 - shift);
    signed(low.or(high).and(W::splat(31)), 16)
}

/// The lanes in which a digit is not zero.
#[inline(always)]
pub fn nonzero<W: Word>(digit: &Digit<W>) -> W::Mask {
    digit.magnitude.equal(W::splat(0)).not()
}
