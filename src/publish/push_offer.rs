//! What update streams and the transport information publication service offer.

use std::collections::BTreeMap;

use super::catalog::Resource;
use super::grid::Form;
use super::service::Service;
use super::view::View;

/// Which resources are followed, and by which patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushOffer {
    /// About how many bytes a full composed cost map may have: a larger one is
    /// never held whole, and only its filtered forms are followed.
    pub max_whole: usize,
    /// Whether JSON patches are sent besides merge patches.
    pub json_patches: bool,
}

impl PushOffer {
    /// Whether a resource is followed.
    pub fn has(&self, view: &View, resource: &Resource) -> bool {
        let service = resource.service();
        service.is_some_and(|service| {
            !service.is_computed(view) || about_length(view, resource) <= self.max_whole
        })
    }

    /// The forms of patches that are sent of the resources of a service.
    pub fn forms(&self, service: &dyn Service) -> &'static [Form] {
        let forms = service.signature().forms;
        match forms {
            [Form::Merge, Form::Json] if !self.json_patches => &forms[..1],
            forms => forms,
        }
    }

    /// The ids of the resources that are followed, with the media types of the
    /// patches, joined by commas (RFC 8895 §6.3).
    pub fn media_types(&self, view: &View) -> BTreeMap<String, String> {
        let followed = view.catalog().iter().filter(|r| self.has(view, r));
        let media_types = |resource: &Resource| {
            let forms = self.forms(&**resource.service()?).iter();
            let types: Vec<&str> = forms.map(|form| form.media_type()).collect();
            Some((resource.id.to_string(), types.join(",")))
        };
        followed.filter_map(media_types).collect()
    }
}

/// About how long a full map is, as far as that can be told without writing it.
pub fn about_length(view: &View, resource: &Resource) -> usize {
    if let Some(marks) = resource.marks.get() {
        return usize::try_from(marks.length).unwrap_or(usize::MAX);
    }
    let service = resource.service();
    service.map_or(usize::MAX, |service| service.about_length(view))
}
