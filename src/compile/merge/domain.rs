//! A domain that the merged view joins with others.

use std::sync::Arc;

use crate::ident::{DomainLabel, Tag};
use crate::publish::View;

use crate::facts::Interconnects;

/// A domain, with all that it states.
#[derive(Debug, Clone)]
pub struct Domain {
    /// Its label.
    pub label: DomainLabel,
    /// Its view.
    pub view: Arc<View>,
    /// Its interconnects.
    pub interconnects: Arc<Interconnects>,
    /// The digest of all of it.
    pub digest: Tag,
}
