//! Ranges with an index over them, to be searched by address.

use super::ranges::{Address, NONE, Ranges};

/// How many starts are compared at once when a search has come down to so few.
const LANES: usize = 8;

/// Ranges and an index of about half as many slots. The slots are blocks of 2^`shift` addresses;
/// they reach from the first to the last address where a range begins, so that an index is as fine
/// as it can be wherever in the address space the prefixes are. One slot more on either side stands
/// for all that is outside.
///
/// A search looks its slot up and searches among the ranges that begin inside it: few where the
/// prefixes lie evenly, and never more than log₂ n steps where they do not.
pub(super) struct Table<A> {
    ranges: Ranges<A>,
    /// The first address, past the very first one, where a range begins.
    first: A,
    shift: u32,
    /// The slot after the last range's.
    beyond: usize,
    /// How many ranges begin before each slot; one entry more holds how many there are.
    index: Vec<u32>,
}

impl<A: Address> Table<A> {
    pub(super) fn new(ranges: Ranges<A>) -> Table<A> {
        let starts = ranges.starts();
        let first = starts.get(1).copied().unwrap_or_default();
        let last = starts.last().copied().unwrap_or_default();
        let slot_bits = (starts.len() / 2).max(2).ilog2();
        let shift = last.distance_bits(first).saturating_sub(slot_bits);
        let beyond = last.slot(first, shift) + 1;

        let mut index = Vec::with_capacity(beyond + 2);
        let mut begun = 0;
        for start in starts {
            if begun > 0 {
                index.resize(start.slot(first, shift) + 1, begun);
            }
            begun += 1;
        }
        index.resize(beyond + 2, begun);
        Table {
            ranges,
            first,
            shift,
            beyond,
            index,
        }
    }

    /// The value of the longest prefix over `address`.
    #[inline]
    pub(super) fn find(&self, address: A) -> Option<u32> {
        let range = self.ranges_begun(address)?.checked_sub(1)?;
        let value = self.ranges.values().get(range).copied()?;
        (value != NONE).then_some(value)
    }

    /// How many ranges begin at `address` or before it.
    #[inline]
    fn ranges_begun(&self, address: A) -> Option<usize> {
        let slot = address.slot(self.first, self.shift).min(self.beyond);
        let mut begun = *self.index.get(slot)? as usize;
        let mut open = *self.index.get(slot + 1)? as usize - begun;
        if open == 0 {
            return Some(begun);
        }

        // All ranges before `begun` begin at the address or before it, none from `begun + open` on.
        let starts = self.ranges.starts();
        while open > LANES {
            let half = open / 2;
            let middle = begun + half;
            let passed = *starts.get(middle)? <= address;
            // Which way it goes no processor can guess: a choice of values costs less than a jump.
            begun = std::hint::select_unpredictable(passed, middle, begun);
            open -= half;
        }
        let candidates = starts.get(..begun + open)?;
        // To count a fixed number, some of which were passed already, takes no jump either.
        match candidates.last_chunk::<LANES>() {
            Some(last) => Some(candidates.len() - LANES + count_begun(last, address)),
            None => Some(count_begun(candidates, address)),
        }
    }
}

impl<A> Table<A> {
    pub(super) fn ranges(&self) -> &Ranges<A> {
        &self.ranges
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.ranges.heap_bytes() + self.index.capacity() * size_of::<u32>()
    }
}

#[inline]
fn count_begun<A: Address>(starts: &[A], address: A) -> usize {
    starts.iter().filter(|start| **start <= address).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::ranges::Prefix;

    /// A table of the /32s (or /128s) of `addresses`, each with its position as value.
    fn table<A: Address>(addresses: &[A], len: u8) -> Table<A> {
        let prefixes = addresses
            .iter()
            .zip(0..)
            .map(|(&start, value)| Prefix { start, len, value })
            .collect();
        Table::new(Ranges::cut(prefixes).ok().unwrap())
    }

    #[test]
    fn a_range_is_found_wherever_the_prefixes_crowd() {
        for base in [0, 1, 0x0a00_0000, u32::MAX - 2000] {
            for step in [1, 2, 7, 1 << 20] {
                let addresses: Vec<u32> = (0..2000)
                    .map_while(|i: u32| base.checked_add(i.checked_mul(step)?))
                    .collect();
                let table = table(&addresses, 32);
                for (&address, value) in addresses.iter().zip(0..) {
                    assert_eq!(table.find(address), Some(value));
                    for next in [address.checked_add(1), address.checked_sub(1)] {
                        let Some(next) = next else { continue };
                        let value = addresses.binary_search(&next).ok().map(|at| at as u32);
                        assert_eq!(table.find(next), value);
                    }
                }
            }
        }
    }

    #[test]
    fn an_address_far_outside_the_index_is_found_outside() {
        let table = table(&[1_u128 << 64, (1 << 64) + 2], 128);
        for address in [0, 1, (1 << 64) - 1, (1 << 64) + 1, 1 << 127, u128::MAX] {
            assert_eq!(table.find(address), None);
        }
        assert_eq!(table.find(1 << 64), Some(0));
        assert_eq!(table.find((1 << 64) + 2), Some(1));
    }

    #[test]
    fn one_far_prefix_does_not_hide_a_crowd() {
        let mut addresses: Vec<u64> = (5000..9000).map(|i| i * 2).collect();
        addresses.push(u64::MAX);
        let table = table(&addresses, 64);
        for (&address, value) in addresses.iter().zip(0..) {
            assert_eq!(table.find(address), Some(value));
            assert_eq!(table.find(address - 1), None);
        }
    }

    #[test]
    fn the_index_is_no_larger_than_the_ranges_ask() {
        for count in [0, 1, 2, 3, 10, 1000, 60_000] {
            for step in [1, 3, 65_536] {
                let addresses: Vec<u32> = (1..=count).map(|i| i * step).collect();
                let table = table(&addresses, 32);
                assert!(table.index.len() <= table.ranges.starts().len() / 2 + 6);
            }
        }
    }
}
