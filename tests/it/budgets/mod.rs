//! Budgets: what a client can make a node spend. Each is used up completely.

mod answers;
mod followed;
mod memory;
mod room;
