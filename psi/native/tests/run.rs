//! Cancellation, errors and panics of work in chunks.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicUsize, Ordering},
};

use _native::{
    Error,
    backend::{CHUNK, Portable},
    key::SecretKey,
    oprf::evaluate,
    run::Job,
    suite::Mode,
    table::sort_order,
};
use rayon::prelude::*;

#[test]
fn a_cancelled_job_does_nothing_more() {
    let backend = Portable::new();
    let job = Job::new(&backend);
    let key = SecretKey::generate().unwrap();
    job.cancel();
    let mut out = vec![[0; 64]; 10 * CHUNK];
    let items = vec![0; 18 * out.len()];
    let result = evaluate(&job, Mode::Voprf, &key, &items, 18, &mut out);
    assert!(matches!(result, Err(Error::Cancelled)));
    assert_eq!(job.done(), 0);
    let mut order = vec![[0; 4]; 100];
    let result = sort_order(&job, &[0; 1_600], 16, &mut order);
    assert!(matches!(result, Err(Error::Cancelled)));
}

#[test]
fn the_error_of_the_first_bad_chunk_comes_back() {
    for _ in 0..50 {
        let backend = Portable::new();
        let job = Job::new(&backend);
        let result = job.for_each_chunk((0..500usize).into_par_iter(), |i| match i {
            30.. => Err(Error::LabelInvalid { index: i }),
            _ => Ok(()),
        });
        assert!(matches!(result, Err(Error::LabelInvalid { index: 30 })));
    }
}

#[test]
fn a_panic_goes_up_and_stops_the_rest() {
    let backend = Portable::new();
    let job = Job::new(&backend);
    let tried = AtomicUsize::new(0);
    let result = catch_unwind(AssertUnwindSafe(|| {
        job.for_each_chunk((0..1_000_000usize).into_par_iter(), |_| {
            tried.fetch_add(1, Ordering::Relaxed);
            panic!("expected by the test")
        })
    }));
    assert!(result.is_err());
    assert!(job.is_cancelled());
    assert!(tried.into_inner() < 1_000);
}
