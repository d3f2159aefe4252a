//! Finds the descriptor of a server that its directory announces. A node below a path has no
//! descriptor at the well-known place of its origin, which belongs to somebody else.
//!
//! The announcement is in a `Link` header of every answer, also of a refusal, and in the `meta`
//! of the directory for whoever sees only that.

use reqwest::header::LINK;
use url::Url;

use crate::alto::ird::{DESCRIBED, Directory};
use crate::alto::media;
use crate::runtime::Elapsed;

use super::connection::{Call, taken};
use super::peer::PeerClient;
use super::peer_error::PeerError;

/// The most links of an answer that are read.
const MAX_LINKS: usize = 64;

impl PeerClient {
    /// Returns the descriptor that a directory announces, if it does. `max_bytes` is the size
    /// that the directory may have.
    ///
    /// # Errors
    /// There is no answer, or the directory cannot be read.
    pub async fn announced(
        &self,
        directory: &Url,
        max_bytes: usize,
    ) -> Result<Option<Url>, PeerError> {
        let connection = self.connection();
        let call = Call {
            max_bytes: Some(max_bytes),
            ..Call::new(directory, &[media::DIRECTORY])
        };
        let limit = connection.limits.total;
        let exchange = async {
            let response = connection.send(&call, super::decode::ACCEPTED).await?;
            let place = response.url().clone();
            let links = response.headers().get_all(LINK).iter().take(MAX_LINKS);
            let mut links = links.filter_map(|value| described(value.to_str().ok()?));
            if let Some(target) = links.next() {
                return Ok(place.join(&target).ok());
            }
            taken(&call, &response)?;
            let body = connection.body(response, &call).await?;
            let directory: Option<Directory> = serde_json::from_slice(&body).ok();
            let told = directory.and_then(|directory| directory.meta.alto_federation);
            Ok(told.and_then(|target| place.join(&target).ok()))
        };
        let found = connection.clock.timeout(limit, exchange).await;
        found.unwrap_or_else(|Elapsed| {
            let url = directory.to_string();
            Err(PeerError::Timeout { url, limit })
        })
    }
}

/// Returns the target of the link to a descriptor, of those in one `Link` header (RFC 8288 §3).
/// A proxy may have added links of its own.
fn described(header: &str) -> Option<String> {
    let mut rest = header;
    while let Some((_, begun)) = rest.split_once('<') {
        let (target, after) = begun.split_once('>')?;
        let (parameters, next) = parameters(after);
        let names = |relations: &str| {
            let mut all = relations.split_ascii_whitespace();
            all.any(|relation| relation.eq_ignore_ascii_case(DESCRIBED))
        };
        // The first `rel` counts (§3.3).
        let rel = parameters.iter().find(|(name, _)| name == "rel");
        if rel.is_some_and(|(_, relations)| names(relations)) {
            return Some(target.to_owned());
        }
        rest = next;
    }
    None
}

/// Returns the parameters of a link, and what follows them.
fn parameters(text: &str) -> (Vec<(String, String)>, &str) {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(begun) = rest.strip_prefix(';') {
        let end = begun.find(['=', ';', ',']).unwrap_or(begun.len());
        let (name, after) = begun.split_at(end);
        let (value, after) = match after.strip_prefix('=').map(str::trim_start) {
            None => (String::new(), after),
            Some(after) => match after.strip_prefix('"') {
                Some(quoted) => unquoted(quoted),
                None => {
                    let end = after.find([';', ',']).unwrap_or(after.len());
                    (after[..end].trim_end().to_owned(), &after[end..])
                }
            },
        };
        found.push((name.trim().to_ascii_lowercase(), value));
        rest = after.trim_start();
    }
    (found, rest)
}

/// Returns the text of a quoted string whose first quote was read, and what follows it.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_to_a_descriptor_is_found_among_others() {
        let found = |header: &str| described(header).unwrap_or_default();
        for header in [
            "</d>; rel=\"alto-federation\"",
            "</d>;rel=alto-federation",
            "</d>; REL = \"describedby Alto-Federation\"; type=\"a,<b>;c\"",
            "<https://x/a,b;c>; rel=next, </d>; title=\"a \\\"<b>\"; rel=alto-federation",
            "<a>; x; rel=\"alto-federations\",,</d>; rel=alto-federation, <b>; rel=up",
        ] {
            assert_eq!(found(header), "/d", "{header}");
        }
        for header in [
            "",
            "</d>",
            "</d; rel=alto-federation",
            "</d>; rev=alto-federation",
            "</d>; rel=up; rel=alto-federation",
            "</d>; title=\"; rel=alto-federation",
        ] {
            assert_eq!(found(header), "", "{header}");
        }
    }
}
