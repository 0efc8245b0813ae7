//! The ristretto255 encoding and decoding (RFC 9496, 4.3.1 and 4.3.2), the element derivation map
//! (4.3.4), and encoding of doubles with a shared inversion.
//!
//! Functions that need a square root come in two halves around the power `x^((p-5)/8)`, see
//! `power.rs`. Field elements are reduced, in and out.

use super::constants::*;
use super::field::Field;
use super::point::{Completed, Extended};
use super::power::SqrtRatio;
use super::word::{LaneMask, Word};

/// First half of decoding.
#[derive(Clone, Copy)]
pub struct Decode<F: Field> {
    s: F,
    u1: F,
    u2: F,
    v: F,
    refused: F::Mask,
    root: SqrtRatio<F>,
}

impl<F: Field> Decode<F> {
    /// RFC 9496, 4.3.1, steps 1 to 3 up to the power. `words` are the 32 bytes as they came.
    /// Encodings that are not the canonical form of a non-negative element, and the identity
    /// (which RFC 9497 forbids), are marked as refused.
    #[inline(always)]
    pub fn begin(words: &[F::Word; 4]) -> (Self, F) {
        let s = F::from_words(words);
        let canonical = s.to_words();
        let one_bit = F::Word::splat(1);
        let differs = (canonical[0].xor(words[0]).or(canonical[1].xor(words[1])))
            .or(canonical[2].xor(words[2]).or(canonical[3].xor(words[3])));
        let zero = F::Word::splat(0);
        let is_canonical = differs.equal(zero);
        let negative = words[0].and(one_bit).equal(one_bit);
        let identity = words[0].or(words[1]).or(words[2].or(words[3])).equal(zero);
        let refused = is_canonical.not().or(negative).or(identity);

        let one = F::one();
        let ss = F::square(&s);
        let u1 = F::sub(&one, &ss);
        let u2 = F::add(&one, &ss);
        let u2_squared = F::square(&u2);
        let du1_squared = F::mul(&F::constant(D), &F::square(&u1));
        let v = F::sub(&F::negate(&du1_squared), &u2_squared);
        let (root, power) = SqrtRatio::begin(&one, &F::mul(&v, &u2_squared));
        (
            Decode {
                s,
                u1,
                u2,
                v,
                refused,
                root,
            },
            power,
        )
    }

    /// The rest of 4.3.1: a point with Z = 1, and the lanes that hold a valid encoding.
    #[inline(always)]
    pub fn finish(&self, power: &F) -> (F::Mask, Extended<F>) {
        let (was_square, invsqrt) = self.root.finish(power);
        let den_x = F::mul(&invsqrt, &self.u2);
        let den_y = F::mul(&F::mul(&invsqrt, &den_x), &self.v);
        let x = F::abs(&F::mul(&F::add_factor(&self.s, &self.s), &den_x));
        let y = F::mul(&self.u1, &den_y);
        let t = F::mul(&x, &y);
        let refused = was_square
            .not()
            .or(F::is_negative(&t))
            .or(F::is_zero(&y))
            .or(self.refused);
        (
            refused.not(),
            Extended {
                x,
                y,
                z: F::one(),
                t,
            },
        )
    }
}

/// First half of MAP (RFC 9496, 4.3.4).
#[derive(Clone, Copy)]
pub struct Map<F> {
    t: F,
    r: F,
    v: F,
    root: SqrtRatio<F>,
}

impl<F: Field> Map<F> {
    /// `words` are 32 uniform bytes; the top bit is ignored, as the RFC wants.
    #[inline(always)]
    pub fn begin(words: &[F::Word; 4]) -> (Self, F) {
        let t = F::from_words(words);
        let one = F::one();
        let d = F::constant(D);
        let r = F::mul(&F::constant(SQRT_M1), &F::square(&t));
        let u = F::mul(&F::add_factor(&r, &one), &F::constant(ONE_MINUS_D_SQ));
        let minus_one_minus_rd = F::sub(&F::negate(&one), &F::mul(&r, &d));
        let v = F::mul(&minus_one_minus_rd, &F::add_factor(&r, &d));
        let (root, power) = SqrtRatio::begin(&u, &v);
        (Map { t, r, v, root }, power)
    }

    /// The four products of the RFC's last line are those of a completed point.
    #[inline(always)]
    pub fn finish(&self, power: &F) -> Completed<F> {
        let one = F::one();
        let (was_square, root) = self.root.finish(power);
        let s_prime = F::negate(&F::abs(&F::mul(&root, &self.t)));
        let s = F::select(was_square, &root, &s_prime);
        let c = F::select(was_square, &F::negate(&one), &self.r);
        let n = F::mul(
            &F::mul(&c, &F::sub_factor(&self.r, &one)),
            &F::constant(D_MINUS_ONE_SQ),
        );
        let n = F::sub(&n, &self.v);
        let sv = F::mul(&s, &self.v);
        let ss = F::square(&s);
        Completed {
            e: F::add_factor(&sv, &sv),
            f: F::add_factor(&one, &ss),
            g: F::mul(&n, &F::constant(SQRT_AD_MINUS_ONE)),
            h: F::sub_factor(&one, &ss),
        }
    }
}

/// First half of encoding one point (RFC 9496, 4.3.2).
#[derive(Clone, Copy)]
pub struct Encode<F> {
    u1: F,
    u2: F,
    root: SqrtRatio<F>,
}

impl<F: Field> Encode<F> {
    #[inline(always)]
    pub fn begin(p: &Extended<F>) -> (Self, F) {
        let u1 = F::mul(&F::add_factor(&p.z, &p.y), &F::sub_factor(&p.z, &p.y));
        let u2 = F::mul(&p.x, &p.y);
        let (root, power) = SqrtRatio::begin(&F::one(), &F::mul(&u1, &F::square(&u2)));
        (Encode { u1, u2, root }, power)
    }

    #[inline(always)]
    pub fn finish(&self, p: &Extended<F>, power: &F) -> [F::Word; 4] {
        let i = F::constant(SQRT_M1);
        let (_, invsqrt) = self.root.finish(power);
        let den1 = F::mul(&invsqrt, &self.u1);
        let den2 = F::mul(&invsqrt, &self.u2);
        let z_inv = F::mul(&F::mul(&den1, &den2), &p.t);
        let rotate = F::is_negative(&F::mul(&p.t, &z_inv));
        let x = F::select(rotate, &F::mul(&p.y, &i), &p.x);
        let y = F::select(rotate, &F::mul(&p.x, &i), &p.y);
        let enchanted = F::mul(&den1, &F::constant(INVSQRT_A_MINUS_D));
        let den_inv = F::select(rotate, &enchanted, &den2);
        let y = F::negate_if(F::is_negative(&F::mul(&x, &z_inv)), &y);
        F::abs(&F::mul(&den_inv, &F::sub_factor(&p.z, &y))).to_words()
    }
}

/// Encoding 2P without a square root, after dalek's `double_and_compress_batch`: the isogeny's
/// intermediate values are those of the doubling, and all square roots come out of products.
#[derive(Clone, Copy)]
pub struct DoubleEncode<F> {
    e: F,
    f: F,
    g: F,
    h: F,
    eg: F,
    fh: F,
}

impl<F: Field> DoubleEncode<F> {
    #[inline(always)]
    pub fn begin(p: &Extended<F>) -> Self {
        let xx = F::square_wide::<0>(&p.x);
        let yy = F::square_wide::<0>(&p.y);
        let zz = F::square(&p.z);
        let dtt = F::mul(&F::square(&p.t), &F::constant(D));
        let e = F::mul(&p.x, &F::add_factor(&p.y, &p.y));
        let f = F::add(&zz, &dtt);
        let g = F::carry(&F::wide_add(&yy, &xx));
        let h = F::sub(&zz, &dtt);
        DoubleEncode {
            e,
            f,
            g,
            h,
            eg: F::mul(&e, &g),
            fh: F::mul(&f, &h),
        }
    }

    /// The element to invert. It is 0 exactly where 2P is the identity's coset; such lanes are
    /// given 1 instead, so that they do not spoil the shared product, and `finish` encodes 0.
    #[inline(always)]
    pub fn factor(&self) -> (F::Mask, F) {
        let product = F::mul(&self.eg, &self.fh);
        let zero = F::is_zero(&product);
        (zero, F::select(zero, &F::one(), &product))
    }

    /// `inverse` is 1 / (e g f h), or 0 where that does not exist.
    #[inline(always)]
    pub fn finish(&self, inverse: &F) -> [F::Word; 4] {
        let i = F::constant(SQRT_M1);
        let z_inv = F::mul(&self.eg, inverse);
        let t_inv = F::mul(&self.fh, inverse);
        let rotate = F::is_negative(&F::mul(&self.eg, &z_inv));
        let e = F::select(rotate, &self.g, &self.e);
        let g = F::select(rotate, &F::negate(&self.e), &self.g);
        let h = F::select(rotate, &F::mul(&self.f, &i), &self.h);
        let magic = F::select(rotate, &i, &F::constant(INVSQRT_A_MINUS_D));
        let g = F::negate_if(F::is_negative(&F::mul(&F::mul(&h, &e), &z_inv)), &g);
        let s = F::mul(&F::sub_factor(&h, &g), &F::mul(&magic, &F::mul(&g, &t_inv)));
        F::abs(&s).to_words()
    }
}
