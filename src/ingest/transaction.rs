//! A transaction: operations applied to the facts as they stand, all or none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::alto::cost::CostTable;
use crate::alto::json::{FaultKind, Faults, Step, Walk};
use crate::alto::network::{AddressGroup, Groups, note_duplicates, sort_all};
use crate::alto::property::{Entity, PropertyMap};
use crate::compile::NetworkUnion;
use crate::facts::{Facts, Interconnects, Policy, SourceFacts};
use crate::ident::{Family, PidName, SourceName};
use crate::net::PidIndex;

use super::document::{Document, DocumentPath};
use super::operation::{Change, Operation};
use super::read::{GroupPatch, Limits, Patch, Prefixes, Reader, interconnects_of};
use super::rows::Text;

/// What a transaction leads to.
pub struct Applied {
    /// The facts after it: at the next revision, or as they were if no
    /// document differs.
    pub after: FactsAtRevision,
    /// The documents that differ now, with their text; `None` for one that is
    /// gone.
    pub changed: Vec<(SourceName, DocumentPath, Option<Text>)>,
    /// Whether a document is there that was not before.
    pub created: bool,
    /// What the source should know, though nothing is wrong: of facts that are
    /// not used, and of the network map if the transaction touches it.
    pub warnings: Vec<String>,
}

/// Facts, and what every write and compilation needs of them.
#[derive(Clone)]
pub struct FactsAtRevision {
    /// The facts.
    pub facts: Arc<Facts>,
    /// The union of their network maps.
    pub union: Arc<NetworkUnion>,
    /// The policy by which they were joined.
    pub policy: Arc<Policy>,
}

impl FactsAtRevision {
    /// The facts under a policy.
    pub fn new(facts: Arc<Facts>, policy: Policy) -> Self {
        Self {
            union: Arc::new(NetworkUnion::new(&facts, &policy)),
            facts,
            policy: Arc::new(policy),
        }
    }

    /// The same facts under another policy, if it is another.
    pub fn under(&self, policy: &Policy) -> Self {
        match *self.policy == *policy {
            true => self.clone(),
            false => Self::new(self.facts.clone(), policy.clone()),
        }
    }
}

/// What documents a transaction replaces: by path, the new document or none.
pub type Replacements = BTreeMap<(SourceName, DocumentPath), Option<Document>>;

/// Applies the operations of a source, in order.
///
/// # Errors
/// All that is wrong; nothing changes then.
pub fn apply(
    current: &FactsAtRevision,
    limits: &Limits,
    source: &SourceName,
    operations: Vec<Operation>,
) -> Result<Applied, Faults> {
    let mut faults = Faults::default();
    let nothing = SourceFacts::default();
    let stated = current.facts.sources.get(source).unwrap_or(&nothing);
    let reader = Reader {
        domain: &current.policy.domain,
        limits,
    };
    let mut places: BTreeMap<DocumentPath, Vec<Step<'static>>> = BTreeMap::new();
    let mut replaced = Replacements::new();
    for Operation { path, change, at } in operations {
        let key = (source.clone(), path.clone());
        let before = match replaced.get(&key) {
            Some(earlier) => earlier.clone(),
            None => Document::of(stated, &path),
        };
        match changed(reader, &at, before, change) {
            Ok(document) => drop(replaced.insert(key, document)),
            Err(more) => faults.append(more),
        }
        places.insert(path, at);
    }
    faults.or(())?;
    replace(current, limits, replaced, Some(source), &places)
}

/// Has documents replaced, and checks what then stands. What `source` states
/// must not dangle; `places` says where its documents stand in the request.
///
/// # Errors
/// All that is wrong; nothing changes then.
pub fn replace(
    current: &FactsAtRevision,
    limits: &Limits,
    replaced: Replacements,
    source: Option<&SourceName>,
    places: &BTreeMap<DocumentPath, Vec<Step<'static>>>,
) -> Result<Applied, Faults> {
    let mut facts = Facts::clone(&current.facts);
    facts.revision += 1;
    let mut changed = Vec::new();
    let mut created = false;
    let of_network = replaced
        .keys()
        .any(|(_, path)| *path == DocumentPath::NetworkMap);
    for ((owner, path), document) in replaced {
        let stated = facts.sources.entry(owner.clone()).or_default();
        let former = Document::stated(stated, &path);
        let text = document.as_ref().map(Document::text);
        if former.as_ref().map(|(tag, _)| tag) == text.as_ref().map(Text::tag) {
            continue;
        }
        created |= former.is_none();
        let tagged = document.zip(text.as_ref().map(|text| text.tag().clone()));
        Document::state(stated, &path, tagged, facts.revision);
        changed.push((owner, path, text));
    }
    facts.sources.retain(|_, stated| !stated.is_empty());
    let network_changed = changed
        .iter()
        .any(|(_, path, _)| *path == DocumentPath::NetworkMap);
    let mut faults = Faults::default();
    let union = match network_changed {
        true => {
            let union = NetworkUnion::new(&facts, &current.policy);
            check_size(&union, limits, &mut faults);
            Arc::new(union)
        }
        false => current.union.clone(),
    };
    if let Some(own) = source.and_then(|source| facts.sources.get(source)) {
        let pids = (&**current.union.pids(), &**union.pids());
        check_dangling(own, pids, places, &mut faults);
    }
    faults.or(())?;
    let mut warnings = dangling_warnings(&facts, &union);
    if of_network {
        warnings.splice(0..0, network_warnings(&union));
    }
    if changed.is_empty() {
        facts.revision = current.facts.revision;
    }
    Ok(Applied {
        after: FactsAtRevision {
            facts: Arc::new(facts),
            union,
            policy: current.policy.clone(),
        },
        changed,
        created,
        warnings,
    })
}

/// The document after a change.
fn changed(
    reader: Reader<'_>,
    at: &[Step<'static>],
    current: Option<Document>,
    change: Change,
) -> Result<Option<Document>, Faults> {
    let mut walk = Walk::below(at.to_vec());
    let document = match change {
        Change::Put(document) => document,
        Change::Delete => {
            if current.is_none() {
                walk.fault(
                    FaultKind::Value(None),
                    "the source has no such document to delete",
                );
                return Err(walk.into_faults());
            }
            return Ok(None);
        }
        Change::Announce(prefixes) => {
            Document::Network(Arc::new(announced(&mut walk, groups(current), prefixes)))
        }
        Change::Withdraw(prefixes) => {
            Document::Network(Arc::new(withdrawn(&mut walk, groups(current), prefixes)))
        }
        Change::Patch(Patch::Network(patch)) => {
            Document::Network(Arc::new(patched_groups(&mut walk, groups(current), patch)))
        }
        Change::Patch(Patch::Costs(patch)) => {
            let table = match current {
                Some(Document::Costs(table)) => table,
                _ => Arc::new(CostTable::empty()),
            };
            let patched = table.patched(&patch);
            let (cells, limit) = (patched.len(), reader.limits.max_cells);
            if cells > limit {
                walk.fault(
                    FaultKind::Limit,
                    format!("{cells} costs; at most {limit} are taken (max_cells)"),
                );
            }
            Document::Costs(Arc::new(patched))
        }
        Change::Patch(Patch::Properties(patch)) => {
            let mut map = match current {
                Some(Document::Properties(map)) => PropertyMap::clone(&map),
                _ => PropertyMap::new(),
            };
            for (entity, change) in patch {
                let Some(change) = change else {
                    map.remove(&entity);
                    continue;
                };
                let set = map.entry(entity).or_default();
                for (name, value) in change {
                    match value {
                        Some(value) => {
                            let target = set.entry(name).or_default();
                            merge_patch(target, value);
                        }
                        None => drop(set.remove(&name)),
                    }
                }
            }
            if map.len() > reader.limits.max_entities {
                walk.fault(
                    FaultKind::Value(None),
                    format!("{} entities; the limit is max_entities", map.len()),
                );
            }
            Document::Properties(Arc::new(map))
        }
        Change::Patch(Patch::Interconnects(patch)) => {
            let mut tree = match current {
                Some(Document::Interconnects(links)) => {
                    serde_json::to_value(&*links).unwrap_or_default()
                }
                _ => serde_json::json!({}),
            };
            merge_patch(&mut tree, serde_json::Value::Object(patch));
            let mut inside = at.to_vec();
            inside.push(Step::Member("interconnects".into()));
            let links: Interconnects = interconnects_of(reader, inside, &tree)?;
            Document::Interconnects(Arc::new(links))
        }
    };
    walk.into_faults().or(Some(document))
}

fn groups(current: Option<Document>) -> Groups {
    match current {
        Some(Document::Network(groups)) => Groups::clone(&groups),
        _ => Groups::new(),
    }
}

/// The PID that holds each of these prefixes in a map.
fn owners(groups: &Groups, wanted: &Prefixes) -> BTreeMap<ipnet::IpNet, PidName> {
    let wanted: BTreeSet<_> = wanted.values().flatten().copied().collect();
    let held = groups.iter().flat_map(|(pid, group)| {
        let holds = |net: &&ipnet::IpNet| group.contains(net);
        wanted
            .iter()
            .filter(holds)
            .map(|net| (*net, pid.clone()))
            .collect::<Vec<_>>()
    });
    held.collect()
}

fn announced(walk: &mut Walk<'static>, mut groups: Groups, prefixes: Prefixes) -> Groups {
    let mut owners = owners(&groups, &prefixes);
    for (pid, list) in prefixes {
        let group = Arc::make_mut(groups.entry(pid.clone()).or_default());
        for (index, net) in list.into_iter().enumerate() {
            match owners.get(&net) {
                Some(owner) if *owner != pid => {
                    let detail = format!("{net} is in PID {owner}; withdraw it from there first");
                    note(walk, &pid, index, &net, detail);
                }
                Some(_) => {}
                None => {
                    group.insert(net);
                    owners.insert(net, pid.clone());
                }
            }
        }
    }
    groups
}

fn withdrawn(walk: &mut Walk<'static>, mut groups: Groups, prefixes: Prefixes) -> Groups {
    for (pid, list) in prefixes {
        let mut group = groups.get_mut(&pid).map(Arc::make_mut);
        for (index, net) in list.into_iter().enumerate() {
            if !group.as_mut().is_some_and(|group| group.remove(&net)) {
                note(
                    walk,
                    &pid,
                    index,
                    &net,
                    format!("{net} is not in PID {pid}"),
                );
            }
        }
    }
    groups
}

/// Notes a fault of a prefix in the value of `announce` or `withdraw`.
fn note(walk: &mut Walk<'static>, pid: &PidName, index: usize, net: &ipnet::IpNet, detail: String) {
    walk.step(Step::Member(pid.to_string().into()), |walk| {
        walk.step(Step::Element(index), |walk| {
            walk.invalid(&net.to_string(), detail)
        });
    });
}

fn patched_groups(
    walk: &mut Walk<'static>,
    mut groups: Groups,
    patch: BTreeMap<PidName, Option<GroupPatch>>,
) -> Groups {
    for (pid, change) in patch {
        let Some(change) = change else {
            groups.remove(&pid);
            continue;
        };
        let group = groups.entry(pid).or_default();
        let mut patched = AddressGroup::clone(group);
        if let Some(list) = change.ipv4 {
            patched.ipv4 = list.unwrap_or_default();
        }
        if let Some(list) = change.ipv6 {
            patched.ipv6 = list.unwrap_or_default();
        }
        *group = Arc::new(patched);
    }
    walk.step(
        Step::Member(DocumentPath::NetworkMap.member().into()),
        |walk| {
            note_duplicates(walk, &groups);
        },
    );
    sort_all(&mut groups);
    groups
}

/// RFC 7396 §2.
fn merge_patch(target: &mut serde_json::Value, patch: serde_json::Value) {
    let serde_json::Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = serde_json::json!({});
    }
    let Some(object) = target.as_object_mut() else {
        return;
    };
    for (name, change) in patch {
        if change.is_null() {
            object.remove(&name);
        } else {
            merge_patch(
                object.entry(name).or_insert(serde_json::Value::Null),
                change,
            );
        }
    }
}

fn check_size(union: &NetworkUnion, limits: &Limits, faults: &mut Faults) {
    let pids = union.pids().len();
    if pids > limits.max_pids {
        let detail = format!(
            "{pids} PIDs in all; at most {} are taken (max_pids)",
            limits.max_pids
        );
        faults.at(&["network-map"], detail);
    }
    let prefixes = union.prefix_count();
    if prefixes > limits.max_prefixes {
        let limit = limits.max_prefixes;
        let detail =
            format!("{prefixes} prefixes in all; at most {limit} are taken (max_prefixes)");
        faults.at(&["network-map"], detail);
    }
}

/// Notes what the source itself states about PIDs that no source has. What
/// dangled before in a document that this write does not touch is not its
/// fault: another source withdrew the PID, and the owner may mend its documents
/// one by one.
fn check_dangling(
    own: &SourceFacts,
    (before, pids): (&PidIndex, &PidIndex),
    places: &BTreeMap<DocumentPath, Vec<Step<'static>>>,
    faults: &mut Faults,
) {
    dangling(own, pids, |path, members, pid| {
        let (at, members, detail) = match places.get(&path) {
            Some(at) => (at, members, format!("no network map has PID {pid}")),
            None if before.get(pid.as_str()).is_none() => return,
            // It dangles because of what this write did to the network map, so
            // that is where the fault is.
            None => (
                places
                    .get(&DocumentPath::NetworkMap)
                    .unwrap_or(const { &Vec::new() }),
                &[][..],
                format!("{path} still names PID {pid}; change both in one transaction"),
            ),
        };
        let mut walk = Walk::below(at.clone());
        nest(&mut walk, members, detail);
        faults.append(walk.into_faults());
    });
}

/// Tells of each place where the source names a PID that is not among `pids`:
/// the document, the members that lead to the place, and the PID.
fn dangling(
    own: &SourceFacts,
    pids: &PidIndex,
    mut found: impl FnMut(DocumentPath, &[&str], &PidName),
) {
    let unknown = |pid: &PidName| pids.get(pid.as_str()).is_none();
    for (metric, stated) in &own.costs {
        let path = || DocumentPath::CostMap(metric.clone());
        let member = path().member();
        let table = &stated.body;
        for src in table.srcs.names().iter().filter(|src| unknown(src)) {
            found(path(), &[member, src.as_str()], src);
        }
        let dsts = table.dsts.names();
        let mut left: Vec<bool> = dsts.iter().map(unknown).collect();
        if !left.contains(&true) {
            continue;
        }
        for (src, row) in table.rows() {
            for (column, _) in row.costs() {
                if std::mem::take(&mut left[column]) {
                    let dst = &dsts[column];
                    found(path(), &[member, src.as_str(), dst.as_str()], dst);
                }
            }
        }
    }
    if let Some(stated) = &own.properties {
        for entity in stated.body.keys() {
            if let Entity::Pid(pid) = entity
                && unknown(pid)
            {
                let path = DocumentPath::Properties;
                let member = path.member();
                found(path, &[member, &entity.to_string()], pid);
            }
        }
    }
    if let Some(stated) = &own.interconnects {
        for (id, link) in stated.body.iter().filter(|(_, link)| unknown(&link.border)) {
            let path = DocumentPath::Interconnects;
            let member = path.member();
            found(path, &[member, id.as_str(), "border"], &link.border);
        }
    }
}

/// Notes a fault below some members.
fn nest(walk: &mut Walk<'static>, members: &[&str], detail: String) {
    match members {
        [] => walk.fault(FaultKind::Value(None), detail),
        [first, rest @ ..] => walk.step(Step::Member((*first).to_owned().into()), |walk| {
            nest(walk, rest, detail);
        }),
    }
}

fn network_warnings(union: &NetworkUnion) -> Vec<String> {
    let mut warnings: Vec<String> = union
        .uncovered()
        .map(|family| {
            let all = match family {
                Family::V4 => "0.0.0.0/0",
                Family::V6 => "::/0",
            };
            format!(
                "not every {family} address is in a PID: {all} is added to the PID \"default\" \
                 when the map is published (RFC 7285 section 11.2.1.6)"
            )
        })
        .collect();
    let prefixes = union.conflicts().total();
    if prefixes > 0 {
        warnings.push(format!(
            "{prefixes} prefixes are stated by two sources in different PIDs; see /n2s/v1/conflicts"
        ));
    }
    warnings
}

fn dangling_warnings(facts: &Facts, union: &NetworkUnion) -> Vec<String> {
    let mut warnings = Vec::new();
    for (source, stated) in &facts.sources {
        let mut missing = BTreeSet::new();
        dangling(stated, union.pids(), |_, _, pid| {
            missing.insert(pid.clone());
        });
        if let Some(first) = missing.first() {
            warnings.push(format!(
                "source {source} states facts about PIDs that are in no network map ({}, the first \
                 is {first}): those facts are kept and not used; see /n2s/v1/conflicts",
                missing.len()
            ));
        }
    }
    warnings
}
