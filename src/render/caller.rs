//! On whose account work and memory are counted.

use std::sync::Arc;

use crate::ident::Client;

/// On whose account work and memory are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// A client that is only known by its address.
    Client(Client),
    /// An authenticated principal, wherever it calls from.
    Principal(Arc<str>),
    /// The node itself, for what it keeps ready.
    Node,
    /// All who wait for a piece of work that they share, by its number.
    Shared(u64),
}
