//! A statistical check that the running time does not depend on secrets (after Reparaz, Balasch
//! and Verbauwhede, "dude, is my code constant time?"): Welch's t-test between a class with a
//! fixed secret and one with random secrets, interleaved at random. |t| < 4.5 is no evidence of a
//! difference; a leak grows with the square root of the number of measurements.
//!
//! Not part of the ordinary suite: it needs a quiet machine.
//! `cargo test --release --test constant_time -- --ignored --nocapture --test-threads=1`

mod common;
use _native::backend::{Backend, Encoding, Points, PreparedScalar, available};
use common::{Stream, encode};
use curve25519_dalek::{RistrettoPoint, Scalar};
use std::hint::black_box;

const THRESHOLD: f64 = 4.5;
const BATCH: usize = 32;

#[cfg(target_arch = "x86_64")]
fn ticks() -> u64 {
    use core::arch::x86_64::{_mm_lfence, _rdtsc};
    // SAFETY: every x86-64 processor has both.
    unsafe {
        _mm_lfence();
        let now = _rdtsc();
        _mm_lfence();
        now
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn ticks() -> u64 {
    std::time::Instant::now().elapsed().as_nanos() as u64
}

/// Welch's t of two samples, online.
#[derive(Default, Clone, Copy)]
struct Sample {
    n: f64,
    mean: f64,
    m2: f64,
}

impl Sample {
    fn push(&mut self, x: f64) {
        self.n += 1.0;
        let delta = x - self.mean;
        self.mean += delta / self.n;
        self.m2 += delta * (x - self.mean);
    }
}

fn welch(a: &Sample, b: &Sample) -> f64 {
    let variance = |s: &Sample| s.m2 / (s.n - 1.0) / s.n;
    (a.mean - b.mean) / (variance(a) + variance(b)).sqrt()
}

/// Largest |t| over all measurements and over those below several percentiles: interruptions make
/// a long tail that hides small differences.
fn t_value(times: &[(bool, u64)]) -> f64 {
    let mut sorted: Vec<u64> = times.iter().map(|t| t.1).collect();
    sorted.sort_unstable();
    let mut worst: f64 = 0.0;
    for percent in [50, 75, 90, 95, 100] {
        let limit = sorted[(sorted.len() * percent / 100).min(sorted.len()) - 1];
        let mut classes = [Sample::default(); 2];
        for (class, time) in times.iter().filter(|t| t.1 <= limit) {
            classes[usize::from(*class)].push(*time as f64);
        }
        let t = welch(&classes[0], &classes[1]);
        if t.abs() > worst.abs() {
            worst = t;
        }
    }
    worst
}

/// Inputs of both classes lie in one pool in random order. `load` copies one to where `run` finds it, the
/// same place for all: where data lie in memory must not tell the classes apart.
fn measure<T>(
    stream: &mut Stream,
    pool: &[(bool, T)],
    rounds: usize,
    mut load: impl FnMut(&T),
    mut run: impl FnMut(),
) -> f64 {
    for (_, input) in pool {
        load(input);
        run();
    }
    let mut times = Vec::with_capacity(rounds);
    while times.len() < rounds {
        for byte in stream.bytes().chunks_exact(2) {
            let (class, input) =
                &pool[usize::from(u16::from_le_bytes([byte[0], byte[1]])) % pool.len()];
            load(black_box(input));
            let start = ticks();
            run();
            times.push((*class, ticks() - start));
        }
    }
    t_value(&times)
}

#[derive(Clone)]
struct Secrets {
    uniform: Vec<[u8; 64]>,
    elements: Vec<Encoding>,
    scalars: Vec<Scalar>,
    key: PreparedScalar,
}

/// Where an operation finds its inputs.
struct Desk {
    secrets: Secrets,
    points: Points,
}

impl Desk {
    fn load(&mut self, backend: &dyn Backend, secrets: &Secrets) {
        self.secrets.uniform.copy_from_slice(&secrets.uniform);
        self.secrets.elements.copy_from_slice(&secrets.elements);
        self.secrets.scalars.copy_from_slice(&secrets.scalars);
        self.secrets.key.clone_from(&secrets.key);
        self.points = backend.decode(&secrets.elements).expect("valid");
    }
}

/// `fixed`: which of the secrets are the fixed ones.
fn secrets(
    stream: &mut Stream,
    fixed_scalars: bool,
    fixed_points: bool,
    scalar: Scalar,
) -> Secrets {
    let mut points = Vec::new();
    let mut uniform = Vec::new();
    for _ in 0..BATCH {
        let (u, p) = (stream.bytes(), stream.point());
        uniform.push(if fixed_points { [0; 64] } else { u });
        points.push(if fixed_points {
            RistrettoPoint::mul_base(&Scalar::ONE)
        } else {
            p
        });
    }
    let random: Vec<Scalar> = (0..BATCH).map(|_| stream.scalar()).collect();
    let scalars = if fixed_scalars {
        vec![scalar; BATCH]
    } else {
        random
    };
    let key = PreparedScalar::new(&if fixed_scalars {
        scalar
    } else {
        stream.scalar()
    });
    Secrets {
        uniform,
        elements: encode(&points),
        scalars,
        key,
    }
}

fn report(backend: &dyn Backend, rounds: usize) -> f64 {
    let mut worst: f64 = 0.0;
    let extremes = [
        ("0", Scalar::ZERO),
        ("1", Scalar::ONE),
        ("l - 1", -Scalar::ONE),
    ];
    let mut cases: Vec<(String, bool, bool, Scalar)> = extremes
        .into_iter()
        .map(|(name, scalar)| (format!("scalar {name} / random"), true, false, scalar))
        .collect();
    cases.push(("fixed / random points".into(), false, true, Scalar::ONE));
    for (what, scalars, points, scalar) in cases {
        let mut stream = Stream::new("constant time");
        let pool: Vec<(bool, Secrets)> = (0..64)
            .map(|i| (i % 2 == 0, i))
            .map(|(fixed, _)| {
                (
                    fixed,
                    secrets(&mut stream, fixed && scalars, fixed && points, scalar),
                )
            })
            .collect();
        let table = backend.generator();
        type Run<'a> = Box<dyn Fn(&Secrets, &Points) + 'a>;
        let out = std::cell::RefCell::new(vec![[0; 32]; BATCH]);
        let runs: Vec<(&str, Run)> = vec![
            (
                "hash_mul",
                Box::new(|s, _| backend.hash_mul_encode(&s.uniform, &s.key, &mut out.borrow_mut())),
            ),
            (
                "hash_mul_each",
                Box::new(|s, _| {
                    backend.hash_mul_each_encode(&s.uniform, &s.scalars, &mut out.borrow_mut())
                }),
            ),
            (
                "hash_add_base",
                Box::new(|s, _| {
                    drop(backend.hash_add_base_encode(
                        &s.uniform,
                        &s.scalars,
                        &mut out.borrow_mut(),
                    ))
                }),
            ),
            (
                "decode_mul",
                Box::new(|s, _| {
                    let _ = backend.decode_mul_encode(&s.elements, &s.key, &mut out.borrow_mut());
                }),
            ),
            (
                "decode_mul_each",
                Box::new(|s, _| {
                    let _ = backend.decode_mul_each_encode(
                        &s.elements,
                        &s.scalars,
                        &mut out.borrow_mut(),
                    );
                }),
            ),
            (
                "points_mul",
                Box::new(|s, p| {
                    let out = &mut out.borrow_mut();
                    backend.points_mul_encode(p, 0, &s.key, out);
                }),
            ),
            (
                "points_sub_base",
                Box::new(|s, p| {
                    let out = &mut out.borrow_mut();
                    backend.points_sub_base_encode(p, 0, &s.scalars, table, out);
                }),
            ),
            (
                "mul_base",
                Box::new(|s, _| {
                    drop(backend.mul_base_encode(&s.scalars, table, &mut out.borrow_mut()))
                }),
            ),
        ];
        for (name, run) in runs {
            let desk = std::cell::RefCell::new(Desk {
                secrets: pool[0].1.clone(),
                points: backend.decode(&pool[0].1.elements).expect("valid"),
            });
            let load = |secrets: &Secrets| desk.borrow_mut().load(backend, secrets);
            let t = measure(&mut stream, &pool, rounds, load, || {
                let desk = desk.borrow();
                run(black_box(&desk.secrets), &desk.points);
            });
            println!("{:>8} {name:<16} {what:<24} t = {t:>6.2}", backend.name());
            worst = worst.max(t.abs());
        }
    }
    worst
}

#[test]
#[ignore = "needs a quiet machine"]
fn no_difference_between_fixed_and_random_secrets() {
    let rounds = std::env::var("ROUNDS").map_or(20_000, |n| n.parse().expect("a number"));
    for backend in available() {
        if backend.name() != "portable" {
            let worst = report(backend.as_ref(), rounds);
            assert!(worst < THRESHOLD, "{}: |t| = {worst:.2}", backend.name());
        }
    }
}

/// The harness sees a leak if there is one.
#[test]
#[ignore = "needs a quiet machine"]
fn a_leak_is_seen() {
    let mut stream = Stream::new("leak");
    let pool: Vec<(bool, Scalar)> = (0..64)
        .map(|i| {
            (
                i % 2 == 0,
                if i % 2 == 0 {
                    Scalar::ONE
                } else {
                    stream.scalar()
                },
            )
        })
        .collect();
    let point = stream.point();
    let desk = std::cell::Cell::new(Scalar::ZERO);
    let load = |scalar: &Scalar| desk.set(*scalar);
    let t = measure(&mut stream, &pool, 2_000, load, || {
        let s = black_box(desk.get());
        black_box(RistrettoPoint::vartime_double_scalar_mul_basepoint(
            &s, &point, &s,
        ));
    });
    assert!(t.abs() > THRESHOLD, "|t| = {:.2}", t.abs());
}
