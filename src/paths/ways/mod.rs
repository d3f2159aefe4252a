//! The best ways between borders: exact, and through no domain twice.
//!
//! A way is better if it costs less; among equal costs, if it passes fewer domains; then, if its
//! sequence of links is the smaller. Extending two ways of equal length by the same links keeps
//! their order, so that the best ways could be built from each other if they were allowed to pass a
//! domain twice.
//!
//! Therefore a first pass ignores that condition and extends *walks* by one link at a time. If the
//! best walk to a border passes no domain twice, it is the best way. For each other border, A\*
//! searches backwards from there; the costs of the first pass are lower bounds of what is ahead.
//! This search only avoids passing *critical* domains twice, and starts again with one critical
//! domain more until its answer passes no domain twice (decremental state space relaxation). Of two
//! labels at one place the second is dropped if the first is better, is no longer, and passed no
//! critical domain that the second did not pass.

mod best;
mod one;
mod search;
mod walks;
mod way;

pub use best::Ways;
pub use one::WaySearch;
pub use way::{Effort, MAX_DOMAINS, Way};

#[cfg(test)]
mod tests;
