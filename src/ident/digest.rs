//! SHA-256 digests of content, and the tags made from them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::name::NameError;

/// A SHA-256 digest, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// The text is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 64 hexadecimal digits")]
pub struct InvalidDigest;

impl Digest {
    /// The digest of the empty set (see [`Digest::toggle`]); also stands before the first digest
    /// of a chain, since no known bytes have it.
    pub const ZERO: Digest = Digest([0; 32]);

    /// Computes the digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self::of_parts(&[bytes])
    }

    /// Computes the digest of the concatenation of `parts`.
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        parts.iter().for_each(|part| hasher.update(part));
        hasher.finish()
    }

    /// Wraps the bytes of a digest.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Adds a member to the set that this is the digest of, or removes it. The digest of a set
    /// is the exclusive or of its members' digests, so it does not depend on their order.
    pub fn toggle(&mut self, member: &Digest) {
        for (to, from) in self.0.iter_mut().zip(member.0) {
            *to ^= from;
        }
    }

    /// Returns the 32 bytes of the digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
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
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Writes bytes as lower-case hexadecimal digits.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads the bytes that [`to_hex`] wrote; returns `None` for any other text.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
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

/// A SHA-256 computation over bytes that come in pieces.
#[derive(Clone)]
pub struct Sha256(digest::Context);

impl Sha256 {
    /// Starts with no bytes.
    pub fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the digest of all bytes that were added.
    pub fn finish(self) -> Digest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.finish().as_ref());
        Digest(bytes)
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

/// A tag (RFC 7285 §10.3): up to 64 characters from U+0021 to U+007E. Our own tags are the first
/// 32 hexadecimal digits of the content's SHA-256; those of others are opaque.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<str>);

impl Tag {
    /// Checks a tag that another party made.
    ///
    /// # Errors
    /// The text is empty, longer than 64 characters, or has a space, a control character or a
    /// character beyond ASCII.
    pub fn new(text: &str) -> Result<Self, NameError> {
        const KIND: &str = "tag";
        if text.is_empty() || text.len() > 64 {
            return Err(NameError::new(KIND, text, "must have 1 to 64 characters"));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(NameError::new(
                KIND,
                text,
                "may hold only the characters U+0021 to U+007E",
            ));
        }
        Ok(Self(text.into()))
    }

    /// Returns the tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Digest> for Tag {
    fn from(digest: Digest) -> Self {
        let mut text = digest.to_string();
        text.truncate(32);
        Self(text.into())
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_the_first_half_of_the_digest() {
        let digest = Digest::of(b"abc");
        assert_eq!(
            digest.to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            Tag::from(digest).as_str(),
            "ba7816bf8f01cfea414140de5dae2223"
        );
    }

    #[test]
    fn a_digest_reads_back_from_its_text() {
        let digest = Digest::of_parts(&[b"a", b"bc"]);
        assert_eq!(digest, Digest::of(b"abc"));
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for wrong in ["", "00", &"0".repeat(63), &"G".repeat(64), &"0".repeat(66)] {
            assert_eq!(wrong.parse::<Digest>(), Err(InvalidDigest), "{wrong}");
        }
    }

    #[test]
    fn the_digest_of_a_set_does_not_depend_on_the_order() {
        let [a, b, c] = [b"a", b"b", b"c"].map(|m| Digest::of(m));
        let mut one = Digest::ZERO;
        [a, b, c, b].iter().for_each(|member| one.toggle(member));
        let mut other = Digest::ZERO;
        [c, a].iter().for_each(|member| other.toggle(member));
        assert_eq!(one, other);
    }

    #[test]
    fn pieces_have_the_digest_of_the_whole() {
        let mut hasher = Sha256::new();
        hasher.update(b"a");
        hasher.update(b"bc");
        assert_eq!(hasher.finish(), Digest::of(b"abc"));
    }

    #[test]
    fn tags_of_others_hold_no_space_and_at_most_64_characters() {
        assert!(Tag::new(&"!".repeat(64)).is_ok());
        assert!(Tag::new(&"!".repeat(65)).is_err());
        for bad in ["", "a b", "a\u{7f}", "é"] {
            assert!(Tag::new(bad).is_err(), "{bad:?}");
        }
    }
}
