//! Powers with fixed exponents, square roots and inverses (RFC 9496, 3.1 and 4.2).
//!
//! One chain of squarings is bound by latency, so the functions work on `N` independent elements
//! per lane in lockstep; with four the multiplier is busy.

use super::constants::SQRT_M1;
use super::field::Field;
use super::word::LaneMask;

/// How many groups of lanes go through a power together.
pub const BLOCK: usize = 4;

/// x^(2^k)
#[inline(always)]
fn square_times<F: Field, const N: usize>(x: &mut [F; N], k: usize) {
    for _ in 0..k {
        for x in x.iter_mut() {
            *x = F::square(x);
        }
    }
}

#[inline(always)]
fn mul_into<F: Field, const N: usize>(x: &mut [F; N], y: &[F; N]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x = F::mul(x, y);
    }
}

/// x^((p-5)/8) = x^(2^252 - 3), the usual chain (Bernstein, curve25519 ref10): 251 squarings, 11
/// multiplications. Names say which power of x they hold: `a_b` is x^(2^a - 2^b).
#[inline(always)]
pub fn pow_p58<F: Field, const N: usize>(x: &mut [F; N]) {
    let x1 = *x;
    let mut x2 = x1;
    square_times(&mut x2, 1);
    let mut x9 = x2;
    square_times(&mut x9, 2);
    mul_into(&mut x9, &x1);
    let mut x11 = x9;
    mul_into(&mut x11, &x2);
    let mut p5_0 = x11;
    square_times(&mut p5_0, 1);
    mul_into(&mut p5_0, &x9);
    let mut p10_0 = p5_0;
    square_times(&mut p10_0, 5);
    mul_into(&mut p10_0, &p5_0);
    let mut p20_0 = p10_0;
    square_times(&mut p20_0, 10);
    mul_into(&mut p20_0, &p10_0);
    let mut t = p20_0;
    square_times(&mut t, 20);
    mul_into(&mut t, &p20_0);
    square_times(&mut t, 10);
    mul_into(&mut t, &p10_0);
    let p50_0 = t;
    square_times(&mut t, 50);
    mul_into(&mut t, &p50_0);
    let p100_0 = t;
    square_times(&mut t, 100);
    mul_into(&mut t, &p100_0);
    square_times(&mut t, 50);
    mul_into(&mut t, &p50_0);
    square_times(&mut t, 2);
    mul_into(&mut t, &x1);
    *x = t;
}

/// What `sqrt_ratio` needs besides the power itself, which the caller supplies: it is long, and
/// compiled once per processor.
#[derive(Clone, Copy)]
pub struct SqrtRatio<F> {
    u: F,
    v: F,
    uv3: F,
}

impl<F: Field> SqrtRatio<F> {
    /// Returns the state and u v^7, of which the caller takes `pow_p58`.
    #[inline(always)]
    pub fn begin(u: &F, v: &F) -> (Self, F) {
        let v3 = F::mul(&F::square(v), v);
        let v7 = F::mul(&F::square(&v3), v);
        let uv3 = F::mul(u, &v3);
        (SqrtRatio { u: *u, v: *v, uv3 }, F::mul(u, &v7))
    }

    /// SQRT_RATIO_M1 (RFC 9496, 4.2): whether u/v is a square, and the non-negative root of u/v
    /// or of SQRT_M1 * u/v. u = 0 gives (true, 0); v = 0 with u != 0 gives (false, 0).
    #[inline(always)]
    pub fn finish(&self, power: &F) -> (F::Mask, F) {
        let i = F::constant(SQRT_M1);
        let r = F::mul(&self.uv3, power);
        let check = F::mul(&self.v, &F::square(&r));
        let minus_u = F::negate(&self.u);
        let correct = F::equal(&check, &self.u);
        let flipped = F::equal(&check, &minus_u);
        let flipped_i = F::equal(&check, &F::mul(&minus_u, &i));
        let r = F::select(flipped.or(flipped_i), &F::mul(&r, &i), &r);
        (correct.or(flipped), F::abs(&r))
    }
}

/// 1/x = x^(p-2) = (x^((p-5)/8))^8 x^3; 0 gives 0. `power` is x^((p-5)/8).
#[inline(always)]
pub fn invert<F: Field>(x: &F, power: &F) -> F {
    let mut t = [*power];
    square_times(&mut t, 3);
    F::mul(&t[0], &F::mul(&F::square(x), x))
}
