//! Measures the least that an endpoint cost request takes: the same request is parsed, looked
//! up, gathered and written in this process, without HTTP.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::{Duration, Instant};

use altofed::publish::{Parameters, View};

use crate::{data, process};

/// Answers the requests in a directory in turn for some seconds, and prints the CPU time of one
/// in microseconds.
#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
pub fn run(directory: &Path) {
    let compiled = data::compile(
        &data::file(directory, "network-map.json"),
        &data::file(directory, "cost-map.json"),
    );
    let view = data::merged(&compiled);
    let requests = data::file(directory, "requests.jsonl");
    let requests: Vec<&[u8]> = requests.trim_ascii_end().split(|b| *b == b'\n').collect();
    let (mut answered, begun) = (0, process::cpu_time("self"));
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        for request in &requests {
            divan::black_box(answer(&view, request));
        }
        answered += requests.len();
    }
    let taken = process::cpu_time("self") - begun;
    println!("{:.2}", taken.as_secs_f64() * 1e6 / answered as f64);
}

/// Answers an endpoint cost request.
pub fn answer(view: &View, request: &[u8]) -> Vec<u8> {
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let resource = view.catalog().get("endpointcost").expect("offered");
    let input = request;
    let rendering = view.answer(resource, Parameters { input, client });
    rendering.expect("a sound request").write()
}
