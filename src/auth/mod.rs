//! Decides who a caller is and what it may do.
//!
//! A caller shows a [`Credential`], a bearer token (RFC 6750) or a TLS client certificate,
//! which makes it a [`Principal`] with scopes. [`Access`] decides what a principal, or an
//! unknown caller, may do now. What lasts, such as a stream, asks again when the rules change.

mod access;
mod credential;
mod denied;
mod settings;
mod token;

pub use access::{Access, Principal};
pub use credential::{Credential, Secret};
pub use denied::Denied;
pub use settings::{AccessSettings, QueryAccess, Scope, TokenSettings};
pub use token::{Token, TokenError};
