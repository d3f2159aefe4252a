//! A TCP stream that reports to its connection's watchdog and closes without losing the answer.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::watchdog::Watchdog;

/// The bytes of one connection, below TLS.
#[derive(Debug)]
pub(super) struct Wire {
    tcp: TcpStream,
    watchdog: Arc<Watchdog>,
    shut: bool,
}

impl Wire {
    pub fn new(tcp: TcpStream, watchdog: Arc<Watchdog>) -> Wire {
        Wire {
            tcp,
            watchdog,
            shut: false,
        }
    }

    fn report(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(count)) => self.watchdog.wrote(*count),
            Poll::Ready(Err(_)) => (),
            Poll::Pending => self.watchdog.blocked(),
        }
        written
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.watchdog.read();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.report(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.report(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    /// TLS and both protocols flush the stream below only once they have nothing left for it.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.tcp).poll_flush(cx))?;
        self.watchdog.flushed();
        Poll::Ready(Ok(()))
    }

    /// Shuts down this direction, then reads until the client has shut down the other. The
    /// watchdog limits how long this takes.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut {
            ready!(Pin::new(&mut self.tcp).poll_shutdown(cx))?;
            self.shut = true;
            self.watchdog.closing();
        }
        let mut scratch = [0; 4096];
        loop {
            let mut buf = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut buf));
            if read.is_err() || buf.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl Drop for Wire {
    /// Resets a client that has not taken its answer, so that the kernel drops the rest of the
    /// answer.
    fn drop(&mut self) {
        if self.watchdog.unsent() {
            // Without the option the kernel keeps trying for some minutes, which does no other
            // harm.
            let _ = self.tcp.set_zero_linger();
        }
    }
}
