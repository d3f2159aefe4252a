//! Judges whether a change may be taken at once.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::alto::network::AddressGroup;
use crate::facts::Interconnects;
use crate::ident::{MetricName, PidName};
use crate::net::{Matrix, PidIndex, Row};
use crate::publish::{Costs, View};

use super::settings::Thresholds;
use crate::api::difference::{CostsMoved, Difference, Lost};

/// What a domain or a source states at one time.
#[derive(Debug, Default)]
pub struct Stated<'a> {
    /// PIDs and their prefixes, by name.
    pub pids: Vec<(&'a PidName, &'a AddressGroup)>,
    /// Costs, by metric.
    pub costs: BTreeMap<&'a MetricName, Table<'a>>,
    /// Links to other domains; `None` if they are not compared.
    pub interconnects: Option<&'a Interconnects>,
}

/// Costs with the names of their rows and columns.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    /// The sources.
    pub srcs: &'a PidIndex,
    /// The destinations.
    pub dsts: &'a PidIndex,
    /// The costs.
    pub cells: &'a Matrix,
}

/// Whether a change may be taken at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Pass {
        /// Whether everything that was there is unchanged. What moves, however little, may move
        /// on.
        grows: bool,
    },
    /// It is to be held: it removes and moves this much.
    Held(Difference),
}

impl<'a> Stated<'a> {
    /// Collects what the view of one domain and its interconnects state. The costs of a merged
    /// view are left out, since nobody states them.
    pub fn by(view: &'a View, interconnects: &'a Interconnects) -> Self {
        let pids = view.network().pids();
        let costs = view.costs().iter().filter_map(|(metric, costs)| {
            let Costs::Dense(cells) = costs else {
                return None;
            };
            let table = Table {
                srcs: pids,
                dsts: pids,
                cells,
            };
            Some((metric, table))
        });
        Self {
            pids: view.network().groups().map(|(n, g)| (n, &**g)).collect(),
            costs: costs.collect(),
            interconnects: Some(interconnects),
        }
    }
}

/// Judges whether the change from `old` to `new` may be taken at once. Takes CPU time in
/// proportion to the size of both, and only for those costs that they do not share.
pub fn judge(old: &Stated<'_>, new: &Stated<'_>, thresholds: &Thresholds) -> Verdict {
    let (difference, moves) = difference(old, new, thresholds.max_change.factor);
    if difference.exceeds(thresholds) {
        Verdict::Held(difference)
    } else {
        Verdict::Pass {
            grows: difference.is_none() && !(moves && thresholds.judges_costs()),
        }
    }
}

/// Measures a change, and whether any cost differs.
fn difference(old: &Stated<'_>, new: &Stated<'_>, factor: f64) -> (Difference, bool) {
    let (pids, prefixes) = lost_space(old, new);
    let (interconnects, crossing) = crossings(old, new, factor);
    let costs = old.costs.keys();
    let costs: BTreeMap<_, _> = costs
        .map(|metric| ((*metric).clone(), moved(metric, old, new, factor)))
        .collect();
    let moves = costs.values().chain(crossing.values());
    let moves = moves.fold(false, |moves, moved| moves | moved.is_other);
    let counted = |moved: BTreeMap<MetricName, Moved>| {
        let counted = moved.into_iter().map(|(metric, it)| (metric, it.far));
        counted.filter(|(_, far)| far.is_any()).collect()
    };
    let difference = Difference {
        prefixes,
        pids,
        interconnects,
        costs: counted(costs),
        interconnect_costs: counted(crossing),
    };
    (difference, moves)
}

/// How the costs in one metric move.
#[derive(Default)]
struct Moved {
    /// How many of them move far.
    far: CostsMoved,
    /// Whether any differs, however little.
    is_other: bool,
}

/// Counts the PIDs and the prefixes that go.
fn lost_space(old: &Stated<'_>, new: &Stated<'_>) -> (Lost, Lost) {
    let covered = Covered::by(new.pids.iter().flat_map(|(_, group)| counted(group)));
    let (mut pids, mut prefixes) = (Lost::default(), Lost::default());
    for (name, before) in &old.pids {
        let now = new.pid(name);
        pids.of += 1;
        // A PID that had no prefix is there for its costs.
        let is_there = now.is_some_and(|now| before.is_empty() || !now.is_empty());
        pids.removed += usize::from(!is_there);
        prefixes.of += counted(before).count();
        if now.is_some_and(|now| std::ptr::eq(now, *before)) {
            continue;
        }
        let gone = counted(before).filter(|prefix| {
            let stays = now.is_some_and(|now| now.contains(prefix));
            !stays && !covered.covers(prefix)
        });
        prefixes.removed += gone.count();
    }
    (pids, prefixes)
}

impl Stated<'_> {
    fn pid(&self, name: &PidName) -> Option<&AddressGroup> {
        let place = self.pids.binary_search_by_key(&name, |(name, _)| name);
        place.ok().map(|place| self.pids[place].1)
    }
}

/// Returns the prefixes that count. Those of all addresses do not, since every map covers
/// everything by them (RFC 7285 §11.2.1.6).
fn counted(group: &AddressGroup) -> impl Iterator<Item = IpNet> + '_ {
    group.prefixes().filter(|prefix| prefix.prefix_len() > 0)
}

/// The addresses that prefixes cover: ranges of IPv4 and of IPv6 in order, none of which
/// touches another.
struct Covered([Vec<(u128, u128)>; 2]);

impl Covered {
    /// Returns the addresses that these prefixes cover.
    fn by(prefixes: impl Iterator<Item = IpNet>) -> Self {
        let mut ranges = [Vec::new(), Vec::new()];
        for prefix in prefixes {
            let (family, range) = range(&prefix);
            ranges[family].push(range);
        }
        Self(ranges.map(|mut ranges| {
            ranges.sort_unstable();
            ranges.dedup_by(|next, before| {
                let touches = next.0 <= before.1.saturating_add(1);
                if touches {
                    before.1 = before.1.max(next.1);
                }
                touches
            });
            ranges
        }))
    }

    /// Whether every address of a prefix is covered.
    fn covers(&self, prefix: &IpNet) -> bool {
        let (family, (first, last)) = range(prefix);
        let ranges = &self.0[family];
        let after = ranges.partition_point(|(begin, _)| *begin <= first);
        let before = after.checked_sub(1).and_then(|place| ranges.get(place));
        before.is_some_and(|(_, end)| last <= *end)
    }
}

/// Returns the family of a prefix, and its first and last address.
fn range(prefix: &IpNet) -> (usize, (u128, u128)) {
    match prefix {
        IpNet::V4(net) => {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            (0, (first.into(), last.into()))
        }
        IpNet::V6(net) => (1, (net.network().to_bits(), net.broadcast().to_bits())),
    }
}

/// Counts the interconnects that go, and how the costs of the others move.
fn crossings(
    old: &Stated<'_>,
    new: &Stated<'_>,
    factor: f64,
) -> (Lost, BTreeMap<MetricName, Moved>) {
    let mut lost = Lost::default();
    let mut moved: BTreeMap<MetricName, Moved> = BTreeMap::new();
    let (Some(old), Some(new)) = (old.interconnects, new.interconnects) else {
        lost.of = old.interconnects.map_or(0, BTreeMap::len);
        lost.removed = lost.of;
        return (lost, moved);
    };
    lost.of = old.len();
    for (id, before) in old {
        let Some(now) = new.get(id) else {
            lost.removed += 1;
            continue;
        };
        for (metric, cost) in &before.costs {
            let floor = floor(metric, [*cost].into_iter());
            let moved = moved.entry(metric.clone()).or_default();
            moved.count(*cost, now.costs.get(metric).copied(), floor, factor);
        }
    }
    (lost, moved)
}

/// Counts how the costs in a metric move between PIDs that stay.
fn moved(metric: &MetricName, was: &Stated<'_>, now: &Stated<'_>, factor: f64) -> Moved {
    let Some(old) = was.costs.get(metric) else {
        return Moved::default();
    };
    let new = now.costs.get(metric);
    let mut moved = Moved::default();
    let same = |a: &PidIndex, b: &PidIndex| std::ptr::eq(a, b) || a == b;
    let aligned = new.filter(|new| same(old.srcs, new.srcs) && same(old.dsts, new.dsts));
    if aligned.is_some_and(|new| std::ptr::eq(old.cells, new.cells)) {
        return moved;
    }
    let all = (0..old.cells.rows()).flat_map(|row| old.cells.row(row).costs());
    let floor = floor(metric, all.map(|(_, cost)| cost));
    // A PID that was not there before is not gone: another source may have it.
    let stays = |name: &PidName| now.pid(name).is_some() || was.pid(name).is_none();
    let places = |index: &PidIndex, names: &[PidName]| -> Vec<Option<usize>> {
        let place = |name: &PidName| index.get(name.as_str()).map(|place| place as usize);
        names.iter().map(place).collect()
    };
    let columns_stay: Vec<bool> = old.dsts.names().iter().map(stays).collect();
    let all_stay = columns_stay.iter().all(|stays| *stays);
    let (rows, columns) = match (aligned, new) {
        (None, Some(new)) => (
            places(new.srcs, old.srcs.names()),
            places(new.dsts, old.dsts.names()),
        ),
        _ => (Vec::new(), Vec::new()),
    };
    for (place, src) in old.srcs.names().iter().enumerate() {
        if !stays(src) {
            continue;
        }
        let before = old.cells.row(place);
        let after = match (aligned, new) {
            (Some(new), _) => Some(new.cells.row(place)),
            (None, Some(new)) => rows[place].map(|row| new.cells.row(row)),
            (None, None) => None,
        };
        if aligned.is_some() && all_stay && after.is_some_and(|after| after.shares(before)) {
            moved.far.of += before.count();
            continue;
        }
        let after = after.unwrap_or(Row::NONE);
        for (column, cost) in before.costs() {
            if !columns_stay[column] {
                continue;
            }
            let there = match aligned {
                Some(_) => Some(column),
                None => columns.get(column).copied().flatten(),
            };
            let is = there.and_then(|column| after.get(column));
            moved.count(cost, is, floor, factor);
        }
    }
    moved
}

impl Moved {
    fn count(&mut self, was: f64, is: Option<f64>, floor: f64, factor: f64) {
        self.far.of += 1;
        match is {
            None => self.far.removed += 1,
            Some(is) => {
                self.is_other |= is != was;
                let (was, is) = (was.max(floor), is.max(floor));
                let far = is / was >= factor || was / is >= factor;
                self.far.changed += usize::from(far);
            }
        }
    }
}

/// Returns the value that a smaller cost is taken for, so that 0 has a multiple too: 1, or the
/// least cost above 0 if that is less. Loss rates vary: below one percent they are taken as
/// equal.
fn floor(metric: &MetricName, costs: impl Iterator<Item = f64>) -> f64 {
    match metric.base() {
        "lossrate" => 1.0,
        _ => costs.filter(|cost| *cost > 0.0).fold(1.0, f64::min),
    }
}
