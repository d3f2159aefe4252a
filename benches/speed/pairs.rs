//! Comparisons within this process, in turns.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Instant;

use altofed::alto::network::Groups;
use altofed::facts::{Document, DocumentPath};
use altofed::net::{Lpm, write_number};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

use crate::data::{self, Random};
use crate::process;

/// How often each comparison is run.
pub const RUNS: usize = 5;
const TURNS: usize = 10;
const PIDS: usize = 1000;
const LOOKUPS: usize = 1_000_000;
const VIEWS: usize = 2000;

/// Prints a line for each run, in the form of the table.
pub fn run(directory: &Path) {
    view_of_ten_pids();
    longest_prefix_match(&data::file(directory, "network-map.json"));
    cost_map();
}

/// Prints the seconds that a visitor takes to read a network map and keep nothing.
pub fn visit(file: &Path) {
    let text = std::fs::read(file).expect("a readable file");
    let taken = seconds(|| {
        serde_json::from_slice::<data::NetworkMap<'_>>(&text).expect("a network map");
    });
    println!("{taken:.6}");
}

/// Starts a stopwatch; the function returned tells the seconds since then.
#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
pub fn stopwatch() -> impl Fn() -> f64 {
    let begun = Instant::now();
    move || begun.elapsed().as_secs_f64()
}

/// Returns the seconds that work takes.
pub fn seconds(work: impl FnOnce()) -> f64 {
    let elapsed = stopwatch();
    work();
    elapsed()
}

/// Returns the seconds that work takes at its fastest in several turns.
pub fn fastest(mut work: impl FnMut()) -> f64 {
    let turns = (0..TURNS).map(|_| seconds(&mut work));
    turns.fold(f64::INFINITY, f64::min)
}

/// Does both in turns, and prints for each run the seconds of each at its fastest, converted by
/// `figure`. Taking the fastest turn leaves out what else the machine does.
pub fn pair(
    [what, unit, target]: [&str; 3],
    figure: impl Fn(f64) -> f64,
    mut ours: impl FnMut(),
    mut other: impl FnMut(),
) {
    for _ in 0..RUNS {
        let turns = (0..TURNS).map(|_| [seconds(&mut ours), seconds(&mut other)]);
        let fastest = |best: [f64; 2], turn: [f64; 2]| [0, 1].map(|i| best[i].min(turn[i]));
        let [ours, other] = turns.fold([f64::INFINITY; 2], fastest).map(&figure);
        println!("{what}\t{unit}\t{target}\t{ours:.6}\t{other:.6}");
    }
}

/// Measures everything that a node holds for a domain of ten PIDs: facts, union and views.
fn view_of_ten_pids() {
    let (network, costs) = (data::network_document(10), data::cost_document(10));
    let documents = [
        (DocumentPath::Network, &network[..]),
        (data::routingcost(), &costs[..]),
    ];
    let compile = || {
        let facts = data::facts(&documents);
        let compiled = data::compiled(&facts);
        let merged = data::merged(&compiled);
        (facts, compiled, merged)
    };
    for _ in 0..RUNS {
        let before = process::resident();
        let views: Vec<_> = (0..VIEWS).map(|_| compile()).collect();
        let each = process::resident().saturating_sub(before) as f64 / views.len() as f64;
        println!(
            "a domain of ten PIDs in memory\tKB\tunder 300\t{:.2}",
            each / 1e3
        );
        // Freed memory may stay resident, so the result is leaked, to make the next run need
        // more.
        std::mem::forget(views);
    }
}

fn longest_prefix_match(document: &[u8]) {
    let Document::Network(network) = data::read(&DocumentPath::Network, document) else {
        unreachable!("it is a network map");
    };
    let prefixes = prefixes(&network.groups);
    let lpm = Lpm::build(prefixes.iter().copied()).expect("each prefix once");
    let (mut v4, mut v6) = (PrefixMap::new(), PrefixMap::new());
    for (prefix, value) in &prefixes {
        match prefix {
            IpNet::V4(prefix) => drop(v4.insert(*prefix, *value)),
            IpNet::V6(prefix) => drop(v6.insert(*prefix, *value)),
        }
    }
    let (v4_addrs, v6_addrs) = addresses(&prefixes);
    let rate = |seconds: f64| LOOKUPS as f64 / seconds / 1e6;
    pair(
        [
            "longest-prefix match among a million prefixes, IPv4, beside prefix-trie",
            "million/s",
            "≥ 5",
        ],
        rate,
        || sum(&v4_addrs, |addr| lpm.lookup_v4(*addr)),
        || sum(&v4_addrs, |addr| found(v4.get_lpm(&Ipv4Net::from(*addr)))),
    );
    pair(
        [
            "longest-prefix match among a million prefixes, IPv6, beside prefix-trie",
            "million/s",
            "≥ 2",
        ],
        rate,
        || sum(&v6_addrs, |addr| lpm.lookup_v6(*addr)),
        || sum(&v6_addrs, |addr| found(v6.get_lpm(&Ipv6Net::from(*addr)))),
    );
}

fn prefixes(groups: &Groups) -> Vec<(IpNet, u32)> {
    let groups = (0..).zip(groups.values());
    groups
        .flat_map(|(pid, group)| group.prefixes().map(move |prefix| (prefix, pid)))
        .collect()
}

fn found<P>(longest: Option<(P, &u32)>) -> Option<u32> {
    longest.map(|(_, value)| *value)
}

fn sum<A>(addrs: &[A], lookup: impl Fn(&A) -> Option<u32>) {
    let found = black_box(addrs).iter().filter_map(lookup).map(u64::from);
    black_box(found.sum::<u64>());
}

/// Makes addresses of both families, each in a prefix drawn at random.
fn addresses(prefixes: &[(IpNet, u32)]) -> (Vec<Ipv4Addr>, Vec<Ipv6Addr>) {
    let mut random = Random(9);
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    while v4.len() < LOOKUPS || v6.len() < LOOKUPS {
        let (prefix, _) = prefixes[random.below(prefixes.len() as u64) as usize];
        let host = u128::from(random.below(u64::MAX)) << 64 | u128::from(random.below(u64::MAX));
        match (prefix.network(), prefix.hostmask()) {
            (IpAddr::V4(addr), IpAddr::V4(mask)) if v4.len() < LOOKUPS => {
                v4.push((addr.to_bits() | host as u32 & mask.to_bits()).into());
            }
            (IpAddr::V6(addr), IpAddr::V6(mask)) if v6.len() < LOOKUPS => {
                v6.push((addr.to_bits() | host & mask.to_bits()).into());
            }
            _ => {}
        }
    }
    (v4, v6)
}

fn cost_map() {
    let text = data::cost_document(PIDS);
    let table = data::cost_table(&text);
    let milliseconds = |seconds: f64| seconds * 1e3;
    pair(
        [
            "parsing a cost map of 1,000 × 1,000, beside a visitor that keeps nothing",
            "ms",
            "≤ 1.5",
        ],
        milliseconds,
        || drop(black_box(data::cost_table(&text))),
        || {
            serde_json::from_slice::<data::CostMap>(&text).expect("a cost map");
        },
    );
    let (mut written, mut numbers) = (Vec::new(), Vec::new());
    pair(
        [
            "writing a cost map of 1,000 × 1,000, beside formatting its numbers",
            "ms",
            "≤ 1.5",
        ],
        milliseconds,
        || {
            written.clear();
            table.write(&mut written);
        },
        || {
            numbers.clear();
            for (_, cost) in table.rows().flat_map(|(_, row)| row.costs()) {
                assert!(write_number(&mut numbers, cost));
            }
        },
    );
}
