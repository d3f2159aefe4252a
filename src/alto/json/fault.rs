//! What is wrong with a document, and where.

use std::borrow::Cow;
use std::fmt;

/// One step into a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<'de> {
    /// The member of an object with this name.
    Member(Cow<'de, str>),
    /// The element of an array at this index.
    Element(usize),
}

impl Step<'_> {
    /// The same step, its name shortened for a message.
    pub(super) fn to_static(&self) -> Step<'static> {
        match self {
            Step::Member(name) => Step::Member(Cow::Owned(shorten(name))),
            Step::Element(index) => Step::Element(*index),
        }
    }
}

/// The kind of a fault, as RFC 7285 §8.5.2 tells them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// The text is not JSON, or a member stands in it twice.
    Syntax,
    /// A member that is needed is not there.
    Missing,
    /// A value has the wrong JSON type; this is the value, as text.
    Type(String),
    /// A value has the right type and cannot be used; this is the value, as
    /// text, where it helps to repeat it.
    Value(Option<String>),
    /// There is more of something than is taken.
    Limit,
}

/// One thing that is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The way from the root of the document to the fault.
    pub path: Vec<Step<'static>>,
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// What is wrong and how to mend it, for people.
    pub detail: String,
}

impl Fault {
    /// The JSON pointer (RFC 6901) of the fault.
    pub fn pointer(&self) -> String {
        let mut pointer = String::new();
        for step in &self.path {
            pointer.push('/');
            match step {
                Step::Member(name) => {
                    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                }
                Step::Element(index) => pointer.push_str(&index.to_string()),
            }
        }
        pointer
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.is_empty() {
            true => f.write_str(&self.detail),
            false => write!(f, "{}: {}", self.pointer(), self.detail),
        }
    }
}

/// All that is wrong with a document: the first [`Faults::LIMIT`] faults, and
/// how many there were. Never empty when it is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    listed: Vec<Fault>,
    total: usize,
}

impl Faults {
    /// How many faults are listed; more are only counted.
    pub const LIMIT: usize = 100;

    /// Adds a fault.
    pub fn push(&mut self, fault: Fault) {
        self.total += 1;
        if self.listed.len() < Self::LIMIT {
            self.listed.push(fault);
        }
    }

    /// Adds the faults of another document.
    pub fn append(&mut self, other: Faults) {
        let unlisted = other.total - other.listed.len();
        other.listed.into_iter().for_each(|fault| self.push(fault));
        self.total += unlisted;
    }

    /// The same faults, all below the given steps.
    pub fn relocated(mut self, at: &[Step<'static>]) -> Self {
        for fault in &mut self.listed {
            fault.path.splice(0..0, at.iter().cloned());
        }
        self
    }

    /// Adds one fault of a value that cannot be used, at a path of member names.
    pub fn at(&mut self, members: &[&str], detail: impl Into<String>) {
        self.push(Fault {
            path: members
                .iter()
                .map(|name| Step::Member(Cow::Owned((*name).to_owned())))
                .collect(),
            kind: FaultKind::Value(None),
            detail: detail.into(),
        });
    }

    /// Whether nothing was found wrong.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// How many faults were found.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Whether a listed fault is that there is more of something than is taken.
    pub fn over_limit(&self) -> bool {
        self.listed
            .iter()
            .any(|fault| fault.kind == FaultKind::Limit)
    }

    /// The listed faults, in the order of the document.
    pub fn listed(&self) -> &[Fault] {
        &self.listed
    }

    /// `value` if nothing is wrong, the faults else.
    ///
    /// # Errors
    /// At least one fault was found.
    pub fn or<T>(self, value: T) -> Result<T, Faults> {
        if self.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.listed.first() {
            Some(first) if self.total > 1 => write!(f, "{first} (and {} more)", self.total - 1),
            Some(first) => first.fmt(f),
            None => f.write_str("nothing is wrong"),
        }
    }
}

impl std::error::Error for Faults {}

/// A text for a message: at most 120 characters of it.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
