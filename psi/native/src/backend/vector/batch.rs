//! The seam's operations: bytes in, steps of the engine, bytes out.
//!
//! A chunk is laid out in groups of `E::LANES` elements, one per lane. The number of groups is
//! rounded up to whole blocks; places beyond the end repeat the last element, so that a partial
//! batch goes the same way as a full one, and their results are dropped.

use super::super::{
    Backend, BadElement, BaseTable, CHUNK, Decoded, Encoding, Points, PreparedScalar, Table, Text,
};
use super::engine::{Engine, LaneBytes};
use super::msm::{AffineWords, Buckets, Window};
use super::multiply::{CombRow, Multiples};
use super::point::Extended;
use super::power::BLOCK;
use super::scalar::{self, DIGITS32, LaneScalars, Words};
use super::sha512;
use super::wipe::Wiped;
use super::word::LaneValues;
use curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT;
use curve25519_dalek::ristretto::CompressedRistretto;
use curve25519_dalek::traits::Identity;
use curve25519_dalek::{RistrettoPoint, Scalar};

pub struct Comb<F: super::field::Field>(pub(super) super::multiply::Comb<F>);

/// How an engine finds its own table in a `BaseTable`.
pub trait OwnTable: Engine {
    fn wrap(comb: Comb<Self::Field>) -> Table;
    fn own(table: &BaseTable) -> Option<&Comb<Self::Field>>;
}

/// Decoded points, affine.
pub struct AffinePoints(Wiped<Words>);

impl AffinePoints {
    pub fn count(&self) -> usize {
        self.0.len() / 3
    }
    fn as_slice(&self) -> &[AffineWords] {
        self.0.as_chunks().0
    }
    pub fn join<'a>(parts: impl Iterator<Item = &'a AffinePoints> + Clone) -> Self {
        let mut out = Wiped::new([0; 4], parts.clone().map(|part| part.0.len()).sum());
        let mut rest = &mut out[..];
        for part in parts {
            let (place, after) = rest.split_at_mut(part.0.len());
            place.copy_from_slice(&part.0);
            rest = after;
        }
        AffinePoints(out)
    }
}

pub struct Vector<E: Engine> {
    generator: Option<BaseTable>,
    engine: core::marker::PhantomData<E>,
}

type Group<E> = Extended<<E as Engine>::Field>;

const NO_BYTES: LaneBytes = [LaneValues([0; 8]); 4];

fn le_words(bytes: &[u8]) -> Words {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    }
    words
}

/// Groups needed for n elements, in whole blocks.
fn groups<E: Engine>(n: usize) -> usize {
    n.div_ceil(E::LANES).next_multiple_of(BLOCK)
}

/// Lays `n` items of four words out in lanes; `item(i)` gives the i-th.
fn spread<E: Engine>(n: usize, item: impl Fn(usize) -> Words) -> Wiped<LaneBytes> {
    let mut out = Wiped::new(NO_BYTES, groups::<E>(n));
    for (g, group) in out.iter_mut().enumerate() {
        for lane in 0..E::LANES {
            let words = item((g * E::LANES + lane).min(n - 1));
            for (values, word) in group.iter_mut().zip(words) {
                values.0[lane] = word;
            }
        }
    }
    out
}

fn collect<E: Engine>(lanes: &[LaneBytes], out: &mut [Encoding]) {
    for (out, group) in out.chunks_mut(E::LANES).zip(lanes) {
        for (lane, out) in out.iter_mut().enumerate() {
            for (bytes, values) in out.chunks_exact_mut(8).zip(group) {
                bytes.copy_from_slice(&values.0[lane].to_le_bytes());
            }
        }
    }
}

fn no_points<E: Engine>(n: usize) -> Wiped<Group<E>> {
    // SAFETY: the field's words are plain numbers; the identity would do as well, but is a
    // computation that needs the engine's features.
    let zero: Group<E> = unsafe { core::mem::zeroed() };
    Wiped::new(zero, groups::<E>(n))
}

fn blocks<T>(slice: &[T]) -> &[[T; BLOCK]] {
    slice.as_chunks().0
}

fn blocks_mut<T>(slice: &mut [T]) -> &mut [[T; BLOCK]] {
    slice.as_chunks_mut().0
}

pub(super) fn decode<E: Engine>(elements: &[Encoding]) -> Result<Wiped<Group<E>>, BadElement> {
    let words = spread::<E>(elements.len(), |i| le_words(&elements[i]));
    let mut points = no_points::<E>(elements.len());
    for (b, (words, points)) in blocks(&words)
        .iter()
        .zip(blocks_mut(&mut points))
        .enumerate()
    {
        // SAFETY: an engine exists only where the processor has its features.
        let refused = unsafe { E::decode(words, points) };
        for (g, refused) in refused.into_iter().enumerate() {
            if refused != 0 {
                // Beyond the end only the last element is repeated, which comes first.
                let lane = refused.trailing_zeros() as usize;
                return Err(BadElement((b * BLOCK + g) * E::LANES + lane));
            }
        }
    }
    Ok(points)
}

fn map<E: Engine>(uniform: &[[u8; 64]]) -> Wiped<Group<E>> {
    let n = uniform.len();
    let low = spread::<E>(n, |i| le_words(&uniform[i][..32]));
    let high = spread::<E>(n, |i| le_words(&uniform[i][32..]));
    let mut points = no_points::<E>(n);
    let halves = low.as_chunks::<2>().0.iter().zip(high.as_chunks::<2>().0);
    for ((low, high), points) in halves.zip(points.as_chunks_mut::<2>().0) {
        let words = Wiped::new([low[0], high[0], low[1], high[1]], 1);
        // SAFETY: an engine exists only where the processor has its features.
        unsafe { E::map(&words[0], points) };
    }
    points
}

/// point = scalar * point for the first n elements, a group at a time.
fn multiply<'a, E: Engine>(
    points: &mut [Group<E>],
    n: usize,
    scalars: impl Iterator<Item = &'a LaneScalars>,
) {
    // SAFETY: the field's words are plain numbers.
    let zero: Multiples<E::Field> = unsafe { core::mem::zeroed() };
    let mut table = Wiped::new(zero, 1);
    for (point, scalars) in points[..n.div_ceil(E::LANES)].iter_mut().zip(scalars) {
        // SAFETY: an engine exists only where the processor has its features.
        unsafe { E::multiply(point, scalars, &mut table[0]) };
    }
}

fn multiply_by_key<E: Engine>(points: &mut [Group<E>], n: usize, key: &PreparedScalar) {
    let scalars = Wiped::new(key.half16.map(|word| LaneValues([word; 8])), 1);
    multiply::<E>(points, n, core::iter::repeat(&scalars[0]));
}

fn multiply_each<E: Engine>(points: &mut [Group<E>], scalars: &[Scalar]) {
    let recoded = spread::<E>(scalars.len(), |i| super::recoded_half(&scalars[i]));
    multiply::<E>(points, scalars.len(), recoded.iter());
}

fn add_comb<E: Engine>(
    points: &mut [Group<E>],
    comb: &Comb<E::Field>,
    n: usize,
    scalar: impl Fn(usize) -> Words,
) {
    let recoded = spread::<E>(n, |i| scalar::recode32(&scalar(i)));
    for (points, scalars) in blocks_mut(points).iter_mut().zip(blocks(&recoded)) {
        // SAFETY: an engine exists only where the processor has its features.
        unsafe { E::multiply_comb_add(points, &comb.0, scalars) };
    }
}

fn encode<E: Engine>(points: &[Group<E>], out: &mut [Encoding]) {
    let mut lanes = Wiped::new(NO_BYTES, points.len());
    for (points, lanes) in blocks(points).iter().zip(blocks_mut(&mut lanes)) {
        // SAFETY: an engine exists only where the processor has its features.
        unsafe { E::encode(points, lanes) };
    }
    collect::<E>(&lanes, out);
}

/// Encodes twice the points.
pub(super) fn double_encode<E: Engine>(points: &[Group<E>], out: &mut [Encoding]) {
    let points = &points[..out.len().div_ceil(E::LANES)];
    // SAFETY: the field's words are plain numbers.
    let zero: [E::Field; 2] = unsafe { core::mem::zeroed() };
    let mut scratch = Wiped::new(zero, points.len());
    let mut lanes = Wiped::new(NO_BYTES, points.len());
    // SAFETY: an engine exists only where the processor has its features.
    unsafe { E::double_encode(points, &mut scratch, &mut lanes) };
    collect::<E>(&lanes, out);
}

fn identities<E: Engine>(n: usize) -> Wiped<Group<E>> {
    let mut points = no_points::<E>(n);
    for points in blocks_mut(&mut points) {
        // SAFETY: an engine exists only where the processor has its features.
        unsafe { E::identity(points) };
    }
    points
}

/// Multiples of a public point for `Comb`: halves of the multiples are doubled and encoded by
/// dalek in one batch, then decoded here; any representative of the coset will do.
pub(super) fn make_comb<E: Engine>(point: &RistrettoPoint) -> Comb<E::Field> {
    let mut base = point * Scalar::from(2u8).invert();
    let mut halves = Vec::with_capacity(16 * DIGITS32);
    for _ in 0..DIGITS32 {
        let mut multiple = base;
        for _ in 0..16 {
            halves.push(multiple);
            multiple += base;
        }
        // multiple = 17 base
        base = multiple - base;
        base += base;
    }
    let encodings: Vec<Encoding> = RistrettoPoint::double_and_compress_batch(&halves)
        .iter()
        .map(|e| e.0)
        .collect();
    // The identity has no affine table; nobody multiplies it, but a table must exist.
    let affine = match affine_points::<E>(&encodings) {
        Ok(points) => points,
        Err(_) => AffinePoints(Wiped::new([1, 0, 0, 0], 3 * encodings.len())),
    };
    let rows = affine
        .as_slice()
        .as_chunks::<16>()
        .0
        .iter()
        .map(|entries| CombRow {
            y_plus_x: row::<E>(entries, 0),
            y_minus_x: row::<E>(entries, 1),
            t2d: row::<E>(entries, 2),
        });
    let rows: Box<[CombRow<E::Field>]> = rows.collect();
    let rows = rows
        .try_into()
        .unwrap_or_else(|_| unreachable!("one row per digit"));
    Comb(super::multiply::Comb(rows))
}

fn row<E: Engine>(
    entries: &[AffineWords; 16],
    coordinate: usize,
) -> <E::Field as super::field::Field>::Row {
    <E::Field as super::field::Field>::row(&entries.map(|entry| entry[coordinate]))
}

fn affine_points<E: Engine>(elements: &[Encoding]) -> Result<AffinePoints, BadElement> {
    let mut out = Wiped::new([0; 4], 3 * elements.len());
    for (c, chunk) in elements.chunks(CHUNK).enumerate() {
        let start = c * CHUNK;
        let points = decode::<E>(chunk).map_err(|bad| BadElement(start + bad.0))?;
        for i in (0..chunk.len()).step_by(E::LANES) {
            // SAFETY: an engine exists only where the processor has its features.
            let words = unsafe { E::affine_words(&points[i / E::LANES]) };
            let end = 3 * (start + chunk.len());
            scatter::<E>(&words, &mut out[3 * (start + i)..end]);
        }
    }
    Ok(AffinePoints(out))
}

/// One group's coordinates, lane by lane, as far as `out` goes.
fn scatter<E: Engine>(words: &[LaneBytes; 3], out: &mut [Words]) {
    for (lane, out) in out.chunks_exact_mut(3).take(E::LANES).enumerate() {
        for (out, words) in out.iter_mut().zip(words) {
            *out = [0, 1, 2, 3].map(|w| words[w].0[lane]);
        }
    }
}

/// The first n points, kept for later.
fn keep<E: Engine>(points: &[Group<E>], n: usize) -> AffinePoints {
    let points = &points[..n.div_ceil(E::LANES)];
    // SAFETY: the field's words are plain numbers.
    let zero: E::Field = unsafe { core::mem::zeroed() };
    let mut scratch = Wiped::new(zero, points.len());
    let mut words = Wiped::new([NO_BYTES; 3], points.len());
    // SAFETY: an engine exists only where the processor has its features.
    unsafe { E::normalise(points, &mut scratch, &mut words) };
    let mut out = Wiped::new([0; 4], 3 * n);
    for (words, out) in words.iter().zip(out.chunks_mut(3 * E::LANES)) {
        scatter::<E>(words, out);
    }
    AffinePoints(out)
}

fn kept(parts: &[AffinePoints]) -> Points {
    Points(Decoded::Affine(AffinePoints::join(parts.iter())))
}

/// Window widths worth trying, i.e. those whose windows just fit a number of passes.
fn best_window<E: Engine>(n: usize) -> u32 {
    let cost = |bits: u32| {
        let passes = Window::count(bits).div_ceil(E::LANES as u32) as usize;
        // Measured: emptying a bucket costs about twice as much as adding a point to one.
        passes * (n + (2 << (bits - 1)))
    };
    (3..=12).min_by_key(|bits| cost(*bits)).unwrap_or(8)
}

fn msm<E: Engine>(points: &[AffineWords], scalars: &[Scalar]) -> RistrettoPoint {
    if points.is_empty() {
        return RistrettoPoint::identity();
    }
    let bits = best_window::<E>(points.len());
    let recoded: Vec<Words> = scalars
        .iter()
        .map(|s| Window::recode(&scalar::words(s), bits))
        .collect();
    let mut sum = identities::<E>(1);
    let passes = Window::count(bits).div_ceil(E::LANES as u32);
    for pass in (0..passes).rev() {
        let window = Window {
            bits,
            first: pass * E::LANES as u32,
        };
        let limbs = core::mem::size_of::<E::Field>() / (8 * E::LANES);
        let mut buckets = Buckets::new(&window, E::LANES, limbs);
        // SAFETY: an engine exists only where the processor has its features.
        unsafe {
            E::msm_accumulate(&mut buckets, points, &recoded, &window);
            E::msm_collect(&mut sum[0], &buckets, &window);
        }
    }
    // SAFETY: an engine exists only where the processor has its features.
    unsafe { E::msm_fold(&mut sum[0], bits) };
    let mut encoding = [[0; 32]];
    encode::<E>(&sum, &mut encoding);
    let sum = CompressedRistretto(encoding[0]).decompress();
    // Only encodings come out of `encode`.
    sum.expect("the kernel's own encoding")
}

impl<E: OwnTable> Vector<E> {
    /// `None` if the processor lacks the engine's features.
    pub fn new() -> Option<Self> {
        if !E::available() {
            return None;
        }
        let mut backend = Vector {
            generator: None,
            engine: core::marker::PhantomData,
        };
        backend.generator = Some(backend.base_table(&RISTRETTO_BASEPOINT_POINT));
        Some(backend)
    }

    fn comb<'a>(&self, table: &'a BaseTable) -> &'a Comb<E::Field> {
        E::own(table).expect("a table of this backend")
    }
}

impl<E: OwnTable> Backend for Vector<E> {
    fn name(&self) -> &'static str {
        E::NAME
    }

    fn sha512(
        &self,
        prefix: &[u8],
        messages: &[u8],
        width: usize,
        suffix: &[u8],
        out: &mut [[u8; 64]],
    ) {
        assert_eq!(messages.len(), width * out.len());
        sha512::hash_many::<E>(prefix, messages, width, suffix, out);
    }

    fn hmac_sha512(&self, keys: &[[u8; 64]], texts: &[Text], out: &mut [&mut [[u8; 64]]]) {
        assert_eq!(texts.len(), out.len());
        assert!(out.iter().all(|out| out.len() == keys.len()));
        sha512::hmac_many::<E>(keys, texts, out);
    }

    fn hash_mul_encode(&self, uniform: &[[u8; 64]], key: &PreparedScalar, out: &mut [Encoding]) {
        assert_eq!(uniform.len(), out.len());
        for (uniform, out) in uniform.chunks(CHUNK).zip(out.chunks_mut(CHUNK)) {
            let mut points = map::<E>(uniform);
            multiply_by_key::<E>(&mut points, out.len(), key);
            double_encode::<E>(&points, out);
        }
    }

    fn hash_mul_each_encode(&self, uniform: &[[u8; 64]], scalars: &[Scalar], out: &mut [Encoding]) {
        assert_eq!((uniform.len(), scalars.len()), (out.len(), out.len()));
        let chunks = uniform.chunks(CHUNK).zip(scalars.chunks(CHUNK));
        for ((uniform, scalars), out) in chunks.zip(out.chunks_mut(CHUNK)) {
            let mut points = map::<E>(uniform);
            multiply_each::<E>(&mut points, scalars);
            double_encode::<E>(&points, out);
        }
    }

    fn hash_add_base_encode(
        &self,
        uniform: &[[u8; 64]],
        scalars: &[Scalar],
        out: &mut [Encoding],
    ) -> Points {
        assert_eq!((uniform.len(), scalars.len()), (out.len(), out.len()));
        let comb = self.comb(self.generator());
        let chunks = uniform.chunks(CHUNK).zip(scalars.chunks(CHUNK));
        let parts = chunks.zip(out.chunks_mut(CHUNK));
        let parts = parts.map(|((uniform, scalars), out)| {
            let mut points = map::<E>(uniform);
            add_comb::<E>(&mut points, comb, out.len(), |i| scalar::words(&scalars[i]));
            encode::<E>(&points, out);
            keep::<E>(&points, out.len())
        });
        kept(&parts.collect::<Vec<_>>())
    }

    fn decode_mul_encode(
        &self,
        elements: &[Encoding],
        key: &PreparedScalar,
        out: &mut [Encoding],
    ) -> Result<(), BadElement> {
        assert_eq!(elements.len(), out.len());
        in_chunks::<E>(elements, out, |mut points, _, out| {
            multiply_by_key::<E>(&mut points, out.len(), key);
            double_encode::<E>(&points, out);
        })
    }

    fn decode_mul_each_encode(
        &self,
        elements: &[Encoding],
        scalars: &[Scalar],
        out: &mut [Encoding],
    ) -> Result<(), BadElement> {
        assert_eq!((elements.len(), scalars.len()), (out.len(), out.len()));
        in_chunks::<E>(elements, out, |mut points, start, out| {
            multiply_each::<E>(&mut points, &scalars[start..][..out.len()]);
            double_encode::<E>(&points, out);
        })
    }

    fn mul_base_encode(
        &self,
        scalars: &[Scalar],
        table: &BaseTable,
        out: &mut [Encoding],
    ) -> Points {
        assert_eq!(scalars.len(), out.len());
        let comb = self.comb(table);
        let chunks = scalars.chunks(CHUNK).zip(out.chunks_mut(CHUNK));
        let parts = chunks.map(|(scalars, out)| {
            let mut points = identities::<E>(out.len());
            let half = |i: usize| scalar::half(&scalar::words(&scalars[i]));
            add_comb::<E>(&mut points, comb, out.len(), half);
            double_encode::<E>(&points, out);
            // SAFETY: an engine exists only where the processor has its features.
            unsafe { E::double(&mut points) };
            keep::<E>(&points, out.len())
        });
        kept(&parts.collect::<Vec<_>>())
    }

    fn base_table(&self, point: &RistrettoPoint) -> BaseTable {
        BaseTable {
            point: *point,
            table: E::wrap(make_comb::<E>(point)),
        }
    }

    fn generator(&self) -> &BaseTable {
        self.generator.as_ref().expect("set by new")
    }

    fn decode(&self, elements: &[Encoding]) -> Result<Points, BadElement> {
        Ok(Points(Decoded::Affine(affine_points::<E>(elements)?)))
    }

    fn points_mul_encode(
        &self,
        points: &Points,
        start: usize,
        key: &PreparedScalar,
        out: &mut [Encoding],
    ) {
        let points = &own(points)[start..][..out.len()];
        for (points, out) in points.chunks(CHUNK).zip(out.chunks_mut(CHUNK)) {
            let mut points = from_affine::<E>(points);
            multiply_by_key::<E>(&mut points, out.len(), key);
            double_encode::<E>(&points, out);
        }
    }

    fn points_sub_base_encode(
        &self,
        points: &Points,
        start: usize,
        scalars: &[Scalar],
        table: &BaseTable,
        out: &mut [Encoding],
    ) {
        assert_eq!(scalars.len(), out.len());
        let comb = self.comb(table);
        let points = &own(points)[start..][..out.len()];
        let chunks = points.chunks(CHUNK).zip(scalars.chunks(CHUNK));
        for ((points, scalars), out) in chunks.zip(out.chunks_mut(CHUNK)) {
            let mut sums = from_affine::<E>(points);
            add_comb::<E>(&mut sums, comb, out.len(), |i| scalar::words(&-scalars[i]));
            encode::<E>(&sums, out);
        }
    }

    fn msm(&self, points: &Points, scalars: &[Scalar]) -> RistrettoPoint {
        let points = own(points);
        assert_eq!(points.len(), scalars.len());
        msm::<E>(points, scalars)
    }
}

fn own(points: &Points) -> &[AffineWords] {
    match &points.0 {
        Decoded::Affine(points) => points.as_slice(),
        Decoded::Portable(_) => panic!("these points were decoded by another backend"),
    }
}

fn from_affine<E: Engine>(points: &[AffineWords]) -> Wiped<Group<E>> {
    let y_plus_x = spread::<E>(points.len(), |i| points[i][0]);
    let y_minus_x = spread::<E>(points.len(), |i| points[i][1]);
    let mut out = no_points::<E>(points.len());
    for ((out, plus), minus) in out.iter_mut().zip(y_plus_x.iter()).zip(y_minus_x.iter()) {
        // SAFETY: an engine exists only where the processor has its features.
        unsafe { E::from_affine(plus, minus, out) };
    }
    out
}

/// Decodes chunk after chunk and hands the points on. The output is only touched if every element
/// is valid, which for more than one chunk takes a buffer.
fn in_chunks<E: Engine>(
    elements: &[Encoding],
    out: &mut [Encoding],
    work: impl Fn(Wiped<Group<E>>, usize, &mut [Encoding]),
) -> Result<(), BadElement> {
    if elements.len() <= CHUNK {
        if !elements.is_empty() {
            work(decode::<E>(elements)?, 0, out);
        }
        return Ok(());
    }
    let mut results = Wiped::new([0; 32], out.len());
    for (c, elements) in elements.chunks(CHUNK).enumerate() {
        let start = c * CHUNK;
        let points = decode::<E>(elements).map_err(|bad| BadElement(start + bad.0))?;
        work(points, start, &mut results[start..][..elements.len()]);
    }
    out.copy_from_slice(&results);
    Ok(())
}
