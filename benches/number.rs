//! Compares writing ten thousand costs canonically with the bare crates that it is built on.
//!
//! `ryu_js` writes the same bytes. `zmij` does not (`1.0` for `1`); it is the lower bound.

use altofed::net::write_number;
use divan::Bencher;
use divan::counter::ItemsCount;
use std::hint::black_box;

const COSTS: usize = 10_000;

/// The decimals of the costs: from whole numbers to three decimals, below a thousand, and full
/// `f64`s.
const DECIMALS: [&str; 5] = ["0", "1", "2", "3", "all"];

fn main() {
    divan::main();
}

#[divan::bench(args = DECIMALS)]
fn canonical(bencher: Bencher, decimals: &str) {
    let costs = costs(decimals);
    let mut out = Vec::with_capacity(COSTS * 32);
    bencher.counter(ItemsCount::new(COSTS)).bench_local(|| {
        out.clear();
        for &cost in black_box(&costs) {
            assert!(write_number(&mut out, cost));
        }
        black_box(out.len())
    });
}

#[divan::bench(args = DECIMALS)]
fn ryu_js(bencher: Bencher, decimals: &str) {
    let costs = costs(decimals);
    let mut out = Vec::with_capacity(COSTS * 32);
    bencher.counter(ItemsCount::new(COSTS)).bench_local(|| {
        out.clear();
        for &cost in black_box(&costs) {
            out.extend_from_slice(ryu_js::Buffer::new().format_finite(cost).as_bytes());
        }
        black_box(out.len())
    });
}

#[divan::bench(args = DECIMALS)]
fn zmij(bencher: Bencher, decimals: &str) {
    let costs = costs(decimals);
    let mut out = Vec::with_capacity(COSTS * 32);
    bencher.counter(ItemsCount::new(COSTS)).bench_local(|| {
        out.clear();
        for &cost in black_box(&costs) {
            out.extend_from_slice(zmij::Buffer::new().format_finite(cost).as_bytes());
        }
        black_box(out.len())
    });
}

fn costs(decimals: &str) -> Vec<f64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..COSTS)
        .map(|_| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let unit = (state >> 11) as f64 / (1_u64 << 53) as f64;
            match decimals.parse::<i32>() {
                Ok(decimals) => {
                    let shift = 10_f64.powi(decimals);
                    (unit * 1000.0 * shift).round() / shift
                }
                Err(_) => unit * 1000.0,
            }
        })
        .collect()
}
