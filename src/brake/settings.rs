//! The thresholds above which a change is held, and for how long.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

use crate::runtime::duration;

/// The thresholds above which a change is held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// The share of the prefixes, PIDs, interconnects or costs that may go at
    /// once.
    pub max_removed: Share,
    /// How many costs may move at once, and how far.
    pub max_change: MaxChange,
}

/// A part of a whole, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Share(f64);

/// How many costs may move at once, and how far.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaxChange {
    /// A cost moves if it becomes this many times what it was, or the same fraction of it.
    #[serde(deserialize_with = "factor")]
    pub factor: f64,
    /// The share of the costs in one metric that may do so at once.
    pub share: Share,
}

/// How long a change is held before it is taken anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// For this time.
    For(Duration),
    /// Until the operator accepts it.
    Forever,
}

impl Thresholds {
    /// The thresholds under which nothing is held.
    pub const NONE: Self = Self {
        max_removed: Share(1.0),
        max_change: MaxChange {
            factor: 10.0,
            share: Share(1.0),
        },
    };
}

impl Thresholds {
    /// Whether too many costs can move.
    pub(super) fn judges_costs(&self) -> bool {
        self.max_change.share.is_exceeded(1, 1)
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            max_removed: Share(0.5),
            max_change: MaxChange::default(),
        }
    }
}

impl Default for MaxChange {
    fn default() -> Self {
        Self {
            factor: 10.0,
            share: Share(0.2),
        }
    }
}

impl Default for Hold {
    fn default() -> Self {
        Hold::For(Duration::from_secs(60 * 60))
    }
}

impl Share {
    /// Returns the share, if it is from 0 to 1.
    pub fn new(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }

    /// Whether `part` is more than this share of `of`.
    pub fn is_exceeded(self, part: usize, of: usize) -> bool {
        part as f64 > self.0 * of as f64
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded to a tenth of a percent: 0.07 * 100 is 7.000000000000001.
        write!(f, "{} %", (self.0 * 1000.0).round() / 10.0)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let share = f64::deserialize(deserializer)?;
        Self::new(share).ok_or_else(|| {
            de::Error::custom(format_args!(
                "{share} is no share; write one from 0 to 1, such as 0.5 for a half; 1 holds \
                 nothing"
            ))
        })
    }
}

fn factor<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let factor = f64::deserialize(deserializer)?;
    if factor.is_finite() && factor > 1.0 {
        Ok(factor)
    } else {
        Err(de::Error::custom(format_args!(
            "{factor} is no factor that costs can move by; write one above 1, such as 10"
        )))
    }
}

impl<'de> Deserialize<'de> for Hold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;

        impl Visitor<'_> for Word {
            type Value = Hold;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"forever\", or a duration such as \"1h\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Hold, E> {
                if text == "forever" {
                    return Ok(Hold::Forever);
                }
                let text = de::value::StrDeserializer::<E>::new(text);
                match duration::positive::deserialize(text) {
                    Ok(time) => Ok(Hold::For(time)),
                    Err(error) => Err(E::custom(format_args!("{error}, or \"forever\""))),
                }
            }
        }

        deserializer.deserialize_str(Word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Section {
        #[serde(default)]
        hold: Hold,
        #[serde(default)]
        max_change: MaxChange,
        max_removed: Share,
    }

    fn read(text: &str) -> Result<Section, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn shares_factors_and_times_are_read_as_they_are_written() {
        let text = "hold = \"forever\"\nmax_removed = 0.07\nmax_change = { factor = 3 }";
        let section = read(text).expect("sound");
        assert_eq!(section.hold, Hold::Forever);
        assert_eq!(section.max_removed.to_string(), "7 %");
        assert_eq!(
            (section.max_change.factor, section.max_change.share),
            (3.0, MaxChange::default().share)
        );
        let section = read("hold = \"2h\"\nmax_removed = 1").expect("sound");
        assert_eq!(section.hold, Hold::For(Duration::from_secs(7200)));
        assert_eq!(section.max_removed.to_string(), "100 %");
        assert_eq!(Hold::default(), Hold::For(Duration::from_secs(3600)));
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_mend() {
        for (text, words) in [
            ("max_removed = 50", "0.5 for a half"),
            ("max_removed = nan", "from 0 to 1"),
            ("max_removed = 0.5\nhold = \"ever\"", "or \"forever\""),
            ("max_removed = 0.5\nhold = \"0s\"", "longer than"),
            ("max_removed = 0.5\nhold = 5", "\"1h\""),
            ("max_removed = 0.5\nmax_change = { factor = 1 }", "above 1"),
            (
                "max_removed = 0.5\nmax_change = { factor = inf }",
                "above 1",
            ),
            (
                "max_removed = 0.5\nmax_change = { shares = 1 }",
                "unknown field",
            ),
        ] {
            let error = read(text).expect_err(words);
            assert!(error.contains(words), "{words}: {error}");
        }
    }

    #[test]
    fn a_share_is_exceeded_above_it_and_not_at_it() {
        let half = Thresholds::default().max_removed;
        assert!(!half.is_exceeded(5, 10) && half.is_exceeded(6, 10));
        let all = Thresholds::NONE.max_removed;
        assert!(!all.is_exceeded(10, 10));
    }
}
