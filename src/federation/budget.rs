//! How much of other domains is kept: a budget for each peer, and one for all together.
//!
//! A peer is charged for everything that it passes, its own domain first and then those that it
//! relays, by label. What does not fit beside what goes before it is over. So the same domains
//! are refused in whatever order they come, and a peer's own domain is not the one that has to
//! go for what the peer relays.

use std::collections::BTreeMap;
use std::fmt;

use crate::compile::Interconnects;
use crate::ident::DomainLabel;
use crate::publish::View;

use super::archive::KEPT_MANIFESTS;
use super::refusal::Refusal;

/// What something takes, or may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes on the disk.
    pub disk: u64,
}

impl Amount {
    /// About what a domain takes: its view, links and manifest in memory; on the disk the
    /// documents of its last manifests (see `archive`), each as many bytes as those of the newest.
    pub(super) fn of(view: &View, links: &Interconnects, manifest: usize, documents: u64) -> Self {
        /// What a link takes, its costs included.
        const LINK: usize = 1024;
        /// A manifest is kept as text and as what it says.
        const FORMS: usize = 4;
        let memory = view.bytes_beside(None) + LINK * links.len() + FORMS * manifest;
        Self {
            memory: memory as u64,
            disk: documents
                .saturating_add(manifest as u64)
                .saturating_mul(KEPT_MANIFESTS as u64),
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            memory: self.memory.saturating_add(other.memory),
            disk: self.disk.saturating_add(other.disk),
        }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self {
            memory: self.memory.saturating_sub(other.memory),
            disk: self.disk.saturating_sub(other.disk),
        }
    }

    /// Of each the less.
    pub(super) fn least(self, other: Self) -> Self {
        Self {
            memory: self.memory.min(other.memory),
            disk: self.disk.min(other.disk),
        }
    }

    pub(super) fn is_within(self, limit: Self) -> bool {
        self.memory <= limit.memory && self.disk <= limit.disk
    }
}

/// What a peer passes of a domain.
#[derive(Debug, Clone)]
pub(super) struct Claim<'a> {
    pub(super) sender: &'a DomainLabel,
    pub(super) domain: &'a DomainLabel,
    /// What it would take.
    pub(super) offered: Amount,
    /// What the last version takes that was not over, where that is another one.
    pub(super) held: Option<Amount>,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is room for it.
    Taken,
    /// It is over, and the last version stays.
    Kept(Over),
    /// It is over, and there is no room for the last version either.
    Dropped(Over),
}

/// Why something is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Over {
    budget: Budget,
    /// What it takes of it,
    takes: u64,
    /// what is left of it,
    left: u64,
    /// and how much it is.
    limit: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Budget {
    Memory,
    Disk,
    MemoryOfAll,
    DiskOfAll,
}

impl From<Over> for Refusal {
    fn from(over: Over) -> Self {
        // There may be room for the same later.
        Refusal::Full(over.to_string())
    }
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, whose, key) = match self.budget {
            Budget::Memory => ("in memory", "the peer", "peer.import.max_memory"),
            Budget::Disk => ("on the disk", "the peer", "peer.import.max_disk"),
            Budget::MemoryOfAll => ("in memory", "all peers", "federation.max_memory"),
            Budget::DiskOfAll => ("on the disk", "all peers", "federation.max_disk"),
        };
        let mib = |bytes: u64| bytes.div_ceil(1024 * 1024);
        write!(
            f,
            "the domain would take {} MiB {what}, and of the {} MiB for what {whose} may pass {} \
             MiB are left beside what goes before it ({key})",
            mib(self.takes),
            mib(self.limit),
            self.left / (1024 * 1024),
        )
    }
}

/// What has been given out so far.
struct Spent<'a> {
    of: BTreeMap<&'a DomainLabel, Amount>,
    all: Amount,
}

impl Spent<'_> {
    fn fits(&self, claim: &Claim<'_>, amount: Amount, each: Amount, all: Amount) -> Option<Over> {
        let spent = self.of.get(claim.sender).copied().unwrap_or_default();
        let checks = [
            (Budget::Memory, amount.memory, spent.memory, each.memory),
            (Budget::Disk, amount.disk, spent.disk, each.disk),
            (
                Budget::MemoryOfAll,
                amount.memory,
                self.all.memory,
                all.memory,
            ),
            (Budget::DiskOfAll, amount.disk, self.all.disk, all.disk),
        ];
        let over = checks.into_iter().find(|(_, takes, spent, limit)| {
            spent.checked_add(*takes).is_none_or(|sum| sum > *limit)
        });
        over.map(|(budget, takes, spent, limit)| Over {
            budget,
            takes,
            left: limit.saturating_sub(spent),
            limit,
        })
    }
}

/// Judges what all peers pass, by what each may and what all may together. In the order of the
/// claims.
pub(super) fn judge(
    claims: &[Claim<'_>],
    each: impl Fn(&DomainLabel) -> Amount,
    all: Amount,
) -> Vec<Verdict> {
    let mut verdicts = vec![Verdict::Taken; claims.len()];
    let mut spent = Spent {
        of: BTreeMap::new(),
        all: Amount::default(),
    };
    for claim in claims {
        let of = spent.of.entry(claim.sender).or_default();
        *of = of.plus(claim.offered);
        spent.all = spent.all.plus(claim.offered);
    }
    let mut sums = spent.of.iter();
    if spent.all.is_within(all) && sums.all(|(sender, sum)| sum.is_within(each(sender))) {
        return verdicts;
    }
    spent.of.clear();
    spent.all = Amount::default();
    let mut order: Vec<usize> = (0..claims.len()).collect();
    order.sort_by_key(|&place| {
        let claim = &claims[place];
        (claim.domain != claim.sender, claim.domain, claim.sender)
    });
    for place in order {
        let claim = &claims[place];
        let limit = each(claim.sender);
        let (verdict, takes) = match spent.fits(claim, claim.offered, limit, all) {
            None => (Verdict::Taken, claim.offered),
            Some(over) => match claim.held {
                Some(held) if spent.fits(claim, held, limit, all).is_none() => {
                    (Verdict::Kept(over), held)
                }
                _ => (Verdict::Dropped(over), Amount::default()),
            },
        };
        let of = spent.of.entry(claim.sender).or_default();
        *of = of.plus(takes);
        spent.all = spent.all.plus(takes);
        verdicts[place] = verdict;
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::federation::testing::label;

    /// Who passes which domain, what it takes, and what the last version took.
    type Pass = ((u8, u8), (u64, u64), Option<(u64, u64)>);

    fn amount((memory, disk): (u64, u64)) -> Amount {
        Amount { memory, disk }
    }

    fn judged(passes: &[Pass], each: Amount, all: Amount) -> BTreeMap<(u8, u8), Verdict> {
        let name = |number: u8| label(&format!("isp-{number}"));
        let named: Vec<_> = passes
            .iter()
            .map(|((sender, domain), _, _)| (name(*sender), name(*domain)))
            .collect();
        let claims: Vec<_> = named
            .iter()
            .zip(passes)
            .map(|((sender, domain), (_, offered, held))| Claim {
                sender,
                domain,
                offered: amount(*offered),
                held: held.map(amount),
            })
            .collect();
        let verdicts = judge(&claims, |_| each, all);
        let names = passes.iter().map(|(name, _, _)| *name);
        names.zip(verdicts).collect()
    }

    fn kinds(verdicts: &BTreeMap<(u8, u8), Verdict>) -> Vec<(u8, u8, char)> {
        let kind = |verdict: &Verdict| match verdict {
            Verdict::Taken => 't',
            Verdict::Kept(_) => 'k',
            Verdict::Dropped(_) => 'd',
        };
        let all = verdicts.iter();
        all.map(|((a, b), verdict)| (*a, *b, kind(verdict)))
            .collect()
    }

    #[test]
    fn its_own_domain_goes_before_those_that_a_peer_relays() {
        let none = amount((0, 0));
        let each = amount((10, 100));
        let all = amount((100, 100));
        assert_eq!(judged(&[], none, none).len(), 0);
        // Its own comes last here, and its label is the last one too.
        let passes: Vec<Pass> = vec![
            ((9, 3), (5, 1), None),
            ((9, 1), (5, 1), None),
            ((9, 2), (5, 1), None),
            ((9, 9), (4, 1), None),
        ];
        let found = kinds(&judged(&passes, each, all));
        assert_eq!(found, [(9, 1, 't'), (9, 2, 'd'), (9, 3, 'd'), (9, 9, 't')]);
    }

    #[test]
    fn the_last_version_stays_where_the_new_one_is_over() {
        let passes: Vec<Pass> = vec![
            ((2, 2), (1, 1), None),
            ((2, 3), (50, 1), Some((6, 1))),
            ((2, 4), (5, 1), None),
        ];
        let found = judged(&passes, amount((10, 10)), amount((99, 99)));
        assert_eq!(kinds(&found), [(2, 2, 't'), (2, 3, 'k'), (2, 4, 'd')]);
        let Verdict::Kept(over) = found[&(2, 3)] else {
            panic!("{found:?}");
        };
        let refusal = Refusal::from(over);
        assert_eq!(refusal.code(), "limit");
        assert!(refusal.to_string().contains("peer.import.max_memory"));
    }

    #[test]
    fn all_peers_together_have_a_budget_of_their_own() {
        let passes: Vec<Pass> = vec![
            ((2, 2), (6, 1), None),
            ((3, 3), (6, 1), None),
            ((2, 1), (1, 1), None),
        ];
        let found = judged(&passes, amount((10, 10)), amount((10, 99)));
        assert_eq!(kinds(&found), [(2, 1, 't'), (2, 2, 't'), (3, 3, 'd')]);
        let Verdict::Dropped(over) = found[&(3, 3)] else {
            panic!("{found:?}");
        };
        assert!(over.to_string().contains("federation.max_memory"), "{over}");
        let found = judged(&passes, amount((10, 10)), amount((99, 2)));
        assert_eq!(kinds(&found), [(2, 1, 'd'), (2, 2, 't'), (3, 3, 't')]);
    }

    fn passes() -> impl Strategy<Value = Vec<Pass>> {
        let amount = || (0..12_u64, 0..12_u64);
        let held = proptest::option::of(amount());
        let pass = (amount(), held);
        let passes = proptest::collection::btree_map((1..5_u8, 1..9_u8), pass, 0..24);
        passes.prop_map(|passes| {
            let passes = passes.into_iter();
            passes
                .map(|(name, (offered, held))| (name, offered, held))
                .collect()
        })
    }

    proptest! {
        /// In whatever order they are looked at, the same are refused.
        #[test]
        fn what_is_refused_does_not_depend_on_the_order(
            passes in passes(), seed in any::<u64>(),
            each in (0..40_u64, 0..40_u64), all in (0..80_u64, 0..80_u64),
        ) {
            let (each, all) = (amount(each), amount(all));
            let expected = judged(&passes, each, all);
            let mut shuffled = passes.clone();
            let mut state = seed | 1;
            for place in (1..shuffled.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                shuffled.swap(place, (state >> 33) as usize % (place + 1));
            }
            prop_assert_eq!(judged(&shuffled, each, all), expected);
        }

        /// What is kept is within every budget, and nothing is refused that would have been
        /// within beside what goes before it.
        #[test]
        fn what_is_kept_is_within_every_budget(
            passes in passes(),
            each in (0..40_u64, 0..40_u64), all in (0..80_u64, 0..80_u64),
        ) {
            let (each, all) = (amount(each), amount(all));
            let verdicts = judged(&passes, each, all);
            let takes = |(name, offered, held): &Pass| match verdicts[name] {
                Verdict::Taken => amount(*offered),
                Verdict::Kept(_) => amount(held.expect("a last version")),
                Verdict::Dropped(_) => Amount::default(),
            };
            let sum = |passes: &mut dyn Iterator<Item = &Pass>| {
                passes.map(takes).fold(Amount::default(), Amount::plus)
            };
            prop_assert!(sum(&mut passes.iter()).is_within(all));
            let senders: BTreeSet<u8> = passes.iter().map(|((sender, _), _, _)| *sender).collect();
            for sender in senders {
                let mut of = passes.iter().filter(|((by, _), _, _)| *by == sender);
                prop_assert!(sum(&mut of).is_within(each));
            }
        }

        /// A refused domain that is refused stays so when a later one comes or grows: only what
        /// goes before it counts.
        #[test]
        fn what_goes_after_a_domain_does_not_change_what_becomes_of_it(
            passes in passes(), grown in (0..40_u64, 0..40_u64),
            each in (0..40_u64, 0..40_u64), all in (0..80_u64, 0..80_u64),
        ) {
            let (each, all) = (amount(each), amount(all));
            let before = judged(&passes, each, all);
            let rank = |(sender, domain): (u8, u8)| (sender != domain, domain, sender);
            let Some(last) = passes.iter().map(|(name, _, _)| *name).max_by_key(|n| rank(*n)) else {
                return Ok(());
            };
            let mut changed = passes.clone();
            for (name, offered, _) in &mut changed {
                if *name == last {
                    *offered = grown;
                }
            }
            let after = judged(&changed, each, all);
            for name in before.keys().filter(|name| **name != last) {
                prop_assert_eq!(before[name], after[name]);
            }
        }
    }
}
