//! Reads the preferences of a request (RFC 7240).

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName};

pub(super) const PREFER: HeaderName = HeaderName::from_static("prefer");
pub(super) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Returns how long the client is ready to wait, by `Prefer: wait=N` in seconds (RFC 7240 §4.3).
/// If there are several, the first counts (§2); one that is not a number counts as no
/// preference.
pub(super) fn wait(headers: &HeaderMap) -> Option<Duration> {
    let fields = headers.get_all(PREFER).into_iter();
    let texts = fields.filter_map(|field| field.to_str().ok());
    let mut stated = texts.flat_map(|text| text.split(',')).filter_map(wait_of);
    stated.next()?
}

/// Returns the value of a `wait` preference, which is none if it is not a number; none if it is
/// another preference.
fn wait_of(preference: &str) -> Option<Option<Duration>> {
    // No parameters are defined for `wait`.
    let preference = preference.split(';').next().unwrap_or_default();
    let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
    name.trim().eq_ignore_ascii_case("wait").then(|| {
        let value = value.trim();
        let unquoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
        let digits = unquoted.unwrap_or(value);
        let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        // A number that is too large to parse is longer than any request takes.
        is_number.then(|| Duration::from_secs(digits.parse().unwrap_or(u64::from(u32::MAX))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(fields: &[&'static str]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(PREFER, field.parse().expect("a value"));
        }
        wait(&headers).map(|wait| wait.as_secs())
    }

    #[test]
    fn the_seconds_of_the_first_wait_are_read() {
        for (fields, wanted) in [
            (&["wait=10"][..], Some(10)),
            (&["respond-async, WAIT = \"7\" ; x=1"], Some(7)),
            (&["return=minimal", "wait=3, wait=9"], Some(3)),
            (&["wait=0"], Some(0)),
            (&["wait=99999999999999999999"], Some(u64::from(u32::MAX))),
            (&["wait"], None),
            (&["wait=-1"], None),
            (&["wait=soon, wait=4"], None),
            (&["waiting=4"], None),
            (&[], None),
        ] {
            assert_eq!(seconds(fields), wanted, "{fields:?}");
        }
    }
}
