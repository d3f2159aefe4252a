//! Follows resources of a server: keeps their content up to date.
//!
//! A [`Follower`] learns of changes as fast as the server can tell: by an update stream (RFC
//! 8895), else by TIPS (RFC 9569), else by polling. It takes the next way when one does not
//! work, tries the better ones again after an hour, and resumes a way that was only cut off.
//! Whatever the way, what it hands out belongs together: a cost map comes with its network map
//! (RFC 8895 §9.2).

mod board;
mod error;
mod follower;
mod news;
mod offered;
mod poll;
mod stream;
mod tips;
mod version;

pub use error::FollowError;
pub use follower::{FollowBounds, FollowSettings, Follower, Rooms};
pub use news::{Followed, How, Mode, News, Update};
