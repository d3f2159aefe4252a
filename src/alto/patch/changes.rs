//! The differences between two documents.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::error::PatchError;
use super::members::{check, is_object, members, order, shallow};

/// Calls `tell` for each value that differs between two documents, in canonical order, with its
/// path, the old and the new value as they are written, or `None` where there is none. An object
/// that both documents have is compared member by member; everything else is compared by its
/// text, including white space between tokens.
///
/// # Errors
/// A text is nested too deep, or is not JSON or has a member twice where they
/// differ.
pub fn changes<'a>(
    old: &'a [u8],
    new: &'a [u8],
    mut tell: impl FnMut(&[Cow<'a, str>], Option<&'a str>, Option<&'a str>),
) -> Result<(), PatchError> {
    let (old, new) = (shallow(old)?, shallow(new)?);
    // Objects are checked while they are compared.
    for text in [old, new].into_iter().filter(|text| !is_object(text)) {
        check(text)?;
    }
    walk(&mut Vec::new(), old, new, &mut tell)
}

fn walk<'a>(
    path: &mut Vec<Cow<'a, str>>,
    old: &'a str,
    new: &'a str,
    tell: &mut impl FnMut(&[Cow<'a, str>], Option<&'a str>, Option<&'a str>),
) -> Result<(), PatchError> {
    if old == new {
        return Ok(());
    }
    if !is_object(old) || !is_object(new) {
        tell(path, Some(old), Some(new));
        return Ok(());
    }
    let (mut before, mut after) = (members(old)?.into_iter(), members(new)?.into_iter());
    let (mut was, mut is) = (before.next(), after.next());
    loop {
        let which = match (&was, &is) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((was, _)), Some((is, _))) => order(was, is),
        };
        let gone = was.take_if(|_| which.is_le());
        let come = is.take_if(|_| which.is_ge());
        match (gone, come) {
            (Some((name, old)), Some((_, new))) => {
                path.push(name);
                walk(path, old, new, tell)?;
                path.pop();
            }
            (Some((name, value)), None) => {
                path.push(name);
                tell(path, Some(value), None);
                path.pop();
            }
            (None, Some((name, value))) => {
                path.push(name);
                tell(path, None, Some(value));
                path.pop();
            }
            (None, None) => {}
        }
        if which.is_le() {
            was = before.next();
        }
        if which.is_ge() {
            is = after.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_told_with_its_path_and_both_values() {
        let old = br#"{"cost-map":{"a":{"b":10,"c":3},"x":{"y":1}},"meta":{"t":["1"]}}"#;
        let new = br#"{"cost-map":{"a":{"b":12,"c":3},"n":{"y":1}},"meta":{"t":["2"]}}"#;
        let mut told = Vec::new();
        changes(old, new, |path, was, is| {
            let shown = |value: Option<&str>| value.unwrap_or("-").to_owned();
            told.push(format!("{} {} {}", path.join("/"), shown(was), shown(is)));
        })
        .expect("sound");
        assert_eq!(
            told,
            [
                "cost-map/a/b 10 12",
                "cost-map/n - {\"y\":1}",
                "cost-map/x {\"y\":1} -",
                "meta/t [\"1\"] [\"2\"]",
            ]
        );
    }
}
