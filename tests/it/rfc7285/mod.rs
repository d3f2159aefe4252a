//! RFC 7285, the base protocol, by its sections.

mod directory;
mod endpoints;
mod filtered;
mod general;
mod maps;
mod names;
