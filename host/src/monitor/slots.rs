//! Runs in one row of memory, each under a key that is never used again.
//!
//! Pure. Only the monitor enters. A tick looks at every run five times; in a hash table of 10,000 each look costs a
//! hash and a miss of the cache, here neither.

/// Values under keys: the place in the lower half, how often that place was taken in the upper.
pub(super) struct Slots<T> {
    slots: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Slots<T> {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    /// Keep a value; gives its key.
    pub(super) fn insert(&mut self, value: T) -> u64 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            self.slots.len() as u32 - 1
        });
        let (taken, slot) = &mut self.slots[place as usize];
        *taken = taken.wrapping_add(1);
        *slot = Some(value);
        u64::from(*taken) << 32 | u64::from(place)
    }

    /// The value under this key.
    pub(super) fn get(&self, key: u64) -> Option<&T> {
        let (taken, slot) = self.slots.get(key as u32 as usize)?;
        slot.as_ref().filter(|_| *taken == (key >> 32) as u32)
    }

    /// The value under this key, to be changed.
    pub(super) fn get_mut(&mut self, key: u64) -> Option<&mut T> {
        let (taken, slot) = self.slots.get_mut(key as u32 as usize)?;
        slot.as_mut().filter(|_| *taken == (key >> 32) as u32)
    }

    /// Take the value out.
    pub(super) fn remove(&mut self, key: u64) -> Option<T> {
        self.get(key)?;
        let place = key as u32;
        self.free.push(place);
        self.slots[place as usize].1.take()
    }

    /// Every value with its key.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        let key = |place: usize, taken: u32| u64::from(taken) << 32 | place as u64;
        self.slots
            .iter()
            .enumerate()
            .filter_map(move |(place, (taken, slot))| Some((key(place, *taken), slot.as_ref()?)))
    }

    /// Every value, to be changed.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().filter_map(|(_, slot)| slot.as_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_finds_its_own_value_and_no_later_one_in_the_same_place() {
        let mut slots = Slots::new();
        let (a, b) = (slots.insert('a'), slots.insert('b'));
        assert_eq!(slots.remove(a), Some('a'));
        let c = slots.insert('c');
        assert_eq!((slots.get(a), slots.get(b), slots.get(c)), (None, Some(&'b'), Some(&'c')));
        assert_eq!((slots.remove(a), slots.get_mut(a)), (None, None));
        assert_eq!(slots.slots.len(), 2, "the place is used again");
        assert_eq!(slots.iter().collect::<Vec<_>>(), [(c, &'c'), (b, &'b')]);
    }

    #[test]
    fn it_is_empty_when_everything_was_taken_out() {
        let mut slots = Slots::new();
        assert!(slots.is_empty());
        let key = slots.insert(());
        assert!(!slots.is_empty());
        slots.remove(key);
        assert!(slots.is_empty());
    }
}
