//! altofed: an ALTO node.
//!
//! ALTO (RFC 7285) lets a network tell applications how near, fast and cheap its paths are: it
//! groups its addresses into PIDs and states the costs between them. A node takes a network's
//! data, keeps it, and serves it.
//!
//! Facts in → durable log → compiled views → published snapshot → answers out. Data flows in
//! this direction only, and every module is part of one of these steps:
//!
//! 1. **Facts in.** A provider's systems write by HTTP ([`http`]). [`ingest`] parses the
//!    documents, accepts or refuses the write as a whole, and numbers it.
//! 2. **Durable log.** [`store`] commits it to disk; only then is it acknowledged.
//! 3. **Compiled views.** [`compile`] makes views of [`facts`] and policy. Only the pipeline of
//!    [`node`] starts it.
//! 4. **Published snapshot.** [`publish`] holds the immutable set of views.
//! 5. **Answers out.** A request takes the snapshot and is answered from it. The answers are
//!    functions in [`publish`]; [`render`] computes them within budgets, [`follow`] keeps
//!    followed ones up to date, and [`http`] serves them.
//!
//! Below these modules are costs across domains ([`paths`]), the vocabulary of the RFCs
//! ([`alto`]), data structures for computing ([`net`]), names ([`ident`]), and time, tasks and
//! threads ([`runtime`]). Beside them are access control ([`auth`]), the brake on changes that
//! are too large ([`brake`]), the documents of our own APIs ([`api`]), the configuration
//! ([`config`]), an ALTO client ([`client`]), and what is fetched with it from the nodes of
//! other domains ([`federation`]). On top is the command line ([`cli`]).
//!
//! A module may only import from floors below it. `tests/it/architecture` lists the floors, and
//! `docs/architecture.md` explains the design at length.
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
