//! Explains the costs of the merged view.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use axum::{Extension, routing};
use jiff::Timestamp;
use url::form_urlencoded;

use crate::alto::media;
use crate::api::explain::{End, Explanation, Hop};
use crate::ident::{MetricName, TypedAddress};
use crate::paths::{self, PathSearch, Paths};
use crate::publish::{View, ViewName};
use crate::render::{self, Unanswered};

use super::app::App;
use super::caller::Caller;
use super::openapi::{Operation, Parameter, Route, content};
use super::refusal::{Refused, Wording, json, no_room, refused};
use super::socket::Peer;
use super::views;

/// Returns the route.
pub(super) fn routes() -> Vec<Route> {
    let end = |name| Parameter {
        place: "query",
        name,
        description: "A PID of the merged view, or an address",
        kind: "string",
    };
    vec![Route {
        path: "/views/merged/explain",
        service: "explain",
        operations: vec![Operation {
            method: Method::GET,
            id: "explain",
            summary: "The path between two places, and each part's costs",
            scope: None,
            parameters: vec![end("src"), end("dst")],
            request: Vec::new(),
            responses: vec![(
                StatusCode::OK,
                "The path that the costs of the merged view follow",
                vec![content::<Explanation>(media::JSON)],
            )],
        }],
        varied: false,
        handler: routing::any(explain),
    }]
}

/// How many links and labels are examined in one turn: some milliseconds.
const LOOKS: u64 = 64 * 1024;

async fn explain(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, _) = request.into_parts();
    let readable = app
        .access()
        .may_read(caller.principal(), ViewName::Merged.as_str());
    readable.map_err(|denied| refused(Wording::Problem.denied(&denied)))?;
    let snapshot = app.snapshot();
    let name = ViewName::Merged;
    let merged = views::find(&app, &snapshot, &name, Wording::Problem)?;
    let asked = Asked::read(merged, parts.uri.query())?;
    let now = app.clock.wall();
    let caller = caller.accounted(&peer);
    let explained = explained(&app, &caller, snapshot.paths.as_ref(), asked, now).await;
    let explanation = explained.map_err(|error| match error {
        Unanswered::NoRoom => refused(no_room(&parts)),
        error => {
            tracing::error!(%error, "a path could not be explained");
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            let detail = "the path could not be explained";
            refused(Wording::Problem.refuse(status, "defect", detail))
        }
    })??;
    let response = json(StatusCode::OK, &explanation);
    Ok(views::marked(&snapshot, &name, response))
}

/// The PIDs between which a path is asked for.
struct Asked {
    src: (u32, End),
    dst: (u32, End),
}

impl Asked {
    fn read(merged: &View, query: Option<&str>) -> Result<Self, Refused> {
        let asked: BTreeMap<_, _> =
            form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect();
        let place = |name: &str| -> Result<(u32, End), Refused> {
            let text = asked.get(name).ok_or_else(|| {
                let detail =
                    format!("the query parameter {name:?} is missing; give a PID or an address");
                refused(Wording::Problem.refuse(StatusCode::BAD_REQUEST, "request", &detail))
            })?;
            let index = pid(merged, text);
            let name = index.and_then(|index| Some((index, merged.network().pids().name(index)?)));
            let (index, name) = name.ok_or_else(|| {
                none(format!(
                    "{text:?} is neither a PID of the merged view nor an address in one"
                ))
            })?;
            let end = End {
                asked: text.clone().into_owned(),
                pid: name.to_string(),
                holder: None,
            };
            Ok((index, end))
        };
        Ok(Self {
            src: place("src")?,
            dst: place("dst")?,
        })
    }
}

fn none(detail: String) -> Refused {
    let status = StatusCode::NOT_FOUND;
    refused(Wording::Problem.refuse(status, "path", &detail))
}

/// Searches for the path again, which takes as many labels as it took the merge. The search
/// takes turns with other callers, takes room for what is known so far, and ends when nobody
/// waits for it any more.
async fn explained(
    app: &App,
    caller: &render::Caller,
    paths: Option<&Arc<Paths>>,
    asked: Asked,
    now: Timestamp,
) -> Result<Result<Explanation, Refused>, Unanswered> {
    let ((src, from), (dst, to)) = (asked.src, asked.dst);
    let answers = &app.answers;
    let name = ViewName::Merged;
    let mut search = None;
    let mut room = answers.flight().nothing(caller);
    let mut counted = 0;
    let paths = paths.cloned();
    if let Some(paths) = paths.clone() {
        let begun = answers.run(&name, caller, move || paths.search(src, dst));
        let mut seeking = begun.await?;
        loop {
            let memory = seeking.memory() as u64;
            room.grow(memory.saturating_sub(counted))?;
            counted = counted.max(memory);
            let step = move || (seeking.step(LOOKS), seeking);
            let more;
            (more, seeking) = answers.run(&name, caller, step).await?;
            if !more {
                break;
            }
        }
        search = Some(seeking);
    }
    let told = move || {
        let paths = paths.as_ref();
        let holders = search.as_ref().map(PathSearch::holders);
        let [of_src, of_dst] = holders.unwrap_or_default().map(|holder| holder.map(border));
        let path = search.and_then(|search| search.path()).ok_or_else(|| {
            let reason = if paths.is_some_and(|paths| paths.is_unsettled(src, dst)) {
                "max_labels does not suffice to find the best path; raise it in [merge]"
            } else {
                "no way over confirmed interconnects has a cost all along, or the domain \
                     states none"
            };
            let (from, to) = (&from.pid, &to.pid);
            none(format!(
                "the merged view has no cost from {from} to {to}: {reason}"
            ))
        })?;
        let hops = path.hops.into_iter().map(|hop| part(paths, hop, now));
        Ok(Explanation {
            src: End {
                holder: of_src,
                ..from
            },
            dst: End {
                holder: of_dst,
                ..to
            },
            hops: hops.collect(),
            total: named(path.total),
        })
    };
    Ok(answers.run(&name, caller, told).await?)
}

/// Returns the index of a PID, by its name or an address in it.
fn pid(view: &View, text: &str) -> Option<u32> {
    let address = || {
        let typed = TypedAddress::parse(text).ok().map(|typed| typed.0);
        typed.or_else(|| text.parse::<IpAddr>().ok())
    };
    let network = view.network();
    network
        .pids()
        .get(text)
        .or_else(|| network.pid_of(address()?))
}

/// Describes a part of a path. A domain is described as the merged view has it; the domain's own
/// view may be newer.
fn part(paths: Option<&Arc<Paths>>, hop: paths::Hop, now: Timestamp) -> Hop {
    match hop {
        paths::Hop::Domain {
            domain,
            from,
            to,
            costs,
        } => {
            let joined = paths.and_then(|paths| paths.domain(&domain));
            let received = joined.map_or(now, |joined| joined.received);
            Hop::Domain {
                domain: domain.to_string(),
                from: from.to_string(),
                to: to.to_string(),
                costs: named(costs),
                serial: joined.map_or(0, |joined| joined.serial),
                received,
                age_seconds: u64::try_from(now.duration_since(received).as_secs()).unwrap_or(0),
            }
        }
        paths::Hop::Interconnect {
            id,
            from,
            to,
            costs,
        } => Hop::Interconnect {
            id: id.to_string(),
            from: border(from),
            to: border(to),
            costs: named(costs),
        },
    }
}

/// Returns the name of a PID in the merged view.
fn border(border: paths::Border) -> String {
    format!("{}:{}", border.domain, border.pid)
}

fn named(costs: BTreeMap<MetricName, f64>) -> BTreeMap<String, f64> {
    let costs = costs.into_iter();
    costs
        .map(|(metric, cost)| (metric.to_string(), cost))
        .collect()
}
