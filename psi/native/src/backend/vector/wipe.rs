//! Overwriting secrets in memory.

use core::ops::{Deref, DerefMut};

/// Types that are plain numbers all through: any bytes, also all zero, are a value, and nothing
/// has to be dropped.
///
/// # Safety
/// Only for types of which that is true.
pub unsafe trait Plain: Copy {}

// SAFETY: integers, and vectors of integers.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}
// SAFETY: as above.
unsafe impl Plain for super::word::LaneValues {}
// SAFETY: an array of plain elements.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

// SAFETY: vectors of integers.
unsafe impl Plain for super::word_avx512::W8 {}
// SAFETY: as above.
unsafe impl Plain for super::word_avx2::W4 {}
// SAFETY: an array of plain elements.
unsafe impl<W: Plain> Plain for super::field_ifma::Fe51<W> {}
// SAFETY: an array of plain elements.
unsafe impl<W: Plain> Plain for super::field_avx2::Fe25<W> {}
// SAFETY: a struct of plain elements.
unsafe impl<F: Plain> Plain for super::point::Extended<F> {}
// SAFETY: a struct of plain elements.
unsafe impl<F: Plain> Plain for super::point::Cached<F> {}

/// Sets everything to zero in a way that the compiler does not drop as a dead store.
pub fn wipe<T: Plain>(secret: &mut [T]) {
    let bytes = core::mem::size_of_val(secret);
    let start = secret.as_mut_ptr().cast::<u8>();
    // SAFETY: the bytes of a live slice, and zero is a value of a plain type.
    unsafe { core::ptr::write_bytes(start, 0, bytes) };
    // The empty assembly may read all memory it can reach, so the stores above must happen. (A
    // volatile store per byte, as `zeroize` does it, takes a measurable share of a batch.)
    // SAFETY: no instructions.
    unsafe { core::arch::asm!("/* {0} */", in(reg) start, options(nostack, preserves_flags)) };
}

/// A slice on the heap that is wiped when it is dropped.
pub struct Wiped<T: Plain>(Box<[T]>);

impl<T: Plain> Wiped<T> {
    pub fn new(value: T, length: usize) -> Self {
        Wiped(vec![value; length].into_boxed_slice())
    }
}

impl<T: Plain> Deref for Wiped<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Plain> DerefMut for Wiped<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T: Plain> Drop for Wiped<T> {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}
