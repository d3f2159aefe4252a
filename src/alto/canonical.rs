//! Canonical JSON (RFC 8785). Every body is written in this form, so that the same content has
//! the same bytes, and hence the same tag, on every node.

use ipnet::{Ipv4Net, Ipv6Net};
use serde_json::Value;

use crate::net::write_number;

/// Writes a string with its quotes.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    let plain = |b: u8| b >= 0x20 && b != b'"' && b != b'\\';
    if text.bytes().all(plain) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '\r' => out.extend_from_slice(b"\\r"),
            c if c < ' ' => out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes()),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// Writes a tree: members sorted by their UTF-16 code units, numbers as ECMAScript writes them.
pub fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_cost(out, number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => write_string(out, text),
        Value::Array(elements) => {
            out.push(b'[');
            for (i, element) in elements.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_value(out, element);
            }
            out.push(b']');
        }
        Value::Object(object) => {
            let mut members: Vec<_> = object.iter().collect();
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push(b'{');
            for (i, (key, member)) in members.into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_string(out, key);
                out.push(b':');
                write_value(out, member);
            }
            out.push(b'}');
        }
    }
}

/// Writes a number, or `null` for one that JSON cannot express: NaN stands for "no cost".
pub fn write_cost(out: &mut Vec<u8>, cost: f64) {
    if !write_number(out, cost) {
        out.extend_from_slice(b"null");
    }
}

/// Returns a tree as canonical text.
pub fn value_text(value: &Value) -> String {
    let mut out = Vec::new();
    write_value(&mut out, value);
    String::from_utf8_lossy(&out).into_owned()
}

/// Returns a number as canonical text.
pub fn number_text(number: f64) -> String {
    let mut out = Vec::new();
    write_cost(&mut out, number);
    String::from_utf8_lossy(&out).into_owned()
}

/// Writes an IPv4 prefix (RFC 4632 §3.1) without quotes.
pub fn write_ipv4_prefix(out: &mut Vec<u8>, net: &Ipv4Net) {
    let mut decimal = itoa::Buffer::new();
    for (i, octet) in net.addr().octets().into_iter().enumerate() {
        if i > 0 {
            out.push(b'.');
        }
        out.extend_from_slice(decimal.format(octet).as_bytes());
    }
    out.push(b'/');
    out.extend_from_slice(decimal.format(net.prefix_len()).as_bytes());
}

/// Writes an IPv6 prefix (RFC 5952) without quotes.
pub fn write_ipv6_prefix(out: &mut Vec<u8>, net: &Ipv6Net) {
    let addr = net.addr();
    match addr.to_ipv4_mapped() {
        // IPv4-mapped addresses end as an IPv4 address does (RFC 5952 §5).
        Some(_) => out.extend_from_slice(addr.to_string().as_bytes()),
        None => write_segments(out, addr.segments()),
    }
    out.push(b'/');
    out.extend_from_slice(itoa::Buffer::new().format(net.prefix_len()).as_bytes());
}

/// Writes an IPv6 address; the standard library's formatter takes four times as long.
fn write_segments(out: &mut Vec<u8>, segments: [u16; 8]) {
    // The longest run of two or more zeros, the first if several are equally long, becomes `::`.
    let mut longest = 0..0;
    let mut begin = 0;
    for (i, segment) in segments.into_iter().enumerate() {
        if segment != 0 {
            begin = i + 1;
        } else if i > begin && i - begin >= longest.len() {
            longest = begin..i + 1;
        }
    }
    for (i, segment) in segments.into_iter().enumerate() {
        if i == longest.start && !longest.is_empty() {
            out.extend_from_slice(b"::");
        }
        if longest.contains(&i) {
            continue;
        }
        if i > 0 && i != longest.end {
            out.push(b':');
        }
        let digits = (16 - segment.leading_zeros()).div_ceil(4).max(1);
        for place in (0..digits).rev() {
            let digit = (segment >> (4 * place)) as u8 & 0xf;
            out.push(digit + if digit < 10 { b'0' } else { b'a' - 10 });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn members_sort_by_utf16_and_numbers_are_ecmascripts() {
        let value = json!({"\u{fb33}": 1.0, "\u{1f600}": -0.0, "b": [1e21, 1e-7, true, null], "a": "\u{1f}\n\"é"});
        assert_eq!(
            value_text(&value),
            "{\"a\":\"\\u001f\\n\\\"é\",\"b\":[1e+21,1e-7,true,null],\"\u{1f600}\":0,\"\u{fb33}\":1}"
        );
    }

    #[test]
    fn prefixes_have_their_standard_text() {
        let mut out = Vec::new();
        write_ipv4_prefix(&mut out, &"198.51.100.0/22".parse().expect("valid"));
        out.push(b' ');
        write_ipv6_prefix(&mut out, &"2001:0db8::/32".parse().expect("valid"));
        assert_eq!(out, b"198.51.100.0/22 2001:db8::/32");
    }

    proptest! {
        #[test]
        fn an_ipv6_prefix_is_written_as_the_standard_library_writes_it(
            segments: [u16; 8],
            kept: [bool; 8],
            digits in 0..5u32,
            len in 0..=128u8,
        ) {
            // Zeros at any place, and segments of any number of digits.
            let segment = |i: usize| {
                if kept[i] {
                    segments[i].checked_shr(4 * digits).unwrap_or(0xffff)
                } else {
                    0
                }
            };
            let addr = Ipv6Addr::from(std::array::from_fn(segment));
            let net = Ipv6Net::new_assert(addr, len);
            let mut out = Vec::new();
            write_ipv6_prefix(&mut out, &net);
            prop_assert_eq!(String::from_utf8(out), Ok(net.to_string()));
        }
    }
}
