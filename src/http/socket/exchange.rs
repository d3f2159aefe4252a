//! One request and its response, as the connection's watchdog sees them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::watchdog::{PIECE, Watchdog};

/// A request under way, from its complete head until its response has been handed over.
#[derive(Debug)]
pub(super) struct Exchange {
    watchdog: Arc<Watchdog>,
    number: u64,
    multiplexed: bool,
}

/// The body of a response. On HTTP/2 it is handed over in pieces of at most [`PIECE`] bytes, so
/// that it is noticed when the client takes no more of it; on HTTP/1 the socket shows that.
#[derive(Debug)]
pub(super) struct Paced {
    body: Body,
    /// What is left of the body's last frame.
    rest: Bytes,
    exchange: Exchange,
}

impl Exchange {
    pub fn begin(watchdog: Arc<Watchdog>, version: http::Version) -> Exchange {
        let multiplexed = version == http::Version::HTTP_2;
        Exchange {
            number: watchdog.begin(multiplexed),
            watchdog,
            multiplexed,
        }
    }

    /// Ties the exchange to the body of its response. From now on it is the client's turn. If
    /// the client's window is closed, hyper never asks for the first piece, so that it is
    /// counted as given here.
    pub fn answer(self, body: Body) -> Paced {
        if self.multiplexed {
            self.watchdog.gave_piece(self.number);
        }
        Paced {
            body,
            rest: Bytes::new(),
            exchange: self,
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.watchdog.finish(self.number);
    }
}

impl http_body::Body for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Exchange {
            watchdog,
            number,
            multiplexed,
        } = &this.exchange;
        if !multiplexed {
            return Pin::new(&mut this.body).poll_frame(cx);
        }
        watchdog.wants_piece(*number);
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => this.rest = bytes,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                end => return Poll::Ready(end),
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        watchdog.gave_piece(*number);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        // The lower bound cannot exceed the upper one, which is at least as large and grew as
        // much.
        hint.set_lower(body.lower().saturating_add(rest));
        hint
    }
}
