//! Finds the descriptor of a server that its directory announces. A node below a path has no
//! descriptor at the well-known place of its origin, which belongs to somebody else.
//!
//! The announcement is in a `Link` header of every answer, also of a refusal, and in the `meta`
//! of the directory for whoever sees only that.

use reqwest::header::LINK;
use url::Url;

use crate::alto::ird::{DESCRIBED, Directory};
use crate::alto::media;

use super::connection::{Call, Received, Take, taken};
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
        let call = Call {
            max_bytes: Some(max_bytes),
            ..Call::new(directory, &[media::DIRECTORY])
        };
        let connection = self.connection();
        let mut linked = None;
        let exchange = connection.exchange(&call, |response| {
            let mut links = response.headers().get_all(LINK).iter().take(MAX_LINKS);
            linked = links.find_map(|value| described(value.to_str().ok()?));
            if linked.is_none() {
                taken(&call, response)?;
                Ok(Take::All)
            } else {
                Ok(Take::Head)
            }
        });
        let Received { place, body, .. } = exchange.await?;
        let target = linked.or_else(|| {
            let directory: Directory = serde_json::from_slice(&body).ok()?;
            directory.meta.alto_federation
        });
        Ok(target.and_then(|target| place.join(&target).ok()))
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
