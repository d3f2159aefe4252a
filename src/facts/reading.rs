//! Readers that several kinds share.

use std::collections::BTreeMap;

use serde::de::MapAccess;

use crate::alto::json::{FaultKind, Once, Read, Walk, members, once, skip};

/// Reads a document: an object with one member for its content. A member `meta` is ignored, so
/// that the answer to a GET of an ALTO resource can be put as it is.
pub(super) struct Wrapped<'de, R: Read<'de>> {
    member: &'static str,
    inner: R,
    /// The content if the member is absent; `None` if it is required.
    absent: Option<R::Output>,
}

impl<'de, R: Read<'de>> Wrapped<'de, R> {
    pub(super) fn document(member: &'static str, inner: R) -> Self {
        let absent = None;
        Self {
            member,
            inner,
            absent,
        }
    }

    /// Reads a patch, which may leave the member out.
    pub(super) fn patch(member: &'static str, inner: R) -> Self
    where
        R::Output: Default,
    {
        let absent = Some(R::Output::default());
        Self {
            member,
            inner,
            absent,
        }
    }

    /// Reads another member too, which may be left out.
    pub(super) fn beside<S: Read<'de>>(self, member: &'static str, inner: S) -> Beside<'de, R, S> {
        Beside {
            content: self,
            member,
            inner,
        }
    }
}

impl<'de, R: Read<'de>> Read<'de> for Wrapped<'de, R> {
    type Output = R::Output;
    const WANTED: &'static str = "an object";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        map: A,
    ) -> Result<Option<R::Output>, A::Error> {
        let (content, _) = self.read_with(walk, map, None::<(&str, Nothing)>)?;
        Ok(content)
    }
}

impl<'de, R: Read<'de>> Wrapped<'de, R> {
    /// Reads the document, and another member if there is a reader of it.
    fn read_with<A: MapAccess<'de>, S: Read<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
        other: Option<(&'static str, S)>,
    ) -> Result<Members<'de, R, S>, A::Error> {
        let (mut content, mut beside) = (Once::default(), Once::default());
        let mut inner = Some(self.inner);
        let other_member = other.as_ref().map(|(member, _)| *member);
        let mut other = other.map(|(_, other)| other);
        members(walk, &mut map, |walk, key, map| match key {
            "meta" => skip(map),
            key if key == self.member => match inner.take() {
                Some(inner) => once(walk, map, &mut content, inner),
                None => {
                    walk.duplicate();
                    skip(map)
                }
            },
            key if Some(key) == other_member => match other.take() {
                Some(other) => once(walk, map, &mut beside, other),
                None => {
                    walk.duplicate();
                    skip(map)
                }
            },
            _ => {
                let known = [Some(self.member), other_member, Some("meta")];
                walk.unknown(&known.into_iter().flatten().collect::<Vec<_>>());
                skip(map)
            }
        })?;
        let content = match self.absent {
            Some(absent) if !content.is_present() => Some(absent),
            _ => content.required(walk, self.member),
        };
        Ok((content, beside.get()))
    }
}

/// The content of a document, and the member beside it.
type Members<'de, R, S> = (
    Option<<R as Read<'de>>::Output>,
    Option<<S as Read<'de>>::Output>,
);

/// Reads a document with another member beside its content.
pub(super) struct Beside<'de, R: Read<'de>, S> {
    content: Wrapped<'de, R>,
    member: &'static str,
    inner: S,
}

impl<'de, R: Read<'de>, S: Read<'de>> Read<'de> for Beside<'de, R, S> {
    type Output = (R::Output, Option<S::Output>);
    const WANTED: &'static str = "an object";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        map: A,
    ) -> Result<Option<Self::Output>, A::Error> {
        let other = Some((self.member, self.inner));
        let (content, beside) = self.content.read_with(walk, map, other)?;
        Ok(content.map(|content| (content, beside)))
    }
}

/// Stands for a reader where there is none.
struct Nothing;

impl Read<'_> for Nothing {
    type Output = ();
    const WANTED: &'static str = "nothing";
}

/// Refuses an object with more members than a limit.
pub(super) struct AtMost<R> {
    pub(super) limit: usize,
    /// The name of the limit in the configuration.
    pub(super) what: &'static str,
    pub(super) inner: R,
}

impl<'de, K, V, R: Read<'de, Output = BTreeMap<K, V>>> Read<'de> for AtMost<R> {
    type Output = BTreeMap<K, V>;
    const WANTED: &'static str = R::WANTED;

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        map: A,
    ) -> Result<Option<Self::Output>, A::Error> {
        let read = self.inner.object(walk, map)?;
        let count = read.as_ref().map_or(0, BTreeMap::len);
        if count > self.limit {
            let detail = format!(
                "{count} members; at most {} are taken ({})",
                self.limit, self.what
            );
            walk.fault(FaultKind::Value(None), detail);
            return Ok(None);
        }
        Ok(read)
    }
}
