//! Finds views, and marks answers with the revision of the merged view.

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

use crate::publish::{Snapshot, View, ViewName};

use super::app::App;
use super::openapi::Parameter;
use super::refusal::{Refused, Wording, refused};

/// The name of a view in a path.
pub(super) const VIEW: Parameter = Parameter {
    place: "path",
    name: "view",
    description: "`merged`, or the label of a domain",
    kind: "string",
};

/// The header of every answer of the merged view: which revision of our facts the view shows,
/// and which is the newest if that is another.
const REVISION: HeaderName = HeaderName::from_static("altofed-revision");

/// How many seconds to wait before asking again for a view that is still being made.
const RETRY: u64 = 2;

/// Returns the view with a name. The caller must have checked that it may be read.
///
/// # Errors
/// There is no such view: 503 if it is still being made, otherwise 404.
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
        // Which domains peers passed before the start is only known once they are restored.
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

/// Marks an answer of the merged view with its revision; leaves answers of other views as they
/// are.
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
