//! The vector word: one 64-bit number per lane, and the few instructions the kernel is made of.
//!
//! Field arithmetic and curve formulas are written once over these traits. Three kinds of words
//! implement them: AVX-512 (8 lanes), AVX2 (4 lanes) and, in the tests, an interval per limb that
//! proves that no limb overflows (`interval.rs`).
//!
//! Every method of an implementation is `#[inline(always)]`, so that after inlining the
//! intrinsics end up inside an entry point compiled with the right `#[target_feature]`.

/// Lane values as they are exchanged with ordinary memory. Words with fewer lanes use the first.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct LaneValues(pub [u64; 8]);

/// A set of lanes.
pub trait LaneMask: Copy {
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    fn not(self) -> Self;
    /// Bit `i` says whether lane `i` is in the set. Only for public facts (validity of encodings).
    fn bits(self) -> u32;
}

/// One 64-bit number per lane; arithmetic is modulo 2^64 per lane.
pub trait Word: Copy {
    type Mask: LaneMask;
    const LANES: usize;

    fn splat(value: u64) -> Self;
    fn load(values: &LaneValues) -> Self;
    fn store(self) -> LaneValues;

    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    /// Times 2^N, as arithmetic: nothing may be shifted out (the interval word checks it).
    fn scale<const N: u32>(self) -> Self;
    /// Shift left, as bit packing: the top bits are dropped.
    fn shl<const N: u32>(self) -> Self;
    fn shr<const N: u32>(self) -> Self;
    fn rotate_right<const N: u32>(self) -> Self;
    /// Shift right by a public count that is the same for all lanes; 64 and more give 0.
    fn shr_by(self, count: u32) -> Self;
    /// Shift left by a public count that is the same for all lanes; 64 and more give 0.
    fn shl_by(self, count: u32) -> Self;

    /// `on` in the lanes of `mask`, `off` in the others.
    fn select(mask: Self::Mask, on: Self, off: Self) -> Self;
    fn equal(self, other: Self) -> Self::Mask;

    /// A transposition: lane l of `out[i]` is `memory[at[l]].0[i]`. Public addresses only.
    fn gather8(memory: &[LaneValues], at: &[usize; 8]) -> [Self; 8];
    /// The inverse of `gather8`.
    fn scatter8(columns: &[Self; 8], memory: &mut [LaneValues], at: &[usize; 8]);

    /// a ^ b ^ c
    #[inline(always)]
    fn xor3(a: Self, b: Self, c: Self) -> Self {
        a.xor(b).xor(c)
    }
    /// Bits of `b` where `a` is 1, of `c` where it is 0.
    #[inline(always)]
    fn choose(a: Self, b: Self, c: Self) -> Self {
        c.xor(a.and(b.xor(c)))
    }
    /// The bitwise majority.
    #[inline(always)]
    fn majority(a: Self, b: Self, c: Self) -> Self {
        a.and(b).or(c.and(a.or(b)))
    }
}

/// Words with the 52-bit multiply-add of AVX-512 IFMA. Only the low 52 bits of `a` and `b` count.
pub trait Madd52: Word {
    /// `self + (a * b mod 2^52)`
    fn madd_lo(self, a: Self, b: Self) -> Self;
    /// `self + floor(a * b / 2^52)`
    fn madd_hi(self, a: Self, b: Self) -> Self;
    /// 19 x, all 64 bits of x.
    fn times19(self) -> Self;
    /// `table[index]` per lane, `index` < 16, without an address that depends on it.
    fn lookup16(table: &[LaneValues; 2], index: Self) -> Self;
}

/// Words with a 32 x 32 -> 64 multiplication. Only the low 32 bits of `a` and `b` count.
pub trait Mul32: Word {
    fn mul32(a: Self, b: Self) -> Self;
    /// The value itself, behind a curtain. LLVM knows `mul32` as a 64-bit multiplication of masked
    /// operands. It drops masks that look redundant, because only the low half of the product is
    /// read on or because the operand is known to be small; then, where it cannot see that any
    /// more (in another basic block), it multiplies in full, with three times the instructions.
    fn opaque(self) -> Self;
    /// The functions of the same names in `field_avx2`. A word may keep them out of line: inlined everywhere,
    /// the code of one scalar multiplication does not fit the instruction cache.
    fn product<const BIAS: u64>(a: &[Self; 10], b: &[Self; 10]) -> [Self; 10];
    fn square<const BIAS: u64>(a: &[Self; 10]) -> [Self; 10];
    fn carry(r: &[Self; 10]) -> [Self; 10];
    fn product_carried(a: &[Self; 10], b: &[Self; 10]) -> [Self; 10];
    fn square_carried(a: &[Self; 10]) -> [Self; 10];
    /// `table[index]` per lane, `index` < 16, without an address that depends on it.
    fn lookup16(table: &[[u32; 8]; 2], index: Self) -> Self;
}
