//! The names of RFC 7285 §10 and of the federation, each checked when it is made.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Why a text is not a name of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind} {value:?} {reason}")]
pub struct NameError {
    /// The kind of name that the text should be, for example `PID name`.
    pub kind: &'static str,
    /// The text, cut to 80 characters.
    pub value: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl NameError {
    pub(super) fn new(kind: &'static str, value: &str, reason: impl Into<String>) -> Self {
        Self {
            kind,
            value: value.chars().take(80).collect(),
            reason: reason.into(),
        }
    }
}

/// The rule for one kind of name: its alphabet besides letters and digits, and its length.
struct Rule {
    kind: &'static str,
    extra: &'static str,
    max: usize,
}

impl Rule {
    fn check(&self, text: &str) -> Result<(), NameError> {
        let refuse = |reason: String| Err(NameError::new(self.kind, text, reason));
        if text.is_empty() {
            return refuse("is empty; give at least one character".into());
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || self.extra.contains(c);
        if let Some(bad) = text.chars().find(|&c| !allowed(c)) {
            let extra: Vec<String> = self.extra.chars().map(|c| format!("{c:?}")).collect();
            return refuse(format!(
                "has {bad:?}; allowed are ASCII letters, digits and {}",
                extra.join(" ")
            ));
        }
        if text.len() > self.max {
            return refuse(format!(
                "has {} characters; at most {} are allowed",
                text.len(),
                self.max
            ));
        }
        Ok(())
    }
}

/// The alphabet of PID names and resource ids (RFC 7285 §10.1, §10.2) besides letters and
/// digits, without the reserved `.`.
const ALTO_NAME: &str = "-:@_";

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $extra:expr, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Parses a name.
            ///
            /// # Errors
            /// The text is empty, too long, or has a character outside the alphabet.
            pub fn new(text: &str) -> Result<Self, NameError> {
                Rule { kind: $kind, extra: $extra, max: $max }.check(text)?;
                Ok(Self(text.into()))
            }
        }

        name!(@traits $type);
    };
    (@traits $type:ident) => {
        impl $type {
            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $type {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(super) use name;

name! {
    /// The name of a PID (RFC 7285 §10.1). The `.` is reserved there and refused here.
    PidName, "PID name", ALTO_NAME, 64
}

name! {
    /// The id of an information resource (RFC 7285 §10.2).
    ResourceId, "resource id", ALTO_NAME, 64
}

name! {
    /// The id of an interconnect, agreed on by both sides; it has the syntax of a PID name.
    InterconnectId, "interconnect id", ALTO_NAME, 64
}

name! {
    /// The name of a source of facts: a token's name or one that the token lists.
    SourceName, "source name", "-_.@", 64
}

/// The label of a domain, that is, of one administrative network. Labels compare without case,
/// so the lower-case form is kept.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainLabel(Arc<str>);

name!(@traits DomainLabel);

/// Words that URLs, the names of PIDs and the configuration have where a label could stand.
const RESERVED_LABELS: [&str; 5] = ["merged", "own", "default", "multi", "public"];

impl DomainLabel {
    /// Parses a label.
    ///
    /// # Errors
    /// The text is not of the form `[A-Za-z0-9-]{1,20}` or is reserved.
    pub fn new(text: &str) -> Result<Self, NameError> {
        const KIND: &str = "domain label";
        Rule {
            kind: KIND,
            extra: "-",
            max: 20,
        }
        .check(text)?;
        let label = text.to_ascii_lowercase();
        if RESERVED_LABELS.contains(&label.as_str()) {
            return Err(NameError::new(KIND, text, "is reserved; choose another"));
        }
        Ok(Self(label.into()))
    }

    /// Returns the most characters of a PID name in this domain, so that `<domain>:<pid>` has at
    /// most 64.
    pub fn max_pid_len(&self) -> usize {
        64 - self.0.len() - 1
    }

    /// Returns the name of a PID in the merged view, `<domain>:<pid>`.
    ///
    /// # Errors
    /// The PID name is longer than [`DomainLabel::max_pid_len`].
    pub fn qualify(&self, pid: &PidName) -> Result<PidName, NameError> {
        PidName::new(&format!("{self}:{pid}"))
    }
}

/// The name of an entity or endpoint property (RFC 7285 §10.8.2, RFC 9240 §5.2.1).
/// [`PropertyName::is_private`] distinguishes `priv:` names from registered ones.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PropertyName(Arc<str>);

name!(@traits PropertyName);

impl PropertyName {
    /// Parses a property name.
    ///
    /// # Errors
    /// The text is not of the form `[0-9A-Za-z:_-]{1,32}`, or is `priv:` alone.
    pub fn new(text: &str) -> Result<Self, NameError> {
        const KIND: &str = "property name";
        Rule {
            kind: KIND,
            extra: "-:_",
            max: 32,
        }
        .check(text)?;
        if text == "priv:" {
            return Err(NameError::new(KIND, text, "needs a name after `priv:`"));
        }
        Ok(Self(text.into()))
    }

    /// Whether the name is for private use.
    pub fn is_private(&self) -> bool {
        self.0.starts_with("priv:")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_four_characters_are_a_pid_name_and_sixty_five_are_not() {
        assert!(PidName::new(&"a".repeat(64)).is_ok());
        assert!(PidName::new(&"a".repeat(65)).is_err());
        assert!(PidName::new("").is_err());
    }

    #[test]
    fn the_reserved_dot_and_foreign_characters_are_refused_in_names() {
        for bad in ["a.b", "a b", "é", "a/b", "a\r\n", "\u{0}"] {
            assert!(PidName::new(bad).is_err(), "{bad:?}");
            assert!(ResourceId::new(bad).is_err(), "{bad:?}");
        }
        for good in ["A-z:0@9_", "__proto__"] {
            assert!(PidName::new(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn labels_compare_without_case_and_some_words_are_reserved() {
        assert_eq!(DomainLabel::new("ISP-a"), DomainLabel::new("isp-A"));
        for bad in [
            "merged",
            "Own",
            "DEFAULT",
            "isp_a",
            "a:b",
            "",
            "abcdefghijklmnopqrstu",
        ] {
            assert!(DomainLabel::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_qualified_pid_name_never_exceeds_sixty_four_characters() {
        let domain = DomainLabel::new("isp-a").expect("valid");
        let longest = PidName::new(&"p".repeat(domain.max_pid_len())).expect("valid");
        assert_eq!(domain.qualify(&longest).expect("fits").as_str().len(), 64);
        let longer = PidName::new(&"p".repeat(domain.max_pid_len() + 1)).expect("valid");
        assert!(domain.qualify(&longer).is_err());
    }

    #[test]
    fn a_private_property_needs_a_name_after_the_colon() {
        assert!(PropertyName::new("priv:").is_err());
        assert!(PropertyName::new("priv:x").expect("valid").is_private());
        assert!(PropertyName::new(&"p".repeat(33)).is_err());
        assert!(PropertyName::new("a.b").is_err());
    }
}
