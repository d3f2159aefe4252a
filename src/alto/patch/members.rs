//! The members of one object, as slices of its text.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::error::{MAX_DEPTH, PatchError};
use crate::alto::guard::JsonGuard;
use crate::alto::json::Text;

/// A member: its name, and its value as it is written.
pub(super) type Member<'a> = (Cow<'a, str>, &'a str);

/// Checks the depth of a text.
///
/// # Errors
/// The text is not UTF-8, or is nested too deep. Whether it is JSON is only found out when it is
/// parsed.
pub(super) fn shallow(text: &[u8]) -> Result<&str, PatchError> {
    JsonGuard::new(MAX_DEPTH).feed(text)?;
    let text = std::str::from_utf8(text).map_err(|error| PatchError::Syntax(error.to_string()))?;
    Ok(text.trim_matches([' ', '\t', '\n', '\r']))
}

/// Whether a JSON value is an object.
pub(super) fn is_object(value: &str) -> bool {
    value.starts_with('{')
}

/// Checks that a text is one JSON value.
///
/// # Errors
/// It is not.
pub(super) fn check(text: &str) -> Result<(), PatchError> {
    serde_json::from_str::<&RawValue>(text)
        .map(|_| ())
        .map_err(|error| PatchError::Syntax(error.to_string()))
}

/// Returns the members of an object in canonical order, whatever order they are written in.
///
/// # Errors
/// It is not a JSON object, or has a member twice.
pub(super) fn members(object: &str) -> Result<Vec<Member<'_>>, PatchError> {
    let Object(mut members) =
        serde_json::from_str(object).map_err(|error| PatchError::Syntax(error.to_string()))?;
    if !members.is_sorted_by(|(a, _), (b, _)| order(a, b).is_lt()) {
        members.sort_by(|(a, _), (b, _)| order(a, b));
        let twice = members
            .windows(2)
            .find(|pair| matches!(pair, [(a, _), (b, _)] if a == b));
        if let Some([(name, _), ..]) = twice {
            return Err(PatchError::Duplicate(name.chars().take(80).collect()));
        }
    }
    Ok(members)
}

/// Compares the names of members as canonical JSON does: by UTF-16 code units (RFC 8785 §3.2.3),
/// which for ASCII is the order of the bytes.
pub(super) fn order(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() {
        a.cmp(b)
    } else {
        a.encode_utf16().cmp(b.encode_utf16())
    }
}

struct Object<'a>(Vec<Member<'a>>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(ReadObject)
    }
}

struct ReadObject;

impl<'de> Visitor<'de> for ReadObject {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key_seed(Text)? {
            members.push((name, map.next_value::<&RawValue>()?.get()));
        }
        Ok(Object(members))
    }
}
