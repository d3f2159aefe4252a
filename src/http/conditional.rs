//! Entity tags and conditional requests (RFC 9110 §8.8.3 and §13).

use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::ident::Tag;
use crate::ingest::{Condition, Wanted};
use crate::render::Coding;

/// Returns the strong entity tag of a representation: the tag of the content, with a suffix for
/// its coding.
pub fn etag(tag: &Tag, coding: Coding) -> HeaderValue {
    let text = match coding.name() {
        None => format!("\"{tag}\""),
        Some(coding) => format!("\"{tag}-{coding}\""),
    };
    // Tags are printable ASCII; one that cannot be in a header is sent as an empty tag.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// Reads the conditions of a write. They are about the content, in whatever coding the client
/// read it.
pub fn condition(headers: &HeaderMap) -> Condition {
    let uncoded = |tag: String| {
        let coded = ["-gzip", "-zstd"]
            .iter()
            .find_map(|coding| tag.strip_suffix(coding));
        coded.map(str::to_owned).unwrap_or(tag)
    };
    let of_content = |name| match wanted(headers, name)? {
        Wanted::Tags(tags) => Some(Wanted::Tags(tags.into_iter().map(uncoded).collect())),
        Wanted::Any => Some(Wanted::Any),
    };
    Condition {
        if_match: of_content(IF_MATCH),
        if_none_match: of_content(IF_NONE_MATCH),
    }
}

/// Whether a GET is answered 304 since the client has this representation. The comparison is
/// weak (RFC 9110 §13.1.2).
pub fn not_modified(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let current = etag
        .to_str()
        .unwrap_or_default()
        .trim_matches('"')
        .to_owned();
    match wanted(headers, IF_NONE_MATCH) {
        None => false,
        Some(Wanted::Any) => true,
        Some(Wanted::Tags(tags)) => tags.contains(&current),
    }
}

/// Reads the entity tags of a condition. A weak tag never matches in the strong comparison that
/// `If-Match` uses (RFC 9110 §13.1.1).
fn wanted(headers: &HeaderMap, name: HeaderName) -> Option<Wanted> {
    let strong = name == IF_MATCH;
    let mut tags = Vec::new();
    let mut present = false;
    for value in headers.get_all(name) {
        present = true;
        let text = value.to_str().unwrap_or_default();
        if text.trim() == "*" {
            return Some(Wanted::Any);
        }
        let tags_here = text.split(',').map(str::trim);
        let compared = tags_here.filter(|tag| !(strong && tag.starts_with("W/")));
        tags.extend(compared.map(|tag| {
            let opaque = tag.strip_prefix("W/").unwrap_or(tag);
            opaque.trim_matches('"').to_owned()
        }));
    }
    present.then_some(Wanted::Tags(tags))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: HeaderName, value: &str) -> Condition {
        let value = HeaderValue::from_str(value).expect("valid");
        condition(&HeaderMap::from_iter([(name, value)]))
    }

    #[test]
    fn if_match_wants_content_and_if_none_match_its_absence() {
        let tag = Tag::new("abc").expect("valid");
        let now = Some(&tag);
        assert!(Condition::default().holds(now) && Condition::default().holds(None));
        assert!(with(IF_MATCH, "\"x\", \"abc\"").holds(now));
        assert!(!with(IF_MATCH, "\"x\"").holds(now));
        assert!(!with(IF_MATCH, "W/\"abc\"").holds(now));
        assert!(!with(IF_NONE_MATCH, "W/\"abc\"").holds(now));
        assert!(with(IF_MATCH, "\"abc-gzip\"").holds(now));
        assert!(with(IF_MATCH, "*").holds(now) && !with(IF_MATCH, "*").holds(None));
        assert!(with(IF_NONE_MATCH, "*").holds(None));
        assert!(!with(IF_NONE_MATCH, "*").holds(now));
        assert!(with(IF_NONE_MATCH, "\"x\"").holds(now));
    }

    #[test]
    fn each_coding_has_its_own_entity_tag() {
        let tag = Tag::new("abc").expect("valid");
        let gzip = etag(&tag, Coding::Gzip);
        assert_eq!(gzip, "\"abc-gzip\"");
        let has = |value: &'static str| {
            let headers = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static(value))]);
            not_modified(&headers, &gzip)
        };
        assert!(
            has("\"abc-gzip\"") && has("W/\"abc-gzip\"") && has("*") && has("\"z\",\"abc-gzip\"")
        );
        assert!(!has("\"abc\"") && !has(""));
    }
}
