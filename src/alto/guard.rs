//! Refuses JSON that is nested too deep, while it arrives.

/// Scans JSON as it arrives, in chunks cut anywhere, and refuses it at the bracket that opens
/// one level too many: before the parser or the rest of the body costs anything.
///
/// It recognises strings and escapes, so brackets in strings do not count. It does not check
/// whether the text is JSON; that is left to the parser. A text that passes is nested no deeper
/// than allowed, up to its first error.
#[derive(Clone, Debug)]
pub struct JsonGuard {
    max_depth: usize,
    depth: usize,
    offset: u64,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Outside,
    InString,
    /// After a backslash in a string.
    Escaped,
}

/// An array or object is nested deeper than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("arrays and objects are nested more than {max_depth} deep at byte {offset}")]
pub struct TooDeep {
    /// How many levels are allowed; the outermost array or object is the first.
    pub max_depth: usize,
    /// Where the bracket is that opens one level too many, in bytes from the start, counted from
    /// 0.
    pub offset: u64,
}

impl JsonGuard {
    /// Makes a guard that allows `max_depth` levels of arrays and objects.
    pub fn new(max_depth: usize) -> JsonGuard {
        JsonGuard {
            max_depth,
            depth: 0,
            offset: 0,
            place: Place::Outside,
        }
    }

    /// Scans the next chunk.
    ///
    /// # Errors
    /// [`TooDeep`] at the first bracket that is one too many.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), TooDeep> {
        let mut rest = chunk.iter();
        loop {
            // Most of the text cannot change the place; it is skipped in one go.
            let next = match self.place {
                Place::Outside => {
                    rest.find(|byte| matches!(byte, b'"' | b'[' | b'{' | b']' | b'}'))
                }
                Place::InString => rest.find(|byte| matches!(byte, b'"' | b'\\')),
                Place::Escaped => rest.next(),
            };
            let Some(byte) = next else {
                break;
            };
            self.place = match (self.place, byte) {
                (Place::Outside, b'"') => Place::InString,
                (Place::Outside, b'[' | b'{') => {
                    if self.depth == self.max_depth {
                        let passed = chunk.len() - rest.len() - 1;
                        return Err(TooDeep {
                            max_depth: self.max_depth,
                            offset: self.offset + passed as u64,
                        });
                    }
                    self.depth += 1;
                    Place::Outside
                }
                (Place::Outside, _) => {
                    // The parser refuses a bracket that closes nothing.
                    self.depth = self.depth.saturating_sub(1);
                    Place::Outside
                }
                (Place::InString, b'\\') => Place::Escaped,
                (Place::InString, _) => Place::Outside,
                (Place::Escaped, _) => Place::InString,
            };
        }
        self.offset += chunk.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn scan(max_depth: usize, chunks: &[&[u8]]) -> Result<(), TooDeep> {
        let mut guard = JsonGuard::new(max_depth);
        chunks.iter().try_for_each(|chunk| guard.feed(chunk))
    }

    /// Returns how many levels a parsed document has.
    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
            Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// Does the same scan without state: blanks out the strings first, then counts brackets.
    fn naive(max_depth: usize, text: &[u8]) -> Option<usize> {
        let mut outside = vec![true; text.len()];
        let mut at = 0;
        while at < text.len() {
            if text[at] == b'"' {
                let start = at;
                at += 1;
                while at < text.len() && text[at] != b'"' {
                    at += if text[at] == b'\\' { 2 } else { 1 };
                }
                let end = text.len().min(at + 1);
                outside[start..end].fill(false);
            }
            at += 1;
        }
        let mut depth = 0i64;
        for at in 0..text.len() {
            match text[at] {
                b'[' | b'{' if outside[at] => depth += 1,
                b']' | b'}' if outside[at] => depth = (depth - 1).max(0),
                _ => (),
            }
            if depth > max_depth as i64 {
                return Some(at);
            }
        }
        None
    }

    #[test]
    fn the_bracket_that_is_one_too_many_is_refused_as_soon_as_it_comes() {
        let refused = TooDeep {
            max_depth: 32,
            offset: 32,
        };
        assert_eq!(scan(32, &["[".repeat(32).as_bytes()]), Ok(()));
        assert_eq!(scan(32, &["[".repeat(33).as_bytes()]), Err(refused));
        assert_eq!(scan(1, &[b"[1,", b"{"]).unwrap_err().offset, 3);
        assert_eq!(scan(1, &[b"[]{}[]"]), Ok(()));
    }

    #[test]
    fn brackets_in_strings_do_not_count_however_the_text_is_cut() {
        let text = br#"{"[[[[\"[[\\":"\\\"{{{"}"#;
        assert!(serde_json::from_slice::<Value>(text).is_ok());
        for cut in 0..text.len() {
            let (a, b) = text.split_at(cut);
            assert_eq!(scan(1, &[a, b]), Ok(()));
        }
        assert!(scan(1, &[br#"{"a\\":["#]).is_err());
    }

    fn documents() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i32>().prop_map(Value::from),
            "[\\[\\]{}\"\\\\a\n]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(8, 64, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                ("[\\[\\]{}\"\\\\a]{0,4}", inner).prop_map(|(k, v)| json!({ k: v })),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_passes_exactly_if_its_depth_is_allowed(
            document in documents(), max_depth in 0..9usize, pretty: bool,
        ) {
            let text = if pretty {
                serde_json::to_string_pretty(&document).unwrap()
            } else {
                document.to_string()
            };
            prop_assert_eq!(
                scan(max_depth, &[text.as_bytes()]).is_ok(),
                depth(&document) <= max_depth
            );
        }

        #[test]
        fn any_bytes_in_any_chunks_scan_as_the_naive_way_says(
            text in "[\\[\\]{}\"\\\\ax]{0,60}",
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
            max_depth in 0..6usize,
        ) {
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|w| &text.as_bytes()[w[0]..w[1]]).collect();
            let refused = scan(max_depth, &chunks).err().map(|refused| refused.offset as usize);
            prop_assert_eq!(refused, naive(max_depth, text.as_bytes()));
        }
    }
}
