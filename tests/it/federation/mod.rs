//! Federations of real nodes on loopback: what they agree on, and that no fault or lie of one of
//! them harms the others.

mod below;
mod brake;
mod budget;
mod charges;
mod converge;
mod crash;
mod faults;
mod flapping;
mod forgeries;
mod holders;
mod hub;
mod keys;
mod life;
pub mod links;
mod lists;
pub mod member;
mod memory;
mod poison;
mod proxy;
mod push;
pub mod rogue;
mod room;
mod scope;
mod site;
mod spin;
mod starting;
mod surface;
mod tls;
