//! Why a caller may not do something.

use super::settings::Scope;

/// Why a caller may not do something (RFC 6750 §3.1).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// A credential is needed, and none was shown.
    #[error("a bearer token with scope {} is needed", .0.as_str())]
    Missing(Scope),
    /// The `Authorization` header is not of the form `Bearer TOKEN`.
    #[error("the Authorization header must be of the form `Bearer TOKEN`")]
    Malformed,
    /// There is more than one `Authorization` header.
    #[error("there is more than one Authorization header; send the one that counts")]
    Repeated,
    /// The token or certificate is not known, or no longer.
    #[error("the token is not known; it may have been replaced")]
    Unknown,
    /// The principal lacks the scope.
    #[error("the token lacks the scope {}", .0.as_str())]
    Scope(Scope),
}
