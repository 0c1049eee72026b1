use super::*;

/// A buffer handed out in pieces, each away from the one before when `torn`.
struct Buffer {
    memory: Vec<u128>,
    used: usize,
    torn: bool,
}

impl Source for Buffer {
    fn more(&mut self, bytes: usize) -> Option<(*mut u8, *mut u8)> {
        let (first, bytes) = (self.used + if self.torn { 32 } else { 0 }, bytes.next_multiple_of(256));
        let end = first.checked_add(bytes).filter(|end| *end <= self.memory.len() * 16)?;
        self.used = end;
        let base: *mut u8 = self.memory.as_mut_ptr().cast();
        Some((base.wrapping_add(first), base.wrapping_add(end)))
    }
}

fn heap(bytes: usize, torn: bool) -> Heap<Buffer> {
    Heap::new(Buffer { memory: vec![0; bytes / 16], used: 0, torn })
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

#[test]
fn a_size_is_the_smallest_that_holds_the_bytes() {
    let sizes = [(0, 0), (1, 0), (16, 0), (17, 1), (32, 1), (33, 2), (64 << 10, 12), ((64 << 10) + 1, 13)];
    for (bytes, size) in sizes {
        assert_eq!(class_of(bytes), size, "{bytes}");
    }
}

#[test]
fn blocks_in_use_never_overlap_and_have_their_alignment() {
    for torn in [false, true] {
        let mut heap = heap(1 << 20, torn);
        let mut used: Vec<(usize, usize)> = Vec::new();
        let mut kept = Vec::new();
        for round in 0..500_usize {
            let layout = layout(round * 37 % 700 + 1, 1 << (round % 8));
            let block = heap.allocate(layout);
            assert!(!block.is_null() && block.addr().is_multiple_of(layout.align()), "round {round}");
            let range = (block.addr(), block.addr() + layout.size());
            assert!(used.iter().all(|other| range.1 <= other.0 || other.1 <= range.0), "round {round}");
            if round % 3 == 0 {
                unsafe { heap.release(block, layout) };
            } else {
                used.push(range);
                kept.push((block, layout));
            }
            if round % 7 == 0 && !kept.is_empty() {
                let (block, layout) = kept.swap_remove(0);
                used.swap_remove(0);
                unsafe { heap.release(block, layout) };
            }
        }
    }
}

#[test]
fn a_question_like_the_last_takes_no_more_memory() {
    let mut heap = heap(1 << 20, false);
    let mut question = || {
        let layouts: Vec<_> = (1..60).map(|n| layout(n * 11, 4)).collect();
        let blocks: Vec<_> = layouts.iter().map(|layout| heap.allocate(*layout)).collect();
        for (block, layout) in blocks.into_iter().zip(layouts) {
            unsafe { heap.release(block, layout) };
        }
        heap.next.addr()
    };
    let first = question();
    assert!((0..1000).all(|_| question() == first));
}

#[test]
fn a_block_keeps_its_content_when_it_grows_or_shrinks() {
    let mut heap = heap(64 << 10, false);
    let (mut block, mut size) = (heap.allocate(layout(10, 1)), 10_usize);
    unsafe { block.write_bytes(7, size) };
    for wanted in [16, 17, 5000, 300, 3] {
        block = unsafe { heap.resize(block, layout(size, 1), wanted) };
        let same = size.min(wanted).min(10);
        assert_eq!(unsafe { std::slice::from_raw_parts(block, same) }, &vec![7; same][..], "{wanted}");
        size = wanted;
    }
}

#[test]
fn what_does_not_fit_is_null_and_leaves_the_rest_in_order() {
    let mut heap = heap(1024, false);
    assert!(heap.allocate(layout(4096, 1)).is_null());
    let block = heap.allocate(layout(100, 8));
    assert!(!block.is_null());
    unsafe { block.write_bytes(9, 100) };
    assert!(unsafe { heap.resize(block, layout(100, 8), 1 << 20) }.is_null());
    assert_eq!(unsafe { *block.add(99) }, 9);
}
