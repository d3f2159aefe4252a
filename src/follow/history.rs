//! The history of an answer: its versions, and the patches between them.
//!
//! It is the updates graph of RFC 9569 §3. Versions are numbered without gaps, and a patch leads
//! from each to the next. To every [`SPAN`]th version a shortcut leads over that many, and a
//! snapshot of it is kept. Old versions are forgotten up to a snapshot, so that the oldest
//! version is always available whole.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::alto::tips::Edge;
use crate::ident::Tag;
use crate::publish::Patch;

/// How many versions a shortcut leads over, and snapshots are apart.
const SPAN: u64 = 8;

/// How many snapshots are kept; each holds the data of its view.
const SNAPSHOTS: usize = 4;

/// The limits of what is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HistoryLimits {
    /// The most bytes of patches.
    pub(super) bytes: usize,
    /// How long a version is kept after the next one came.
    pub(super) age: Duration,
}

/// The versions of an answer. `S` is the snapshot that a whole answer is made from.
#[derive(Debug)]
pub struct History<S> {
    versions: VecDeque<Version<S>>,
    /// The bytes of all patches.
    bytes: usize,
    /// The length of the whole answer in bytes, as far as it is known.
    whole: usize,
}

#[derive(Debug)]
struct Version<S> {
    seq: u64,
    /// When the next version came.
    replaced: Option<Duration>,
    snapshot: Option<S>,
    tag: Arc<OnceLock<Tag>>,
    /// The patch from the version before; the first has none.
    patch: Option<Patch>,
    /// The patch from the version [`SPAN`] before.
    shortcut: Option<Patch>,
}

/// The content of an edge of the graph.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'h, S> {
    /// The whole answer, to be made from this.
    Whole(&'h S),
    /// The patch to it from another version.
    Patch(&'h Patch),
}

impl<S> History<S> {
    /// Creates a history of one version, with number 1. `whole` is the approximate length of the
    /// answer in bytes.
    pub fn new(snapshot: S, tag: Arc<OnceLock<Tag>>, whole: usize) -> Self {
        let first = Version {
            seq: 1,
            replaced: None,
            snapshot: Some(snapshot),
            tag,
            patch: None,
            shortcut: None,
        };
        Self {
            versions: [first].into(),
            bytes: 0,
            whole,
        }
    }

    /// Returns the number of the oldest version.
    pub fn start(&self) -> u64 {
        self.versions.front().map_or(0, |version| version.seq)
    }

    /// Returns the number of the newest version.
    pub fn end(&self) -> u64 {
        self.versions.back().map_or(0, |version| version.seq)
    }

    /// Returns what the newest version is made from.
    pub fn newest(&self) -> Option<&S> {
        self.versions.back()?.snapshot.as_ref()
    }

    /// Returns where the tag of the newest version is kept.
    pub fn newest_tag(&self) -> Option<&Arc<OnceLock<Tag>>> {
        self.versions.back().map(|version| &version.tag)
    }

    /// Replaces what the newest version is made from by an equal one.
    pub fn renew(&mut self, snapshot: S) {
        if let Some(newest) = self.versions.back_mut() {
            newest.snapshot = Some(snapshot);
        }
    }

    /// Returns the version from which the next one needs a shortcut, if it needs one.
    pub fn shortcut_from(&self) -> Option<&S> {
        let next = self.end() + 1;
        let from = next
            .checked_sub(SPAN)
            .filter(|_| next.is_multiple_of(SPAN))?;
        self.version(from)?.snapshot.as_ref()
    }

    /// Adds a version. `patch` leads to it from the newest version, `shortcut` from
    /// [`Self::shortcut_from`]; `now` is the time since any fixed moment.
    pub(super) fn push(
        &mut self,
        snapshot: S,
        tag: Arc<OnceLock<Tag>>,
        patch: Patch,
        shortcut: Option<Patch>,
        now: Duration,
        limits: HistoryLimits,
    ) {
        let seq = self.end() + 1;
        let start = self.start();
        if let Some(newest) = self.versions.back_mut() {
            newest.replaced = Some(now);
            if newest.seq != start && !newest.seq.is_multiple_of(SPAN) {
                newest.snapshot = None;
            }
        }
        let version = Version {
            seq,
            replaced: None,
            snapshot: Some(snapshot),
            tag,
            patch: Some(patch),
            shortcut,
        };
        self.bytes += version.bytes();
        self.versions.push_back(version);
        self.forget(now, limits);
    }

    /// Adds a version to which no patch leads: followers are sent it whole, and every version
    /// before is forgotten.
    pub fn restart(&mut self, snapshot: S, tag: Arc<OnceLock<Tag>>) {
        let seq = self.end() + 1;
        self.versions.clear();
        self.bytes = 0;
        self.versions.push_back(Version {
            seq,
            replaced: None,
            snapshot: Some(snapshot),
            tag,
            patch: None,
            shortcut: None,
        });
    }

    /// Forgets versions until the limits are kept.
    pub(super) fn forget(&mut self, now: Duration, limits: HistoryLimits) {
        loop {
            let snapshots = self.snapshots().count();
            let oldest = self.versions.front().and_then(|version| version.replaced);
            let over = snapshots > SNAPSHOTS
                || self.bytes() > limits.bytes
                || oldest.is_some_and(|replaced| now.saturating_sub(replaced) > limits.age);
            if !over || !self.forget_oldest() {
                return;
            }
        }
    }

    /// Forgets the oldest versions, up to the next that is kept whole. Returns whether there was
    /// one.
    pub fn forget_oldest(&mut self) -> bool {
        let mut kept = self.versions.iter().filter(|v| v.snapshot.is_some());
        let Some(next) = kept.nth(1).map(|version| version.seq) else {
            return false;
        };
        while self.start() < next {
            let oldest = self.versions.pop_front();
            self.bytes -= oldest.as_ref().map_or(0, Version::bytes);
        }
        // The patches to these versions start from versions that are forgotten.
        for version in self.versions.iter_mut().take(SPAN as usize) {
            self.bytes -= version.bytes();
            version.shortcut = None;
            version.patch = version.patch.take().filter(|_| version.seq > next);
            self.bytes += version.bytes();
        }
        true
    }

    /// Returns the snapshots that are kept, the oldest first.
    pub fn snapshots(&self) -> impl Iterator<Item = &S> {
        self.versions.iter().filter_map(|v| v.snapshot.as_ref())
    }

    /// Returns the bytes of all patches.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns about how many bytes of memory the history takes, not counting its snapshots.
    pub fn memory(&self) -> usize {
        /// The bytes that a version takes besides: its tag, and the overhead of each text.
        const AROUND: usize = 128;
        self.bytes + self.versions.len() * (size_of::<Version<S>>() + AROUND)
    }

    /// Notes the length of the whole answer, in bytes.
    pub fn note_whole(&mut self, length: usize) {
        self.whole = length;
    }

    /// Returns the content of an edge, if there is one. Only snapshots that remain when newer
    /// versions come count as edges.
    pub fn item(&self, edge: Edge) -> Option<Item<'_, S>> {
        let version = self.version(edge.seq_j)?;
        match edge.seq_i {
            0 => {
                let stays = version.seq == self.start() || version.seq.is_multiple_of(SPAN);
                let snapshot = version.snapshot.as_ref().filter(|_| stays);
                snapshot.map(Item::Whole)
            }
            from if from + 1 == version.seq => version.patch.as_ref().map(Item::Patch),
            from if from + SPAN == version.seq => version.shortcut.as_ref().map(Item::Patch),
            _ => None,
        }
    }

    /// Returns the version with a tag.
    pub fn tagged(&self, tag: &str) -> Option<u64> {
        let known = |version: &&Version<S>| version.tag.get().is_some_and(|t| t.as_str() == tag);
        self.versions.iter().rev().find(known).map(|v| v.seq)
    }

    /// Returns the first edge of the path to the newest version that takes the fewest bytes (RFC
    /// 9569 §7.4), from a version or from nothing. From the newest version it is the edge that
    /// will come next.
    pub fn first_edge(&self, from: Option<u64>) -> Edge {
        let from = from.filter(|from| (self.start()..=self.end()).contains(from));
        if from == Some(self.end()) {
            return Edge {
                seq_i: self.end(),
                seq_j: self.end() + 1,
            };
        }
        let least = self.least();
        let patches = from.and_then(|from| {
            let (bytes, seq_j) = self.onward(from, &least)?;
            Some((bytes, Edge { seq_i: from, seq_j }))
        });
        let snapshots = self
            .versions
            .iter()
            .zip(&least)
            .filter_map(|(version, rest)| {
                let edge = Edge {
                    seq_i: 0,
                    seq_j: version.seq,
                };
                self.item(edge)?;
                Some((self.whole.saturating_add(*rest), edge))
            });
        // Among equals a patch is preferred, then the newest snapshot.
        let ways = snapshots.rev().chain(patches).rev();
        ways.min_by_key(|(bytes, _)| *bytes)
            .map_or(Edge { seq_i: 0, seq_j: 0 }, |(_, edge)| edge)
    }

    /// Returns the next patch on the path from a version to the newest; none if the whole newest
    /// answer takes fewer bytes or the version is forgotten.
    pub fn next_patch(&self, from: u64) -> Option<(u64, &Patch)> {
        if from < self.start() {
            return None;
        }
        let (bytes, seq_j) = self.onward(from, &self.least())?;
        let edge = Edge { seq_i: from, seq_j };
        match self.item(edge)? {
            Item::Patch(patch) if bytes <= self.whole => Some((seq_j, patch)),
            _ => None,
        }
    }

    fn version(&self, seq: u64) -> Option<&Version<S>> {
        let place = seq.checked_sub(self.start())?;
        self.versions.get(usize::try_from(place).ok()?)
    }

    /// Returns the fewest bytes of patches from each version to the newest.
    fn least(&self) -> Vec<usize> {
        let mut least = vec![0; self.versions.len()];
        for place in (0..least.len().saturating_sub(1)).rev() {
            let way = self.onward(self.versions[place].seq, &least);
            least[place] = way.map_or(usize::MAX, |(bytes, _)| bytes);
        }
        least
    }

    /// Returns the bytes from a version to the newest, given those from all later ones, and the
    /// version that the first patch leads to. A shortcut is preferred among equals.
    fn onward(&self, from: u64, least: &[usize]) -> Option<(usize, u64)> {
        let ways = [SPAN, 1].into_iter().filter_map(|step| {
            let to = self.version(from + step)?;
            let patch = if step == 1 { &to.patch } else { &to.shortcut };
            let rest = least[usize::try_from(to.seq - self.start()).ok()?];
            Some((patch.as_ref()?.text.len().saturating_add(rest), to.seq))
        });
        ways.min_by_key(|(bytes, _)| *bytes)
    }
}

impl<S> Version<S> {
    fn bytes(&self) -> usize {
        let patches = [&self.patch, &self.shortcut].into_iter().flatten();
        patches.map(|patch| patch.text.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::Form;
    use bytes::Bytes;
    use proptest::prelude::*;

    const LIMITS: HistoryLimits = HistoryLimits {
        bytes: 1_000_000,
        age: Duration::from_secs(600),
    };

    fn patch(length: usize) -> Patch {
        Patch {
            form: Form::Merge,
            text: Bytes::from(vec![b' '; length]),
        }
    }

    fn tag(text: u64) -> Arc<OnceLock<Tag>> {
        Arc::new(OnceLock::from(
            Tag::new(&format!("t{text}")).expect("a tag"),
        ))
    }

    /// Makes a history of versions whose patches and shortcuts have these lengths; the snapshot
    /// of a version is its number.
    fn history(lengths: &[(usize, usize)], whole: usize, limits: HistoryLimits) -> History<u64> {
        let mut history = History::new(1, tag(1), whole);
        for (next, (length, shortcut)) in (2..).zip(lengths) {
            let from = history.shortcut_from().copied();
            let shortcut = from.map(|from| {
                assert_eq!(from + SPAN, next);
                patch(*shortcut)
            });
            let now = Duration::from_secs(next);
            history.push(next, tag(next), patch(*length), shortcut, now, limits);
        }
        history
    }

    fn edge(seq_i: u64, seq_j: u64) -> Edge {
        Edge { seq_i, seq_j }
    }

    #[test]
    fn the_newest_version_is_renewed_with_a_view_that_answers_the_same() {
        let mut history = history(&[(10, 10)], 1000, LIMITS);
        history.renew(7);
        assert_eq!((history.newest(), history.end()), (Some(&7), 2));
    }

    #[test]
    fn the_first_edge_is_of_the_way_with_the_fewest_bytes() {
        let history = history(&[(10, 30); 17], 100, LIMITS);
        assert_eq!((history.start(), history.end()), (1, 18));
        // 8 → 16 → 17 → 18 has 30 + 10 + 10, 8 → 9 → … has 100.
        assert_eq!(history.first_edge(Some(8)), edge(8, 16));
        assert_eq!(history.first_edge(Some(15)), edge(15, 16));
        assert_eq!(history.first_edge(Some(1)), edge(1, 2));
        assert_eq!(history.first_edge(Some(18)), edge(18, 19));
        // From nothing, or from an unknown version, it is the newest snapshot.
        assert_eq!(history.first_edge(None), edge(0, 16));
        assert_eq!(history.first_edge(Some(99)), edge(0, 16));
        assert_eq!(history.item(edge(0, 16)), Some(Item::Whole(&16)));
        assert_eq!(history.item(edge(0, 18)), None);
        assert_eq!(history.item(edge(8, 16)), Some(Item::Patch(&patch(30))));
        assert_eq!(history.item(edge(7, 9)), None);
        assert_eq!(history.tagged("t7"), Some(7));
        assert_eq!(history.tagged("t0"), None);
    }

    #[test]
    fn the_whole_answer_is_better_than_longer_patches() {
        let history = history(&[(60, 200); 3], 100, LIMITS);
        assert_eq!(history.next_patch(1), None);
        assert_eq!(history.next_patch(3), Some((4, &patch(60))));
        assert_eq!(history.next_patch(4), None);
        assert_eq!(history.first_edge(Some(3)), edge(3, 4));
    }

    #[test]
    fn what_is_older_than_the_limit_goes_when_a_snapshot_can_take_its_place() {
        let mut history = history(&[(1, 1); 9], 100, LIMITS);
        let (next, age) = (Duration::from_secs(700), Duration::from_secs(600));
        history.forget(next, HistoryLimits { age, ..LIMITS });
        assert_eq!((history.start(), history.end()), (10, 10));
        assert_eq!(history.item(edge(0, 10)), Some(Item::Whole(&10)));
        assert_eq!(history.item(edge(9, 10)), None);
    }

    #[test]
    fn a_version_without_a_patch_is_had_whole_and_what_was_before_is_forgotten() {
        let mut history = history(&[(1, 1); 9], 100, LIMITS);
        history.restart(11, tag(11));
        assert_eq!((history.start(), history.end()), (11, 11));
        assert_eq!((history.next_patch(10), history.bytes()), (None, 0));
        assert_eq!(history.first_edge(Some(10)), edge(0, 11));
        assert_eq!(history.item(edge(0, 11)), Some(Item::Whole(&11)));
        let now = Duration::from_secs(20);
        history.push(12, tag(12), patch(5), None, now, LIMITS);
        assert_eq!(history.next_patch(11), Some((12, &patch(5))));
        assert_eq!(history.tagged("t11"), Some(11));
    }

    proptest! {
        /// RFC 9569 §3.2: continuity, feasibility and right shift; and the limits.
        #[test]
        fn the_graph_stays_sound_and_bounded(
            lengths in proptest::collection::vec((0..40_usize, 0..60_usize), 0..80),
            whole in 0..200_usize,
            bytes in 0..300_usize,
        ) {
            let limits = HistoryLimits { bytes, ..LIMITS };
            let (mut start, mut end) = (1, 1);
            for count in 0..=lengths.len() {
                let history = history(&lengths[..count], whole, limits);
                prop_assert!(history.start() >= start && history.end() >= end);
                (start, end) = (history.start(), history.end());
                prop_assert_eq!(end, count as u64 + 1);
                prop_assert_eq!(history.item(edge(0, start)), Some(Item::Whole(&start)));
                for seq in start..end {
                    prop_assert!(history.item(edge(seq, seq + 1)).is_some());
                }
                prop_assert_eq!(history.item(edge(start.saturating_sub(1), start)).is_some(), start == 1);
                prop_assert_eq!(history.newest(), Some(&end));
                let held = history.versions.iter().filter(|v| v.snapshot.is_some()).count();
                prop_assert!(held <= SNAPSHOTS);
                let held: usize = history.versions.iter().map(Version::bytes).sum();
                prop_assert_eq!(held, history.bytes());
                prop_assert!(held <= bytes || start == end);
                // Every path that is recommended leads to the end.
                for from in std::iter::once(None).chain((start..=end).map(Some)) {
                    let mut at = history.first_edge(from);
                    while at.seq_j < end {
                        prop_assert!(history.item(at).is_some());
                        at = history.first_edge(Some(at.seq_j));
                    }
                    prop_assert!(at.seq_j == end || from == Some(end));
                }
            }
        }
    }
}
