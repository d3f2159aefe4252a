//! The size and age of what is published.

use crate::runtime::{Measured, Measures};

use super::snapshot::Snapshot;

/// The size and age of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Its number among the snapshots of this process.
    pub generation: u64,
    /// The revision of our own facts that it shows.
    pub revision: u64,
    /// How many views it has.
    pub views: usize,
    /// How many resources the directories of all its views have together.
    pub resources: usize,
    /// How many PIDs all its views have together.
    pub pids: usize,
    /// The revision of our own facts that its merged view shows; 0 before the first merge.
    pub merged_revision: u64,
}

impl Snapshot {
    /// Returns its size and age.
    pub fn status(&self) -> Status {
        let resources = self
            .views
            .values()
            .map(|view| view.catalog().iter().count());
        let pids = self.views.values().map(|view| view.network().pids().len());
        Status {
            generation: self.generation,
            revision: self.revision,
            views: self.views.len(),
            resources: resources.sum(),
            pids: pids.sum(),
            merged_revision: self.merged_revision().unwrap_or(0),
        }
    }
}

impl Measured for Status {
    fn measure(&self, out: &mut Measures) {
        out.gauge(
            "altofed_publish_generation",
            "The snapshot in force",
            self.generation,
        );
        out.gauge(
            "altofed_publish_revision",
            "The revision that is published",
            self.revision,
        );
        out.gauge("altofed_publish_views", "Views that are served", self.views);
        out.gauge(
            "altofed_publish_resources",
            "Resources in the directories of all views",
            self.resources,
        );
        out.gauge("altofed_publish_pids", "PIDs of all views", self.pids);
        out.gauge(
            "altofed_publish_merged_revision",
            "The revision that the merged view shows; 0 before it was made once",
            self.merged_revision,
        );
    }
}
