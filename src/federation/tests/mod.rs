//! The federation as a whole: nodes that read each other over real sockets, and
//! what is in them.

pub(super) mod copies;
mod faults;
mod held;
mod import;
mod judge;
mod node;
mod passing;
mod plain;
mod surviving;
