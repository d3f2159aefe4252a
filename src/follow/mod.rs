//! The followed answers and their histories, which advance together when there is another
//! [`Edition`] of what can be followed.
//!
//! [`Followed`] holds the answers that somebody follows, by whatever protocol: update streams
//! (RFC 8895), the transport information publication service (RFC 9569), or the streams of
//! peers. A [`Follower`] keeps an answer followed. The changes of an edition are one of its
//! [`Moves`]; the newest version of an answer is sent as a [`Whole`].

mod advance;
mod cells;
mod edition;
mod followed;
mod history;
mod kept;
mod moves;
mod settings;
mod state;
mod status;
mod tokens;
mod whole;

pub use edition::Edition;
pub use followed::{Followed, Follower};
pub use history::{History, Item};
pub use moves::{AnswerId, Moved, Moves};
pub use settings::Settings;
pub use state::{AllAnswers, Answer, Full, Wanted};
pub use status::Status;
pub use tokens::unguessable;
pub use whole::{NoWhole, Whole};
