//! Decodes the body of a response while it arrives, within limits.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use zstd::stream::write::Decoder as ZstdDecoder;

use crate::alto::guard::{JsonGuard, TooDeep};

/// The content codings that are accepted.
pub(super) const ACCEPTED: &str = "zstd, gzip";

/// The size up to which no ratio is checked: it says nothing about a short text.
const FREE: u64 = 16 * 1024 * 1024;

/// The largest window of a zstd frame, as a power of two: the 8 MB of RFC 8878
/// §3.1.1.1.2.
const MAX_ZSTD_WINDOW: u32 = 23;

/// The limits of a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimits {
    /// Bytes, decoded.
    pub(super) max_bytes: usize,
    /// How many times the bytes that came.
    pub(super) max_ratio: u64,
    /// Levels of arrays and objects.
    pub(super) max_depth: usize,
}

/// Why a body is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("more than {0} bytes")]
    TooLarge(usize),
    #[error("more than {0} times as long as its compressed form")]
    Ratio(u64),
    #[error(transparent)]
    TooDeep(#[from] TooDeep),
    #[error("coded as {0:?}; only gzip and zstd were asked for")]
    Coding(String),
    #[error("{0}")]
    Corrupt(String),
}

/// The decoder of one body.
pub(super) enum Body {
    Plain(Sink),
    Gzip(MultiGzDecoder<Sink>),
    Zstd(ZstdDecoder<'static, Sink>),
}

impl Body {
    /// Makes the decoder of a content coding.
    ///
    /// # Errors
    /// The coding was not asked for.
    pub(super) fn coded(coding: &str, limits: BodyLimits) -> Result<Self, BodyError> {
        let sink = Sink {
            limits,
            received: 0,
            guard: JsonGuard::new(limits.max_depth),
            text: Vec::new(),
            refused: None,
        };
        match coding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Body::Plain(sink)),
            "gzip" | "x-gzip" => Ok(Body::Gzip(MultiGzDecoder::new(sink))),
            "zstd" => {
                let decoder = ZstdDecoder::new(sink).and_then(|mut decoder| {
                    decoder.window_log_max(MAX_ZSTD_WINDOW)?;
                    Ok(decoder)
                });
                decoder
                    .map(Body::Zstd)
                    .map_err(|error| BodyError::Corrupt(error.to_string()))
            }
            other => Err(BodyError::Coding(other.chars().take(80).collect())),
        }
    }

    /// Decodes the next bytes.
    ///
    /// # Errors
    /// A limit is exceeded, or the coding is broken.
    pub(super) fn feed(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        if chunk.is_empty() {
            return Ok(());
        }
        self.sink().received += chunk.len() as u64;
        let fed = match self {
            Body::Plain(sink) => sink.write_all(chunk),
            Body::Gzip(decoder) => decoder.write_all(chunk),
            Body::Zstd(decoder) => decoder.write_all(chunk),
        };
        self.judge(fed)
    }

    /// Returns the decoded body when all of it has come.
    ///
    /// # Errors
    /// The coded text is cut off.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, BodyError> {
        let ended = match &mut self {
            Body::Plain(_) => Ok(()),
            Body::Gzip(decoder) => decoder.try_finish(),
            Body::Zstd(decoder) => decoder.do_finish(),
        };
        self.judge(ended)?;
        Ok(std::mem::take(&mut self.sink().text))
    }

    fn sink(&mut self) -> &mut Sink {
        match self {
            Body::Plain(sink) => sink,
            Body::Gzip(decoder) => decoder.get_mut(),
            Body::Zstd(decoder) => decoder.get_mut(),
        }
    }

    /// A decoder does not tell why its writer refused; the sink does.
    fn judge(&mut self, outcome: io::Result<()>) -> Result<(), BodyError> {
        match (self.sink().refused.take(), outcome) {
            (Some(refused), _) => Err(refused),
            (None, Err(error)) => Err(BodyError::Corrupt(error.to_string())),
            (None, Ok(())) => Ok(()),
        }
    }
}

/// Collects decoded bytes as far as the limits allow. A decoder writes a little at a time, so
/// that a bomb is refused before it has grown.
pub(super) struct Sink {
    limits: BodyLimits,
    received: u64,
    guard: JsonGuard,
    text: Vec<u8>,
    refused: Option<BodyError>,
}

impl Sink {
    fn check(&mut self, more: &[u8]) -> Result<(), BodyError> {
        let length = self.text.len().saturating_add(more.len());
        let BodyLimits {
            max_bytes,
            max_ratio,
            ..
        } = self.limits;
        if length > max_bytes {
            return Err(BodyError::TooLarge(max_bytes));
        }
        if length as u64 > self.received.saturating_mul(max_ratio).max(FREE) {
            return Err(BodyError::Ratio(max_ratio));
        }
        Ok(self.guard.feed(more)?)
    }
}

impl Write for Sink {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if let Err(refused) = self.check(more) {
            self.refused = Some(refused);
            return Err(io::Error::other("refused"));
        }
        self.text.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const LIMITS: BodyLimits = BodyLimits {
        max_bytes: 64 * 1024 * 1024,
        max_ratio: 200,
        max_depth: 32,
    };

    fn decode(coding: &str, coded: &[u8], limits: BodyLimits) -> Result<Vec<u8>, BodyError> {
        let mut body = Body::coded(coding, limits)?;
        for chunk in coded.chunks(1000) {
            body.feed(chunk)?;
        }
        body.finish()
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).expect("memory");
        encoder.finish().expect("memory")
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::encode_all(text, 3).expect("memory")
    }

    #[test]
    fn a_body_is_the_same_in_every_coding() {
        let text = b"[1,2,3]".repeat(10_000);
        let twice = [gzip(&text), gzip(b" ")].concat();
        for (coding, coded) in [
            ("", text.clone()),
            ("identity", text.clone()),
            ("gzip", gzip(&text)),
            (" X-GZip", gzip(&text)),
            ("zstd", zstd(&text)),
        ] {
            assert_eq!(decode(coding, &coded, LIMITS).expect(coding), text);
        }
        // RFC 1952 §2.2: a gzip text may have several members.
        let whole = decode("gzip", &twice, LIMITS).expect("two members");
        assert_eq!(whole.len(), text.len() + 1);
    }

    #[test]
    fn a_coding_that_was_not_asked_for_is_refused() {
        for coding in ["br", "deflate", "gzip, gzip", "zstd,gzip"] {
            let refused = decode(coding, b"", LIMITS);
            assert!(matches!(refused, Err(BodyError::Coding(_))), "{coding}");
        }
    }

    #[test]
    fn a_body_that_is_cut_or_broken_is_refused() {
        let text = b"[1,2,3]".repeat(10_000);
        for (coding, mut coded) in [("gzip", gzip(&text)), ("zstd", zstd(&text))] {
            let cut = decode(coding, &coded[..coded.len() - 1], LIMITS);
            assert!(matches!(cut, Err(BodyError::Corrupt(_))), "{coding}");
            coded[0] ^= 1;
            let broken = decode(coding, &coded, LIMITS);
            assert!(matches!(broken, Err(BodyError::Corrupt(_))), "{coding}");
        }
    }

    #[test]
    fn a_bomb_ends_at_the_ratio_and_at_the_limit_before_it_has_grown() {
        let nothing = vec![b' '; 40 * 1024 * 1024];
        for (coding, coded) in [("gzip", gzip(&nothing)), ("zstd", zstd(&nothing))] {
            let mut body = Body::coded(coding, LIMITS).expect("known");
            let refused = coded.chunks(1000).find_map(|chunk| body.feed(chunk).err());
            assert!(matches!(refused, Some(BodyError::Ratio(200))), "{coding}");
            assert!(body.sink().text.len() as u64 <= FREE, "{coding}");
            let small = BodyLimits {
                max_bytes: 100_000,
                ..LIMITS
            };
            let refused = decode(coding, &coded, small);
            assert!(
                matches!(refused, Err(BodyError::TooLarge(100_000))),
                "{coding}"
            );
        }
    }

    #[test]
    fn a_zstd_frame_with_a_window_over_8_mb_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("memory");
        encoder.window_log(27).expect("allowed");
        encoder.write_all(b"[1]").expect("memory");
        let coded = encoder.finish().expect("memory");
        let refused = decode("zstd", &coded, LIMITS);
        assert!(matches!(refused, Err(BodyError::Corrupt(_))));
    }

    #[test]
    fn levels_of_json_are_counted_while_they_come() {
        let deep = "[".repeat(100_000);
        let refused = decode("gzip", &gzip(deep.as_bytes()), LIMITS);
        assert!(matches!(
            refused,
            Err(BodyError::TooDeep(TooDeep {
                max_depth: 32,
                offset: 32
            }))
        ));
        let legal = "[".repeat(32);
        assert!(decode("", legal.as_bytes(), LIMITS).is_ok());
    }
}
