//! One version of a resource.

use std::borrow::Cow;

use bytes::Bytes;
use serde::de::MapAccess;

use super::error::FollowError;
use super::news::How;
use crate::alto::guard::JsonGuard;
use crate::alto::json::{Once, Read, Walk, members, once, read, skip};
use crate::alto::media;
use crate::alto::meta::{ReadMeta, ResourceMeta, VersionTag};
use crate::alto::patch::{MAX_DEPTH, PatchError, compact, json_patch, merge_patch};
use crate::ident::{Digest, Tag};

/// One version of a resource.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) body: Bytes,
    pub(super) digest: Digest,
    /// Its tag: that of its own `vtag`, or else its digest, which is the tag that our own
    /// servers use.
    pub(super) tag: Tag,
    /// The versions of other resources that it depends on.
    pub(super) depends: Vec<VersionTag>,
    pub(super) how: How,
}

/// What came of a resource: all of it, or a patch.
pub(super) struct Piece {
    /// The media type, without parameters.
    pub(super) media_type: String,
    pub(super) data: Bytes,
}

/// How a resource is read.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    pub(super) resource_id: String,
    /// The media type of the resource itself.
    pub(super) media_type: String,
    /// The most bytes of a version.
    pub(super) max_bytes: usize,
}

/// Applies a patch to a document.
type Apply = fn(&[u8], &[u8]) -> Result<Vec<u8>, PatchError>;

impl Version {
    /// Returns the version that a piece leads to from `base`.
    ///
    /// # Errors
    /// The piece is of a type that cannot be used, cannot be read, or does not apply.
    pub(super) fn after(
        base: Option<&Self>,
        piece: &Piece,
        kind: &Kind,
    ) -> Result<Self, FollowError> {
        let resource_id = || kind.resource_id.clone();
        let malformed = |reason: String| FollowError::Malformed {
            resource_id: resource_id(),
            reason,
        };
        let patch = match piece.media_type.as_str() {
            whole if whole == kind.media_type => None,
            media::MERGE_PATCH => Some(merge_patch as Apply),
            media::JSON_PATCH => Some(json_patch as Apply),
            other => {
                return Err(malformed(format!(
                    "{other:.80} is neither {} nor a patch",
                    kind.media_type
                )));
            }
        };
        let (body, how) = match (patch, base) {
            (None, _) => {
                let whole = match compact(&piece.data) {
                    Cow::Borrowed(_) => piece.data.clone(),
                    Cow::Owned(text) => text.into(),
                };
                let shallow = JsonGuard::new(MAX_DEPTH).feed(&whole);
                shallow.map_err(|error| malformed(error.to_string()))?;
                (whole, How::Full)
            }
            (Some(_), None) => return Err(malformed("a patch of nothing".to_owned())),
            (Some(patch), Some(base)) => {
                let patched = patch(&base.body, &compact(&piece.data));
                let patched = patched.map_err(|error| FollowError::Patch {
                    resource_id: resource_id(),
                    error,
                })?;
                (patched.into(), How::Patched)
            }
        };
        if body.len() > kind.max_bytes {
            return Err(malformed(format!("more than {} bytes", kind.max_bytes)));
        }
        let meta = read(&body, MetaOf).map_err(|faults| FollowError::Unreadable {
            resource_id: resource_id(),
            faults,
        })?;
        let digest = Digest::of(&body);
        Ok(Self {
            tag: match meta.vtag {
                Some(vtag) => vtag.tag,
                None => digest.into(),
            },
            digest,
            depends: meta.dependent_vtags,
            body,
            how,
        })
    }
}

/// Reads the `meta` of a response, and skips the rest, which must be JSON.
struct MetaOf;

impl<'de> Read<'de> for MetaOf {
    type Output = ResourceMeta;
    const WANTED: &'static str = "an object with meta";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<ResourceMeta>, A::Error> {
        let mut meta = Once::default();
        members(walk, &mut map, |walk, key, map| match key {
            "meta" => once(walk, map, &mut meta, ReadMeta),
            _ => skip(map),
        })?;
        Ok(if meta.is_present() {
            meta.get()
        } else {
            Some(ResourceMeta::default())
        })
    }
}
