//! Ranges with an index over them, searched by address.

use std::hint::select_unpredictable;
use std::iter::repeat_n;

use super::ranges::{Address, NONE, Ranges};

/// Set in an index entry if no range begins in its slot. It leaves 2^31 for a count of ranges; so
/// many would take 20 GB.
const EMPTY: u32 = 1 << 31;

/// Ranges, and an index of about half as many slots. A slot is a block of 2^`shift` addresses. The
/// slots reach from the first to the last address where a range begins, so that the index is as
/// fine as it can be wherever the prefixes are. One slot more on either side stands for all that is
/// outside.
///
/// A search looks up the slot, and then searches among the ranges that begin in it: few if the
/// prefixes are spread evenly, and at most log₂ n steps otherwise.
pub(super) struct Table<A> {
    /// Where each range begins, followed by `A::LAST` for as many lanes as are compared at a time.
    starts: Vec<A>,
    /// The value of each range.
    values: Vec<u32>,
    shift: u32,
    /// The last block of slot 0.
    low: A,
    /// The last slot.
    beyond: usize,
    /// How many ranges begin before each slot, and at the end the number of ranges. In a sparse
    /// address space, [`EMPTY`] marks slots where no range begins.
    index: Vec<u32>,
}

/// A range without a value.
pub(super) struct Gap<A> {
    /// Where it begins.
    pub(super) start: A,
    /// Where the next range begins; none after the last.
    pub(super) next: Option<A>,
}

impl<A: Address> Table<A> {
    pub(super) fn new(ranges: Ranges<A>) -> Table<A> {
        let (mut starts, mut values) = ranges.into_parts();
        // The first range begins with the address space, before any slot.
        let first = starts.get(1).copied().unwrap_or_default();
        let last = starts.last().copied().unwrap_or_default();
        let slot_bits = (starts.len() / 2).max(2).ilog2();
        let shift = last.distance_bits(first).saturating_sub(slot_bits);
        let low = first.block_before(shift);
        let slot = |address: A| address.slot(shift, low, usize::MAX);
        let beyond = slot(last) + 1;

        let mut index = Vec::with_capacity(beyond + 2);
        let mut begun = 1;
        for &start in starts.iter().skip(1) {
            index.resize(slot(start) + 1, begun);
            begun += 1;
        }
        index.resize(beyond + 2, begun);
        if A::SPARSE {
            let mut after = begun;
            for entry in index.iter_mut().rev() {
                let begun = *entry;
                if begun == after {
                    *entry |= EMPTY;
                }
                after = begun;
            }
        }

        starts.extend(repeat_n(A::LAST, A::LANES));
        starts.shrink_to_fit();
        values.shrink_to_fit();
        Table {
            starts,
            values,
            shift,
            low,
            beyond,
            index,
        }
    }

    /// Returns the value of the longest prefix over `address`.
    #[inline]
    pub(super) fn find(&self, address: A) -> Option<u32> {
        let range = self.ranges_begun(address)?.wrapping_sub(1);
        let value = self.values.get(range).copied()?;
        (value != NONE).then_some(value)
    }

    /// Returns how many ranges begin at `address` or before it: at least one.
    #[inline]
    fn ranges_begun(&self, address: A) -> Option<usize> {
        let slot = address.slot(self.shift, self.low, self.beyond);
        let entry = *self.index.get(slot)?;
        let begun = (entry & !EMPTY) as usize;
        // Where few slots are empty the test costs more than it saves: no branch predictor helps.
        if A::SPARSE && entry & EMPTY != 0 {
            return Some(begun);
        }
        // Counting all lanes takes no branch. Starts past the slot are past the address too.
        let near = count_begun(self.starts.get(begun..begun + A::LANES)?, address);
        if near < A::LANES {
            return Some(begun + near);
        }
        self.far_ranges_begun(slot, begun, address)
    }

    /// Counts as [`Self::ranges_begun`] does, in a slot where so many ranges begin that a binary
    /// search pays. That is rare in IPv4, where inlined code would only be in the way.
    #[inline(never)]
    fn far_ranges_begun(&self, slot: usize, mut begun: usize, address: A) -> Option<usize> {
        // All ranges before `begun` begin at the address or before it, none from `begun + open` on.
        let mut open = (*self.index.get(slot + 1)? & !EMPTY) as usize - begun;
        while open > A::LANES {
            let half = open / 2;
            let middle = begun + half;
            let passed = *self.starts.get(middle)? <= address;
            begun = select_unpredictable(passed, middle, begun);
            open -= half;
        }
        Some(begun + count_begun(self.starts.get(begun..begun + open)?, address))
    }
}

impl<A: Copy> Table<A> {
    /// Iterates over the ranges without a value.
    pub(super) fn gaps(&self) -> impl Iterator<Item = Gap<A>> {
        let starts = self.starts.iter().copied().take(self.values.len());
        let ends = starts.clone().skip(1).map(Some).chain([None]);
        let gaps = starts.zip(ends).map(|(start, next)| Gap { start, next });
        gaps.zip(&self.values)
            .filter_map(|(gap, value)| (*value == NONE).then_some(gap))
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.starts.capacity() * size_of::<A>()
            + (self.values.capacity() + self.index.capacity()) * size_of::<u32>()
    }
}

impl<A> Table<A> {
    /// Returns the value of each range, [`NONE`] where no prefix covers it.
    pub(super) fn values(&self) -> &[u32] {
        &self.values
    }
}

/// Returns how many of `starts` are at `address` or before it, counted in 32 bits, the width of a
/// lane.
#[inline]
fn count_begun<A: Address>(starts: &[A], address: A) -> usize {
    let begun: u32 = starts
        .iter()
        .map(|start| u32::from(*start <= address))
        .sum();
    begun as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::ranges::Prefix;

    /// Builds a table of the /32s (or /128s) of `addresses`, each with its position as value.
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
                assert!(table.index.len() <= table.values.len() / 2 + 6);
            }
        }
    }
}
