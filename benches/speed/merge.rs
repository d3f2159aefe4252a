//! Measures how fast the merged view is made and read, compared with writing the memory that its
//! cells would take.

use std::hint::black_box;
use std::net::Ipv4Addr;

use altofed::api::conflict::MergeConflictKind;
use altofed::compile::{Domain, MergePolicy, Merged, merged_view};
use altofed::paths::Composed;
use altofed::publish::Costs;
use rayon::ThreadPool;
use rayon::prelude::*;

use crate::data::Random;
use crate::federation::{self, METRICS, Size};
use crate::floor;
use crate::pairs::{RUNS, pair, seconds};
use crate::process;

/// The federation that is also merged in other ways.
pub const FEDERATION: Size = Size {
    domains: 50,
    pids: 200,
    borders: 4,
};

const LARGE: Size = Size {
    domains: 1000,
    pids: 50,
    borders: 3,
};

/// Prints a line for each run, in the form of the table.
pub fn run() {
    let pool = pool(2);
    let domains = federation::domains(FEDERATION);
    let merge = |domains: &[Domain], former: Option<&Merged>| {
        pool.install(|| merged_view(domains, &federation::policy(), former))
    };
    let merged = merge(&domains, None);
    let pids = merged.view.network().pids().len();
    let mut cells = vec![0.0_f64; pids * pids];
    let mut other = vec![0.0_f64; pids * pids];

    let milliseconds = |seconds: f64| seconds * 1e3;
    pair(
        [
            "merging 50 domains of 200 PIDs and 4 borders, beside a new matrix of 10,000² doubles",
            "ms",
            "≤ 0.25",
        ],
        milliseconds,
        || drop(black_box(merge(&domains, None))),
        || drop(black_box(vec![1.0_f64; pids * pids])),
    );
    let gigabytes = |seconds: f64| (pids * pids * 8) as f64 / seconds / 1e9;
    for name in METRICS {
        let target = if name == METRICS[0] {
            "≥ 0.5"
        } else {
            "≥ 0.15"
        };
        let composed = composed(&merged, name);
        pair(
            [
                &format!("all 10,000² cells of the merged view in {name}, beside filling memory"),
                "GB/s",
                target,
            ],
            gigabytes,
            || fill_rows(&pool, composed, &mut cells),
            || fill(&pool, &mut other, pids),
        );
    }
    let rate = |seconds: f64| 1.0 / seconds / 1e3;
    let (far, near) = (question(FEDERATION.domains), question(1));
    pair(
        [
            "endpoint costs of 10 × 100 across the merged view, beside those in a domain's view",
            "thousand/s",
            "≥ 0.7",
        ],
        rate,
        || drop(black_box(floor::answer(&merged.view, &far))),
        || drop(black_box(floor::answer(&domains[0].view, &near))),
    );
    for (what, target, src, dst) in [
        ("a cost between PIDs that are no borders", "≤ 0.2", 150, 151),
        ("a cost between borders", "≤ 1", 0, 1),
    ] {
        let mut next = domains.clone();
        next[7] = federation::changed(&domains[7], 7, src, dst);
        pair(
            [
                &format!("merging after {what} changed, beside merging anew"),
                "ms",
                target,
            ],
            milliseconds,
            || drop(black_box(merge(&next, Some(&merged)))),
            || drop(black_box(merge(&next, None))),
        );
    }
    drop((cells, other, merged, domains));
    large(
        &pool,
        "1,000 domains of 50 PIDs and 3 borders",
        &federation::domains(LARGE),
        &federation::policy(),
    );
    large(
        &pool,
        "60 adverse domains of 40 borders",
        &federation::adverse(60, 40, 100),
        &federation::policy(),
    );
    large(
        &pool,
        "1,000 adverse domains of 50 borders",
        &federation::adverse(1000, 50, 20),
        &federation::policy(),
    );
}

/// Makes an endpoint cost request of 10 sources and 100 destinations in this many domains.
fn question(domains: usize) -> Vec<u8> {
    let mut random = Random(3);
    let mut addresses = |count: usize| {
        let mut address = || {
            let prefixes = 2 * domains * FEDERATION.pids;
            let prefix = random.below(prefixes as u64) as u32;
            format!("\"ipv4:{}\"", Ipv4Addr::from(prefix << 8 | 1))
        };
        let addresses: Vec<String> = (0..count).map(|_| address()).collect();
        addresses.join(",")
    };
    let (srcs, dsts) = (addresses(10), addresses(100));
    let cost_type = r#"{"cost-metric":"routingcost","cost-mode":"numerical"}"#;
    let endpoints = format!(r#"{{"srcs":[{srcs}],"dsts":[{dsts}]}}"#);
    format!(r#"{{"cost-type":{cost_type},"endpoints":{endpoints}}}"#).into_bytes()
}

/// Makes a pool of this many threads.
pub fn pool(threads: usize) -> ThreadPool {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().expect("threads")
}

/// Returns the costs of a merged view in a metric.
pub fn composed<'m>(merged: &'m Merged, name: &str) -> &'m Composed {
    match merged.view.costs().get(name) {
        Some(Costs::Composed(composed)) => composed,
        _ => unreachable!("the merged view composes {name}"),
    }
}

/// Computes all cells.
pub fn fill_rows(pool: &ThreadPool, composed: &Composed, cells: &mut [f64]) {
    pool.install(|| {
        let rows = cells.par_chunks_mut(composed.size).enumerate();
        rows.for_each(|(src, row)| {
            composed.fill_row(src, row);
        });
    });
    black_box(cells);
}

fn fill(pool: &ThreadPool, cells: &mut [f64], pids: usize) {
    pool.install(|| cells.par_chunks_mut(pids).for_each(|row| row.fill(1.5)));
    black_box(cells);
}

/// Prints what merging a large federation takes.
fn large(pool: &ThreadPool, what: &str, domains: &[Domain], policy: &MergePolicy) {
    for _ in 0..RUNS {
        let before = process::resident();
        let mut merged = None;
        let taken = seconds(|| {
            merged = Some(pool.install(|| merged_view(domains, policy, None)));
        });
        let held = process::resident().saturating_sub(before) as f64 / 1e6;
        let unsettled = merged.as_ref().map_or(0, |merged| {
            let kind = MergeConflictKind::UnsettledPair;
            merged.conflicts.count(kind)
        });
        println!("merging {what}\ts\trecorded\t{taken:.6}");
        println!("merging {what}: memory\tMB\tunder 1000\t{held:.6}");
        println!("merging {what}: left unsettled\tpairs of domains\trecorded\t{unsettled}");
        // Freed memory may stay resident, so the result is leaked, to make the next run need
        // more.
        std::mem::forget(merged);
    }
}
