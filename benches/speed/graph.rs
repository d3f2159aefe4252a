//! Measures joining a graph of many peers, from scratch and after a small change.

use std::hint::black_box;
use std::sync::Arc;

use altofed::api::interconnect::InterconnectState;
use altofed::compile::{Domain, MergePolicy, Merged, merged_view};

use crate::federation::{self, METRICS};
use crate::merge::pool;
use crate::pairs::stopwatch;
use crate::process;

/// For each graph: its domains, the links between them, and the borders of each domain.
const GRAPHS: [(usize, usize, usize); 3] = [(401, 40_000, 1), (401, 40_000, 4), (401, 40_000, 10)];

/// Prints a line for each step of each graph: the wall time and the CPU time of this process.
pub fn run() {
    let pool = pool(2);
    let policy = federation::policy();
    for (count, links, borders) in GRAPHS {
        let what = format!("{count} domains, {links} links, {borders} borders each");
        let domains = federation::graph(count, links, borders);
        let step =
            |step: &str, domains: &[Domain], policy: &MergePolicy, former: Option<&Merged>| {
                let (elapsed, before) = (stopwatch(), process::cpu_time("self"));
                let merged = black_box(pool.install(|| merged_view(domains, policy, former)));
                let (wall, cpu) = (elapsed(), process::cpu_time("self") - before);
                println!(
                    "{what}: {step}\ts\t{wall:.3}\tCPU\t{:.2}",
                    cpu.as_secs_f64()
                );
                merged
            };
        let merged = step("from scratch", &domains, &policy, None);
        let used = merged.interconnects.iter();
        let used = used.filter(|link| link.state == InterconnectState::Confirmed);
        println!("{what}: links used\t\t{}", used.count() / 2);
        println!("{what}: resident\tMB\t{}", process::resident() / 1_000_000);
        let again = |name: &str, changed: Domain, place: usize| {
            let mut next = domains.clone();
            next[place] = changed;
            step(name, &next, &policy, Some(&merged));
        };
        again("nothing changed", domains[0].clone(), 0);
        let inner = federation::changed(&domains[0], 0, borders, borders + 1);
        again("a cost of ours between PIDs that are no borders", inner, 0);
        again("a prefix of ours", federation::grown(&domains[0], 0), 0);
        let border = federation::changed(&domains[7], 7, 0, borders - 1);
        again("a cost between borders", border, 7);
        let mut linked = domains[7].clone();
        let of_domain = Arc::make_mut(&mut linked.interconnects);
        let link = of_domain.values_mut().next().expect("a link");
        link.costs.insert(federation::metric(METRICS[0]), 17.0);
        again("a cost of a link", linked, 7);
        let fewer: Vec<Domain> = domains[..count - 1].to_vec();
        step("a domain less", &fewer, &policy, Some(&merged));
    }
}
