//! Names of cost metrics (RFC 7285 §10.6), with the statistics of RFC 9439 §3.2.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::name::{NameError, name};

/// The registered metrics that give a number for a pair of PIDs (RFC 7285 §14.2, RFC 9439 §2).
const BASES: [&str; 9] = [
    "routingcost",
    "delay-ow",
    "delay-rt",
    "delay-variation",
    "lossrate",
    "hopcount",
    "tput",
    "bw-residual",
    "bw-available",
];

/// The statistics that may follow the name of a performance metric (RFC 9439 §3.2), besides
/// percentiles (`p95`, `p99.9`).
const STATISTICS: [&str; 7] = ["cur", "min", "max", "median", "mean", "stddev", "stdvar"];

/// The name of a cost metric: `routingcost`, `delay-ow:p95`, `priv:cash`, …
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricName(Arc<str>);

name!(@traits MetricName);

impl MetricName {
    /// Parses a metric name.
    ///
    /// # Errors
    /// The text is longer than 32 characters, has a character outside the
    /// alphabet, or is neither registered (with a statistic where RFC 9439
    /// has one) nor `priv:` and a name.
    pub fn new(text: &str) -> Result<Self, NameError> {
        match Self::check_syntax(text) {
            Ok(()) => Ok(Self(text.into())),
            Err(reason) => Err(NameError::new("cost metric", text, reason)),
        }
    }

    /// Returns the metric that every ALTO server has (RFC 7285 §6.1.1.1).
    pub fn routingcost() -> Self {
        Self("routingcost".into())
    }

    /// Returns the name without its statistic: `delay-ow` for `delay-ow:p95`. A private name is
    /// its own base.
    pub fn base(&self) -> &str {
        match self.0.split_once(':') {
            Some((base, _)) if base != "priv" => base,
            _ => &self.0,
        }
    }

    /// Whether a larger number is better, as for throughput and bandwidths. Ordinal costs rank
    /// these in reverse (RFC 7285 §6.1.2.2).
    pub fn more_is_better(&self) -> bool {
        matches!(self.base(), "tput" | "bw-residual" | "bw-available")
    }

    /// Returns the check of the metric's values: finite and not negative, whole for `hopcount`,
    /// at most 100 for `lossrate` (RFC 9439 §4).
    pub fn check(&self) -> ValueCheck {
        match self.base() {
            "hopcount" if !self.is_spread() => ValueCheck::Whole,
            "lossrate" => ValueCheck::Percent,
            _ => ValueCheck::NotNegative,
        }
    }

    /// Whether the statistic may be a value that was never observed.
    fn is_spread(&self) -> bool {
        matches!(
            self.0.split_once(':'),
            Some((_, "mean" | "stddev" | "stdvar" | "median"))
        )
    }

    fn check_syntax(text: &str) -> Result<(), String> {
        if text.len() > 32 {
            return Err(format!(
                "has {} characters; at most 32 are allowed",
                text.len()
            ));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-:_.".contains(c);
        if let Some(bad) = text.chars().find(|&c| !allowed(c)) {
            return Err(format!(
                "has {bad:?}; allowed are ASCII letters, digits, '-', ':', '_' and '.'"
            ));
        }
        let (base, statistic) = match text.split_once(':') {
            Some(("priv", "")) => {
                return Err("needs a name after `priv:`".into());
            }
            Some(("priv", rest)) if rest.contains('.') => {
                return Err("has a '.', which only a percentile may have".into());
            }
            Some(("priv", _)) => return Ok(()),
            Some((base, statistic)) => (base, Some(statistic)),
            None => (text, None),
        };
        if !BASES.contains(&base) {
            return Err(format!(
                "is not registered; use one of {} or a name that starts with `priv:`",
                BASES.join(", ")
            ));
        }
        match statistic {
            None => Ok(()),
            Some(_) if base == "routingcost" => {
                Err("has a statistic, which routingcost does not take".into())
            }
            Some(statistic) if STATISTICS.contains(&statistic) || is_percentile(statistic) => {
                Ok(())
            }
            Some(_) => Err(format!(
                "has an unknown statistic; use one of {} or a percentile such as p95",
                STATISTICS.join(", ")
            )),
        }
    }
}

/// Which numbers are costs. An enum rather than a function, since it is applied to every cell of
/// a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueCheck {
    /// All finite numbers: RFC 7285 §6.1.2.1 does not restrict numerical costs further.
    Finite,
    /// Numbers that are not negative.
    NotNegative,
    /// Whole numbers that are not negative.
    Whole,
    /// Numbers from 0 to 100.
    Percent,
}

impl ValueCheck {
    /// Checks that a number is a cost.
    ///
    /// # Errors
    /// What is wrong with the number, for people.
    #[inline]
    pub fn check(self, value: f64) -> Result<(), &'static str> {
        if !value.is_finite() {
            return Err("a cost must be a finite number");
        }
        match self {
            Self::Finite => Ok(()),
            _ if value < 0.0 => Err("a cost must not be negative"),
            Self::Whole if value.fract() != 0.0 => Err("a hopcount must be a whole number"),
            Self::Percent if value > 100.0 => Err("a lossrate is in percent and at most 100"),
            _ => Ok(()),
        }
    }
}

/// Whether a statistic is `p` and a JSON number from 0 to 100 without sign or exponent (RFC 9439
/// §3.2).
fn is_percentile(statistic: &str) -> bool {
    let Some(number) = statistic.strip_prefix('p') else {
        return false;
    };
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (number, None),
    };
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let no_leading_zero = whole == "0" || !whole.starts_with('0');
    digits(whole)
        && no_leading_zero
        && fraction.is_none_or(digits)
        && number.parse::<f64>().is_ok_and(|n| n <= 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(text: &str) -> bool {
        MetricName::new(text).is_ok()
    }

    #[test]
    fn percentiles_are_json_numbers_from_0_to_100() {
        for good in ["p0", "p5", "p95", "p99.9", "p100", "p100.0", "p50"] {
            assert!(ok(&format!("delay-ow:{good}")), "{good}");
        }
        for bad in [
            "p", "p-1", "p101", "p100.1", "p99.", "p.5", "p095", "P95", "p1e1", "",
        ] {
            assert!(!ok(&format!("delay-ow:{bad}")), "{bad}");
        }
    }

    #[test]
    fn a_metric_is_registered_or_private() {
        for good in [
            "routingcost",
            "hopcount",
            "delay-variation:p99.99",
            "bw-available:cur",
            "priv:x",
            "priv:delay:p95",
        ] {
            assert!(ok(good), "{good}");
        }
        for bad in [
            "",
            "latency",
            "priv:",
            "priv:a.b",
            "RoutingCost",
            "routingcost:mean",
            "delay-ow:Mean",
            "ane-path",
            "routing cost",
            "priv:345678901234567890123456789012x",
        ] {
            assert!(!ok(bad), "{bad}");
        }
    }

    #[test]
    fn values_obey_their_metric() {
        let check = |name: &str, value| MetricName::new(name).expect("valid").check().check(value);
        assert!(check("routingcost", f64::NAN).is_err());
        assert!(check("routingcost", f64::INFINITY).is_err());
        assert!(check("routingcost", -1.0).is_err());
        assert!(check("routingcost", -0.0).is_ok());
        assert!(check("hopcount", 2.5).is_err());
        assert!(check("hopcount:mean", 2.5).is_ok());
        assert!(check("lossrate", 100.0).is_ok());
        assert!(check("lossrate", 100.1).is_err());
    }

    #[test]
    fn bandwidths_rank_in_reverse() {
        let better = |name: &str| MetricName::new(name).expect("valid").more_is_better();
        assert!(better("bw-available:p5") && better("tput"));
        assert!(!better("delay-ow") && !better("priv:tput"));
    }
}
