//! The integration tests: real nodes on real sockets, one file for each matter.

mod access;
mod alto_http;
mod architecture;
mod cli;
mod client;
mod configuration;
mod conformance;
mod crash;
mod delta;
mod disk;
mod federation;
mod fuzz;
mod golden;
mod hostile;
mod incremental;
mod metro;
mod n2s;
mod oracle;
mod peer;
mod rfc7285;
mod rfc8189;
mod rfc9274;
mod rfc9439;
mod serve;
mod streaming;
mod support;
