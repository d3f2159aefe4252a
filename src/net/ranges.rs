//! The addresses of one family cut into ranges, each with the value of the longest prefix over it.

/// An address as a number: `u32` for IPv4, `u128` for IPv6, `u64` for the upper half of an IPv6
/// address. The default is the first address.
pub(super) trait Address: Copy + Ord + Default {
    /// The last address.
    const LAST: Self;

    /// How many addresses are compared at a time.
    const LANES: usize;

    /// Whether most of the address space is unused.
    const SPARSE: bool;

    /// Returns the address after the prefix of `len` bits that begins here; `None` after the last
    /// address.
    fn after(self, len: u8) -> Option<Self>;

    /// Returns how many bits the distance from `first` takes, which is not greater.
    fn distance_bits(self, first: Self) -> u32;

    /// Returns the number of the block of 2^`shift` addresses before the block of this address;
    /// that of the first block if there is none before.
    fn block_before(self, shift: u32) -> Self;

    /// Returns how many blocks of 2^`shift` addresses the block of this address is after block
    /// `low`: 0 if it is before, and at most `most`.
    fn slot(self, shift: u32, low: Self, most: usize) -> usize;
}

macro_rules! address {
    ($($number:ty: $lanes:literal lanes, sparse $sparse:literal;)*) => {$(
        impl Address for $number {
            const LAST: $number = <$number>::MAX;
            const LANES: usize = $lanes;
            const SPARSE: bool = $sparse;

            fn after(self, len: u8) -> Option<$number> {
                (1 as $number)
                    .checked_shl(<$number>::BITS - u32::from(len))
                    .and_then(|size| self.checked_add(size))
            }

            fn distance_bits(self, first: $number) -> u32 {
                <$number>::BITS - (self - first).leading_zeros()
            }

            fn block_before(self, shift: u32) -> $number {
                (self >> shift).saturating_sub(1)
            }

            #[inline]
            fn slot(self, shift: u32, low: $number, most: usize) -> usize {
                let blocks = (self >> shift).saturating_sub(low);
                usize::try_from(blocks).unwrap_or(most).min(most)
            }
        }
    )*};
}

address! {
    u32: 8 lanes, sparse false;
    u64: 4 lanes, sparse true;
    u128: 8 lanes, sparse true;
}

/// A prefix without host bits, and its value. They are ordered by address, a prefix before those
/// inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Prefix<A> {
    pub(super) start: A,
    pub(super) len: u8,
    pub(super) value: u32,
}

/// A prefix with two values, which may be equal, the lower one first.
#[derive(Debug, PartialEq)]
pub(super) struct Duplicate<A> {
    pub(super) start: A,
    pub(super) len: u8,
    pub(super) values: [u32; 2],
}

/// Stands for the value of an address without a match.
pub(super) const NONE: u32 = u32::MAX;

/// The whole address space in ranges: range `i` begins at `starts[i]`, ends before `starts[i + 1]`
/// and has the value `values[i]`. The first range begins at the first address; neighbours have
/// different values.
pub(super) struct Ranges<A> {
    starts: Vec<A>,
    values: Vec<u32>,
}

impl<A: Address> Ranges<A> {
    /// Cuts the address space by `prefixes`, given in any order, into at most 2n + 1 ranges: in
    /// O(n log n), or O(n) if they are sorted.
    pub(super) fn cut(mut prefixes: Vec<Prefix<A>>) -> Result<Ranges<A>, Duplicate<A>> {
        prefixes.sort_unstable();
        for (one, next) in prefixes.iter().zip(prefixes.iter().skip(1)) {
            if (one.start, one.len) == (next.start, next.len) {
                return Err(Duplicate {
                    start: one.start,
                    len: one.len,
                    values: [one.value, next.value],
                });
            }
        }

        let mut ranges = Ranges {
            starts: vec![A::default()],
            values: vec![NONE],
        };
        // The prefixes around the current place, each inside the one before it: end and value.
        let mut open: Vec<(Option<A>, u32)> = Vec::new();
        for prefix in prefixes {
            ranges.close(&mut open, |end| end <= prefix.start);
            ranges.begin(prefix.start, prefix.value);
            open.push((prefix.start.after(prefix.len), prefix.value));
        }
        ranges.close(&mut open, |_| true);
        Ok(ranges)
    }

    /// Closes the open prefixes that have ended; after each, the prefix around it is the longest.
    fn close(&mut self, open: &mut Vec<(Option<A>, u32)>, ended: impl Fn(A) -> bool) {
        while let Some(&(Some(end), _)) = open.last()
            && ended(end)
        {
            open.pop();
            self.begin(end, open.last().map_or(NONE, |&(_, value)| value));
        }
    }

    /// Gives all addresses from `start` on the value `value`; no range begins after `start`.
    fn begin(&mut self, start: A, value: u32) {
        // The range that began at the same address is of a shorter prefix, or of one that ended
        // there.
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.values.pop();
        }
        if self.values.last() != Some(&value) {
            self.starts.push(start);
            self.values.push(value);
        }
    }
}

impl<A> Ranges<A> {
    /// Returns where each range begins, ascending.
    pub(super) fn starts(&self) -> &[A] {
        &self.starts
    }

    /// Changes every start by `change`, which must keep their order.
    pub(super) fn map<B>(self, change: impl Fn(A) -> B) -> Ranges<B> {
        Ranges {
            starts: self.starts.into_iter().map(change).collect(),
            values: self.values,
        }
    }

    /// Returns the starts and the values.
    pub(super) fn into_parts(self) -> (Vec<A>, Vec<u32>) {
        (self.starts, self.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(prefixes: &[(u32, u8, u32)]) -> Vec<(u32, u32)> {
        let prefixes = prefixes
            .iter()
            .map(|&(start, len, value)| Prefix { start, len, value })
            .collect();
        let (starts, values) = Ranges::cut(prefixes).unwrap().into_parts();
        starts.into_iter().zip(values).collect()
    }

    #[test]
    fn without_a_prefix_there_is_one_range_without_a_value() {
        assert_eq!(cut(&[]), [(0, NONE)]);
    }

    #[test]
    fn the_longer_prefix_wins_inside_the_shorter_one() {
        assert_eq!(
            cut(&[
                (0x0a01_0000, 16, 2),
                (0x0a00_0000, 8, 1),
                (0x0a01_0200, 24, 3)
            ]),
            [
                (0, NONE),
                (0x0a00_0000, 1),
                (0x0a01_0000, 2),
                (0x0a01_0200, 3),
                (0x0a01_0300, 2),
                (0x0a02_0000, 1),
                (0x0b00_0000, NONE),
            ]
        );
    }

    #[test]
    fn prefixes_that_end_together_end_in_the_value_around_them() {
        assert_eq!(
            cut(&[
                (0, 0, 9),
                (0, 8, 1),
                (0x00ff_0000, 16, 2),
                (0x00ff_ff00, 24, 3)
            ]),
            [(0, 1), (0x00ff_0000, 2), (0x00ff_ff00, 3), (0x0100_0000, 9)]
        );
    }

    #[test]
    fn the_last_address_ends_no_range() {
        assert_eq!(
            cut(&[(0, 0, 1), (0xffff_0000, 16, 2), (0xffff_ffff, 32, 3)]),
            [(0, 1), (0xffff_0000, 2), (0xffff_ffff, 3)]
        );
    }

    #[test]
    fn neighbours_of_equal_value_are_one_range() {
        assert_eq!(
            cut(&[
                (0x0a00_0000, 24, 1),
                (0x0a00_0100, 24, 1),
                (0x0a00_0200, 23, 1),
                (0x0a00_0280, 25, 1),
            ]),
            [(0, NONE), (0x0a00_0000, 1), (0x0a00_0400, NONE)]
        );
        // A longer prefix takes the place where the shorter one began, with the value before it.
        assert_eq!(
            cut(&[
                (0x0a00_0000, 24, 1),
                (0x0a00_0100, 24, 2),
                (0x0a00_0100, 25, 1)
            ]),
            [
                (0, NONE),
                (0x0a00_0000, 1),
                (0x0a00_0180, 2),
                (0x0a00_0200, NONE)
            ]
        );
    }

    #[test]
    fn a_prefix_given_twice_is_refused() {
        let prefix = |len, value| Prefix {
            start: 0x0a00_0000_u32,
            len,
            value,
        };
        let refused = Ranges::cut(vec![prefix(8, 5), prefix(9, 5), prefix(8, 4)]).err();
        assert_eq!(
            refused,
            Some(Duplicate {
                start: 0x0a00_0000,
                len: 8,
                values: [4, 5],
            })
        );
    }
}
