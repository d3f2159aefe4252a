//! Ranges with an index over them, to be searched by address.

use std::hint::select_unpredictable;
use std::iter::repeat_n;

use super::ranges::{Address, NONE, Ranges};

/// Set in an index entry when no range begins in its slot. It leaves 2^31 for a count of ranges;
/// so many would take 20 GB.
const EMPTY: u32 = 1 << 31;

/// Ranges and an index of about half as many slots. The slots are blocks of 2^`shift` addresses;
/// they reach from the first to the last address where a range begins, so that an index is as fine
/// as it can be wherever in the address space the prefixes are. One slot more on either side stands
/// for all that is outside.
///
/// A search looks its slot up and searches among the ranges that begin inside it: few where the
/// prefixes lie evenly, and never more than log₂ n steps where they do not.
pub(super) struct Table<A> {
    /// Where each range begins, and then `A::LAST` for as many lanes as are compared at once.
    starts: Vec<A>,
    /// The value of each range.
    values: Vec<u32>,
    shift: u32,
    /// The block that slot 0 ends with.
    low: A,
    /// The last slot.
    beyond: usize,
    /// How many ranges begin before each slot, and at the end how many there are. In a sparse
    /// address space [`EMPTY`] is set where it may be.
    index: Vec<u32>,
}

impl<A: Address> Table<A> {
    pub(super) fn new(ranges: Ranges<A>) -> Table<A> {
        let (mut starts, mut values) = ranges.into_parts();
        // The very first range begins with the address space, before anything else.
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

    /// The value of the longest prefix over `address`.
    #[inline]
    pub(super) fn find(&self, address: A) -> Option<u32> {
        let range = self.ranges_begun(address)?.wrapping_sub(1);
        let value = self.values.get(range).copied()?;
        (value != NONE).then_some(value)
    }

    /// How many ranges begin at `address` or before it, which is one at least.
    #[inline]
    fn ranges_begun(&self, address: A) -> Option<usize> {
        let slot = address.slot(self.shift, self.low, self.beyond);
        let entry = *self.index.get(slot)?;
        let begun = (entry & !EMPTY) as usize;
        // Where hardly a slot is empty, to ask costs more than it saves: no processor can guess.
        if A::SPARSE && entry & EMPTY != 0 {
            return Some(begun);
        }
        // Counting all lanes takes no jump. Starts past the slot are past the address too.
        let near = count_begun(self.starts.get(begun..begun + A::LANES)?, address);
        if near < A::LANES {
            return Some(begun + near);
        }
        self.far_ranges_begun(slot, begun, address)
    }

    /// The same for a slot in which so many ranges begin that they are to be halved. Rare in IPv4,
    /// where its code would only be in the way.
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
    /// The ranges without a value: where each begins, and where the next range does, if there is one.
    pub(super) fn gaps(&self) -> impl Iterator<Item = (A, Option<A>)> {
        let starts = self.starts.iter().copied().take(self.values.len());
        let ends = starts.clone().skip(1).map(Some).chain([None]);
        starts
            .zip(ends)
            .zip(&self.values)
            .filter_map(|(range, value)| (*value == NONE).then_some(range))
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.starts.capacity() * size_of::<A>()
            + (self.values.capacity() + self.index.capacity()) * size_of::<u32>()
    }
}

impl<A> Table<A> {
    /// The value of each range, [`NONE`] where no prefix covers it.
    pub(super) fn values(&self) -> &[u32] {
        &self.values
    }
}

/// How many of `starts` are at `address` or before it, counted in 32 bits as the lanes are.
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
                assert!(table.index.len() <= table.values.len() / 2 + 6);
            }
        }
    }
}
