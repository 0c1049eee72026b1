//! A sum over the content of a file, as fast as memory, that finds accidental damage and nothing else.
//!
//! Pure but for the reading.

use std::fmt;
use std::io::Read;

/// Bytes read at a time; a multiple of what is mixed at a time.
const PIECE: usize = 64 << 10;
/// An odd number with its bits well spread (2^64 divided by the golden ratio): multiplying by it loses nothing.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The sum. Each step (exclusive or, odd product, rotation) can be undone, so a change within one word always changes it,
/// and any other change does but for one time in 2^64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum(u64);

impl Sum {
    /// Over everything there is to read.
    pub(super) fn of(mut source: impl Read) -> std::io::Result<Self> {
        let mut lanes = [1_u64, 2, 3, 4];
        let mut piece = vec![0; PIECE];
        let mut length = 0_u64;
        loop {
            let filled = fill(&mut source, &mut piece)?;
            length += filled as u64;
            // What the last piece does not fill counts as zeros; the length tells it from zeros that were there.
            piece[filled..].fill(0);
            mix(&mut lanes, &piece[..filled.next_multiple_of(32)]);
            if filled < PIECE {
                break;
            }
        }
        Ok(Self(lanes.into_iter().fold(length, step)))
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

const fn step(lane: u64, word: u64) -> u64 {
    (lane ^ word).wrapping_mul(SPREAD).rotate_left(29)
}

/// Four lanes, so that four products are under way at a time. `piece` is a multiple of 32 bytes.
fn mix(lanes: &mut [u64; 4], piece: &[u8]) {
    for block in piece.as_chunks::<32>().0 {
        for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<8>().0) {
            *lane = step(*lane, u64::from_le_bytes(*word));
        }
    }
}

/// Read until the piece is full or there is no more; says how much it was.
fn fill(source: &mut impl Read, piece: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < piece.len() {
        match source.read(&mut piece[filled..]) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(bytes: &[u8]) -> Sum {
        Sum::of(bytes).unwrap()
    }

    #[test]
    fn any_single_bit_changes_it() {
        let whole = vec![0xa5; PIECE + 100];
        for bit in [0, 1, 500, PIECE * 8 - 1, PIECE * 8, (PIECE + 100) * 8 - 1] {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(sum(&damaged), sum(&whole), "bit {bit}");
        }
    }

    #[test]
    fn a_tail_that_is_missing_or_became_zeros_changes_it() {
        let whole = [[7; 4096], [0; 4096]].concat();
        assert_ne!(sum(&whole[..4096]), sum(&whole));
        assert_ne!(sum(&whole[..8191]), sum(&whole));
        assert_ne!(sum(&[[7; 4096], [0; 4096]].concat()[..]), sum(&[7; 8192]));
        assert_ne!(sum(&[]), sum(&[0]));
    }

    #[test]
    fn words_that_changed_places_change_it() {
        let mut swapped: Vec<u8> = (0..=255).collect();
        let whole = sum(&swapped);
        swapped.swap(0, 8);
        assert_ne!(sum(&swapped), whole);
    }
}
