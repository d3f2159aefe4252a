//! How values are taken: [`Read`] has a method per kind, and [`members`] goes through an object.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::fault::{FaultKind, Faults, Step, shorten};
use super::walk::Walk;
use crate::alto::canonical;

/// Takes one JSON value. The method for the kind of the value is called; those that are not
/// overridden note a fault. `None` means that a fault was noted.
pub trait Read<'de>: Sized {
    /// What the value is read into.
    type Output;

    /// What the value should be, for people, for example `a string`.
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
/// All faults that were found.
pub fn read<'de, R: Read<'de>>(bytes: &'de [u8], reader: R) -> Result<R::Output, Faults> {
    read_below(Vec::new(), bytes, reader)
}

/// Reads a document that is inside another, below the given steps.
///
/// # Errors
/// All faults that were found.
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

/// Iterates over the members of an object; `take` reads or skips each value.
///
/// # Errors
/// The JSON is broken.
pub fn members<'de, A: MapAccess<'de>>(
    walk: &mut Walk<'de>,
    map: &mut A,
    mut take: impl FnMut(&mut Walk<'de>, &str, &mut A) -> Result<(), A::Error>,
) -> Result<(), A::Error> {
    while let Some(key) = map.next_key_seed(Text)? {
        // Avoids a call of `Cow::clone`; a key is borrowed unless it has escapes.
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

/// Reads the value of the current member.
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

/// Reads the value of the current member into `slot`. If the slot was used before, the member is
/// noted as a duplicate.
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

/// Skips the value of the current member.
///
/// # Errors
/// The JSON is broken.
pub fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}

/// A member that may occur once in its object.
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
    /// Returns the value, if the member was present and sound.
    pub fn get(self) -> Option<T> {
        self.value
    }

    /// Whether the member was present, sound or not.
    pub fn is_present(&self) -> bool {
        self.seen
    }

    /// Returns the value; notes a member that was absent as missing.
    pub fn required(self, walk: &mut Walk<'_>, member: &'static str) -> Option<T> {
        if !self.seen {
            walk.missing(member);
        }
        self.value
    }
}

/// Lets a reader take the next value.
pub(super) struct Seed<'w, 'de, R> {
    pub(super) walk: &'w mut Walk<'de>,
    pub(super) reader: R,
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

/// Deserializes a string, borrowed from the input unless it has escapes.
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
