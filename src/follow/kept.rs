//! Limits what histories keep in memory, and chooses whose old versions are forgotten first.
//!
//! A history keeps its patches, and the views that its older versions are made from. If all
//! together keep more than they may, the client whose histories keep most forgets first, so that
//! a client that follows many changing answers does not cost others their histories.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::ident::Client;
use crate::publish::View;

use super::edition::Edition;
use super::history::History;

use super::moves::AnswerId;

/// The bytes that old views take besides the newest view of their name, by address in memory.
pub(super) type Sizes = HashMap<usize, usize>;

/// A history and its owner.
pub(super) struct Owned<'a> {
    pub(super) id: AnswerId,
    pub(super) owner: Option<Client>,
    pub(super) history: &'a mut History<Arc<View>>,
}

/// Returns the views, each once, that are only in memory because older versions are kept whole.
pub(super) fn older<'h>(
    histories: impl Iterator<Item = &'h History<Arc<View>>>,
    newest: &Edition,
) -> Vec<Arc<View>> {
    let is_newest = |view: &Arc<View>| {
        let newest = newest.view(view.name());
        newest.is_some_and(|newest| Arc::ptr_eq(newest, view))
    };
    let mut seen = HashSet::new();
    let views = histories.flat_map(History::snapshots);
    let older = views.filter(|view| seen.insert(place(view)) && !is_newest(view));
    older.cloned().collect()
}

/// Returns the bytes that they take besides the newest views.
pub(super) fn sizes(older: Vec<Arc<View>>, newest: &Edition) -> Sizes {
    let bytes = |view: &Arc<View>| match newest.view(view.name()) {
        Some(newest) => view.bytes_beside(Some(newest)),
        None => 0,
    };
    older
        .iter()
        .map(|view| (place(view), bytes(view)))
        .collect()
}

/// Forgets old versions until the histories keep at most `most` bytes, or one version each.
/// Returns the answers whose versions were forgotten, and how many bytes are kept then.
pub(super) fn bound(
    histories: Vec<Owned<'_>>,
    sizes: &Sizes,
    most: usize,
) -> (Vec<AnswerId>, usize) {
    let mut kept = Kept::new(sizes);
    let mut by_owner: HashMap<Option<Client>, Vec<Owned<'_>>> = HashMap::new();
    for owned in histories {
        kept.count(owned.owner, owned.history);
        by_owner.entry(owned.owner).or_default().push(owned);
    }
    // The owners by how much their histories keep, without those that have nothing left to
    // forget.
    let mut owners: BTreeSet<(usize, Option<Client>)> = by_owner
        .keys()
        .map(|owner| (kept.of_owner(*owner), *owner))
        .collect();
    let mut forgotten = Vec::new();
    while kept.all > most {
        let Some((_, owner)) = owners.pop_last() else {
            break;
        };
        let before = forgotten.len();
        for owned in by_owner.get_mut(&owner).into_iter().flatten() {
            kept.uncount(owner, owned.history);
            if owned.history.forget_oldest() {
                forgotten.push(owned.id);
            }
            kept.count(owner, owned.history);
            if kept.all <= most {
                break;
            }
        }
        if forgotten.len() > before {
            owners.insert((kept.of_owner(owner), owner));
        }
    }
    (forgotten, kept.all)
}

/// What histories keep. A view that several histories keep counts once in `all`, and once for
/// each owner.
struct Kept<'s> {
    sizes: &'s Sizes,
    all: usize,
    of_owner: HashMap<Option<Client>, usize>,
    /// How many histories keep a view: all together.
    views: HashMap<usize, usize>,
    /// How many histories of an owner keep a view.
    views_of: HashMap<(Option<Client>, usize), usize>,
}

impl<'s> Kept<'s> {
    fn new(sizes: &'s Sizes) -> Self {
        Self {
            sizes,
            all: 0,
            of_owner: HashMap::new(),
            views: HashMap::new(),
            views_of: HashMap::new(),
        }
    }

    fn of_owner(&self, owner: Option<Client>) -> usize {
        self.of_owner.get(&owner).copied().unwrap_or(0)
    }

    fn count(&mut self, owner: Option<Client>, history: &History<Arc<View>>) {
        let memory = history.memory();
        *self.of_owner.entry(owner).or_default() += memory;
        self.all += memory;
        for view in history.snapshots().map(place) {
            self.of_view(owner, view, |count, sum, bytes| {
                *sum += if *count == 0 { bytes } else { 0 };
                *count += 1;
            });
        }
    }

    fn uncount(&mut self, owner: Option<Client>, history: &History<Arc<View>>) {
        let memory = history.memory();
        *self.of_owner.entry(owner).or_default() -= memory;
        self.all -= memory;
        for view in history.snapshots().map(place) {
            self.of_view(owner, view, |count, sum, bytes| {
                *count -= 1;
                *sum -= if *count == 0 { bytes } else { 0 };
            });
        }
    }

    /// Changes how many histories keep a view, and the sum that its bytes are in: once for all
    /// histories, and once for those of the owner.
    fn of_view(
        &mut self,
        owner: Option<Client>,
        view: usize,
        change: impl Fn(&mut usize, &mut usize, usize),
    ) {
        let bytes = self.sizes.get(&view).copied().unwrap_or(0);
        change(self.views.entry(view).or_default(), &mut self.all, bytes);
        let of_owner = self.of_owner.entry(owner).or_default();
        let count = self.views_of.entry((owner, view)).or_default();
        change(count, of_owner, bytes);
    }
}

/// Returns the address of a view in memory.
fn place(view: &Arc<View>) -> usize {
    Arc::as_ptr(view) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::OnceLock;

    use super::*;
    use crate::publish::testing::view;

    #[test]
    fn a_view_is_older_once_if_it_is_not_that_of_the_edition() {
        let [older_view, newest] = [2, 3].map(|pids| Arc::new(view(pids)));
        let history = |view: &Arc<View>| History::new(view.clone(), Arc::new(OnceLock::new()), 0);
        let histories = [&older_view, &newest, &older_view].map(history);
        let edition = Edition {
            views: Arc::new(BTreeMap::from([(newest.name().clone(), newest.clone())])),
            ..Edition::default()
        };
        let found = older(histories.iter(), &edition);
        assert_eq!(found.len(), 1);
        assert!(Arc::ptr_eq(&found[0], &older_view));
    }
}
