//! A client of many update streams that reads raw bytes: TCP sockets, and just enough parsing to
//! tell events apart.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long to wait; only a failure takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The base of a node's URIs, without a slash at its end: `http://HOST:PORT`.
#[derive(Clone, Copy)]
pub struct Base<'a>(pub &'a str);

/// An update stream.
pub struct Stream {
    tcp: TcpStream,
    /// How many bytes have come, headers and framing included.
    pub bytes: u64,
    /// How many events have ended.
    pub events: usize,
    /// The last bytes that have come.
    last: [u8; 3],
}

impl Base<'_> {
    /// Sends a request and reads the answer, at least to the end of its head.
    ///
    /// # Panics
    /// There is no answer, or it is not a success.
    async fn send(self, request: &str, body: &[u8]) -> (TcpStream, Vec<u8>) {
        let authority = self.0.strip_prefix("http://").expect("http");
        let mut tcp = TcpStream::connect(authority).await.expect("a connection");
        tcp.set_nodelay(true).expect("a socket");
        let head = format!(
            "{request}host: {authority}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        tcp.write_all(head.as_bytes()).await.expect("a connection");
        tcp.write_all(body).await.expect("a connection");
        let mut answer = Vec::new();
        while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
            let read = tokio::time::timeout(PATIENCE, tcp.read_buf(&mut answer));
            let read = read.await.expect("an answer in time");
            assert!(read.expect("an answer") > 0, "{request} is not answered");
        }
        let status = String::from_utf8_lossy(&answer[..answer.len().min(12)]).into_owned();
        assert!(status.starts_with("HTTP/1.1 2"), "{request}: {status}");
        (tcp, answer)
    }

    /// Puts a document of the network-to-server API.
    pub async fn put(self, path: &str, token: &str, document: &[u8]) {
        let request = format!(
            "PUT /n2s/v1/{path} HTTP/1.1\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\nconnection: close\r\n"
        );
        self.send(&request, document).await;
    }

    /// Returns the tag of a full map, by which a client says that it has the map.
    pub async fn tag(self, path: &str) -> String {
        let tag = self.header(path, "etag").await;
        tag.trim_matches('"').to_owned()
    }

    /// Returns how many bytes a full map has.
    pub async fn length(self, path: &str) -> u64 {
        let length = self.header(path, "content-length").await;
        length.parse().expect("a number")
    }

    async fn header(self, path: &str, name: &str) -> String {
        let (_, answer) = self.send(&format!("HEAD {path} HTTP/1.1\r\n"), b"").await;
        let head = String::from_utf8(answer).expect("text");
        let mut headers = head.lines().filter_map(|line| line.split_once(": "));
        let header = headers.find(|header| header.0.eq_ignore_ascii_case(name));
        header.expect("it has one").1.to_owned()
    }

    /// Gets a document that is not empty, with a token.
    pub async fn get(self, path: &str, token: &str) -> String {
        let request = format!(
            "GET {path} HTTP/1.1\r\nauthorization: Bearer {token}\r\nconnection: close\r\n"
        );
        let (mut tcp, mut answer) = self.send(&request, b"").await;
        tcp.read_to_end(&mut answer).await.expect("an answer");
        String::from_utf8(answer).expect("text")
    }

    /// Opens an update stream, and reads its first event.
    pub async fn open(self, path: &str, params: &str) -> Stream {
        self.open_with(path, params, "").await
    }

    /// Opens an update stream with a token, and reads its first event.
    pub async fn open_as(self, path: &str, params: &str, token: &str) -> Stream {
        let shown = format!("authorization: Bearer {token}\r\n");
        self.open_with(path, params, &shown).await
    }

    async fn open_with(self, path: &str, params: &str, headers: &str) -> Stream {
        let request = format!(
            "POST {path} HTTP/1.1\r\naccept: text/event-stream\r\n\
             content-type: application/alto-updatestreamparams+json\r\n{headers}"
        );
        let (tcp, answer) = self.send(&request, params.as_bytes()).await;
        let mut stream = Stream {
            tcp,
            bytes: 0,
            events: 0,
            last: [0; 3],
        };
        stream.take(&answer);
        stream.until(1).await;
        stream
    }
}

impl Stream {
    /// Reads until this many events have ended.
    pub async fn until(&mut self, events: usize) {
        while self.events < events {
            self.more(|_| {}).await;
        }
    }

    /// Reads until a text has come.
    pub async fn until_text(&mut self, text: &str) {
        let mut came = Vec::new();
        while !came.windows(text.len()).any(|part| part == text.as_bytes()) {
            self.more(|bytes| came.extend_from_slice(bytes)).await;
        }
    }

    /// Reads what has come, and waits if there is nothing.
    async fn more(&mut self, mut each: impl FnMut(&[u8])) {
        let readable = tokio::time::timeout(PATIENCE, self.tcp.readable());
        readable.await.expect("an event in time").expect("a stream");
        let mut buffer = [0; 64 * 1024];
        match self.tcp.try_read(&mut buffer) {
            Ok(0) => panic!("the stream has ended"),
            Ok(read) => {
                each(&buffer[..read]);
                self.take(&buffer[..read]);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Counts bytes, and the empty lines that end an event. Those that end a comment do not
    /// count, nor those that are part of the chunked coding.
    fn take(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        for &byte in bytes {
            let [_, b, c] = self.last;
            self.last = [b, c, byte];
            self.events += usize::from([c, byte] == *b"\n\n" && b != b':' && b != b'\r');
        }
    }
}
