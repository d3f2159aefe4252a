//! The content of the `meta` member of a response: version tags and cost types.

use std::borrow::Cow;
use std::fmt;

use serde::de::MapAccess;
use serde::{Deserialize, Serialize};

use super::json::{ListOf, Once, Read, StringBy, Walk, members, once, skip};
use crate::ident::{MetricName, ResourceId, Tag};

/// A version of a resource (RFC 7285 §10.3). Two are equal if both members are equal byte for
/// byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VersionTag {
    /// The resource.
    pub resource_id: ResourceId,
    /// The tag of its content.
    pub tag: Tag,
}

/// How costs are to be read (RFC 7285 §6.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CostMode {
    /// The numbers themselves.
    Numerical,
    /// Ranks: lower is preferred.
    Ordinal,
}

impl CostMode {
    /// Returns the registered identifier.
    pub fn as_str(self) -> &'static str {
        match self {
            CostMode::Numerical => "numerical",
            CostMode::Ordinal => "ordinal",
        }
    }
}

impl fmt::Display for CostMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A cost type that we serve (RFC 7285 §10.7).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CostType {
    /// What is measured.
    pub cost_metric: MetricName,
    /// How the numbers are to be read.
    pub cost_mode: CostMode,
}

impl CostType {
    /// Makes the cost type of a metric and a mode.
    pub fn new(metric: &MetricName, mode: CostMode) -> Self {
        Self {
            cost_metric: metric.clone(),
            cost_mode: mode,
        }
    }

    /// Writes the cost type as canonical JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        // No character of a metric or mode needs escaping in JSON.
        out.extend_from_slice(b"{\"cost-metric\":\"");
        out.extend_from_slice(self.cost_metric.as_str().as_bytes());
        out.extend_from_slice(b"\",\"cost-mode\":\"");
        out.extend_from_slice(self.cost_mode.as_str().as_bytes());
        out.extend_from_slice(b"\"}");
    }
}

/// A cost type as another party states it. We may not know its metric and mode (RFC 9274 §3.1
/// asks both sides to be prepared for any pairing).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StatedCostType<'a> {
    /// What is measured.
    pub cost_metric: Cow<'a, str>,
    /// How the numbers are to be read.
    pub cost_mode: Cow<'a, str>,
    /// A description for people.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<Cow<'a, str>>,
}

impl PartialEq<StatedCostType<'_>> for CostType {
    fn eq(&self, stated: &StatedCostType<'_>) -> bool {
        self.cost_metric.as_str() == stated.cost_metric
            && self.cost_mode.as_str() == stated.cost_mode
    }
}

/// Reads a cost type; an empty object is `None`.
pub struct ReadCostType;

impl<'de> Read<'de> for ReadCostType {
    type Output = Option<StatedCostType<'de>>;
    const WANTED: &'static str = "an object with cost-metric and cost-mode";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<Self::Output>, A::Error> {
        let (mut metric, mut mode) = (Once::default(), Once::default());
        let mut empty = true;
        members(walk, &mut map, |walk, key, map| {
            empty = false;
            match key {
                "cost-metric" => once(walk, map, &mut metric, any_text()),
                "cost-mode" => once(walk, map, &mut mode, any_text()),
                _ => skip(map),
            }
        })?;
        if empty {
            return Ok(Some(None));
        }
        let metric = metric.required(walk, "cost-metric");
        let mode = mode.required(walk, "cost-mode");
        Ok(match (metric, mode) {
            (Some(cost_metric), Some(cost_mode)) => Some(Some(StatedCostType {
                cost_metric,
                cost_mode,
                description: None,
            })),
            _ => None,
        })
    }
}

/// Reads any string.
pub fn any_text<'de>() -> impl Read<'de, Output = Cow<'de, str>> {
    StringBy(|_: &mut Walk<'de>, text: Cow<'de, str>| Some(text))
}

/// The `meta` of a resource that a server sent, as far as the RFCs define it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResourceMeta {
    /// The version of this resource itself; network maps have it.
    pub vtag: Option<VersionTag>,
    /// The versions of the resources that this one depends on.
    pub dependent_vtags: Vec<VersionTag>,
    /// The cost type of the costs.
    pub cost_type: Option<StatedCostType<'static>>,
    /// The cost types of a multi-cost answer (RFC 8189 §4.1.3).
    pub multi_cost_types: Vec<StatedCostType<'static>>,
}

/// Reads the `meta` member of a response.
pub struct ReadMeta;

impl<'de> Read<'de> for ReadMeta {
    type Output = ResourceMeta;
    const WANTED: &'static str = "an object";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<ResourceMeta>, A::Error> {
        let (mut vtag, mut dependent) = (Once::default(), Once::default());
        let (mut cost_type, mut multi) = (Once::default(), Once::default());
        members(walk, &mut map, |walk, key, map| match key {
            "vtag" => once(walk, map, &mut vtag, ReadVersionTag),
            "dependent-vtags" => once(walk, map, &mut dependent, ListOf::new(|| ReadVersionTag)),
            "cost-type" => once(walk, map, &mut cost_type, ReadCostType),
            "multi-cost-types" => once(walk, map, &mut multi, ListOf::new(|| ReadCostType)),
            _ => skip(map),
        })?;
        Ok(Some(ResourceMeta {
            vtag: vtag.get(),
            dependent_vtags: dependent.get().unwrap_or_default(),
            cost_type: cost_type.get().flatten().map(StatedCostType::into_owned),
            multi_cost_types: multi
                .get()
                .unwrap_or_default()
                .into_iter()
                .flatten()
                .map(StatedCostType::into_owned)
                .collect(),
        }))
    }
}

impl StatedCostType<'_> {
    fn into_owned(self) -> StatedCostType<'static> {
        StatedCostType {
            cost_metric: Cow::Owned(self.cost_metric.into_owned()),
            cost_mode: Cow::Owned(self.cost_mode.into_owned()),
            description: self.description.map(|text| Cow::Owned(text.into_owned())),
        }
    }
}

struct ReadVersionTag;

impl<'de> Read<'de> for ReadVersionTag {
    type Output = VersionTag;
    const WANTED: &'static str = "an object with resource-id and tag";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<VersionTag>, A::Error> {
        let (mut id, mut tag) = (Once::default(), Once::default());
        members(walk, &mut map, |walk, key, map| match key {
            "resource-id" => once(walk, map, &mut id, named(ResourceId::new)),
            "tag" => once(walk, map, &mut tag, named(Tag::new)),
            _ => skip(map),
        })?;
        let id = id.required(walk, "resource-id");
        let tag = tag.required(walk, "tag");
        Ok(match (id, tag) {
            (Some(resource_id), Some(tag)) => Some(VersionTag { resource_id, tag }),
            _ => None,
        })
    }
}

/// Reads a string that `parse` must accept as a name.
pub fn named<'de, T, E: fmt::Display>(
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> impl Read<'de, Output = T> {
    StringBy(move |walk: &mut Walk<'de>, text: Cow<'de, str>| {
        parse(&text)
            .map_err(|error| walk.invalid(&text, error.to_string()))
            .ok()
    })
}

/// Reads a whole response: its `meta` and one data member. Unknown members are ignored (RFC 7285
/// §8.3.7); the absence of either is a fault.
pub struct ReadResponse<R> {
    /// The name of the data member.
    pub member: &'static str,
    /// The reader of the data member.
    pub data: R,
}

impl<'de, R: Read<'de>> Read<'de> for ReadResponse<R> {
    type Output = (ResourceMeta, R::Output);
    const WANTED: &'static str = "an object with meta and a data member";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<Self::Output>, A::Error> {
        let (mut meta, mut data) = (Once::default(), Once::default());
        let mut reader = Some(self.data);
        members(walk, &mut map, |walk, key, map| match key {
            "meta" => once(walk, map, &mut meta, ReadMeta),
            key if key == self.member => match reader.take() {
                Some(reader) => once(walk, map, &mut data, reader),
                None => {
                    walk.duplicate();
                    skip(map)
                }
            },
            _ => skip(map),
        })?;
        let meta = meta.required(walk, "meta");
        let data = data.required(walk, self.member);
        Ok(meta.zip(data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alto::json::read;

    #[test]
    fn meta_ignores_what_it_does_not_know_and_checks_what_it_does() {
        let meta = read(
            br#"{"vtag":{"resource-id":"m","tag":"t","x":1},"y":[{}],"dependent-vtags":[{"resource-id":"a","tag":"b"}]}"#,
            ReadMeta,
        )
        .expect("sound");
        assert_eq!(meta.vtag.expect("there").tag.as_str(), "t");
        assert_eq!(meta.dependent_vtags.len(), 1);
        assert!(read(br#"{"vtag":{"resource-id":"m","tag":"a b"}}"#, ReadMeta).is_err());
        assert!(read(br#"{"vtag":{"resource-id":"m"}}"#, ReadMeta).is_err());
    }
}
