//! What was asked and what was answered, written down.

use std::fmt::{Display, Write};

use reqwest::Method;

use crate::support::{Answer, TestNode};

use super::golden;

/// What is asked.
pub struct Ask {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
}

/// A request without a body.
pub fn ask(method: Method, path: impl Into<String>) -> Ask {
    Ask {
        method,
        path: path.into(),
        headers: Vec::new(),
        body: None,
    }
}

/// A GET.
pub fn get(path: impl Into<String>) -> Ask {
    ask(Method::GET, path)
}

/// A POST of a body of a media type.
pub fn post(path: impl Into<String>, media_type: &str, body: impl Display) -> Ask {
    ask(Method::POST, path).typed(media_type, body)
}

impl Ask {
    /// With a bearer token.
    pub fn by(self, secret: &str) -> Self {
        self.with("authorization", &format!("Bearer {secret}"))
    }

    /// With a header.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// With a body of a media type.
    pub fn typed(self, media_type: &str, body: impl Display) -> Self {
        let typed = self.with("content-type", media_type);
        Self {
            body: Some(body.to_string()),
            ..typed
        }
    }

    /// The request to a node.
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

/// The headers, and the members of JSON, that are told by chance.
const CHANCE: [&str; 2] = ["next-attempt", "x-request-id"];

/// What was asked and answered so far.
pub struct Tape {
    text: String,
    /// What differs from run to run, and what is written for it.
    masks: Vec<(String, String)>,
}

impl Tape {
    /// Begins with what the file is of. These addresses of servers are masked by these names.
    pub fn of(what: &str, masks: &[(String, String)]) -> Self {
        Self {
            text: format!("{what}\n"),
            masks: masks.to_vec(),
        }
    }

    /// Begins a part.
    pub fn part(&mut self, title: &str) {
        let _ = write!(self.text, "\n=== {title}\n");
    }

    /// Writes a text down.
    pub fn write(&mut self, text: &str) {
        let text = self.masked(text);
        let _ = writeln!(self.text, "{text}");
    }

    /// Asks a node, and writes down what and the whole answer.
    pub async fn ask(&mut self, node: &TestNode, title: &str, ask: Ask) -> Answer {
        self.asked(title, &ask);
        let answer = ask.request(node).send().await;
        self.answered(&answer);
        answer
    }

    /// Asks each of these.
    pub async fn all(
        &mut self,
        node: &TestNode,
        asks: impl IntoIterator<Item = (impl AsRef<str>, Ask)>,
    ) {
        for (title, ask) in asks {
            self.ask(node, title.as_ref(), ask).await;
        }
    }

    /// Writes a request down.
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

    /// Writes an answer down. The body of a packed one is what it was before it was packed: how
    /// that is done is the library's.
    pub fn answered(&mut self, answer: &Answer) {
        let body = match answer.body.is_empty() {
            true => Vec::new(),
            false => answer.decoded(),
        };
        let body = String::from_utf8(body).expect("text");
        let body = self.masked(&body);
        let mut headers: Vec<(&str, String)> = Vec::new();
        for (name, value) in &answer.headers {
            let value = value.to_str().expect("text");
            headers.push(match name.as_str() {
                // The system's clock.
                "date" => continue,
                "content-length" if !answer.body.is_empty() => {
                    assert_eq!(value, answer.body.len().to_string());
                    let length = match answer.header("content-encoding") {
                        "" => body.len().to_string(),
                        _ => "{packed}".to_owned(),
                    };
                    ("content-length", length)
                }
                name if CHANCE.contains(&name) => (name, "{chance}".to_owned()),
                name => (name, self.masked(value)),
            });
        }
        // Fields of different names have no order (RFC 9110 section 5.3).
        headers.sort();
        let _ = writeln!(self.text, "{}", answer.status);
        for (name, value) in headers {
            let _ = writeln!(self.text, "{name}: {value}");
        }
        if !body.is_empty() {
            let _ = writeln!(self.text, "\n{body}");
        }
    }

    /// A text with names for all that differs from run to run.
    fn masked(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (found, name) in &self.masks {
            text = text.replace(found, name);
        }
        for member in CHANCE {
            let begin = format!("\"{member}\":\"");
            let mut from = 0;
            while let Some(at) = text[from..].find(&begin) {
                from += at + begin.len();
                let end = text[from..].find('"').expect("a string") + from;
                text.replace_range(from..end, "{chance}");
            }
        }
        text
    }

    /// Checks that all of it is what the golden file says.
    #[track_caller]
    pub fn is(&self, file: &str) {
        golden(file, &self.text);
    }
}
