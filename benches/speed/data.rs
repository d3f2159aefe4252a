//! The documents and views that the benchmarks work on; they are always the same.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

use altofed::alto::cost::CostTable;
use altofed::compile::{Compiled, Domain, MergePolicy, domain_view, merged_view};
use altofed::facts::{Document, DocumentPath, Facts, Limits, Policy, Reader};
use altofed::ident::{DomainLabel, MetricName, SourceName};
use altofed::ingest::{FactsAtRevision, OperationKind};
use altofed::ingest::{apply, read_operation};
use altofed::publish::View;
use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Returns the domain of every document.
pub fn domain() -> DomainLabel {
    DomainLabel::new("isp-a").expect("a label")
}

/// Returns the path of the document that states costs.
pub fn routingcost() -> DocumentPath {
    DocumentPath::Costs(MetricName::routingcost())
}

/// Makes a network map of `pids` PIDs with one IPv4 and one IPv6 prefix each.
pub fn network_document(pids: usize) -> Vec<u8> {
    let member = |pid: usize| {
        let (high, low) = (pid / 256, pid % 256);
        format!(
            "\"{}\":{{\"ipv4\":[\"10.{high}.{low}.0/24\"],\"ipv6\":[\"2001:db8:{pid:x}::/48\"]}}",
            name(pid)
        )
    };
    let members: Vec<String> = (0..pids).map(member).collect();
    format!("{{\"network-map\":{{{}}}}}", members.join(",")).into_bytes()
}

/// Makes a full cost map over the same PIDs; costs have two decimals.
pub fn cost_document(pids: usize) -> Vec<u8> {
    costs(pids, |cost| cost)
}

/// Makes the same cost map with one cost in a hundred changed, at random.
pub fn changed_cost_document(pids: usize) -> Vec<u8> {
    let mut random = Random(11);
    costs(pids, |cost| match random.below(100) {
        0 => price(&mut random),
        _ => cost,
    })
}

fn costs(pids: usize, mut as_it_is: impl FnMut(f64) -> f64) -> Vec<u8> {
    let mut random = Random(7);
    let mut row = |src: usize| {
        let mut cell = |dst: usize| {
            let cost = as_it_is(price(&mut random));
            format!("\"{}\":{cost}", name(dst))
        };
        let cells: Vec<String> = (0..pids).map(&mut cell).collect();
        format!("\"{}\":{{{}}}", name(src), cells.join(","))
    };
    let rows: Vec<String> = (0..pids).map(&mut row).collect();
    format!("{{\"cost-map\":{{{}}}}}", rows.join(",")).into_bytes()
}

fn price(random: &mut Random) -> f64 {
    random.below(100_000) as f64 / 100.0
}

/// Returns the name of a PID.
pub fn name(pid: usize) -> String {
    format!("p{pid:04}")
}

/// Reads a document as the network-to-server API does.
pub fn read(path: &DocumentPath, bytes: &[u8]) -> Document {
    let limits = Limits::default();
    let domain = domain();
    let reader = Reader {
        domain: &domain,
        limits: &limits,
    };
    path.read(reader, Vec::new(), bytes)
        .expect("the document is sound")
}

/// Reads the costs of a cost map.
pub fn cost_table(bytes: &[u8]) -> Arc<CostTable> {
    match read(&routingcost(), bytes) {
        Document::Costs(table) => table,
        _ => unreachable!("a cost map is costs"),
    }
}

/// Returns the facts of a source that puts these documents.
pub fn facts(documents: &[(DocumentPath, &[u8])]) -> FactsAtRevision {
    let policy = Policy {
        domain: domain(),
        priorities: BTreeMap::new(),
    };
    let limits = Limits::default();
    let source = SourceName::new("noc").expect("a name");
    let domain = domain();
    let put = |(path, bytes): &(DocumentPath, &[u8])| {
        let reader = Reader {
            domain: &domain,
            limits: &limits,
        };
        read_operation(reader, OperationKind::Put, path.clone(), bytes).expect("a sound document")
    };
    let operations = documents.iter().map(put).collect();
    let nothing = FactsAtRevision::new(Arc::new(Facts::default()), policy);
    let applied = apply(&nothing, &limits, &source, operations);
    applied.unwrap_or_else(|faults| panic!("{faults}")).after
}

/// Compiles the view of the domain that has these facts.
pub fn compiled(current: &FactsAtRevision) -> Compiled {
    let FactsAtRevision {
        facts,
        union,
        policy,
    } = current;
    domain_view(facts, union, policy, Timestamp::UNIX_EPOCH, None)
}

/// Compiles the domain that states a network map and its costs.
pub fn compile(network: &[u8], costs: &[u8]) -> Compiled {
    let documents = [(DocumentPath::Network, network), (routingcost(), costs)];
    compiled(&facts(&documents))
}

/// Returns the view of the domain with a network map and its costs.
pub fn view(network: &[u8], costs: &[u8]) -> Arc<View> {
    compile(network, costs).view
}

/// Returns the merged view of a single domain.
pub fn merged(compiled: &Compiled) -> Arc<View> {
    let own = Domain::new(
        domain(),
        compiled.view.clone(),
        compiled.interconnects.clone(),
        compiled.digest.clone(),
    );
    merged_view(&[own], &MergePolicy::new(domain()), None).view
}

/// Reads an object with every key as `&str` and every value as `T`, and keeps nothing: the least
/// that serde can do for a document.
pub struct Members<T>(PhantomData<T>);

/// Reads an array in the same way.
pub struct Elements<T>(PhantomData<T>);

/// Reads a network map without keeping it.
pub type NetworkMap<'de> = Members<Members<Members<Elements<&'de str>>>>;

/// Reads a cost map without keeping it.
pub type CostMap = Members<Members<Members<f64>>>;

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Members<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(Self(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while let Some(member) = map.next_entry::<&str, T>()? {
            divan::black_box(&member);
        }
        Ok(self)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Elements<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_seq(Self(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while let Some(element) = seq.next_element::<T>()? {
            divan::black_box(&element);
        }
        Ok(self)
    }
}

/// SplitMix64, so that the data is the same on every machine.
pub struct Random(pub u64);

impl Random {
    /// Returns the next number below a bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = mixed ^ (mixed >> 31);
        ((u128::from(mixed) * u128::from(bound)) >> 64) as u64
    }
}

/// Writes `network-map.json` and `cost-map.json` with `pids` PIDs, and `changed-costs.json`, the
/// same costs with one in a hundred changed.
pub fn write_documents(pids: &str, directory: &Path) {
    let pids = pids.parse().expect("a number of PIDs");
    let write = |name, text| fs::write(directory.join(name), text).expect("a writable directory");
    write("network-map.json", network_document(pids));
    write("cost-map.json", cost_document(pids));
    write("changed-costs.json", changed_cost_document(pids));
}

/// Reads a file that `benches/prefixes.py` wrote.
pub fn file(directory: &Path, name: &str) -> Vec<u8> {
    let path = directory.join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
