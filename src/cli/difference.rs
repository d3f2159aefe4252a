//! The differences between two documents, for people.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::alto::canonical::number_text;
use crate::alto::patch::{PatchError, changes};

/// The most characters of a value that are shown.
const MAX_SHOWN: usize = 60;

/// Describes the differences between two documents, apart from their `meta`, with a line for
/// each value.
///
/// # Errors
/// One of them is not JSON, or nested too deep.
pub fn difference_lines(old: &[u8], new: &[u8]) -> Result<Vec<String>, PatchError> {
    let mut lines = Vec::new();
    changes(old, new, |path, was, is| {
        let path: Vec<String> = path.iter().map(|name| name.to_string()).collect();
        let (was, is) = (leaves(&path, was), leaves(&path, is));
        let places: BTreeSet<&Vec<String>> = was.keys().chain(is.keys()).collect();
        for place in places {
            tell(&mut lines, place, was.get(place), is.get(place));
        }
    })?;
    Ok(lines)
}

/// Returns the values inside a value that are not objects, by their paths.
fn leaves(path: &[String], value: Option<&str>) -> BTreeMap<Vec<String>, Value> {
    let mut found = BTreeMap::new();
    let mut open: Vec<(Vec<String>, Value)> = value
        .and_then(|text| serde_json::from_str(text).ok())
        .map(|value| (path.to_vec(), value))
        .into_iter()
        .collect();
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Object(members) => open.extend(members.into_iter().map(|(name, value)| {
                let mut path = path.clone();
                path.push(name);
                (path, value)
            })),
            leaf => {
                found.insert(path, leaf);
            }
        }
    }
    found
}

/// Describes the change of one value in the terms of its document.
fn tell(lines: &mut Vec<String>, path: &[String], was: Option<&Value>, is: Option<&Value>) {
    let list = |value: Option<&Value>| -> BTreeSet<String> {
        let elements = value.and_then(Value::as_array).into_iter().flatten();
        elements.map(plain).collect()
    };
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    match names.as_slice() {
        ["meta", ..] => {}
        ["network-map", pid, _] => {
            let (was, is) = (list(was), list(is));
            lines.extend(
                was.difference(&is)
                    .map(|prefix| format!("{pid} - {prefix}")),
            );
            lines.extend(
                is.difference(&was)
                    .map(|prefix| format!("{pid} + {prefix}")),
            );
        }
        ["cost-map" | "endpoint-cost-map", src, dst] => {
            lines.push(format!("{src} → {dst}  {} → {}", shown(was), shown(is)));
        }
        [_, place @ ..] => {
            lines.push(format!(
                "{}  {} → {}",
                place.join(" "),
                shown(was),
                shown(is)
            ));
        }
        [] => {}
    }
}

fn shown(value: Option<&Value>) -> String {
    let text = value.map_or("-".to_owned(), plain);
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.escape_debug().to_string(),
        Value::Number(number) => number_text(number.as_f64().unwrap_or(f64::NAN)),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_and_prefixes_are_told_as_people_speak_of_them() {
        let told =
            |old: &str, new: &str| difference_lines(old.as_bytes(), new.as_bytes()).expect("sound");
        assert_eq!(
            told(
                r#"{"meta":{"x":1},"cost-map":{"a":{"b":10,"c":1},"b":{"a":2}}}"#,
                r#"{"meta":{"x":2},"cost-map":{"a":{"b":12,"c":1},"n":{"a":0.5}}}"#,
            ),
            ["a → b  10 → 12", "b → a  2 → -", "n → a  - → 0.5"]
        );
        assert_eq!(
            told(
                r#"{"network-map":{"p":{"ipv4":["10.0.0.0/8","11.0.0.0/8"]},"q":{}}}"#,
                r#"{"network-map":{"p":{"ipv4":["11.0.0.0/8"],"ipv6":["::/0"]}}}"#,
            ),
            ["p - 10.0.0.0/8", "p + ::/0"]
        );
        assert_eq!(
            told(
                r#"{"endpoint-properties":{"ipv4:192.0.2.1":{"m.pid":"a"}}}"#,
                r#"{"endpoint-properties":{"ipv4:192.0.2.1":{"m.pid":"b"}}}"#,
            ),
            ["ipv4:192.0.2.1 m.pid  a → b"]
        );
    }
}
