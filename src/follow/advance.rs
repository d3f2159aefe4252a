//! Advances answers from one edition to the next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::ident::Tag;
use crate::publish::{Change, Patch, PushOffer, Query, QueryError, Service, View};

use super::cells::cells_of;
use super::settings::Settings;

/// An answer that is to be advanced to another edition.
pub(super) struct Outdated {
    pub(super) old: Arc<View>,
    pub(super) new: Option<Arc<View>>,
    pub(super) shortcut_from: Option<Arc<View>>,
    pub(super) query: Arc<Query>,
    /// How many cells it counts for.
    pub(super) cells: u64,
}

/// The result of advancing an answer to the next edition.
pub(super) enum Advance {
    Same(Arc<View>),
    Changed {
        view: Arc<View>,
        patch: Patch,
        shortcut: Option<Patch>,
    },
    /// So much changed that the answer is sent whole.
    Replaced(Arc<View>),
    Ended(String),
}

/// The terms on which answers are advanced.
pub(super) struct Terms {
    pub(super) offer: PushOffer,
    pub(super) settings: Settings,
    /// How many bytes of patches may still be made.
    pub(super) left: Arc<AtomicUsize>,
}

impl Outdated {
    /// Returns how many cells the answer counts for in the new view.
    pub(super) fn cells_now(&self) -> u64 {
        match &self.new {
            Some(new) if self.cells > 0 && !new.is_as_large_as(&self.old) => {
                let rendering = self.query.rendering(new);
                rendering.map_or(self.cells, |rendering| {
                    cells_of(&self.query, &rendering.work())
                })
            }
            _ => self.cells,
        }
    }

    /// Advances the answer to the new view.
    pub(super) fn advance(self, terms: &Terms) -> Advance {
        let Some(view) = self.new else {
            return Advance::Ended(format!("there is no view {} any more", self.old.name()));
        };
        let Ok(resource) = self.query.resource(&view) else {
            return Advance::Ended(QueryError::Gone.to_string());
        };
        if !terms.offer.has(&view, resource) {
            return Advance::Ended(
                "the map has grown too large to be followed; follow a filtered one".into(),
            );
        }
        let Some(signature) = resource.signature() else {
            return Advance::Ended(QueryError::Gone.to_string());
        };
        let forms = terms.offer.forms(signature);
        let changes = |from: &Arc<View>| {
            let most = terms.left.load(Ordering::Relaxed);
            let most = most.min(terms.settings.history_bytes);
            let change = self.query.changes(from, &view, &forms, most);
            if let Ok(Change::Patch(patch)) = &change {
                let length = patch.text.len();
                let less = |left: usize| Some(left.saturating_sub(length));
                // Threads that end at the same moment may together take a little more than is
                // left.
                let _ = terms
                    .left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            }
            change
        };
        match changes(&self.old) {
            Err(error) => Advance::Ended(error.to_string()),
            Ok(Change::Same) => Advance::Same(view),
            Ok(Change::TooLong) => Advance::Replaced(view),
            Ok(Change::Patch(patch)) => {
                let shortcut = self.shortcut_from.as_ref().map(changes);
                Advance::Changed {
                    patch,
                    shortcut: match shortcut {
                        Some(Ok(Change::Patch(shortcut))) => Some(shortcut),
                        _ => None,
                    },
                    view,
                }
            }
        }
    }
}

/// Makes the cell for the tag of an answer, which is filled if the tag is known already.
pub(super) fn tag_cell(view: &View, service: &dyn Service) -> Arc<OnceLock<Tag>> {
    let known = service.known_tag(view);
    Arc::new(known.map(OnceLock::from).unwrap_or_default())
}
