//! The work of computing costs between domains is known in advance, and done in short steps.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::json;

use crate::api::interconnect::Relationship;
use crate::compile::{MergePolicy, merged_view};
use crate::publish::{Parameters, Rendering};

use super::world::{Stated, StatedLink, label};

/// How many borders each of two domains has.
const BORDERS: usize = 64;

/// Returns a domain whose PIDs are all borders, each linked to one of the other domain. Successive
/// addresses are in different PIDs.
fn domain(name: &'static str, net: u8, peer: &'static str) -> Stated {
    let address =
        |pid: usize, n: usize| -> &'static str { format!("10.{net}.{n}.{pid}/32").leak() };
    let prefixes: Vec<Vec<&str>> = (0..BORDERS)
        .map(|pid| (0..32).map(|n| address(pid, n)).collect())
        .collect();
    let prefixes: Vec<&[&str]> = prefixes.iter().map(Vec::as_slice).collect();
    let mut stated = Stated::new(name, &prefixes);
    for metric in ["routingcost", "hopcount"] {
        let costs = vec![Some(1.0); BORDERS * BORDERS];
        stated.costs.insert(metric, costs);
    }
    for border in 0..BORDERS {
        let link = StatedLink {
            border,
            peer,
            peer_border: border,
            relationship: Relationship::Open,
            costs: [("routingcost", 1.0), ("hopcount", 1.0)].into(),
        };
        stated.links.insert(format!("l{border}"), link);
    }
    stated
}

/// Returns the rendering of the costs in a metric from so many addresses of one domain, in `pids`
/// of its PIDs, to one address of the other domain.
fn asked(metric: &str, addresses: usize, pids: usize) -> Rendering {
    let domains = [domain("a", 1, "b"), domain("b", 2, "a")];
    let domains: Vec<_> = domains.iter().map(Stated::domain).collect();
    let merged = merged_view(&domains, &MergePolicy::new(label("b")), None);
    let source = |n: usize| format!("ipv4:10.1.{}.{}", n / pids, n % pids);
    let query = json!({
        "cost-type": {"cost-metric": metric, "cost-mode": "numerical"},
        "endpoints": {
            "srcs": (0..addresses).map(source).collect::<Vec<_>>(),
            "dsts": ["ipv4:10.2.0.7"]
        }
    });
    let nobody = IpAddr::from(Ipv4Addr::UNSPECIFIED);
    let view = merged.view.clone();
    let text = query.to_string();
    let service = view.catalog().get("endpointcost").expect("offered");
    let parameters = Parameters {
        input: text.as_bytes(),
        client: nobody,
    };
    view.answer(service, parameters).expect("sound")
}

/// Returns the rendering of the whole cost map of a metric.
fn full(metric: &str) -> Rendering {
    let domains = [domain("a", 1, "b"), domain("b", 2, "a")];
    let domains: Vec<_> = domains.iter().map(Stated::domain).collect();
    let merged = merged_view(&domains, &MergePolicy::new(label("b")), None);
    let view = merged.view.clone();
    let path = format!("costmap-{metric}");
    let resource = view.catalog().get(&path).expect("offered");
    view.answer(resource, Parameters::none()).expect("sound")
}

/// Writes a whole answer; returns the text, how many cells were read, and how many one step read at
/// most.
fn written(mut rendering: Rendering) -> (String, u64, u64) {
    let (mut text, mut longest, mut more) = (Vec::new(), 0, true);
    while more {
        let before = rendering.cells_read();
        more = rendering.write_piece(&mut text);
        longest = longest.max(rendering.cells_read() - before);
    }
    let text = String::from_utf8(text).expect("text");
    (text, rendering.cells_read(), longest)
}

#[test]
fn a_row_counts_by_the_borders_that_it_goes_by() {
    // Each source begins a row of its own: 64 borders with 128.
    let steps = (BORDERS * 2 * BORDERS) as u64;
    for metric in ["routingcost", "hopcount"] {
        let rendering = asked(metric, 2000, BORDERS);
        let work = rendering.work();
        assert!(work.cells >= 2000 * (1 + steps / 16), "{metric}: {work:?}");
        let (text, read, longest) = written(rendering);
        assert_eq!(text.matches("10.2.0.7").count(), 2000, "{metric}");
        assert!(read <= work.cells, "{metric}: {read} of {work:?}");
        assert!(longest < 200_000, "{metric}: {longest} in one step");
    }
    let (_, read, _) = written(asked("routingcost", 2000, BORDERS));
    assert!(read >= 2000 * steps / 16, "what is done is what is counted");
}

#[test]
fn rows_of_one_pid_share_what_leads_on_from_it() {
    for metric in ["routingcost", "hopcount"] {
        let rendering = asked(metric, 32, 1);
        let work = rendering.work();
        assert!(work.cells < 32 * 10 + 1000, "{metric}: {work:?}");
        let (text, read, _) = written(rendering);
        assert_eq!(text.matches("10.2.0.7").count(), 32);
        assert!(read <= work.cells, "{metric}: {read} of {work:?}");
    }
}

#[test]
fn a_full_map_takes_what_it_is_expected_to_take() {
    for metric in ["routingcost", "hopcount"] {
        let rendering = full(metric);
        let work = rendering.work();
        // With `default` there is one PID more than borders. From each border it takes 64 × 128
        // steps to know the ways on, and 64 for each PID of the other domain; or, in a metric that
        // does not select ways, 64 for each border there.
        let borders = BORDERS as u64;
        let pids = 2 * borders + 1;
        let rows = 2 * borders * (borders * 2 * borders + borders * borders);
        let (_, read, _) = written(rendering);
        assert_eq!(read, pids * pids + rows / 16, "{metric}");
        assert!(read <= work.cells, "{metric}: {read} of {work:?}");
    }
}

#[test]
fn a_cost_in_a_metric_that_selects_no_ways_takes_the_pairs_of_borders() {
    // One PID to one address: the leads over each pair of borders, and then each border there.
    let borders = BORDERS as u64;
    let (_, read, _) = written(asked("hopcount", 1, 1));
    assert_eq!(read, 1 + (borders * borders + borders) / 16);
    let (_, read, _) = written(asked("routingcost", 1, 1));
    assert_eq!(read, 1 + (borders * 2 * borders + borders) / 16);
}

#[test]
fn over_other_ways_between_domains_a_query_may_take_other_work() {
    let domains = [domain("a", 1, "b"), domain("b", 2, "a")];
    let domains: Vec<_> = domains.iter().map(Stated::domain).collect();
    let view = || {
        let merged = merged_view(&domains, &MergePolicy::new(label("b")), None);
        merged.view.clone()
    };
    let (one, other) = (view(), view());
    assert!(one.is_as_large_as(&one));
    assert!(!one.is_as_large_as(&other));
}
