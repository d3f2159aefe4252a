//! Compares looking up addresses in a table of the size of the Internet's, and building it, with
//! `prefix-trie`. The prefixes are made up and always the same. They have the lengths, the
//! density and the nesting of the global routing table, with a country as value.

use altofed::net::Lpm;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

const V4_PREFIXES: usize = 1_000_000;
const V6_PREFIXES: usize = 220_000;
const LOOKUPS: usize = 1_000_000;
const COUNTRIES: u64 = 250;

static V4: LazyLock<Vec<(Ipv4Net, u32)>> = LazyLock::new(v4_prefixes);
static V6: LazyLock<Vec<(Ipv6Net, u32)>> = LazyLock::new(v6_prefixes);
static LPM: LazyLock<Lpm> = LazyLock::new(|| Lpm::build(all_prefixes()).unwrap());

fn main() {
    println!(
        "{V4_PREFIXES} IPv4 and {V6_PREFIXES} IPv6 prefixes take {:.1} MB: {:?}",
        LPM.heap_bytes() as f64 / 1e6,
        *LPM
    );
    divan::main();
}

/// Where the addresses to look up are.
#[derive(Debug, Clone, Copy)]
enum Addrs {
    /// Anywhere in the address space.
    Anywhere,
    /// In some prefix; every prefix is equally likely.
    Inside,
}

const ADDRS: [Addrs; 2] = [Addrs::Anywhere, Addrs::Inside];

#[divan::bench_group(sample_count = 30)]
mod v4 {
    use super::*;

    #[divan::bench(args = ADDRS)]
    fn lpm(bencher: Bencher, addrs: Addrs) {
        let addrs = v4_addrs(addrs);
        let lpm = &*LPM;
        bench(bencher, &addrs, |addr| lpm.lookup_v4(addr));
    }

    #[divan::bench(args = ADDRS)]
    fn prefix_trie(bencher: Bencher, addrs: Addrs) {
        static TRIE: LazyLock<PrefixMap<Ipv4Net, u32>> =
            LazyLock::new(|| V4.iter().copied().collect());
        let addrs = v4_addrs(addrs);
        let trie = &*TRIE;
        bench(bencher, &addrs, |addr| {
            trie.get_lpm(&Ipv4Net::from(addr)).map(|(_, value)| *value)
        });
    }
}

#[divan::bench_group(sample_count = 30)]
mod v6 {
    use super::*;

    #[divan::bench(args = ADDRS)]
    fn lpm(bencher: Bencher, addrs: Addrs) {
        let addrs = v6_addrs(addrs);
        let lpm = &*LPM;
        bench(bencher, &addrs, |addr| lpm.lookup_v6(addr));
    }

    /// With one prefix longer than /64, so that the table is one of whole addresses.
    #[divan::bench(args = ADDRS)]
    fn lpm_of_whole_addresses(bencher: Bencher, addrs: Addrs) {
        static WHOLE: LazyLock<Lpm> = LazyLock::new(|| {
            let host = (IpNet::from(Ipv6Net::from(Ipv6Addr::LOCALHOST)), 0);
            Lpm::build(all_prefixes().into_iter().chain([host])).unwrap()
        });
        let addrs = v6_addrs(addrs);
        let lpm = &*WHOLE;
        bench(bencher, &addrs, |addr| lpm.lookup_v6(addr));
    }

    #[divan::bench(args = ADDRS)]
    fn prefix_trie(bencher: Bencher, addrs: Addrs) {
        static TRIE: LazyLock<PrefixMap<Ipv6Net, u32>> =
            LazyLock::new(|| V6.iter().copied().collect());
        let addrs = v6_addrs(addrs);
        let trie = &*TRIE;
        bench(bencher, &addrs, |addr| {
            trie.get_lpm(&Ipv6Net::from(addr)).map(|(_, value)| *value)
        });
    }
}

#[divan::bench_group(sample_count = 10)]
mod build {
    use super::*;

    #[divan::bench]
    fn sorted(bencher: Bencher) {
        bencher
            .with_inputs(all_prefixes)
            .bench_values(|prefixes| Lpm::build(prefixes).unwrap());
    }

    #[divan::bench]
    fn shuffled(bencher: Bencher) {
        let mut prefixes = all_prefixes();
        let mut random = Random(3);
        for at in (1..prefixes.len()).rev() {
            prefixes.swap(at, random.below(at as u64 + 1) as usize);
        }
        bencher
            .with_inputs(|| prefixes.clone())
            .bench_values(|prefixes| Lpm::build(prefixes).unwrap());
    }

    #[divan::bench]
    fn ten_pids(bencher: Bencher) {
        let prefixes: Vec<_> = (0..10)
            .flat_map(|pid| {
                let v4 = Ipv4Addr::new(198, 18, 4 * pid, 0).into();
                let v6 = Ipv6Addr::new(0x2001, 0xdb8, pid.into(), 0, 0, 0, 0, 0).into();
                [(v4, 23), (v6, 48)].map(|(addr, len)| (IpNet::new_assert(addr, len), pid.into()))
            })
            .collect();
        bencher
            .with_inputs(|| prefixes.clone())
            .bench_values(|prefixes| Lpm::build(prefixes).unwrap());
    }
}

fn bench<A: Copy>(bencher: Bencher, addrs: &[A], lookup: impl Fn(A) -> Option<u32>) {
    bencher
        .counter(ItemsCount::new(addrs.len()))
        .bench_local(|| {
            for &addr in addrs {
                // There is no branch on whether there is a match: a mispredicted one would cost
                // more than a lookup.
                black_box(lookup(addr));
            }
        });
}

fn all_prefixes() -> Vec<(IpNet, u32)> {
    let v4 = V4.iter().map(|&(prefix, value)| (prefix.into(), value));
    let v6 = V6.iter().map(|&(prefix, value)| (prefix.into(), value));
    v4.chain(v6).collect()
}

fn v4_prefixes() -> Vec<(Ipv4Net, u32)> {
    const LENGTHS: &[(u8, u64)] = &[
        (24, 600),
        (23, 100),
        (22, 110),
        (21, 50),
        (20, 45),
        (19, 30),
        (18, 15),
        (17, 10),
        (16, 14),
    ];
    let mut random = Random(4);
    let mut prefixes = BTreeMap::new();
    while prefixes.len() < V4_PREFIXES {
        let len = random.one_of(LENGTHS);
        let addr = (1 << 24) + random.below(223 << 24) as u32;
        let country = country(u64::from(addr >> 19), &mut random);
        prefixes.insert(Ipv4Net::new_assert(addr.into(), len).trunc(), country);
    }
    prefixes.into_iter().collect()
}

fn v6_prefixes() -> Vec<(Ipv6Net, u32)> {
    const LENGTHS: &[(u8, u64)] = &[
        (48, 480),
        (47, 15),
        (46, 30),
        (45, 10),
        (44, 90),
        (42, 20),
        (40, 90),
        (36, 45),
        (34, 15),
        (33, 25),
        (32, 180),
    ];
    /// The first 16 bits of the blocks that the registries allocate from.
    const BLOCKS: &[u16] = &[
        0x2001, 0x2400, 0x2401, 0x2402, 0x2403, 0x2404, 0x2405, 0x2406, 0x2407, 0x2600, 0x2602,
        0x2604, 0x2605, 0x2607, 0x2620, 0x2800, 0x2801, 0x2803, 0x2804, 0x2806, 0x2a00, 0x2a01,
        0x2a02, 0x2a03, 0x2a04, 0x2a05, 0x2a06, 0x2a07, 0x2a09, 0x2a0a, 0x2a0b, 0x2a0c, 0x2a0d,
        0x2a0e, 0x2a0f, 0x2c0f,
    ];
    let mut random = Random(6);
    let mut prefixes = BTreeMap::new();
    while prefixes.len() < V6_PREFIXES {
        let len = random.one_of(LENGTHS);
        let block = u128::from(BLOCKS[random.below(BLOCKS.len() as u64) as usize]);
        // Allocations are /29s, up to a quarter of the block; each is used anywhere.
        let allocation = u128::from(random.below(2048) * 8);
        let addr = block << 112 | allocation << 96 | u128::from(random.below(1 << 16)) << 80;
        let country = country((addr >> 104) as u64, &mut random);
        prefixes.insert(Ipv6Net::new_assert(addr.into(), len).trunc(), country);
    }
    prefixes.into_iter().collect()
}

/// Returns the same country all over a region, except for one prefix in twenty.
fn country(region: u64, random: &mut Random) -> u32 {
    let country = match random.below(20) {
        0 => random.below(COUNTRIES),
        _ => Random(region).below(COUNTRIES),
    };
    country as u32
}

fn v4_addrs(addrs: Addrs) -> Vec<Ipv4Addr> {
    let mut random = Random(9);
    let addr = |_| match addrs {
        Addrs::Anywhere => Ipv4Addr::from(random.next() as u32),
        Addrs::Inside => {
            let (prefix, _) = V4[random.below(V4.len() as u64) as usize];
            let host = random.next() as u32 & prefix.hostmask().to_bits();
            Ipv4Addr::from(prefix.network().to_bits() | host)
        }
    };
    (0..LOOKUPS).map(addr).collect()
}

fn v6_addrs(addrs: Addrs) -> Vec<Ipv6Addr> {
    let mut random = Random(9);
    let addr = |_| {
        let any = u128::from(random.next()) << 64 | u128::from(random.next());
        match addrs {
            Addrs::Anywhere => Ipv6Addr::from(any),
            Addrs::Inside => {
                let (prefix, _) = V6[random.below(V6.len() as u64) as usize];
                Ipv6Addr::from(prefix.network().to_bits() | any & prefix.hostmask().to_bits())
            }
        }
    };
    (0..LOOKUPS).map(addr).collect()
}

/// SplitMix64, so that the data is the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    fn one_of(&mut self, weighted: &[(u8, u64)]) -> u8 {
        let mut at = self.below(weighted.iter().map(|(_, weight)| weight).sum());
        for &(item, weight) in weighted {
            match at.checked_sub(weight) {
                Some(rest) => at = rest,
                None => return item,
            }
        }
        unreachable!("the draw is below the sum of the weights")
    }
}
