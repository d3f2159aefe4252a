//! A proxy between two nodes that can be told what to do with what it passes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use altofed::runtime::Task;
use reqwest::header::{HeaderMap, HeaderName};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::peer::server::{Got, Reply, answer, request};
use crate::peer::soon;
use crate::support::plain_client;

/// What the proxy does.
#[derive(Clone)]
pub enum Deed {
    /// Passes everything.
    Pass,
    /// Closes every connection.
    Refuse,
    /// Does this if the path has these characters; passes the rest.
    Instead(&'static str, Reply),
    /// Passes a body only after changing it like this, if the path has these characters.
    Alter(&'static str, fn(&mut Vec<u8>)),
    /// Passes half of the body if the path has these characters.
    Halve(&'static str),
    /// Repeats the answer that it gave when it was told to remember.
    Replay,
}

/// The proxy.
pub struct Proxy {
    pub url: String,
    shared: Arc<Shared>,
    _task: Task<()>,
}

struct Shared {
    client: reqwest::Client,
    upstream: Mutex<Option<SocketAddr>>,
    deed: Mutex<Deed>,
    /// The bodies that it passed last.
    passed: Mutex<BTreeMap<String, Passed>>,
    remembered: Mutex<BTreeMap<String, Passed>>,
    asked: watch::Sender<Vec<String>>,
}

#[derive(Clone)]
struct Passed {
    content_type: String,
    body: Vec<u8>,
}

impl Proxy {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            client: plain_client(),
            upstream: Mutex::default(),
            deed: Mutex::new(Deed::Pass),
            passed: Mutex::default(),
            remembered: Mutex::default(),
            asked: watch::Sender::default(),
        });
        let serving = shared.clone();
        let task = Task::spawn("proxy", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = serving.clone();
                // The task is detached; it ends with the connection.
                tokio::spawn(async move { shared.serve(stream).await });
            }
        });
        Self {
            url: format!("http://{address}"),
            shared,
            _task: task,
        }
    }

    /// Passes to this address from now on.
    pub fn lead_to(&self, address: SocketAddr) {
        *self.shared.upstream.lock().expect("no panic") = Some(address);
    }

    /// Does this from now on.
    pub fn set(&self, deed: Deed) {
        *self.shared.deed.lock().expect("no panic") = deed;
    }

    /// Keeps what it passed last, to replay it.
    pub fn remember(&self) {
        let passed = self.shared.passed.lock().expect("no panic").clone();
        *self.shared.remembered.lock().expect("no panic") = passed;
    }

    /// Returns when it is asked, from now on, for a path with these characters.
    pub fn heard<'a>(&self, part: &'a str) -> impl Future<Output = ()> + use<'a> {
        self.shared.asked.send_replace(Vec::new());
        let mut asked = self.shared.asked.subscribe();
        async move {
            let heard = asked.wait_for(|paths| paths.iter().any(|path| path.contains(part)));
            soon(heard).await.expect("it runs");
        }
    }
}

impl Shared {
    async fn serve(&self, mut stream: TcpStream) {
        let deed = self.deed.lock().expect("no panic").clone();
        if matches!(deed, Deed::Refuse) {
            return;
        }
        let Some(got) = request(&mut stream).await else {
            return;
        };
        let path = got.path().to_owned();
        self.asked.send_modify(|paths| paths.push(path.clone()));
        if let Deed::Replay = deed {
            let remembered = self.remembered.lock().expect("no panic").clone();
            if let Some(Passed { content_type, body }) = remembered.get(&path) {
                let headers = [("content-type", content_type.as_str())];
                let reply = answer("200 OK", &headers, body);
                return reply.send(&mut stream, "", &AtomicU64::new(0)).await;
            }
        }
        match deed {
            Deed::Instead(part, reply) if path.contains(part) => {
                reply.send(&mut stream, &got.head, &AtomicU64::new(0)).await;
            }
            deed => self.pass(stream, &got, &deed).await,
        }
    }

    /// Passes a request on, and the answer back.
    async fn pass(&self, mut stream: TcpStream, got: &Got, deed: &Deed) {
        let Some(upstream) = *self.upstream.lock().expect("no panic") else {
            return;
        };
        let path = got.path();
        let method = got.line.split(' ').next().unwrap_or_default();
        let method = method.parse().expect("a method");
        let url = format!("http://{upstream}{path}");
        let mut headers = HeaderMap::new();
        for line in got.head.lines().skip(1) {
            let Some((name, value)) = line.split_once(": ") else {
                continue;
            };
            let wanted = matches!(
                name,
                "accept" | "authorization" | "if-none-match" | "content-type"
            );
            // An answer that it alters is always passed whole.
            let spared = name == "if-none-match" && !matches!(deed, Deed::Pass);
            if wanted && !spared {
                let name: HeaderName = name.parse().expect("a name");
                headers.insert(name, value.parse().expect("a value"));
            }
        }
        let asked = self.client.request(method, url).headers(headers);
        let Ok(response) = asked.body(got.body.clone()).send().await else {
            return;
        };
        let status = response.status();
        let mut kept = Vec::new();
        for name in ["content-type", "etag", "cache-control"] {
            if let Some(value) = response.headers().get(name) {
                kept.push((name, value.to_str().expect("text").to_owned()));
            }
        }
        let Ok(body) = response.bytes().await else {
            return;
        };
        let mut body = body.to_vec();
        if status == 200 {
            let content_type = kept.iter().find(|(name, _)| *name == "content-type");
            let passed = Passed {
                content_type: content_type.map_or(String::new(), |(_, value)| value.clone()),
                body: body.clone(),
            };
            let mut all = self.passed.lock().expect("no panic");
            all.insert(path.to_owned(), passed);
        }
        let mut cut = false;
        match deed {
            Deed::Alter(part, alter) if path.contains(part) => alter(&mut body),
            Deed::Halve(part) if path.contains(part) => cut = true,
            _ => {}
        }
        let headers: Vec<(&str, &str)> = kept.iter().map(|(n, v)| (*n, v.as_str())).collect();
        if let Reply::Whole(mut bytes) = answer(&status.to_string(), &headers, &body) {
            if cut {
                bytes.truncate(bytes.len() - body.len() / 2 - 1);
            }
            // The client may be gone.
            let _ = stream.write_all(&bytes).await;
        }
    }
}
