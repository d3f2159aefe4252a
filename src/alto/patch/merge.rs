//! Merge patches, RFC 7396.

use std::cmp::Ordering;

use super::error::PatchError;
use super::members::{check, is_object, members, order, shallow};
use crate::alto::canonical::write_string;

/// Applies a merge patch to a document, both of any JSON layout.
///
/// Objects that the patch changes are written with their members in canonical order; the rest of
/// the document is copied byte for byte. The result is therefore canonical if both texts are.
/// Besides the result, the memory taken is that of the members of one object per level.
///
/// # Errors
/// A text is not JSON or nested too deep, or an object that is merged has a member
/// twice.
pub fn merge_patch(target: &[u8], patch: &[u8]) -> Result<Vec<u8>, PatchError> {
    let (target, patch) = (shallow(target)?, shallow(patch)?);
    let mut out = Vec::with_capacity(target.len().saturating_add(patch.len()));
    if !is_object(target) {
        check(target)?;
    }
    if !is_object(patch) {
        check(patch)?;
    }
    merge(&mut out, target, patch)?;
    Ok(out)
}

/// The object that a patch applies to where the document has none.
const NOTHING: &str = "{}";

fn merge(out: &mut Vec<u8>, target: &str, patch: &str) -> Result<(), PatchError> {
    if !is_object(patch) {
        out.extend_from_slice(patch.as_bytes());
        return Ok(());
    }
    let mut old = members(if is_object(target) { target } else { NOTHING })?.into_iter();
    let mut new = members(patch)?.into_iter();
    let (mut kept, mut change) = (old.next(), new.next());
    let mut separator = b'{';
    let mut name = |out: &mut Vec<u8>, text: &str| {
        out.push(separator);
        separator = b',';
        write_string(out, text);
        out.push(b':');
    };
    loop {
        let which = match (&kept, &change) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((kept, _)), Some((change, _))) => order(kept, change),
        };
        let taken = kept.take_if(|_| which.is_le());
        let changed = change.take_if(|_| which.is_ge());
        match (taken, changed) {
            (Some((member, value)), None) => {
                name(out, &member);
                out.extend_from_slice(value.as_bytes());
            }
            (_, Some((_, "null"))) | (None, None) => {}
            (taken, Some((member, value))) => {
                name(out, &member);
                merge(out, taken.map_or(NOTHING, |(_, value)| value), value)?;
            }
        }
        if which.is_le() {
            kept = old.next();
        }
        if which.is_ge() {
            change = new.next();
        }
    }
    if separator == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::alto::canonical::value_text;
    use crate::alto::patch::{MAX_DEPTH, changes};

    fn merged(target: &str, patch: &str) -> Result<String, PatchError> {
        let merged = merge_patch(target.as_bytes(), patch.as_bytes())?;
        Ok(String::from_utf8(merged).expect("text"))
    }

    #[test]
    fn the_examples_of_the_rfc_come_out_as_it_says() {
        // RFC 7396, appendix A.
        for (target, patch, outcome) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (
                r#"{"a":{"b":"c"}}"#,
                r#"{"a":{"b":"d","c":null}}"#,
                r#"{"a":{"b":"d"}}"#,
            ),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
            (r#"{"a":"foo"}"#, "null", "null"),
            (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
            ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            assert_eq!(
                merged(target, patch).expect(patch),
                outcome,
                "{target} {patch}"
            );
        }
    }

    #[test]
    fn numbers_that_are_not_touched_keep_their_text() {
        let target = r#"{"a":1.50,"b":{"c":9007199254740993,"d":1e2},"z":-0}"#;
        let outcome = r#"{"a":1.50,"b":{"c":9007199254740993,"d":3},"z":-0}"#;
        assert_eq!(merged(target, r#"{"b":{"d":3}}"#).expect("sound"), outcome);
    }

    #[test]
    fn members_in_any_order_and_layout_are_merged_into_canonical_order() {
        let target = " {\n\"b\" : 1 , \"a\\u0061\": { \"y\" :2, \"x\": 3 } } ";
        let outcome = r#"{"aa":{"x":3,"y":4},"b":1,"c":0}"#;
        assert_eq!(
            merged(target, r#"{"c":0,"aa":{"y":4}}"#).expect("sound"),
            outcome
        );
    }

    #[test]
    fn hostile_texts_are_errors() {
        let deep = |levels| "{\"a\":".repeat(levels) + "1" + &"}".repeat(levels);
        assert!(merged("{}", &deep(MAX_DEPTH)).is_ok());
        for (target, patch) in [
            ("{}", deep(MAX_DEPTH + 1).as_str()),
            ("{}", &"[".repeat(1_000_000)),
            (&deep(100_000), "{}"),
            ("{}", r#"{"a":1,"a":2}"#),
            ("{}", r#"{"b":0,"a":1,"c":0,"a":2}"#),
            (r#"{"a":1,"a":2}"#, "{}"),
            ("{}", r#"{"a":{"b":1,"b":1}}"#),
            ("{}", "{\"a\":tru}"),
            ("{", "{}"),
            ("nul", "{}"),
            ("{}", "nul"),
            ("{}", "{} {}"),
            ("{}", ""),
        ] {
            assert!(merged(target, patch).is_err(), "{:.60} {patch:.60}", target);
        }
        assert!(merge_patch(b"{}", b"{\"a\":\"\xff\"}").is_err());
    }

    /// Documents with names that differ in UTF-8 and UTF-16 order.
    pub(super) fn document() -> impl Strategy<Value = Value> {
        let name = prop_oneof![
            Just("a"),
            Just("b"),
            Just("\u{fb33}"),
            Just("\u{1f600}"),
            Just("\"")
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-1e9..1e9).prop_map(Value::from),
            "[a-c\"\\\\ \u{e9}]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 60, 5, move |inner| {
            let members = proptest::collection::vec((name.clone(), inner.clone()), 0..5);
            prop_oneof![
                proptest::collection::vec(inner, 0..3).prop_map(Value::from),
                members.prop_map(|members| {
                    members
                        .into_iter()
                        .map(|(k, v)| (k.to_owned(), v))
                        .collect()
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn text_is_merged_as_trees_are_and_stays_canonical(
            target in document(),
            patch in document(),
            canonical: bool,
        ) {
            let write = |value: &Value| {
                if canonical {
                    value_text(value)
                } else {
                    serde_json::to_string_pretty(value).expect("text")
                }
            };
            let outcome = merged(&write(&target), &write(&patch)).expect("sound");
            let mut tree = target;
            json_patch::merge(&mut tree, &patch);
            prop_assert_eq!(serde_json::from_str::<Value>(&outcome).expect("JSON"), tree.clone());
            if canonical {
                prop_assert_eq!(outcome, value_text(&tree));
            }
        }

        #[test]
        fn what_two_documents_differ_in_leads_from_one_to_the_other(
            old in document(),
            new in document(),
        ) {
            let (from, to) = (value_text(&old), value_text(&new));
            let mut patched = old;
            changes(from.as_bytes(), to.as_bytes(), |path, old, new| {
                assert_ne!(old, new);
                let mut place = &mut patched;
                if let Some((last, parents)) = path.split_last() {
                    for name in parents {
                        place = &mut place[name.as_ref()];
                    }
                    let object = place.as_object_mut().expect("an object");
                    match new {
                        Some(new) => object.insert(last.to_string(), serde_json::from_str(new).expect("JSON")),
                        None => object.remove(last.as_ref()),
                    };
                } else {
                    *place = serde_json::from_str(new.expect("a document")).expect("JSON");
                }
            }).expect("sound");
            prop_assert_eq!(patched, new);
        }
    }
}
