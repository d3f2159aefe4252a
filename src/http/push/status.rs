//! How much is followed, and by how many.

use crate::follow;
use crate::runtime::{Measured, Measures};

use super::streams::Push;

/// How much is followed by clients and peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// How many update streams clients have open.
    pub streams: usize,
    /// How many requests wait for the next edge of a TIPS view.
    pub waiting: usize,
    /// How many requests to control an update stream that does not exist came since the start.
    pub unknown_streams: u64,
    /// What clients follow.
    pub followed: follow::Status,
    /// How many update streams peers have open.
    pub peer_streams: usize,
    /// What peers follow.
    pub followed_by_peers: follow::Status,
}

impl Status {
    /// Returns the present status.
    pub fn of(clients: &Push, peers: &Push) -> Self {
        Self {
            streams: clients.open_streams(),
            waiting: clients.waiting(),
            unknown_streams: clients.misses(),
            followed: clients.followed().status(),
            peer_streams: peers.open_streams(),
            followed_by_peers: peers.followed().status(),
        }
    }
}

impl Measured for Status {
    fn measure(&self, out: &mut Measures) {
        out.gauge(
            "altofed_http_update_streams",
            "Open update streams",
            self.streams,
        );
        out.gauge(
            "altofed_http_tips_polls",
            "Requests that wait for the next edge of a TIPS view",
            self.waiting,
        );
        out.counter(
            "altofed_http_unknown_streams",
            "Requests to control an update stream that is not there",
            self.unknown_streams,
        );
        out.gauge(
            "altofed_http_followed_answers",
            "Answers whose changes are kept",
            self.followed.answers,
        );
        out.gauge(
            "altofed_http_followed_cells",
            "Cells of the answers whose changes are kept",
            self.followed.cells,
        );
        out.gauge(
            "altofed_http_history_bytes",
            "Bytes that histories of answers keep: patches, and data of views that were replaced",
            self.followed.history_bytes,
        );
        out.gauge(
            "altofed_federation_update_streams",
            "Update streams that peers have open",
            self.peer_streams,
        );
        out.counter(
            "altofed_federation_update_looks",
            "Substreams of peers that were looked at for something to send",
            self.followed_by_peers.looks,
        );
    }
}
