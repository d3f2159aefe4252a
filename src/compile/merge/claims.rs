//! Who may speak for which prefixes, and where addresses are somebody else's
//! than the longest prefix over them says.
//!
//! One sweep over all prefixes in the order of their addresses, each after those around it.
//! What stands around the sweep's place is a stack, of at most two entries for each length of
//! a prefix.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::ident::{DomainLabel, Family};

use super::domain::Domain;
use super::policy::MergePolicy;
use super::space::{SPACES, Space, SpaceKind, shortest};
use crate::api::conflict::MergeConflictKind;

/// A prefix that a domain says something about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) net: IpNet,
    /// The place of the domain.
    pub(super) domain: usize,
    /// What is said, for the caller.
    pub(super) place: usize,
}

/// Addresses about which something is decided, whoever states prefixes there.
#[derive(Debug, Clone)]
pub(super) struct Mark<'d> {
    pub(super) net: IpNet,
    whose: Whose<'d>,
}

#[derive(Debug, Clone)]
enum Whose<'d> {
    /// Ours, since we state it.
    Ours(&'d DomainLabel),
    /// No domain's but ours.
    Nobodys(&'static Space),
    /// Any domain's; it is only noted.
    Anybodys(&'static Space),
    /// That of the domains for which it is configured.
    Configured(Vec<&'d DomainLabel>),
}

impl<'d> Mark<'d> {
    /// Addresses that our own domain states.
    pub(super) fn ours(net: IpNet, own: &'d DomainLabel) -> Self {
        Self {
            net,
            whose: Whose::Ours(own),
        }
    }

    /// Whether it is only noted who speaks for it.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.whose, Whose::Anybodys(_))
    }

    /// Whether only our own domain may speak for it.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.whose, Whose::Ours(_) | Whose::Nobodys(_))
    }

    /// Whether a domain other than ours may speak for it.
    pub(super) fn allows(&self, label: &DomainLabel) -> bool {
        match &self.whose {
            Whose::Ours(_) | Whose::Nobodys(_) => false,
            Whose::Anybodys(_) => true,
            Whose::Configured(owners) => owners.contains(&label),
        }
    }

    /// Why a domain that it does not allow may not speak for it.
    pub(super) fn reason(&self) -> Reason<'d> {
        let (kind, other, name) = match &self.whose {
            Whose::Ours(own) => (MergeConflictKind::OwnPrefix, Some(*own), ""),
            Whose::Nobodys(space) | Whose::Anybodys(space) => {
                let kind = match space.kind {
                    SpaceKind::Special => MergeConflictKind::SpecialPrefix,
                    SpaceKind::Private => MergeConflictKind::PrivatePrefix,
                };
                (kind, None, space.name)
            }
            Whose::Configured(owners) => {
                let first = owners.first().copied();
                (MergeConflictKind::ForeignPrefix, first, "")
            }
        };
        Reason {
            kind,
            other,
            by: self.net,
            name,
        }
    }
}

/// The marks of a policy, each after those around it.
pub(super) fn marks(policy: &MergePolicy) -> Vec<Mark<'_>> {
    let mut configured: BTreeMap<IpNet, Vec<&DomainLabel>> = BTreeMap::new();
    for (label, domain) in &policy.domains {
        for net in domain.prefixes.iter().flatten() {
            let owners = configured.entry(net.trunc()).or_default();
            // Labels come in order, so that a block given twice is next to itself.
            if owners.last() != Some(&label) {
                owners.push(label);
            }
        }
    }
    let spaces = SPACES.iter().map(|space| Mark {
        net: space.net,
        whose: match space.kind {
            SpaceKind::Private if policy.private_prefixes => Whose::Anybodys(space),
            _ => Whose::Nobodys(space),
        },
    });
    let blocks = configured.into_iter().map(|(net, owners)| Mark {
        net,
        whose: Whose::Configured(owners),
    });
    let mut marks: Vec<Mark<'_>> = spaces.chain(blocks).collect();
    // A stable sort: of equal ones the registries' stand before the operator's.
    marks.sort_by_key(|mark| mark.net);
    marks
}

impl MergePolicy {
    /// Returns a text for people about each block that is configured to no effect: no domain but
    /// ours ever answers for it.
    pub fn warnings(&self) -> Vec<String> {
        let marks = marks(self);
        let mut idle = Vec::new();
        for (label, domain) in &self.domains {
            for block in domain.prefixes.iter().flatten() {
                let closed = marks
                    .iter()
                    .find(|mark| mark.is_closed() && mark.net.contains(block));
                if let Some(closed) = closed.filter(|_| *label != self.own) {
                    let because = closed.reason().detail(Fate::Dropped);
                    idle.push(format!(
                        "the prefix {block} of domain {label} is never taken: {because}"
                    ));
                }
            }
        }
        idle
    }
}

/// Why a domain may not speak for a prefix, or for a part of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reason<'d> {
    pub(super) kind: MergeConflictKind,
    /// The domain that may.
    pub(super) other: Option<&'d DomainLabel>,
    /// The prefix that says so.
    pub(super) by: IpNet,
    /// What the space is called, if it is one that is set apart.
    name: &'static str,
}

/// What became of a prefix that there is something to say about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It does not count.
    Dropped,
    /// A part of it does not count.
    Cut,
    /// It counts all the same.
    Taken,
}

impl Reason<'_> {
    /// What became of a prefix and why, for people.
    pub(super) fn detail(&self, fate: Fate) -> String {
        let by = self.by;
        let because = match self.kind {
            MergeConflictKind::DefaultPrefix => {
                "only our own domain may state the prefix of all addresses".to_owned()
            }
            MergeConflictKind::ShortPrefix => format!(
                "it is shorter than /{}, which needs configured prefixes of the domain",
                shortest(Family::of(by.addr()))
            ),
            MergeConflictKind::OutsidePrefix => {
                "it is inside none of the configured prefixes of the domain".to_owned()
            }
            MergeConflictKind::OwnPrefix => format!("our own domain states {by}"),
            MergeConflictKind::ForeignPrefix => {
                format!("{by} is configured for another domain")
            }
            MergeConflictKind::SpecialPrefix | MergeConflictKind::PrivatePrefix => {
                format!("{by} is {}", self.name)
            }
            _ => "the other domain keeps it, by preference and then by label".to_owned(),
        };
        match fate {
            Fate::Dropped => because,
            Fate::Cut => format!("{because}, and is cut out of it"),
            Fate::Taken => {
                format!("{because}: taken, unless [merge] private_prefixes = false")
            }
        }
    }
}

/// What becomes of the claims of other domains that are not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// Each keeps its prefix, so that no other has the same one.
    Keep,
    /// Several may say something about one prefix.
    Share,
}

/// What is to be known of a claim that is not refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept<'d> {
    /// The closest prefix of another domain that it is inside of, and that domain's place, if
    /// that is closer than any of its own.
    pub(super) inside: Option<(IpNet, usize)>,
    /// The private space that it is inside of.
    pub(super) private: Option<Reason<'d>>,
}

/// A mark in which the longest prefix over it is not what counts.
#[derive(Debug)]
pub(super) struct Stand<'d> {
    pub(super) net: IpNet,
    /// The claim that answers there; none but our own prefix of all addresses, or nothing, if
    /// absent.
    pub(super) holder: Option<Claim>,
    /// The claims that it is cut out of.
    pub(super) cut: Vec<Claim>,
    pub(super) why: Reason<'d>,
}

/// What became of prefixes beyond the verdict on each.
#[derive(Debug, Default)]
pub(super) struct Judged<'d> {
    /// At most one for each mark, whatever is claimed.
    pub(super) stands: Vec<Stand<'d>>,
    /// The claims that private space is inside of.
    pub(super) private: Vec<(Claim, Reason<'d>)>,
}

/// Something around the sweep's place.
#[derive(Debug, Clone, Copy)]
enum Around {
    /// A mark, by its place.
    Mark(usize),
    /// A claim that is kept.
    Kept(Claim),
    /// What counts in the mark before it, in place of the claims around.
    Stands(Option<Claim>),
}

/// Goes through claims, each after all those around it, and tells of each whether the domain may
/// make it. `marks` come each after those around it.
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
    // Those of one PID are sorted already, which a stable sort makes use of.
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

/// The places of domains in the order in which equal prefixes are theirs.
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

/// A place in the sweep.
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

    /// Forgets what is not around this prefix.
    fn leave(&mut self, net: &IpNet) {
        while self
            .around
            .last()
            .is_some_and(|(outer, _)| !outer.contains(net))
        {
            self.around.pop();
        }
    }

    /// The claims around, the closest first.
    fn kept(&self) -> impl Iterator<Item = Claim> {
        let around = self.around.iter().rev();
        around.filter_map(|(_, around)| match around {
            Around::Kept(claim) => Some(*claim),
            _ => None,
        })
    }

    /// The marks around, the closest first.
    fn entered(&self) -> impl Iterator<Item = &Mark<'d>> {
        let around = self.around.iter().rev();
        around.filter_map(|(_, around)| match around {
            Around::Mark(place) => self.marks.get(*place),
            _ => None,
        })
    }

    /// Keeps a claim.
    fn keep(&mut self, claim: Claim) {
        // What covers everything is no reason to refuse or to report anything.
        if claim.net.prefix_len() == 0 {
            return;
        }
        self.around.push((claim.net, Around::Kept(claim)));
        // Whoever may speak for a mark has said who answers there.
        let stands = &mut self.judged.stands;
        stands.pop_if(|stand| stand.net == claim.net);
    }

    /// Comes to a mark.
    fn enter(&mut self, place: usize) {
        let marks = self.marks;
        let mark = &marks[place];
        self.leave(&mark.net);
        // Our own prefixes and what is nobody's are decided about as a whole.
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

    /// Has a mark answered for by those who may, where a claim of others is closer.
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

    /// Why a domain other than ours may not make a claim, if so.
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
