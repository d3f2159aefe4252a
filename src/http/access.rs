//! Who calls: the layer that finds out, before anything else is done.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;

use crate::auth::{Credential, Denied, Principal, Scope};

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

    /// Whether two requests showed the same credential, or both none.
    pub(super) fn is_same(&self, other: &Caller) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => one.is_same(other),
            (None, None) => true,
            _ => false,
        }
    }
}

/// The principal that calls, by the rules now in force, if it has a scope.
///
/// # Errors
/// The refusal, in problem details.
pub(super) fn require(app: &App, caller: &Caller, scope: Scope) -> Result<Arc<Principal>, Refused> {
    let access = app.access();
    let principal = access.require(caller.principal(), scope);
    principal
        .cloned()
        .map_err(|denied| refused(Wording::Problem.denied(&denied)))
}

/// Checks that the caller may read a view of ALTO resources, whether or not there is one
/// of this name: of views that it may not read it does not learn which there are.
///
/// # Errors
/// The refusal.
pub(super) fn require_view(app: &App, caller: &Caller, view: &str) -> Result<(), Refused> {
    let readable = app.access().may_read(caller.principal(), view);
    readable.map_err(|denied| refused(Wording::Alto.denied(&denied)))
}

/// Finds out who calls. Wrong credentials are refused everywhere, so that a
/// caller learns of them at once.
pub(super) async fn identify(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let principal = shown(&request).and_then(|shown| app.access().authenticate(shown.as_ref()));
    match principal {
        Ok(principal) => {
            let caller = Caller(principal);
            request.extensions_mut().insert(caller.clone());
            let mut response = next.run(request).await;
            response.extensions_mut().insert(caller);
            response
        }
        Err(denied) => Wording::of(request.uri().path()).denied(&denied),
    }
}

/// What a request shows: the token in its `Authorization` header, else its client
/// certificate.
fn shown(request: &Request) -> Result<Option<Credential>, Denied> {
    let mut headers = request.headers().get_all(AUTHORIZATION).iter();
    if let Some(header) = headers.next() {
        if headers.next().is_some() {
            return Err(Denied::Repeated);
        }
        let text = header.to_str().map_err(|_| Denied::Malformed)?;
        return Credential::bearer(text).map(Some);
    }
    let peer = request.extensions().get::<Peer>();
    let certificate = peer.and_then(|peer| peer.certificate.as_ref());
    Ok(certificate.map(|certificate| Credential::Certificate(certificate.sha256)))
}
