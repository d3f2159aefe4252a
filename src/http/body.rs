//! Reads the body of a request within limits, and refuses it as soon as it exceeds one.

use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::Body as _;
use http_body_util::BodyExt;

use super::limit::Refusal;
use crate::alto::guard::{JsonGuard, TooDeep};
use crate::render::{NoRoom, Room};
use crate::runtime::Clock;

/// The most memory, in bytes, that is reserved for a body before it comes: a claimed length
/// costs nothing.
const FIRST_CAPACITY: usize = 64 * 1024;

/// The limits of one kind of body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// The most bytes.
    pub max_bytes: usize,
    /// The most levels of arrays and objects in a JSON body; none if the levels are not counted.
    pub max_depth: Option<usize>,
    /// How long it may take, whatever its size.
    pub patience: Duration,
    /// How many bytes give it another second: the slowest pace at which a long body may come. 0
    /// counts as 1.
    pub bytes_per_second: u32,
    /// How many bytes of memory each of its bytes counts for, including what is made from it.
    pub counted: u64,
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is too large, or its stated length is.
    #[error("the body is larger than {max_bytes} bytes; send it in smaller parts")]
    TooLarge {
        /// The most bytes allowed.
        max_bytes: usize,
    },
    /// It is nested too deep.
    #[error("{0}; make it flatter")]
    TooDeep(#[from] TooDeep),
    /// It came too slowly.
    #[error("the body did not come in time: {received} bytes in {} s; send it again, and faster", within.as_secs())]
    Slow {
        /// How many bytes had come.
        received: usize,
        /// How much time those bytes had given it.
        within: Duration,
    },
    /// There is no room for it in memory.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// It broke off, or is not framed as HTTP requires.
    #[error("the body broke off: {0}; send it again, whole")]
    Broken(axum::Error),
}

impl BodyLimits {
    /// Returns limits for JSON of at most `max_bytes`: 32 levels, and 10 s plus a second for
    /// each 16 KiB, which is slower than any access line and faster than a slow-body attack.
    pub fn json(max_bytes: usize) -> BodyLimits {
        BodyLimits {
            max_bytes,
            max_depth: Some(32),
            patience: Duration::from_secs(10),
            bytes_per_second: 16 * 1024,
            counted: 1,
        }
    }

    fn time_for(&self, received: usize) -> Duration {
        let pace = u64::from(self.bytes_per_second.max(1));
        self.patience
            .saturating_add(Duration::from_secs(received as u64 / pace))
    }
}

impl BodyError {
    /// Returns the status to answer with.
    pub fn status(&self) -> StatusCode {
        match self {
            BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::TooDeep(_) | BodyError::Broken(_) => StatusCode::BAD_REQUEST,
            BodyError::Slow { .. } => StatusCode::REQUEST_TIMEOUT,
            BodyError::NoRoom(none) => Refusal::from(*none).status,
        }
    }
}

/// Reads a body to its end. It takes `room` as it comes, until it is dropped. A `Content-Length`
/// above the limit is refused before anything is read, so that a client that waits for
/// `100 Continue` sends nothing; a body without one is refused with the chunk that exceeds the
/// limit.
///
/// # Errors
/// [`BodyError`]; what had come is dropped. After the answer the connection ends on HTTP/1, and
/// the stream on HTTP/2.
pub async fn read(
    body: Body,
    limits: &BodyLimits,
    clock: &Clock,
    mut room: Room,
) -> Result<Bytes, BodyError> {
    let max_bytes = limits.max_bytes;
    let too_large = || BodyError::TooLarge { max_bytes };
    let expected = usize::try_from(body.size_hint().lower()).map_err(|_| too_large())?;
    if expected > max_bytes {
        return Err(too_large());
    }
    let begun = clock.now();
    let mut guard = limits.max_depth.map(JsonGuard::new);
    let mut whole = BytesMut::with_capacity(expected.min(FIRST_CAPACITY));
    let mut body = pin!(body);
    loop {
        let within = limits.time_for(whole.len());
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            () = clock.sleep_until(begun + within) => {
                return Err(BodyError::Slow { received: whole.len(), within });
            }
        };
        let Some(frame) = frame else {
            return Ok(room.own(whole));
        };
        // Frames other than data are trailers, which nothing here reads.
        let Ok(chunk) = frame.map_err(BodyError::Broken)?.into_data() else {
            continue;
        };
        if chunk.len() > max_bytes - whole.len() {
            return Err(too_large());
        }
        if let Some(guard) = &mut guard {
            guard.feed(&chunk)?;
        }
        room.grow(chunk.len() as u64 * limits.counted)?;
        whole.extend_from_slice(&chunk);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::render::testing::room;
    use crate::runtime::testing::soon;
    use crate::runtime::{ManualClock, Task};
    use futures_util::{FutureExt, StreamExt, stream};
    use jiff::Timestamp;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits() -> BodyLimits {
        BodyLimits {
            max_bytes: 40,
            max_depth: Some(3),
            patience: 10 * SECOND,
            bytes_per_second: 4,
            counted: 1,
        }
    }

    fn chunks(chunks: &[&'static str]) -> Body {
        let chunks: Vec<_> = chunks.iter().copied().map(Ok::<_, Infallible>).collect();
        Body::from_stream(stream::iter(chunks))
    }

    fn clock() -> (Clock, ManualClock) {
        Clock::manual(Timestamp::UNIX_EPOCH)
    }

    async fn read_now(body: Body, limits: BodyLimits) -> Result<Bytes, BodyError> {
        read(body, &limits, &clock().0, room()).await
    }

    #[tokio::test]
    async fn a_body_within_its_limits_is_read_whole() {
        let body = chunks(&["[1, ", "{\"a\":", " 2}]"]);
        assert_eq!(read_now(body, limits()).await.unwrap(), "[1, {\"a\": 2}]");
        assert_eq!(read_now(Body::empty(), limits()).await.unwrap(), "");
        let exactly = "x".repeat(40);
        let body = Body::from(exactly.clone());
        assert_eq!(read_now(body, limits()).await.unwrap(), exactly);
    }

    #[tokio::test]
    async fn a_body_that_says_it_is_too_large_is_refused_unread() {
        let error = read_now(Body::from("x".repeat(41)), limits())
            .await
            .unwrap_err();
        assert!(matches!(error, BodyError::TooLarge { max_bytes: 40 }));
        assert_eq!(error.status(), 413);
    }

    #[tokio::test]
    async fn a_body_of_unknown_length_is_refused_with_the_chunk_that_passes_the_limit() {
        let twenty = "xxxxxxxxxxxxxxxxxxxx";
        let endless = stream::repeat_with(move || Ok::<_, Infallible>(twenty));
        let error = read_now(Body::from_stream(endless), limits()).await;
        assert!(matches!(error, Err(BodyError::TooLarge { .. })));
    }

    #[tokio::test]
    async fn deep_nesting_is_refused_before_the_rest_has_come() {
        let opening = stream::iter([Ok::<_, Infallible>("[[["), Ok("[")]);
        let never = opening.chain(stream::pending());
        let (clock, limits) = (clock().0, limits());
        let refused = read(Body::from_stream(never), &limits, &clock, room()).now_or_never();
        let error = refused.unwrap().unwrap_err();
        assert!(error.to_string().contains("at byte 3"), "{error}");
        assert_eq!(error.status(), 400);
        let deep = BodyLimits {
            max_depth: None,
            ..limits
        };
        assert!(
            read(Body::from("[[[["), &deep, &clock, room())
                .await
                .is_ok()
        );
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_refused_and_what_came_buys_time() {
        let (clock, hand) = clock();
        let (push, chunks) = tokio::sync::mpsc::channel::<&str>(1);
        let chunks = stream::unfold(chunks, async |mut chunks| {
            Some((Ok::<_, Infallible>(chunks.recv().await?), chunks))
        });
        let reading = Task::spawn("reading", async move {
            read(Body::from_stream(chunks), &limits(), &clock, room()).await
        });
        soon(hand.sleeper(10 * SECOND)).await;
        hand.advance(9 * SECOND);
        push.send("xxxxxxxx").await.unwrap();
        soon(hand.sleeper(3 * SECOND)).await;
        hand.advance(3 * SECOND);
        let error = soon(reading.join()).await.unwrap().unwrap_err();
        let told = "8 bytes in 12 s";
        assert!(error.to_string().contains(told), "{error}");
        assert_eq!(error.status(), 408);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_told_so() {
        let broken = stream::iter([Ok("[1"), Err(std::io::Error::other("reset"))]);
        let error = read_now(Body::from_stream(broken), limits())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("reset"), "{error}");
        assert_eq!(error.status(), 400);
    }
}
