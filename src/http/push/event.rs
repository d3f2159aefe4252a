//! Events of an update stream as they are sent (RFC 8895 §5).

use bytes::Bytes;

use crate::alto::media;
use crate::alto::update::ControlUpdate;

/// The approximate length in bytes of the lines of an event (RFC 8895 §9.5).
const LINE: usize = 32 * 1024;

/// Payloads up to this length, in bytes, are joined with the rest of the event to one piece.
const SMALL: usize = 8 * 1024;

/// The beginning of a line of a payload.
const DATA: &[u8] = b"\ndata: ";

/// The comment that shows that a stream is alive (RFC 8895 §6.8).
pub(super) const KEEP_ALIVE: Bytes = Bytes::from_static(b":\n\n");

/// The end of a data event.
pub(super) const END: Bytes = Bytes::from_static(b"\n\n");

/// Returns the pieces of a data event. `payload` is JSON without line breaks; large payloads are
/// not copied, since many streams are sent the same.
pub(super) fn data(media_type: &str, substream: &str, payload: &Bytes) -> Vec<Bytes> {
    let head = begin(media_type, substream);
    if payload.len() <= SMALL {
        let event = [&head, DATA, payload, &END[..]].concat();
        return vec![event.into()];
    }
    let mut pieces = vec![head];
    pieces.extend(lines(payload));
    pieces.push(END);
    pieces
}

/// Returns the first line of a data event, which is followed by its [`lines`] and its [`END`].
pub(super) fn begin(media_type: &str, substream: &str) -> Bytes {
    format!("event: {media_type},{substream}").into()
}

/// Returns the lines of a part of a payload. Parts end between two tokens of JSON, where a line
/// break means nothing (RFC 8259 §2).
pub(super) fn lines(part: &Bytes) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    let mut begin = 0;
    for end in breaks(part).into_iter().chain([part.len()]) {
        pieces.push(Bytes::from_static(DATA));
        pieces.push(part.slice(begin..end));
        begin = end;
    }
    pieces
}

/// Returns a control event.
pub(super) fn control(update: &ControlUpdate) -> Bytes {
    let payload = serde_json::to_string(update).unwrap_or_default();
    let media_type = media::UPDATE_STREAM_CONTROL;
    format!("event: {media_type}\ndata: {payload}\n\n").into()
}

/// Returns where a long part is broken into lines: after a comma between values. A line is
/// longer if there is no such comma for long.
fn breaks(payload: &[u8]) -> Vec<usize> {
    let mut breaks = Vec::new();
    let mut strings = Strings::default();
    let mut line = 0;
    while let Some((head, tail)) = payload[line..].split_at_checked(LINE) {
        strings.pass(head);
        let comma = tail.iter().position(|byte| {
            let found = *byte == b',' && !strings.inside;
            strings.step(*byte);
            found
        });
        let Some(comma) = comma else {
            break;
        };
        line += LINE + comma + 1;
        breaks.push(line);
    }
    breaks
}

/// Tracks which bytes of JSON are in strings.
#[derive(Default)]
struct Strings {
    inside: bool,
    escaped: bool,
}

impl Strings {
    fn step(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = self.inside,
            b'"' => self.inside = !self.inside,
            _ => {}
        }
    }

    /// Passes many bytes. Nearly always nothing is escaped, and it is enough to count whether
    /// the number of quotes is odd: each stream does this for every event.
    fn pass(&mut self, bytes: &[u8]) {
        if self.escaped || bytes.contains(&b'\\') {
            bytes.iter().for_each(|byte| self.step(*byte));
        } else {
            let quote = |byte: &u8| u8::from(*byte == b'"');
            let odd = bytes.iter().fold(0, |odd, byte| odd ^ quote(byte));
            self.inside ^= odd == 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_payload_is_sent_in_lines_that_join_to_the_same_json() {
        let long = "x\\\",\\\\".repeat(LINE);
        let numbers = "12,".repeat(2 * LINE);
        let plain = "\"p,q\",".repeat(2 * LINE);
        let payload = format!(r#"{{"a":["{long}",1],"b":[{numbers}7],"c":[{plain}7]}}"#);
        let event = data("application/json", "s", &Bytes::from(payload.clone())).concat();
        let event = String::from_utf8(event).expect("text");
        let mut lines = event.lines();
        assert_eq!(lines.next(), Some("event: application/json,s"));
        assert!(event.ends_with("\n\n"));
        let lines: Vec<&str> = lines
            .filter_map(|line| line.strip_prefix("data: "))
            .collect();
        assert!(lines.len() > 12, "{}", lines.len());
        let tree = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(tree(&lines.join("\n")), tree(&payload));
    }

    #[test]
    fn a_short_event_is_one_piece() {
        let pieces = data(
            "application/merge-patch+json",
            "1",
            &Bytes::from_static(b"{}"),
        );
        assert_eq!(
            pieces,
            ["event: application/merge-patch+json,1\ndata: {}\n\n"]
        );
    }
}
