//! What was received of each resource, and which of it may be handed out.

use super::news::{How, Mode, Update};
use super::version::Version;
use crate::ident::Digest;

/// The resources that are followed, by their index.
#[derive(Debug, Default)]
pub(super) struct Board {
    places: Vec<Place>,
}

/// What is known of one resource.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) resource_id: String,
    pub(super) media_type: String,
    /// The followed resources that it depends on.
    pub(super) bases: Vec<usize>,
    /// What was received last; the next change is of this.
    pub(super) latest: Option<Version>,
    /// The digest and the size of what was handed out last.
    shown: Option<(Digest, usize)>,
}

impl Board {
    /// Makes a board for resources with these ids.
    pub(super) fn new(ids: impl Iterator<Item = String>) -> Self {
        let place = |resource_id| Place {
            resource_id,
            ..Place::default()
        };
        Self {
            places: ids.map(place).collect(),
        }
    }

    /// Returns the place of a resource.
    pub(super) fn place(&self, index: usize) -> Option<&Place> {
        self.places.get(index)
    }

    /// Returns the place of a resource, to change it.
    pub(super) fn place_mut(&mut self, index: usize) -> Option<&mut Place> {
        self.places.get_mut(index)
    }

    /// Returns how many bytes are kept: what was received last, and what was handed out where
    /// that differs.
    pub(super) fn bytes(&self) -> usize {
        let bytes = |place: &Place| {
            let latest = place.latest.as_ref();
            let shown = place.shown.filter(|_| place.is_news());
            latest.map_or(0, |it| it.body.len()) + shown.map_or(0, |(_, bytes)| bytes)
        };
        self.places.iter().map(bytes).sum()
    }

    /// Drops what depends on other resources, so that it is fetched anew.
    pub(super) fn drop_dependents(&mut self) {
        let dependents = self
            .places
            .iter_mut()
            .filter(|place| !place.bases.is_empty());
        dependents.for_each(|place| place.latest = None);
    }

    /// Returns what has changed and fits together, in batches, bases before what depends on
    /// them. It counts as handed out.
    pub(super) fn release(&mut self, mode: Mode) -> Vec<Vec<Update>> {
        let mut batches = Vec::new();
        for group in self.groups() {
            if !self.is_complete(&group) || self.is_apart(&group) {
                continue;
            }
            let mut batch = Vec::new();
            for index in group {
                let Some(place) = self.places.get_mut(index) else {
                    continue;
                };
                // RFC 8895 §6.6: an event is no proof of a change.
                let Some(latest) = place.latest.as_ref().filter(|_| place.is_news()) else {
                    continue;
                };
                batch.push(Update {
                    index,
                    resource_id: place.resource_id.clone(),
                    media_type: place.media_type.clone(),
                    body: latest.body.clone(),
                    tag: latest.tag.clone(),
                    how: match place.shown {
                        Some(_) => latest.how,
                        None => How::Full,
                    },
                    mode,
                });
                place.shown = Some((latest.digest, latest.body.len()));
            }
            if !batch.is_empty() {
                batches.push(batch);
            }
        }
        batches
    }

    /// Whether something is complete and does not fit together.
    pub(super) fn has_apart(&self) -> bool {
        let mut groups = self.groups().into_iter();
        groups.any(|group| self.is_complete(&group) && self.is_apart(&group))
    }

    /// Returns the groups of resources that depend on one another, bases first.
    fn groups(&self) -> Vec<Vec<usize>> {
        let mut group: Vec<usize> = (0..self.places.len()).collect();
        // Each takes the least number of all that it is joined with; as many rounds as there
        // are resources are enough.
        for _ in 0..self.places.len() {
            for (index, place) in self.places.iter().enumerate() {
                let joined = place.bases.iter().copied().chain([index]);
                let least = joined.clone().filter_map(|i| group.get(i).copied()).min();
                for (i, least) in joined.zip(std::iter::repeat(least)) {
                    if let (Some(group), Some(least)) = (group.get_mut(i), least) {
                        *group = least;
                    }
                }
            }
        }
        let mut groups = vec![Vec::new(); self.places.len()];
        for bases_first in [true, false] {
            for (index, place) in self.places.iter().enumerate() {
                let list = group.get(index).and_then(|&g| groups.get_mut(g));
                if let Some(list) = list.filter(|_| place.bases.is_empty() == bases_first) {
                    list.push(index);
                }
            }
        }
        groups.retain(|group| !group.is_empty());
        groups
    }

    fn is_complete(&self, group: &[usize]) -> bool {
        let mut places = group.iter().filter_map(|&index| self.places.get(index));
        places.all(|place| place.latest.is_some())
    }

    /// Whether some resource names another version of a base than the one that is here.
    fn is_apart(&self, group: &[usize]) -> bool {
        let versions = |index: &usize| {
            let place = self.places.get(*index)?;
            Some((place, place.latest.as_ref()?))
        };
        group.iter().filter_map(versions).any(|(place, latest)| {
            place
                .bases
                .iter()
                .filter_map(versions)
                .any(|(base, there)| {
                    let mut named = latest.depends.iter();
                    named.any(|vtag| {
                        vtag.resource_id.as_str() == base.resource_id && vtag.tag != there.tag
                    })
                })
        })
    }
}

impl Place {
    fn is_news(&self) -> bool {
        let latest = self.latest.as_ref().map(|latest| latest.digest);
        latest.is_some() && latest != self.shown.map(|(digest, _)| digest)
    }
}
