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
}

impl<'de, R: Read<'de>> Read<'de> for Wrapped<'de, R> {
    type Output = R::Output;
    const WANTED: &'static str = "an object";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<R::Output>, A::Error> {
        let mut content = Once::default();
        let mut inner = Some(self.inner);
        members(walk, &mut map, |walk, key, map| match key {
            "meta" => skip(map),
            key if key == self.member => match inner.take() {
                Some(inner) => once(walk, map, &mut content, inner),
                None => {
                    walk.duplicate();
                    skip(map)
                }
            },
            _ => {
                walk.unknown(&[self.member, "meta"]);
                skip(map)
            }
        })?;
        match self.absent {
            Some(absent) if !content.is_present() => Ok(Some(absent)),
            _ => Ok(content.required(walk, self.member)),
        }
    }
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
