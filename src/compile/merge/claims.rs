//! Who may speak for which prefixes, and which addresses do not belong to the longest prefix over
//! them.
//!
//! One sweep goes over all prefixes in the order of their addresses, each after those around it.
//! What is around the current place is a stack of at most two entries for each length of a prefix.

use std::cmp::Reverse;

use ipnet::IpNet;

use crate::ident::{DomainLabel, Family};

use super::domain::Domain;
use super::marks::{Mark, Reason, Whose};
use super::policy::MergePolicy;
use super::space::shortest;
use crate::api::conflict::MergeConflictKind;

/// A prefix that a domain makes a statement about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) net: IpNet,
    /// The place of the domain.
    pub(super) domain: usize,
    /// The place that the caller gave the statement.
    pub(super) place: usize,
}

/// Whether several domains may make statements about one prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// Only one may: it keeps the prefix.
    Keep,
    /// They may share it.
    Share,
}

/// What is reported of a claim that is not refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept<'d> {
    /// The closest prefix around it and the place of its domain, if that is another domain.
    pub(super) inside: Option<(IpNet, usize)>,
    /// The private space around it.
    pub(super) private: Option<Reason<'d>>,
}

/// A mark whose addresses do not belong to the longest prefix over them.
#[derive(Debug)]
pub(super) struct Stand<'d> {
    pub(super) net: IpNet,
    /// The claim that the addresses belong to; none if they belong to our own prefix of all
    /// addresses, or to nobody.
    pub(super) holder: Option<Claim>,
    /// The claims that the mark is cut out of.
    pub(super) cut: Vec<Claim>,
    pub(super) why: Reason<'d>,
}

/// The outcome of a sweep, besides the verdict on each claim.
#[derive(Debug, Default)]
pub(super) struct Judged<'d> {
    /// At most one for each mark, however much is claimed.
    pub(super) stands: Vec<Stand<'d>>,
    /// The claims around private space.
    pub(super) private: Vec<(Claim, Reason<'d>)>,
}

/// A mark or a claim that contains the current place of the sweep.
#[derive(Debug, Clone, Copy)]
enum Around {
    /// A mark, by its place.
    Mark(usize),
    /// A claim that is kept.
    Kept(Claim),
    /// The claim that the addresses of the mark before it belong to, instead of the claims around.
    Stands(Option<Claim>),
}

/// Judges claims, each after all those around it, and calls `tell` with the verdict on each:
/// whether its domain may make it. Each of `marks` must come after those around it.
pub(super) fn judge<'d>(
    domains: &[&'d Domain],
    policy: &MergePolicy,
    marks: &[Mark<'d>],
    mut claims: Vec<Claim>,
    others: Others,
    mut tell: impl FnMut(Claim, Result<Kept<'d>, Reason<'d>>),
) -> Judged<'d> {
    let mut strength = vec![0; domains.len()];
    for (rank, place) in by_strength(domains, policy).into_iter().enumerate() {
        strength[place] = rank;
    }
    // The claims of one PID are sorted already, which a stable sort takes advantage of.
    claims.sort_by_key(|claim| (claim.net, strength[claim.domain], claim.place));
    let mut sweep = Sweep {
        domains,
        policy,
        marks,
        around: Vec::new(),
        judged: Judged::default(),
    };
    let mut next = 0;
    for claim in claims {
        while marks.get(next).is_some_and(|mark| mark.net <= claim.net) {
            sweep.enter(next);
            next += 1;
        }
        let verdict = sweep.verdict(&claim);
        if verdict.is_ok() && others == Others::Keep {
            sweep.keep(claim);
        }
        tell(claim, verdict);
    }
    (next..marks.len()).for_each(|mark| sweep.enter(mark));
    sweep.judged
}

/// Returns the places of the domains, in the order in which they win equal prefixes.
pub(super) fn by_strength(domains: &[&Domain], policy: &MergePolicy) -> Vec<usize> {
    let mut order: Vec<usize> = (0..domains.len()).collect();
    order.sort_by_key(|&place| {
        let label = &domains[place].label;
        (
            *label != policy.own,
            Reverse(policy.preference(label)),
            label,
        )
    });
    order
}

/// The state of the sweep.
struct Sweep<'a, 'd> {
    domains: &'a [&'d Domain],
    policy: &'a MergePolicy,
    marks: &'a [Mark<'d>],
    around: Vec<(IpNet, Around)>,
    judged: Judged<'d>,
}

impl<'d> Sweep<'_, 'd> {
    fn label(&self, domain: usize) -> &'d DomainLabel {
        &self.domains[domain].label
    }

    fn is_own(&self, domain: usize) -> bool {
        *self.label(domain) == self.policy.own
    }

    /// Pops the marks and claims that do not contain this prefix.
    fn leave(&mut self, net: &IpNet) {
        while self
            .around
            .last()
            .is_some_and(|(outer, _)| !outer.contains(net))
        {
            self.around.pop();
        }
    }

    /// Iterates over the claims around the current place, the closest first.
    fn kept(&self) -> impl Iterator<Item = Claim> {
        let around = self.around.iter().rev();
        around.filter_map(|(_, around)| match around {
            Around::Kept(claim) => Some(*claim),
            _ => None,
        })
    }

    /// Iterates over the marks around the current place, the closest first.
    fn entered(&self) -> impl Iterator<Item = &Mark<'d>> {
        let around = self.around.iter().rev();
        around.filter_map(|(_, around)| match around {
            Around::Mark(place) => self.marks.get(*place),
            _ => None,
        })
    }

    /// Pushes a claim that is not refused.
    fn keep(&mut self, claim: Claim) {
        // A prefix of all addresses is no reason to refuse or to report anything.
        if claim.net.prefix_len() == 0 {
            return;
        }
        self.around.push((claim.net, Around::Kept(claim)));
        // This claim may speak for the mark, and now decides who answers there.
        let stands = &mut self.judged.stands;
        stands.pop_if(|stand| stand.net == claim.net);
    }

    /// Pushes a mark, and decides which claim its addresses belong to.
    fn enter(&mut self, place: usize) {
        let marks = self.marks;
        let mark = &marks[place];
        self.leave(&mark.net);
        // Our own prefixes and space reserved for nobody are each decided as a whole.
        let decided = self.entered().any(Mark::is_closed)
            || self.kept().any(|claim| self.is_own(claim.domain));
        self.around.push((mark.net, Around::Mark(place)));
        match mark.whose {
            _ if decided => {}
            Whose::Anybodys(_) => {
                let over: Vec<_> = self.kept().map(|c| (c, mark.reason())).collect();
                self.judged.private.extend(over);
            }
            _ => self.cut_out(mark),
        }
    }

    /// Gives the addresses of a mark to the closest claim that may have them, if a claim that may
    /// not is closer.
    fn cut_out(&mut self, mark: &Mark<'d>) {
        let holds = |claim: &Claim| mark.allows(self.label(claim.domain));
        let holder = self.kept().find(holds);
        let mut cut = Vec::new();
        let mut answering = None;
        for (_, around) in self.around.iter().rev() {
            let (claim, last) = match around {
                Around::Mark(_) => continue,
                Around::Kept(claim) => (Some(*claim), false),
                Around::Stands(claim) => (*claim, true),
            };
            answering = answering.or(Some(claim));
            cut.extend(claim.filter(|claim| !holds(claim)));
            if last {
                break;
            }
        }
        if answering.flatten() == holder {
            return;
        }
        let stand = Stand {
            net: mark.net,
            holder,
            cut,
            why: mark.reason(),
        };
        self.around.push((mark.net, Around::Stands(holder)));
        self.judged.stands.push(stand);
    }

    /// Judges a claim.
    fn verdict(&mut self, claim: &Claim) -> Result<Kept<'d>, Reason<'d>> {
        self.leave(&claim.net);
        let mut private = None;
        if !self.is_own(claim.domain) {
            if let Some(reason) = self.refused(claim) {
                return Err(reason);
            }
            let space = self.entered().find(|mark| mark.is_open());
            private = space.map(Mark::reason);
        }
        let closest = self.kept().next();
        let other = closest.filter(|closest| closest.domain != claim.domain);
        Ok(Kept {
            inside: other.map(|other| (other.net, other.domain)),
            private,
        })
    }

    /// Returns why a domain other than ours may not make a claim; `None` if it may.
    fn refused(&self, claim: &Claim) -> Option<Reason<'d>> {
        let label = self.label(claim.domain);
        let net = claim.net;
        let because = |kind, other| {
            Some(Reason {
                kind,
                other,
                by: net,
                name: "",
            })
        };
        if net.prefix_len() == 0 {
            return because(MergeConflictKind::DefaultPrefix, None);
        }
        if let Some(closed) = self.entered().find(|mark| mark.is_closed()) {
            return Some(closed.reason());
        }
        let configured = || {
            let marks = self.entered();
            marks.filter(|mark| matches!(mark.whose, Whose::Configured(_)))
        };
        let limited = self.policy.domains.get(label);
        if limited.is_some_and(|domain| domain.prefixes.is_some()) {
            if !configured().any(|mark| mark.allows(label)) {
                return because(MergeConflictKind::OutsidePrefix, None);
            }
        } else if net.prefix_len() < shortest(Family::of(net.addr())) {
            return because(MergeConflictKind::ShortPrefix, None);
        }
        let own = self.kept().find(|kept| self.is_own(kept.domain));
        if let Some(own) = own {
            let other = Some(self.label(own.domain));
            return Some(Reason {
                kind: MergeConflictKind::OwnPrefix,
                other,
                by: own.net,
                name: "",
            });
        }
        let block = configured().next();
        if let Some(block) = block.filter(|block| !block.allows(label)) {
            return Some(block.reason());
        }
        let equal = self.kept().find(|kept| kept.net == net)?;
        because(
            MergeConflictKind::EqualPrefix,
            Some(self.label(equal.domain)),
        )
    }
}
