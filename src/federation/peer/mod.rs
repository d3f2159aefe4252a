//! Reads one peer for as long as the node runs.
//!
//! A `session` reads its peer (`reader`), follows its update stream (`stream`) and decides when
//! to read again (`pace`, `nudge`). `given` keeps the maps that a stream brought until a
//! manifest names them; `pending` is the room for documents of which no view is made yet.

mod api;
mod documents;
mod given;
mod nudge;
mod pace;
mod pending;
mod reader;
mod session;
mod stream;

pub(super) use nudge::{Nudge, Nudges};
pub(super) use pending::{Pending, Taken};
pub(super) use session::supervise;
