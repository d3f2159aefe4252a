//! The immutable set of all views that answers are served from.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::paths::Paths;

use super::name::ViewName;
use super::view::View;

/// All views at one moment. A request takes one snapshot, and so never sees two versions.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Counts the snapshots of this process, from 1.
    pub generation: u64,
    /// The revision of our own facts that it shows.
    pub revision: u64,
    /// The views by name. The view of our own domain is always there; the merged one may show an
    /// older revision.
    pub views: Arc<BTreeMap<ViewName, Arc<View>>>,
    /// The paths of the merged view that is among the views; none before the first merge.
    pub paths: Option<Arc<Paths>>,
}

impl Snapshot {
    /// The view with this name.
    pub fn view(&self, name: &ViewName) -> Option<&Arc<View>> {
        self.views.get(name)
    }

    /// The revision of our own facts that the merged view shows; none before the first merge.
    pub fn merged_revision(&self) -> Option<u64> {
        let merged = self.view(&ViewName::Merged)?;
        Some(merged.origin().serial)
    }
}
