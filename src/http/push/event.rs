//! Events of an update stream as they go over the wire, RFC 8895 §5.

use bytes::Bytes;

use crate::alto::media;
use crate::alto::update::ControlUpdate;

/// An event is broken into lines of about so many bytes (RFC 8895 §9.5).
const LINE: usize = 32 * 1024;

/// Payloads up to this length are put into one piece with what is around them.
const SMALL: usize = 8 * 1024;

/// The comment that shows that a stream is alive (RFC 8895 §6.8).
pub(super) const KEEP_ALIVE: Bytes = Bytes::from_static(b":\n\n");

/// The pieces of a data event. `payload` is JSON without line breaks; large ones
/// are not copied, since many streams are sent the same.
pub(super) fn data(media_type: &str, substream: &str, payload: &Bytes) -> Vec<Bytes> {
    let head = format!("event: {media_type},{substream}\ndata: ");
    if payload.len() <= SMALL {
        let event = [head.as_bytes(), payload, b"\n\n"].concat();
        return vec![event.into()];
    }
    let mut pieces = vec![Bytes::from(head)];
    let mut begin = 0;
    for end in breaks(payload) {
        pieces.push(payload.slice(begin..end));
        pieces.push(Bytes::from_static(b"\ndata: "));
        begin = end;
    }
    pieces.push(payload.slice(begin..));
    pieces.push(Bytes::from_static(b"\n\n"));
    pieces
}

/// A control event.
pub(super) fn control(update: &ControlUpdate) -> Bytes {
    let payload = serde_json::to_string(update).unwrap_or_default();
    let media_type = media::UPDATE_STREAM_CONTROL;
    format!("event: {media_type}\ndata: {payload}\n\n").into()
}

/// Where a long payload is broken: after a comma between values, where a line
/// break means nothing (RFC 8259 §2). Where there is none for long, the line is
/// longer.
fn breaks(payload: &[u8]) -> Vec<usize> {
    let mut breaks = Vec::new();
    let (mut in_string, mut escaped) = (false, false);
    let mut line = 0;
    for (at, byte) in payload.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b',' if !in_string && at - line >= LINE => {
                line = at + 1;
                breaks.push(line);
            }
            _ => {}
        }
    }
    breaks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_payload_is_sent_in_lines_that_join_to_the_same_json() {
        let long = "x\\\",\\\\".repeat(LINE);
        let payload = format!(r#"{{"a":["{long}",1],"b":[{}7]}}"#, "12,".repeat(2 * LINE));
        let event = data("application/json", "s", &Bytes::from(payload.clone())).concat();
        let event = String::from_utf8(event).expect("text");
        let mut lines = event.lines();
        assert_eq!(lines.next(), Some("event: application/json,s"));
        assert!(event.ends_with("\n\n"));
        let lines: Vec<&str> = lines
            .filter_map(|line| line.strip_prefix("data: "))
            .collect();
        assert!(lines.len() > 4, "{}", lines.len());
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
