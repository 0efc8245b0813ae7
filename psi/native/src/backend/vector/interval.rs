//! The limb-bound argument, checked by running the kernel's own code on intervals.
//!
//! `Interval` is a word whose value is not a number but all numbers between two bounds. Every
//! operation computes the bounds of its result and asserts that nothing overflows 64 bits, that no
//! subtraction can borrow, and that the factors of a 52-bit (32-bit) multiplication have at most
//! 52 (32) bits. The tests start each formula with elements whose limbs are anything a *reduced*
//! element may have, and check that what comes out is reduced again. By induction, no sequence of
//! these formulas on any input can overflow.

use super::constants::*;
use super::engine::body;
use super::field::Field;
use super::field_avx2::{self, Fe25};
use super::field_ifma::{self, Fe51};
use super::point::{Affine, Augend, Cached, Completed, Extended, Projective};
use super::power;
use super::ristretto::{Decode, DoubleEncode, Encode, Map};
use super::word::{LaneMask, LaneValues, Madd52, Mul32, Word};

/// All numbers from `low` to `high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interval {
    low: u64,
    high: u64,
}

const ANY: Interval = Interval {
    low: 0,
    high: u64::MAX,
};

impl Interval {
    fn checked(low: u128, high: u128) -> Self {
        assert!(low <= high);
        let high = u64::try_from(high).expect("a limb overflows 64 bits");
        Interval {
            low: low as u64,
            high,
        }
    }
    fn up_to(high: u64) -> Self {
        Interval { low: 0, high }
    }
    fn union(self, other: Self) -> Self {
        Interval {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
        }
    }
    /// The largest number with as many bits as the upper bound.
    fn all_bits(self) -> u64 {
        u64::MAX.checked_shr(self.high.leading_zeros()).unwrap_or(0)
    }
}

/// Comparisons of intervals can come out either way, so a selection is a union.
#[derive(Clone, Copy)]
struct Either;

impl LaneMask for Either {
    fn and(self, _: Self) -> Self {
        Either
    }
    fn or(self, _: Self) -> Self {
        Either
    }
    fn xor(self, _: Self) -> Self {
        Either
    }
    fn not(self) -> Self {
        Either
    }
    fn bits(self) -> u32 {
        unreachable!("intervals have no lanes")
    }
}

impl Word for Interval {
    type Mask = Either;
    const LANES: usize = 1;

    fn splat(value: u64) -> Self {
        Interval {
            low: value,
            high: value,
        }
    }
    fn load(_: &LaneValues) -> Self {
        ANY
    }
    fn store(self) -> LaneValues {
        LaneValues([0; 8])
    }
    fn add(self, other: Self) -> Self {
        let sum = |a, b| u128::from(a) + u128::from(b);
        Self::checked(sum(self.low, other.low), sum(self.high, other.high))
    }
    fn sub(self, other: Self) -> Self {
        assert!(self.low >= other.high, "{self:x?} - {other:x?} can borrow");
        Interval {
            low: self.low - other.high,
            high: self.high - other.low,
        }
    }
    fn and(self, other: Self) -> Self {
        if other.low == other.high && other.high == other.all_bits() && self.high <= other.high {
            return self;
        }
        Self::up_to(self.high.min(other.high))
    }
    fn or(self, other: Self) -> Self {
        Self::up_to(self.all_bits() | other.all_bits())
    }
    fn xor(self, other: Self) -> Self {
        self.or(other)
    }
    fn scale<const N: u32>(self) -> Self {
        Self::checked(u128::from(self.low) << N, u128::from(self.high) << N)
    }
    fn shl<const N: u32>(self) -> Self {
        if self.high.leading_zeros() >= N {
            Interval {
                low: self.low << N,
                high: self.high << N,
            }
        } else {
            ANY
        }
    }
    fn shr<const N: u32>(self) -> Self {
        Interval {
            low: self.low >> N,
            high: self.high >> N,
        }
    }
    fn rotate_right<const N: u32>(self) -> Self {
        ANY
    }
    fn shr_by(self, count: u32) -> Self {
        Self::up_to(self.high.checked_shr(count).unwrap_or(0))
    }
    fn shl_by(self, _: u32) -> Self {
        ANY
    }
    fn select(_: Either, on: Self, off: Self) -> Self {
        on.union(off)
    }
    fn equal(self, _: Self) -> Either {
        Either
    }
    fn gather8(_: &[LaneValues], _: &[usize; 8]) -> [Self; 8] {
        unreachable!("intervals have no lanes")
    }
    fn scatter8(_: &[Self; 8], _: &mut [LaneValues], _: &[usize; 8]) {
        unreachable!("intervals have no lanes")
    }
}

impl Madd52 for Interval {
    fn madd_lo(self, a: Self, b: Self) -> Self {
        assert!(
            a.high >> 52 == 0 && b.high >> 52 == 0,
            "factor too large: {a:x?} {b:x?}"
        );
        let product = u128::from(a.high) * u128::from(b.high);
        let low_half = if product >> 52 == 0 {
            Interval {
                low: a.low * b.low,
                high: product as u64,
            }
        } else {
            Self::up_to((1 << 52) - 1)
        };
        self.add(low_half)
    }
    fn madd_hi(self, a: Self, b: Self) -> Self {
        assert!(
            a.high >> 52 == 0 && b.high >> 52 == 0,
            "factor too large: {a:x?} {b:x?}"
        );
        let half = |a, b| (u128::from(a) * u128::from(b)) >> 52;
        self.add(Self::checked(half(a.low, b.low), half(a.high, b.high)))
    }
    fn times19(self) -> Self {
        Self::checked(19 * u128::from(self.low), 19 * u128::from(self.high))
    }
    fn lookup16(table: &[LaneValues; 2], _: Self) -> Self {
        let entries = table.iter().flat_map(|half| half.0).map(Self::splat);
        entries.reduce(Self::union).expect("sixteen entries")
    }
}

impl Mul32 for Interval {
    fn mul32(a: Self, b: Self) -> Self {
        assert!(
            a.high >> 32 == 0 && b.high >> 32 == 0,
            "factor too large: {a:x?} {b:x?}"
        );
        Interval {
            low: a.low * b.low,
            high: a.high * b.high,
        }
    }
    fn opaque(self) -> Self {
        self
    }
    fn product<const BIAS: u64>(a: &[Self; 10], b: &[Self; 10]) -> [Self; 10] {
        field_avx2::product::<Self, BIAS>(a, b)
    }
    fn square<const BIAS: u64>(a: &[Self; 10]) -> [Self; 10] {
        field_avx2::square::<Self, BIAS>(a)
    }
    fn carry(r: &[Self; 10]) -> [Self; 10] {
        field_avx2::carry(r)
    }
    fn product_carried(a: &[Self; 10], b: &[Self; 10]) -> [Self; 10] {
        field_avx2::product_carried(a, b)
    }
    fn square_carried(a: &[Self; 10]) -> [Self; 10] {
        field_avx2::square_carried(a)
    }
    fn lookup16(table: &[[u32; 8]; 2], _: Self) -> Self {
        let entries = table
            .iter()
            .flatten()
            .map(|entry| Self::splat(u64::from(*entry)));
        entries.reduce(Self::union).expect("sixteen entries")
    }
}

/// A field over intervals, with its stated bound.
trait Bounded: Field<Word = Interval, Mask = Either> {
    fn bound(limb: usize) -> u64;

    /// Any reduced element.
    fn any() -> Self {
        let mut element = Self::zero();
        for (i, limb) in element.limbs_mut().iter_mut().enumerate() {
            *limb = Interval::up_to(Self::bound(i));
        }
        element
    }
    #[track_caller]
    fn check(&self) {
        for (i, limb) in self.limbs().iter().enumerate() {
            let bound = Self::bound(i);
            assert!(
                limb.high <= bound,
                "limb {i} is up to {:x}, not {bound:x}",
                limb.high
            );
        }
    }
}

impl Bounded for Fe51<Interval> {
    fn bound(_: usize) -> u64 {
        field_ifma::REDUCED_MAX
    }
}

impl Bounded for Fe25<Interval> {
    fn bound(limb: usize) -> u64 {
        field_avx2::REDUCED_MAX[limb % 2]
    }
}

fn any_extended<F: Bounded>() -> Extended<F> {
    Extended {
        x: F::any(),
        y: F::any(),
        z: F::any(),
        t: F::any(),
    }
}

#[track_caller]
fn check_extended<F: Bounded>(p: &Extended<F>) {
    [p.x, p.y, p.z, p.t].iter().for_each(F::check);
}

fn any_augend<F: Bounded>() -> Augend<F> {
    Augend {
        y_plus_x: F::any(),
        y_minus_x: F::any(),
        z: F::any(),
        t: F::any(),
    }
}

#[track_caller]
fn check_augend<F: Bounded>(p: &Augend<F>) {
    [p.y_plus_x, p.y_minus_x, p.z, p.t]
        .iter()
        .for_each(F::check);
}

/// Every way on from a completed point.
#[track_caller]
fn check_completed<F: Bounded>(c: &Completed<F>) {
    check_extended(&c.extended());
    check_augend(&c.augend());
    let Projective { x, y, z } = c.projective();
    [x, y, z].iter().for_each(F::check);
}

fn field<F: Bounded>() {
    let a = F::any();
    F::zero().check();
    F::one().check();
    for constant in [
        D,
        D2,
        SQRT_M1,
        SQRT_AD_MINUS_ONE,
        INVSQRT_A_MINUS_D,
        [u64::MAX >> 1; 4],
    ] {
        F::constant(constant).check();
    }
    F::from_words(&[ANY; 4]).check();
    F::mul(&a, &a).check();
    F::square(&a).check();
    F::add(&a, &a).check();
    F::sub(&a, &a).check();
    F::negate(&a).check();
    F::abs(&a).check();
    F::select(Either, &a, &F::one()).check();
    // Products of the largest factors there are, and of negated ones.
    let largest = [
        F::add_factor(&a, &a),
        F::sub_factor(&a, &a),
        F::negate_factor(&a),
    ];
    for x in &largest {
        for y in &largest {
            F::mul(x, y).check();
        }
        F::square(x).check();
    }
    let _ = (a.to_words(), F::equal(&a, &a), F::is_negative(&a));
    let mut x = [a; 2];
    power::pow_p58(&mut x);
    x[0].check();
    power::invert(&a, &x[0]).check();
}

fn points<F: Bounded>() {
    let p = any_extended::<F>();
    check_augend(&p.augend());
    check_completed(&p.projective().double());

    // Table entries and what becomes of them in `multiply::lookup`.
    let mut q = Cached::select(Either, &p.cached(), &Cached::identity());
    q = Cached::negate_if(Either, &q);
    check_completed(&any_augend::<F>().add(&q));

    // Comb entries, looked up and negated.
    let row = F::row(&[[u64::MAX, u64::MAX, u64::MAX, u64::MAX >> 1]; 16]);
    let entry = F::lookup(&row, ANY);
    let entry = F::select(Either, &entry, &F::zero());
    let q = Affine {
        y_plus_x: entry,
        y_minus_x: entry,
        t2d: entry,
    };
    let q = Affine::select(Either, &q, &Affine::identity());
    check_completed(&any_augend::<F>().add_affine(&Affine::negate_if(Either, &q)));

    // The broadcast points of `msm`.
    let entry = F::from_words(&[ANY; 4]);
    let q = Affine {
        y_plus_x: entry,
        y_minus_x: entry,
        t2d: entry,
    };
    check_completed(&any_augend::<F>().add_affine(&Affine::negate_if(Either, &q)));
    // Its running sums.
    check_completed(&any_augend::<F>().add(&super::msm::cached(&any_augend::<F>())));
    check_completed(&any_augend::<F>().add(&Cached::identity()));

    let lanes = [LaneValues([0; 8]); 4];
    check_extended(&body::from_affine::<F>(&lanes, &lanes));
    body::affine_words(&p);
}

fn ristretto<F: Bounded>() {
    let (half, power) = Decode::<F>::begin(&[ANY; 4]);
    power.check();
    check_extended(&half.finish(&F::any()).1);

    let (half, power) = Map::<F>::begin(&[ANY; 4]);
    power.check();
    check_completed(&half.finish(&F::any()));

    let p = any_extended::<F>();
    let (half, power) = Encode::begin(&p);
    power.check();
    half.finish(&p, &F::any());

    let half = DoubleEncode::begin(&p);
    half.factor().1.check();
    half.finish(&F::any());
}

#[test]
fn ifma_limbs_stay_in_bounds() {
    field::<Fe51<Interval>>();
    points::<Fe51<Interval>>();
    ristretto::<Fe51<Interval>>();
}

#[test]
fn avx2_limbs_stay_in_bounds() {
    field::<Fe25<Interval>>();
    points::<Fe25<Interval>>();
    ristretto::<Fe25<Interval>>();
}

/// The check itself must fail when a bound is broken.
#[test]
#[should_panic(expected = "factor too large")]
fn a_sum_is_not_a_factor() {
    let a = Fe51::<Interval>::any();
    let sum =
        Fe51::<Interval>::wide_add(&Fe51::<Interval>::widen(&a), &Fe51::<Interval>::widen(&a));
    Fe51::mul(&Fe51(sum.0), &a);
}

#[test]
#[should_panic(expected = "can borrow")]
fn an_unbiased_difference_borrows() {
    let a = Fe51::<Interval>::any();
    let product = Fe51::<Interval>::mul_wide::<0>(&a, &a);
    Fe51::<Interval>::wide_sub(&product, &product);
}
