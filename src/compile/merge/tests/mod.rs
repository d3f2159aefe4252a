//! The merged view, compared with an enumeration of all paths and with merges from scratch.

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
