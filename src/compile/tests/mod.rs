//! The merged view, held against an enumeration of all paths and against
//! itself.

mod brute;
mod incremental;
mod paths;
mod prefixes;
mod world;
