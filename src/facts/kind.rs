//! The traits that each kind of fact implements.

use std::fmt;
use std::sync::Arc;

use schemars::{Schema, SchemaGenerator};

use crate::alto::json::{Faults, Step};
use crate::ident::PidName;

use super::limits::Reader;

/// The path of the API below which all documents are.
const BASE: &str = "/n2s/v1/";

/// A kind of fact, implemented by the content of its documents.
pub trait Kind: Content + Sized {
    /// The last part of a document's path, which distinguishes the documents of the kind; `()` if
    /// a source states only one.
    type Name;

    /// A change of a part of a document, as it was read.
    type Edit: fmt::Debug + Clone + Send;

    /// The description of the kind.
    const DESCRIPTION: Description;

    /// Reads a document. `at` is where it stands in the request.
    ///
    /// # Errors
    /// Every fault of it.
    fn read(
        reader: Reader<'_>,
        name: &Self::Name,
        at: Vec<Step<'static>>,
        bytes: &[u8],
    ) -> Result<Self, Faults>;

    /// Reads an edit of one of the kinds in [`Description::edits`].
    ///
    /// # Errors
    /// Every fault of it.
    fn read_edit(
        reader: Reader<'_>,
        kind: EditKind,
        name: &Self::Name,
        at: Vec<Step<'static>>,
        bytes: &[u8],
    ) -> Result<Self::Edit, Faults>;

    /// Applies an edit to the content of a document, or to empty content if the source states no
    /// such document. `at` is where the edit stands in the request.
    ///
    /// # Errors
    /// Every fault of the edit, or of the content after it.
    fn edited(
        reader: Reader<'_>,
        at: &[Step<'static>],
        current: Option<&Self>,
        edit: Self::Edit,
    ) -> Result<Self, Faults>;
}

/// The content of a document of any kind.
pub trait Content: fmt::Debug + Send + Sync + 'static {
    /// Returns the rows of its canonical text, each written when it is asked for: one for each
    /// PID, source, entity or the like.
    fn text_rows(self: Arc<Self>) -> Box<dyn Iterator<Item = Vec<u8>> + Send>;

    /// Returns the end of its canonical text, from the end of the rows on.
    fn closing(&self) -> Vec<u8> {
        b"}}".to_vec()
    }

    /// Returns all rows. A kind with long rows writes them in parallel.
    fn all_text_rows(self: Arc<Self>) -> Vec<Vec<u8>> {
        self.text_rows().collect()
    }

    /// Returns about how many bytes of memory the content takes that it does not share with
    /// others.
    fn bytes(&self) -> usize;

    /// Returns about how many bytes of memory [`text_rows`](Content::text_rows) takes while the
    /// rows are written.
    fn bytes_of_rows(&self) -> usize;

    /// Calls `found` for each wanted PID that the content names, with the members that lead to one
    /// place that names it.
    fn find_pids(
        &self,
        is_wanted: &dyn Fn(&PidName) -> bool,
        found: &mut dyn FnMut(&[&str], &PidName),
    );
}

/// What the API says about a kind.
#[derive(Debug)]
pub struct Description {
    /// The path of its documents in the API; ends with a parameter in braces if a source can
    /// state several.
    pub route: &'static str,
    /// The parameter at the end of the route, if there is one.
    pub name: Option<NameDescription>,
    /// The member of a document that has its content.
    pub member: &'static str,
    /// What a document states, in words.
    pub what: &'static str,
    /// The names of the operations `GET`, `PUT`, `PATCH` and `DELETE` for generated clients.
    pub operations: [&'static str; 4],
    /// The media types that a document can be put in: JSON, and that of an ALTO map whose answer
    /// to a GET can be put back unchanged.
    pub media_types: &'static [&'static str],
    /// The JSON schema of a document.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// The ways to change a part of a document.
    pub edits: &'static [EditKind],
}

/// The parameter that distinguishes the documents of a kind.
#[derive(Debug)]
pub struct NameDescription {
    /// The name of the parameter.
    pub parameter: &'static str,
    /// Its possible values, in words.
    pub what: &'static str,
}

impl Description {
    /// Returns the route without what all documents share: `network-map`, `cost-maps/{metric}`.
    pub fn path(&self) -> &'static str {
        self.route.strip_prefix(BASE).unwrap_or(self.route)
    }

    /// Returns the path of the document with a name; the name is empty if a source states only
    /// one.
    pub fn path_of(&self, name: &str) -> String {
        format!("{}{name}", self.stem())
    }

    /// Returns the paths of its documents without the name.
    fn stem(&self) -> &'static str {
        let path = self.path();
        path.find('{').map_or(path, |at| &path[..at])
    }

    /// Returns the name of the document at a path, if it is of this kind; the name is empty if a
    /// source states only one.
    pub(super) fn name_in<'t>(&self, path: &'t str) -> Option<&'t str> {
        let name = path.strip_prefix(self.stem())?;
        (self.name.is_some() || name.is_empty()).then_some(name)
    }
}

/// A way to change a part of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditKind {
    /// A merge patch, RFC 7396.
    MergePatch,
    /// Adds prefixes to the network map.
    Announce,
    /// Removes prefixes from the network map.
    Withdraw,
}

impl EditKind {
    /// Returns the name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MergePatch => "merge-patch",
            Self::Announce => "announce",
            Self::Withdraw => "withdraw",
        }
    }
}

/// Returns a message that no kind has a document at a path.
pub(super) fn unknown(kinds: &[&Description], path: &str) -> String {
    let paths: Vec<&str> = kinds.iter().map(|description| description.path()).collect();
    let known = match paths.as_slice() {
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
        [] => String::new(),
    };
    format!("there is no document {path:?}; there are {known}")
}
