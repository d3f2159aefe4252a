//! ALTO clients: they start from the URI of a directory and work against any
//! RFC 7285 server.
//!
//! [`Client`] serves a person at the command line and goes where it is told;
//! [`PeerClient`] serves the federation, and trusts nothing that it is sent.
//! [`UpdateStream`] is one stream of changes; a [`Follower`] keeps resources up to
//! date for either, over the [`Link`] it makes.
//! [`Catalog`] is what a directory and all it delegates to offer.

mod address;
mod announcement;
mod catalog;
mod decode;
mod difference;
mod follow;
mod http;
mod link;
mod path;
mod peer;
mod peer_error;
mod query;
mod sse;
mod tls;
mod update_stream;

pub use address::{DeniedAddress, Reach};
pub use catalog::{Catalog, Crawl, Offer};
pub use difference::difference_lines;
pub use follow::{
    FollowBounds, FollowError, FollowSettings, Followed, Follower, How, Mode, News, Rooms, Update,
};
pub use http::{Client, ClientError, Options};
pub use link::{Link, PeerLimits, shown};
pub use path::path_table;
pub use peer::{Answer, Ask, Document, PeerClient, PeerOptions};
pub use peer_error::PeerError;
pub use query::{CostMap, NetworkMap, Wanted};
pub use tls::Identity;
pub use update_stream::{DataEvent, Room, StreamError, StreamEvent, UpdateStream};
