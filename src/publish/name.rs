//! The names of views, and the ids of their resources.

use std::fmt;

use crate::ident::{DomainLabel, ResourceId};

/// The name of a view.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ViewName {
    /// The view over all domains.
    Merged,
    /// The view of one domain.
    Domain(DomainLabel),
}

impl ViewName {
    /// The name in URLs.
    pub fn as_str(&self) -> &str {
        match self {
            ViewName::Merged => "merged",
            ViewName::Domain(label) => label.as_str(),
        }
    }

    /// Parses the name in a URL; none if no view can have it.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "merged" => Some(ViewName::Merged),
            label => DomainLabel::new(label).ok().map(ViewName::Domain),
        }
    }

    /// The id of the view's resource with this path; in a domain's view it begins with the label.
    ///
    /// # Panics
    /// The path is longer than 43 characters, or has others than resource ids may have.
    pub fn resource_id(&self, path: &str) -> ResourceId {
        match self {
            ViewName::Merged => ResourceId::new(path),
            ViewName::Domain(label) => ResourceId::new(&format!("{label}:{path}")),
        }
        .expect("a label has at most 20 characters and a path 43")
    }

    /// Splits the id of a resource into the name of its view and its path: the reverse of
    /// [`resource_id`](Self::resource_id). `None` if no view has resources with such an id: a label
    /// in an id is in lower case.
    pub fn split(id: &str) -> Option<(Self, &str)> {
        match id.split_once(':') {
            None => Some((ViewName::Merged, id)),
            Some((label, path)) => {
                let domain = DomainLabel::new(label).ok()?;
                (domain.as_str() == label).then_some((ViewName::Domain(domain), path))
            }
        }
    }
}

impl fmt::Display for ViewName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_resource_names_its_view_and_its_path() {
        let isp = ViewName::parse("isp-a").expect("a view");
        for name in [ViewName::Merged, isp] {
            let id = name.resource_id("networkmap");
            let split = ViewName::split(id.as_str());
            assert_eq!(split, Some((name, "networkmap")));
        }
        assert_eq!(ViewName::split("not a label:networkmap"), None);
        assert_eq!(ViewName::split("ISP-A:networkmap"), None);
    }
}
