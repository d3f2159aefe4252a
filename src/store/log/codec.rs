//! The store's own binary forms: fixed integers in network order, byte strings with a 32-bit
//! length. Reading is bounded by the input and never panics.

use crate::ident::Digest;

/// The bytes are not what the store wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(in crate::store) struct Malformed(pub(in crate::store) &'static str);

/// Writes one value.
#[derive(Default)]
pub(in crate::store) struct Encoder(Vec<u8>);

impl Encoder {
    pub(in crate::store) fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub(in crate::store) fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(in crate::store) fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(in crate::store) fn digest(mut self, value: &Digest) -> Self {
        self.0.extend_from_slice(value.as_bytes());
        self
    }

    /// Writes a byte string. Everything that is encoded has passed a limit far below 4 GiB.
    pub(in crate::store) fn bytes(self, value: &[u8]) -> Self {
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        let mut encoder = self.u32(length);
        encoder.0.extend_from_slice(value);
        encoder
    }

    pub(in crate::store) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads one value from the front of a byte string.
pub(in crate::store) struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    pub(in crate::store) fn new(bytes: &'a [u8]) -> Self {
        Decoder(bytes)
    }

    pub(in crate::store) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::store) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(in crate::store) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(in crate::store) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// Reads the number of a revision, which must be far from overflow.
    pub(in crate::store) fn revision(&mut self) -> Result<u64, Malformed> {
        let revision = self.u64()?;
        if revision > u64::MAX / 2 {
            Err(Malformed("the number of a revision is impossible"))
        } else {
            Ok(revision)
        }
    }

    pub(in crate::store) fn digest(&mut self) -> Result<Digest, Malformed> {
        self.array().map(Digest::from_bytes)
    }

    pub(in crate::store) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u32()?;
        let length = usize::try_from(length).map_err(|_| Malformed("a length is too large"))?;
        let (front, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(Malformed("it is cut short"))?;
        self.0 = rest;
        Ok(front)
    }

    pub(in crate::store) fn text(&mut self) -> Result<String, Malformed> {
        let bytes = self.bytes()?.to_vec();
        String::from_utf8(bytes).map_err(|_| Malformed("a name is not UTF-8"))
    }

    /// Ends the reading; it is an error if bytes are left.
    pub(in crate::store) fn finish(self) -> Result<(), Malformed> {
        match self.0 {
            [] => Ok(()),
            _ => Err(Malformed("bytes are left over")),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (front, rest) = self
            .0
            .split_first_chunk()
            .ok_or(Malformed("it is cut short"))?;
        self.0 = rest;
        Ok(*front)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let digest = Digest::of_parts(&[b"x"]);
        let bytes = Encoder::default()
            .u8(7)
            .u32(8)
            .u64(9)
            .digest(&digest)
            .bytes(b"name")
            .finish();
        let mut decoder = Decoder::new(&bytes);
        assert_eq!(decoder.u8(), Ok(7));
        assert_eq!(decoder.u32(), Ok(8));
        assert_eq!(decoder.u64(), Ok(9));
        assert_eq!(decoder.digest(), Ok(digest));
        assert_eq!(decoder.text().as_deref(), Ok("name"));
        assert_eq!(decoder.finish(), Ok(()));
    }

    #[test]
    fn a_length_beyond_the_input_is_refused() {
        let bytes = Encoder::default().u32(u32::MAX).finish();
        assert!(Decoder::new(&bytes).bytes().is_err());
        assert!(Decoder::new(&[0, 0]).u32().is_err());
        assert!(Decoder::new(&[0]).finish().is_err());
    }
}
