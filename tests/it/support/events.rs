//! Update streams as a client reads them, written from RFC 8895 alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use altofed::alto::canonical::value_text;
use serde_json::{Value, json};

use super::{Answer, Request, TestNode};

pub const EVENTS: &str = "text/event-stream";
pub const UPDATES: &str = "application/alto-updatestreamparams+json";
pub const CONTROL: &str = "application/alto-updatestreamcontrol+json";
pub const JSON_PATCH: &str = "application/json-patch+json";
pub const TIPS: &str = "application/alto-tips+json";
pub const TIPS_PARAMS: &str = "application/alto-tipsparams+json";

/// Longer than any event takes; only a test that fails waits this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The media type.
    pub media_type: String,
    /// The substream; empty for control events.
    pub substream: String,
    /// The data lines, joined.
    pub text: String,
}

impl Event {
    /// The payload.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("JSON")
    }
}

/// An open stream.
pub struct Events {
    response: reqwest::Response,
    lines: VecDeque<String>,
    rest: Vec<u8>,
    /// The names of the fields that lines had so far.
    pub fields: BTreeSet<String>,
    /// The longest line so far.
    pub longest: usize,
    /// The events so far.
    pub count: usize,
    /// The URI of the control service, once the stream announced it.
    pub control: String,
    /// The document of every substream.
    pub documents: BTreeMap<String, Value>,
}

impl Request {
    /// Sends the request and reads no more than the status.
    pub async fn status(self) -> u16 {
        self.0.send().await.expect("an answer").status().as_u16()
    }

    /// Sends the request and reads the answer as an update stream.
    pub async fn open(self) -> Events {
        let response = self.0.send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{:?}", response.text().await);
        assert_eq!(response.headers()["content-type"], EVENTS);
        Events {
            response,
            lines: VecDeque::new(),
            rest: Vec::new(),
            fields: BTreeSet::new(),
            longest: 0,
            count: 0,
            control: String::new(),
            documents: BTreeMap::new(),
        }
    }
}

impl TestNode {
    /// Opens an update stream of a view with these substreams.
    pub async fn follow(&self, view: &str, add: Value) -> Events {
        let path = format!("/views/{view}/updates");
        let body = json!({"add": add}).to_string();
        let request = self.request(reqwest::Method::POST, &path);
        request.typed(UPDATES, body).open().await
    }
}

impl Events {
    /// Returns the next event; `None` when the stream has ended.
    pub async fn next(&mut self) -> Option<Event> {
        // Comments come without end.
        let event = tokio::time::timeout(PATIENCE, self.event());
        event.await.expect("an event in time")
    }

    async fn event(&mut self) -> Option<Event> {
        let (mut head, mut data) = (None, Vec::new());
        loop {
            let line = self.line().await?;
            self.longest = self.longest.max(line.len());
            match line.split_once(": ").unwrap_or((&line, "")) {
                ("", _) if line.is_empty() => {
                    let Some(head) = head.take() else {
                        data.clear();
                        continue;
                    };
                    let head: String = head;
                    let (media_type, substream) = head.rsplit_once(',').unwrap_or((&head, ""));
                    let event = Event {
                        media_type: media_type.to_owned(),
                        substream: substream.to_owned(),
                        text: data.join("\n"),
                    };
                    self.count += 1;
                    self.apply(&event);
                    return Some(event);
                }
                _ if line.starts_with(':') => {}
                (field, value) => {
                    self.fields.insert(field.to_owned());
                    match field {
                        "event" => head = Some(value.to_owned()),
                        "data" => data.push(value.to_owned()),
                        _ => {}
                    }
                }
            }
        }
    }

    /// Returns the next event of a substream, and skips those of others.
    pub async fn next_of(&mut self, substream: &str) -> Event {
        loop {
            let event = self.next().await.expect("an event");
            if event.substream == substream {
                return event;
            }
        }
    }

    /// Reads until `wanted` accepts the documents.
    pub async fn until(&mut self, wanted: impl Fn(&BTreeMap<String, Value>) -> bool) {
        while !wanted(&self.documents) {
            self.next().await.expect("an event");
        }
    }

    /// Reads until a substream has a document with this canonical text.
    pub async fn until_text(&mut self, substream: &str, wanted: &str) {
        let has = |document: &Value| value_text(document) == wanted;
        self.until(|documents| documents.get(substream).is_some_and(has))
            .await;
    }

    /// Reads to the end; returns the last control event before it.
    pub async fn end(&mut self) -> Value {
        let mut last = Value::Null;
        while let Some(event) = self.next().await {
            if event.substream.is_empty() {
                last = event.json();
            }
        }
        last
    }

    /// Reads on until the connection breaks.
    pub async fn broken(&mut self) {
        while let Ok(chunk) = self.response.chunk().await {
            assert!(chunk.is_some(), "the stream ended in good order");
        }
    }

    /// Sends a request to the control service of the stream.
    pub async fn ask(&self, node: &TestNode, body: &Value) -> Answer {
        node.post(&self.control, UPDATES, body.to_string()).await
    }

    /// Returns the canonical text of the document of a substream.
    pub fn text_of(&self, substream: &str) -> String {
        value_text(&self.documents[substream])
    }

    fn apply(&mut self, event: &Event) {
        if event.substream.is_empty() {
            assert_eq!(event.media_type, CONTROL);
            if let Some(uri) = event.json()["control-uri"].as_str() {
                self.control = uri.to_owned();
            }
            return;
        }
        let payload = event.json();
        let substream = event.substream.clone();
        let document = self.documents.entry(substream).or_default();
        patch(document, &event.media_type, payload);
    }

    /// Returns the next line; `None` when the stream has ended.
    pub async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk());
            let chunk = chunk.await.expect("an event in time").expect("a chunk")?;
            self.rest.extend_from_slice(&chunk);
            while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                let line = String::from_utf8(line).expect("text");
                self.lines.push_back(line.trim_end_matches('\n').to_owned());
            }
        }
    }
}

/// Applies an item of a media type to a document: patches change the document, which must exist;
/// everything else replaces it.
pub fn patch(document: &mut Value, media_type: &str, payload: Value) {
    let patches = [super::MERGE_PATCH, JSON_PATCH].contains(&media_type);
    assert!(!patches || document.is_object(), "nothing to patch");
    match media_type {
        super::MERGE_PATCH => json_patch::merge(document, &payload),
        JSON_PATCH => {
            let operations: json_patch::Patch =
                serde_json::from_value(payload).expect("an array of operations");
            json_patch::patch(document, &operations).expect("it fits");
        }
        _ => *document = payload,
    }
}
