//! Multi-scalar multiplication with public scalars: Pippenger's buckets, one window per lane.
//!
//! Every lane owns the buckets of its window, so the lanes of one addition never meet in a bucket:
//! a point is broadcast to all lanes and added, in each, to the bucket that the lane's digit names.
//! Addresses depend on the scalars and the running time on all inputs, which are public.

use super::field::Field;
use super::point::{Affine, Augend, Cached, Extended};
use super::scalar::Words;
use super::word::{LaneValues, Word};

/// y + x, y - x, 2dxy of one point, canonical words.
pub type AffineWords = [Words; 3];

/// One pass over the points: which windows the lanes hold, and how wide they are.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub bits: u32,
    /// The window of lane 0.
    pub first: u32,
}

impl Window {
    /// Windows needed for a scalar below 2^253. The top one has room for a carry.
    pub fn count(bits: u32) -> u32 {
        253 / bits + 1
    }

    /// Buckets per lane: magnitudes 0 to 2^(bits-1).
    pub fn buckets(&self) -> usize {
        (1 << (self.bits - 1)) + 1
    }

    /// Adds half a window to every window but the top one, so that digits minus that are signed.
    pub fn recode(scalar: &Words, bits: u32) -> Words {
        let mut offset = [0u64; 4];
        for window in 0..Self::count(bits) - 1 {
            let at = window * bits + bits - 1;
            offset[(at / 64) as usize] |= 1 << (at % 64);
        }
        let mut out = [0; 4];
        let mut carry = 0;
        for i in 0..4 {
            let sum = u128::from(scalar[i]) + u128::from(offset[i]) + carry;
            out[i] = sum as u64;
            carry = sum >> 64;
        }
        out
    }

    /// The signed digit of a recoded scalar in the window of `lane`; 0 beyond the top.
    #[inline(always)]
    fn digit(&self, scalar: &Words, lane: usize) -> i32 {
        let window = self.first + lane as u32;
        let top = Self::count(self.bits) - 1;
        if window > top {
            return 0;
        }
        let at = window * self.bits;
        let (index, shift) = ((at / 64) as usize, at % 64);
        let mut value = scalar[index] >> shift;
        if shift + self.bits > 64 && index < 3 {
            value |= scalar[index + 1] << (64 - shift);
        }
        let digit = (value & ((1 << self.bits) - 1)) as i32;
        if window == top {
            digit
        } else {
            digit - (1 << (self.bits - 1))
        }
    }
}

/// The buckets of all lanes: lane after lane, bucket after bucket, the limbs of Y + X, Y - X, Z, T
/// of one lane in lines of eight.
pub struct Buckets {
    lines: Vec<LaneValues>,
    /// Lines of one bucket.
    stride: usize,
    /// Buckets per lane.
    count: usize,
}

impl Buckets {
    /// All buckets hold the identity.
    pub fn new(window: &Window, lanes: usize, limbs_per_element: usize) -> Self {
        let stride = (4 * limbs_per_element).div_ceil(8);
        let count = window.buckets();
        let mut lines = vec![LaneValues([0; 8]); lanes * count * stride];
        for bucket in lines.chunks_exact_mut(stride) {
            // Y + X = Y - X = Z = 1, T = 0.
            for coordinate in 0..3 {
                let limb = coordinate * limbs_per_element;
                bucket[limb / 8].0[limb % 8] = 1;
            }
        }
        Buckets {
            lines,
            stride,
            count,
        }
    }

    /// The first line of a bucket.
    fn start(&self, lane: usize, bucket: usize) -> usize {
        (lane * self.count + bucket) * self.stride
    }
}

/// The longest element of all fields, ten limbs, four times.
const MAX_LIMBS: usize = 40;

#[inline(always)]
fn gather<F: Field>(buckets: &Buckets, starts: &[usize; 8]) -> Augend<F> {
    let mut q = Augend {
        y_plus_x: F::one(),
        y_minus_x: F::one(),
        z: F::one(),
        t: F::one(),
    };
    let limbs = q.z.limbs().len();
    let mut flat = [F::Word::splat(0); MAX_LIMBS];
    for (line, columns) in flat
        .chunks_exact_mut(8)
        .take((4 * limbs).div_ceil(8))
        .enumerate()
    {
        columns.copy_from_slice(&F::Word::gather8(
            &buckets.lines,
            &starts.map(|at| at + line),
        ));
    }
    q.y_plus_x.limbs_mut().copy_from_slice(&flat[..limbs]);
    q.y_minus_x
        .limbs_mut()
        .copy_from_slice(&flat[limbs..2 * limbs]);
    q.z.limbs_mut().copy_from_slice(&flat[2 * limbs..3 * limbs]);
    q.t.limbs_mut().copy_from_slice(&flat[3 * limbs..4 * limbs]);
    q
}

#[inline(always)]
fn scatter<F: Field>(buckets: &mut Buckets, starts: &[usize; 8], q: &Augend<F>) {
    let limbs = q.z.limbs().len();
    let mut flat = [F::Word::splat(0); MAX_LIMBS];
    flat[..limbs].copy_from_slice(q.y_plus_x.limbs());
    flat[limbs..2 * limbs].copy_from_slice(q.y_minus_x.limbs());
    flat[2 * limbs..3 * limbs].copy_from_slice(q.z.limbs());
    flat[3 * limbs..4 * limbs].copy_from_slice(q.t.limbs());
    for (line, columns) in flat
        .chunks_exact(8)
        .take((4 * limbs).div_ceil(8))
        .enumerate()
    {
        let columns = columns.try_into().expect("eight columns");
        F::Word::scatter8(columns, &mut buckets.lines, &starts.map(|at| at + line));
    }
}

#[inline(always)]
fn broadcast<F: Field>(words: &Words) -> F {
    F::from_words(&[
        F::Word::splat(words[0]),
        F::Word::splat(words[1]),
        F::Word::splat(words[2]),
        F::Word::splat(words[3]),
    ])
}

/// Adds every point to the buckets that its scalar's digits name, in all lanes of the pass.
#[inline(always)]
pub fn accumulate<F: Field>(
    buckets: &mut Buckets,
    points: &[AffineWords],
    scalars: &[Words],
    window: &Window,
) {
    for (point, scalar) in points.iter().zip(scalars) {
        let mut starts = [0; 8];
        let mut negative = LaneValues([0; 8]);
        for (lane, start) in starts[..F::Word::LANES].iter_mut().enumerate() {
            let digit = window.digit(scalar, lane);
            *start = buckets.start(lane, digit.unsigned_abs() as usize);
            negative.0[lane] = u64::from(digit < 0);
        }
        let q = Affine {
            y_plus_x: broadcast::<F>(&point[0]),
            y_minus_x: broadcast::<F>(&point[1]),
            t2d: broadcast::<F>(&point[2]),
        };
        let negative = F::Word::load(&negative).equal(F::Word::splat(1));
        let q = Affine::negate_if(negative, &q);
        let sum = gather::<F>(buckets, &starts).add_affine(&q).augend();
        scatter(buckets, &starts, &sum);
    }
}

#[inline(always)]
pub fn cached<F: Field>(q: &Augend<F>) -> Cached<F> {
    Cached {
        y_plus_x: q.y_plus_x,
        y_minus_x: q.y_minus_x,
        z2: F::add_factor(&q.z, &q.z),
        t2d: F::mul(&q.t, &F::constant(super::constants::D2)),
    }
}

/// sum = 2^(lanes * bits) sum + what the buckets are worth, per lane: the sum of i times bucket i,
/// as a sum of the partial sums from the top.
#[inline(always)]
pub fn collect<F: Field>(sum: &mut Extended<F>, buckets: &Buckets, window: &Window) {
    for _ in 0..F::Word::LANES as u32 * window.bits {
        *sum = sum.projective().double().extended();
    }
    let mut total = sum.augend();
    let mut running = Extended::identity().augend();
    for bucket in (1..buckets.count).rev() {
        let mut starts = [0; 8];
        for (lane, start) in starts[..F::Word::LANES].iter_mut().enumerate() {
            *start = buckets.start(lane, bucket);
        }
        let q = cached(&gather::<F>(buckets, &starts));
        running = running.add(&q).augend();
        total = total.add(&cached(&running)).augend();
    }
    *sum = total.add(&Cached::identity()).extended();
}

/// Lane 0 of the result is the sum of 2^(bits * lane) times the lanes.
#[inline(always)]
pub fn fold<F: Field>(sum: &mut Extended<F>, bits: u32) {
    let mut step = 1;
    while step < F::Word::LANES {
        // The lanes `step` further on, multiplied up, are added to these.
        let mut other = *sum;
        for f in [&mut other.x, &mut other.y, &mut other.z, &mut other.t] {
            for limb in f.limbs_mut() {
                let from = limb.store();
                let mut to = LaneValues([0; 8]);
                for lane in 0..F::Word::LANES {
                    to.0[lane] = from.0[(lane + step) % F::Word::LANES];
                }
                *limb = F::Word::load(&to);
            }
        }
        for _ in 0..step as u32 * bits {
            other = other.projective().double().extended();
        }
        *sum = sum.augend().add(&other.cached()).extended();
        step *= 2;
    }
}
