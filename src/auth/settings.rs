//! The access rules as they are configured.

use serde::{Deserialize, Serialize};

use crate::ident::{DomainLabel, Hidden, SourceName};

/// `[access]`: what a caller without a token may do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessSettings {
    /// Whether ALTO queries need a token.
    pub query: QueryAccess,
    /// The views that a caller without a token may read: names of views, or
    /// `*` for all.
    pub views: Vec<String>,
    /// Whether `/metrics` needs a token of scope `operate`.
    pub metrics: QueryAccess,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self {
            query: QueryAccess::Open,
            views: vec!["*".into()],
            metrics: QueryAccess::Open,
        }
    }
}

/// Whether something is open to all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueryAccess {
    /// It is open to all.
    Open,
    /// It needs a token with the scope.
    Token,
}

/// `[[token]]`: a principal and how it is known.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSettings {
    /// The name of the principal, and of the source of the facts it writes.
    pub name: SourceName,
    /// The bearer token itself.
    #[serde(default)]
    pub secret: Option<Hidden>,
    /// The environment variable that holds the bearer token.
    #[serde(default)]
    pub secret_env: Option<String>,
    /// The file that holds the bearer token.
    #[serde(default)]
    pub secret_file: Option<std::path::PathBuf>,
    /// The SHA-256 of the TLS client certificate, in hex.
    #[serde(default)]
    pub client_cert_sha256: Option<String>,
    /// What the principal may do.
    pub scopes: Vec<Scope>,
    /// The sources it may write for besides its own.
    #[serde(default)]
    pub sources: Vec<SourceName>,
    /// The peer that it is: it gets what is exported to that peer.
    #[serde(default)]
    pub peer: Option<DomainLabel>,
}

/// A permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Asking ALTO queries.
    Query,
    /// Reading and writing facts by the network-to-server API.
    Ingest,
    /// Getting what is exported by the server-to-server API.
    Peer,
    /// Restoring revisions, and reading what is for operators.
    Operate,
}

impl Scope {
    /// Returns the name of the scope.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Query => "query",
            Scope::Ingest => "ingest",
            Scope::Peer => "peer",
            Scope::Operate => "operate",
        }
    }
}
