//! Numbers of the configuration that have a minimum.

use serde::{Deserialize, Deserializer, de};

/// Reads a whole number of `MIN` or more.
///
/// # Errors
/// It is less, or not a number.
pub fn at_least<'de, const MIN: u64, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: TryFrom<u64>,
    D: Deserializer<'de>,
{
    let number = u64::deserialize(deserializer)?;
    match T::try_from(number) {
        Ok(fitting) if number >= MIN => Ok(fitting),
        _ => Err(de::Error::custom(format_args!(
            "{number} is out of range; write a whole number of {MIN} or more"
        ))),
    }
}
