//! Writes the costs of a merged view for `benches/merge.py`, which computes them with NumPy and
//! SciPy.

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::path::Path;

use altofed::compile::merged_view;

use crate::federation::{self, METRICS};
use crate::merge::{self, FEDERATION, composed, fill_rows};
use crate::pairs::fastest;

/// One row in this many is written, to be compared.
const EVERY: usize = 20;

/// Writes the federation that `merge` merges, and the routingcost of its merged view. Doubles
/// are little-endian, row by row:
///
/// - `federation.json`: what `benches/merge.py` is to know, and the interconnects of each domain as
///   it states them;
/// - `costs.f64`: the costs of each domain, from each of its PIDs to each;
/// - `ways.f64`: the costs of the best ways from each border of any domain to each;
/// - `cells.f64`: some rows of the merged view, without its PID `default`.
pub fn write(directory: &Path) {
    let domains = federation::domains(FEDERATION);
    let merged = merge::pool(2).install(|| merged_view(&domains, &federation::policy(), None));
    let composed = composed(&merged, METRICS[0]);
    let across = composed.across.as_ref().expect("routingcost is composed");
    let write = |name: &str, content: Vec<u8>| {
        fs::write(directory.join(name), content).expect("a writable directory");
    };
    let interconnects: BTreeMap<_, _> = domains
        .iter()
        .map(|domain| (&domain.label, &*domain.interconnects))
        .collect();
    let labels: Vec<_> = merged
        .paths
        .domains
        .iter()
        .map(|domain| &domain.label)
        .collect();
    let federation = serde_json::json!({
        "domains": labels,
        "every": EVERY,
        "interconnects": interconnects,
        "max-domains": federation::policy().max_domains,
        "pids": domains[0].view.network().pids().names(),
    });
    write("federation.json", federation.to_string().into_bytes());
    let costs = composed.domains.iter().flat_map(|domain| {
        let costs = domain.costs.as_ref().expect("each has routingcost");
        (0..domain.pids).flat_map(|src| costs.cells(src, &mut Vec::new()).to_vec())
    });
    write("costs.f64", bytes(costs));
    let ways = across.routes.from.iter().flat_map(|from| &from.cost);
    write("ways.f64", bytes(ways.map(|cost| cost / 1000.0)));
    // After the PIDs of the domains comes `default`, which no path leads to.
    let pids: usize = composed.domains.iter().map(|domain| domain.pids).sum();
    let mut row = vec![0.0; composed.size];
    let mut rows = Vec::new();
    for src in (0..pids).step_by(EVERY) {
        composed.fill_row(src, &mut row);
        rows.extend_from_slice(&row[..pids]);
    }
    write("cells.f64", bytes(rows));
}

fn bytes(numbers: impl IntoIterator<Item = f64>) -> Vec<u8> {
    numbers.into_iter().flat_map(f64::to_le_bytes).collect()
}

/// Prints three times: the milliseconds that all cells of routingcost take on two threads; the
/// microseconds that one row of them takes on one thread, with its share of the merge; and the
/// milliseconds of that merge. Each is the fastest of several turns.
pub fn run() {
    let domains = federation::domains(FEDERATION);
    let policy = federation::policy();
    let (one, two) = (merge::pool(1), merge::pool(2));
    let merge = || one.install(|| merged_view(&domains, &policy, None));
    let merged = merge();
    let size = composed(&merged, METRICS[0]).size;
    let mut cells = vec![0.0; size * size];
    let filled = fastest(|| fill_rows(&two, composed(&merged, METRICS[0]), &mut cells));
    let anew = fastest(|| fill_rows(&one, composed(&merge(), METRICS[0]), &mut cells));
    let merged = fastest(|| drop(black_box(merge())));
    let [filled, row, merged] = [filled * 1e3, anew * 1e6 / size as f64, merged * 1e3];
    println!("{filled:.6} {row:.6} {merged:.6}");
}
