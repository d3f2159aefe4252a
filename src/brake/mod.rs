//! The brake: what changes too much at once is held.
//!
//! A mistake of another network (a feed that broke, a unit that was mixed up)
//! reaches everybody in milliseconds. [`judge`] compares what was stated with what
//! is stated now. It returns whether the change passes or is held, and its size as
//! a [`Difference`](crate::api::difference::Difference). The caller decides what
//! is used meanwhile. [`Held`] decides for how long a change is held, and
//! [`References`] keeps what small steps are compared with.
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
