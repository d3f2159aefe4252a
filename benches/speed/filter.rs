//! Measures filtering in a view of 1,000 PIDs: a part of a cost map, and the costs between
//! endpoints.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock};

use altofed::publish::{Parameters, View};
use divan::Bencher;
use divan::counter::ItemsCount;

use crate::data;

const PIDS: usize = 1000;

/// The numbers of sources and destinations of a query.
const SHAPES: [(usize, usize); 3] = [(1, 10), (10, 100), (100, 1000)];

static VIEW: LazyLock<Arc<View>> =
    LazyLock::new(|| data::view(&data::network_document(PIDS), &data::cost_document(PIDS)));

/// Measures from the text of the request to the text of the answer.
#[divan::bench(args = SHAPES)]
fn cost_map(bencher: Bencher, (srcs, dsts): (usize, usize)) {
    let request = request("pids", srcs, dsts, |pid| format!("\"{}\"", data::name(pid)));
    let view = &*VIEW;
    bencher
        .counter(ItemsCount::new(srcs * dsts))
        .bench(|| answer(view, "filtered-costmap", divan::black_box(&request)));
}

/// Measures the same when only costs below 500 are wanted.
#[divan::bench(args = SHAPES)]
fn constrained_cost_map(bencher: Bencher, (srcs, dsts): (usize, usize)) {
    let request = request("pids", srcs, dsts, |pid| format!("\"{}\"", data::name(pid)));
    let constrained = b",\"constraints\":[\"lt 500\"]}";
    let request = [&request[..request.len() - 1], constrained].concat();
    let view = &*VIEW;
    bencher
        .counter(ItemsCount::new(srcs * dsts))
        .bench(|| answer(view, "filtered-costmap", divan::black_box(&request)));
}

/// Measures costs between addresses, each in a different PID.
#[divan::bench(args = SHAPES)]
fn endpoint_cost(bencher: Bencher, (srcs, dsts): (usize, usize)) {
    let request = request("endpoints", srcs, dsts, |pid| {
        format!("\"ipv4:10.{}.{}.1\"", pid / 256, pid % 256)
    });
    let view = &*VIEW;
    bencher
        .counter(ItemsCount::new(srcs * dsts))
        .bench(|| answer(view, "endpointcost", divan::black_box(&request)));
}

fn answer(view: &View, path: &str, request: &[u8]) -> Vec<u8> {
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let resource = view.catalog().get(path).expect("offered");
    let input = request;
    let rendering = view.answer(resource, Parameters { input, client });
    rendering.expect("a sound request").write()
}

/// Makes a query between PIDs drawn at random, each written by `item`.
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
