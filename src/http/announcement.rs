//! Where peers find what this node is.

use axum::http::HeaderValue;
use axum::http::header::LINK;
use axum::response::Response;

use crate::alto::ird::DESCRIBED;

/// Where the descriptor is beside its well-known place, which a proxy need not pass on.
pub(super) const DESCRIPTOR: &str = "/s2s/v1/descriptor";

/// The URL of the descriptor, which directories announce, of a node at this base.
pub(super) fn descriptor_url(base_url: &str) -> String {
    format!("{base_url}{DESCRIPTOR}")
}

/// An answer that says where peers find what this node is. Whoever may not read the
/// directory is told too: the descriptor is public, and a peer need not be a client.
pub(super) fn announced(base_url: &str, mut answer: Response) -> Response {
    let link = format!("<{}>; rel=\"{DESCRIBED}\"", descriptor_url(base_url));
    if let Ok(link) = HeaderValue::try_from(link) {
        answer.headers_mut().insert(LINK, link);
    }
    answer
}
