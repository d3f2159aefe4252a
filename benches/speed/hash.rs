//! Compares making the canonical text of documents and its hash, which is their tag, with
//! hashing as many bytes.

use altofed::facts::{Document, DocumentPath};
use altofed::ident::Digest;
use divan::Bencher;
use divan::counter::BytesCount;

use crate::data;

const PIDS: usize = 1000;

#[divan::bench(sample_count = 20)]
fn network_map(bencher: Bencher) {
    tag(
        bencher,
        &data::read(&DocumentPath::Network, &data::network_document(PIDS)),
    );
}

#[divan::bench(sample_count = 20)]
fn cost_map(bencher: Bencher) {
    tag(
        bencher,
        &data::read(&data::routingcost(), &data::cost_document(PIDS)),
    );
}

#[divan::bench(sample_count = 20)]
fn as_many_bytes_as_the_cost_map(bencher: Bencher) {
    let text = data::cost_document(PIDS);
    bencher
        .counter(BytesCount::of_slice(&text))
        .bench(|| Digest::of(divan::black_box(&text)));
}

fn tag(bencher: Bencher, document: &Document) {
    let length = document.text().into_rows().concat().len();
    bencher
        .counter(BytesCount::new(length))
        .bench(|| document.text().tag().clone());
}
