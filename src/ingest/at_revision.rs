//! The facts at a revision, joined.

use std::sync::Arc;

use crate::compile::NetworkUnion;
use crate::facts::{Facts, Policy};
use crate::ident::Tag;

/// The facts at a revision, with what every write and every compilation needs of them.
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
    /// Joins facts under a policy.
    pub fn new(facts: Arc<Facts>, policy: Policy) -> Self {
        Self {
            union: Arc::new(NetworkUnion::new(&facts, &policy)),
            facts,
            policy: Arc::new(policy),
        }
    }

    /// Returns the same facts joined under `policy`; shares everything if that is the same
    /// policy.
    pub fn under(&self, policy: &Policy) -> Self {
        if *self.policy == *policy {
            self.clone()
        } else {
            Self::new(self.facts.clone(), policy.clone())
        }
    }

    /// Returns the tag of the revision, for conditions on transactions.
    pub fn tag(&self) -> Tag {
        let text = format!("r{}", self.facts.revision);
        Tag::new(&text).expect("a letter and digits are a tag")
    }
}
