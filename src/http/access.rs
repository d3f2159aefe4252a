//! Who calls: the layer that finds out, before anything else is done.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;

use crate::auth::{Denied, Principal, Scope};

use super::app::App;
use super::limit;
use super::refusal::{Refused, Wording, refused};
use super::socket::Peer;

/// The caller of a request, an extension of every request that is handled.
#[derive(Debug, Clone)]
pub(super) struct Caller(Option<Arc<Principal>>);

impl Caller {
    /// The principal, if the caller is one.
    pub(super) fn principal(&self) -> Option<&Arc<Principal>> {
        self.0.as_ref()
    }

    /// Who limits count the caller as: a principal wherever it calls from, else
    /// the client at the other end.
    pub(super) fn accounted(&self, peer: &Peer) -> limit::Caller {
        match self.principal() {
            Some(principal) => limit::Caller::Principal(principal.name.as_str().into()),
            None => limit::Caller::Client(peer.client()),
        }
    }
}

/// The principal that calls, if it has a scope.
///
/// # Errors
/// The refusal, in problem details.
pub(super) fn require<'c>(
    app: &App,
    caller: &'c Caller,
    scope: Scope,
) -> Result<&'c Principal, Refused> {
    app.access()
        .require(caller.principal(), scope)
        .map(|principal| &**principal)
        .map_err(|denied| refused(Wording::Problem.denied(&denied)))
}

/// Finds out who calls. Wrong credentials are refused everywhere, so that a
/// caller learns of them at once.
pub(super) async fn identify(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let authorization = match request
        .headers()
        .get(AUTHORIZATION)
        .map(|value| value.to_str())
    {
        None => None,
        Some(Ok(text)) => Some(text),
        Some(Err(_)) => return refuse(&request, &Denied::Malformed),
    };
    let certificate = request
        .extensions()
        .get::<Peer>()
        .and_then(|peer| peer.certificate.as_ref());
    let fingerprint = certificate.map(|certificate| &certificate.sha256);
    match app.access().authenticate(authorization, fingerprint) {
        Ok(principal) => {
            let caller = Caller(principal);
            request.extensions_mut().insert(caller.clone());
            let mut response = next.run(request).await;
            response.extensions_mut().insert(caller);
            response
        }
        Err(denied) => refuse(&request, &denied),
    }
}

fn refuse(request: &Request, denied: &Denied) -> Response {
    Wording::of(request.uri().path()).denied(denied)
}
