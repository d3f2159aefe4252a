//! A domain that the merged view joins with others.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ident::{DomainLabel, PidName, Tag};
use crate::publish::View;

use crate::facts::Interconnects;

/// A domain, with all that it states.
#[derive(Debug, Clone)]
pub struct Domain {
    /// Its label.
    pub label: DomainLabel,
    /// Its view.
    pub view: Arc<View>,
    /// The PIDs of addresses outside of it: they say how it reaches them, and not that it holds
    /// them.
    pub off_net: Arc<BTreeSet<PidName>>,
    /// Whether it cannot say which PIDs these are, as a plain ALTO server. All that it states
    /// outside of its configured prefixes then is off-net, instead of refused.
    pub is_plain: bool,
    /// Its interconnects.
    pub interconnects: Arc<Interconnects>,
    /// The digest of all of it.
    pub digest: Tag,
}

impl Domain {
    /// Creates a domain whose PIDs are all on-net.
    pub fn new(
        label: DomainLabel,
        view: Arc<View>,
        interconnects: Arc<Interconnects>,
        digest: Tag,
    ) -> Self {
        Self {
            label,
            view,
            off_net: Arc::default(),
            is_plain: false,
            interconnects,
            digest,
        }
    }
}
