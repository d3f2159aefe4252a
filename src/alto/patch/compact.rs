//! Removes insignificant white space from JSON.

use std::borrow::Cow;

/// Removes the white space between the tokens of a JSON text, and nothing else. A canonical text
/// that was laid out in lines becomes canonical again.
pub fn compact(text: &[u8]) -> Cow<'_, [u8]> {
    let mut kept = Vec::new();
    let (mut from, mut in_string, mut escaped) = (0, false, false);
    for (at, byte) in text.iter().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b' ' | b'\t' | b'\n' | b'\r' => {
                kept.extend_from_slice(text.get(from..at).unwrap_or_default());
                from = at + 1;
            }
            _ => {}
        }
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    kept.extend_from_slice(text.get(from..).unwrap_or_default());
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_white_space_between_tokens_goes() {
        let text = b" {\r\n\t\"a b\\\" c\" : [ 1 , \" \" ]\n} ";
        assert_eq!(compact(text).as_ref(), br#"{"a b\" c":[1," "]}"#);
    }

    #[test]
    fn a_compact_text_is_not_copied() {
        let text = br#"{"a b":[1]}"#;
        assert!(matches!(compact(text), Cow::Borrowed(same) if same == text));
    }
}
