//! Measures the patch that a client that follows a cost map of 1,000 × 1,000 is sent when one
//! cost in a hundred changes.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use altofed::ident::MetricName;
use altofed::net::write_number;
use altofed::publish::{self, Costs, Form, Query, View};
use bytes::Bytes;

use crate::data;
use crate::pairs::{RUNS, fastest, pair};

const PIDS: usize = 1000;
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The views before and after the change, and the query for the map.
struct Change {
    old: Arc<View>,
    new: Arc<View>,
    query: Query,
}

impl Change {
    fn new() -> Self {
        let network = data::network_document(PIDS);
        let view = |costs: Vec<u8>| data::view(&network, &costs);
        let new = view(data::changed_cost_document(PIDS));
        let resource = new.catalog().get("costmap-routingcost").expect("a map");
        Self {
            old: view(data::cost_document(PIDS)),
            query: Query::new(resource, Vec::new(), CLIENT),
            new,
        }
    }

    fn patch(&self) -> Bytes {
        let forms = &[Form::Merge];
        let change = self.query.changes(&self.old, &self.new, forms, usize::MAX);
        match change.expect("both have it") {
            publish::Change::Patch(patch) => patch.text,
            other => panic!("it changed: {other:?}"),
        }
    }
}

/// Returns the seconds that computing the patch takes at its fastest.
pub fn worked_out() -> f64 {
    let change = Change::new();
    fastest(|| drop(black_box(change.patch())))
}

/// Prints a line for each run, in the form of the table.
pub fn run() {
    let change = Change::new();
    let whole = change.query.answer(&change.new).expect("the map");
    for _ in 0..RUNS {
        println!(
            "a patch of 1 % of a cost map of 1,000 × 1,000, of the map's bytes\t%\t< 1.5\t{:.6}",
            change.patch().len() as f64 / whole.len() as f64 * 100.0
        );
    }
    let mut numbers = Vec::new();
    pair(
        [
            "a patch of 1 % of a cost map of 1,000 × 1,000, beside comparing the costs and formatting \
             those that changed",
            "ms",
            "≤ 1.5",
        ],
        |seconds| seconds * 1e3,
        || drop(black_box(change.patch())),
        || {
            numbers.clear();
            let changed = |cost| assert!(write_number(&mut numbers, cost));
            compare(&change.old, &change.new, changed);
        },
    );
}

/// Compares all costs, and calls `changed` for those that differ.
fn compare(old: &View, new: &View, mut changed: impl FnMut(f64)) {
    let metric = MetricName::routingcost();
    let [Some(Costs::Dense(old)), Some(Costs::Dense(new))] =
        [old, new].map(|view| view.costs().get(&metric))
    else {
        unreachable!("a domain's costs are dense");
    };
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for src in 0..new.rows() {
        let before = old.cells(src, &mut before);
        for (before, after) in before.iter().zip(new.cells(src, &mut after)) {
            if before.to_bits() != after.to_bits() {
                changed(*after);
            }
        }
    }
}
