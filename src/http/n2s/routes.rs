//! The routes of the API and their descriptions.

use axum::extract::Path;
use axum::http::{Method, StatusCode};
use axum::routing;

use crate::alto::media;
use crate::api::n2s::{
    ConflictList, HeldList, RevisionDocument, RevisionList, TransactionDocument, WriteAnswer,
};
use crate::api::problem::Problem;
use crate::auth::Scope;
use crate::facts::{Description, KINDS};
use crate::http::openapi::{Content, Operation, Parameter, Route, content};

use super::documents::{document, restore, transaction};
use super::reports::{conflicts, held, revision, revisions};

/// Returns the routes of the API.
pub(in crate::http) fn routes() -> Vec<Route> {
    let mut routes: Vec<Route> = KINDS.iter().copied().map(document_route).collect();
    routes.extend([
        Route {
            path: "/n2s/v1/transaction",
            service: "n2s",
            operations: vec![Operation {
                method: Method::POST,
                id: "postTransaction",
                summary: "Change several documents as one revision, all or none",
                scope: Some(Scope::Ingest),
                parameters: vec![SOURCE, DRY_RUN, ACCEPT, IF_MATCH, KEY, PREFER],
                request: vec![content::<TransactionDocument>(media::JSON)],
                responses: written(),
            }],
            varied: false,
            handler: routing::any(transaction),
        },
        Route {
            path: "/n2s/v1/revisions",
            service: "n2s",
            operations: vec![Operation {
                method: Method::GET,
                id: "listRevisions",
                summary: "Who changed what, and when, oldest first",
                scope: Some(Scope::Ingest),
                parameters: vec![AFTER],
                request: Vec::new(),
                responses: found::<RevisionList>(
                    "At most 100 revisions; the ETag is of the newest revision, for If-Match on a \
                     transaction",
                ),
            }],
            varied: false,
            handler: routing::any(revisions),
        },
        Route {
            path: "/n2s/v1/revisions/{revision}",
            service: "n2s",
            operations: vec![Operation {
                method: Method::GET,
                id: "getRevision",
                summary: "Who changed what, and when, in one revision",
                scope: Some(Scope::Ingest),
                parameters: vec![REVISION],
                request: Vec::new(),
                responses: found::<RevisionDocument>("The revision"),
            }],
            varied: false,
            handler: routing::any(revision),
        },
        Route {
            path: "/n2s/v1/revisions/{revision}/restore",
            service: "n2s",
            operations: vec![Operation {
                method: Method::POST,
                id: "restoreRevision",
                summary: "State the facts of all sources as they were after a revision, as a new \
                          revision",
                scope: Some(Scope::Operate),
                parameters: vec![REVISION, DRY_RUN, IF_MATCH, KEY, PREFER],
                request: Vec::new(),
                responses: written(),
            }],
            varied: false,
            handler: routing::any(restore),
        },
        Route {
            path: "/n2s/v1/conflicts",
            service: "n2s",
            operations: vec![Operation {
                method: Method::GET,
                id: "listConflicts",
                summary: "The facts that are kept and not used, and why",
                scope: Some(Scope::Ingest),
                parameters: Vec::new(),
                request: Vec::new(),
                responses: found::<ConflictList>("The conflicts"),
            }],
            varied: false,
            handler: routing::any(conflicts),
        },
        Route {
            path: "/n2s/v1/held",
            service: "n2s",
            operations: vec![Operation {
                method: Method::GET,
                id: "listHeld",
                summary: "The sources whose writes are held because they remove too much of what \
                          they state",
                scope: Some(Scope::Ingest),
                parameters: Vec::new(),
                request: Vec::new(),
                responses: found::<HeldList>(
                    "Each source, since when, and what its last write would change",
                ),
            }],
            varied: false,
            handler: routing::any(held),
        },
    ]);
    routes
}

const fn query(name: &'static str, kind: &'static str, description: &'static str) -> Parameter {
    Parameter {
        place: "query",
        name,
        description,
        kind,
    }
}

const fn header(name: &'static str, description: &'static str) -> Parameter {
    Parameter {
        place: "header",
        name,
        description,
        kind: "string",
    }
}

const REVISION: Parameter = Parameter {
    place: "path",
    name: "revision",
    description: "The number of a revision",
    kind: "integer",
};
const SOURCE: Parameter = query(
    "source",
    "string",
    "The source of the facts; by default the token's own. `*` reads what all sources state \
     together",
);
const DRY_RUN: Parameter = query(
    "dry-run",
    "boolean",
    "`true`: the same checks and the same answer, nothing kept",
);
const ACCEPT: Parameter = query(
    "accept",
    "boolean",
    "`true`: accepts a write that removes more than `max_removed` allows at once",
);
const AFTER: Parameter = query("after", "integer", "List the revisions after this one");
const IF_MATCH: Parameter = header(
    "If-Match",
    "The ETag that the change is based on; 412 if it is stale",
);
const IF_NONE_MATCH: Parameter = header(
    "If-None-Match",
    "`*`: only if there is no such document yet",
);
const KEY: Parameter = header(
    "Idempotency-Key",
    "A repeat with the same key within a day gets the first answer",
);

const PREFER: Parameter = header(
    "Prefer",
    "`wait=N`: waits up to N seconds until the merged view shows the write (RFC 7240)",
);

fn written() -> Vec<(StatusCode, &'static str, Vec<Content>)> {
    let answer = || vec![content::<WriteAnswer>(media::JSON)];
    vec![
        (
            StatusCode::OK,
            "Done, durable and shown by our own view; a warning says if the merged one follows",
            answer(),
        ),
        (
            StatusCode::CREATED,
            "A document is there that was not before",
            answer(),
        ),
        (
            StatusCode::INSUFFICIENT_STORAGE,
            "Nothing was changed: there is no room on the node's disk (store.min_free)",
            vec![content::<Problem>(media::PROBLEM)],
        ),
    ]
}

fn found<T: schemars::JsonSchema>(
    text: &'static str,
) -> Vec<(StatusCode, &'static str, Vec<Content>)> {
    vec![(StatusCode::OK, text, vec![content::<T>(media::JSON)])]
}

/// Returns the route of the documents of a kind.
fn document_route(description: &'static Description) -> Route {
    let named = description.name.as_ref().map(|name| Parameter {
        place: "path",
        name: name.parameter,
        description: name.what,
        kind: "string",
    });
    let handler = match named {
        Some(_) => routing::any(move |Path(name): Path<String>, app, caller, request| {
            document(description, name, app, caller, request)
        }),
        None => routing::any(move |app, caller, request| {
            document(description, String::new(), app, caller, request)
        }),
    };
    let with = |more: &[Parameter]| named.into_iter().chain(more.iter().copied()).collect();
    let body = |media_type| Content {
        media_type,
        schema: description.schema,
    };
    let write = [
        SOURCE,
        DRY_RUN,
        ACCEPT,
        IF_MATCH,
        IF_NONE_MATCH,
        KEY,
        PREFER,
    ];
    let operation = |method, id, parameters: &[Parameter], request, responses| Operation {
        method,
        id,
        summary: description.what,
        scope: Some(Scope::Ingest),
        parameters: with(parameters),
        request,
        responses,
    };
    let read = vec![(
        StatusCode::OK,
        "The document, in canonical form",
        vec![body(media::JSON)],
    )];
    let put = description.media_types.iter().copied().map(body).collect();
    let patch = vec![body(media::MERGE_PATCH)];
    let [get_id, put_id, patch_id, delete_id] = description.operations;
    Route {
        path: description.route,
        service: "n2s",
        operations: vec![
            operation(Method::GET, get_id, &[SOURCE], Vec::new(), read),
            operation(Method::PUT, put_id, &write, put, written()),
            operation(Method::PATCH, patch_id, &write, patch, written()),
            operation(Method::DELETE, delete_id, &write, Vec::new(), written()),
        ],
        varied: false,
        handler,
    }
}
