//! Runs the fuzz targets for a while over their seeds, with a plain harness.

#[path = "../../fuzz/targets.rs"]
pub mod targets;

use std::fs;
use std::path::Path;

use targets::{TARGETS, run};

/// A generator of numbers that are the same in each run (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).expect("below a usize")
    }
}

/// Pieces of JSON, for inserting.
const WORDS: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"0.5",
    b"\"\"",
    b"\\u0000",
    b"\\ud800",
    b"\"ipv4\"",
    b"\"meta\"",
    b"{}",
    b"[]",
    b"9007199254740993",
    b"\xff",
    b"\xc3\xa9",
    b"/",
    b".",
];

fn mutate(numbers: &mut Numbers, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len() + 1);
        match numbers.below(7) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] = numbers.next().to_le_bytes()[0],
            2 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
            3 => drop(bytes.splice(at..at, WORDS[numbers.below(WORDS.len())].iter().copied())),
            4 => {
                let end = (at + numbers.below(40)).min(bytes.len());
                bytes.drain(at..end);
            }
            5 => {
                let end = (at + numbers.below(60)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => {
                let start = numbers.below(other.len());
                let end = (start + numbers.below(80)).min(other.len());
                bytes.splice(at..at, other[start..end].iter().copied());
            }
        }
    }
    bytes
}

#[test]
fn no_outside_bytes_break_a_parser() {
    let rounds = match std::env::var_os("ALTOFED_HEAVY") {
        Some(_) => 40_000,
        None => 5_000,
    };
    for (name, _) in TARGETS {
        // Two views are built, and all patches between them.
        let rounds = match name {
            "delta" => rounds / 10,
            _ => rounds,
        };
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/seeds")
            .join(name);
        let mut files: Vec<_> = fs::read_dir(&seeds)
            .expect("seeds")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        files.sort();
        let seeds: Vec<Vec<u8>> = files
            .iter()
            .map(|file| fs::read(file).expect("a seed"))
            .collect();
        assert!(!seeds.is_empty(), "{name} has no seed");
        seeds.iter().for_each(|seed| run(name, seed));
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        for round in 0..rounds {
            let (seed, other) = (numbers.below(seeds.len()), numbers.below(seeds.len()));
            let bytes = mutate(&mut numbers, &seeds[seed], &seeds[other]);
            let outcome = std::panic::catch_unwind(|| run(name, &bytes));
            let text = String::from_utf8_lossy(&bytes);
            assert!(
                outcome.is_ok(),
                "{name} round {round} of {:?}: {text:?}",
                files[seed]
            );
        }
    }
}
