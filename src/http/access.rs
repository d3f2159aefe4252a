//! Identifies the caller of each request, in a layer before all others that handle it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;

use crate::auth::{Access, Credential, Denied, Principal, Scope};

use super::caller::Caller;
use super::limit::{Guesses, Refuse};
use super::refusal::{Refused, Wording, refused};
use super::socket::Peer;
use super::telemetry::Telemetry;

/// Returns the principal that calls, if it has a scope by the rules in force.
///
/// # Errors
/// The refusal, in problem details.
pub(super) fn require(
    access: &Access,
    caller: &Caller,
    scope: Scope,
) -> Result<Arc<Principal>, Refused> {
    let principal = access.require(caller.principal(), scope);
    principal
        .cloned()
        .map_err(|denied| refused(Wording::Problem.denied(&denied)))
}

/// Checks that the caller may read a view of ALTO resources, whether or not the view exists: a
/// caller does not learn which of the views that it may not read exist.
///
/// # Errors
/// The refusal.
pub(super) fn require_view(access: &Access, caller: &Caller, view: &str) -> Result<(), Refused> {
    let readable = access.may_read(caller.principal(), view);
    readable.map_err(|denied| refused(Wording::Alto.denied(&denied)))
}

/// Identifies callers by the rules in force, and limits those who guess credentials.
#[derive(Clone)]
pub(super) struct Doorman {
    pub(super) access: watch::Receiver<Arc<Access>>,
    pub(super) telemetry: Telemetry,
    pub(super) guesses: Guesses,
    pub(super) refuse: Refuse,
}

/// The middleware that identifies the caller. Wrong credentials are refused on every route, so
/// that a caller learns of them at once.
pub(super) async fn identify(
    State(doorman): State<Doorman>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    match doorman.recognise(&parts) {
        Ok(principal) => {
            let caller = Caller(principal);
            parts.extensions.insert(caller.clone());
            let mut response = next.run(Request::from_parts(parts, body)).await;
            response.extensions_mut().insert(caller);
            response
        }
        Err(refused) => refused.into_response(),
    }
}

impl Doorman {
    /// Returns the principal that calls: by the token in the `Authorization` header, else by the
    /// client certificate. A caller that shows neither is nobody.
    fn recognise(&self, parts: &Parts) -> Result<Option<Arc<Principal>>, Refused> {
        let access = self.access.borrow().clone();
        let peer = parts.extensions.get::<Peer>();
        let token = match token(&parts.headers) {
            Ok(None) => {
                let certificate = peer.and_then(|peer| peer.certificate.as_ref());
                let shown = certificate.map(|shown| Credential::Certificate(shown.sha256));
                // An unknown certificate does not count as a guess: nobody guesses certificates.
                return Ok(access.authenticate(shown.as_ref()).unwrap_or_default());
            }
            Ok(Some(token)) => Ok(token),
            Err(denied) => Err(denied),
        };
        let look = || match &token {
            Ok(token) => access.authenticate(Some(token)),
            Err(denied) => Err(denied.clone()),
        };
        let telemetry = &self.telemetry;
        let looked = match peer {
            Some(peer) => self.guesses.look(peer.client(), token.as_ref().ok(), look),
            None => Ok(look()),
        };
        match looked {
            Ok(Ok(principal)) => Ok(principal),
            Ok(Err(denied)) => {
                let kind = match denied {
                    Denied::Malformed | Denied::Repeated => "malformed",
                    _ => "unknown",
                };
                telemetry.wrong_credentials(kind);
                Err(refused(Wording::of(parts.uri.path()).denied(&denied)))
            }
            Err(refusal) => {
                telemetry.wrong_credentials("limited");
                Err(refused(refusal.respond(self.refuse, parts)))
            }
        }
    }
}

/// Reads the token in the `Authorization` header, if there is such a header.
fn token(headers: &HeaderMap) -> Result<Option<Credential>, Denied> {
    let mut headers = headers.get_all(AUTHORIZATION).iter();
    let Some(header) = headers.next() else {
        return Ok(None);
    };
    if headers.next().is_some() {
        return Err(Denied::Repeated);
    }
    let text = header.to_str().map_err(|_| Denied::Malformed)?;
    Credential::bearer(text).map(Some)
}
