//! `cargo bench --features bench-internals`: cycles and microseconds per element on one core.
//!
//! Each figure is the median and the minimum of the nine least disturbed of 15 rounds. Cycles are core
//! cycles of the median, calibrated against a chain of multiplications of known latency, because the
//! time stamp counter ticks at another rate.

use _native::backend::{Backend, CHUNK, Encoding, PreparedScalar, available};
use curve25519_dalek::{RistrettoPoint, Scalar};
use std::hint::black_box;
use std::time::Instant;

/// Core cycles per nanosecond: a dependent 64-bit multiplication takes three cycles.
#[cfg(target_arch = "x86_64")]
fn calibrated() -> f64 {
    let mut best = f64::MAX;
    for _ in 0..50 {
        let start = Instant::now();
        let mut x: u64 = 3;
        for _ in 0..50_000 {
            // SAFETY: registers only.
            unsafe {
                std::arch::asm!("imul {0}, {0}", "imul {0}, {0}", "imul {0}, {0}", inout(reg) x,
                    options(nomem, nostack));
            }
        }
        black_box(x);
        best = best.min(start.elapsed().as_nanos() as f64);
    }
    450_000.0 / best
}

#[cfg(not(target_arch = "x86_64"))]
fn calibrated() -> f64 {
    f64::NAN
}

/// Nanoseconds this thread has waited for a processor while it could have run. On a shared machine
/// that is most of what disturbs a measurement: the rounds that waited longest are dropped.
fn waited() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace()
        .nth(1)
        .and_then(|field| field.parse().ok())
        .unwrap_or(0)
}

/// Rounds measured, and how many of them, the least disturbed, count.
const ROUNDS: usize = 15;
const KEPT: usize = 9;

fn measure(name: &str, per_call: usize, mut call: impl FnMut()) {
    call();
    let start = Instant::now();
    call();
    let once = start.elapsed().as_nanos().max(1) as usize;
    let calls = (3_000_000 / once).max(1);
    let mut rounds: Vec<(u64, f64)> = (0..ROUNDS)
        .map(|_| {
            let before = waited();
            let start = Instant::now();
            for _ in 0..calls {
                call();
            }
            let elapsed = start.elapsed().as_nanos() as f64;
            (waited() - before, elapsed / (calls * per_call) as f64)
        })
        .collect();
    rounds.sort_by_key(|(delay, _)| *delay);
    let mut times: Vec<f64> = rounds[..KEPT].iter().map(|(_, time)| *time).collect();
    times.sort_by(f64::total_cmp);
    println!(
        "{name:<36} {:>8.3} us  min {:>8.3} us  {:>8.0} cycles",
        times[KEPT / 2] / 1e3,
        times[0] / 1e3,
        times[KEPT / 2] * calibrated(),
    );
}

fn operations(backend: &dyn Backend) {
    let n = CHUNK;
    let messages: Vec<u8> = (0..n as u64)
        .flat_map(|i| [i, i ^ 77, 3].map(u64::to_le_bytes).concat())
        .collect();
    let mut uniform = vec![[0; 64]; n];
    backend.sha512(b"bench", &messages, 24, b"", &mut uniform);
    let scalars: Vec<Scalar> = uniform
        .iter()
        .map(Scalar::from_bytes_mod_order_wide)
        .collect();
    let key = PreparedScalar::new(&scalars[7]);
    let mut elements: Vec<Encoding> = vec![[0; 32]; n];
    let mut out = elements.clone();
    backend.hash_mul_encode(&uniform, &key, &mut elements);
    let table = backend.base_table(&RistrettoPoint::mul_base(&scalars[9]));
    let points = backend.decode(&elements).expect("valid");

    measure("sha512, 24-byte messages", n, || {
        backend.sha512(&[0; 128], &messages, 24, b"suffix", &mut uniform)
    });
    measure("hash_mul_encode", n, || {
        backend.hash_mul_encode(&uniform, &key, &mut out)
    });
    measure("hash_mul_each_encode", n, || {
        backend.hash_mul_each_encode(&uniform, &scalars, &mut out)
    });
    measure("hash_add_base_encode", n, || {
        drop(backend.hash_add_base_encode(&uniform, &scalars, &mut out))
    });
    measure("decode_mul_encode", n, || {
        backend
            .decode_mul_encode(&elements, &key, &mut out)
            .expect("valid")
    });
    measure("decode_mul_each_encode", n, || {
        backend
            .decode_mul_each_encode(&elements, &scalars, &mut out)
            .expect("valid")
    });
    measure("points_mul_encode", n, || {
        backend.points_mul_encode(&points, 0, &key, &mut out)
    });
    measure("points_sub_base_encode", n, || {
        backend.points_sub_base_encode(&points, 0, &scalars, &table, &mut out)
    });
    measure("mul_base_encode", n, || {
        drop(backend.mul_base_encode(&scalars, &table, &mut out))
    });
    measure("decode", n, || drop(backend.decode(&elements)));
    measure("base_table (whole)", 1, || {
        drop(backend.base_table(table.point()))
    });
    for n in [256, 1024, 8192, 65_535] {
        let many: Vec<Encoding> = (0..n).map(|i| elements[i % elements.len()]).collect();
        let points = backend.decode(&many).expect("valid");
        let scalars: Vec<Scalar> = (0..n)
            .map(|i| scalars[i % scalars.len()] * Scalar::from(i as u64 + 1))
            .collect();
        measure(&format!("msm, {n} points"), n, || {
            black_box(backend.msm(&points, &scalars));
        });
    }
}

fn main() {
    println!("clock {:.2} GHz", calibrated());
    #[cfg(all(target_arch = "x86_64", feature = "bench-internals"))]
    {
        use _native::backend::vector::bench;
        for (engine, steps) in [("ifma512", bench::ifma512()), ("avx2", bench::avx2())] {
            println!("\n{engine}, step by step");
            let mut again = Vec::new();
            for (name, per_call, mut step) in steps {
                measure(name, per_call, &mut step);
                again.push((name, per_call, step));
            }
            // The other way round, so that the place in the list can be told from the step.
            println!("  and in reverse order");
            for (name, per_call, step) in again.into_iter().rev() {
                measure(name, per_call, step);
            }
        }
    }
    let only = std::env::args().nth(1).unwrap_or_default();
    for backend in available() {
        if backend.name().contains(only.trim_start_matches("--bench")) {
            println!("\n{}, whole operations", backend.name());
            operations(backend.as_ref());
        }
    }
    println!("clock {:.2} GHz", calibrated());
}
