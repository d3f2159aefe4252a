//! Reads JSON straight into our types, and locates every fault.
//!
//! serde_json does the parsing. A [`Read`] says what a value should be and takes it; the
//! [`Walk`] knows the current place in the document. A value of the wrong kind does not end the
//! reading: it goes on, so that the caller learns of every fault at once. Only broken JSON ends
//! it early.

mod fault;
mod read;
mod readers;
mod walk;

pub use fault::{Fault, FaultKind, Faults, Step};
pub use read::{Once, Read, Text, members, once, read, read_below, skip, value};
pub use readers::{Canonical, ListOf, MapOf, Number, OrNull, StringBy, Tree};
pub use walk::Walk;

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::collections::BTreeMap;

    use super::*;

    fn pointers(faults: &Faults) -> Vec<String> {
        faults.listed().iter().map(Fault::pointer).collect()
    }

    fn numbers(text: &str) -> Result<BTreeMap<String, Vec<String>>, Faults> {
        let strings =
            || ListOf::new(|| StringBy(|_: &mut Walk<'_>, s: Cow<'_, str>| Some(s.into_owned())));
        read(
            text.as_bytes(),
            MapOf::new(|_: &mut Walk<'_>, key: &str| Some(key.to_owned()), strings),
        )
    }

    #[test]
    fn every_fault_is_located_and_none_hides_another() {
        let faults = numbers(r#"{"a":["x",1,{"y":[2]},null],"b/~":7,"c":[]}"#).expect_err("faults");
        assert_eq!(pointers(&faults), ["/a/1", "/a/2", "/a/3", "/b~1~0"]);
        assert_eq!(faults.listed()[0].kind, FaultKind::Type("1".into()));
    }

    #[test]
    fn a_member_that_stands_twice_is_a_fault() {
        let faults = numbers(r#"{"a":[],"a":[]}"#).expect_err("duplicate");
        assert_eq!(pointers(&faults), ["/a"]);
        assert_eq!(faults.listed()[0].kind, FaultKind::Syntax);
    }

    #[test]
    fn broken_json_is_one_fault_with_its_position() {
        for broken in ["", "{", r#"{"a":["#, "nul", r#"{"a":[]} x"#, "\u{feff}{}"] {
            let faults = numbers(broken).expect_err("broken");
            let last = faults.listed().last().expect("one");
            assert_eq!(last.kind, FaultKind::Syntax, "{broken:?}");
            assert!(last.detail.contains("line 1"), "{}", last.detail);
        }
    }

    #[test]
    fn at_most_a_hundred_faults_are_listed_and_all_are_counted() {
        let text = format!(r#"{{"a":[{}]}}"#, vec!["1"; 250].join(","));
        let faults = numbers(&text).expect_err("faults");
        assert_eq!((faults.listed().len(), faults.total()), (100, 250));
    }

    #[test]
    fn canonical_text_is_that_of_the_tree() {
        for text in [
            r#" {"b":[1.50,{"z":null,"a":[]},[[],[true, false]]], "a" : "x\ny", "\u20ac":1e21,"\ud83d\ude02":{}} "#,
            "[]",
            "{}",
            "-0",
            r#""text""#,
        ] {
            let mut out = Vec::new();
            read(text.as_bytes(), Canonical(&mut out)).expect("sound");
            let tree = read(text.as_bytes(), Tree).expect("sound");
            let written = String::from_utf8(out).expect("text");
            assert_eq!(written, crate::alto::canonical::value_text(&tree));
        }
        let twice = br#"{"a":[{"d":1,"e":3,"d":2}]}"#;
        let faults = read(twice, Canonical(&mut Vec::new())).expect_err("duplicate");
        assert_eq!(pointers(&faults), ["/a/0/d"]);
    }

    #[test]
    fn a_tree_refuses_members_that_stand_twice_at_any_depth() {
        assert!(read(br#"{"a":{"b":1,"c":[{"d":1}]}}"#, Tree).is_ok());
        let faults = read(br#"{"a":[{"d":1,"d":2}]}"#, Tree).expect_err("duplicate");
        assert_eq!(pointers(&faults), ["/a/0/d"]);
    }
}
