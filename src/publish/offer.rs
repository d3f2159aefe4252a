//! What update streams and the transport information publication service offer.

use std::collections::BTreeMap;

use super::catalog::{Kind, Resource};
use super::costs::Costs;
use super::grid::Form;
use super::view::View;

/// Which resources are followed, and by which patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// About how many bytes a full composed cost map may have: a larger one is
    /// never held whole, and only its filtered forms are followed.
    pub max_whole: usize,
    /// Whether JSON patches are sent besides merge patches.
    pub json_patches: bool,
}

impl Offer {
    /// Whether a resource is followed.
    pub fn has(&self, view: &View, resource: &Resource) -> bool {
        match &resource.kind {
            Kind::UpdateStream | Kind::Tips => false,
            Kind::CostMap(cost_type) => match view.costs().get(&cost_type.cost_metric) {
                Some(Costs::Composed(_)) => about_length(view, resource) <= self.max_whole,
                _ => true,
            },
            _ => true,
        }
    }

    /// The forms of patches that are sent of a kind of resource. A cell of a
    /// cost map never takes less as an operation than as a member; a prefix
    /// among many does.
    pub fn forms(&self, kind: &Kind) -> &'static [Form] {
        match kind {
            Kind::NetworkMap | Kind::FilteredNetworkMap if self.json_patches => {
                &[Form::Merge, Form::Json]
            }
            _ => &[Form::Merge],
        }
    }

    /// The ids of the resources that are followed, with the media types of the
    /// patches, joined by commas (RFC 8895 §6.3).
    pub fn media_types(&self, view: &View) -> BTreeMap<String, String> {
        let followed = view.catalog().iter().filter(|r| self.has(view, r));
        let media_types = |resource: &Resource| {
            let forms = self.forms(&resource.kind).iter();
            let types: Vec<&str> = forms.map(|form| form.media_type()).collect();
            (resource.id.to_string(), types.join(","))
        };
        followed.map(media_types).collect()
    }
}

/// About how long a resource is when it is answered, as far as that can be told
/// without answering it.
pub fn about_length(view: &View, resource: &Resource) -> usize {
    /// What a number takes, with its quotes, colon and comma.
    const COST: usize = 8;
    /// What a prefix takes, with its quotes and comma.
    const PREFIX: usize = 20;
    if let Some(marks) = resource.marks.get() {
        return usize::try_from(marks.length).unwrap_or(usize::MAX);
    }
    let pids = view.network().pids();
    match resource.kind {
        Kind::NetworkMap => view.network().prefix_count() * PREFIX,
        Kind::CostMap(_) => {
            let names: usize = pids.names().iter().map(|name| name.as_str().len()).sum();
            pids.len() * (names + pids.len() * COST)
        }
        _ => usize::MAX,
    }
}
