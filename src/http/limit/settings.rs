//! `[limits]`: the limits on requests.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::publish::WorkLimits;
use crate::render::{BESIDE, FlightBudget};
use crate::runtime::{at_least, duration};

/// The least allowed share of the bytes in flight: with less, a full map could not be packed.
const LEAST_SHARE: u64 = 8 * 1024 * 1024;

/// The limits on requests. All are hot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How many requests per second one caller may make in the long run; 0 for no limit. The
    /// default is some hundred times as many as an application needs that reads its maps when
    /// they change, since an address may stand for all clients behind a proxy or a carrier's
    /// NAT; it is a small part of what a node can answer.
    pub requests_per_second: u32,
    /// How many requests a caller may make at once after a pause.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub burst: u32,
    /// How many wrong credentials one client may show in a minute; 0 for no limit. Above it the
    /// client's credentials are not checked and are answered 429, except those that were right
    /// from there before. The default lets a person mistype and a few machines run with a token
    /// that was replaced.
    pub wrong_credentials_per_minute: u32,
    /// How many requests may be under way at a time; above that a new one is answered 503.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_concurrent_requests: usize,
    /// How long a request may take once its body has come; after that it is given up and
    /// answered 503.
    #[serde(with = "duration::positive")]
    pub request_timeout: Duration,
    /// How many cells one answer to a query may read and test: pairs times the cost types that
    /// are read and the comparisons made for each, and the cost of computing costs between
    /// networks.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_answer_cells: u64,
    /// About how many bytes one answer to a query may have.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_answer_bytes: u64,
    /// How many bytes of queries and answers may be in memory until their clients have taken
    /// them. Bodies that are kept (`publish.cache_bytes`) are not counted.
    #[serde(deserialize_with = "at_least::<{ LEAST_SHARE }, _, _>")]
    pub max_bytes_in_flight: u64,
    /// How many of these bytes one caller may hold; at most as many as requests may wait for
    /// ([`FlightBudget`]).
    #[serde(deserialize_with = "at_least::<{ LEAST_SHARE }, _, _>")]
    pub max_bytes_per_client: u64,
    /// How long a request waits for room among these bytes before it is answered 503.
    #[serde(with = "duration::positive")]
    pub max_wait: Duration,
    /// How many bytes of bodies of the network-to-server API may be in memory; one principal may
    /// hold three quarters of them.
    #[serde(deserialize_with = "at_least::<65536, _, _>")]
    pub max_ingest_bytes_in_flight: u64,
    /// How many bytes of replaced views may be in memory only for answers that are being sent.
    /// Above that answers of replaced views are cut off, starting with the view whose answers
    /// were begun first.
    pub max_replaced_bytes: u64,
}

impl Settings {
    /// Returns the limits of one answer to a query.
    pub fn work(&self) -> WorkLimits {
        WorkLimits {
            cells: self.max_answer_cells,
            cells_key: "max_answer_cells",
            bytes: self.max_answer_bytes,
            memory: self.answers().largest().saturating_sub(BESIDE),
        }
    }

    /// Returns the budget of queries and answers.
    pub fn answers(&self) -> FlightBudget {
        FlightBudget {
            all: self.max_bytes_in_flight,
            of_caller: self.max_bytes_per_client,
            for_small: self.max_bytes_in_flight / 8,
            max_wait: self.max_wait,
        }
    }

    /// Returns the budget of bodies of the network-to-server API.
    pub fn ingest(&self) -> FlightBudget {
        FlightBudget {
            all: self.max_ingest_bytes_in_flight,
            of_caller: self.max_ingest_bytes_in_flight - self.max_ingest_bytes_in_flight / 4,
            for_small: 0,
            max_wait: self.max_wait,
        }
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            requests_per_second: 500,
            burst: 1000,
            wrong_credentials_per_minute: 30,
            max_concurrent_requests: 1024,
            request_timeout: Duration::from_secs(30),
            max_answer_cells: 16_000_000,
            max_answer_bytes: 512 * 1024 * 1024,
            max_bytes_in_flight: 256 * 1024 * 1024,
            max_bytes_per_client: 64 * 1024 * 1024,
            max_wait: Duration::from_secs(5),
            max_ingest_bytes_in_flight: 512 * 1024 * 1024,
            max_replaced_bytes: 256 * 1024 * 1024,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{Coding, Effort, beside};

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn no_settings_are_the_defaults_and_none_that_would_refuse_everything_are_read() {
        let read = toml::from_str::<Settings>;
        assert_eq!(read("").unwrap(), Settings::default());
        assert!(read("requests_per_second = 0").is_ok());
        for text in [
            "burst = 0",
            "max_concurrent_requests = 0",
            "request_timeout = \"0s\"",
            "max_answer_cells = 0",
            "max_bytes_in_flight = 1000",
            "max_bytes_per_client = 8388607",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_passes_the_limits_fits_a_share() {
        let least = Settings {
            max_bytes_per_client: 8 * MIB,
            max_bytes_in_flight: 10 * MIB,
            ..Settings::default()
        };
        for settings in [least, Settings::default()] {
            let largest = settings.answers().largest();
            assert!(settings.work().memory + BESIDE <= largest);
            for coding in [Coding::Identity, Coding::Gzip, Coding::Zstd] {
                for effort in [Effort::Once, Effort::Long, Effort::Each] {
                    let beside = beside(coding, effort);
                    assert!(beside + MIB / 4 <= largest, "{coding:?} {effort:?}");
                }
            }
        }
    }
}
