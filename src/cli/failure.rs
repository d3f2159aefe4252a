//! Why a command failed.

/// Why a command did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The command failed.
    Failed(anyhow::Error),
    /// The arguments or the configuration cannot be used.
    Usage(String),
    /// The store failed.
    Store(String),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Failed(error.into())
    }
}
