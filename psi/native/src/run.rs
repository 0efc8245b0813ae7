//! Long work in chunks on all cores: progress and cancellation.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use rayon::iter::{IndexedParallelIterator, ParallelIterator};

use crate::{
    backend::Backend,
    error::{Error, Result},
};

/// One call's work: the backend that does it, and what the caller's thread watches
/// meanwhile.
pub struct Job<'a> {
    pub backend: &'a dyn Backend,
    cancelled: AtomicBool,
    done: AtomicUsize,
}

impl<'a> Job<'a> {
    pub fn new(backend: &'a dyn Backend) -> Self {
        Job {
            backend,
            cancelled: AtomicBool::new(false),
            done: AtomicUsize::new(0),
        }
    }

    /// Makes every later step of the work return [`Error::Cancelled`].
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            Err(Error::Cancelled)
        } else {
            Ok(())
        }
    }

    /// The number of items done so far; it never falls.
    pub fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    pub fn advance(&self, items: usize) {
        self.done.fetch_add(items, Ordering::Relaxed);
    }

    /// Work on every chunk in parallel. All chunks are tried, so that the error that
    /// comes back is always that of the first bad chunk; after a cancellation the rest
    /// is skipped.
    pub fn for_each_chunk<I>(
        &self,
        chunks: I,
        work: impl Fn(I::Item) -> Result<()> + Send + Sync,
    ) -> Result<()>
    where
        I: IndexedParallelIterator,
    {
        let try_chunk = |chunk| {
            self.check()?;
            catch_unwind(AssertUnwindSafe(|| work(chunk))).unwrap_or_else(|panic| {
                self.cancel(); // one report of a bug is enough
                resume_unwind(panic)
            })
        };
        chunks
            .map(try_chunk)
            .reduce(|| Ok(()), |first, later| first.and(later))
    }
}
