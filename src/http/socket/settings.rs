//! The limits of a listener.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::runtime::{at_least, duration};

/// The least value that hyper can enforce: the size of its first read.
pub(super) const MIN_HEADER_BYTES: usize = 8192;

/// The limits that a [`Listener`](super::Listener) sets on its connections.
///
/// All are hot: a change applies to connections that are accepted after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How many connections may be open; above that a new one is answered 503 (with TLS: an
    /// alert) and closed. Each takes a file descriptor: keep this some hundreds below the
    /// process's limit of descriptors.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_connections: usize,
    /// How many connections one client may have open (an IPv4 address or an IPv6 /64); above
    /// that a new one is answered 429 (with TLS: an alert) and closed. Behind a proxy all
    /// clients are one: raise it there.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_connections_per_client: usize,
    /// How long a TLS handshake may take, within `header_timeout`.
    #[serde(with = "duration::positive")]
    pub handshake_timeout: Duration,
    /// How long it may take from accept to the end of the first request's head, including TLS
    /// and HTTP/2's preface; on HTTP/1 also from the first to the last byte of each further
    /// head.
    #[serde(with = "duration::positive")]
    pub header_timeout: Duration,
    /// How long a connection may stay open between requests.
    #[serde(with = "duration::positive")]
    pub idle_timeout: Duration,
    /// How long a client may take for the next 16 KiB of a response, or the rest of it.
    #[serde(with = "duration::positive")]
    pub write_timeout: Duration,
    /// The most bytes of a request's head; above that the request is answered 431. At least
    /// 8192.
    #[serde(deserialize_with = "at_least::<{ MIN_HEADER_BYTES as u64 }, _, _>")]
    pub max_header_bytes: usize,
    /// How many requests one HTTP/2 connection may have under way.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_h2_streams: u32,
    /// After how long a silence an HTTP/2 connection is pinged, to find dead ones that a long
    /// response keeps open.
    #[serde(with = "duration::positive")]
    pub h2_ping_interval: Duration,
    /// How long the answer to the ping may take.
    #[serde(with = "duration::positive")]
    pub h2_ping_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            max_connections: 10_000,
            max_connections_per_client: 256,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(60),
            max_header_bytes: 64 * 1024,
            max_h2_streams: 128,
            h2_ping_interval: Duration::from_secs(30),
            h2_ping_timeout: Duration::from_secs(20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_settings_are_the_defaults_and_all_read_back() {
        assert_eq!(toml::from_str::<Settings>("").unwrap(), Settings::default());
        let text = toml::to_string(&Settings::default()).unwrap();
        assert!(text.contains("idle_timeout = \"1m 15s\""), "{text}");
        assert_eq!(
            toml::from_str::<Settings>(&text).unwrap(),
            Settings::default()
        );
    }

    #[test]
    fn what_would_refuse_everything_is_refused() {
        for text in [
            "max_connections = 0",
            "max_connections_per_client = 0",
            "max_h2_streams = 0",
            "max_h2_streams = 4294967296",
            "max_header_bytes = 8191",
            "header_timeout = \"0s\"",
            "max_conections = 5",
        ] {
            let error = toml::from_str::<Settings>(text).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
