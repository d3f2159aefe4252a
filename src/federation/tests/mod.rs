//! Tests the federation as a whole, with nodes that read each other over real sockets, and its
//! parts.

pub(super) mod copies;
mod faults;
mod held;
mod import;
mod judge;
mod node;
mod passing;
mod plain;
mod surviving;
