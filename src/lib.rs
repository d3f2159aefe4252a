//! altofed: an ALTO node.
//!
//! ALTO (RFC 7285) lets a network tell applications how near, fast and cheap
//! its paths are: its addresses grouped into PIDs, and the costs between them.
//! A node takes a network's data, keeps it, and serves it.
//!
//! Facts in → durable log → compiled views → published snapshot → answers out.
//! One direction, no way back; every module is a part of one of these steps:
//!
//! 1. **Facts in.** A provider's systems write by HTTP ([`http`]); [`ingest`]
//!    parses the documents, judges the write whole, and numbers it.
//! 2. **Durable log.** [`store`] commits it to disk; then it is acknowledged.
//! 3. **Compiled views.** [`compile`] makes views of [`facts`] and policy; [`node`]'s
//!    pipeline is the only task that has it done.
//! 4. **Published snapshot.** [`publish`] holds the immutable set of views.
//! 5. **Answers out.** A request takes the snapshot and answers from it: the
//!    answers are functions in [`publish`]; [`render`] makes them within budgets,
//!    [`follow`] keeps those that are followed up to date, [`http`] serves them.
//!
//! Below them are costs across domains ([`paths`]), the vocabulary of the RFCs
//! ([`alto`]), what is computed with ([`net`]), names ([`ident`]), and time, tasks and threads ([`runtime`]).
//! Beside them are who may do what ([`auth`]), what changes too much at once ([`brake`]), the documents of our own APIs
//! ([`api`]), the configuration ([`config`]), an ALTO client ([`client`]), and
//! what is had of other domains' nodes by it ([`federation`]).
//! On top is the command line ([`cli`]).
//!
//! Imports go down only; `tests/it/architecture.rs` holds the floors, and
//! `docs/architecture.md` tells the story at length.
#![forbid(unsafe_code)]

pub mod alto;
pub mod api;
pub mod auth;
pub mod brake;
pub mod cli;
pub mod client;
pub mod compile;
pub mod config;
pub mod facts;
pub mod federation;
pub mod follow;
pub mod http;
pub mod ident;
pub mod ingest;
pub mod net;
pub mod node;
pub mod paths;
pub mod publish;
pub mod render;
pub mod runtime;
pub mod store;
