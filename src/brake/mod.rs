//! The brake: what changes too much at once is held.
//!
//! A mistake of another network (a feed that broke, a unit that was mixed up)
//! reaches everybody in milliseconds. [`judge`] is given what was stated and what
//! is stated now, and says whether the change passes or is to be held, and what
//! it comes to: a [`Difference`](crate::api::difference::Difference). [`Held`] says for how long, [`References`] keeps
//! what small steps are compared with. What is used meanwhile is the affair of who
//! asks.
//!
//! What counts: prefixes whose addresses the new map does not cover, by number;
//! PIDs that are gone, or lost all their prefixes; interconnects that are gone;
//! and costs by metric, between PIDs and across interconnects. Costs are compared
//! where both PIDs stay, so that a PID that goes is counted once.

mod difference;
mod held;
mod judge;
mod reference;
mod settings;
#[cfg(test)]
mod tests;

pub use difference::Gravity;
pub use held::Held;
pub use judge::{Stated, Table, Verdict, judge};
pub use reference::References;
pub use settings::{Hold, MaxChange, Share, Thresholds};
