//! Parses server-sent events as the HTML standard has it (RFC 8895 §3.4): bytes in as they
//! come, events out.

use std::collections::VecDeque;

use bytes::Bytes;

/// An event: its name, which RFC 8895 makes a media type and a data-id, and its data lines,
/// joined by newlines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerEvent {
    pub(super) name: String,
    pub(super) data: Bytes,
    /// How many bytes of it were dropped, so that there is no data.
    pub(super) lost: usize,
}

/// An event, or a line of it, has too many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event has more than {0} bytes")]
pub struct EventTooLarge(pub usize);

/// Reads a stream of events. What follows the last blank line when the stream ends is not an
/// event.
#[derive(Debug)]
pub(super) struct EventReader {
    max_bytes: usize,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    name: Vec<u8>,
    /// The data lines so far, each with its newline.
    data: Vec<u8>,
    /// How many bytes of the event that is being read were dropped, if it is.
    lost: Option<usize>,
    /// Whether the line that is being read and dropped has any bytes.
    in_line: bool,
    /// Whether the last byte was a CR: an LF after it does not end another line.
    after_cr: bool,
    /// Whether a line was read: a byte order mark may precede the first.
    begun: bool,
}

/// The longest name of an event: a media type with parameters, a comma, two ids.
const MAX_NAME: usize = 1024;

impl EventReader {
    /// Makes a reader of a new stream whose events have this many bytes at most.
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            line: Vec::new(),
            name: Vec::new(),
            data: Vec::new(),
            lost: None,
            in_line: false,
            after_cr: false,
            begun: false,
        }
    }

    /// Returns how many bytes of the event that is being read have come.
    pub(super) fn buffered(&self) -> usize {
        self.line.len() + self.data.len()
    }

    /// Drops the event that is being read: when it ends, it is returned without data.
    pub(super) fn let_go(&mut self) {
        self.in_line = !self.line.is_empty();
        self.lost = Some(self.buffered());
        self.line = Vec::new();
        self.data = Vec::new();
    }

    /// Takes the next bytes and adds the events that they end to `events`.
    ///
    /// # Errors
    /// An event is too large; the stream cannot be read on.
    pub(super) fn feed(
        &mut self,
        mut chunk: &[u8],
        events: &mut VecDeque<ServerEvent>,
    ) -> Result<(), EventTooLarge> {
        if std::mem::take(&mut self.after_cr) {
            match chunk {
                [b'\n', rest @ ..] => chunk = rest,
                [] => self.after_cr = true,
                _ => {}
            }
        }
        while let Some(end) = chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line, rest) = chunk.split_at(end);
            self.check(line.len())?;
            if self.lost.is_some() {
                let goes_on = std::mem::take(&mut self.in_line);
                if line.is_empty() && !goes_on {
                    self.dispatch(events);
                }
            } else if self.line.is_empty() {
                self.take(line, events)?;
            } else {
                self.line.extend_from_slice(line);
                let line = std::mem::take(&mut self.line);
                self.take(&line, events)?;
            }
            chunk = match rest {
                [b'\r', b'\n', rest @ ..] => rest,
                [b'\r'] => {
                    self.after_cr = true;
                    &[]
                }
                [_, rest @ ..] => rest,
                [] => &[],
            };
        }
        self.check(chunk.len())?;
        match self.lost {
            Some(_) => self.in_line |= !chunk.is_empty(),
            None => self.line.extend_from_slice(chunk),
        }
        Ok(())
    }

    fn check(&mut self, more: usize) -> Result<(), EventTooLarge> {
        let held = match &mut self.lost {
            Some(lost) => {
                *lost = lost.saturating_add(more);
                *lost
            }
            None => self.buffered().saturating_add(more),
        };
        if held > self.max_bytes || self.name.len() > MAX_NAME {
            Err(EventTooLarge(self.max_bytes))
        } else {
            Ok(())
        }
    }

    /// Takes a whole line.
    fn take(
        &mut self,
        line: &[u8],
        events: &mut VecDeque<ServerEvent>,
    ) -> Result<(), EventTooLarge> {
        let first = !std::mem::replace(&mut self.begun, true);
        let line = match line.strip_prefix(b"\xef\xbb\xbf") {
            Some(rest) if first => rest,
            _ => line,
        };
        if line.is_empty() {
            self.dispatch(events);
            return Ok(());
        }
        let colon = line.iter().position(|&byte| byte == b':');
        let (field, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(value);
            }
            b"data" => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            // A comment has no field name. `id` and `retry` are not used (RFC 8895 §5.1);
            // unknown fields are ignored.
            _ => {}
        }
        self.check(0)
    }

    /// Ends the event; one without data is none.
    fn dispatch(&mut self, events: &mut VecDeque<ServerEvent>) {
        let name = std::mem::take(&mut self.name);
        let mut data = std::mem::take(&mut self.data);
        let lost = self.lost.take();
        if data.pop().is_some() || lost.is_some() {
            events.push_back(ServerEvent {
                name: String::from_utf8_lossy(&name).into_owned(),
                data: data.into(),
                lost: lost.unwrap_or_default(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(chunks: &[&[u8]]) -> Vec<(String, String)> {
        let mut reader = EventReader::new(1000);
        let mut events = VecDeque::new();
        for chunk in chunks {
            reader.feed(chunk, &mut events).expect("small");
        }
        let text = |data: Bytes| String::from_utf8(data.into()).expect("text");
        let event = |event: ServerEvent| (event.name, text(event.data));
        events.into_iter().map(event).collect()
    }

    fn event(name: &str, data: &str) -> (String, String) {
        (name.to_owned(), data.to_owned())
    }

    #[test]
    fn every_end_of_line_is_one_end_of_line() {
        for end in ["\n", "\r", "\r\n"] {
            let text = "event: a\ndata: 1\n\ndata: 2\ndata: 3\n\n".replace('\n', end);
            assert_eq!(
                read(&[text.as_bytes()]),
                [event("a", "1"), event("", "2\n3")]
            );
        }
        assert_eq!(
            read(&[b"event: a\r", b"\ndata: 1\r", b"", b"\n", b"\r", b"\n"]),
            [event("a", "1")]
        );
    }

    #[test]
    fn comments_and_fields_that_are_not_used_are_ignored() {
        let text = b"\xef\xbb\xbfevent: a\n: comment\nid: 7\nretry: 1\nother\ndata:1\ndata\ndata:  2\n:\n\n\n";
        assert_eq!(read(&[text]), [event("a", "1\n\n 2")]);
    }

    #[test]
    fn a_name_without_data_is_no_event_and_names_nothing_after_it() {
        assert_eq!(read(&[b"event: a\n\ndata: 1\n\n"]), [event("", "1")]);
    }

    #[test]
    fn an_event_that_is_cut_off_is_dropped() {
        assert_eq!(
            read(&[b"event: a\ndata: 1\n\nevent: b\ndata: 2\n"]),
            [event("a", "1")]
        );
    }

    #[test]
    fn an_event_over_the_limit_ends_the_stream_however_it_is_cut() {
        let line = [b"data: ".as_slice(), &[b'x'; 1000], b"\n"].concat();
        let lines = b"data: xxxxxxxxxx\n".repeat(100);
        let name = [b"event: ".as_slice(), &[b'x'; 1100], b"\n\n"].concat();
        let comment = [b':'; 2000];
        for text in [line.as_slice(), &lines, &name[..], &comment[..]] {
            for size in [1, 7, 10_000] {
                let mut reader = EventReader::new(900);
                let mut fed = text
                    .chunks(size)
                    .map(|chunk| reader.feed(chunk, &mut VecDeque::new()));
                assert!(fed.any(|outcome| outcome == Err(EventTooLarge(900))));
            }
        }
    }

    #[test]
    fn an_event_that_is_let_go_of_is_told_without_data_and_the_next_is_whole() {
        let text = b"event: a\ndata: 11111\ndata: 22222\n\nevent: b\ndata: 3\n\n";
        for at in 18..34 {
            for size in [1, 5, 100] {
                let (mut reader, mut events) = (EventReader::new(40), VecDeque::new());
                reader.feed(&text[..at], &mut events).expect("small");
                reader.let_go();
                assert_eq!(reader.buffered(), 0);
                for chunk in text[at..].chunks(size) {
                    reader.feed(chunk, &mut events).expect("small");
                }
                let told: Vec<_> = events.iter().map(|it| (&*it.name, &it.data[..])).collect();
                assert_eq!(told, [("a", &b""[..]), ("b", &b"3"[..])], "{at}");
                assert!(events[0].lost > 0 && events[1].lost == 0);
            }
        }
    }

    #[test]
    fn what_is_let_go_of_has_an_end_too() {
        let (mut reader, mut events) = (EventReader::new(1000), VecDeque::new());
        reader
            .feed(b"event: a\ndata: 1", &mut events)
            .expect("small");
        reader.let_go();
        let mut fed = (0..20).map(|_| reader.feed(&[b'x'; 100], &mut events));
        assert!(fed.any(|outcome| outcome == Err(EventTooLarge(1000))));
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_makes_no_difference(
            lines in proptest::collection::vec(
                ("(event|data|id|)", "(:| |: )", "[a-z: ]{0,6}", "(\n|\r|\r\n|\n\n|\r\r|\r\n\r\n)"),
                0..30,
            ),
            cuts in proptest::collection::vec(0..400_usize, 0..20),
        ) {
            let text: String = lines.into_iter().map(|(a, b, c, d)| a + &b + &c + &d).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts
                .windows(2)
                .map(|pair| &text.as_bytes()[pair[0]..pair[1]])
                .collect();
            prop_assert_eq!(read(&pieces), read(&[text.as_bytes()]));
        }
    }
}
