//! The steps of a batch, compiled for one kind of processor.
//!
//! The formulas are `#[inline(always)]` generic code; here they are inlined into functions that
//! carry the `#[target_feature]` of a processor, the only ones that exist as machine code. What
//! lies above (`batch.rs`) is ordinary code that moves bytes and references.

use super::field::Field;
use super::msm::{AffineWords, Buckets, Window};
use super::multiply::{Comb, Multiples};
use super::point::{Affine, Extended};
use super::power::BLOCK;
use super::scalar::{LaneScalars, Words};
use super::wipe::Plain;
use super::word::LaneValues;

/// 32-byte strings, one per lane, as little-endian words.
pub type LaneBytes = [LaneValues; 4];

/// # Safety
/// All functions: the processor must have the features of the engine.
pub trait Engine: Send + Sync + 'static {
    type Field: Field + Plain + Send + Sync + 'static;
    const NAME: &'static str;
    const LANES: usize;

    fn available() -> bool;

    /// RFC 9496 4.3.1. Returns a set bit for every lane with a refused encoding, per group.
    unsafe fn decode(
        words: &[LaneBytes; BLOCK],
        out: &mut [Extended<Self::Field>; BLOCK],
    ) -> [u32; BLOCK];
    /// RFC 9496 4.3.4: the two halves of the uniform bytes of two groups.
    unsafe fn map(words: &[LaneBytes; BLOCK], out: &mut [Extended<Self::Field>; BLOCK / 2]);
    /// RFC 9496 4.3.2.
    unsafe fn encode(points: &[Extended<Self::Field>; BLOCK], out: &mut [LaneBytes; BLOCK]);
    /// Encodings of the doubles of all points; `scratch` at least as long as `points`.
    unsafe fn double_encode(
        points: &[Extended<Self::Field>],
        scratch: &mut [[Self::Field; 2]],
        out: &mut [LaneBytes],
    );
    unsafe fn identity(points: &mut [Extended<Self::Field>; BLOCK]);
    /// The point with affine y + x and y - x.
    unsafe fn from_affine(
        y_plus_x: &LaneBytes,
        y_minus_x: &LaneBytes,
        out: &mut Extended<Self::Field>,
    );
    /// point = scalar * point
    unsafe fn multiply(
        point: &mut Extended<Self::Field>,
        scalars: &LaneScalars,
        table: &mut Multiples<Self::Field>,
    );
    /// sums += scalar * (the comb's point)
    unsafe fn multiply_comb_add(
        sums: &mut [Extended<Self::Field>; BLOCK],
        comb: &Comb<Self::Field>,
        scalars: &[LaneScalars; BLOCK],
    );
    /// The comb's form of points with Z = 1: canonical words of y + x, y - x, 2dxy.
    unsafe fn affine_words(point: &Extended<Self::Field>) -> [LaneBytes; 3];
    /// `affine_words` of any points, one inversion for all; `scratch` at least as long as `points`.
    unsafe fn normalise(
        points: &[Extended<Self::Field>],
        scratch: &mut [Self::Field],
        out: &mut [[LaneBytes; 3]],
    );
    /// Doubles every point.
    unsafe fn double(points: &mut [Extended<Self::Field>]);
    /// See `msm::accumulate`.
    unsafe fn msm_accumulate(
        buckets: &mut Buckets,
        points: &[AffineWords],
        scalars: &[Words],
        window: &Window,
    );
    /// See `msm::collect`.
    unsafe fn msm_collect(sum: &mut Extended<Self::Field>, buckets: &Buckets, window: &Window);
    /// See `msm::fold`.
    unsafe fn msm_fold(sum: &mut Extended<Self::Field>, bits: u32);
    /// SHA-512: one block per lane into the states.
    unsafe fn sha512_block(state: &mut [LaneValues; 8], block: &[LaneValues; 16]);
}

/// The bodies, generic over the field. Inlined into the entry points below.
pub mod body {
    use super::super::constants::D2;
    use super::super::multiply;
    use super::super::power::{self, pow_p58};
    use super::super::ristretto::{Decode, DoubleEncode, Encode, Map};
    use super::super::word::{LaneMask, Word};
    use super::*;

    #[inline(always)]
    pub fn load<F: Field>(words: &LaneBytes) -> [F::Word; 4] {
        [
            F::Word::load(&words[0]),
            F::Word::load(&words[1]),
            F::Word::load(&words[2]),
            F::Word::load(&words[3]),
        ]
    }

    #[inline(always)]
    pub fn store<W: Word>(words: &[W; 4]) -> LaneBytes {
        [
            words[0].store(),
            words[1].store(),
            words[2].store(),
            words[3].store(),
        ]
    }

    #[inline(always)]
    pub fn decode<F: Field>(
        words: &[LaneBytes; BLOCK],
        out: &mut [Extended<F>; BLOCK],
        power: impl Fn(&mut [F; BLOCK]),
    ) -> [u32; BLOCK] {
        let (first, x) = Decode::<F>::begin(&load::<F>(&words[0]));
        let (mut halves, mut x) = ([first; BLOCK], [x; BLOCK]);
        for g in 1..BLOCK {
            (halves[g], x[g]) = Decode::begin(&load::<F>(&words[g]));
        }
        power(&mut x);
        let mut refused = [0; BLOCK];
        for g in 0..BLOCK {
            let (valid, point) = halves[g].finish(&x[g]);
            refused[g] = valid.not().bits();
            out[g] = point;
        }
        refused
    }

    #[inline(always)]
    pub fn map<F: Field>(
        words: &[LaneBytes; BLOCK],
        out: &mut [Extended<F>; BLOCK / 2],
        power: impl Fn(&mut [F; BLOCK]),
    ) {
        let (first, x) = Map::<F>::begin(&load::<F>(&words[0]));
        let (mut halves, mut x) = ([first; BLOCK], [x; BLOCK]);
        for g in 1..BLOCK {
            (halves[g], x[g]) = Map::begin(&load::<F>(&words[g]));
        }
        power(&mut x);
        for g in 0..BLOCK / 2 {
            let a = halves[2 * g].finish(&x[2 * g]).augend();
            let b = halves[2 * g + 1].finish(&x[2 * g + 1]).extended().cached();
            out[g] = a.add(&b).extended();
        }
    }

    #[inline(always)]
    pub fn encode<F: Field>(
        points: &[Extended<F>; BLOCK],
        out: &mut [LaneBytes; BLOCK],
        power: impl Fn(&mut [F; BLOCK]),
    ) {
        let (first, x) = Encode::<F>::begin(&points[0]);
        let (mut halves, mut x) = ([first; BLOCK], [x; BLOCK]);
        for g in 1..BLOCK {
            (halves[g], x[g]) = Encode::begin(&points[g]);
        }
        power(&mut x);
        for g in 0..BLOCK {
            out[g] = store(&halves[g].finish(&points[g], &x[g]));
        }
    }

    /// Montgomery's trick over the groups: prefix products upwards, one inversion, downwards.
    #[inline(always)]
    pub fn double_encode<F: Field>(
        points: &[Extended<F>],
        scratch: &mut [[F; 2]],
        out: &mut [LaneBytes],
    ) {
        let mut product = F::one();
        for (p, scratch) in points.iter().zip(scratch.iter_mut()) {
            let (_, factor) = DoubleEncode::begin(p).factor();
            *scratch = [product, factor];
            product = F::mul(&product, &factor);
        }
        let mut power = [product];
        pow_p58(&mut power);
        let mut inverse = power::invert(&product, &power[0]);
        for ((p, [before, factor]), out) in points.iter().zip(scratch).zip(out).rev() {
            let state = DoubleEncode::begin(p);
            let own = F::mul(&inverse, before);
            inverse = F::mul(&inverse, factor);
            let (zero, _) = state.factor();
            *out = store(&state.finish(&F::select(zero, &F::zero(), &own)));
        }
    }

    #[inline(always)]
    pub fn multiply<F: Field>(
        point: &mut Extended<F>,
        scalars: &LaneScalars,
        table: &mut Multiples<F>,
    ) {
        *point = multiply::multiply(point, scalars, table);
    }

    /// With Z = 2: X = (y + x) - (y - x), Y = (y + x) + (y - x); then (XZ : YZ : Z^2), T = XY.
    #[inline(always)]
    pub fn from_affine<F: Field>(y_plus_x: &LaneBytes, y_minus_x: &LaneBytes) -> Extended<F> {
        let plus = F::from_words(&load::<F>(y_plus_x));
        let minus = F::from_words(&load::<F>(y_minus_x));
        let x = F::sub(&plus, &minus);
        let y = F::add(&plus, &minus);
        Extended {
            x: F::add(&x, &x),
            y: F::add(&y, &y),
            z: F::constant([4, 0, 0, 0]),
            t: F::mul(&x, &y),
        }
    }

    /// Divides the Zs out by Montgomery's trick over the groups. No Z is zero.
    #[inline(always)]
    pub fn normalise<F: Field>(
        points: &[Extended<F>],
        scratch: &mut [F],
        out: &mut [[LaneBytes; 3]],
    ) {
        let mut product = F::one();
        for (p, before) in points.iter().zip(scratch.iter_mut()) {
            *before = product;
            product = F::mul(&product, &p.z);
        }
        let mut power = [product];
        pow_p58(&mut power);
        let mut inverse = power::invert(&product, &power[0]);
        for ((p, before), out) in points.iter().zip(scratch).zip(out).rev() {
            let z = F::mul(&inverse, before);
            inverse = F::mul(&inverse, &p.z);
            let (x, y) = (F::mul(&p.x, &z), F::mul(&p.y, &z));
            *out = affine_words(&Extended {
                x,
                y,
                z: F::one(),
                t: F::mul(&x, &y),
            });
        }
    }

    #[inline(always)]
    pub fn affine_words<F: Field>(point: &Extended<F>) -> [LaneBytes; 3] {
        let affine = Affine {
            y_plus_x: F::add(&point.y, &point.x),
            y_minus_x: F::sub(&point.y, &point.x),
            t2d: F::mul(&point.t, &F::constant(D2)),
        };
        [
            store(&affine.y_plus_x.to_words()),
            store(&affine.y_minus_x.to_words()),
            store(&affine.t2d.to_words()),
        ]
    }
}

/// An engine: the bodies above, compiled with a processor's features.
macro_rules! engine {
    ($(#[$doc:meta])* $name:ident, $text:literal, $field:ty, $features:literal,
     [$($feature:tt),*]) => {
        $(#[$doc])*
        pub struct $name;

        impl $name {
            #[target_feature(enable = $features)]
            #[inline(never)]
            unsafe fn pow_p58(x: &mut [$field; BLOCK]) {
                super::power::pow_p58(x)
            }
        }

        impl Engine for $name {
            type Field = $field;
            const NAME: &'static str = $text;
            const LANES: usize = <<$field as Field>::Word as super::word::Word>::LANES;

            fn available() -> bool {
                true $(&& std::arch::is_x86_feature_detected!($feature))*
            }

            #[target_feature(enable = $features)]
            unsafe fn decode(
                words: &[LaneBytes; BLOCK],
                out: &mut [Extended<$field>; BLOCK],
            ) -> [u32; BLOCK] {
                // SAFETY: same features as this function.
                body::decode(words, out, |x| unsafe { Self::pow_p58(x) })
            }
            #[target_feature(enable = $features)]
            unsafe fn map(words: &[LaneBytes; BLOCK], out: &mut [Extended<$field>; BLOCK / 2]) {
                // SAFETY: same features as this function.
                body::map(words, out, |x| unsafe { Self::pow_p58(x) })
            }
            #[target_feature(enable = $features)]
            unsafe fn encode(points: &[Extended<$field>; BLOCK], out: &mut [LaneBytes; BLOCK]) {
                // SAFETY: same features as this function.
                body::encode(points, out, |x| unsafe { Self::pow_p58(x) })
            }
            #[target_feature(enable = $features)]
            unsafe fn double_encode(
                points: &[Extended<$field>],
                scratch: &mut [[$field; 2]],
                out: &mut [LaneBytes],
            ) {
                body::double_encode(points, scratch, out)
            }
            #[target_feature(enable = $features)]
            unsafe fn identity(points: &mut [Extended<$field>; BLOCK]) {
                *points = [Extended::identity(); BLOCK];
            }
            #[target_feature(enable = $features)]
            unsafe fn from_affine(
                y_plus_x: &LaneBytes,
                y_minus_x: &LaneBytes,
                out: &mut Extended<$field>,
            ) {
                *out = body::from_affine(y_plus_x, y_minus_x);
            }
            #[target_feature(enable = $features)]
            unsafe fn multiply(
                point: &mut Extended<$field>,
                scalars: &LaneScalars,
                table: &mut Multiples<$field>,
            ) {
                body::multiply(point, scalars, table)
            }
            #[target_feature(enable = $features)]
            unsafe fn multiply_comb_add(
                sums: &mut [Extended<$field>; BLOCK],
                comb: &Comb<$field>,
                scalars: &[LaneScalars; BLOCK],
            ) {
                super::multiply::multiply_comb_add(sums, comb, scalars)
            }
            #[target_feature(enable = $features)]
            unsafe fn affine_words(point: &Extended<$field>) -> [LaneBytes; 3] {
                body::affine_words(point)
            }
            #[target_feature(enable = $features)]
            unsafe fn normalise(
                points: &[Extended<$field>],
                scratch: &mut [$field],
                out: &mut [[LaneBytes; 3]],
            ) {
                body::normalise(points, scratch, out)
            }
            #[target_feature(enable = $features)]
            unsafe fn double(points: &mut [Extended<$field>]) {
                for point in points {
                    *point = point.projective().double().extended();
                }
            }
            #[target_feature(enable = $features)]
            unsafe fn msm_accumulate(
                buckets: &mut Buckets,
                points: &[AffineWords],
                scalars: &[Words],
                window: &Window,
            ) {
                super::msm::accumulate::<$field>(buckets, points, scalars, window)
            }
            #[target_feature(enable = $features)]
            unsafe fn msm_collect(
                sum: &mut Extended<$field>,
                buckets: &Buckets,
                window: &Window,
            ) {
                super::msm::collect(sum, buckets, window)
            }
            #[target_feature(enable = $features)]
            unsafe fn msm_fold(sum: &mut Extended<$field>, bits: u32) {
                super::msm::fold(sum, bits)
            }
            #[target_feature(enable = $features)]
            unsafe fn sha512_block(state: &mut [LaneValues; 8], block: &[LaneValues; 16]) {
                super::sha512::block::<<$field as Field>::Word>(state, block)
            }
        }
    };
}

engine! {
    /// Eight lanes, AVX-512 IFMA.
    Ifma512, "ifma512",
    super::field_ifma::Fe51<super::word_avx512::W8>,
    "avx512f,avx512dq,avx512bw,avx512vl,avx512ifma",
    ["avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512ifma"]
}

engine! {
    /// Four lanes, AVX2.
    Avx2, "avx2",
    super::field_avx2::Fe25<super::word_avx2::W4>,
    "avx2",
    ["avx2"]
}
