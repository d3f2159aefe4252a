//! Why a request gave no answer, for people.

use crate::alto::error::AltoError;
use crate::alto::json::Faults;
use crate::api::problem::Problem;

use super::directory::DirectoryError;

/// Why a request gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The options cannot be used.
    #[error("{0}")]
    Options(String),
    /// The request failed on the way.
    #[error("{url}: {reason}")]
    Transport {
        /// Where it went.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// The server refused, with an ALTO error.
    #[error("{url}: {status}: {}", describe(.error))]
    Alto {
        /// Where it went.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What the server says.
        error: Box<AltoError>,
    },
    /// The server refused, with problem details.
    #[error("{url}: {} {}", problem.status, explain(problem))]
    Problem {
        /// Where it went.
        url: String,
        /// What the server says.
        problem: Box<Problem>,
    },
    /// The server refused, with something else.
    #[error("{url}: the server answered {status}")]
    Status {
        /// Where it went.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The response is of another type than was asked for.
    #[error("{url}: the response is {found}, not {wanted}: is this the URI of an ALTO resource?")]
    MediaType {
        /// Where it came from.
        url: String,
        /// What it should be.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// The response is over the limit.
    #[error("{url}: the response has more than {limit} bytes")]
    TooLarge {
        /// Where it came from.
        url: String,
        /// The limit.
        limit: usize,
    },
    /// The response is not what its type promises.
    #[error("{url}: the response cannot be read: {faults}")]
    Faulty {
        /// Where it came from.
        url: String,
        /// What is wrong with it.
        faults: Faults,
    },
    /// The server does not offer what is asked for.
    #[error("{0}")]
    NotOffered(String),
}

impl From<DirectoryError> for ClientError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::TooMany(_) | DirectoryError::NoNetworkMap { .. } => {
                ClientError::NotOffered(error.to_string())
            }
            DirectoryError::Unreadable { url, reason } => ClientError::Transport { url, reason },
        }
    }
}

fn describe(error: &AltoError) -> String {
    let code = serde_json::to_string(&error.code).unwrap_or_default();
    let parts = [
        ("field", &error.field),
        ("value", &error.value),
        ("because", &error.syntax_error),
    ];
    let said = parts
        .iter()
        .filter_map(|(name, part)| Some(format!(" {name} {:?}", part.as_ref()?)));
    format!("{}{}", code.trim_matches('"'), said.collect::<String>())
}

fn explain(problem: &Problem) -> String {
    let faults = problem
        .errors
        .iter()
        .map(|fault| format!("; {}: {}", fault.pointer, fault.detail));
    format!("{}{}", problem.detail, faults.collect::<String>())
}
