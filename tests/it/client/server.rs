//! A server with a fixed answer for each path.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use altofed::client::{Client, ClientError, Directory, Options};
use altofed::runtime::{Clock, Task};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// What the server answers at a path, whatever is asked.
#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

pub fn reply(content_type: &str, body: &Value) -> Reply {
    Reply {
        status: 200,
        headers: vec![("content-type", content_type.to_owned())],
        body: body.to_string().into_bytes(),
    }
}

/// A request as the server received it.
#[derive(Debug, Clone)]
pub struct Got {
    pub line: String,
    pub head: String,
    pub body: String,
}

/// A server that has an answer for each path, and records the requests.
pub struct Server {
    pub url: Url,
    asked: Arc<Mutex<Vec<Got>>>,
    _task: Task<()>,
}

impl Server {
    pub async fn start(replies: impl IntoIterator<Item = (&'static str, Reply)>) -> Self {
        let replies: BTreeMap<&'static str, Reply> = replies.into_iter().collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = asked.clone();
        let task = Task::spawn("server", async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, &replies, &kept).await;
            }
        });
        Self {
            url: Url::parse(&format!("http://{addr}/alto/directory")).expect("a URL"),
            asked,
            _task: task,
        }
    }

    pub fn client(&self) -> Client {
        Client::new(&self.url, &Options::default(), Clock::system()).expect("a client")
    }

    pub async fn directory(&self) -> Result<Directory, ClientError> {
        self.client().directory(&self.url).await
    }

    pub fn asked(&self) -> Vec<Got> {
        self.asked.lock().expect("no panic").clone()
    }
}

async fn serve(mut stream: TcpStream, replies: &BTreeMap<&str, Reply>, asked: &Mutex<Vec<Got>>) {
    let mut text = Vec::new();
    let (head, body) = loop {
        let mut more = [0; 4096];
        let Ok(count @ 1..) = stream.read(&mut more).await else {
            return;
        };
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
            break (head, body.to_owned());
        }
    };
    let line = head.lines().next().unwrap_or_default().to_owned();
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let reply = replies.get(path.as_str()).cloned().unwrap_or(Reply {
        status: 404,
        headers: vec![],
        body: vec![],
    });
    asked
        .lock()
        .expect("no panic")
        .push(Got { line, head, body });
    let mut out = Vec::new();
    write!(
        out,
        "HTTP/1.1 {} x\r\nconnection: close\r\ncontent-length: {}\r\n",
        reply.status,
        reply.body.len()
    )
    .expect("memory");
    for (name, value) in &reply.headers {
        write!(out, "{name}: {value}\r\n").expect("memory");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&reply.body);
    // A client that has read enough may be gone.
    let _ = stream.write_all(&out).await;
}
