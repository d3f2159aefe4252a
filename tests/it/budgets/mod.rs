//! Budgets: what a client can make a node spend, each driven to its end.

mod answers;
mod followed;
mod memory;
mod room;
