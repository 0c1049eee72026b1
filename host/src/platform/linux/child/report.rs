//! What a child says before it ends: the step that failed, and why.
//!
//! It stands in memory that maker and child share even when the child has a copy of everything else. Owns that page. Only
//! `child` and `into_group` enter.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, Ordering};

/// The child writes once, before it ends; the maker reads after that.
pub(super) struct Report {
    pub(super) failed_step: AtomicI32,
    /// Which of several, for the steps that say so.
    pub(super) detail: AtomicI32,
    pub(super) errno: AtomicI32,
}

impl Default for Report {
    fn default() -> Self {
        Self { failed_step: AtomicI32::new(-1), detail: AtomicI32::new(0), errno: AtomicI32::new(0) }
    }
}

impl Report {
    /// Ready for the next child.
    pub(super) fn reset(&self) {
        self.failed_step.store(-1, Ordering::Release);
        self.detail.store(0, Ordering::Release);
        self.errno.store(0, Ordering::Release);
    }
}

/// A report in a page of its own.
pub(super) struct SharedReport(NonNull<Report>);

// SAFETY: the page is this value's alone, and atomics may be used from any thread.
unsafe impl Send for SharedReport {}

impl SharedReport {
    /// A page for reports.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub(super) fn new() -> io::Result<Self> {
        let (rights, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, which nothing else refers to. Zeros are valid atomics.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), size_of::<Report>(), rights, kind, -1, 0) };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(page.cast()).map(Self).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    /// It.
    pub(super) fn get(&self) -> &Report {
        // SAFETY: the page lives as long as this value, is aligned to a page, and holds three numbers.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for SharedReport {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nobody can have a reference into it any more.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<Report>()) };
    }
}
