//! Following resources of a server: their content, kept up to date.
//!
//! A [`Follower`] is told of changes as fast as the server can tell: by an update
//! stream (RFC 8895), else by TIPS (RFC 9569), else it asks again and again. It
//! goes from one to the next when the server does not do the first, comes back after
//! an hour, and takes up again what was only cut. Whatever the way, what it hands
//! out belongs together: a cost map comes with the network map that it is over
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
