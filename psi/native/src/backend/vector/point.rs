//! Points of the twisted Edwards curve -x^2 + y^2 = 1 + d x^2 y^2, one per lane, and the formulas
//! of Hisil, Wong, Carter and Dawson, "Twisted Edwards curves revisited" (HWCD08), section 3 and
//! 4.3 (a = -1), in the split form used by curve25519-dalek: each operation first makes a
//! *completed* point (e, f, g, h), from which one then multiplies out only the coordinates the
//! next operation reads.
//!
//! All formulas are complete on this curve (a = -1 is a square, d is not), so the identity and
//! points of small order need no special case.
//!
//! Bounds: all coordinates are reduced elements, in and out, unless stated.

use super::constants::D2;
use super::field::Field;

/// Projective (X : Y : Z).
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Projective<F> {
    pub x: F,
    pub y: F,
    pub z: F,
}

/// Extended (X : Y : Z : T), T = XY/Z.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Extended<F> {
    pub x: F,
    pub y: F,
    pub z: F,
    pub t: F,
}

/// The left operand of an addition: Y + X, Y - X, Z, T.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Augend<F> {
    pub y_plus_x: F,
    pub y_minus_x: F,
    pub z: F,
    pub t: F,
}

/// The right operand of an addition: Y + X, Y - X, 2Z, 2dT. All are *factors*.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Cached<F> {
    pub y_plus_x: F,
    pub y_minus_x: F,
    pub z2: F,
    pub t2d: F,
}

/// A right operand with Z = 1: y + x, y - x, 2dxy. All are *factors*.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Affine<F> {
    pub y_plus_x: F,
    pub y_minus_x: F,
    pub t2d: F,
}

/// ((E : G), (H : F)), i.e. x = E/G and y = H/F: (X, Y, Z, T) = (EF, GH, FG, EH).
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Completed<F> {
    pub e: F,
    pub f: F,
    pub g: F,
    pub h: F,
}

impl<F: Field> Completed<F> {
    /// 3 multiplications.
    #[inline(always)]
    pub fn projective(&self) -> Projective<F> {
        Projective {
            x: F::mul(&self.e, &self.f),
            y: F::mul(&self.g, &self.h),
            z: F::mul(&self.f, &self.g),
        }
    }
    /// 4 multiplications.
    #[inline(always)]
    pub fn extended(&self) -> Extended<F> {
        Extended {
            x: F::mul(&self.e, &self.f),
            y: F::mul(&self.g, &self.h),
            z: F::mul(&self.f, &self.g),
            t: F::mul(&self.e, &self.h),
        }
    }
    /// 4 multiplications. X and Y are not carried alone: only their sum and difference are read.
    #[inline(always)]
    pub fn augend(&self) -> Augend<F> {
        let x = F::mul_wide::<0>(&self.e, &self.f);
        let y = F::mul_wide::<1>(&self.g, &self.h);
        Augend {
            y_plus_x: F::carry(&F::wide_add(&y, &x)),
            y_minus_x: F::carry(&F::wide_sub(&y, &x)),
            z: F::mul(&self.f, &self.g),
            t: F::mul(&self.e, &self.h),
        }
    }
}

impl<F: Field> Projective<F> {
    /// dbl-2008-hwcd, 4 squarings: A = X^2, B = Y^2, H = A + B, G = B - A, E = (X + Y)^2 - H,
    /// F = 2 Z^2 - G. (The signs of F, G, H differ from the paper's by a common factor -1, as in
    /// dalek, where G = -(A - B) and F = C - G.)
    #[inline(always)]
    pub fn double(&self) -> Completed<F> {
        let sum = F::add_factor(&self.x, &self.y);
        let xx = F::square_wide::<0>(&self.x);
        let yy = F::square_wide::<1>(&self.y);
        let zz = F::square_wide::<1>(&self.z);
        let ss = F::square_wide::<3>(&sum);
        let h = F::wide_add(&yy, &xx);
        let g = F::wide_sub(&yy, &xx);
        let e = F::wide_sub(&ss, &h);
        let f = F::wide_sub(&F::wide_add(&zz, &zz), &g);
        Completed {
            e: F::carry(&e),
            f: F::carry(&f),
            g: F::carry(&g),
            h: F::carry(&h),
        }
    }
}

impl<F: Field> Extended<F> {
    #[inline(always)]
    pub fn identity() -> Self {
        Extended {
            x: F::zero(),
            y: F::one(),
            z: F::one(),
            t: F::zero(),
        }
    }
    #[inline(always)]
    pub fn augend(&self) -> Augend<F> {
        Augend {
            y_plus_x: F::add(&self.y, &self.x),
            y_minus_x: F::sub(&self.y, &self.x),
            z: self.z,
            t: self.t,
        }
    }
    #[inline(always)]
    pub fn projective(&self) -> Projective<F> {
        Projective {
            x: self.x,
            y: self.y,
            z: self.z,
        }
    }
    #[inline(always)]
    pub fn cached(&self) -> Cached<F> {
        Cached {
            y_plus_x: F::add_factor(&self.y, &self.x),
            y_minus_x: F::sub_factor(&self.y, &self.x),
            z2: F::add_factor(&self.z, &self.z),
            t2d: F::mul(&self.t, &F::constant(D2)),
        }
    }
}

impl<F: Field> Cached<F> {
    #[inline(always)]
    pub fn identity() -> Self {
        let two = F::constant([2, 0, 0, 0]);
        Cached {
            y_plus_x: F::one(),
            y_minus_x: F::one(),
            z2: two,
            t2d: F::zero(),
        }
    }
    #[inline(always)]
    pub fn select(mask: F::Mask, on: &Self, off: &Self) -> Self {
        Cached {
            y_plus_x: F::select(mask, &on.y_plus_x, &off.y_plus_x),
            y_minus_x: F::select(mask, &on.y_minus_x, &off.y_minus_x),
            z2: F::select(mask, &on.z2, &off.z2),
            t2d: F::select(mask, &on.t2d, &off.t2d),
        }
    }
    /// The negative of a point swaps Y + X with Y - X and negates T.
    #[inline(always)]
    pub fn negate_if(mask: F::Mask, q: &Self) -> Self {
        Cached {
            y_plus_x: F::select(mask, &q.y_minus_x, &q.y_plus_x),
            y_minus_x: F::select(mask, &q.y_plus_x, &q.y_minus_x),
            z2: q.z2,
            t2d: F::select(mask, &F::negate_factor(&q.t2d), &q.t2d),
        }
    }
}

impl<F: Field> Affine<F> {
    #[inline(always)]
    pub fn identity() -> Self {
        Affine {
            y_plus_x: F::one(),
            y_minus_x: F::one(),
            t2d: F::zero(),
        }
    }
    #[inline(always)]
    pub fn select(mask: F::Mask, on: &Self, off: &Self) -> Self {
        Affine {
            y_plus_x: F::select(mask, &on.y_plus_x, &off.y_plus_x),
            y_minus_x: F::select(mask, &on.y_minus_x, &off.y_minus_x),
            t2d: F::select(mask, &on.t2d, &off.t2d),
        }
    }
    #[inline(always)]
    pub fn negate_if(mask: F::Mask, q: &Self) -> Self {
        Affine {
            y_plus_x: F::select(mask, &q.y_minus_x, &q.y_plus_x),
            y_minus_x: F::select(mask, &q.y_plus_x, &q.y_minus_x),
            t2d: F::select(mask, &F::negate_factor(&q.t2d), &q.t2d),
        }
    }
}

impl<F: Field> Augend<F> {
    /// add-2008-hwcd-3 with a cached operand, 4 multiplications: A = (Y1 - X1)(Y2 - X2),
    /// B = (Y1 + X1)(Y2 + X2), C = T1 2d T2, D = Z1 2 Z2; E = B - A, F = D - C, G = D + C,
    /// H = B + A.
    #[inline(always)]
    pub fn add(&self, q: &Cached<F>) -> Completed<F> {
        let a = F::mul_wide::<0>(&self.y_minus_x, &q.y_minus_x);
        let b = F::mul_wide::<1>(&self.y_plus_x, &q.y_plus_x);
        let c = F::mul_wide::<0>(&self.t, &q.t2d);
        let d = F::mul_wide::<1>(&self.z, &q.z2);
        Completed {
            e: F::carry(&F::wide_sub(&b, &a)),
            f: F::carry(&F::wide_sub(&d, &c)),
            g: F::carry(&F::wide_add(&d, &c)),
            h: F::carry(&F::wide_add(&b, &a)),
        }
    }

    /// madd-2008-hwcd-3, 3 multiplications: as `add` with Z2 = 1, hence D = 2 Z1.
    #[inline(always)]
    pub fn add_affine(&self, q: &Affine<F>) -> Completed<F> {
        let a = F::mul_wide::<0>(&self.y_minus_x, &q.y_minus_x);
        let b = F::mul_wide::<1>(&self.y_plus_x, &q.y_plus_x);
        let c = F::mul_wide::<0>(&self.t, &q.t2d);
        let z = F::widen_biased(&self.z);
        let d = F::wide_add(&z, &F::widen(&self.z));
        Completed {
            e: F::carry(&F::wide_sub(&b, &a)),
            f: F::carry(&F::wide_sub(&d, &c)),
            g: F::carry(&F::wide_add(&d, &c)),
            h: F::carry(&F::wide_add(&b, &a)),
        }
    }
}
