//! Budgets for the domains of others: one for each peer, and one for all of them together.
//!
//! A peer is charged for everything that it passes on: its own domain first, then those that it
//! relays, by label. What does not fit beside what goes before it is over the budget. So the
//! same domains are refused in whatever order they come, and a peer's own domain is never
//! refused because of what it relays. Only what is here is charged, not what is over the budget.

use std::collections::BTreeMap;
use std::fmt;

use crate::federation::import_error::ImportError;
use crate::ident::DomainLabel;

use super::amount::Amount;

/// What a peer is charged for a domain that it passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::federation) struct Claim<'a> {
    pub(in crate::federation) sender: &'a DomainLabel,
    pub(in crate::federation) domain: &'a DomainLabel,
    pub(in crate::federation) takes: Amount,
}

impl Claim<'_> {
    /// Returns the rank of the claim; the lower one goes first: own domains, then those that are
    /// relayed, by label.
    fn rank(&self) -> impl Ord + '_ {
        (self.domain != self.sender, self.domain, self.sender)
    }
}

/// Why something is over a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::federation) struct Over {
    budget: Budget,
    /// How many bytes it would take.
    takes: u64,
    /// How many bytes of the budget are left.
    left: u64,
    /// How many bytes the budget has.
    limit: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Budget {
    Memory,
    Disk,
    MemoryOfAll,
    DiskOfAll,
}

impl Over {
    /// Whether it is over the budget of all peers together.
    pub(in crate::federation) fn is_of_all(&self) -> bool {
        matches!(self.budget, Budget::MemoryOfAll | Budget::DiskOfAll)
    }
}

impl From<Over> for ImportError {
    fn from(over: Over) -> Self {
        ImportError::Full(over.to_string())
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
            "the domain needs {} MiB {what}, but of the {} MiB for {whose} only {} MiB are left \
             after the domains that go before it ({key})",
            mib(self.takes),
            mib(self.limit),
            self.left / (1024 * 1024),
        )
    }
}

/// What has been charged so far.
#[derive(Default)]
struct Spent<'a> {
    of: BTreeMap<&'a DomainLabel, Amount>,
    all: Amount,
}

impl<'a> Spent<'a> {
    fn add(&mut self, claim: &Claim<'a>) {
        let of = self.of.entry(claim.sender).or_default();
        *of = of.plus(claim.takes);
        self.all = self.all.plus(claim.takes);
    }

    fn check(&self, claim: &Claim<'_>, each: Amount, all: Amount) -> Result<(), Over> {
        let spent = self.of.get(claim.sender).copied().unwrap_or_default();
        let takes = claim.takes;
        let checks = [
            (Budget::Memory, takes.memory, spent.memory, each.memory),
            (Budget::Disk, takes.disk, spent.disk, each.disk),
            (
                Budget::MemoryOfAll,
                takes.memory,
                self.all.memory,
                all.memory,
            ),
            (Budget::DiskOfAll, takes.disk, self.all.disk, all.disk),
        ];
        let over = checks.into_iter().find(|(_, takes, spent, limit)| {
            spent.checked_add(*takes).is_none_or(|sum| sum > *limit)
        });
        match over {
            None => Ok(()),
            Some((budget, takes, spent, limit)) => Err(Over {
                budget,
                takes,
                left: limit.saturating_sub(spent),
                limit,
            }),
        }
    }
}

/// Returns the claims that are over a budget, given those of each peer and of all together.
/// Claims that are over are not charged.
pub(in crate::federation) fn over<'a>(
    claims: impl IntoIterator<Item = Claim<'a>>,
    each: impl Fn(&DomainLabel) -> Amount,
    all: Amount,
) -> Vec<(Claim<'a>, Over)> {
    let mut claims: Vec<_> = claims.into_iter().collect();
    claims.sort_by(|a, b| a.rank().cmp(&b.rank()));
    let mut spent = Spent::default();
    let mut over = Vec::new();
    for claim in claims {
        match spent.check(&claim, each(claim.sender), all) {
            Ok(()) => spent.add(&claim),
            Err(why) => over.push((claim, why)),
        }
    }
    over
}

/// Returns the offers that would fit now beside the claims that go before them. Offers are not
/// charged, since they are not here yet.
pub(in crate::federation) fn fitting<'a>(
    offers: impl IntoIterator<Item = Claim<'a>>,
    claims: impl IntoIterator<Item = Claim<'a>>,
    each: impl Fn(&DomainLabel) -> Amount,
    all: Amount,
) -> Vec<Claim<'a>> {
    let offers = offers.into_iter().map(|claim| (claim, false));
    // What is here of the same domain makes room for the offer.
    let mut both: Vec<_> = offers
        .chain(claims.into_iter().map(|claim| (claim, true)))
        .collect();
    both.sort_by(|(a, is_there), (b, is_here)| (a.rank(), is_there).cmp(&(b.rank(), is_here)));
    let mut spent = Spent::default();
    let mut fitting = Vec::new();
    for (claim, is_there) in both {
        if is_there {
            spent.add(&claim);
        } else if spent.check(&claim, each(claim.sender), all).is_ok() {
            fitting.push(claim);
        }
    }
    fitting
}

/// Checks that one offer fits beside the claims that go before it. Looks at each claim once.
///
/// # Errors
/// It does not fit.
pub(in crate::federation) fn check<'a>(
    offer: &Claim<'a>,
    claims: impl IntoIterator<Item = Claim<'a>>,
    each: Amount,
    all: Amount,
) -> Result<(), Over> {
    let mut spent = Spent::default();
    for claim in claims {
        if claim.rank() < offer.rank() {
            spent.add(&claim);
        }
    }
    spent.check(offer, each, all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::federation::testing::{amount, amounts, label};

    /// Which peer passes on which domain, and what it takes.
    type Pass = ((u8, u8), Amount);

    /// Claims, each with the numbers of its peer and domain.
    struct Claims(Vec<((u8, u8), DomainLabel, DomainLabel, Amount)>);

    impl Claims {
        fn of(passes: &[Pass]) -> Self {
            let name = |number: u8| label(&format!("isp-{number}"));
            let claims = passes
                .iter()
                .map(|(of, takes)| (*of, name(of.0), name(of.1), *takes));
            Self(claims.collect())
        }

        fn iter(&self) -> impl Iterator<Item = Claim<'_>> {
            self.0.iter().map(|(_, sender, domain, takes)| Claim {
                sender,
                domain,
                takes: *takes,
            })
        }

        /// Returns the numbers of claims.
        fn names<'a>(&self, claims: impl IntoIterator<Item = Claim<'a>>) -> Vec<(u8, u8)> {
            let name = |claim: Claim<'_>| {
                let mut all = self.0.iter();
                let found = all.find(|(_, a, b, _)| a == claim.sender && b == claim.domain);
                found.expect("a pass").0
            };
            let mut names: Vec<_> = claims.into_iter().map(name).collect();
            names.sort_unstable();
            names
        }
    }

    fn judged(passes: &[Pass], each: Amount, all: Amount) -> Vec<(u8, u8)> {
        let claims = Claims::of(passes);
        let over = over(claims.iter(), |_| each, all);
        claims.names(over.into_iter().map(|(claim, _)| claim))
    }

    #[test]
    fn its_own_domain_goes_before_those_that_a_peer_relays() {
        let each = amount(10, 100);
        let all = amount(100, 100);
        assert!(judged(&[], each, all).is_empty());
        // Its own domain comes last here, and its label is the last one too.
        let passes: Vec<Pass> = vec![
            ((9, 3), amount(5, 1)),
            ((9, 1), amount(5, 1)),
            ((9, 2), amount(5, 1)),
            ((9, 9), amount(4, 1)),
        ];
        assert_eq!(judged(&passes, each, all), [(9, 2), (9, 3)]);
    }

    #[test]
    fn all_peers_together_have_a_budget_of_their_own() {
        let passes: Vec<Pass> = vec![
            ((2, 2), amount(6, 1)),
            ((3, 3), amount(6, 1)),
            ((2, 1), amount(1, 1)),
        ];
        let claims = Claims::of(&passes);
        let found = over(claims.iter(), |_| amount(10, 10), amount(10, 99));
        let refusal = ImportError::from(found[0].1);
        assert_eq!(
            claims.names(found.into_iter().map(|(claim, _)| claim)),
            [(3, 3)]
        );
        assert_eq!(refusal.code(), "limit");
        let text = refusal.to_string();
        assert!(text.contains("federation.max_memory"), "{text}");
        assert_eq!(judged(&passes, amount(10, 10), amount(99, 2)), [(2, 1)]);
    }

    fn passes() -> impl Strategy<Value = Vec<Pass>> {
        let passes = proptest::collection::btree_map((1..5_u8, 1..9_u8), amounts(12), 0..24);
        passes.prop_map(|passes| passes.into_iter().collect())
    }

    /// Returns the sum of what these domains take.
    fn sum<'a>(passes: impl Iterator<Item = &'a Pass>) -> Amount {
        passes.fold(Amount::default(), |sum, (_, takes)| sum.plus(*takes))
    }

    proptest! {
        /// The same claims are over, whatever their order.
        #[test]
        fn what_is_over_does_not_depend_on_the_order(
            passes in passes(), seed in any::<u64>(),
            each in amounts(40), all in amounts(80),
        ) {
            let expected = judged(&passes, each, all);
            let mut shuffled = passes.clone();
            let mut state = seed | 1;
            for place in (1..shuffled.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                shuffled.swap(place, (state >> 33) as usize % (place + 1));
            }
            prop_assert_eq!(judged(&shuffled, each, all), expected);
        }

        /// What stays is within every budget, and is everything if that is; nothing is over that
        /// would fit beside what goes before it.
        #[test]
        fn what_stays_is_within_every_budget_and_what_is_over_does_not_fit(
            passes in passes(),
            each in amounts(40), all in amounts(80),
        ) {
            let over = judged(&passes, each, all);
            let stays: Vec<Pass> = passes.iter().copied().filter(|(n, _)| !over.contains(n)).collect();
            prop_assert!(sum(stays.iter()).is_within(all));
            for sender in 1..5 {
                let of = stays.iter().filter(|((by, _), _)| *by == sender);
                prop_assert!(sum(of).is_within(each));
            }
            prop_assert!(judged(&stays, each, all).is_empty());
            let (offers, there) = (Claims::of(&passes), Claims::of(&stays));
            for (offer, (name, _)) in offers.iter().zip(&passes) {
                let fits = check(&offer, there.iter(), each, all).is_ok();
                prop_assert_eq!(fits, !over.contains(name));
            }
        }

        /// Each of many offers is judged as if it were the only one.
        #[test]
        fn what_fits_of_many_is_what_fits_of_each(
            there in passes(), offers in passes(),
            each in amounts(40), all in amounts(80),
        ) {
            let (there, offers) = (Claims::of(&there), Claims::of(&offers));
            let alone = offers.iter().filter(|it| check(it, there.iter(), each, all).is_ok());
            let alone = offers.names(alone);
            let found = fitting(offers.iter(), there.iter(), |_| each, all);
            prop_assert_eq!(offers.names(found), alone);
        }

        /// What becomes of a domain does not depend on one that comes or grows and goes after
        /// it.
        #[test]
        fn what_goes_after_a_domain_does_not_change_what_becomes_of_it(
            passes in passes(), grown in amounts(40),
            each in amounts(40), all in amounts(80),
        ) {
            let rank = |(sender, domain): (u8, u8)| (sender != domain, domain, sender);
            let Some(last) = passes.iter().map(|(name, _)| *name).max_by_key(|n| rank(*n)) else {
                return Ok(());
            };
            let mut changed = passes.clone();
            for (name, takes) in &mut changed {
                if *name == last {
                    *takes = grown;
                }
            }
            let but_the_last = |mut over: Vec<(u8, u8)>| {
                over.retain(|name| *name != last);
                over
            };
            let before = but_the_last(judged(&passes, each, all));
            prop_assert_eq!(but_the_last(judged(&changed, each, all)), before);
        }
    }
}
