//! Opening a store: checking what is in it, and saving what can be saved of a damaged one.
//!
//! - `recover`: opens the database, or puts a damaged one aside and builds another
//! - `load`: checks a log and completes what a crash cut off
//! - `salvage`: finds in a damaged database all that can be trusted
//! - `build`: writes a new database and puts it in the place of the present one
//! - `unopened`: reads a store that there is no room to open

pub(super) mod build;
pub(super) mod load;
pub(super) mod recover;
pub(super) mod salvage;
pub(super) mod unopened;
