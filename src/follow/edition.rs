//! The edition to which followed answers are advanced.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::ident::DomainLabel;
use crate::publish::{Snapshot, View, ViewName};

/// All that can be followed, at one moment. Clones share it.
///
/// The server of a caller decides which parts of it the caller may have.
#[derive(Debug, Clone, Default)]
pub struct Edition {
    /// Counts the editions of this process, from 1.
    pub generation: u64,
    /// The views by name. The origin of the merged view has the revision of our own facts that
    /// it shows.
    pub views: Arc<BTreeMap<ViewName, Arc<View>>>,
    /// The document of each domain that is sent after the maps of its view, as JSON. Peers
    /// follow editions with documents, clients editions without.
    pub documents: Arc<BTreeMap<DomainLabel, Bytes>>,
}

impl Edition {
    /// Returns the view with this name.
    pub fn view(&self, name: &ViewName) -> Option<&Arc<View>> {
        self.views.get(name)
    }
}

impl From<Arc<Snapshot>> for Edition {
    fn from(snapshot: Arc<Snapshot>) -> Self {
        Self {
            generation: snapshot.generation,
            views: snapshot.views.clone(),
            documents: Arc::default(),
        }
    }
}
