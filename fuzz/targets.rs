//! What is fuzzed: every parser of outside bytes, with what must hold of
//! whatever it takes. Shared by the libFuzzer targets beside this file and by
//! the plain harness in the tests.

#[path = "delta.rs"]
mod delta;

use std::path::Path;

use altofed::alto::canonical::value_text;
use altofed::alto::cost::ReadCosts;
use altofed::alto::endpoint::ReadEndpointPropertyParams;
use altofed::alto::error::AltoError;
use altofed::alto::guard::JsonGuard;
use altofed::alto::ird::Directory;
use altofed::alto::json::{Faults, Tree, read};
use altofed::alto::meta::ReadResponse;
use altofed::alto::network::{ReadGroups, ReadNetworkMapFilter, write_groups};
use altofed::alto::patch::{changes, json_patch, merge_patch};
use altofed::alto::query::{CostCapabilities, ReadCostMapFilter, ReadEndpointCostParams};
use altofed::config::Config;
use altofed::facts::{DocumentPath, EditKind, Limits, Reader};
use altofed::ident::{DomainLabel, Family, MetricName, TypedAddress};
use altofed::ingest::{Change, OperationKind, read_operation, read_transaction};

/// Runs one target; its name is also that of its seeds' directory.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    target.expect("a target of this name").1(bytes);
}

/// A target: its name, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 11] = [
    ("alto_query", alto_query),
    ("network_map", network_map),
    ("cost_map", cost_map),
    ("directory", directory),
    ("document", document),
    ("patch", patch),
    ("transaction", transaction),
    ("applied_patch", applied_patch),
    ("names", names),
    ("configuration", configuration),
    ("delta", delta::delta),
];

/// Any fault makes an error that a client can be sent.
fn explain(faults: &Faults) {
    assert!(!faults.is_empty() && faults.listed().len() <= Faults::LIMIT);
    for fault in faults.listed() {
        let error = AltoError::from(fault);
        assert!(error.value.is_none() || error.field.is_some(), "{error:?}");
        let body: serde_json::Value = serde_json::from_slice(&error.body()).expect("JSON");
        assert!(body["meta"]["code"].is_string());
        assert!(fault.pointer().is_empty() || fault.pointer().starts_with('/'));
    }
}

/// The requests of the ALTO services.
fn alto_query(bytes: &[u8]) {
    let can = CostCapabilities {
        cost_types: Vec::new(),
        max_cost_types: 2,
    };
    match read(bytes, ReadCostMapFilter) {
        Ok(filter) => drop(filter.query.select(&can)),
        Err(faults) => explain(&faults),
    }
    match read(bytes, ReadEndpointCostParams) {
        Ok(params) => drop(params.query.select(&can)),
        Err(faults) => explain(&faults),
    }
    if let Err(faults) = read(bytes, ReadNetworkMapFilter) {
        explain(&faults);
    }
    if let Err(faults) = read(bytes, ReadEndpointPropertyParams) {
        explain(&faults);
    }
}

/// Network maps of other servers: what is read is written in one way, and
/// reads back as the same.
fn network_map(bytes: &[u8]) {
    let reader = |member| ReadResponse {
        member,
        data: ReadGroups::lenient(100_000),
    };
    match read(bytes, reader("network-map")) {
        Ok((_, groups)) => {
            let mut text = Vec::new();
            write_groups(&mut text, &groups, &Family::ALL);
            let again = read(&text, ReadGroups::lenient(100_000)).expect("our own text");
            assert_eq!(again, groups);
        }
        Err(faults) => explain(&faults),
    }
}

/// Cost maps of other servers: the same.
fn cost_map(bytes: &[u8]) {
    let metric = MetricName::new("delay-ow").expect("registered");
    let costs = || ReadCosts {
        check: metric.check(),
        max_name: 64,
        max_pids: 10_000,
        max_cells: 100_000,
    };
    let reader = ReadResponse {
        member: "cost-map",
        data: costs(),
    };
    match read(bytes, reader) {
        Ok((_, table)) => {
            let mut text = Vec::new();
            table.write(&mut text);
            let again = read(&text, costs()).expect("our own text");
            assert_eq!(again, table);
        }
        Err(faults) => explain(&faults),
    }
}

/// Directories of other servers: what is read is written and reads back.
fn directory(bytes: &[u8]) {
    if let Ok(directory) = serde_json::from_slice::<Directory>(bytes) {
        let text = serde_json::to_vec(&directory).expect("text");
        let again: Directory = serde_json::from_slice(&text).expect("our own text");
        assert_eq!(again, directory);
    }
}

const DOCUMENTS: [&str; 4] = [
    "network-map",
    "cost-maps/hopcount",
    "properties",
    "interconnects",
];

fn with_reader(take: impl Fn(Reader<'_>, DocumentPath)) {
    let domain = DomainLabel::new("isp-a").expect("a label");
    let limits = Limits {
        max_prefixes: 10_000,
        max_cells: 100_000,
        ..Limits::default()
    };
    for path in DOCUMENTS {
        let reader = Reader {
            domain: &domain,
            limits: &limits,
        };
        take(reader, DocumentPath::parse(path).expect("a path"));
    }
}

/// Documents of providers: their canonical text is canonical, has one tag, and
/// reads back as the same document.
fn document(bytes: &[u8]) {
    with_reader(|reader, path| {
        let put = |bytes: &[u8]| read_operation(reader, OperationKind::Put, path.clone(), bytes);
        match put(bytes) {
            Ok(operation) => {
                let Change::Put(document) = operation.change else {
                    panic!("a put")
                };
                let tag = document.text().tag().clone();
                // Written row by row it is the same.
                let text: Vec<u8> = document.rows().flatten().collect();
                assert_eq!(document.text().into_rows().concat(), text);
                let tree = read(&text, Tree).expect("our own text");
                assert_eq!(value_text(&tree).as_bytes(), text);
                let Change::Put(again) = put(&text).expect("our own text").change else {
                    panic!("a put")
                };
                assert_eq!(again.text().tag(), &tag);
            }
            Err(faults) => explain(&faults),
        }
    });
}

/// Merge patches, announcements and withdrawals.
fn patch(bytes: &[u8]) {
    let kinds = [
        OperationKind::Edit(EditKind::MergePatch),
        OperationKind::Edit(EditKind::Announce),
        OperationKind::Edit(EditKind::Withdraw),
    ];
    with_reader(|reader, path| {
        for kind in kinds {
            if let Err(faults) = read_operation(reader, kind, path.clone(), bytes) {
                explain(&faults);
            }
        }
    });
}

/// Transactions.
fn transaction(bytes: &[u8]) {
    with_reader(|reader, _| {
        if let Err(faults) = read_transaction(reader, bytes) {
            explain(&faults);
        }
    });
}

/// Patches of other servers, on the line after the document: a merge patch does
/// what RFC 7396 says, and after any patch there is JSON.
fn applied_patch(bytes: &[u8]) {
    let line = bytes.iter().position(|&byte| byte == b'\n');
    let (target, patch) = bytes.split_at(line.unwrap_or(bytes.len()));
    if let Ok(merged) = merge_patch(target, patch)
        && let (Ok(old), Ok(new)) = (read(target, Tree), read(patch, Tree))
    {
        let tree = read(&merged, Tree).expect("sound texts make a sound one");
        assert_eq!(tree, rfc_7396(old, &new));
        changes(target, &merged, |_, was, is| assert_ne!(was, is)).expect("sound");
    }
    if let Ok(patched) = json_patch(target, patch) {
        let tree = read(&patched, Tree).expect("our own text");
        assert_eq!(value_text(&tree).as_bytes(), patched);
    }
}

/// The pseudo-code of RFC 7396 §2.
fn rfc_7396(target: serde_json::Value, patch: &serde_json::Value) -> serde_json::Value {
    let serde_json::Value::Object(patch) = patch else {
        return patch.clone();
    };
    let mut target = match target {
        serde_json::Value::Object(members) => members,
        _ => serde_json::Map::new(),
    };
    for (name, value) in patch {
        let old = target.remove(name).unwrap_or_default();
        if !value.is_null() {
            target.insert(name.clone(), rfc_7396(old, value));
        }
    }
    target.into()
}

/// Names, addresses, and the guard of bodies, whatever chunks they come in.
fn names(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(address) = TypedAddress::parse(&text) {
        assert_eq!(TypedAddress::parse(&address.to_string()), Ok(address));
    }
    if let Ok(metric) = MetricName::new(&text) {
        assert!(metric.as_str().len() <= 32);
    }
    let mut whole = JsonGuard::new(4);
    let mut pieces = JsonGuard::new(4);
    let at_once = whole.feed(bytes).is_ok();
    let in_pieces = bytes
        .chunks(3)
        .try_for_each(|chunk| pieces.feed(chunk))
        .is_ok();
    assert_eq!(at_once, in_pieces);
}

/// The configuration: any text is taken or refused with its place.
fn configuration(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Err(error) = Config::parse(&text, Path::new("peers.toml")) {
        assert!(error.to_string().starts_with("peers.toml"), "{error}");
    }
}
