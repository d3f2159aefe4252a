//! What update streams and TIPS offer to be followed.

use std::collections::BTreeMap;

use super::catalog::Resource;
use super::grid::Form;
use super::service::Signature;
use super::view::View;

/// Which resources can be followed, and by which patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushOffer {
    /// About how many bytes a full composed cost map may have. A larger one is never held whole; only
    /// its filtered forms can be followed.
    pub max_whole: usize,
    /// Whether JSON patches are sent as well as merge patches.
    pub json_patches: bool,
}

impl PushOffer {
    /// Returns whether a resource can be followed.
    pub fn has(&self, view: &View, resource: &Resource) -> bool {
        let service = resource.service();
        service.is_some_and(|service| {
            !service.is_composed(view) || about_length(view, resource) <= self.max_whole
        })
    }

    /// The forms of patches that are sent of the resources of a service.
    pub fn forms(&self, signature: &Signature) -> Vec<Form> {
        let forms = signature.forms.iter().copied();
        forms
            .filter(|form| self.json_patches || *form != Form::Json)
            .collect()
    }

    /// The ids of the resources that can be followed, each with the media types of its patches,
    /// separated by commas (RFC 8895 §6.3).
    pub fn media_types(&self, view: &View) -> BTreeMap<String, String> {
        let followed = view.catalog().iter().filter(|r| self.has(view, r));
        let media_types = |resource: &Resource| {
            let forms = self.forms(resource.signature()?).into_iter();
            let types: Vec<&str> = forms.map(Form::media_type).collect();
            Some((resource.id.to_string(), types.join(",")))
        };
        followed.filter_map(media_types).collect()
    }
}

/// About how many bytes a full map has, as far as that is known without writing it.
pub fn about_length(view: &View, resource: &Resource) -> usize {
    if let Some(marks) = resource.marks.get() {
        return usize::try_from(marks.length).unwrap_or(usize::MAX);
    }
    let service = resource.service();
    service.map_or(usize::MAX, |service| service.about_length(view))
}
