//! Reading JSON straight into our types, with every fault located.
//!
//! serde_json does the parsing; a [`Read`] says what a value should have been
//! and takes it, and the [`Walk`] knows where in the document we are. A value of
//! the wrong kind is a fault, not the end: reading goes on, so that a caller
//! hears of all that is wrong at once. Only broken JSON ends it early.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::canonical;

/// One step into a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<'de> {
    /// The member of an object with this name.
    Member(Cow<'de, str>),
    /// The element of an array at this index.
    Element(usize),
}

/// The kind of a fault, as RFC 7285 §8.5.2 tells them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// The text is not JSON, or a member stands in it twice.
    Syntax,
    /// A member that is needed is not there.
    Missing,
    /// A value has the wrong JSON type; this is the value, as text.
    Type(String),
    /// A value has the right type and cannot be used; this is the value, as
    /// text, where it helps to repeat it.
    Value(Option<String>),
}

/// One thing that is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The way from the root of the document to the fault.
    pub path: Vec<Step<'static>>,
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// What is wrong and how to mend it, for people.
    pub detail: String,
}

impl Fault {
    /// The JSON pointer (RFC 6901) of the fault.
    pub fn pointer(&self) -> String {
        let mut pointer = String::new();
        for step in &self.path {
            pointer.push('/');
            match step {
                Step::Member(name) => {
                    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                }
                Step::Element(index) => pointer.push_str(&index.to_string()),
            }
        }
        pointer
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.is_empty() {
            true => f.write_str(&self.detail),
            false => write!(f, "{}: {}", self.pointer(), self.detail),
        }
    }
}

/// All that is wrong with a document: the first [`Faults::LIMIT`] faults, and
/// how many there were. Never empty when it is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    listed: Vec<Fault>,
    total: usize,
}

impl Faults {
    /// How many faults are listed; more are only counted.
    pub const LIMIT: usize = 100;

    /// Adds a fault.
    pub fn push(&mut self, fault: Fault) {
        self.total += 1;
        if self.listed.len() < Self::LIMIT {
            self.listed.push(fault);
        }
    }

    /// Adds the faults of another document.
    pub fn append(&mut self, other: Faults) {
        let unlisted = other.total - other.listed.len();
        other.listed.into_iter().for_each(|fault| self.push(fault));
        self.total += unlisted;
    }

    /// The same faults, all below the given steps.
    pub fn relocated(mut self, at: &[Step<'static>]) -> Self {
        for fault in &mut self.listed {
            fault.path.splice(0..0, at.iter().cloned());
        }
        self
    }

    /// Adds one fault of a value that cannot be used, at a path of member names.
    pub fn at(&mut self, members: &[&str], detail: impl Into<String>) {
        self.push(Fault {
            path: members
                .iter()
                .map(|name| Step::Member(Cow::Owned((*name).to_owned())))
                .collect(),
            kind: FaultKind::Value(None),
            detail: detail.into(),
        });
    }

    /// Whether nothing was found wrong.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// How many faults were found.
    pub fn total(&self) -> usize {
        self.total
    }

    /// The listed faults, in the order of the document.
    pub fn listed(&self) -> &[Fault] {
        &self.listed
    }

    /// `value` if nothing is wrong, the faults else.
    ///
    /// # Errors
    /// At least one fault was found.
    pub fn or<T>(self, value: T) -> Result<T, Faults> {
        if self.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.listed.first() {
            Some(first) if self.total > 1 => write!(f, "{first} (and {} more)", self.total - 1),
            Some(first) => first.fmt(f),
            None => f.write_str("nothing is wrong"),
        }
    }
}

impl std::error::Error for Faults {}

/// Where in a document we are, and what was wrong so far.
#[derive(Default)]
pub struct Walk<'de> {
    path: Vec<Step<'de>>,
    faults: Faults,
}

impl<'de> Walk<'de> {
    /// A walk that starts below the given steps, for a document inside another.
    pub fn below(path: Vec<Step<'de>>) -> Self {
        Self {
            path,
            faults: Faults::default(),
        }
    }

    /// Notes a fault at the current place.
    pub fn fault(&mut self, kind: FaultKind, detail: impl Into<String>) {
        let path = self.path.iter().map(Step::to_static).collect();
        self.faults.push(Fault {
            path,
            kind,
            detail: detail.into(),
        });
    }

    /// Notes that the value here cannot be used, and repeats it.
    pub fn invalid(&mut self, value: &str, detail: impl Into<String>) {
        self.fault(FaultKind::Value(Some(shorten(value))), detail);
    }

    /// Notes that the object here lacks a member.
    pub fn missing(&mut self, member: &'static str) {
        self.path.push(Step::Member(Cow::Borrowed(member)));
        self.fault(
            FaultKind::Missing,
            format!("the member {member:?} is missing"),
        );
        self.path.pop();
    }

    /// Notes that the member here stands twice in its object.
    pub fn duplicate(&mut self) {
        self.fault(FaultKind::Syntax, "the member stands twice; give it once");
    }

    /// Notes that the member here is not one that the document may have.
    pub fn unknown(&mut self, allowed: &[&str]) {
        self.fault(
            FaultKind::Value(None),
            format!(
                "the member is unknown; allowed here: {}",
                allowed.join(", ")
            ),
        );
    }

    /// Does something one step further down.
    pub fn step<T>(&mut self, step: Step<'de>, go: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let out = go(self);
        self.path.pop();
        out
    }

    /// How many faults were noted so far.
    pub fn fault_count(&self) -> usize {
        self.faults.total()
    }

    /// What was wrong.
    pub fn into_faults(self) -> Faults {
        self.faults
    }

    fn wrong_type(&mut self, wanted: &str, found: String) {
        let detail = format!("expected {wanted}, found {found}");
        self.fault(FaultKind::Type(found), detail);
    }
}

impl Step<'_> {
    fn to_static(&self) -> Step<'static> {
        match self {
            Step::Member(name) => Step::Member(Cow::Owned(shorten(name))),
            Step::Element(index) => Step::Element(*index),
        }
    }
}

/// Takes one JSON value. Each method is called for the kind of value its name
/// says; those not overridden note a fault. `None` means that a fault was noted.
pub trait Read<'de>: Sized {
    /// What the value is read into.
    type Output;

    /// What the value should be, for people: `a string`.
    const WANTED: &'static str;

    /// Takes a string.
    fn string(self, walk: &mut Walk<'de>, text: Cow<'de, str>) -> Option<Self::Output> {
        walk.wrong_type(Self::WANTED, shorten(&text));
        None
    }

    /// Takes a number.
    fn number(self, walk: &mut Walk<'de>, number: f64) -> Option<Self::Output> {
        walk.wrong_type(Self::WANTED, canonical::number_text(number));
        None
    }

    /// Takes `true` or `false`.
    fn boolean(self, walk: &mut Walk<'de>, value: bool) -> Option<Self::Output> {
        walk.wrong_type(Self::WANTED, value.to_string());
        None
    }

    /// Takes `null`.
    fn null(self, walk: &mut Walk<'de>) -> Option<Self::Output> {
        walk.wrong_type(Self::WANTED, "null".into());
        None
    }

    /// Takes an object.
    ///
    /// # Errors
    /// The JSON is broken.
    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<Self::Output>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        walk.wrong_type(Self::WANTED, "{…}".into());
        Ok(None)
    }

    /// Takes an array.
    ///
    /// # Errors
    /// The JSON is broken.
    fn array<A: SeqAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut seq: A,
    ) -> Result<Option<Self::Output>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        walk.wrong_type(Self::WANTED, "[…]".into());
        Ok(None)
    }
}

/// Reads a whole document.
///
/// # Errors
/// Everything that was found wrong with it.
pub fn read<'de, R: Read<'de>>(bytes: &'de [u8], reader: R) -> Result<R::Output, Faults> {
    read_below(Vec::new(), bytes, reader)
}

/// Reads a document that stands inside another, below the given steps.
///
/// # Errors
/// Everything that was found wrong with it.
pub fn read_below<'de, R: Read<'de>>(
    path: Vec<Step<'de>>,
    bytes: &'de [u8],
    reader: R,
) -> Result<R::Output, Faults> {
    let root = path.len();
    let mut walk = Walk::below(path);
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let seed = Seed {
        walk: &mut walk,
        reader,
    };
    let outcome = seed
        .deserialize(&mut json)
        .and_then(|out| json.end().map(|()| out));
    match outcome {
        Ok(Some(output)) => walk.into_faults().or(output),
        Ok(None) => Err(walk.into_faults()),
        Err(error) => {
            walk.path.truncate(root);
            walk.fault(FaultKind::Syntax, format!("not valid JSON: {error}"));
            Err(walk.into_faults())
        }
    }
}

/// Goes through the members of an object; `take` reads or skips each value.
///
/// # Errors
/// The JSON is broken.
pub fn members<'de, A: MapAccess<'de>>(
    walk: &mut Walk<'de>,
    map: &mut A,
    mut take: impl FnMut(&mut Walk<'de>, &str, &mut A) -> Result<(), A::Error>,
) -> Result<(), A::Error> {
    while let Some(key) = map.next_key_seed(Text)? {
        // `Cow::clone` is a call; a key is borrowed unless it has escapes.
        let again = match &key {
            Cow::Borrowed(text) => Cow::Borrowed(*text),
            Cow::Owned(text) => Cow::Owned(text.clone()),
        };
        walk.path.push(Step::Member(again));
        take(walk, &key, map)?;
        walk.path.pop();
    }
    Ok(())
}

/// Reads the value of the member we are at.
///
/// # Errors
/// The JSON is broken.
pub fn value<'de, A: MapAccess<'de>, R: Read<'de>>(
    walk: &mut Walk<'de>,
    map: &mut A,
    reader: R,
) -> Result<Option<R::Output>, A::Error> {
    map.next_value_seed(Seed { walk, reader })
}

/// Reads the value of the member we are at into `slot`, which tells whether
/// the member stood there before.
///
/// # Errors
/// The JSON is broken.
pub fn once<'de, A: MapAccess<'de>, R: Read<'de>>(
    walk: &mut Walk<'de>,
    map: &mut A,
    slot: &mut Once<R::Output>,
    reader: R,
) -> Result<(), A::Error> {
    if slot.seen {
        walk.duplicate();
    }
    slot.seen = true;
    slot.value = value(walk, map, reader)?;
    Ok(())
}

/// Skips the value of the member we are at.
///
/// # Errors
/// The JSON is broken.
pub fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}

/// A member that may stand once in its object.
pub struct Once<T> {
    seen: bool,
    value: Option<T>,
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self {
            seen: false,
            value: None,
        }
    }
}

impl<T> Once<T> {
    /// The value, if the member was there and sound.
    pub fn get(self) -> Option<T> {
        self.value
    }

    /// Whether the member was there, sound or not.
    pub fn is_present(&self) -> bool {
        self.seen
    }

    /// The value; a member that was not there is noted as missing.
    pub fn required(self, walk: &mut Walk<'_>, member: &'static str) -> Option<T> {
        if !self.seen {
            walk.missing(member);
        }
        self.value
    }
}

/// Reads a string by a function that may refuse it.
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

/// Reads an array, each element by a reader of its own. Elements with faults
/// are left out.
pub struct ListOf<F, R> {
    reader: F,
    _element: PhantomData<R>,
}

impl<F: FnMut() -> R, R> ListOf<F, R> {
    /// A list whose elements are read by what `reader` makes.
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

/// Reads any value into a tree; for small values only.
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

/// Reads an object into a sorted map, its keys and values by functions.
pub struct MapOf<K, F, R> {
    key: K,
    reader: F,
    _value: PhantomData<R>,
}

impl<K, F: FnMut() -> R, R> MapOf<K, F, R> {
    /// A map whose keys are made by `key` and whose values are read by what
    /// `reader` makes.
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

/// Reads what its reader reads, or `null` as `None`.
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

/// A text for a message: at most 120 characters of it.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

struct Seed<'w, 'de, R> {
    walk: &'w mut Walk<'de>,
    reader: R,
}

impl<'de, R: Read<'de>> DeserializeSeed<'de> for Seed<'_, 'de, R> {
    type Value = Option<R::Output>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, R: Read<'de>> Visitor<'de> for Seed<'_, 'de, R> {
    type Value = Option<R::Output>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(R::WANTED)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(self.reader.string(self.walk, Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(self.reader.string(self.walk, Cow::Owned(text.to_owned())))
    }

    #[inline]
    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(self.reader.number(self.walk, number))
    }

    #[inline]
    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(self.reader.number(self.walk, number as f64))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(self.reader.number(self.walk, number as f64))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(self.reader.boolean(self.walk, value))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(self.reader.null(self.walk))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        self.reader.object(self.walk, map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        self.reader.array(self.walk, seq)
    }
}

/// A string, borrowed from the input unless it has escapes.
pub struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
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
    fn a_tree_refuses_members_that_stand_twice_at_any_depth() {
        assert!(read(br#"{"a":{"b":1,"c":[{"d":1}]}}"#, Tree).is_ok());
        let faults = read(br#"{"a":[{"d":1,"d":2}]}"#, Tree).expect_err("duplicate");
        assert_eq!(pointers(&faults), ["/a/0/d"]);
    }
}
