//! Durations in the configuration, as people write them: `"10s"`, `"5m"`, `"1h 30m"`.
//!
//! Used on a field with `#[serde(with = "crate::runtime::duration")]`, or with
//! [`positive`](mod@positive) where zero would make no sense. The syntax is jiff's friendly one;
//! the largest unit is the hour, since a day is not always 24 of them.

use std::time::Duration;

use jiff::fmt::friendly::{Designator, Spacing, SpanParser, SpanPrinter};
use serde::{Deserialize, Deserializer, Serializer, de};

static PARSER: SpanParser = SpanParser::new();
static PRINTER: SpanPrinter = SpanPrinter::new()
    .designator(Designator::Compact)
    .spacing(Spacing::BetweenUnits);

/// The message about a duration of zero where it must be longer.
pub const ZERO: &str = "a duration of zero would always have passed; write one longer than that";

/// Reads a duration.
///
/// # Errors
/// When the text is not a duration of zero or more; the message shows the form.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    PARSER.parse_unsigned_duration(&text).map_err(|_| {
        de::Error::custom(format_args!(
            "{text:?} is not a duration; write a number and a unit up to hours, such as \
             \"500ms\", \"10s\", \"5m\" or \"1h 30m\""
        ))
    })
}

/// Writes a duration in the form that [`deserialize`] reads.
///
/// # Errors
/// Only those of the serializer.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&PRINTER.unsigned_duration_to_string(duration))
}

/// Durations that must be longer than zero: timeouts and intervals.
pub mod positive {
    use super::{Deserializer, Duration, de};

    pub use super::serialize;

    /// Reads a duration longer than zero.
    ///
    /// # Errors
    /// Those of [`super::deserialize`], and zero.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let duration = super::deserialize(deserializer)?;
        if duration.is_zero() {
            return Err(de::Error::custom(super::ZERO));
        }
        Ok(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Deserialize, serde::Serialize)]
    struct Settings {
        #[serde(with = "super")]
        any: Duration,
        #[serde(with = "super::positive")]
        some: Duration,
    }

    fn read(any: &str, some: &str) -> Result<Settings, toml::de::Error> {
        toml::from_str(&format!("any = {any:?}\nsome = {some:?}"))
    }

    #[test]
    fn people_write_durations_with_units() {
        for (text, seconds) in [
            ("10s", 10),
            ("1m", 60),
            ("75 seconds", 75),
            ("1h 30m", 5400),
            ("0s", 0),
        ] {
            assert_eq!(
                read(text, "1s").unwrap().any,
                Duration::from_secs(seconds),
                "{text}"
            );
        }
        assert_eq!(read("1s", "250ms").unwrap().some.as_millis(), 250);
    }

    #[test]
    fn what_is_no_duration_is_refused_with_the_form_to_write() {
        for text in [
            "10",
            "",
            "-1s",
            "1d",
            "1 fortnight",
            "99999999999999999999h",
        ] {
            let error = read(text, "1s").unwrap_err().to_string();
            assert!(error.contains("\"10s\""), "{text}: {error}");
        }
    }

    #[test]
    fn a_timeout_of_zero_is_refused() {
        let error = read("0s", "0s").unwrap_err().to_string();
        assert!(error.contains("longer than"), "{error}");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(seconds in 0..u64::from(u32::MAX), nanos in 0..1_000_000_000u32) {
            let any = Duration::new(seconds, nanos);
            let text = toml::to_string(&Settings { any, some: any.max(Duration::from_nanos(1)) }).unwrap();
            prop_assert_eq!(toml::from_str::<Settings>(&text).unwrap().any, any);
        }
    }
}
