//! Push: clients that follow resources are sent the changes.
//!
//! Update streams (RFC 8895; `open`, `stream`, `control`) and the transport information
//! publication service (RFC 9569; `tips`) serve the followed answers of [`crate::follow`]. Peers
//! have an update stream of their own (`peers`), which follows what manifests were signed for.

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
