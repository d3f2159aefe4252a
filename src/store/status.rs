//! The status of the store.

use crate::runtime::{Measured, Measures};

use super::handle::Store;

/// The status of the store at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The bytes that are free on its disk.
    pub free: u64,
    /// How many writes of facts were refused since the start because the disk is full.
    pub refused_writes: u64,
    /// How many documents of other domains were refused since the start because the disk is full.
    pub refused_documents: u64,
    /// The size of the database on the disk, in bytes; `None` if it cannot be read.
    pub size: Option<u64>,
}

impl Store {
    /// Returns the status of the store now.
    pub fn status(&self) -> Status {
        let room = self.room();
        Status {
            free: room.free(),
            refused_writes: room.refused_facts(),
            refused_documents: room.refused_blobs(),
            size: self.size_on_disk().ok(),
        }
    }
}

impl Measured for Status {
    fn measure(&self, out: &mut Measures) {
        out.gauge(
            "altofed_store_free_bytes",
            "What is free on the disk of the store",
            self.free,
        );
        out.counters(
            "altofed_store_refused_for_room",
            "What was not written since the disk is full, by kind",
            "kind",
            [
                ("write", self.refused_writes),
                ("document", self.refused_documents),
            ],
        );
        if let Some(size) = self.size {
            out.gauge("altofed_store_size_bytes", "The database on disk", size);
        }
    }
}
