//! Records of requests and answers.

use std::fmt::{Display, Write};

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};

use crate::peer::soon;
use crate::support::events::CONTROL;
use crate::support::{Answer, TestNode};

use super::golden;

/// A request.
pub struct Ask {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
}

/// Makes a request without a body.
pub fn ask(method: Method, path: impl Into<String>) -> Ask {
    Ask {
        method,
        path: path.into(),
        headers: Vec::new(),
        body: None,
    }
}

/// Makes a GET.
pub fn get(path: impl Into<String>) -> Ask {
    ask(Method::GET, path)
}

/// Makes a POST with a body of a media type.
pub fn post(path: impl Into<String>, media_type: &str, body: impl Display) -> Ask {
    ask(Method::POST, path).typed(media_type, body)
}

impl Ask {
    /// Adds a bearer token.
    pub fn by(self, secret: &str) -> Self {
        self.with("authorization", &format!("Bearer {secret}"))
    }

    /// Adds a header.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Adds a body of a media type.
    pub fn typed(self, media_type: &str, body: impl Display) -> Self {
        let typed = self.with("content-type", media_type);
        Self {
            body: Some(body.to_string()),
            ..typed
        }
    }

    /// Makes the request to a node.
    pub fn request(&self, node: &TestNode) -> crate::support::Request {
        let mut request = node.request(self.method.clone(), &self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        match &self.body {
            Some(body) => request.body(body.clone()),
            None => request,
        }
    }
}

/// The header with a random value.
const CHANCE: &str = "x-request-id";

/// The words around values in a text that are random, or depend on the machine.
const BETWEEN: [(&str, &str); 3] = [
    ("\"next-attempt\":\"", "\""),
    ("next attempt  ", "\n"),
    ("store: ", " MiB are free"),
];

/// The parts of URIs after which unguessable names of streams and TIPS views come.
const NAMED: [&str; 2] = ["/updates/", "/tips/"];

/// The requests and answers so far.
pub struct Tape {
    text: String,
    /// The values that differ from run to run, and the names that are written for them.
    masks: Vec<(String, String)>,
    /// How many unguessable names were found.
    named: usize,
}

impl Tape {
    /// Begins with the subject of the file. These addresses of servers are replaced by these
    /// names.
    pub fn of(what: &str, masks: &[(String, String)]) -> Self {
        Self {
            text: format!("{what}\n"),
            masks: masks.to_vec(),
            named: 0,
        }
    }

    /// Replaces a value that differs from run to run by a name.
    pub fn mask(&mut self, text: &str, name: &str) {
        self.masks.push((text.to_owned(), name.to_owned()));
    }

    /// Begins a part.
    pub fn part(&mut self, title: &str) {
        self.blank();
        let _ = writeln!(self.text, "=== {title}");
    }

    /// Adds an empty line.
    fn blank(&mut self) {
        if !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// Records a text.
    pub fn write(&mut self, text: &str) {
        let text = self.masked(text);
        let _ = writeln!(self.text, "{text}");
    }

    /// Sends a request to a node, and records it and the whole answer.
    pub async fn ask(&mut self, node: &TestNode, title: &str, ask: Ask) -> Answer {
        self.asked(title, &ask);
        let answer = soon(ask.request(node).send()).await;
        self.answered(&answer);
        answer
    }

    /// Sends each of these requests.
    pub async fn all(
        &mut self,
        node: &TestNode,
        asks: impl IntoIterator<Item = (impl AsRef<str>, Ask)>,
    ) {
        for (title, ask) in asks {
            self.ask(node, title.as_ref(), ask).await;
        }
    }

    /// Records a request.
    pub fn asked(&mut self, title: &str, ask: &Ask) {
        self.part(title);
        let mut text = format!("{} {}\n", ask.method, ask.path);
        for (name, value) in &ask.headers {
            let _ = writeln!(text, "{name}: {value}");
        }
        if let Some(body) = &ask.body {
            let _ = writeln!(text, "\n{body}");
        }
        self.write(&text);
    }

    /// Records an answer. A compressed body is recorded as it was before compression, which
    /// depends on the library.
    pub fn answered(&mut self, answer: &Answer) {
        let body = if answer.body.is_empty() {
            Vec::new()
        } else {
            answer.decoded()
        };
        let body = String::from_utf8(body).expect("text");
        let body = self.masked(&body);
        if !answer.body.is_empty() && answer.headers.contains_key("content-length") {
            let length = answer.body.len().to_string();
            assert_eq!(answer.header("content-length"), length);
        }
        self.headed(answer.status, &answer.headers, &body);
        if !body.is_empty() {
            let _ = writeln!(self.text, "\n{body}");
        }
    }

    /// Records the head of an answer. The length is that of the recorded body.
    fn headed(&mut self, status: StatusCode, fields: &HeaderMap, body: &str) {
        let mut headers: Vec<(&str, String)> = Vec::new();
        for (name, value) in fields {
            let value = value.to_str().expect("text");
            headers.push(match name.as_str() {
                // It shows the clock of the system.
                "date" => continue,
                "content-length" if fields.contains_key("content-encoding") => {
                    ("content-length", "{packed}".to_owned())
                }
                "content-length" if !body.is_empty() => ("content-length", body.len().to_string()),
                CHANCE => (CHANCE, "{chance}".to_owned()),
                name => (name, self.masked(value)),
            });
        }
        // The order of fields with different names has no meaning (RFC 9110 section 5.3).
        headers.sort();
        let _ = writeln!(self.text, "{status}");
        for (name, value) in headers {
            let _ = writeln!(self.text, "{name}: {value}");
        }
    }

    /// Opens an update stream, and records the request and the head of the answer.
    pub async fn open(&mut self, node: &TestNode, title: &str, ask: Ask) -> Stream {
        self.asked(title, &ask);
        let response = ask.request(node).begin().await.expect("an answer");
        self.headed(response.status(), response.headers(), "");
        Stream {
            response,
            rest: Vec::new(),
            control: String::new(),
        }
    }

    /// Reads a stream until each of these substreams has had an event, and records it all. The
    /// name of the substream of control events is empty.
    pub async fn until(&mut self, stream: &mut Stream, substreams: &[&str]) {
        let mut wanted = substreams.to_vec();
        self.blank();
        while !wanted.is_empty() {
            let event = stream.event().await.expect("an event");
            wanted.retain(|substream| {
                let control = format!("event: {CONTROL}\n");
                let named = format!(",{substream}\n");
                !if substream.is_empty() {
                    event.starts_with(&control)
                } else {
                    event.starts_with("event: ") && event.contains(&named)
                }
            });
            self.write(&event);
        }
    }

    /// Reads a stream to its end, and records it all.
    pub async fn end(&mut self, mut stream: Stream) {
        self.blank();
        while let Some(event) = stream.event().await {
            self.write(&event);
        }
        self.text.push_str("(the end)\n");
    }

    /// Returns a text with names for all values that differ from run to run.
    fn masked(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (found, name) in &self.masks {
            text = text.replace(found, name);
        }
        for after in NAMED {
            let mut from = 0;
            while let Some(at) = text[from..].find(after) {
                from += at + after.len();
                let is_digit = |digit: &u8| digit.is_ascii_hexdigit();
                let digits = text[from..].bytes().take_while(is_digit).count();
                if digits == 32 {
                    self.named += 1;
                    let found = text[from..from + digits].to_owned();
                    let name = format!("{{unguessable {}}}", self.named);
                    text = text.replace(&found, &name);
                    self.masks.push((found, name));
                }
            }
        }
        for (begin, end) in BETWEEN {
            let mut from = 0;
            while let Some(at) = text[from..].find(begin) {
                from += at + begin.len();
                let end = text[from..].find(end).expect("an end") + from;
                text.replace_range(from..end, "{chance}");
            }
        }
        text
    }

    /// Checks that the record equals the golden file.
    #[track_caller]
    pub fn is(&self, file: &str) {
        golden(file, &self.text);
    }
}

/// An update stream that is being read.
pub struct Stream {
    response: reqwest::Response,
    rest: Vec<u8>,
    /// The path of the control service, once the stream announced it.
    pub control: String,
}

impl Stream {
    /// Returns the next event as it came, with the lines before it; `None` if the stream has
    /// ended.
    async fn event(&mut self) -> Option<String> {
        loop {
            let end = self.rest.windows(2).position(|pair| pair == b"\n\n");
            if let Some(end) = end {
                let event = self.rest.drain(..end + 2).take(end + 1).collect();
                let event = String::from_utf8(event).expect("text");
                if let Some((_, rest)) = event.split_once("\"control-uri\":\"") {
                    let uri = rest.split('"').next().unwrap_or_default();
                    let at = uri.find("/views/").expect("the URI of a view");
                    uri[at..].clone_into(&mut self.control);
                }
                return Some(event);
            }
            match soon(self.response.chunk()).await.expect("a chunk") {
                Some(chunk) => self.rest.extend_from_slice(&chunk),
                None => {
                    assert!(self.rest.is_empty(), "the stream ended within an event");
                    return None;
                }
            }
        }
    }
}
