//! Longest-prefix match: from an address to the value of the longest prefix that contains it, as
//! RFC 7285 §11.2.1 maps an address to its PID.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use thiserror::Error;

use crate::ident::Family;

use super::ranges::{Duplicate, NONE, Prefix, Ranges};
use super::table::{Gap, Table};

/// An immutable table of IPv4 and IPv6 prefixes, searched by address.
///
/// It keeps ranges of addresses instead of prefixes, so that it takes 10 to 14 bytes for each range
/// (22 for IPv6 with a prefix longer than /64), whatever the length and the spread of the prefixes;
/// neighbours of equal value are one range.
pub struct Lpm {
    v4: Table<u32>,
    v6: V6,
}

/// Prefixes longer than /64 are rare: without them the upper half of an address decides.
enum V6 {
    Halves(Table<u64>),
    Whole(Table<u128>),
}

/// The same prefix was given twice, so that its addresses have no single value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "prefix {prefix} is given twice, with the values {} and {}: keep one of them",
    values[0],
    values[1]
)]
pub struct DuplicatePrefix {
    /// The prefix, without host bits.
    pub prefix: IpNet,
    /// Its values, which may be equal, the lower one first.
    pub values: [u32; 2],
}

impl Default for Lpm {
    /// Returns a table without prefixes.
    fn default() -> Lpm {
        Lpm::build([]).expect("no prefix is given twice")
    }
}

impl Lpm {
    /// Stands for no match: an address whose longest prefix has this value matches nothing.
    pub const NONE: u32 = NONE;

    /// Builds the table of `prefixes` and their values. Host bits of a prefix are ignored.
    ///
    /// # Errors
    ///
    /// A prefix is given twice, even with the same value. Of several such prefixes the error names
    /// the lowest, IPv4 first.
    pub fn build(prefixes: impl IntoIterator<Item = (IpNet, u32)>) -> Result<Lpm, DuplicatePrefix> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (prefix, value) in prefixes {
            let len = prefix.prefix_len();
            match prefix {
                IpNet::V4(prefix) => v4.push(Prefix {
                    start: u32::from(prefix.network()),
                    len,
                    value,
                }),
                IpNet::V6(prefix) => v6.push(Prefix {
                    start: u128::from(prefix.network()),
                    len,
                    value,
                }),
            }
        }
        let v4 = Ranges::cut(v4).map_err(|twice| duplicate(twice, Ipv4Addr::from))?;
        let v6 = Ranges::cut(v6).map_err(|twice| duplicate(twice, Ipv6Addr::from))?;
        Ok(Lpm {
            v4: Table::new(v4),
            v6: if v6.starts().iter().all(|start| lower(*start) == 0) {
                V6::Halves(Table::new(v6.map(upper)))
            } else {
                V6::Whole(Table::new(v6))
            },
        })
    }

    /// Returns the value of the longest prefix that contains `addr`. An IPv4-mapped IPv6 address
    /// counts as an IPv6 address.
    pub fn lookup(&self, addr: IpAddr) -> Option<u32> {
        match addr {
            IpAddr::V4(addr) => self.lookup_v4(addr),
            IpAddr::V6(addr) => self.lookup_v6(addr),
        }
    }

    /// Returns the value of the longest prefix that contains `addr`.
    #[inline]
    pub fn lookup_v4(&self, addr: Ipv4Addr) -> Option<u32> {
        self.v4.find(addr.to_bits())
    }

    /// Returns the value of the longest prefix that contains `addr`.
    #[inline]
    pub fn lookup_v6(&self, addr: Ipv6Addr) -> Option<u32> {
        match &self.v6 {
            V6::Halves(table) => table.find(upper(addr.to_bits())),
            V6::Whole(table) => find_whole(table, addr),
        }
    }

    /// Returns whether every address of `family` has a match. Takes time in proportion to the
    /// ranges.
    pub fn covers(&self, family: Family) -> bool {
        !self.values(family).contains(&NONE)
    }

    /// Returns whether no address of `family` has a match, as without any prefix.
    pub fn is_empty(&self, family: Family) -> bool {
        self.values(family) == [NONE]
    }

    /// Returns the fewest prefixes that together are the addresses of `family` without a match,
    /// ascending.
    pub fn uncovered(&self, family: Family) -> Box<dyn Iterator<Item = IpNet> + '_> {
        match (family, &self.v6) {
            (Family::V4, _) => Box::new(self.v4.gaps().flat_map(|gap| {
                let last = gap.next.map_or(u32::MAX, |next| next - 1);
                Ipv4Subnets::new(gap.start.into(), last.into(), 0).map(IpNet::V4)
            })),
            (Family::V6, V6::Halves(table)) => Box::new(
                table
                    .gaps()
                    .map(|gap| Gap {
                        start: whole(gap.start),
                        next: gap.next.map(whole),
                    })
                    .flat_map(v6_prefixes),
            ),
            (Family::V6, V6::Whole(table)) => Box::new(table.gaps().flat_map(v6_prefixes)),
        }
    }

    /// Returns the bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.v4.heap_bytes()
            + match &self.v6 {
                V6::Halves(table) => table.heap_bytes(),
                V6::Whole(table) => table.heap_bytes(),
            }
    }

    fn values(&self, family: Family) -> &[u32] {
        match (family, &self.v6) {
            (Family::V4, _) => self.v4.values(),
            (Family::V6, V6::Halves(table)) => table.values(),
            (Family::V6, V6::Whole(table)) => table.values(),
        }
    }
}

/// Prints the sizes only: a table may have millions of ranges.
impl fmt::Debug for Lpm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lpm")
            .field("v4_ranges", &self.values(Family::V4).len())
            .field("v6_ranges", &self.values(Family::V6).len())
            .finish()
    }
}

/// Searches a table of whole IPv6 addresses. It is out of line, so that the common lookup is small
/// enough to be inlined.
#[inline(never)]
fn find_whole(table: &Table<u128>, addr: Ipv6Addr) -> Option<u32> {
    table.find(addr.to_bits())
}

fn duplicate<A, I: Into<IpAddr>>(twice: Duplicate<A>, addr: impl Fn(A) -> I) -> DuplicatePrefix {
    DuplicatePrefix {
        // The length was that of a prefix of the same family, so it is one.
        prefix: IpNet::new_assert(addr(twice.start).into(), twice.len),
        values: twice.values,
    }
}

fn v6_prefixes(gap: Gap<u128>) -> impl Iterator<Item = IpNet> {
    let last = gap.next.map_or(u128::MAX, |next| next - 1);
    Ipv6Subnets::new(gap.start.into(), last.into(), 0).map(IpNet::V6)
}

fn upper(address: u128) -> u64 {
    (address >> 64) as u64
}

fn lower(address: u128) -> u64 {
    address as u64
}

fn whole(upper: u64) -> u128 {
    u128::from(upper) << 64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn lpm(prefixes: &[(&str, u32)]) -> Lpm {
        Lpm::build(prefixes.iter().map(|&(text, value)| (net(text), value))).unwrap()
    }

    fn lookup(lpm: &Lpm, addr: &str) -> Option<u32> {
        lpm.lookup(addr.parse().unwrap())
    }

    /// Finds the longest match by looking at every prefix.
    fn longest(prefixes: &[(IpNet, u32)], addr: IpAddr) -> Option<u32> {
        prefixes
            .iter()
            .filter(|(prefix, _)| prefix.contains(&addr))
            .max_by_key(|(prefix, _)| prefix.prefix_len())
            .map(|&(_, value)| value)
    }

    /// Returns the first and the last address of every prefix, and those right outside it.
    fn boundaries(prefixes: &[(IpNet, u32)]) -> Vec<IpAddr> {
        let mut addrs = Vec::new();
        for (prefix, _) in prefixes {
            match prefix {
                IpNet::V4(prefix) => {
                    let (first, last) = (prefix.network().to_bits(), prefix.broadcast().to_bits());
                    let around = [first.wrapping_sub(1), first, last, last.wrapping_add(1)];
                    addrs.extend(around.map(|addr| IpAddr::V4(addr.into())));
                }
                IpNet::V6(prefix) => {
                    let (first, last) = (prefix.network().to_bits(), prefix.broadcast().to_bits());
                    let around = [first.wrapping_sub(1), first, last, last.wrapping_add(1)];
                    addrs.extend(around.map(|addr| IpAddr::V6(addr.into())));
                }
            }
        }
        addrs
    }

    /// Generates addresses close to one another and to both ends, and some anywhere.
    fn v4_addr() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>(),
            0..1024_u32,
            any::<u16>().prop_map(|low| 0x0a01_0000 + u32::from(low)),
            any::<u8>().prop_map(|high| u32::from(high) << 24),
            (0..1024_u32).prop_map(|from_end| u32::MAX - from_end),
        ]
        .prop_map(|addr| IpAddr::V4(addr.into()))
    }

    fn v6_addr() -> impl Strategy<Value = IpAddr> {
        const DOCUMENTATION: u128 = 0x2001_0db8 << 96;
        prop_oneof![
            any::<u128>(),
            0..1024_u128,
            any::<u16>().prop_map(|low| DOCUMENTATION + u128::from(low)),
            any::<u16>().prop_map(|subnet| DOCUMENTATION + (u128::from(subnet) << 64)),
            any::<u16>().prop_map(|high| u128::from(high) << 112),
            (0..1024_u128).prop_map(|from_end| u128::MAX - from_end),
        ]
        .prop_map(|addr| IpAddr::V6(addr.into()))
    }

    fn addr() -> impl Strategy<Value = IpAddr> {
        prop_oneof![v4_addr(), v6_addr()]
    }

    /// Generates prefixes with host bits, each once, with so few values that neighbours share some.
    /// Half of the cases have no IPv6 prefix longer than /64.
    fn prefixes() -> impl Strategy<Value = Vec<(IpNet, u32)>> {
        let prefix = |v6_max: u8| {
            prop_oneof![
                (v4_addr(), 0..=32_u8, 0..3_u32),
                (v6_addr(), 0..=v6_max, 0..3_u32),
            ]
        };
        prop_oneof![vec(prefix(64), 0..100), vec(prefix(128), 0..100)].prop_map(|prefixes| {
            prefixes
                .into_iter()
                .map(|(addr, len, value)| {
                    let prefix = IpNet::new(addr, len).unwrap();
                    (prefix.trunc(), (prefix, value))
                })
                .collect::<BTreeMap<_, _>>()
                .into_values()
                .collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn a_lookup_is_the_longest_match(
            prefixes in prefixes().prop_shuffle(),
            anywhere in vec(addr(), 20),
        ) {
            let lpm = Lpm::build(prefixes.iter().copied()).unwrap();
            for addr in boundaries(&prefixes).into_iter().chain(anywhere) {
                prop_assert_eq!(lpm.lookup(addr), longest(&prefixes, addr), "{}", addr);
            }
        }

        #[test]
        fn the_uncovered_prefixes_are_what_is_missing_to_cover_a_family(
            mut prefixes in prefixes(),
            anywhere in vec(addr(), 20),
        ) {
            const FILLED: u32 = 3;
            let lpm = Lpm::build(prefixes.iter().copied()).unwrap();
            let addrs = [boundaries(&prefixes), anywhere].concat();
            for family in [Family::V4, Family::V6] {
                let uncovered: Vec<_> = lpm.uncovered(family).collect();
                prop_assert!(uncovered.is_sorted());
                prop_assert_eq!(lpm.covers(family), uncovered.is_empty());
                prefixes.extend(uncovered.into_iter().map(|prefix| (prefix, FILLED)));
            }
            let filled = Lpm::build(prefixes).unwrap();
            for addr in addrs {
                prop_assert_eq!(filled.lookup(addr), lpm.lookup(addr).or(Some(FILLED)));
            }
            for family in [Family::V4, Family::V6] {
                prop_assert!(filled.covers(family));
            }
        }

        #[test]
        fn a_prefix_given_twice_is_refused_by_name(
            mut prefixes in prefixes(),
            again: prop::sample::Index,
            value in 0..3_u32,
        ) {
            prop_assume!(!prefixes.is_empty());
            let (prefix, first) = prefixes[again.index(prefixes.len())];
            prefixes.push((prefix.trunc(), value));
            let refused = Lpm::build(prefixes).err();
            prop_assert_eq!(
                refused,
                Some(DuplicatePrefix {
                    prefix: prefix.trunc(),
                    values: [first.min(value), first.max(value)],
                })
            );
        }
    }

    #[test]
    fn the_refusal_says_which_prefix_and_which_values() {
        let prefixes = [
            ("192.0.2.1/24", 7),
            ("192.0.2.0/25", 1),
            ("192.0.2.0/24", 4),
        ];
        let refused = Lpm::build(prefixes.map(|(text, value)| (net(text), value)));
        assert_eq!(
            refused.err().unwrap().to_string(),
            "prefix 192.0.2.0/24 is given twice, with the values 4 and 7: keep one of them"
        );
    }

    #[test]
    fn an_empty_table_matches_nothing() {
        let lpm = lpm(&[]);
        for addr in ["0.0.0.0", "255.255.255.255", "::", "2001:db8::1"] {
            assert_eq!(lookup(&lpm, addr), None);
        }
        for (family, all) in [(Family::V4, "0.0.0.0/0"), (Family::V6, "::/0")] {
            assert!(lpm.is_empty(family));
            assert!(!lpm.covers(family));
            assert!(lpm.uncovered(family).eq([net(all)]));
        }
    }

    #[test]
    fn the_families_are_apart() {
        let lpm = lpm(&[("0.0.0.0/0", 1), ("2001:db8::/32", 2)]);
        assert!(lpm.covers(Family::V4) && !lpm.covers(Family::V6));
        assert!(!lpm.is_empty(Family::V4) && !lpm.is_empty(Family::V6));
        assert_eq!(lookup(&lpm, "192.0.2.1"), Some(1));
        assert_eq!(lookup(&lpm, "::192.0.2.1"), None);
        assert_eq!(lookup(&lpm, "::ffff:192.0.2.1"), None);
        assert_eq!(lookup(&lpm, "2001:db8::1"), Some(2));
    }

    #[test]
    fn a_default_prefix_and_single_addresses_match() {
        let lpm = lpm(&[
            ("0.0.0.0/0", 1),
            ("0.0.0.0/32", 2),
            ("255.255.255.255/32", 3),
            ("::/0", 4),
            ("::/128", 5),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", 6),
        ]);
        assert_eq!(lookup(&lpm, "0.0.0.0"), Some(2));
        assert_eq!(lookup(&lpm, "0.0.0.1"), Some(1));
        assert_eq!(lookup(&lpm, "255.255.255.254"), Some(1));
        assert_eq!(lookup(&lpm, "255.255.255.255"), Some(3));
        assert_eq!(lookup(&lpm, "::"), Some(5));
        assert_eq!(lookup(&lpm, "::1"), Some(4));
        assert_eq!(
            lookup(&lpm, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            Some(6)
        );
        assert!(lpm.covers(Family::V4) && lpm.covers(Family::V6));
    }

    #[test]
    fn two_halves_cover_the_whole() {
        let lpm = lpm(&[("0.0.0.0/1", 1), ("128.0.0.0/1", 2), ("8000::/1", 3)]);
        assert!(lpm.covers(Family::V4));
        assert!(!lpm.covers(Family::V6));
        assert!(lpm.uncovered(Family::V6).eq([net("::/1")]));
    }

    #[test]
    fn the_highest_value_makes_a_hole() {
        let lpm = lpm(&[
            ("0.0.0.0/0", 1),
            ("10.0.0.0/8", u32::MAX),
            ("10.1.0.0/16", 2),
        ]);
        assert_eq!(lookup(&lpm, "10.2.0.0"), None);
        assert_eq!(lookup(&lpm, "10.1.0.0"), Some(2));
        assert_eq!(lookup(&lpm, "11.0.0.0"), Some(1));
        assert!(!lpm.covers(Family::V4));
    }

    #[test]
    fn ten_pids_take_less_than_a_kilobyte() {
        let lpm = Lpm::build((0..10).flat_map(|pid| {
            [
                (net(&format!("198.18.{}.0/23", 4 * pid)), pid),
                (net(&format!("2001:db8:{pid}::/48")), pid),
            ]
        }))
        .unwrap();
        assert!(lpm.heap_bytes() < 1024, "{} bytes", lpm.heap_bytes());
    }

    #[test]
    fn a_prefix_takes_a_bounded_place_wherever_it_lies() {
        // Alone among its neighbours, each prefix makes two ranges, its own and the one after it.
        const PREFIXES: u32 = 10_000;
        let scattered = |v6: bool| {
            (0..PREFIXES).map(move |at| {
                let addr = at.wrapping_mul(0x9e37_79b1);
                let addr = if v6 {
                    IpAddr::V6((u128::from(addr) << 96 | u128::from(addr)).into())
                } else {
                    IpAddr::V4(addr.into())
                };
                (IpNet::from(addr), at)
            })
        };
        for (v6, bytes) in [(false, 2 * 10), (true, 2 * 22)] {
            let lpm = Lpm::build(scattered(v6)).unwrap();
            let most = (bytes * PREFIXES) as usize + 1024;
            assert!(lpm.heap_bytes() < most, "{} bytes", lpm.heap_bytes());
        }
    }

    #[test]
    fn neighbours_of_equal_value_take_the_place_of_one() {
        let all = |value: fn(u32) -> u32| {
            let prefixes = (0..65_536).map(|at| {
                let prefix = IpNet::new(IpAddr::V4((at << 16).into()), 16).unwrap();
                (prefix, value(at))
            });
            Lpm::build(prefixes).unwrap()
        };
        assert!(all(|_| 1).heap_bytes() < 256);
        assert!(all(|at| at).heap_bytes() > 65_536 * 8);
        let by_hundred = all(|at| at / 100);
        assert!(by_hundred.heap_bytes() < 656 * 10 + 256);
        assert_eq!(lookup(&by_hundred, "0.100.255.255"), Some(1));
        assert_eq!(lookup(&by_hundred, "255.255.255.255"), Some(655));
    }
}
