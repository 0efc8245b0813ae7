//! Runs the pure part on all cores with the GIL released, while the caller's thread looks
//! for Ctrl-C and reports progress.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        mpsc::{RecvTimeoutError, sync_channel},
    },
    time::Duration,
};

use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::buffers::Size;
use crate::{
    backend,
    error::{Error, Result},
    run::Job,
};

const POLL: Duration = Duration::from_millis(50);
/// Progress is reported at every so many polls.
const REPORT: u32 = 5;

/// Runs `work` on `threads` cores (0: all of them). A signal handler or a progress call
/// that raises cancels it; a panic inside comes back as BackendError.
pub fn run<T: Send>(
    py: Python<'_>,
    threads: Size,
    progress: Option<&Py<PyAny>>,
    work: impl FnOnce(&Job) -> Result<T> + Send,
) -> PyResult<T> {
    let pool = pool(threads.0)?;
    let job = Job::new(backend::active()?);
    let (interrupted, result) = py.detach(|| {
        let (sender, receiver) = sync_channel(1);
        let mut interrupted = None;
        let result = pool.in_place_scope(|scope| {
            // The receiver waits for this one message, so sending cannot fail.
            scope.spawn(|_| drop(sender.send(catch_unwind(AssertUnwindSafe(|| work(&job))))));
            let mut polls = 0u32;
            loop {
                match receiver.recv_timeout(POLL) {
                    Err(RecvTimeoutError::Timeout) if interrupted.is_none() => {
                        polls = polls.wrapping_add(1);
                        let report = progress.filter(|_| polls.is_multiple_of(REPORT));
                        if let Err(error) = look_around(report, job.done()) {
                            job.cancel();
                            interrupted = Some(error);
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return None,
                    Ok(result) => return result.ok(),
                }
            }
        });
        (interrupted, result)
    });
    match (interrupted, result) {
        (Some(error), _) => Err(error),
        (None, Some(result)) => {
            let value = result?;
            if let Some(progress) = progress {
                progress.call1(py, (job.done(),))?;
            }
            Ok(value)
        }
        (None, None) => Err(Error::Backend("the kernel panicked: a bug".into()).into()),
    }
}

fn look_around(progress: Option<&Py<PyAny>>, done: usize) -> PyResult<()> {
    Python::attach(|py| {
        py.check_signals()?;
        progress.map_or(Ok(()), |progress| progress.call1(py, (done,)).map(drop))
    })
}

/// The pool of all cores is shared by all calls. Its threads do not follow into a forked
/// child, so the child makes its own.
fn pool(threads: usize) -> Result<Arc<ThreadPool>> {
    static SHARED: Mutex<Option<(u32, Arc<ThreadPool>)>> = Mutex::new(None);
    if threads > 0 {
        return new_pool(threads);
    }
    let mut shared = SHARED
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some((owner, pool)) = shared.as_ref()
        && *owner == std::process::id()
    {
        return Ok(pool.clone());
    }
    // Dropping a parent's pool would wait for threads that are not here.
    std::mem::forget(shared.take());
    let pool = new_pool(0)?;
    *shared = Some((std::process::id(), pool.clone()));
    Ok(pool)
}

fn new_pool(threads: usize) -> Result<Arc<ThreadPool>> {
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads.min(1_024))
        .build();
    pool.map(Arc::new)
        .map_err(|_| Error::Backend("cannot start threads".into()))
}

pub fn thread_count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
