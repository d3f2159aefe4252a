//! Merge patches of JSON values.

use serde_json::Value;

/// Applies a merge patch to a value, RFC 7396 §2.
pub(super) fn merge_patch(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = serde_json::json!({});
    }
    let Some(object) = target.as_object_mut() else {
        return;
    };
    for (name, change) in patch {
        if change.is_null() {
            object.remove(&name);
        } else {
            merge_patch(object.entry(name).or_insert(Value::Null), change);
        }
    }
}
