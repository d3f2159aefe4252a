//! Who may speak for which prefixes, and which addresses do not belong to the longest prefix over
//! them.
//!
//! One sweep goes over all prefixes in the order of their addresses, each after those around it.
//! What is around the current place is a stack: for each length of a prefix at most one mark, one
//! off-net prefix of ours, and a claim of each domain that may share the prefix.

use std::cmp::Reverse;

use ipnet::IpNet;

use crate::ident::{DomainLabel, Family};
use crate::paths::Place;

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

impl Claim {
    /// Returns the place of its PID, where the statement is one about the prefix of a PID.
    pub(super) fn pid(&self) -> Place {
        Place {
            domain: self.domain,
            pid: self.place,
        }
    }
}

/// Whether several domains may make statements about one prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// Only one may: it keeps the prefix.
    Keep,
    /// They may share it.
    Share,
}

/// All that a sweep goes over.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// What domains claim to hold.
    pub(super) on_net: Vec<Claim>,
    /// Our own off-net prefixes, which answer where nobody holds an address.
    pub(super) off_net: Vec<Claim>,
}

/// What is reported of a claim that is not refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept<'d> {
    /// The closest shorter prefix around it and the place of its domain, if that is another
    /// domain's and nothing says that the part of it is this domain's.
    pub(super) inside: Option<(IpNet, usize)>,
    /// The private space around it.
    pub(super) private: Option<Reason<'d>>,
    /// Whether it is another domain's, inside a prefix of ours or equal to one.
    pub(super) is_inside_ours: bool,
}

/// A mark whose addresses do not belong to the longest prefix over them.
#[derive(Debug)]
pub(super) struct Stand<'d> {
    pub(super) net: IpNet,
    /// The claims that the addresses belong to; empty if nobody holds them.
    pub(super) holders: Vec<Claim>,
    /// Our own off-net prefix that answers if nobody holds them.
    pub(super) outside: Option<Claim>,
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
    /// Our own off-net prefixes of which somebody holds every address.
    pub(super) held: Vec<Claim>,
}

/// Who holds the addresses of a prefix around the current place of the sweep, but for those of the
/// prefixes inside it that come after.
#[derive(Debug)]
struct Holding {
    net: IpNet,
    /// Whether a mark decided it, against the claims around.
    is_stand: bool,
    /// The claims that hold them. There is seldom more than one, which takes no allocation.
    first: Option<Claim>,
    more: Vec<Claim>,
}

impl Holding {
    fn claims(&self) -> impl Iterator<Item = Claim> {
        self.first.iter().chain(&self.more).copied()
    }
}

/// Judges claims, each after all those around it, and calls `tell` with the verdict on each:
/// whether its domain may make it. Each of `marks` must come after those around it.
pub(super) fn judge<'d>(
    domains: &[&'d Domain],
    policy: &MergePolicy,
    marks: &[Mark<'d>],
    claims: Claims,
    others: Others,
    mut tell: impl FnMut(Claim, Result<Kept<'d>, Reason<'d>>),
) -> Judged<'d> {
    let mut strength = vec![0; domains.len()];
    for (rank, place) in by_strength(domains, policy).into_iter().enumerate() {
        strength[place] = rank;
    }
    let Claims {
        mut on_net,
        mut off_net,
    } = claims;
    // The claims of one PID are sorted already, which a stable sort takes advantage of.
    on_net.sort_by_key(|claim| (claim.net, strength[claim.domain], claim.place));
    off_net.sort_by_key(|claim| claim.net);
    let mut sweep = Sweep {
        domains,
        policy,
        marks,
        entered: Vec::new(),
        holding: Vec::new(),
        outside: Vec::new(),
        judged: Judged::default(),
    };
    let mut next_mark = 0;
    let (mut on_net, mut off_net) = (
        on_net.into_iter().peekable(),
        off_net.into_iter().peekable(),
    );
    loop {
        let mark = marks.get(next_mark).map(|mark| (mark.net, Next::Mark));
        let claim = on_net.peek().map(|claim| (claim.net, Next::OnNet(*claim)));
        let outside = off_net
            .peek()
            .map(|claim| (claim.net, Next::OffNet(*claim)));
        // Of equal prefixes the first of these comes first.
        let next = [mark, claim, outside].into_iter().flatten();
        match next.min_by_key(|(net, _)| *net) {
            None => return sweep.judged,
            Some((_, Next::Mark)) => {
                sweep.enter(next_mark);
                next_mark += 1;
            }
            Some((_, Next::OnNet(claim))) => {
                on_net.next();
                let verdict = sweep.verdict(&claim);
                if verdict.is_ok() && others == Others::Keep {
                    sweep.keep(claim);
                }
                tell(claim, verdict);
            }
            Some((_, Next::OffNet(claim))) => {
                off_net.next();
                sweep.outside(claim);
            }
        }
    }
}

/// What a sweep comes to next.
#[derive(Debug, Clone, Copy)]
enum Next {
    Mark,
    OnNet(Claim),
    OffNet(Claim),
}

/// Returns the places of the domains, in the order in which the addresses of several belong to one
/// of them: that of the higher preference, then of the lower label. It is the same at every node
/// with the same preferences.
pub(super) fn by_preference(domains: &[&Domain], policy: &MergePolicy) -> Vec<usize> {
    let mut order: Vec<usize> = (0..domains.len()).collect();
    order.sort_by_key(|&place| {
        let label = &domains[place].label;
        (Reverse(policy.preference(label)), label)
    });
    order
}

/// Returns the places of the domains, in the order in which they win equal prefixes.
pub(super) fn by_strength(domains: &[&Domain], policy: &MergePolicy) -> Vec<usize> {
    let mut order = by_preference(domains, policy);
    order.sort_by_key(|&place| domains[place].label != policy.own);
    order
}

/// The state of the sweep. The stacks have what is around the current place, the closest last.
struct Sweep<'a, 'd> {
    domains: &'a [&'d Domain],
    policy: &'a MergePolicy,
    marks: &'a [Mark<'d>],
    /// The places of marks.
    entered: Vec<usize>,
    holding: Vec<Holding>,
    /// Our own off-net prefixes.
    outside: Vec<Claim>,
    judged: Judged<'d>,
}

impl<'d> Sweep<'_, 'd> {
    fn label(&self, domain: usize) -> &'d DomainLabel {
        &self.domains[domain].label
    }

    fn is_own(&self, domain: usize) -> bool {
        *self.label(domain) == self.policy.own
    }

    /// Pops what does not contain this prefix.
    fn leave(&mut self, net: &IpNet) {
        let marks = self.marks;
        leave(&mut self.entered, net, |place| marks[*place].net);
        leave(&mut self.holding, net, |holding| holding.net);
        leave(&mut self.outside, net, |claim| claim.net);
    }

    /// Iterates over the claims around the current place, the closest first.
    fn kept(&self) -> impl Iterator<Item = Claim> {
        let stated = self
            .holding
            .iter()
            .rev()
            .filter(|holding| !holding.is_stand);
        stated.flat_map(Holding::claims)
    }

    /// Iterates over the marks around the current place, the closest first.
    fn entered(&self) -> impl Iterator<Item = &Mark<'d>> {
        self.entered.iter().rev().map(|place| &self.marks[*place])
    }

    /// Pushes a claim that is not refused.
    fn keep(&mut self, claim: Claim) {
        let holding = match self.holding.pop_if(|holding| holding.net == claim.net) {
            Some(mut shared) if !shared.is_stand => {
                shared.more.push(claim);
                shared
            }
            // The claim may speak for the mark, and now decides who answers there.
            _ => Holding {
                net: claim.net,
                is_stand: false,
                first: Some(claim),
                more: Vec::new(),
            },
        };
        self.holding.push(holding);
        let stands = &mut self.judged.stands;
        stands.pop_if(|stand| stand.net == claim.net);
    }

    /// Pushes an off-net prefix of ours, which answers unless somebody holds all of it.
    fn outside(&mut self, claim: Claim) {
        self.leave(&claim.net);
        self.outside.push(claim);
        let holding = self.holding.last();
        if holding.is_some_and(|holding| holding.first.is_some()) {
            self.judged.held.push(claim);
        } else {
            let stands = &mut self.judged.stands;
            stands.pop_if(|stand| stand.net == claim.net);
        }
    }

    /// Pushes a mark, and decides which claims its addresses belong to.
    fn enter(&mut self, place: usize) {
        let marks = self.marks;
        let mark = &marks[place];
        self.leave(&mark.net);
        // Space reserved for nobody is decided as a whole.
        let decided = self.entered().any(Mark::is_closed);
        self.entered.push(place);
        match mark.whose {
            _ if decided => {}
            Whose::Anybodys(_) => {
                let others = self.kept().take_while(|claim| !self.is_own(claim.domain));
                let over: Vec<_> = others.map(|claim| (claim, mark.reason())).collect();
                self.judged.private.extend(over);
            }
            _ => self.cut_out(mark),
        }
    }

    /// Gives the addresses of a mark to the claims of the closest prefix that may have them, if
    /// claims that may not are as close or closer.
    fn cut_out(&mut self, mark: &Mark<'d>) {
        let holds =
            |claim: &Claim| self.is_own(claim.domain) || mark.allows(self.label(claim.domain));
        let stated = self
            .holding
            .iter()
            .rev()
            .filter(|holding| !holding.is_stand);
        let mut stated = stated.map(|holding| holding.claims().filter(holds).collect::<Vec<_>>());
        let holders = stated
            .find(|holders| !holders.is_empty())
            .unwrap_or_default();
        let answering = self.holding.last();
        let answering: Vec<_> = answering.map_or(Vec::new(), |last| last.claims().collect());
        if answering == holders {
            return;
        }
        let mut cut = Vec::new();
        for holding in self.holding.iter().rev() {
            cut.extend(holding.claims().filter(|claim| !holds(claim)));
            if holding.is_stand || holding.claims().any(|claim| holds(&claim)) {
                break;
            }
        }
        self.holding.push(Holding {
            net: mark.net,
            is_stand: true,
            first: holders.first().copied(),
            more: holders.get(1..).unwrap_or_default().to_vec(),
        });
        self.judged.stands.push(Stand {
            net: mark.net,
            outside: self.outside.last().copied().filter(|_| holders.is_empty()),
            holders,
            cut,
            why: mark.reason(),
        });
    }

    /// Judges a claim.
    fn verdict(&mut self, claim: &Claim) -> Result<Kept<'d>, Reason<'d>> {
        self.leave(&claim.net);
        let label = self.label(claim.domain);
        let theirs = self.entered().find(|mark| mark.is_theirs());
        if let Some(theirs) = theirs.filter(|mark| !mark.allows(label)) {
            return Err(theirs.reason());
        }
        let mut private = None;
        if !self.is_own(claim.domain) {
            if let Some(reason) = self.refused(claim) {
                return Err(reason);
            }
            let space = self.entered().find(|mark| mark.is_open());
            private = space.map(Mark::reason);
        }
        let around = self.kept().find(|around| around.net != claim.net);
        let other = around.filter(|around| around.domain != claim.domain);
        Ok(Kept {
            inside: other
                .filter(|_| !self.is_authorised(claim.domain))
                .map(|other| (other.net, other.domain)),
            private,
            is_inside_ours: !self.is_own(claim.domain)
                && self.kept().any(|around| self.is_own(around.domain)),
        })
    }

    /// Whether the policy says that what a domain may state is its own: it is our own domain, or
    /// has configured prefixes, outside of which it may state nothing.
    fn is_authorised(&self, domain: usize) -> bool {
        let policy = self.policy.domains.get(self.label(domain));
        self.is_own(domain) || policy.is_some_and(|policy| policy.prefixes.is_some())
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
        let is_authorised = self.is_authorised(claim.domain);
        let closed = |mark: &&Mark<'d>| mark.is_closed() && !(mark.is_ours() && is_authorised);
        if let Some(closed) = self.entered().find(closed) {
            return Some(closed.reason());
        }
        let configured = || {
            let marks = self.entered();
            marks.filter(|mark| matches!(mark.whose, Whose::Configured(_)))
        };
        if is_authorised {
            if !configured().any(|mark| mark.allows(label)) {
                return because(MergeConflictKind::OutsidePrefix, None);
            }
        } else if net.prefix_len() < shortest(Family::of(net.addr())) {
            return because(MergeConflictKind::ShortPrefix, None);
        } else if let Some(own) = self.kept().find(|kept| self.is_own(kept.domain)) {
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
        // Those that have an equal prefix in a configured block are all authorised, and share it.
        let equal = self.kept().find(|kept| kept.net == net);
        let equal = equal.filter(|_| !is_authorised)?;
        because(
            MergeConflictKind::EqualPrefix,
            Some(self.label(equal.domain)),
        )
    }
}

/// Pops from a stack what does not contain a prefix.
fn leave<T>(stack: &mut Vec<T>, net: &IpNet, of: impl Fn(&T) -> IpNet) {
    while stack.pop_if(|last| !of(last).contains(net)).is_some() {}
}
