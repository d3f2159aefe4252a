//! JSON patches, RFC 6902.

use json_patch::{Patch, PatchOperation, patch_unsafe};
use serde_json::Value;

use super::error::{MAX_DEPTH, PatchError};
use super::members::shallow;
use crate::alto::canonical::write_value;
use crate::alto::json::{Faults, Tree, read};

/// How much all operations together may move or copy, per byte of document and patch. It is far
/// more than any useful patch needs, and stops patches that copy a document into itself over and
/// over.
const COST_PER_BYTE: usize = 16;

/// Applies a JSON patch to a document. The document is turned into a tree: numbers become
/// doubles, as all numbers of ALTO are, and the result is canonical.
///
/// # Errors
/// A text is not JSON or is nested too deep, the patch is not a list of operations, or an
/// operation does not apply.
pub fn json_patch(target: &[u8], patch: &[u8]) -> Result<Vec<u8>, PatchError> {
    let (target, patch) = (shallow(target)?, shallow(patch)?);
    let limit = target
        .len()
        .saturating_add(patch.len())
        .saturating_mul(COST_PER_BYTE);
    let mut document = tree(target)?;
    let Patch(operations) = serde_json::from_value(tree(patch)?)
        .map_err(|error| PatchError::Form(error.to_string()))?;
    let mut left = limit;
    for (index, operation) in operations.iter().enumerate() {
        let refused = |reason: &dyn std::fmt::Display| PatchError::Operation {
            operation: index,
            reason: reason.to_string(),
        };
        let weight = Weight::of_operation(operation, &document);
        if weight.depth > MAX_DEPTH {
            return Err(refused(&format_args!("deeper than {MAX_DEPTH} levels")));
        }
        left = left.checked_sub(weight.cost).ok_or(PatchError::Excess {
            operation: index,
            limit,
        })?;
        // `patch` would undo all operations if one failed; this tree is dropped in that case.
        patch_unsafe(&mut document, std::slice::from_ref(operation))
            .map_err(|error| refused(&error.kind))?;
    }
    let mut out = Vec::with_capacity(target.len());
    write_value(&mut out, &document);
    Ok(out)
}

fn tree(text: &str) -> Result<Value, PatchError> {
    read(text.as_bytes(), Tree).map_err(|faults: Faults| PatchError::Syntax(faults.to_string()))
}

/// The effect of an operation on a document.
#[derive(Default)]
struct Weight {
    /// The least depth of the document at the place where the operation writes.
    depth: usize,
    /// About how many bytes and elements the operation moves or copies.
    cost: usize,
}

impl Weight {
    fn of_operation(operation: &PatchOperation, document: &Value) -> Self {
        let path = operation.path();
        let found = |from: &str| document.pointer(from).map(Self::of).unwrap_or_default();
        let value = match operation {
            // The depth of the patch was checked when it was read.
            PatchOperation::Add(add) => Self::of(&add.value),
            PatchOperation::Replace(replace) => Self::of(&replace.value),
            PatchOperation::Copy(copy) => found(copy.from.as_str()),
            PatchOperation::Move(from) => {
                let Weight { depth, cost } = found(from.from.as_str());
                let shifted = shifted(from.from.as_str(), document);
                Weight {
                    depth,
                    cost: cost.saturating_add(shifted),
                }
            }
            PatchOperation::Remove(_) | PatchOperation::Test(_) => Weight::default(),
        };
        Self {
            depth: value.depth.saturating_add(path.count()),
            cost: value.cost.saturating_add(shifted(path.as_str(), document)),
        }
    }

    fn of(value: &Value) -> Self {
        let all = |below: &mut dyn Iterator<Item = (usize, &Value)>| {
            below.fold(Weight { depth: 1, cost: 1 }, |sum, (name, value)| {
                let Weight { depth, cost } = Self::of(value);
                Weight {
                    depth: sum.depth.max(depth + 1),
                    cost: sum.cost.saturating_add(cost).saturating_add(name),
                }
            })
        };
        match value {
            Value::Array(elements) => all(&mut elements.iter().map(|element| (0, element))),
            Value::Object(members) => all(&mut members.iter().map(|(name, m)| (name.len(), m))),
            Value::String(text) => Weight {
                depth: 0,
                cost: text.len().saturating_add(1),
            },
            _ => Weight { depth: 0, cost: 1 },
        }
    }
}

/// Returns how many elements are moved when one is inserted or removed at a path.
fn shifted(path: &str, document: &Value) -> usize {
    let parent = path.rfind('/').and_then(|end| path.get(..end));
    match parent.and_then(|parent| document.pointer(parent)) {
        Some(Value::Array(elements)) => elements.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(target: &str, patch: &Value) -> Result<String, PatchError> {
        let patched = json_patch(target.as_bytes(), patch.to_string().as_bytes())?;
        Ok(String::from_utf8(patched).expect("text"))
    }

    #[test]
    fn every_operation_is_done_and_the_outcome_is_canonical() {
        let target = " { \"z\": 1.50, \"a\": {\"b\": [1, 2]}, \"m\": {\"x/y\": 0} } ";
        let patch = json!([
            {"op": "test", "path": "/a/b/0", "value": 1.0},
            {"op": "add", "path": "/a/b/-", "value": 3},
            {"op": "add", "path": "/a/b/0", "value": 0.1},
            {"op": "remove", "path": "/a/b/1"},
            {"op": "replace", "path": "/m/x~1y", "value": {"q": null}},
            {"op": "copy", "from": "/a/b", "path": "/c"},
            {"op": "move", "from": "/z", "path": "/a/z"},
        ]);
        assert_eq!(
            patched(target, &patch).expect("sound"),
            r#"{"a":{"b":[0.1,2,3],"z":1.5},"c":[0.1,2,3],"m":{"x/y":{"q":null}}}"#
        );
    }

    #[test]
    fn what_does_not_apply_is_an_error_with_its_place() {
        for operation in [
            json!({"op": "test", "path": "/a", "value": 2}),
            json!({"op": "remove", "path": "/b"}),
            json!({"op": "replace", "path": "/b", "value": 1}),
            json!({"op": "add", "path": "/b/c", "value": 1}),
            json!({"op": "copy", "from": "/b", "path": "/c"}),
            json!({"op": "move", "from": "/o", "path": "/o/p"}),
        ] {
            let patch = json!([{"op": "add", "path": "/n", "value": 1}, operation]);
            let refused = patched(r#"{"a":1,"o":{}}"#, &patch).expect_err("does not apply");
            let first = matches!(refused, PatchError::Operation { operation: 1, .. });
            assert!(first, "{operation}: {refused}");
        }
        // RFC 8895 §8.2 shows the operations in braces; RFC 6902 §3 wants a list.
        for patch in [
            json!({"op": "remove", "path": "/a"}),
            json!([{"op": "drop", "path": "/a"}]),
        ] {
            assert!(matches!(patched("{}", &patch), Err(PatchError::Form(_))));
        }
    }

    #[test]
    fn a_document_that_is_copied_into_itself_over_and_over_is_refused() {
        let doubling = json!({"op": "copy", "from": "", "path": "/a"});
        let patch = Value::from(vec![doubling; 60]);
        let refused = patched(r#"{"b":[1,2,3]}"#, &patch).expect_err("grows");
        assert!(matches!(refused, PatchError::Operation { .. }), "{refused}");
        let copies =
            (0..4000).map(|i| json!({"op": "copy", "from": "/a", "path": format!("/c{i}")}));
        let target = json!({"a": vec![0; 10_000]}).to_string();
        let refused = patched(&target, &copies.collect()).expect_err("too much");
        assert!(matches!(refused, PatchError::Excess { .. }), "{refused}");
    }

    #[test]
    fn a_list_that_is_shifted_over_and_over_is_refused() {
        let shifts = vec![json!({"op": "add", "path": "/a/0", "value": 1}); 10_000];
        let target = json!({"a": vec![0; 100_000]}).to_string();
        let refused = patched(&target, &Value::from(shifts)).expect_err("too much");
        assert!(matches!(refused, PatchError::Excess { .. }), "{refused}");
    }

    #[test]
    fn hostile_texts_are_errors() {
        let deep = "[".repeat(1_000_000);
        for (target, patch) in [
            ("{}", deep.as_str()),
            (&deep, "[]"),
            (r#"{"a":1,"a":2}"#, "[]"),
            (
                "{}",
                r#"[{"op":"add","op":"remove","path":"/a","value":1}]"#,
            ),
            ("{}", "[{}]"),
            ("{}", "7"),
            ("", "[]"),
        ] {
            assert!(
                json_patch(target.as_bytes(), patch.as_bytes()).is_err(),
                "{patch:.60}"
            );
        }
    }
}
