//! Readers for the building blocks of documents.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::Range;

use serde::de::{MapAccess, SeqAccess};
use serde_json::Value;

use super::fault::{FaultKind, Step};
use super::read::{Read, Seed, members, value};
use super::walk::Walk;
use crate::alto::canonical;

/// Reads a string and converts it by a function, which may refuse it.
pub struct StringBy<F>(pub F);

impl<'de, T, F: FnOnce(&mut Walk<'de>, Cow<'de, str>) -> Option<T>> Read<'de> for StringBy<F> {
    type Output = T;
    const WANTED: &'static str = "a string";

    fn string(self, walk: &mut Walk<'de>, text: Cow<'de, str>) -> Option<T> {
        (self.0)(walk, text)
    }
}

/// Reads a number.
pub struct Number;

impl Read<'_> for Number {
    type Output = f64;
    const WANTED: &'static str = "a number";

    fn number(self, _: &mut Walk<'_>, number: f64) -> Option<f64> {
        Some(number)
    }
}

/// Reads an array, each element by a new reader. Elements with faults are left out.
pub struct ListOf<F, R> {
    reader: F,
    _element: PhantomData<R>,
}

impl<F: FnMut() -> R, R> ListOf<F, R> {
    /// Makes a reader of arrays; `reader` makes the reader of each element.
    pub fn new(reader: F) -> Self {
        Self {
            reader,
            _element: PhantomData,
        }
    }
}

impl<'de, R: Read<'de>, F: FnMut() -> R> Read<'de> for ListOf<F, R> {
    type Output = Vec<R::Output>;
    const WANTED: &'static str = "an array";

    fn array<A: SeqAccess<'de>>(
        mut self,
        walk: &mut Walk<'de>,
        mut seq: A,
    ) -> Result<Option<Self::Output>, A::Error> {
        let mut list = Vec::new();
        for index in 0.. {
            walk.path.push(Step::Element(index));
            let reader = (self.reader)();
            match seq.next_element_seed(Seed { walk, reader })? {
                Some(element) => list.extend(element),
                None => break,
            }
            walk.path.pop();
        }
        walk.path.pop();
        Ok(Some(list))
    }
}

/// Appends any value to a buffer as its canonical text (RFC 8785), without making a tree of it.
pub struct Canonical<'o>(pub &'o mut Vec<u8>);

impl<'de> Read<'de> for Canonical<'_> {
    type Output = ();
    const WANTED: &'static str = "a JSON value";

    fn string(self, _: &mut Walk<'de>, text: Cow<'de, str>) -> Option<()> {
        canonical::write_string(self.0, &text);
        Some(())
    }

    fn number(self, walk: &mut Walk<'de>, number: f64) -> Option<()> {
        if !number.is_finite() {
            walk.fault(FaultKind::Value(None), "the number is not finite");
            return None;
        }
        canonical::write_cost(self.0, number);
        Some(())
    }

    fn boolean(self, _: &mut Walk<'de>, value: bool) -> Option<()> {
        self.0
            .extend_from_slice(if value { b"true" } else { b"false" });
        Some(())
    }

    fn null(self, _: &mut Walk<'de>) -> Option<()> {
        self.0.extend_from_slice(b"null");
        Some(())
    }

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<()>, A::Error> {
        let Self(out) = self;
        let begin = out.len();
        // Writes the values in the order in which they come; the members are then put in order.
        let mut places: Vec<(Box<str>, Range<usize>)> = Vec::new();
        members(walk, &mut map, |walk, key, map| {
            let from = out.len();
            value(walk, map, Canonical(out))?;
            places.push((key.into(), from - begin..out.len() - begin));
            Ok(())
        })?;
        let values = out.split_off(begin);
        places.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        out.push(b'{');
        let mut last: Option<&str> = None;
        for (key, place) in &places {
            if last.is_some() {
                out.push(b',');
            }
            if last.replace(key) == Some(key) {
                walk.path.push(Step::Member(Cow::Owned(key.to_string())));
                walk.duplicate();
                walk.path.pop();
            }
            canonical::write_string(out, key);
            out.push(b':');
            out.extend_from_slice(&values[place.clone()]);
        }
        out.push(b'}');
        Ok(Some(()))
    }

    fn array<A: SeqAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut seq: A,
    ) -> Result<Option<()>, A::Error> {
        let Self(out) = self;
        out.push(b'[');
        for index in 0.. {
            walk.path.push(Step::Element(index));
            // The comma is written before it is known whether an element follows, and then taken
            // back.
            let end = out.len();
            if index > 0 {
                out.push(b',');
            }
            let reader = Canonical(out);
            let seed = Seed { walk, reader };
            if seq.next_element_seed(seed)?.is_none() {
                out.truncate(end);
                break;
            }
            walk.path.pop();
        }
        walk.path.pop();
        out.push(b']');
        Ok(Some(()))
    }
}

/// Reads any value into a tree. For small values only.
pub struct Tree;

impl<'de> Read<'de> for Tree {
    type Output = Value;
    const WANTED: &'static str = "a JSON value";

    fn string(self, _: &mut Walk<'de>, text: Cow<'de, str>) -> Option<Value> {
        Some(Value::String(text.into_owned()))
    }

    fn number(self, walk: &mut Walk<'de>, number: f64) -> Option<Value> {
        let number = serde_json::Number::from_f64(number);
        if number.is_none() {
            walk.fault(FaultKind::Value(None), "the number is not finite");
        }
        number.map(Value::Number)
    }

    fn boolean(self, _: &mut Walk<'de>, value: bool) -> Option<Value> {
        Some(Value::Bool(value))
    }

    fn null(self, _: &mut Walk<'de>) -> Option<Value> {
        Some(Value::Null)
    }

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<Value>, A::Error> {
        let mut object = serde_json::Map::new();
        members(walk, &mut map, |walk, key, map| {
            if object.contains_key(key) {
                walk.duplicate();
            }
            if let Some(member) = value(walk, map, Tree)? {
                object.insert(key.to_owned(), member);
            }
            Ok(())
        })?;
        Ok(Some(Value::Object(object)))
    }

    fn array<A: SeqAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        seq: A,
    ) -> Result<Option<Value>, A::Error> {
        Ok(ListOf::new(|| Tree).array(walk, seq)?.map(Value::Array))
    }
}

/// Reads an object into a sorted map.
pub struct MapOf<K, F, R> {
    key: K,
    reader: F,
    _value: PhantomData<R>,
}

impl<K, F: FnMut() -> R, R> MapOf<K, F, R> {
    /// Makes a reader of objects; `key` makes each key, and `reader` the reader of each value.
    pub fn new(key: K, reader: F) -> Self {
        Self {
            key,
            reader,
            _value: PhantomData,
        }
    }
}

impl<'de, N, K, F, R> Read<'de> for MapOf<K, F, R>
where
    N: Ord,
    K: FnMut(&mut Walk<'de>, &str) -> Option<N>,
    F: FnMut() -> R,
    R: Read<'de>,
{
    type Output = BTreeMap<N, R::Output>;
    const WANTED: &'static str = "an object";

    fn object<A: MapAccess<'de>>(
        mut self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<Self::Output>, A::Error> {
        let mut out = BTreeMap::new();
        members(walk, &mut map, |walk, key, map| {
            let name = (self.key)(walk, key);
            let value = value(walk, map, (self.reader)())?;
            if let (Some(name), Some(value)) = (name, value)
                && out.insert(name, value).is_some()
            {
                walk.duplicate();
            }
            Ok(())
        })?;
        Ok(Some(out))
    }
}

/// Reads `null` as `None`, and anything else by its reader.
pub struct OrNull<R>(pub R);

impl<'de, R: Read<'de>> Read<'de> for OrNull<R> {
    type Output = Option<R::Output>;
    const WANTED: &'static str = R::WANTED;

    fn string(self, walk: &mut Walk<'de>, text: Cow<'de, str>) -> Option<Self::Output> {
        self.0.string(walk, text).map(Some)
    }

    fn number(self, walk: &mut Walk<'de>, number: f64) -> Option<Self::Output> {
        self.0.number(walk, number).map(Some)
    }

    fn boolean(self, walk: &mut Walk<'de>, value: bool) -> Option<Self::Output> {
        self.0.boolean(walk, value).map(Some)
    }

    fn null(self, _: &mut Walk<'de>) -> Option<Self::Output> {
        Some(None)
    }

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        map: A,
    ) -> Result<Option<Self::Output>, A::Error> {
        Ok(self.0.object(walk, map)?.map(Some))
    }

    fn array<A: SeqAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        seq: A,
    ) -> Result<Option<Self::Output>, A::Error> {
        Ok(self.0.array(walk, seq)?.map(Some))
    }
}
