//! Four lanes in a 256-bit register.
//!
//! SAFETY, for the whole file: the intrinsics need AVX2. `W4` is private to the vector backend and
//! only ever used below the `#[target_feature]` entry points of `engine.rs`, which are reached
//! only through a backend that is constructed after the processor was asked. Loads and stores go
//! through references to 64-byte arrays.

use super::word::{LaneMask, LaneValues, Mul32, Word};
use core::arch::x86_64::*;

#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct W4(pub __m256i);

/// All bits of a lane are set if it belongs to the set, none otherwise.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct M4(pub __m256i);

impl LaneMask for M4 {
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: see the head of this file.
        M4(unsafe { _mm256_and_si256(self.0, other.0) })
    }
    #[inline(always)]
    fn or(self, other: Self) -> Self {
        // SAFETY: see the head of this file.
        M4(unsafe { _mm256_or_si256(self.0, other.0) })
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: see the head of this file.
        M4(unsafe { _mm256_xor_si256(self.0, other.0) })
    }
    #[inline(always)]
    fn not(self) -> Self {
        // SAFETY: see the head of this file.
        M4(unsafe { _mm256_xor_si256(self.0, _mm256_set1_epi64x(-1)) })
    }
    #[inline(always)]
    fn bits(self) -> u32 {
        // SAFETY: see the head of this file.
        unsafe { _mm256_movemask_pd(_mm256_castsi256_pd(self.0)) as u32 }
    }
}

impl Word for W4 {
    type Mask = M4;
    const LANES: usize = 4;

    #[inline(always)]
    fn splat(value: u64) -> Self {
        // SAFETY: see the head of this file.
        W4(unsafe { _mm256_set1_epi64x(value as i64) })
    }
    #[inline(always)]
    fn load(values: &LaneValues) -> Self {
        // SAFETY: see the head of this file.
        W4(unsafe { _mm256_load_si256(values.0.as_ptr().cast()) })
    }
    #[inline(always)]
    fn store(self) -> LaneValues {
        let mut out = LaneValues([0; 8]);
        // SAFETY: see the head of this file; `LaneValues` is 64 bytes, 64-byte aligned.
        unsafe { _mm256_store_si256(out.0.as_mut_ptr().cast(), self.0) };
        out
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see the head of this file.
        W4(unsafe { _mm256_add_epi64(self.0, other.0) })
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: see the head of this file.
        W4(unsafe { _mm256_sub_epi64(self.0, other.0) })
    }
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: see the head of this file.
        W4(unsafe { _mm256_and_si256(self.0, other.0) })
    }
    #[inline(always)]
    fn or(self, other: Self) -> Self {
        // SAFETY: see the head of this file.
        W4(unsafe { _mm256_or_si256(self.0, other.0) })
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: see the head of this file.
        W4(unsafe { _mm256_xor_si256(self.0, other.0) })
    }
    // The immediate forms take a signed constant, which a `u32` parameter cannot become on stable
    // Rust; with a constant count the compiler makes immediate shifts of these.
    #[inline(always)]
    fn scale<const N: u32>(self) -> Self {
        // SAFETY: see the head of this file.
        W4(unsafe { _mm256_sll_epi64(self.0, _mm_cvtsi32_si128(N as i32)) })
    }
    #[inline(always)]
    fn shl<const N: u32>(self) -> Self {
        // SAFETY: see the head of this file.
        W4(unsafe { _mm256_sll_epi64(self.0, _mm_cvtsi32_si128(N as i32)) })
    }
    #[inline(always)]
    fn shr<const N: u32>(self) -> Self {
        // SAFETY: see the head of this file.
        W4(unsafe { _mm256_srl_epi64(self.0, _mm_cvtsi32_si128(N as i32)) })
    }
    #[inline(always)]
    fn rotate_right<const N: u32>(self) -> Self {
        let left = 64 - N;
        self.shr::<N>().or(self.shl_by(left))
    }
    #[inline(always)]
    fn shr_by(self, count: u32) -> Self {
        // SAFETY: see the head of this file.
        W4(unsafe { _mm256_srl_epi64(self.0, _mm_cvtsi32_si128(count as i32)) })
    }
    #[inline(always)]
    fn shl_by(self, count: u32) -> Self {
        // SAFETY: see the head of this file.
        W4(unsafe { _mm256_sll_epi64(self.0, _mm_cvtsi32_si128(count as i32)) })
    }
    #[inline(always)]
    fn select(mask: M4, on: Self, off: Self) -> Self {
        // SAFETY: see the head of this file.
        W4(unsafe { _mm256_blendv_epi8(off.0, on.0, mask.0) })
    }
    #[inline(always)]
    fn gather8(memory: &[LaneValues], at: &[usize; 8]) -> [Self; 8] {
        let half = |at: usize, offset: usize| {
            // SAFETY: see the head of this file; half of a `LaneValues`.
            W4(unsafe { _mm256_load_si256(memory[at].0[offset..offset + 4].as_ptr().cast()) })
        };
        let low = transpose(&[
            half(at[0], 0),
            half(at[1], 0),
            half(at[2], 0),
            half(at[3], 0),
        ]);
        let high = transpose(&[
            half(at[0], 4),
            half(at[1], 4),
            half(at[2], 4),
            half(at[3], 4),
        ]);
        [
            low[0], low[1], low[2], low[3], high[0], high[1], high[2], high[3],
        ]
    }
    #[inline(always)]
    fn scatter8(columns: &[Self; 8], memory: &mut [LaneValues], at: &[usize; 8]) {
        let c = columns;
        let low = transpose(&[c[0], c[1], c[2], c[3]]);
        let high = transpose(&[c[4], c[5], c[6], c[7]]);
        for lane in 0..4 {
            let (to, rest) = memory[at[lane]].0.split_at_mut(4);
            // SAFETY: see the head of this file; both halves of a `LaneValues`.
            unsafe {
                _mm256_store_si256(to.as_mut_ptr().cast(), low[lane].0);
                _mm256_store_si256(rest.as_mut_ptr().cast(), high[lane].0);
            }
        }
    }
    #[inline(always)]
    fn equal(self, other: Self) -> M4 {
        // SAFETY: see the head of this file.
        M4(unsafe { _mm256_cmpeq_epi64(self.0, other.0) })
    }
}

/// out[i] lane j = rows[j] lane i.
#[inline(always)]
fn transpose(rows: &[W4; 4]) -> [W4; 4] {
    let r = rows;
    // SAFETY: see the head of this file.
    unsafe {
        let even01 = _mm256_unpacklo_epi64(r[0].0, r[1].0);
        let odd01 = _mm256_unpackhi_epi64(r[0].0, r[1].0);
        let even23 = _mm256_unpacklo_epi64(r[2].0, r[3].0);
        let odd23 = _mm256_unpackhi_epi64(r[2].0, r[3].0);
        [
            W4(_mm256_permute2x128_si256::<0x20>(even01, even23)),
            W4(_mm256_permute2x128_si256::<0x20>(odd01, odd23)),
            W4(_mm256_permute2x128_si256::<0x31>(even01, even23)),
            W4(_mm256_permute2x128_si256::<0x31>(odd01, odd23)),
        ]
    }
}

/// In a function of its own because the register class needs the feature where it is named.
#[target_feature(enable = "avx2")]
#[inline]
fn opaque(mut value: __m256i) -> __m256i {
    // SAFETY: no instructions.
    unsafe {
        core::arch::asm!("/* {0} */", inout(ymm_reg) value,
            options(pure, nomem, nostack, preserves_flags));
    }
    value
}

/// Functions that stay out of line. `#[inline(never)]` has no effect on a function that has a
/// `#[target_feature]` (Rust 1.95), so the calls go through one that has none.
macro_rules! out_of_line {
    ($name:ident $([$bias:ident])?, $($arg:ident),*) => {
        #[inline(never)]
        fn $name $(<const $bias: u64>)? ($($arg: &[W4; 10]),*) -> [W4; 10] {
            #[target_feature(enable = "avx2")]
            fn featured $(<const $bias: u64>)? ($($arg: &[W4; 10]),*) -> [W4; 10] {
                super::field_avx2::$name::<W4 $(, $bias)?>($($arg),*)
            }
            // SAFETY: see the head of this file.
            unsafe { featured $(::<$bias>)? ($($arg),*) }
        }
    };
}

/// A copy, spelt out. Left to the compiler it is a call of `memcpy`, whose 64-byte loads have to
/// wait for the 32-byte stores that they overlap: that took more time than the multiplications.
#[inline(always)]
fn limb_by_limb(x: &[W4; 10]) -> [W4; 10] {
    [x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], x[8], x[9]]
}

out_of_line!(product[BIAS], a, b);
out_of_line!(square[BIAS], a);
out_of_line!(carry, r);
out_of_line!(product_carried, a, b);
out_of_line!(square_carried, a);

impl Mul32 for W4 {
    #[inline(always)]
    fn mul32(a: Self, b: Self) -> Self {
        // SAFETY: see the head of this file.
        W4(unsafe { _mm256_mul_epu32(a.0, b.0) })
    }
    #[inline(always)]
    fn opaque(self) -> Self {
        // SAFETY: see the head of this file.
        W4(unsafe { opaque(self.0) })
    }
    #[inline(always)]
    fn product<const BIAS: u64>(a: &[Self; 10], b: &[Self; 10]) -> [Self; 10] {
        limb_by_limb(&product::<BIAS>(a, b))
    }
    #[inline(always)]
    fn square<const BIAS: u64>(a: &[Self; 10]) -> [Self; 10] {
        limb_by_limb(&square::<BIAS>(a))
    }
    #[inline(always)]
    fn carry(r: &[Self; 10]) -> [Self; 10] {
        limb_by_limb(&carry(r))
    }
    #[inline(always)]
    fn product_carried(a: &[Self; 10], b: &[Self; 10]) -> [Self; 10] {
        limb_by_limb(&product_carried(a, b))
    }
    #[inline(always)]
    fn square_carried(a: &[Self; 10]) -> [Self; 10] {
        limb_by_limb(&square_carried(a))
    }
    #[inline(always)]
    fn lookup16(table: &[[u32; 8]; 2], index: Self) -> Self {
        let seven = Self::splat(7);
        // SAFETY: see the head of this file; the tables are 32 bytes each, loaded unaligned.
        let (low, high) = unsafe {
            let low = _mm256_loadu_si256(table[0].as_ptr().cast());
            let high = _mm256_loadu_si256(table[1].as_ptr().cast());
            // Bits 0..2 of each 32-bit half choose; the upper half of a lane chooses entry 0,
            // which the mask below removes.
            (
                W4(_mm256_permutevar8x32_epi32(low, index.0)),
                W4(_mm256_permutevar8x32_epi32(high, index.0)),
            )
        };
        let in_low = index.and(seven).equal(index);
        Self::select(in_low, low, high).and(Self::splat(0xffff_ffff))
    }
}
