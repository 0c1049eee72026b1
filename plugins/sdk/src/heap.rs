//! The memory of a guest. A question brings a string or list for each of its fields, every one of them allocated by the
//! host through the guest and freed when the answer is out: what is cheap here is cheap for every question.
//!
//! Blocks come in powers of two, each size with a list of those that are free, so that taking and giving back are a few
//! instructions and the host's next question finds the blocks of the last. Nothing is ever merged or returned: memory is
//! bounded by the most that was in use of each size, and the whole of it dies with the instance.
//!
//! Only components use it; natively (in tests) the logic runs on a buffer.

#![allow(unsafe_code, reason = "an allocator hands out and links raw memory")]
#![cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "natively only the tests use it"))]

use std::alloc::Layout;
use std::ptr::{NonNull, null_mut};

/// Smallest block, bytes, and the alignment every block has.
const SMALLEST: usize = 16;
/// Sizes of blocks: `SMALLEST << 0` to `SMALLEST << (SIZES - 1)`, which is 2 GiB, half of what a guest can address.
const SIZES: usize = 28;

/// What a free block holds: the next free one of its size.
struct Free {
    next: Option<NonNull<Free>>,
}

/// Where more memory comes from: at least this many bytes as (first, one past the last) address.
pub(crate) trait Source {
    /// More memory that nobody else uses, ever; none when there is none.
    fn more(&mut self, bytes: usize) -> Option<(*mut u8, *mut u8)>;
}

/// Memory in blocks.
pub(crate) struct Heap<S> {
    free: [Option<NonNull<Free>>; SIZES],
    /// The part that was never handed out.
    next: *mut u8,
    end: *mut u8,
    source: S,
}

/// Index of the smallest size that holds `bytes`.
const fn class_of(bytes: usize) -> usize {
    let blocks = bytes.saturating_sub(1) / SMALLEST;
    (usize::BITS - blocks.leading_zeros()) as usize
}

/// Bytes that must be skipped from `at` to reach a multiple of `align`.
fn gap(at: *mut u8, align: usize) -> usize {
    at.addr().wrapping_neg() & (align - 1)
}

impl<S: Source> Heap<S> {
    pub(crate) const fn new(source: S) -> Self {
        Self { free: [None; SIZES], next: null_mut(), end: null_mut(), source }
    }

    /// A block for `layout`, or null when there is no more memory.
    pub(crate) fn allocate(&mut self, layout: Layout) -> *mut u8 {
        let size = class_of(layout.size());
        if size >= SIZES {
            return null_mut();
        }
        if let Some(block) = self.free[size]
            && gap(block.as_ptr().cast(), layout.align()) == 0
        {
            // SAFETY: a block in a list was given back by `release`, which wrote its link and to which nobody else has
            // a pointer any more.
            self.free[size] = unsafe { block.as_ref() }.next;
            return block.as_ptr().cast();
        }
        self.carve(SMALLEST << size, layout.align().max(SMALLEST))
    }

    /// Give a block back. `block` came from `allocate` with this layout and is not used any more.
    pub(crate) unsafe fn release(&mut self, block: *mut u8, layout: Layout) {
        let size = class_of(layout.size());
        let Some(link) = NonNull::new(block.cast::<Free>()) else { return };
        // SAFETY: every block has room and alignment for a link (`SMALLEST`), and the caller has given it up.
        unsafe { link.write(Free { next: self.free[size] }) };
        self.free[size] = Some(link);
    }

    /// The same block when it has room for `bytes`, else a larger or smaller one with the same content; null, and the
    /// block unchanged, when there is no more memory. `block` came from `allocate` with this layout.
    pub(crate) unsafe fn resize(&mut self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        if class_of(layout.size()) == class_of(bytes) {
            return block;
        }
        let Ok(wanted) = Layout::from_size_align(bytes, layout.align()) else { return null_mut() };
        let other = self.allocate(wanted);
        if !other.is_null() {
            // SAFETY: both have at least that many bytes, and one that was just allocated overlaps no block in use.
            unsafe { other.copy_from_nonoverlapping(block, layout.size().min(bytes)) };
            // SAFETY: as the caller promises; the content has moved.
            unsafe { self.release(block, layout) };
        }
        other
    }

    /// A block that was never handed out.
    fn carve(&mut self, bytes: usize, align: usize) -> *mut u8 {
        let wanted = gap(self.next, align) + bytes;
        if self.end.addr() - self.next.addr() < wanted {
            // What a gap may take comes on top: the new part need not continue the old one.
            let Some((first, end)) = self.source.more(bytes + align) else { return null_mut() };
            if first != self.end {
                self.next = first;
            }
            self.end = end;
        }
        let block = self.next.wrapping_add(gap(self.next, align));
        self.next = block.wrapping_add(bytes);
        block
    }
}

#[cfg(target_arch = "wasm32")]
mod guest {
    use std::alloc::{GlobalAlloc, Layout};
    use std::cell::UnsafeCell;

    use super::{Heap, Source};

    const PAGE: usize = 64 << 10;

    /// The memory of the component, which only this grows.
    struct Pages;

    impl Source for Pages {
        fn more(&mut self, bytes: usize) -> Option<(*mut u8, *mut u8)> {
            let pages = bytes.div_ceil(PAGE);
            let before = core::arch::wasm32::memory_grow(0, pages);
            if before == usize::MAX {
                return None;
            }
            // The last page of a full memory would end at 2^32, which a pointer cannot say: its last bytes stay unused.
            let end = before.saturating_add(pages).saturating_mul(PAGE);
            Some(((before * PAGE) as *mut u8, end as *mut u8))
        }
    }

    struct Global(UnsafeCell<Heap<Pages>>);

    // SAFETY: a component has one thread.
    unsafe impl Sync for Global {}

    // SAFETY: `Heap` hands out blocks of at least the size and alignment of the layout, and no block twice. It does not
    // allocate itself, and there is one thread, so the exclusive references below never overlap.
    unsafe impl GlobalAlloc for Global {
        #[inline]
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: see above.
            unsafe { &mut *self.0.get() }.allocate(layout)
        }

        #[inline]
        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: see above; the promises about `block` are those of the caller.
            unsafe { (*self.0.get()).release(block, layout) }
        }

        #[inline]
        unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
            // SAFETY: see above; the promises about `block` are those of the caller.
            unsafe { (*self.0.get()).resize(block, layout, bytes) }
        }
    }

    #[global_allocator]
    static HEAP: Global = Global(UnsafeCell::new(Heap::new(Pages)));
}

#[cfg(test)]
mod tests;
