//! What followed answers are brought to.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::ident::DomainLabel;
use crate::publish::{Snapshot, View, ViewName};

/// All that can be followed, at one moment. A clone shares it.
///
/// Which of it a caller may have is decided by who serves the caller.
#[derive(Debug, Clone, Default)]
pub struct Edition {
    /// Counts the editions of this process, from 1.
    pub generation: u64,
    /// The views by name. The origin of the merged one says which revision of our own facts it
    /// shows.
    pub views: Arc<BTreeMap<ViewName, Arc<View>>>,
    /// The document of each domain that is sent after the maps of its view, as JSON: what peers
    /// follow has them, what clients follow has none.
    pub documents: Arc<BTreeMap<DomainLabel, Bytes>>,
}

impl Edition {
    /// The view with this name.
    pub fn view(&self, name: &ViewName) -> Option<&Arc<View>> {
        self.views.get(name)
    }
}

impl From<Arc<Snapshot>> for Edition {
    fn from(snapshot: Arc<Snapshot>) -> Self {
        Self {
            generation: snapshot.generation,
            views: Arc::new(snapshot.views.clone()),
            documents: Arc::default(),
        }
    }
}
