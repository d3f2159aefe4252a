//! Update streams as a client reads them, by the text of RFC 8895 alone.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use altofed::alto::canonical::value_text;
use serde_json::{Value, json};

use super::{Request, TestNode};

pub const EVENTS: &str = "text/event-stream";
pub const UPDATES: &str = "application/alto-updatestreamparams+json";
pub const CONTROL: &str = "application/alto-updatestreamcontrol+json";
pub const JSON_PATCH: &str = "application/json-patch+json";
pub const TIPS: &str = "application/alto-tips+json";
pub const TIPS_PARAMS: &str = "application/alto-tipsparams+json";

/// Longer than any event takes; only a test that fails waits so long.
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
    /// The comments so far.
    pub comments: usize,
    /// What every substream has.
    pub documents: BTreeMap<String, Value>,
}

impl Request {
    /// Sends it and reads the answer as an update stream.
    pub async fn open(self) -> Events {
        let response = self.0.send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{:?}", response.text().await);
        assert_eq!(response.headers()["content-type"], EVENTS);
        Events {
            response,
            lines: VecDeque::new(),
            rest: Vec::new(),
            comments: 0,
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
    /// The next event; none when the stream has ended.
    pub async fn next(&mut self) -> Option<Event> {
        let (mut head, mut data) = (None, Vec::new());
        loop {
            let line = self.line().await?;
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
                    self.apply(&event);
                    return Some(event);
                }
                ("event", value) => head = Some(value.to_owned()),
                ("data", value) => data.push(value.to_owned()),
                _ if line.starts_with(':') => self.comments += 1,
                other => panic!("no field of RFC 8895: {other:?}"),
            }
        }
    }

    /// The next event of a substream; those of others are passed by.
    pub async fn next_of(&mut self, substream: &str) -> Event {
        loop {
            let event = self.next().await.expect("an event");
            if event.substream == substream {
                return event;
            }
        }
    }

    /// Reads until the documents are as `wanted` says.
    pub async fn until(&mut self, wanted: impl Fn(&BTreeMap<String, Value>) -> bool) {
        while !wanted(&self.documents) {
            self.next().await.expect("an event");
        }
    }

    /// The canonical text of what a substream has.
    pub fn text_of(&self, substream: &str) -> String {
        value_text(&self.documents[substream])
    }

    fn apply(&mut self, event: &Event) {
        if event.substream.is_empty() {
            assert_eq!(event.media_type, CONTROL);
            return;
        }
        let payload = event.json();
        match event.media_type.as_str() {
            super::MERGE_PATCH => {
                let document = self.documents.get_mut(&event.substream);
                json_patch::merge(document.expect("what is patched is there"), &payload);
            }
            JSON_PATCH => {
                let operations = serde_json::from_value(payload).expect("an array of operations");
                let operations: json_patch::Patch = operations;
                let document = self.documents.get_mut(&event.substream);
                let document = document.expect("what is patched is there");
                json_patch::patch(document, &operations).expect("it fits");
            }
            _ => drop(self.documents.insert(event.substream.clone(), payload)),
        }
    }

    async fn line(&mut self) -> Option<String> {
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
