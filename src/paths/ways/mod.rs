//! The best ways from a border to all others: exactly, and through no domain
//! twice.
//!
//! A way is better if it costs less; among equal ones, if it has fewer domains;
//! then, if its sequence of links is the smaller. Putting the same before or
//! after two ways of equal length keeps their order, so that the best ones
//! could be made of each other, were it not for the domains that none may pass
//! twice.
//!
//! So it is first asked without that condition, one more link at a time. Where
//! the answer keeps to it, that is the best way. For the other borders, one by
//! one, the best way is sought backwards, by A\*: what the first pass found is a
//! lower bound of what lies ahead. There only *critical* domains are not passed
//! twice; they become more until the answer passes none twice (decremental
//! state space relaxation). Of two labels at one place the second is dropped if
//! the first is better, no longer, and passed no critical domain that the second
//! did not.

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
