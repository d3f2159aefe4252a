//! An HTTP/2 client that sends what it is told to, and nothing more: RFC 9113 by hand.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::runtime::testing::soon;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;

/// The default window of clients.
pub const WINDOW: u32 = 65_535;

pub struct Client(pub TcpStream);

/// Makes a frame without flags.
pub fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    flagged(kind, 0, stream, payload)
}

/// Makes the frame of `GET /` without a body.
pub fn get(stream: u32) -> Vec<u8> {
    let (end_stream, end_headers) = (1, 4);
    // RFC 7541: indexed :method GET, :scheme http and :path /, then a literal :authority.
    let head = [0x82, 0x86, 0x84, 0x41, 4, b't', b'e', b's', b't'];
    flagged(HEADERS, end_stream | end_headers, stream, &head)
}

fn flagged(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

impl Client {
    /// Sends the preface and settings that give each stream `window` bytes.
    pub async fn open(tcp: TcpStream, window: u32) -> Client {
        let mut client = Client(tcp);
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        let initial_window_size = 4u16;
        let mut settings = initial_window_size.to_be_bytes().to_vec();
        settings.extend(window.to_be_bytes());
        client.send(&frame(SETTINGS, 0, &settings)).await;
        client
    }

    pub async fn send(&mut self, frames: &[u8]) {
        self.0.write_all(frames).await.unwrap();
    }

    /// Returns the stream and payload of the next frame of a kind, skipping all others; none at
    /// the end.
    pub async fn next(&mut self, wanted: u8) -> Option<(u32, Vec<u8>)> {
        loop {
            let mut head = [0; 9];
            soon(self.0.read_exact(&mut head)).await.ok()?;
            let [a, b, c, kind, _, stream @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            soon(self.0.read_exact(&mut payload)).await.ok()?;
            if kind == wanted {
                return Some((u32::from_be_bytes(stream), payload));
            }
        }
    }
}
