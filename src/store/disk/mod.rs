//! The files of a store: its directory, the database in it, large values beside that, and
//! how much room there is.

pub(super) mod blobs;
pub(super) mod directory;
pub(super) mod engine;
pub(super) mod privacy;
pub(super) mod room;
pub(super) mod space;
