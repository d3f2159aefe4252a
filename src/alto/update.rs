//! Incremental updates by server-sent events (RFC 8895): requests and control events.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::{IgnoredAny, MapAccess, SeqAccess};
use serde::ser::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::canonical::value_text;
use super::error::AltoError;
use super::json::{self, Canonical, Read, Tree, Walk};

/// A request to an update stream, to open it or by its control service (RFC 8895 §6.5, §7.3).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct UpdateStreamParams {
    /// The substreams to start, by id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub add: BTreeMap<String, AddUpdate>,
    /// The substreams to stop; an empty list stands for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove: Option<Vec<String>>,
}

/// A substream to start.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct AddUpdate {
    /// The resource.
    pub resource_id: String,
    /// The tag of the version that the client has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Whether the client accepts patches of every type that the stream offers for the resource.
    #[serde(skip_serializing_if = "is_true")]
    pub incremental_changes: bool,
    /// The parameters of a resource that is queried by POST.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Input>,
}

/// The parameters of a resource that is queried by POST, as canonical JSON: they may be long,
/// and a tree takes ten times as much memory as its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input(String);

/// The payload of a control event (RFC 8895 §5.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ControlUpdate {
    /// The URI of the control service; `null` if there is none. Only the first event has it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub control_uri: Option<Option<String>>,
    /// The reason, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The substreams that were started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub started: Vec<String>,
    /// The substreams that were stopped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stopped: Vec<String>,
}

impl Input {
    /// Returns the text.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl From<&Value> for Input {
    fn from(value: &Value) -> Self {
        Self(value_text(value))
    }
}

impl Serialize for Input {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(S::Error::custom)?;
        raw.serialize(json)
    }
}

impl UpdateStreamParams {
    /// Reads a request. Members that RFC 8895 does not name are ignored.
    ///
    /// # Errors
    /// The error of RFC 7285 §8.5.2, with the full path of the member.
    pub fn read(bytes: &[u8]) -> Result<Self, AltoError> {
        const REQUEST: Members = &[("add", Member::Each(SUBSTREAM)), ("remove", Member::Tree)];
        const SUBSTREAM: Members = &[
            ("resource-id", Member::Tree),
            ("tag", Member::Tree),
            ("incremental-changes", Member::Tree),
            ("input", Member::Text),
        ];
        let mut request = object(bytes, REQUEST)?;
        let mut add = BTreeMap::new();
        match request.remove("add") {
            None => {}
            Some(Value::Object(substreams)) => {
                for (id, value) in substreams {
                    if !is_substream_id(&id) {
                        return Err(AltoError::invalid_value("add", id));
                    }
                    let path = format!("add/{id}");
                    let Value::Object(mut substream) = value else {
                        return Err(AltoError::invalid_type(path));
                    };
                    let update = AddUpdate {
                        resource_id: required_text(&mut substream, &path, "resource-id")?,
                        tag: tag(&mut substream, &path)?,
                        incremental_changes: match substream.remove("incremental-changes") {
                            None => true,
                            Some(Value::Bool(wanted)) => wanted,
                            Some(_) => {
                                let field = format!("{path}/incremental-changes");
                                return Err(AltoError::invalid_type(field));
                            }
                        },
                        input: input(&mut substream),
                    };
                    add.insert(id, update);
                }
            }
            Some(_) => return Err(AltoError::invalid_type("add")),
        }
        let remove = match request.remove("remove") {
            None => None,
            Some(Value::Array(ids)) => {
                let id = |id: Value| match id {
                    Value::String(id) => Ok(id),
                    other => Err(AltoError::invalid_value("remove", value_text(&other))),
                };
                Some(ids.into_iter().map(id).collect::<Result<_, _>>()?)
            }
            Some(_) => return Err(AltoError::invalid_type("remove")),
        };
        Ok(Self { add, remove })
    }
}

/// Whether a text can be the id of a substream: it has the form of a PID name (RFC 8895 §6.5),
/// but without the `.`, which separates it from a Content-ID (§5.2).
pub fn is_substream_id(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-:@_".contains(&b);
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

/// The members of an object that are read; others are skipped.
pub(super) type Members = &'static [(&'static str, Member)];

/// The form in which a member of a request is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Member {
    /// A tree, for small values.
    Tree,
    /// Canonical text, for values that may be long.
    Text,
    /// An object with these members.
    Members(Members),
    /// An object in which each member is an object with these members.
    Each(Members),
}

/// Reads a request that must be a JSON object.
pub(super) fn object(bytes: &[u8], members: Members) -> Result<Map<String, Value>, AltoError> {
    match json::read(bytes, Known::Members(members))? {
        Value::Object(object) => Ok(object),
        _ => Err(AltoError::syntax("the request must be a JSON object")),
    }
}

/// Removes the member `input`, which was read as text, from an object.
pub(super) fn input(object: &mut Map<String, Value>) -> Option<Input> {
    match object.remove("input") {
        Some(Value::String(text)) => Some(Input(text)),
        _ => None,
    }
}

/// Reads an object with known members, or one in which each member is such an object. Anything
/// that is not an object becomes `null`.
#[derive(Clone, Copy)]
enum Known {
    Members(Members),
    Each(Members),
}

impl<'de> Read<'de> for Known {
    type Output = Value;
    const WANTED: &'static str = "an object";

    fn string(self, _: &mut Walk<'de>, _: Cow<'de, str>) -> Option<Value> {
        Some(Value::Null)
    }

    fn number(self, _: &mut Walk<'de>, _: f64) -> Option<Value> {
        Some(Value::Null)
    }

    fn boolean(self, _: &mut Walk<'de>, _: bool) -> Option<Value> {
        Some(Value::Null)
    }

    fn null(self, _: &mut Walk<'de>) -> Option<Value> {
        Some(Value::Null)
    }

    fn array<A: SeqAccess<'de>>(
        self,
        _: &mut Walk<'de>,
        mut seq: A,
    ) -> Result<Option<Value>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Some(Value::Null))
    }

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<Value>, A::Error> {
        let mut object = Map::new();
        json::members(walk, &mut map, |walk, key, map| {
            let member = match self {
                Known::Each(members) => Some(Member::Members(members)),
                Known::Members(members) => {
                    let known = members.iter().find(|(name, _)| *name == key);
                    known.map(|(_, member)| *member)
                }
            };
            let Some(member) = member else {
                return json::skip(map);
            };
            if object.contains_key(key) {
                walk.duplicate();
            }
            let value = match member {
                Member::Tree => json::value(walk, map, Tree)?,
                Member::Each(members) => json::value(walk, map, Known::Each(members))?,
                Member::Members(members) => json::value(walk, map, Known::Members(members))?,
                Member::Text => {
                    let mut text = Vec::new();
                    json::value(walk, map, Canonical(&mut text))?;
                    Some(Value::String(String::from_utf8(text).unwrap_or_default()))
                }
            };
            if let Some(value) = value {
                object.insert(key.to_owned(), value);
            }
            Ok(())
        })?;
        Ok(Some(Value::Object(object)))
    }
}

/// Removes a member from the object at `path`; it must be a string.
pub(super) fn text(
    object: &mut Map<String, Value>,
    path: &str,
    member: &str,
) -> Result<Option<String>, AltoError> {
    match object.remove(member) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(AltoError::invalid_type(below(path, member))),
    }
}

/// Removes the member `tag` from the object at `path`. A text longer than any tag (RFC 7285
/// §10.3) is no version's tag, and is dropped.
pub(super) fn tag(
    object: &mut Map<String, Value>,
    path: &str,
) -> Result<Option<String>, AltoError> {
    const LONGEST: usize = 64;
    let tag = text(object, path, "tag")?;
    Ok(tag.filter(|tag| tag.len() <= LONGEST))
}

/// Removes a member that must be present and be a string.
pub(super) fn required_text(
    object: &mut Map<String, Value>,
    path: &str,
    member: &str,
) -> Result<String, AltoError> {
    text(object, path, member)?.ok_or_else(|| AltoError::missing_field(below(path, member)))
}

fn below(path: &str, member: &str) -> String {
    match path {
        "" => member.to_owned(),
        path => format!("{path}/{member}"),
    }
}

fn is_true(value: &bool) -> bool {
    *value
}

/// Distinguishes `null` from an absent member.
fn present<'de, D: Deserializer<'de>>(json: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(json).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alto::error::ErrorCode;

    #[test]
    fn a_request_is_read_and_patches_are_wanted_unless_it_says_no() {
        let text = br#"{"add":{"1":{"resource-id":"m","tag":"t","x":0},
            "2":{"resource-id":"c","incremental-changes":false,"input":{"srcs":[]}}}}"#;
        let request = UpdateStreamParams::read(text).expect("sound");
        assert_eq!(request.remove, None);
        let first = &request.add["1"];
        assert_eq!(
            (first.tag.as_deref(), first.incremental_changes),
            (Some("t"), true)
        );
        assert!(!request.add["2"].incremental_changes);
        let again = serde_json::to_vec(&request).expect("text");
        assert_eq!(UpdateStreamParams::read(&again), Ok(request));
    }

    #[test]
    fn what_is_longer_than_any_tag_is_not_kept() {
        let tag = |length: usize| {
            let tag = "t".repeat(length);
            let text = format!(r#"{{"add":{{"1":{{"resource-id":"m","tag":"{tag}"}}}}}}"#);
            let request = UpdateStreamParams::read(text.as_bytes()).expect("sound");
            request.add["1"].tag.as_ref().map(String::len)
        };
        assert_eq!([64, 65].map(tag), [Some(64), None]);
    }

    #[test]
    fn an_error_has_the_full_path_of_the_member() {
        let cases: [(&str, ErrorCode, Option<&str>); 8] = [
            ("[]", ErrorCode::Syntax, None),
            (r#"{"add":[]}"#, ErrorCode::InvalidFieldType, Some("add")),
            (
                r#"{"add":{"a":7}}"#,
                ErrorCode::InvalidFieldType,
                Some("add/a"),
            ),
            (
                r#"{"add":{"a":{}}}"#,
                ErrorCode::MissingField,
                Some("add/a/resource-id"),
            ),
            (
                r#"{"add":{"a":{"resource-id":"m","tag":1}}}"#,
                ErrorCode::InvalidFieldType,
                Some("add/a/tag"),
            ),
            (
                r#"{"add":{"a":{"resource-id":"m","incremental-changes":0}}}"#,
                ErrorCode::InvalidFieldType,
                Some("add/a/incremental-changes"),
            ),
            (
                r#"{"add":{"a.b":{"resource-id":"m"}}}"#,
                ErrorCode::InvalidFieldValue,
                Some("add"),
            ),
            (
                r#"{"remove":[7]}"#,
                ErrorCode::InvalidFieldValue,
                Some("remove"),
            ),
        ];
        for (text, code, field) in cases {
            let error = UpdateStreamParams::read(text.as_bytes()).expect_err(text);
            assert_eq!(
                (error.code, error.field.as_deref()),
                (code, field),
                "{text}"
            );
        }
    }

    #[test]
    fn a_wrong_id_to_remove_is_repeated_as_it_was_sent() {
        let error = UpdateStreamParams::read(br#"{"remove":["a",7]}"#).expect_err("a number");
        assert_eq!(error.value.as_deref(), Some("7"));
    }

    #[test]
    fn a_control_uri_of_null_is_told_from_none() {
        let read = |text| serde_json::from_str::<ControlUpdate>(text).expect("sound");
        assert_eq!(read(r#"{"control-uri":null}"#).control_uri, Some(None));
        assert_eq!(read(r#"{"started":["1"]}"#).control_uri, None);
        let first = ControlUpdate {
            control_uri: Some(Some("/c".into())),
            ..ControlUpdate::default()
        };
        let text = serde_json::to_string(&first).expect("text");
        assert_eq!(text, r#"{"control-uri":"/c"}"#);
    }
}
