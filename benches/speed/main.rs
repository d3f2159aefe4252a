//! Measures what nodes do most often: filtering, parsing, writing and hashing documents. Run it
//! with `cargo bench --bench speed`.
//!
//! With a command it is a part of `benches/side_by_side.sh`, which compares a running node with
//! other software and with lower bounds.

mod cells;
mod data;
mod federation;
mod filter;
mod floor;
mod graph;
mod hash;
mod hops;
mod hub;
mod merge;
mod naive;
mod pairs;
mod parse;
mod patch;
mod process;
mod sse;
mod stream;
mod streams;
mod table;
mod write;

use std::path::Path;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["cells"] => cells::run(),
        ["documents", pids, directory] => data::write_documents(pids, Path::new(directory)),
        ["federation", directory] => cells::write(Path::new(directory)),
        ["floor", directory] => floor::run(Path::new(directory)),
        ["graph"] => graph::run(),
        ["hops", from, to, token] => hops::run(from, to, token),
        ["hub", program, neighbours] => hub::run(program, neighbours),
        ["merge"] => merge::run(),
        ["naive", directory, address] => naive::serve(Path::new(directory), address),
        ["patch"] => patch::run(),
        ["parse", file] => pairs::visit(Path::new(file)),
        ["pairs", directory] => pairs::run(Path::new(directory)),
        ["sse", address] => sse::serve(address),
        ["streams", base, count] => streams::hold(base, count),
        ["change", base, token, node, directory] => {
            streams::change(base, token, node, Path::new(directory));
        }
        ["table", file] => table::print(Path::new(file)),
        _ => divan::main(),
    }
}
