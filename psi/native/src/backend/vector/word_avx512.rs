//! Eight lanes in a 512-bit register.
//!
//! SAFETY, for the whole file: the intrinsics need AVX-512 F/DQ/BW/VL/IFMA. `W8` is private to the
//! vector backend and only ever used below the `#[target_feature]` entry points of `batch.rs`,
//! which are reached only through an `Ifma512` value, and that is constructed only after the
//! processor was asked. Loads and stores go through references to 64-byte arrays.

use super::word::{LaneMask, LaneValues, Madd52, Word};
use core::arch::x86_64::*;

#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct W8(pub __m512i);

#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct M8(pub __mmask8);

impl LaneMask for M8 {
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        M8(self.0 & other.0)
    }
    #[inline(always)]
    fn or(self, other: Self) -> Self {
        M8(self.0 | other.0)
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        M8(self.0 ^ other.0)
    }
    #[inline(always)]
    fn not(self) -> Self {
        M8(!self.0)
    }
    #[inline(always)]
    fn bits(self) -> u32 {
        self.0.into()
    }
}

impl Word for W8 {
    type Mask = M8;
    const LANES: usize = 8;

    #[inline(always)]
    fn splat(value: u64) -> Self {
        // SAFETY: see the head of this file.
        W8(unsafe { _mm512_set1_epi64(value as i64) })
    }
    #[inline(always)]
    fn load(values: &LaneValues) -> Self {
        // SAFETY: see the head of this file; `LaneValues` is 64 bytes, 64-byte aligned.
        W8(unsafe { _mm512_load_si512(values.0.as_ptr().cast()) })
    }
    #[inline(always)]
    fn store(self) -> LaneValues {
        let mut out = LaneValues([0; 8]);
        // SAFETY: see the head of this file; `LaneValues` is 64 bytes, 64-byte aligned.
        unsafe { _mm512_store_si512(out.0.as_mut_ptr().cast(), self.0) };
        out
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see the head of this file.
        W8(unsafe { _mm512_add_epi64(self.0, other.0) })
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: see the head of this file.
        W8(unsafe { _mm512_sub_epi64(self.0, other.0) })
    }
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: see the head of this file.
        W8(unsafe { _mm512_and_si512(self.0, other.0) })
    }
    #[inline(always)]
    fn or(self, other: Self) -> Self {
        // SAFETY: see the head of this file.
        W8(unsafe { _mm512_or_si512(self.0, other.0) })
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: see the head of this file.
        W8(unsafe { _mm512_xor_si512(self.0, other.0) })
    }
    #[inline(always)]
    fn scale<const N: u32>(self) -> Self {
        // SAFETY: see the head of this file.
        W8(unsafe { _mm512_slli_epi64::<N>(self.0) })
    }
    #[inline(always)]
    fn shl<const N: u32>(self) -> Self {
        // SAFETY: see the head of this file.
        W8(unsafe { _mm512_slli_epi64::<N>(self.0) })
    }
    #[inline(always)]
    fn shr<const N: u32>(self) -> Self {
        // SAFETY: see the head of this file.
        W8(unsafe { _mm512_srli_epi64::<N>(self.0) })
    }
    #[inline(always)]
    fn rotate_right<const N: u32>(self) -> Self {
        // The intrinsic takes a signed constant, which a `u32` parameter cannot become on stable
        // Rust; the compiler turns this into one rotation.
        // SAFETY: see the head of this file.
        W8(unsafe {
            let left = _mm_cvtsi32_si128(64 - N as i32);
            _mm512_or_si512(
                _mm512_srli_epi64::<N>(self.0),
                _mm512_sll_epi64(self.0, left),
            )
        })
    }
    #[inline(always)]
    fn shr_by(self, count: u32) -> Self {
        // SAFETY: see the head of this file.
        W8(unsafe { _mm512_srl_epi64(self.0, _mm_cvtsi32_si128(count as i32)) })
    }
    #[inline(always)]
    fn shl_by(self, count: u32) -> Self {
        // SAFETY: see the head of this file.
        W8(unsafe { _mm512_sll_epi64(self.0, _mm_cvtsi32_si128(count as i32)) })
    }
    #[inline(always)]
    fn select(mask: M8, on: Self, off: Self) -> Self {
        // SAFETY: see the head of this file.
        W8(unsafe { _mm512_mask_blend_epi64(mask.0, off.0, on.0) })
    }
    #[inline(always)]
    fn equal(self, other: Self) -> M8 {
        // SAFETY: see the head of this file.
        M8(unsafe { _mm512_cmpeq_epi64_mask(self.0, other.0) })
    }
    #[inline(always)]
    fn gather8(memory: &[LaneValues], at: &[usize; 8]) -> [Self; 8] {
        transpose(&[
            Self::load(&memory[at[0]]),
            Self::load(&memory[at[1]]),
            Self::load(&memory[at[2]]),
            Self::load(&memory[at[3]]),
            Self::load(&memory[at[4]]),
            Self::load(&memory[at[5]]),
            Self::load(&memory[at[6]]),
            Self::load(&memory[at[7]]),
        ])
    }
    #[inline(always)]
    fn scatter8(columns: &[Self; 8], memory: &mut [LaneValues], at: &[usize; 8]) {
        let rows = transpose(columns);
        for i in 0..8 {
            memory[at[i]] = rows[i].store();
        }
    }
    #[inline(always)]
    fn xor3(a: Self, b: Self, c: Self) -> Self {
        // SAFETY: see the head of this file.
        W8(unsafe { _mm512_ternarylogic_epi64::<0x96>(a.0, b.0, c.0) })
    }
    #[inline(always)]
    fn choose(a: Self, b: Self, c: Self) -> Self {
        // SAFETY: see the head of this file.
        W8(unsafe { _mm512_ternarylogic_epi64::<0xca>(a.0, b.0, c.0) })
    }
    #[inline(always)]
    fn majority(a: Self, b: Self, c: Self) -> Self {
        // SAFETY: see the head of this file.
        W8(unsafe { _mm512_ternarylogic_epi64::<0xe8>(a.0, b.0, c.0) })
    }
}

/// out[i] lane j = rows[j] lane i: pairs of numbers first, then 4 x 4 blocks of pairs.
#[inline(always)]
fn transpose(rows: &[W8; 8]) -> [W8; 8] {
    let r = rows;
    // SAFETY: see the head of this file.
    unsafe {
        let even = |a: W8, b: W8| _mm512_unpacklo_epi64(a.0, b.0);
        let odd = |a: W8, b: W8| _mm512_unpackhi_epi64(a.0, b.0);
        let (e0, e1, e2, e3) = (
            even(r[0], r[1]),
            even(r[2], r[3]),
            even(r[4], r[5]),
            even(r[6], r[7]),
        );
        let (o0, o1, o2, o3) = (
            odd(r[0], r[1]),
            odd(r[2], r[3]),
            odd(r[4], r[5]),
            odd(r[6], r[7]),
        );
        // Blocks 0 and 2, or 1 and 3, of two registers.
        let (ea, eb) = (
            _mm512_shuffle_i64x2::<0x88>(e0, e1),
            _mm512_shuffle_i64x2::<0x88>(e2, e3),
        );
        let (ec, ed) = (
            _mm512_shuffle_i64x2::<0xdd>(e0, e1),
            _mm512_shuffle_i64x2::<0xdd>(e2, e3),
        );
        let (oa, ob) = (
            _mm512_shuffle_i64x2::<0x88>(o0, o1),
            _mm512_shuffle_i64x2::<0x88>(o2, o3),
        );
        let (oc, od) = (
            _mm512_shuffle_i64x2::<0xdd>(o0, o1),
            _mm512_shuffle_i64x2::<0xdd>(o2, o3),
        );
        [
            W8(_mm512_shuffle_i64x2::<0x88>(ea, eb)),
            W8(_mm512_shuffle_i64x2::<0x88>(oa, ob)),
            W8(_mm512_shuffle_i64x2::<0x88>(ec, ed)),
            W8(_mm512_shuffle_i64x2::<0x88>(oc, od)),
            W8(_mm512_shuffle_i64x2::<0xdd>(ea, eb)),
            W8(_mm512_shuffle_i64x2::<0xdd>(oa, ob)),
            W8(_mm512_shuffle_i64x2::<0xdd>(ec, ed)),
            W8(_mm512_shuffle_i64x2::<0xdd>(oc, od)),
        ]
    }
}

impl Madd52 for W8 {
    #[inline(always)]
    fn madd_lo(self, a: Self, b: Self) -> Self {
        // SAFETY: see the head of this file.
        W8(unsafe { _mm512_madd52lo_epu64(self.0, a.0, b.0) })
    }
    #[inline(always)]
    fn madd_hi(self, a: Self, b: Self) -> Self {
        // SAFETY: see the head of this file.
        W8(unsafe { _mm512_madd52hi_epu64(self.0, a.0, b.0) })
    }
    #[inline(always)]
    fn times19(self) -> Self {
        // SAFETY: see the head of this file.
        W8(unsafe { _mm512_mullo_epi64(self.0, _mm512_set1_epi64(19)) })
    }
    #[inline(always)]
    fn lookup16(table: &[LaneValues; 2], index: Self) -> Self {
        let (low, high) = (Self::load(&table[0]), Self::load(&table[1]));
        // SAFETY: see the head of this file.
        W8(unsafe { _mm512_permutex2var_epi64(low.0, index.0, high.0) })
    }
}
