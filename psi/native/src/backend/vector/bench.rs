//! The kernel's steps one by one, for the benchmark program only.

use super::batch::OwnTable;
use super::engine::{Avx2, Engine, Ifma512, LaneBytes};
use super::power::BLOCK;
use super::word::LaneValues;
use super::{batch, scalar};
use curve25519_dalek::{RistrettoPoint, Scalar};

/// A step, how many elements it handles at once, and the step itself.
pub type Step = (&'static str, usize, Box<dyn FnMut()>);

pub fn ifma512() -> Vec<Step> {
    if Ifma512::available() {
        steps::<Ifma512>()
    } else {
        Vec::new()
    }
}

pub fn avx2() -> Vec<Step> {
    if Avx2::available() {
        steps::<Avx2>()
    } else {
        Vec::new()
    }
}

fn steps<E: OwnTable>() -> Vec<Step> {
    const N: usize = super::super::CHUNK;
    let uniform = |i: usize| core::array::from_fn(|j| (i * (2 * j + 1) + j * j) as u8);
    let uniform: Vec<[u8; 64]> = (0..N).map(uniform).collect();
    let scalars: Vec<Scalar> = (0..N)
        .map(|i| Scalar::from_bytes_mod_order_wide(&[i as u8 + 1; 64]))
        .collect();
    let elements: Vec<[u8; 32]> = uniform
        .iter()
        .map(|u| RistrettoPoint::from_uniform_bytes(u).compress().0)
        .collect();
    let block: [LaneBytes; BLOCK] = core::array::from_fn(|g| {
        core::array::from_fn(|word| {
            LaneValues(core::array::from_fn(|lane| {
                let bytes = &elements[(g * E::LANES + lane) % N][8 * word..][..8];
                u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
            }))
        })
    });
    let key = super::recoded_half(&scalars[0]).map(|word| LaneValues([word; 8]));
    let mut points = batch::decode::<E>(&elements).unwrap_or_else(|_| unreachable!("valid"));
    let per_block = BLOCK * E::LANES;
    let comb = batch::make_comb::<E>(&RistrettoPoint::mul_base(&scalars[3]));
    let recoded = scalars.iter().map(|s| scalar::recode32(&scalar::words(s)));
    let recoded: Vec<_> = recoded.collect();
    let lanes: [LaneBytes; BLOCK] = core::array::from_fn(|g| {
        core::array::from_fn(|w| {
            LaneValues(core::array::from_fn(|lane| recoded[(8 * g + lane) % N][w]))
        })
    });

    let mut out: Vec<Step> = Vec::new();
    {
        let mut points = batch::decode::<E>(&elements).unwrap_or_else(|_| unreachable!("valid"));
        // SAFETY: plain numbers.
        let mut table = unsafe { Box::new(core::mem::zeroed()) };
        out.push((
            "variable base, one group at a time",
            E::LANES,
            Box::new(move || {
                // SAFETY: the engine is available.
                unsafe { E::multiply(&mut points[0], &key, &mut table) }
            }),
        ));
    }
    {
        let mut sums = batch::decode::<E>(&elements).unwrap_or_else(|_| unreachable!("valid"));
        out.push((
            "fixed base",
            per_block,
            Box::new(move || {
                let sums = (&mut sums[..BLOCK]).try_into().expect("a block");
                // SAFETY: the engine is available.
                unsafe { E::multiply_comb_add(sums, &comb.0, &lanes) }
            }),
        ));
    }
    {
        let mut points = batch::decode::<E>(&elements).unwrap_or_else(|_| unreachable!("valid"));
        out.push((
            "hash to group",
            per_block / 2,
            Box::new(move || {
                let points = (&mut points[..BLOCK / 2]).try_into().expect("half a block");
                // SAFETY: the engine is available.
                unsafe { E::map(core::hint::black_box(&block), points) }
            }),
        ));
    }
    {
        let mut points = batch::decode::<E>(&elements).unwrap_or_else(|_| unreachable!("valid"));
        out.push((
            "decode",
            per_block,
            Box::new(move || {
                let points = (&mut points[..BLOCK]).try_into().expect("a block");
                // SAFETY: the engine is available.
                unsafe { E::decode(core::hint::black_box(&block), points) };
            }),
        ));
    }
    {
        let points = batch::decode::<E>(&elements).unwrap_or_else(|_| unreachable!("valid"));
        let mut words = block;
        out.push((
            "encode with its own root",
            per_block,
            Box::new(move || {
                let points = (&points[..BLOCK]).try_into().expect("a block");
                // SAFETY: the engine is available.
                unsafe { E::encode(core::hint::black_box(points), &mut words) };
            }),
        ));
    }
    {
        let mut encoded = vec![[0u8; 32]; N];
        out.push((
            "double and encode, batch",
            N,
            Box::new(move || {
                points[0] = points[1];
                batch::double_encode::<E>(&points, &mut encoded)
            }),
        ));
    }
    {
        let mut state = [LaneValues([1; 8]); 8];
        let block = [LaneValues([7; 8]); 16];
        out.push((
            "sha512 block",
            E::LANES,
            Box::new(move || {
                // SAFETY: the engine is available.
                unsafe { E::sha512_block(&mut state, &block) }
            }),
        ));
    }
    out
}
