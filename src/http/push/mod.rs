//! Push: clients that follow resources are told when they change, and what.
//!
//! On what is followed ([`crate::follow`]) stand update streams (RFC 8895; `open`, `stream`,
//! `control`) and the transport information publication service (RFC 9569; `tips`). Peers have a
//! stream of their own (`peers`), over what manifests were signed for.

mod behind;
mod control;
mod controlled;
mod event;
mod open;
mod peers;
mod status;
mod stream;
mod streams;
mod substream;
mod tips;

pub use status::Status;
pub use streams::Push;

pub(super) use control::routes as control_routes;
pub(super) use open::open;
pub(super) use peers::open_for_peer;
pub(super) use tips::{open as open_tips, routes as tips_routes, waiting_routes};
