//! The faults of a document, and their places.

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
    /// Returns the same step, with its name shortened for a message.
    pub(super) fn to_static(&self) -> Step<'static> {
        match self {
            Step::Member(name) => Step::Member(Cow::Owned(shorten(name))),
            Step::Element(index) => Step::Element(*index),
        }
    }
}

/// The kind of a fault, as RFC 7285 §8.5.2 distinguishes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// The text is not JSON, or a member occurs in an object twice.
    Syntax,
    /// A required member is absent.
    Missing,
    /// A value has the wrong JSON type; holds the value as text.
    Type(String),
    /// A value has the right type but cannot be used; holds the value as text, where it helps to
    /// repeat it.
    Value(Option<String>),
    /// There is more of something than is accepted.
    Limit,
}

/// One thing that is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The path from the root of the document to the fault.
    pub path: Vec<Step<'static>>,
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// What is wrong and how to mend it, for people.
    pub detail: String,
}

impl Fault {
    /// Returns the JSON pointer (RFC 6901) of the fault.
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
        if self.path.is_empty() {
            f.write_str(&self.detail)
        } else {
            // Names come from outside; what is not printable could forge a line of a log.
            for c in self.pointer().chars() {
                if matches!(c, '"' | '\'' | '\\') {
                    write!(f, "{c}")?
                } else {
                    write!(f, "{}", c.escape_debug())?
                }
            }
            write!(f, ": {}", self.detail)
        }
    }
}

/// The faults of a document: the first [`Faults::LIMIT`], and how many there are. Never empty
/// when returned as an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    listed: Vec<Fault>,
    total: usize,
}

impl Faults {
    /// The most faults that are listed; further ones are only counted.
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

    /// Returns the same faults with the steps put before their paths.
    pub fn relocated(mut self, at: &[Step<'static>]) -> Self {
        for fault in &mut self.listed {
            fault.path.splice(0..0, at.iter().cloned());
        }
        self
    }

    /// Adds a fault for a value that cannot be used, at a path of member names.
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

    /// Whether there are no faults.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Returns how many faults there are.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Whether a listed fault is of the kind [`FaultKind::Limit`].
    pub fn over_limit(&self) -> bool {
        self.listed
            .iter()
            .any(|fault| fault.kind == FaultKind::Limit)
    }

    /// Returns the listed faults, in the order of the document.
    pub fn listed(&self) -> &[Fault] {
        &self.listed
    }

    /// Returns `value` if there are no faults, and the faults otherwise.
    ///
    /// # Errors
    /// There is at least one fault.
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

/// Shortens a text for a message to at most 120 characters.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_one_line_whatever_the_names_in_its_path() {
        let mut fault = Fault {
            path: vec![Step::Member("é\"/\u{1b}[31m\n".into()), Step::Element(2)],
            kind: FaultKind::Syntax,
            detail: "it is wrong".to_owned(),
        };
        assert_eq!(fault.to_string(), "/é\"~1\\u{1b}[31m\\n/2: it is wrong");
        assert_eq!(fault.pointer(), "/é\"~1\u{1b}[31m\n/2");
        fault.path.clear();
        assert_eq!(fault.to_string(), "it is wrong");
    }
}
