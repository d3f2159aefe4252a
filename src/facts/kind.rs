//! What a kind of fact is: the trait that each file of a kind implements.

use std::fmt;
use std::sync::Arc;

use schemars::{Schema, SchemaGenerator};

use crate::alto::json::{Faults, Step};
use crate::ident::PidName;

use super::limits::Reader;

/// The path below which all documents are.
const BASE: &str = "/n2s/v1/";

/// A kind of fact, implemented by the content of its documents.
pub trait Kind: Content + Sized {
    /// What tells the documents of the kind apart, as a part of their paths; `()` if a source
    /// states only one.
    type Name;

    /// A change of a part of a document.
    type Edit: fmt::Debug + Clone + Send;

    /// What is known of the kind as such.
    const ABOUT: About;

    /// Reads a document that stands at `at` in the request.
    ///
    /// # Errors
    /// All that is wrong with it.
    fn read(
        reader: Reader<'_>,
        name: &Self::Name,
        at: Vec<Step<'static>>,
        bytes: &[u8],
    ) -> Result<Self, Faults>;

    /// Reads an edit, of one of the kinds in [`About::edits`].
    ///
    /// # Errors
    /// All that is wrong with it.
    fn read_edit(
        reader: Reader<'_>,
        kind: EditKind,
        name: &Self::Name,
        at: Vec<Step<'static>>,
        bytes: &[u8],
    ) -> Result<Self::Edit, Faults>;

    /// Returns the content after an edit of what the source states; of nothing if it states no
    /// such document. `at` is where the edit stands in the request.
    ///
    /// # Errors
    /// All that is wrong with the edit or the content after it.
    fn edited(
        reader: Reader<'_>,
        at: &[Step<'static>],
        current: Option<&Self>,
        edit: Self::Edit,
    ) -> Result<Self, Faults>;
}

/// The content of a document, whatever its kind.
pub trait Content: fmt::Debug + Send + Sync + 'static {
    /// The rows of its canonical text, each written when it is asked for: one for each PID,
    /// source, entity or the like.
    fn text_rows(self: Arc<Self>) -> Box<dyn Iterator<Item = Vec<u8>> + Send>;

    /// All rows, which a kind with long ones writes side by side.
    fn all_text_rows(self: Arc<Self>) -> Vec<Vec<u8>> {
        self.text_rows().collect()
    }

    /// About how many bytes of memory it takes that it does not share with others.
    fn bytes(&self) -> usize;

    /// About how many bytes of memory [`text_rows`](Content::text_rows) take while they are written.
    fn bytes_of_rows(&self) -> usize;

    /// Calls `found` for each PID among those that `is_wanted` picks that the content names,
    /// with the members that lead to a place where it stands.
    fn find_pids(
        &self,
        is_wanted: &dyn Fn(&PidName) -> bool,
        found: &mut dyn FnMut(&[&str], &PidName),
    );
}

/// What is known of a kind as such.
#[derive(Debug)]
pub struct About {
    /// Where its only document is, or with a name in braces at its end, each of them.
    pub route: &'static str,
    /// The name at the end of the route.
    pub name: Option<NameOf>,
    /// The member of a document that has its content.
    pub member: &'static str,
    /// What a document states, for people.
    pub what: &'static str,
    /// The names of `GET`, `PUT`, `PATCH` and `DELETE` of a document for generated clients.
    pub operations: [&'static str; 4],
    /// What a document looks like.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// The ways to change a part of a document.
    pub edits: &'static [EditKind],
}

/// What tells the documents of a kind apart.
#[derive(Debug)]
pub struct NameOf {
    /// What is in the braces of the route.
    pub parameter: &'static str,
    /// What it may be, for people.
    pub what: &'static str,
}

impl About {
    /// The route below the path of all documents: `network-map`, `cost-maps/{metric}`.
    pub fn path(&self) -> &'static str {
        self.route.strip_prefix(BASE).unwrap_or(self.route)
    }

    /// The path of the document with a name; of an only one, whose name is empty.
    pub fn path_of(&self, name: &str) -> String {
        format!("{}{name}", self.stem())
    }

    /// What comes before the name in the paths of its documents; the whole path of an only one.
    fn stem(&self) -> &'static str {
        let path = self.path();
        path.find('{').map_or(path, |at| &path[..at])
    }

    /// The name of the document at a path, if it is of this kind: empty for an only one.
    pub(super) fn name_in<'t>(&self, path: &'t str) -> Option<&'t str> {
        let name = path.strip_prefix(self.stem())?;
        (self.name.is_some() || name.is_empty()).then_some(name)
    }
}

/// A way to change a part of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditKind {
    /// As RFC 7396 has it.
    MergePatch,
    /// Prefixes are added to the network map.
    Announce,
    /// Prefixes are removed from the network map.
    Withdraw,
}

impl EditKind {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MergePatch => "merge-patch",
            Self::Announce => "announce",
            Self::Withdraw => "withdraw",
        }
    }
}

/// Says that none of the kinds has a document at a path, for people.
pub(super) fn unknown(kinds: &[&About], path: &str) -> String {
    let paths: Vec<&str> = kinds.iter().map(|about| about.path()).collect();
    let known = match paths.as_slice() {
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
        [] => String::new(),
    };
    format!("there is no document {path:?}; there are {known}")
}
