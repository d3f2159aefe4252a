//! Compares writing a cost map of 1,000 × 1,000 with formatting the same numbers by the same
//! function.

use altofed::net::write_number;
use divan::Bencher;
use divan::counter::ItemsCount;

use crate::data;

const PIDS: usize = 1000;

/// Writes it as a document of the network-to-server API.
#[divan::bench(sample_count = 20)]
fn cost_map(bencher: Bencher) {
    let table = data::cost_table(&data::cost_document(PIDS));
    let mut out = Vec::with_capacity(16 * PIDS * PIDS);
    bencher
        .counter(ItemsCount::new(PIDS * PIDS))
        .bench_local(|| {
            out.clear();
            table.write(&mut out);
            divan::black_box(out.len())
        });
}

/// Writes it as the response to a GET of the resource, with its digest.
#[divan::bench(sample_count = 20)]
fn rendered_cost_map(bencher: Bencher) {
    let view = data::view(&data::network_document(PIDS), &data::cost_document(PIDS));
    let resource = view.catalog().get("costmap-routingcost").expect("a map");
    bencher.counter(ItemsCount::new(PIDS * PIDS)).bench(|| {
        let rendering = view.rendering(resource).expect("a full map");
        rendering.finish(usize::MAX)
    });
}

#[divan::bench(sample_count = 20)]
fn numbers_alone(bencher: Bencher) {
    let table = data::cost_table(&data::cost_document(PIDS));
    let mut out = Vec::with_capacity(16 * PIDS * PIDS);
    bencher
        .counter(ItemsCount::new(PIDS * PIDS))
        .bench_local(|| {
            out.clear();
            for (_, cost) in table.rows().flat_map(|(_, row)| row.costs()) {
                assert!(write_number(&mut out, cost));
            }
            divan::black_box(out.len())
        });
}
