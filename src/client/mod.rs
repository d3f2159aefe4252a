//! ALTO clients: they start from the URI of a directory and work against any
//! RFC 7285 server.
//!
//! [`Client`] serves a person at the command line and goes where it is told;
//! [`PeerClient`] serves the federation, and trusts nothing that it is sent.
//! [`UpdateStream`] is one stream of changes; a [`Follower`] keeps resources up to
//! date for either, over the [`Connection`] it makes.
//! [`Directory`] is what a directory and all it delegates to offer.

mod address;
mod announcement;
mod client_error;
mod connection;
mod decode;
mod directory;
mod follow;
mod peer;
mod peer_error;
mod people;
mod query;
mod sse;
mod tls;
mod update_stream;

pub use address::{DeniedAddress, Reach};
pub use client_error::ClientError;
pub use connection::{AnswerLimits, Connection, shown};
pub use directory::{Directory, DirectoryError, Page, Pages, Resource};
pub use follow::{
    FollowBounds, FollowError, FollowSettings, Followed, Follower, How, Mode, News, Rooms, Update,
};
pub use peer::{Answer, Ask, Document, PeerClient, PeerOptions};
pub use peer_error::PeerError;
pub use people::{Client, Options};
pub use query::{CostMap, NetworkMap, Wanted};
pub use tls::Identity;
pub use update_stream::{DataEvent, Room, StreamError, StreamEvent, UpdateStream};
