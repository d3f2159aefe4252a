//! A minimal server of updates, written from the RFCs for these tests alone. The next answer at
//! a path is scripted; until it is, the server waits.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use altofed::runtime::Task;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use url::Url;

use crate::metro::DIRECTORY;
use crate::peer::server::{Got, head, request};
use crate::peer::soon;

/// The answer to one request.
enum Reply {
    Whole(Vec<u8>),
    /// What the script sends, until it drops its end.
    Stream(mpsc::UnboundedReceiver<Vec<u8>>),
}

#[derive(Default)]
struct Script {
    /// The answers that are always given.
    fixed: BTreeMap<String, Vec<u8>>,
    /// The next answers, by path, or by path and requested `resource-id`; a path that is not
    /// here is 404.
    next: BTreeMap<String, VecDeque<Reply>>,
}

#[derive(Default)]
struct Shared {
    script: Mutex<Script>,
    added: Notify,
}

pub struct Server {
    pub root: Url,
    shared: Arc<Shared>,
    asked: mpsc::UnboundedReceiver<Got>,
    _task: Task<()>,
}

/// The script's end of a stream; when it is dropped, the stream is cut.
pub struct Stream(mpsc::UnboundedSender<Vec<u8>>);

impl Server {
    /// Starts a server with a directory.
    pub async fn start(directory: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let (tell, asked) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        let served = shared.clone();
        let task = Task::spawn("server", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, tell) = (served.clone(), tell.clone());
                // The task is detached; it ends with the connection.
                tokio::spawn(async move { serve(stream, &shared, &tell).await });
            }
        });
        let server = Self {
            root: Url::parse(&format!("http://{addr}/directory")).expect("a URL"),
            shared,
            asked,
            _task: task,
        };
        let body = directory.to_string();
        let answer = whole("200 OK", &[("content-type", DIRECTORY)], body.as_bytes());
        let mut script = server.shared.script.lock().expect("no panic");
        script.fixed.insert("/directory".into(), answer);
        drop(script);
        server
    }

    fn push(&self, path: &str, reply: Reply) {
        let mut script = self.shared.script.lock().expect("no panic");
        script.next.entry(path.into()).or_default().push_back(reply);
        drop(script);
        self.shared.added.notify_waiters();
    }

    /// Makes requests for a path wait for an answer instead of being 404.
    pub fn waits(&self, path: &str) {
        let mut script = self.shared.script.lock().expect("no panic");
        script.next.entry(path.into()).or_default();
    }

    /// Answers one request for a path.
    pub fn answer(&self, path: &str, status: &str, headers: &[(&str, &str)], body: &Value) {
        let body = body.to_string();
        self.push(path, Reply::Whole(whole(status, headers, body.as_bytes())));
    }

    /// Answers one request for a path with a document.
    pub fn document(&self, path: &str, media_type: &str, body: &Value) {
        self.answer(path, "200 OK", &[("content-type", media_type)], body);
    }

    /// Answers one request for a path with a stream of events.
    pub fn stream(&self, path: &str) -> Stream {
        let (send, sent) = mpsc::unbounded_channel();
        let headers = [("content-type", "text/event-stream;charset=utf-8")];
        send.send(head("200 OK", &headers)).expect("open");
        self.push(path, Reply::Stream(sent));
        Stream(send)
    }

    /// Whether no request for anything but the directory has come since.
    pub fn is_idle(&mut self) -> bool {
        let mut asked = std::iter::from_fn(|| self.asked.try_recv().ok());
        asked.all(|got| got.path() == "/directory")
    }

    /// Returns the next request for anything but the directory.
    pub async fn asked(&mut self) -> Got {
        loop {
            let got = soon(self.asked.recv()).await.expect("it runs");
            if got.path() != "/directory" {
                return got;
            }
        }
    }
}

impl Stream {
    pub fn bytes(&self, bytes: &[u8]) {
        // The reader may be gone.
        let _ = self.0.send(bytes.to_vec());
    }

    /// Sends the event that a stream begins with.
    pub fn begins(&self, control_uri: &str) {
        let control = serde_json::json!({"control-uri": control_uri});
        self.event("application/alto-updatestreamcontrol+json", &control);
    }

    /// Sends an event with its data on one line.
    pub fn event(&self, name: &str, data: &Value) {
        self.bytes(format!("event: {name}\ndata: {data}\n\n").as_bytes());
    }

    /// Sends an event laid out for people, with other line ends and a comment.
    pub fn pretty(&self, name: &str, data: &Value, end: &str) {
        let text = serde_json::to_string_pretty(data).expect("text");
        let mut event = format!(": here it comes\nid: 7\nevent: {name}\n");
        for line in text.lines() {
            event += &format!("data: {line}\n");
        }
        event.push('\n');
        // In pieces that end anywhere.
        for piece in event.replace('\n', end).as_bytes().chunks(7) {
            self.bytes(piece);
        }
    }
}

fn whole(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let mut headers = headers.to_vec();
    headers.push(("content-length", &length));
    [head(status, &headers), body.to_vec()].concat()
}

async fn serve(mut stream: TcpStream, shared: &Shared, tell: &mpsc::UnboundedSender<Got>) {
    let Some(got) = request(&mut stream).await else {
        return;
    };
    let path = got.path().to_owned();
    let body: Value = serde_json::from_str(&got.body).unwrap_or_default();
    let asked_for = format!(
        "{path} {}",
        body["resource-id"].as_str().unwrap_or_default()
    );
    if tell.send(got).is_err() {
        return;
    }
    let reply = loop {
        let mut added = std::pin::pin!(shared.added.notified());
        added.as_mut().enable();
        {
            let mut script = shared.script.lock().expect("no panic");
            if let Some(answer) = script.fixed.get(&path) {
                break Reply::Whole(answer.clone());
            }
            let key = if script.next.contains_key(&asked_for) {
                &asked_for
            } else {
                &path
            };
            match script.next.get_mut(key) {
                None => break Reply::Whole(whole("404 Not Found", &[], b"")),
                Some(replies) => {
                    if let Some(reply) = replies.pop_front() {
                        break reply;
                    }
                }
            }
        }
        added.await;
    };
    // A client that has read enough may be gone.
    match reply {
        Reply::Whole(bytes) => drop(stream.write_all(&bytes).await),
        Reply::Stream(mut pieces) => {
            while let Some(piece) = pieces.recv().await {
                if stream.write_all(&piece).await.is_err() {
                    return;
                }
            }
        }
    }
}
