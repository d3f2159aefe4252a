//! Finding a view, and telling which revision the merged one is of.

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

use crate::publish::{Snapshot, View, ViewName};

use super::app::App;
use super::refusal::{Refused, Wording, refused};

/// Says with every answer of the merged view which revision of our facts it
/// shows, and while that is not the newest, which is.
const REVISION: HeaderName = HeaderName::from_static("altofed-revision");

/// When who asked for a view that is still to come may ask again.
const RETRY: u64 = 2;

/// The view with a name, which the caller may read: that is asked before.
///
/// # Errors
/// There is none: it is still to come, so that it is refused for now, or it is
/// not found.
pub(super) fn find<'s>(
    app: &App,
    snapshot: &'s Snapshot,
    name: &ViewName,
    wording: Wording,
) -> Result<&'s Arc<View>, Refused> {
    if let Some(view) = snapshot.view(name) {
        return Ok(view);
    }
    let is_coming = match name {
        ViewName::Merged => true,
        // What peers passed before the start: which domains is seen then.
        ViewName::Domain(_) => !app.federation.restoring().borrow().is_over(),
    };
    if !is_coming {
        let detail = format!("there is no view {name}");
        let response = wording.refuse(StatusCode::NOT_FOUND, "path", &detail);
        return Err(refused(response));
    }
    let detail = "the node has just started and is still making this view; ask again shortly";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Err(refused(wording.later(status, "starting", detail, RETRY)))
}

/// Marks an answer of a view with its revision, if it is of the merged one.
pub(super) fn marked(snapshot: &Snapshot, name: &ViewName, mut response: Response) -> Response {
    let revision = snapshot.merged_revision();
    if let Some(revision) = revision.filter(|_| *name == ViewName::Merged) {
        let text = match snapshot.revision {
            newest if newest == revision => revision.to_string(),
            newest => format!("{revision};newest={newest}"),
        };
        if let Ok(value) = HeaderValue::try_from(text) {
            response.headers_mut().insert(REVISION, value);
        }
    }
    response
}
