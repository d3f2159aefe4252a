//! The caller of a request.

use std::sync::Arc;

use axum::http::request::Parts;

use crate::auth::Principal;
use crate::render::{self, Flight, Room};

use super::socket::Peer;

/// The caller of a request, an extension of every request that is handled.
#[derive(Debug, Clone)]
pub(super) struct Caller(pub(super) Option<Arc<Principal>>);

impl Caller {
    /// Returns the principal, if the caller is one.
    pub(super) fn principal(&self) -> Option<&Arc<Principal>> {
        self.0.as_ref()
    }

    /// Returns on whose account limits count the caller: a principal's, wherever it calls from,
    /// else that of the client at the other end.
    pub(super) fn accounted(&self, peer: &Peer) -> render::Caller {
        match self.principal() {
            Some(principal) => render::Caller::Principal(principal.name.as_str().into()),
            None => render::Caller::Client(peer.client()),
        }
    }

    /// Whether two requests showed the same credential, or both showed none.
    pub(super) fn is_same(&self, other: &Caller) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => one.is_same(other),
            (None, None) => true,
            _ => false,
        }
    }
}

/// Returns on whose account a request is counted.
pub(super) fn counted_for(parts: &Parts) -> Option<render::Caller> {
    let caller = parts.extensions.get::<Caller>()?;
    Some(caller.accounted(parts.extensions.get::<Peer>()?))
}

/// Returns empty room for the body of a request.
pub(super) fn room_for(flight: &Flight, parts: &Parts) -> Room {
    flight.nothing(&counted_for(parts).unwrap_or(render::Caller::Node))
}
