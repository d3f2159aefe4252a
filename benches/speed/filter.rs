//! Filtering: a part of a cost map, and the costs between endpoints, asked of a view of 1,000 PIDs.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock};

use altofed::alto::json;
use altofed::alto::query::{ReadCostMapFilter, ReadEndpointCostParams};
use altofed::publish::{View, endpoint_costs, filtered_cost_map};
use divan::Bencher;
use divan::counter::ItemsCount;

use crate::data;

const PIDS: usize = 1000;

/// Sources and destinations of a query.
const SHAPES: [(usize, usize); 3] = [(1, 10), (10, 100), (100, 1000)];

static VIEW: LazyLock<Arc<View>> =
    LazyLock::new(|| data::view(&data::network_document(PIDS), &data::cost_document(PIDS)));

/// From the text of the request to the text of the answer.
#[divan::bench(args = SHAPES)]
fn cost_map(bencher: Bencher, (srcs, dsts): (usize, usize)) {
    let request = request("pids", srcs, dsts, |pid| format!("\"{}\"", data::name(pid)));
    let view = &*VIEW;
    bencher.counter(ItemsCount::new(srcs * dsts)).bench(|| {
        let filter = json::read(divan::black_box(&request), ReadCostMapFilter).expect("sound");
        let selection = filter.query.select(view.capabilities()).expect("known");
        filtered_cost_map(view, &filter, &selection)
    });
}

/// The same where only costs below 500 are wanted.
#[divan::bench(args = SHAPES)]
fn constrained_cost_map(bencher: Bencher, (srcs, dsts): (usize, usize)) {
    let request = request("pids", srcs, dsts, |pid| format!("\"{}\"", data::name(pid)));
    let constrained = b",\"constraints\":[\"lt 500\"]}";
    let request = [&request[..request.len() - 1], constrained].concat();
    let view = &*VIEW;
    bencher.counter(ItemsCount::new(srcs * dsts)).bench(|| {
        let filter = json::read(divan::black_box(&request), ReadCostMapFilter).expect("sound");
        let selection = filter.query.select(view.capabilities()).expect("known");
        filtered_cost_map(view, &filter, &selection)
    });
}

/// Between addresses, each in a PID of its own.
#[divan::bench(args = SHAPES)]
fn endpoint_cost(bencher: Bencher, (srcs, dsts): (usize, usize)) {
    let request = request("endpoints", srcs, dsts, |pid| {
        format!("\"ipv4:10.{}.{}.1\"", pid / 256, pid % 256)
    });
    let view = &*VIEW;
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    bencher.counter(ItemsCount::new(srcs * dsts)).bench(|| {
        let params = json::read(divan::black_box(&request), ReadEndpointCostParams).expect("sound");
        let selection = params.query.select(view.capabilities()).expect("known");
        endpoint_costs(view, &params, &selection, client).expect("sources and destinations")
    });
}

/// A query between PIDs drawn at random, each put into words by `item`.
fn request(member: &str, srcs: usize, dsts: usize, item: impl Fn(usize) -> String) -> Vec<u8> {
    let mut random = data::Random(3);
    let mut list = |count| {
        let items: Vec<String> = (0..count)
            .map(|_| item(random.below(PIDS as u64) as usize))
            .collect();
        items.join(",")
    };
    let (srcs, dsts) = (list(srcs), list(dsts));
    format!(
        "{{\"cost-type\":{{\"cost-mode\":\"numerical\",\"cost-metric\":\"routingcost\"}},\
         \"{member}\":{{\"srcs\":[{srcs}],\"dsts\":[{dsts}]}}}}"
    )
    .into_bytes()
}
