//! The facts at a revision, joined.

use std::sync::Arc;

use crate::compile::NetworkUnion;
use crate::facts::{Facts, Policy};
use crate::ident::Tag;

/// Facts, and what every write and compilation needs of them.
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
    /// The facts under a policy.
    pub fn new(facts: Arc<Facts>, policy: Policy) -> Self {
        Self {
            union: Arc::new(NetworkUnion::new(&facts, &policy)),
            facts,
            policy: Arc::new(policy),
        }
    }

    /// The same facts under another policy, if it is another.
    pub fn under(&self, policy: &Policy) -> Self {
        if *self.policy == *policy {
            self.clone()
        } else {
            Self::new(self.facts.clone(), policy.clone())
        }
    }

    /// The tag of the revision, for conditions on transactions.
    pub fn tag(&self) -> Tag {
        let text = format!("r{}", self.facts.revision);
        Tag::new(&text).expect("a letter and digits are a tag")
    }
}
