//! A domain as it is joined with others.

use std::sync::Arc;

use crate::ident::{DomainLabel, Tag};
use crate::publish::View;

use crate::facts::Interconnects;

/// What one domain states.
#[derive(Debug, Clone)]
pub struct Domain {
    /// Its label.
    pub label: DomainLabel,
    /// Its view.
    pub view: Arc<View>,
    /// Its links to other domains.
    pub interconnects: Arc<Interconnects>,
    /// The digest of all of it.
    pub digest: Tag,
}
