use std::{fmt, str::FromStr};

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The SHA-256 of a stored value, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// The text is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 64 hexadecimal digits")]
pub struct InvalidDigest;

impl Digest {
    /// What the first record names as its predecessor, and the state of tables without rows.
    pub const ZERO: Digest = Digest([0; 32]);

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Hashes the concatenation of `parts`.
    pub(super) fn of(parts: &[&[u8]]) -> Digest {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(part);
        }
        Digest::from_finished(context)
    }

    /// The digest of everything that `context`, a SHA-256, was given.
    pub(super) fn from_finished(context: Context) -> Digest {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        Digest(bytes)
    }

    pub(super) fn from_bytes(bytes: [u8; 32]) -> Digest {
        Digest(bytes)
    }

    /// Adds or takes away one member of a set whose digest this is: the exclusive or of its
    /// members' digests depends on the members alone, not on the order they came in.
    pub(super) fn toggle(&mut self, member: &Digest) {
        for (to, from) in self.0.iter_mut().zip(member.0) {
            *to ^= from;
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Digest, InvalidDigest> {
        let bytes = from_hex(text).ok_or(InvalidDigest)?;
        bytes.try_into().map(Digest).map_err(|_| InvalidDigest)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let pairs = text.as_bytes().chunks_exact(2);
    pairs
        .map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.last()?)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_back_from_its_text() {
        let digest = Digest::of(&[b"a", b"bc"]);
        assert_eq!(digest, Digest::of(&[b"abc"]));
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for wrong in ["", "00", &"0".repeat(63), &"G".repeat(64), &"0".repeat(66)] {
            assert_eq!(wrong.parse::<Digest>(), Err(InvalidDigest), "{wrong}");
        }
    }

    #[test]
    fn the_digest_of_a_set_does_not_depend_on_the_order() {
        let [a, b, c] = [b"a", b"b", b"c"].map(|m| Digest::of(&[m]));
        let mut one = Digest::ZERO;
        [a, b, c, b].iter().for_each(|member| one.toggle(member));
        let mut other = Digest::ZERO;
        [c, a].iter().for_each(|member| other.toggle(member));
        assert_eq!(one, other);
    }
}
