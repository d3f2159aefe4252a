//! Compares parsing the documents that providers put with a serde visitor that reads every key
//! and value and keeps nothing.

use altofed::facts::{Document, DocumentPath};
use divan::Bencher;
use divan::counter::BytesCount;

use crate::data;

const PIDS: usize = 1000;

/// A cost map of 1,000 × 1,000.
#[divan::bench_group(sample_count = 20)]
mod cost_map {
    use super::*;

    #[divan::bench]
    fn into_the_matrix(bencher: Bencher) {
        let text = data::cost_document(PIDS);
        bencher
            .counter(BytesCount::of_slice(&text))
            .bench(|| data::cost_table(divan::black_box(&text)));
    }

    #[divan::bench]
    fn keeping_nothing(bencher: Bencher) {
        let text = data::cost_document(PIDS);
        bencher.counter(BytesCount::of_slice(&text)).bench(|| {
            serde_json::from_slice::<data::CostMap>(divan::black_box(&text)).expect("sound")
        });
    }
}

/// A network map of 1,000 PIDs and 512,000 prefixes.
#[divan::bench_group(sample_count = 20)]
mod network_map {
    use super::*;

    #[divan::bench]
    fn into_prefixes(bencher: Bencher) {
        let text = prefixes();
        bencher
            .counter(BytesCount::of_slice(&text))
            .bench(|| -> Document { data::read(&DocumentPath::Network, divan::black_box(&text)) });
    }

    #[divan::bench]
    fn keeping_nothing(bencher: Bencher) {
        let text = prefixes();
        bencher.counter(BytesCount::of_slice(&text)).bench(|| {
            let read = serde_json::from_slice::<data::NetworkMap<'_>>(divan::black_box(&text));
            read.expect("sound");
        });
    }

    fn prefixes() -> Vec<u8> {
        let member = |pid: usize| {
            let prefixes: Vec<String> = (0..512)
                .map(|n| {
                    let at = pid * 512 + n;
                    format!(
                        "\"{}.{}.{}.0/24\"",
                        10 + at / 65536,
                        at / 256 % 256,
                        at % 256
                    )
                })
                .collect();
            format!(
                "\"{}\":{{\"ipv4\":[{}]}}",
                data::name(pid),
                prefixes.join(",")
            )
        };
        let members: Vec<String> = (0..PIDS).map(member).collect();
        format!("{{\"network-map\":{{{}}}}}", members.join(",")).into_bytes()
    }
}
