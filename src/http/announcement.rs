//! Announces where peers find the description of this node.

use axum::http::HeaderValue;
use axum::http::header::LINK;
use axum::response::Response;

use crate::alto::ird::DESCRIBED;

/// The path of the descriptor besides its well-known place, which a proxy need not pass on.
pub(super) const DESCRIPTOR: &str = "/s2s/v1/descriptor";

/// Returns the URL of the descriptor of a node at this base, which directories announce.
pub(super) fn descriptor_url(base_url: &str) -> String {
    format!("{base_url}{DESCRIPTOR}")
}

/// Adds the link to the descriptor to an answer. A caller that may not read the directory gets
/// it too: the descriptor is public, and a peer need not be a client.
pub(super) fn announced(base_url: &str, mut answer: Response) -> Response {
    let link = format!("<{}>; rel=\"{DESCRIBED}\"", descriptor_url(base_url));
    if let Ok(link) = HeaderValue::try_from(link) {
        answer.headers_mut().insert(LINK, link);
    }
    answer
}
