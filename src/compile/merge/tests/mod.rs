//! The merged view, held against an enumeration of all paths and against
//! itself.

mod authority;
mod bounds;
mod brute;
mod incremental;
mod origin;
mod paths;
mod prefixes;
mod properties;
mod work;
mod world;
