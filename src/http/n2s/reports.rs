//! Reports: revisions, held writes and conflicts.

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::api::conflict::ConflictKind;
use crate::api::n2s::{ConflictList, HeldDocument, HeldList, RevisionDocument, RevisionList};
use crate::auth::Scope;
use crate::http::access::require;
use crate::http::app::App;
use crate::http::caller::Caller;
use crate::http::conditional::etag;
use crate::http::refusal::{Refused, json};
use crate::ingest::Account;
use crate::render::Coding;

use super::{Query, marked, revision_number};

/// How many revisions one answer lists.
const PAGE: usize = 100;

pub(super) async fn revisions(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, _) = request.into_parts();
    require(&app.access(), &caller, Scope::Ingest)?;
    let query = Query::of(&parts, &["after"])?;
    let newest = app.ledger.durable().borrow().clone();
    let listed = app.ledger.revisions(query.after, PAGE).await?;
    let listed = listed.into_iter();
    let listed = listed.map(|(revision, account)| revision_document(revision, account));
    let list = RevisionList {
        revisions: listed.collect(),
        newest: newest.facts.revision,
    };
    let current = etag(&newest.tag(), Coding::Identity);
    Ok(marked(
        json(StatusCode::OK, &list),
        current,
        Coding::Identity,
    ))
}

pub(super) async fn revision(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(revision): Path<String>,
) -> Result<Response, Refused> {
    require(&app.access(), &caller, Scope::Ingest)?;
    let number = revision_number(&revision)?;
    let account = app.ledger.revision(number).await?;
    Ok(json(StatusCode::OK, &revision_document(number, account)))
}

fn revision_document(revision: u64, account: Account) -> RevisionDocument {
    RevisionDocument {
        revision,
        time: account.time,
        principal: account.principal,
        source: account.source,
        operations: account.operations,
        changed: account.changed,
        restored: account.restored,
    }
}

pub(super) async fn held(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Refused> {
    require(&app.access(), &caller, Scope::Ingest)?;
    let held = app.ledger.held().into_iter();
    let held = held.map(|(source, held)| HeldDocument {
        source: source.to_string(),
        since: held.since,
        until: held.until,
        reason: held.reason,
        difference: held.difference,
    });
    let list = HeldList {
        held: held.collect(),
    };
    Ok(json(StatusCode::OK, &list))
}

pub(super) async fn conflicts(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Refused> {
    require(&app.access(), &caller, Scope::Ingest)?;
    let conflicts = app.conflicts.borrow().clone();
    let total = |kind: ConflictKind| (kind.as_str().to_owned(), conflicts.count(kind));
    let totals: BTreeMap<String, u64> = ConflictKind::ALL.into_iter().map(total).collect();
    let list = ConflictList {
        conflicts: conflicts.listed().to_vec(),
        totals,
    };
    Ok(json(StatusCode::OK, &list))
}
