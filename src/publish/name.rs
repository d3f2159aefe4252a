//! The names of views, and the ids of their resources.

use std::fmt;

use crate::ident::{DomainLabel, ResourceId};

/// Which view.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ViewName {
    /// All domains as one.
    Merged,
    /// One domain by itself.
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

    /// The view that a URL names, if the text can be one.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "merged" => Some(ViewName::Merged),
            label => DomainLabel::new(label).ok().map(ViewName::Domain),
        }
    }

    /// The id of the view's resource with this path: domain views put their
    /// label before it.
    ///
    /// # Panics
    /// The path is no path of a resource: longer than 43 characters, or outside
    /// the alphabet of resource ids.
    pub fn resource_id(&self, path: &str) -> ResourceId {
        match self {
            ViewName::Merged => ResourceId::new(path),
            ViewName::Domain(label) => ResourceId::new(&format!("{label}:{path}")),
        }
        .expect("a label has at most 20 characters and a path 43")
    }
}

impl fmt::Display for ViewName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
