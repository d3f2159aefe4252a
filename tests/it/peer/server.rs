//! A minimal HTTP/1.1 server, written for these tests alone: it sends bytes as they are given,
//! and records the requests.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use altofed::runtime::Task;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use url::Url;

/// What the server does when a path is requested.
#[derive(Clone)]
pub enum Reply {
    /// Sends these bytes.
    Whole(Vec<u8>),
    /// Sends the first bytes, then repeats the others without end.
    Endless(Vec<u8>, Vec<u8>),
    /// Sends the first bytes, then one byte per permit.
    Drips(Vec<u8>, Arc<Semaphore>),
    /// Does each of these once, and the last one for ever.
    Then(Vec<Reply>),
    /// Has an entity tag, and answers `304` to a client that sends it.
    Tagged(&'static str, &'static str, Vec<u8>),
}

impl Reply {
    /// Sends these bytes and no more, and leaves the connection open.
    pub fn hangs(first: Vec<u8>) -> Self {
        Reply::Drips(first, Arc::new(Semaphore::new(0)))
    }
}

/// A request as the server received it, with its head in lower case.
#[derive(Debug, Clone)]
pub struct Got {
    pub line: String,
    pub head: String,
    pub body: String,
}

impl Got {
    /// The requested path.
    pub fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }
}

/// The server.
pub struct Server {
    pub root: Url,
    replies: Arc<Mutex<BTreeMap<String, Reply>>>,
    asked: Arc<Mutex<Vec<Got>>>,
    sent: Arc<AtomicU64>,
    _task: Task<()>,
}

impl Server {
    pub async fn start<'a>(replies: impl IntoIterator<Item = (&'a str, Reply)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let replies = replies.into_iter().map(|(p, r)| (p.to_owned(), r));
        let replies = Arc::new(Mutex::new(replies.collect()));
        let (asked, sent) = (Arc::new(Mutex::new(Vec::new())), Arc::default());
        let shared = (Arc::clone(&replies), Arc::clone(&asked), Arc::clone(&sent));
        let task = Task::spawn("server", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (replies, asked, sent) = shared.clone();
                // The task is detached; it ends with the connection.
                tokio::spawn(async move { serve(stream, &replies, &asked, &sent).await });
            }
        });
        Self {
            root: Url::parse(&format!("http://{addr}/alto/directory")).expect("a URL"),
            replies,
            asked,
            sent,
            _task: task,
        }
    }

    /// Changes what it does from now on.
    pub fn set(&self, path: &str, reply: Reply) {
        let mut replies = self.replies.lock().expect("no panic");
        replies.insert(path.to_owned(), reply);
    }

    /// Takes the requests since they were last taken.
    pub fn asked(&self) -> Vec<Got> {
        std::mem::take(&mut *self.asked.lock().expect("no panic"))
    }

    /// Returns how many bytes of endless bodies were sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// Returns the URL of a path.
    pub fn url(&self, path: &str) -> Url {
        self.root.join(path).expect("a URL")
    }
}

/// Makes an answer of status 200.
pub fn ok(content_type: &str, body: impl AsRef<[u8]>) -> Reply {
    answer("200 OK", &[("content-type", content_type)], body.as_ref())
}

/// Makes an answer with a `content-length`.
pub fn answer(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let length = body.len().to_string();
    let mut headers = headers.to_vec();
    headers.push(("content-length", &length));
    let mut bytes = head(status, &headers);
    bytes.extend_from_slice(body);
    Reply::Whole(bytes)
}

/// Makes the head of an answer.
pub fn head(status: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status}\r\nconnection: close\r\n").into_bytes();
    for (name, value) in headers {
        write!(out, "{name}: {value}\r\n").expect("memory");
    }
    out.extend_from_slice(b"\r\n");
    out
}

async fn serve(
    mut stream: TcpStream,
    replies: &Mutex<BTreeMap<String, Reply>>,
    asked: &Mutex<Vec<Got>>,
    sent: &AtomicU64,
) {
    let Some(got) = request(&mut stream).await else {
        return;
    };
    let path = got.path().to_owned();
    let reply = next(&mut replies.lock().expect("no panic"), &path);
    let known = got.head.clone();
    asked.lock().expect("no panic").push(got);
    let reply = reply.unwrap_or_else(|| answer("404 Not Found", &[], b""));
    reply.send(&mut stream, &known, sent).await;
}

impl Reply {
    /// Answers a request whose head, in lower case, is `head`. If the client has read enough and
    /// is gone, the writing ends.
    pub async fn send(self, stream: &mut TcpStream, head: &str, sent: &AtomicU64) {
        match self {
            Reply::Whole(bytes) => {
                let _ = stream.write_all(&bytes).await;
            }
            Reply::Endless(first, again) => {
                let mut more = stream.write_all(&first).await;
                while more.is_ok() {
                    sent.fetch_add(again.len() as u64, Ordering::SeqCst);
                    more = stream.write_all(&again).await;
                }
            }
            Reply::Drips(first, permits) => {
                let _ = stream.write_all(&first).await;
                let mut gone = [0];
                loop {
                    tokio::select! {
                        permit = permits.acquire() => permit.expect("open").forget(),
                        _ = stream.read(&mut gone) => return,
                    }
                    let _ = stream.write_all(b" ").await;
                }
            }
            Reply::Then(_) => unreachable!("it was unpacked"),
            Reply::Tagged(tag, content_type, body) => {
                let quoted = format!("\"{tag}\"");
                let headers = [("content-type", content_type), ("etag", quoted.as_str())];
                let reply = match head.contains(&format!("if-none-match: {quoted}")) {
                    true => answer("304 Not Modified", &headers[1..], b""),
                    false => answer("200 OK", &headers, &body),
                };
                if let Reply::Whole(bytes) = reply {
                    let _ = stream.write_all(&bytes).await;
                }
            }
        }
    }
}

/// Returns what is done next for a path.
fn next(replies: &mut BTreeMap<String, Reply>, path: &str) -> Option<Reply> {
    match replies.get_mut(path)? {
        Reply::Then(list) if list.len() > 1 => Some(list.remove(0)),
        Reply::Then(list) => list.first().cloned(),
        reply => Some(reply.clone()),
    }
}

/// Reads the next request of a connection.
pub async fn request(stream: &mut TcpStream) -> Option<Got> {
    let mut text = Vec::new();
    loop {
        let mut more = [0; 4096];
        let count = stream.read(&mut more).await.ok().filter(|&n| n > 0)?;
        text.extend_from_slice(&more[..count]);
        let whole = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = whole.split_once("\r\n\r\n") else {
            continue;
        };
        let head = head.to_ascii_lowercase();
        let length = head
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next()?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            let line = whole.lines().next().unwrap_or_default().to_owned();
            let body = body.to_owned();
            return Some(Got { line, head, body });
        }
    }
}
