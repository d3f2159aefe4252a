//! `altofed query … watch`

use std::collections::BTreeMap;

use bytes::Bytes;
use clap::Args;
use serde_json::{Map, Value, json};
use url::Url;

use crate::alto::patch::{PatchError, changes};
use crate::client::{Client, Directory, FollowSettings, Followed, Follower, News, Update};
use crate::runtime::{Clock, Pool};

use super::difference::difference_lines;
use super::failure::Failure;
use super::output::say;

/// What is watched.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The ids of the resources, as the directory has them.
    #[arg(required = true, value_name = "RESOURCE")]
    resources: Vec<String>,
    /// The parameters of the resources that are asked by POST.
    #[arg(long, value_name = "JSON", value_parser = json_text)]
    input: Option<Value>,
    /// End after this many changes.
    #[arg(long, value_name = "N")]
    count: Option<usize>,
}

/// The most lines that describe a change; further ones are only counted.
const MAX_LINES: usize = 20;

fn json_text(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text)
}

/// Prints changes as they come, until the process or the count ends it.
pub(super) async fn run(
    client: &Client,
    directory: &Directory,
    root: &Url,
    options: &Options,
    json: bool,
) -> Result<(), Failure> {
    let followed = |id: &String| {
        let resource = directory.get(id);
        let posted = resource.is_some_and(|resource| resource.entry.accepts.is_some());
        Followed {
            resource_id: id.clone(),
            input: options.input.clone().filter(|_| posted),
        }
    };
    let wanted = options.resources.iter().map(followed).collect();
    let clock = Clock::system();
    let mut follower = Follower::new(
        client.connection(),
        Pool::new(0)?,
        root.clone(),
        wanted,
        FollowSettings::default(),
    );
    let mut shown: BTreeMap<usize, Bytes> = BTreeMap::new();
    let (mut told, mut begun) = (0, false);
    loop {
        if options.count.is_some_and(|count| told >= count) {
            return Ok(());
        }
        let news = tokio::select! {
            news = follower.next() => news?,
            ended = tokio::signal::ctrl_c() => return Ok(ended?),
        };
        match news {
            News::Following(mode) => {
                begun = true;
                let resources = &options.resources;
                if json {
                    say(json!({"following": resources, "mode": mode.as_str()}))?
                } else {
                    say(format_args!(
                        "Following {} by {}.",
                        resources.join(", "),
                        mode.as_str()
                    ))?
                }
            }
            News::Interrupted {
                mode: None, error, ..
            } if !begun => return Err(error.into()),
            News::Interrupted {
                error, again_in, ..
            } if again_in.is_zero() => eprintln!("altofed: {error}; trying another way"),
            News::Interrupted {
                error, again_in, ..
            } => eprintln!("altofed: {error}; again in {:.1} s", again_in.as_secs_f64()),
            News::Changed(updates) => {
                let time = clock.wall().strftime("%FT%TZ").to_string();
                for update in updates {
                    let before = shown.insert(update.index, update.body.clone());
                    told += usize::from(before.is_some());
                    if json {
                        say(document(&time, &update, before.as_deref())?)?
                    } else {
                        table(&time, &update, before.as_deref())?
                    }
                }
            }
        }
    }
}

/// Prints a change for people.
fn table(time: &str, update: &Update, before: Option<&[u8]>) -> Result<(), Failure> {
    let lines = difference_lines(before.unwrap_or(b"{}"), &update.body)?;
    let Update {
        resource_id, tag, ..
    } = update;
    if before.is_none() {
        let there = format_args!("{time} {resource_id} {tag}: {} values", lines.len());
        return Ok(say(there)?);
    }
    say(format_args!("{time} {resource_id} {tag}"))?;
    for line in lines.iter().take(MAX_LINES) {
        say(format_args!("  {line}"))?;
    }
    if lines.is_empty() {
        say("  only meta changed")?;
    }
    if let Some(more @ 1..) = lines.len().checked_sub(MAX_LINES) {
        say(format_args!("  and {more} more"))?;
    }
    Ok(())
}

/// Describes a change for scripts: the difference as a merge patch; or the whole document if it
/// is the first, or if the difference contains `null` as a value.
fn document(time: &str, update: &Update, before: Option<&[u8]>) -> Result<Value, Failure> {
    let mut line = json!({
        "time": time,
        "resource": update.resource_id,
        "tag": update.tag,
        "mode": update.mode.as_str(),
    });
    let patch = before.map(|before| difference(before, &update.body));
    match patch.transpose()?.flatten() {
        Some(patch) => line["patch"] = patch,
        None => line["document"] = serde_json::from_slice(&update.body)?,
    }
    Ok(line)
}

/// Returns the difference between two documents as a merge patch, unless a merge patch cannot
/// express it.
fn difference(old: &[u8], new: &[u8]) -> Result<Option<Value>, PatchError> {
    let mut patch = Some(Value::Object(Map::new()));
    changes(old, new, |path, _, is| {
        let value = is
            .map(serde_json::from_str::<Value>)
            .transpose()
            .ok()
            .flatten();
        let Some(place) = patch.as_mut() else { return };
        if path.is_empty() || is.is_some() && value.as_ref().is_none_or(has_null) {
            patch = None;
            return;
        }
        let place = path
            .iter()
            .fold(place, |place, name| &mut place[name.as_ref()]);
        *place = value.unwrap_or(Value::Null);
    })?;
    Ok(patch)
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.values().any(has_null),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_told_a_merge_patch_unless_null_is_a_value() {
        let told =
            |new: &str| difference(br#"{"a":{"b":1,"c":2}}"#, new.as_bytes()).expect("sound");
        assert_eq!(
            told(r#"{"a":{"b":3},"d":{"e":[null]}}"#),
            Some(json!({"a": {"b": 3, "c": null}, "d": {"e": [null]}}))
        );
        assert_eq!(told(r#"{"a":{"b":1,"c":null}}"#), None);
        assert_eq!(told("[]"), None);
    }
}
