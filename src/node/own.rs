//! Our domain, compiled.

use std::sync::Arc;

use crate::compile::{Compiled, domain_view};
use crate::federation::OwnDomain;
use crate::ingest::FactsAtRevision;
use crate::runtime::Clock;

/// Our domain as it was compiled last; the next compilation shares what did not change.
pub(super) struct OwnCompiled {
    pub(super) compiled: Compiled,
    /// What it was compiled from.
    pub(super) made_of: FactsAtRevision,
}

impl OwnCompiled {
    /// Compiles our domain. Shares what did not change with the former result.
    pub(super) fn compile(current: FactsAtRevision, clock: &Clock, former: Option<&Self>) -> Self {
        let FactsAtRevision {
            facts,
            union,
            policy,
        } = &current;
        // Neither a restart nor a change of policy makes the facts newer.
        let received = facts.accepted.unwrap_or_else(|| clock.wall());
        let former = former.map(|former| &former.compiled);
        let compiled = domain_view(facts, union, policy, received, former);
        Self {
            compiled,
            made_of: current,
        }
    }

    /// Returns what our domain states.
    pub(super) fn own(&self) -> OwnDomain {
        OwnDomain {
            view: self.compiled.view.clone(),
            off_net: self.compiled.off_net.clone(),
            interconnects: self.compiled.interconnects.clone(),
        }
    }

    /// Whether compiling `current` would give the same result.
    pub(super) fn is_of(&self, current: &FactsAtRevision) -> bool {
        Arc::ptr_eq(&self.made_of.facts, &current.facts) && self.made_of.policy == current.policy
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::facts::{Facts, Policy};
    use crate::ident::DomainLabel;

    fn policy(priority: i64) -> Policy {
        let source = "noc".parse().expect("a source");
        Policy {
            domain: DomainLabel::new("isp-a").expect("a label"),
            priorities: [(source, priority)].into(),
        }
    }

    #[test]
    fn our_domain_is_another_only_when_its_facts_or_their_policy_are() {
        let clock = Clock::system();
        let first = FactsAtRevision::new(Arc::new(Facts::default()), policy(0));
        let compiled = OwnCompiled::compile(first.clone(), &clock, None);
        assert!(compiled.is_of(&first.under(&policy(0))));
        let written = Facts {
            revision: 1,
            ..Facts::default()
        };
        for current in [
            first.under(&policy(1)),
            FactsAtRevision::new(Arc::new(written), policy(0)),
        ] {
            assert!(!compiled.is_of(&current));
            let other = OwnCompiled::compile(current.clone(), &clock, Some(&compiled));
            assert_eq!(other.own().view.origin().serial, current.facts.revision);
            assert!(other.is_of(&current));
        }
    }
}
