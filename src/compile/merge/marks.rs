//! Addresses that policy, registries or our own facts reserve, and the reasons.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::api::conflict::MergeConflictKind;
use crate::ident::{DomainLabel, Family};

use super::policy::MergePolicy;
use super::space::{SPACES, Space, SpaceKind, shortest};

/// Addresses that are reserved: who may speak for them is decided.
#[derive(Debug, Clone)]
pub(super) struct Mark<'d> {
    pub(super) net: IpNet,
    pub(super) whose: Whose<'d>,
}

#[derive(Debug, Clone)]
pub(super) enum Whose<'d> {
    /// Our own domain: it states them.
    Ours(&'d DomainLabel),
    /// No domain except ours.
    Nobodys(&'static Space),
    /// Any domain; which ones do is only reported.
    Anybodys(&'static Space),
    /// The domains that they are configured for.
    Configured(Vec<&'d DomainLabel>),
    /// The domain whose word about them counts: the first of several that hold them, or one that
    /// holds them inside of what is ours.
    Theirs(&'d DomainLabel),
}

impl<'d> Mark<'d> {
    /// Marks addresses that our own domain states.
    pub(super) fn ours(net: IpNet, own: &'d DomainLabel) -> Self {
        Self {
            net,
            whose: Whose::Ours(own),
        }
    }

    /// Marks addresses about which the word of one of their holders counts.
    pub(super) fn theirs(net: IpNet, holder: &'d DomainLabel) -> Self {
        Self {
            net,
            whose: Whose::Theirs(holder),
        }
    }

    /// Returns whether it is decided whose word about them counts, even against ours.
    pub(super) fn is_theirs(&self) -> bool {
        matches!(self.whose, Whose::Theirs(_))
    }

    /// Returns whether our own domain states them.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self.whose, Whose::Ours(_))
    }

    /// Returns whether every domain may speak for them, and that is only reported.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.whose, Whose::Anybodys(_))
    }

    /// Returns whether only our own domain may speak for them, but for those that the policy says
    /// hold a part of what is ours.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.whose, Whose::Ours(_) | Whose::Nobodys(_))
    }

    /// Returns whether a domain other than ours may speak for them.
    pub(super) fn allows(&self, label: &DomainLabel) -> bool {
        match &self.whose {
            Whose::Ours(_) | Whose::Nobodys(_) => false,
            Whose::Anybodys(_) => true,
            Whose::Configured(owners) => owners.contains(&label),
            Whose::Theirs(holder) => *holder == label,
        }
    }

    /// Returns the reason for a domain that may not speak for them.
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
            Whose::Theirs(holder) => (MergeConflictKind::EqualPrefix, Some(*holder), ""),
        };
        Reason {
            kind,
            other,
            by: self.net,
            name,
        }
    }
}

/// Returns the marks that a policy and the registries make, each after those around it.
pub(super) fn marks(policy: &MergePolicy) -> Vec<Mark<'_>> {
    let mut configured: BTreeMap<IpNet, Vec<&DomainLabel>> = BTreeMap::new();
    for (label, domain) in &policy.domains {
        for net in domain.prefixes.iter().flatten() {
            let owners = configured.entry(net.trunc()).or_default();
            // Labels are in order, so if a domain has a block twice, its label was added last.
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
    // A stable sort: of equal marks, those of the registries come before the operator's.
    marks.sort_by_key(|mark| mark.net);
    marks
}

impl MergePolicy {
    /// Describes, for people, each block that is configured without effect: no domain except ours
    /// ever answers for it.
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

/// Why a domain may not speak for a prefix or for a part of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reason<'d> {
    pub(super) kind: MergeConflictKind,
    /// The domain that may.
    pub(super) other: Option<&'d DomainLabel>,
    /// The prefix that decides it.
    pub(super) by: IpNet,
    /// What the space is called, if the registries set it apart.
    pub(super) name: &'static str,
}

/// The outcome for a prefix that is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is not used.
    Dropped,
    /// A part of it is not used.
    Cut,
    /// It is used nevertheless.
    Taken,
}

impl Reason<'_> {
    /// Describes, for people, the outcome for a prefix and the reason.
    pub(super) fn detail(&self, fate: Fate) -> String {
        let by = self.by;
        let because = match self.kind {
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
