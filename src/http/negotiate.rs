//! Content negotiation (RFC 9110 §12.5): which representations a client accepts.

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};

use crate::render::Coding;

/// Answers shorter than this, in bytes, are sent without a coding.
const WORTH_COMPRESSING: usize = 4 * 1024;

/// Whether the client accepts responses of this media type. Without an `Accept` header it
/// accepts any.
pub fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let mut ranges = items(headers, ACCEPT).peekable();
    if ranges.peek().is_none() {
        return true;
    }
    let (kind, _) = media_type.split_once('/').unwrap_or((media_type, ""));
    // The most specific range that matches decides (RFC 9110 §12.5.1).
    let specificity = |range: &str| match range.split_once('/') {
        Some(("*", "*")) => Some(0),
        Some((of, "*")) if of.eq_ignore_ascii_case(kind) => Some(1),
        _ if range.eq_ignore_ascii_case(media_type) => Some(2),
        _ => None,
    };
    ranges
        .filter_map(|item| Some((specificity(item.value)?, item.quality)))
        .max_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal))
        .is_some_and(|(_, quality)| quality > 0.0)
}

/// Returns the coding that the client prefers, and among equals the one that this node prefers;
/// `None` if the client refuses even the identity.
pub fn coding(headers: &HeaderMap) -> Option<Coding> {
    let asked: Vec<Item<'_>> = items(headers, ACCEPT_ENCODING).collect();
    let any = quality(&asked, "*");
    let candidates = [
        (Coding::Zstd, quality(&asked, "zstd").or(any).unwrap_or(0.0)),
        (Coding::Gzip, quality(&asked, "gzip").or(any).unwrap_or(0.0)),
        (Coding::Identity, identity(&asked)),
    ];
    let best = candidates
        .iter()
        .map(|(_, quality)| *quality)
        .fold(0.0, f32::max);
    let wanted = |(_, quality): &&(Coding, f32)| *quality > 0.0 && *quality >= best;
    candidates.iter().find(wanted).map(|(coding, _)| *coding)
}

/// Whether the client accepts a body without a coding.
pub fn takes_identity(headers: &HeaderMap) -> bool {
    identity(&items(headers, ACCEPT_ENCODING).collect::<Vec<_>>()) > 0.0
}

fn quality(asked: &[Item<'_>], name: &str) -> Option<f32> {
    let named = asked
        .iter()
        .find(|item| item.value.eq_ignore_ascii_case(name));
    named.map(|item| item.quality)
}

/// Returns the weight of the identity. It is accepted unless it is refused, by name or with all
/// others (RFC 9110 §12.5.3); if it is not named it is the last choice.
fn identity(asked: &[Item<'_>]) -> f32 {
    match (quality(asked, "identity"), quality(asked, "*")) {
        (Some(quality), _) => quality,
        (None, Some(0.0)) => 0.0,
        _ => f32::MIN_POSITIVE,
    }
}

/// Whether the body of a request has this media type. Parameters and case are ignored.
pub fn has_type(headers: &HeaderMap, media_type: &str) -> bool {
    let stated = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    stated
        .and_then(|text| text.split(';').next())
        .is_some_and(|stated| stated.trim().eq_ignore_ascii_case(media_type))
}

struct Item<'a> {
    value: &'a str,
    quality: f32,
}

/// Returns the elements of a list header with their weights. An invalid weight counts as 1, as
/// in most servers; other parameters are ignored.
fn items(headers: &HeaderMap, name: axum::http::HeaderName) -> impl Iterator<Item = Item<'_>> {
    let lists = headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    let elements = lists.flat_map(|list| list.split(','));
    elements.filter_map(|element| {
        let mut parts = element.split(';').map(str::trim);
        let value = parts.next().filter(|value| !value.is_empty())?;
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        let quality = weight.and_then(|text| text.parse().ok()).unwrap_or(1.0_f32);
        Some(Item {
            value,
            quality: quality.clamp(0.0, 1.0),
        })
    })
}

/// Chooses the coding for a body of this length; `None` if the client accepts none.
pub(super) fn chosen(headers: &HeaderMap, length: usize) -> Option<Coding> {
    if !headers.contains_key(ACCEPT_ENCODING) {
        return Some(Coding::Identity);
    }
    let best = coding(headers)?;
    let short = length < WORTH_COMPRESSING && takes_identity(headers);
    Some(if short { Coding::Identity } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn with(name: axum::http::HeaderName, value: &str) -> HeaderMap {
        let value = HeaderValue::from_str(value).expect("valid");
        HeaderMap::from_iter([(name, value)])
    }

    #[test]
    fn the_most_specific_range_decides() {
        let takes = |value: &str| accepts(&with(ACCEPT, value), "application/alto-costmap+json");
        assert!(accepts(&HeaderMap::new(), "application/alto-costmap+json"));
        for yes in [
            "*/*",
            "application/*",
            "APPLICATION/Alto-CostMap+JSON",
            "text/html, */*;q=0.1",
            "application/alto-costmap+json;q=0.5, application/alto-error+json",
            "",
            "*/*;q=0, application/alto-costmap+json",
        ] {
            assert!(takes(yes), "{yes:?}");
        }
        for no in [
            "text/html",
            "application/json",
            "application/alto-costmap+json;q=0, */*",
            "application/*;q=0, */*",
            "text/*",
        ] {
            assert!(!takes(no), "{no:?}");
        }
    }

    #[test]
    fn codings_are_chosen_by_weight_then_by_our_preference() {
        let chosen = |value: &str| coding(&with(ACCEPT_ENCODING, value));
        assert_eq!(coding(&HeaderMap::new()), Some(Coding::Identity));
        assert_eq!(chosen("gzip, deflate, br, zstd"), Some(Coding::Zstd));
        assert_eq!(chosen("gzip, deflate"), Some(Coding::Gzip));
        assert_eq!(chosen("zstd;q=0.5, gzip;q=0.9"), Some(Coding::Gzip));
        assert_eq!(chosen("identity, gzip;q=0.5"), Some(Coding::Identity));
        assert_eq!(chosen("*"), Some(Coding::Zstd));
        assert_eq!(chosen("gzip;q=0, *"), Some(Coding::Zstd));
        assert_eq!(chosen("br"), Some(Coding::Identity));
        assert_eq!(chosen("identity;q=0"), None);
        assert_eq!(chosen("*;q=0"), None);
        assert_eq!(chosen("gzip;q=0"), Some(Coding::Identity));
    }

    #[test]
    fn a_content_type_is_compared_without_case_and_parameters() {
        let is = |value: &str| has_type(&with(CONTENT_TYPE, value), "application/json");
        assert!(is("application/json") && is("Application/JSON; charset=utf-8"));
        assert!(!is("application/jsonx") && !is(""));
        assert!(!has_type(&HeaderMap::new(), "application/json"));
    }
}
