//! The field and the formulas on real words, lane by lane, against slow arithmetic.
//!
//! The tests call inlined code outside of functions with the processor's features: slow, but
//! correct once the features have been asked for.

use super::constants::*;
use super::engine::{Avx2, Engine, Ifma512, LaneBytes};
use super::field::Field;
use super::point::Extended;
use super::power::{self, BLOCK, SqrtRatio};
use super::word::{LaneMask, LaneValues, Word};
use super::{field_avx2, field_ifma, word_avx2, word_avx512};
use curve25519_dalek::{RistrettoPoint, Scalar};

type Words = [u64; 4];

const P: Words = [u64::MAX - 18, u64::MAX, u64::MAX, u64::MAX >> 1];

/// a < b
fn less(a: &Words, b: &Words) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

/// a - b mod 2^256
fn minus(a: &Words, b: &Words) -> Words {
    let (mut out, mut borrow) = ([0; 4], false);
    for i in 0..4 {
        let (x, first) = a[i].overflowing_sub(b[i]);
        let (x, second) = x.overflowing_sub(u64::from(borrow));
        (out[i], borrow) = (x, first | second);
    }
    out
}

/// Canonical form of a number of up to eight words: 2^256 = 38.
fn canonical(wide: &[u64; 8]) -> Words {
    let mut wide = *wide;
    for _ in 0..4 {
        let mut carry = 0u128;
        let mut next = [0; 8];
        for i in 0..4 {
            carry += u128::from(wide[i]) + 38 * u128::from(wide[i + 4]);
            next[i] = carry as u64;
            carry >>= 64;
        }
        next[4] = carry as u64;
        wide = next;
    }
    let mut out: Words = wide[..4].try_into().expect("four words");
    while !less(&out, &P) {
        out = minus(&out, &P);
    }
    out
}

fn add(a: &Words, b: &Words) -> Words {
    let mut wide = [0; 8];
    let mut carry = 0u128;
    for i in 0..4 {
        carry += u128::from(a[i]) + u128::from(b[i]);
        wide[i] = carry as u64;
        carry >>= 64;
    }
    wide[4] = carry as u64;
    canonical(&wide)
}

fn mul(a: &Words, b: &Words) -> Words {
    let mut wide = [0u64; 8];
    for i in 0..4 {
        let mut carry = 0u128;
        for j in 0..4 {
            carry += u128::from(a[i]) * u128::from(b[j]) + u128::from(wide[i + j]);
            wide[i + j] = carry as u64;
            carry >>= 64;
        }
        wide[i + 4] = carry as u64;
    }
    canonical(&wide)
}

fn neg(a: &Words) -> Words {
    add(&minus(&P, &reduce(a)), &[0; 4])
}

fn reduce(a: &Words) -> Words {
    add(a, &[0; 4])
}

fn pow(a: &Words, exponent: &Words) -> Words {
    let mut out = [1, 0, 0, 0];
    for bit in (0..256).rev() {
        out = mul(&out, &out);
        if exponent[bit / 64] >> (bit % 64) & 1 == 1 {
            out = mul(&out, a);
        }
    }
    out
}

fn small(value: u64) -> Words {
    [value, 0, 0, 0]
}

/// 0, +-1, p - 1, p, p + 18 = 2^255 - 1 and their neighbours, roots, patterns, random numbers.
fn edges() -> Vec<Words> {
    let top = [u64::MAX, u64::MAX, u64::MAX, u64::MAX >> 1];
    let mut list = vec![
        small(0),
        small(1),
        small(2),
        small(18),
        small(19),
        small(20),
        P,
        top,
    ];
    list.extend((1..4).map(|i| minus(&P, &small(i))));
    list.extend((1..4).map(|i| minus(&top, &small(i))));
    list.extend([
        D,
        D2,
        SQRT_M1,
        SQRT_AD_MINUS_ONE,
        INVSQRT_A_MINUS_D,
        [1 << 51; 4],
    ]);
    list.extend([
        [0, 0, 0, 1 << 62],
        [u64::MAX, 0, 0, 0],
        [0, u64::MAX, 0, u64::MAX >> 1],
    ]);
    let mut x = [0x1234_5678_9abc_def1, 2, 3, 4];
    for _ in 0..32 {
        x = add(&mul(&x, &x), &D);
        list.push(x);
    }
    list
}

fn spread<F: Field>(values: &[Words]) -> F {
    let lanes: [LaneValues; 4] = core::array::from_fn(|w| {
        LaneValues(core::array::from_fn(|lane| values[lane % values.len()][w]))
    });
    F::from_words(&lanes.map(|lane| F::Word::load(&lane)))
}

fn lane(words: &LaneBytes, lane: usize) -> Words {
    [0, 1, 2, 3].map(|w| words[w].0[lane])
}

fn values<F: Field>(element: &F) -> Vec<Words> {
    let words = element.to_words().map(Word::store);
    (0..F::Word::LANES).map(|i| lane(&words, i)).collect()
}

#[test]
fn constants_are_what_they_are_called() {
    let one = small(1);
    let minus_one = neg(&one);
    assert_eq!(add(&mul(&D, &small(121_666)), &small(121_665)), small(0));
    assert_eq!(add(&D, &D), D2);
    assert_eq!(mul(&SQRT_M1, &SQRT_M1), minus_one);
    assert_eq!(SQRT_M1[0] & 1, 0);
    let ad_minus_one = add(&neg(&D), &minus_one);
    assert_eq!(mul(&SQRT_AD_MINUS_ONE, &SQRT_AD_MINUS_ONE), ad_minus_one);
    let squared = mul(&INVSQRT_A_MINUS_D, &INVSQRT_A_MINUS_D);
    assert_eq!(mul(&squared, &add(&minus_one, &neg(&D))), one);
    assert_eq!(ONE_MINUS_D_SQ, add(&one, &neg(&mul(&D, &D))));
    let d_minus_one = add(&D, &minus_one);
    assert_eq!(D_MINUS_ONE_SQ, mul(&d_minus_one, &d_minus_one));
}

/// All pairs of edge values, every lane with another pair.
fn field<F: Field>() {
    let edges = edges();
    let n = edges.len();
    for shift in 0..n {
        for first in (0..n).step_by(F::Word::LANES) {
            let a: Vec<Words> = (0..F::Word::LANES)
                .map(|i| edges[(first + i) % n])
                .collect();
            let b: Vec<Words> = (0..F::Word::LANES)
                .map(|i| edges[(first + i + shift) % n])
                .collect();
            let (x, y) = (spread::<F>(&a), spread::<F>(&b));
            let pairs = || a.iter().zip(&b);
            let check = |got: F, want: Vec<Words>| assert_eq!(values(&got), want);
            check(F::mul(&x, &y), pairs().map(|(a, b)| mul(a, b)).collect());
            check(F::add(&x, &y), pairs().map(|(a, b)| add(a, b)).collect());
            check(
                F::sub(&x, &y),
                pairs().map(|(a, b)| add(a, &neg(b))).collect(),
            );
            let factor = F::mul(&F::sub_factor(&x, &y), &F::add_factor(&y, &y));
            let want = pairs()
                .map(|(a, b)| mul(&add(a, &neg(b)), &add(b, b)))
                .collect();
            check(factor, want);
            let mask = F::equal(&x, &y).bits();
            for (i, (a, b)) in pairs().enumerate() {
                assert_eq!(mask >> i & 1 == 1, reduce(a) == reduce(b));
            }
        }
    }
    for chunk in edges.chunks(F::Word::LANES) {
        let x = spread::<F>(chunk);
        let each = |f: &dyn Fn(&Words) -> Words| -> Vec<Words> {
            (0..F::Word::LANES)
                .map(|i| f(&chunk[i % chunk.len()]))
                .collect()
        };
        assert_eq!(values(&x), each(&reduce));
        assert_eq!(values(&F::square(&x)), each(&|a| mul(a, a)));
        assert_eq!(values(&F::negate(&x)), each(&neg));
        assert_eq!(
            values(&F::mul(&F::negate_factor(&x), &x)),
            each(&|a| neg(&mul(a, a)))
        );
        let mut power = [x];
        power::pow_p58(&mut power);
        let p58 = [u64::MAX - 2, u64::MAX, u64::MAX, u64::MAX >> 4];
        assert_eq!(values(&power[0]), each(&|a| pow(a, &p58)));
        let inverse = power::invert(&x, &power[0]);
        assert_eq!(values(&inverse), each(&|a| pow(a, &minus(&P, &small(2)))));
        let (zero, negative) = (F::is_zero(&x).bits(), F::is_negative(&x).bits());
        for i in 0..F::Word::LANES {
            let value = reduce(&chunk[i % chunk.len()]);
            assert_eq!(zero >> i & 1 == 1, value == small(0));
            assert_eq!(negative >> i & 1 == 1, value[0] & 1 == 1);
        }
    }
}

/// The largest limbs a reduced element may have: not the limbs of any canonical number.
fn full_limbs<F: Field>(bound: impl Fn(usize) -> u64, position: impl Fn(usize) -> usize) {
    let mut x = F::zero();
    let mut value = small(0);
    for (i, limb) in x.limbs_mut().iter_mut().enumerate() {
        *limb = F::Word::splat(bound(i));
        value = add(
            &value,
            &mul(
                &small(bound(i)),
                &pow(&small(2), &small(position(i) as u64)),
            ),
        );
    }
    let check = |got: F, want: Words| assert_eq!(values(&got), vec![want; F::Word::LANES]);
    check(x, value);
    check(F::mul(&x, &x), mul(&value, &value));
    check(F::square(&x), mul(&value, &value));
    check(F::add(&x, &x), add(&value, &value));
    check(F::sub(&x, &x), small(0));
    check(F::sub(&F::zero(), &x), neg(&value));
    let largest = F::sub_factor(&x, &F::zero());
    check(F::mul(&largest, &largest), mul(&value, &value));
}

#[test]
fn ifma_field() {
    if Ifma512::available() {
        type F = field_ifma::Fe51<word_avx512::W8>;
        field::<F>();
        full_limbs::<F>(|_| field_ifma::REDUCED_MAX, |i| 51 * i);
    } else {
        eprintln!("NOT RUN: this processor has no AVX-512 IFMA");
    }
}

#[test]
fn avx2_field() {
    if Avx2::available() {
        type F = field_avx2::Fe25<word_avx2::W4>;
        field::<F>();
        full_limbs::<F>(|i| field_avx2::REDUCED_MAX[i % 2], |i| (51 * i).div_ceil(2));
    } else {
        eprintln!("NOT RUN: this processor has no AVX2");
    }
}

fn from_hex(text: &str) -> Words {
    let byte = |i: usize| u64::from_str_radix(&text[2 * i..][..2], 16).expect("hex");
    core::array::from_fn(|w| (0..8).map(|i| byte(8 * w + i) << (8 * i)).sum())
}

/// The SQRT_RATIO_M1 vectors of RFC 9496.
fn sqrt_ratio<F: Field>() {
    let text = include_str!("../../../../../tests/vectors/ristretto255/rfc9496_ristretto255.json");
    let vectors: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let cases = vectors["sqrt_ratio_m1"].as_array().expect("cases");
    assert!(!cases.is_empty());
    for case in cases {
        let words = |name: &str| from_hex(case[name].as_str().expect("text"));
        let (u, v) = (spread::<F>(&[words("u")]), spread::<F>(&[words("v")]));
        let (half, power) = SqrtRatio::begin(&u, &v);
        let mut power = [power];
        power::pow_p58(&mut power);
        let (was_square, root) = half.finish(&power[0]);
        let all = (1 << F::Word::LANES) - 1;
        let want = if case["was_square"].as_bool().expect("bool") {
            all
        } else {
            0
        };
        assert_eq!(was_square.bits(), want);
        assert_eq!(values(&root), vec![words("r"); F::Word::LANES]);
    }
}

#[test]
fn sqrt_ratio_vectors() {
    if Ifma512::available() {
        sqrt_ratio::<<Ifma512 as Engine>::Field>();
    }
    if Avx2::available() {
        sqrt_ratio::<<Avx2 as Engine>::Field>();
    }
}

fn some_points<E: Engine>() -> ([Extended<E::Field>; BLOCK], Vec<RistrettoPoint>) {
    let points: Vec<RistrettoPoint> = (0..BLOCK * E::LANES)
        .map(|i| RistrettoPoint::mul_base(&Scalar::from_bytes_mod_order([i as u8 + 1; 32])))
        .collect();
    let words: [LaneBytes; BLOCK] = core::array::from_fn(|g| {
        core::array::from_fn(|w| {
            LaneValues(core::array::from_fn(|lane| {
                let encoding = points[g * E::LANES + lane % E::LANES].compress().0;
                u64::from_le_bytes(encoding[8 * w..][..8].try_into().expect("eight bytes"))
            }))
        })
    });
    let mut out = [Extended::identity(); BLOCK];
    // SAFETY: the callers ask for the features first.
    let refused = unsafe { E::decode(&words, &mut out) };
    assert_eq!(refused, [0; BLOCK]);
    (out, points)
}

fn encodings<E: Engine>(points: &[Extended<E::Field>; BLOCK]) -> Vec<Words> {
    let mut out = [[LaneValues([0; 8]); 4]; BLOCK];
    // SAFETY: the callers ask for the features first.
    unsafe { E::encode(points, &mut out) };
    out.iter()
        .flat_map(|group| (0..E::LANES).map(|i| lane(group, i)))
        .collect()
}

fn double_encodings<E: Engine>(points: &[Extended<E::Field>; BLOCK]) -> Vec<Words> {
    let mut out = [[LaneValues([0; 8]); 4]; BLOCK];
    let mut scratch = [[E::Field::zero(); 2]; BLOCK];
    // SAFETY: the callers ask for the features first.
    unsafe { E::double_encode(points, &mut scratch, &mut out) };
    out.iter()
        .flat_map(|group| (0..E::LANES).map(|i| lane(group, i)))
        .collect()
}

fn le(point: &RistrettoPoint) -> Words {
    let bytes = point.compress().0;
    core::array::from_fn(|w| {
        u64::from_le_bytes(bytes[8 * w..][..8].try_into().expect("eight bytes"))
    })
}

/// All four representatives of a coset, in any projective scaling, are the same element.
fn torsion<E: Engine>() {
    type Of<E> = <E as Engine>::Field;
    let (points, reference) = some_points::<E>();
    let want: Vec<Words> = reference.iter().map(le).collect();
    let doubled: Vec<Words> = reference.iter().map(|p| le(&(p + p))).collect();
    let i = Of::<E>::constant(SQRT_M1);
    let (mul, neg) = (Of::<E>::mul, Of::<E>::negate);
    let scale = Of::<E>::constant(edges()[40]);
    for representative in 0..4 {
        let moved = points.map(|Extended { x, y, z, t }| {
            // P + (0, -1), P + (i, 0), P + (-i, 0).
            let (x, y, t) = match representative {
                0 => (x, y, t),
                1 => (neg(&x), neg(&y), t),
                2 => (mul(&i, &y), mul(&i, &x), neg(&t)),
                _ => (neg(&mul(&i, &y)), neg(&mul(&i, &x)), neg(&t)),
            };
            let by = |f: &Of<E>| mul(f, &scale);
            Extended {
                x: by(&x),
                y: by(&y),
                z: by(&z),
                t: by(&t),
            }
        });
        assert_eq!(encodings::<E>(&moved), want);
        assert_eq!(double_encodings::<E>(&moved), doubled);
    }
    // The identity's coset, among others, does not spoil the shared inversion.
    let (zero, one) = (Of::<E>::zero(), Of::<E>::one());
    let mut some = points;
    some[1] = Extended {
        x: i,
        y: zero,
        z: one,
        t: zero,
    };
    some[2] = Extended {
        x: zero,
        y: neg(&one),
        z: one,
        t: zero,
    };
    let mut expected = doubled;
    expected[E::LANES..3 * E::LANES].fill(small(0));
    assert_eq!(double_encodings::<E>(&some), expected);
    let mut expected = want;
    expected[E::LANES..3 * E::LANES].fill(small(0));
    assert_eq!(encodings::<E>(&some), expected);
}

#[test]
fn torsion_representatives() {
    if Ifma512::available() {
        torsion::<Ifma512>();
    }
    if Avx2::available() {
        torsion::<Avx2>();
    }
}

#[test]
fn digits_make_up_the_scalar() {
    use super::scalar::{DIGITS16, DIGITS32, digit16, digit32, half, recode16, recode32, words};
    if !Avx2::available() {
        eprintln!("NOT RUN: this processor has no AVX2");
        return;
    }
    type W = word_avx2::W4;
    let mut scalars = vec![Scalar::ZERO, Scalar::ONE, -Scalar::ONE, Scalar::from(2u8)];
    scalars.extend((1..200u8).map(|i| Scalar::from_bytes_mod_order_wide(&[i; 64])));
    for s in scalars {
        assert_eq!(half(&words(&s)), words(&s.div_by_2()));
        let lanes = |words: Words| words.map(|word| LaneValues([word; 8]));
        let value = |magnitude: W, negative: u32| {
            let magnitude = Scalar::from(magnitude.store().0[0]);
            if negative & 1 == 1 {
                -magnitude
            } else {
                magnitude
            }
        };
        let (mut sum16, mut sum32) = (Scalar::ZERO, Scalar::ZERO);
        for i in (0..DIGITS16).rev() {
            let digit = digit16::<W>(&lanes(recode16(&words(&s))), i);
            assert!(digit.magnitude.store().0[0] <= 8);
            sum16 = sum16 * Scalar::from(16u8) + value(digit.magnitude, digit.negative.bits());
        }
        for i in (0..DIGITS32).rev() {
            let digit = digit32::<W>(&lanes(recode32(&words(&s))), i);
            assert!(digit.magnitude.store().0[0] <= 16);
            sum32 = sum32 * Scalar::from(32u8) + value(digit.magnitude, digit.negative.bits());
        }
        assert_eq!((sum16, sum32), (s, s));
    }
}

#[test]
fn wiping_leaves_zeros() {
    let mut secret = [0xa5a5u64; 100];
    super::wipe::wipe(&mut secret);
    assert_eq!(secret, [0; 100]);
}
