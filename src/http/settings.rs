//! `[bodies]`: the limits of request bodies.

use std::time::Duration;

use serde::Deserialize;

use crate::runtime::duration;

use super::body::BodyLimits;

/// `[bodies]`: the limits of request bodies. All are hot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BodySettings {
    /// The most bytes of a query's body.
    pub max_query_bytes: usize,
    /// The most bytes of a body of the network-to-server API.
    pub max_ingest_bytes: usize,
    /// The greatest depth of JSON in any body.
    pub max_depth: usize,
    /// How long a body may take, whatever its size.
    #[serde(with = "duration::positive")]
    pub patience: Duration,
    /// The slowest pace of a long body: each such number of bytes gives it another second.
    pub bytes_per_second: u32,
}

impl Default for BodySettings {
    fn default() -> Self {
        let json = BodyLimits::json(1024 * 1024);
        Self {
            max_query_bytes: json.max_bytes,
            max_ingest_bytes: 256 * 1024 * 1024,
            max_depth: 32,
            patience: json.patience,
            bytes_per_second: json.bytes_per_second,
        }
    }
}

impl BodySettings {
    /// Returns the limits of a query's body. What is read from one, a list of endpoints at
    /// worst, takes about four times its bytes.
    pub(super) fn query(&self) -> BodyLimits {
        BodyLimits {
            max_bytes: self.max_query_bytes,
            max_depth: Some(self.max_depth),
            patience: self.patience,
            bytes_per_second: self.bytes_per_second,
            counted: 4,
        }
    }

    /// Returns the limits of a body of the network-to-server API.
    pub(super) fn ingest(&self) -> BodyLimits {
        BodyLimits {
            max_bytes: self.max_ingest_bytes,
            counted: 1,
            ..self.query()
        }
    }
}
