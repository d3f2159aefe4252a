//! Conditions on what a write replaces, RFC 9110 §13.1.

use crate::ident::Tag;

/// A condition on the current content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// `If-Match`: the content must be one of these.
    pub if_match: Option<Wanted>,
    /// `If-None-Match`: the content must be none of these.
    pub if_none_match: Option<Wanted>,
}

/// The entity tags of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// `*`: any content.
    Any,
    /// These, without quotes.
    Tags(Vec<String>),
}

impl Condition {
    /// Returns whether both conditions hold for content with this tag; `None` means that there is
    /// no content.
    pub fn holds(&self, current: Option<&Tag>) -> bool {
        let matches = |wanted: &Wanted| match (wanted, current) {
            (_, None) => false,
            (Wanted::Any, Some(_)) => true,
            (Wanted::Tags(tags), Some(tag)) => tags.iter().any(|wanted| wanted == tag.as_str()),
        };
        self.if_match.as_ref().is_none_or(matches)
            && !self.if_none_match.as_ref().is_some_and(matches)
    }
}
