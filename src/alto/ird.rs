//! Information resource directories, RFC 7285 §9.2.
//!
//! Members are declared in canonical order, so that serializing a [`Directory`] gives its
//! canonical body.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::meta::StatedCostType;

/// The link relation (RFC 8288), and the member of a directory's `meta`, that lead to the
/// descriptor of a node that signs manifests.
pub const DESCRIBED: &str = "alto-federation";

/// A directory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Directory {
    /// What applies to all resources.
    #[serde(default)]
    pub meta: DirectoryMeta,
    /// The resources by id.
    pub resources: BTreeMap<String, Entry>,
}

/// The `meta` of a directory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DirectoryMeta {
    /// The URI of the node's descriptor, if the node signs manifests. RFC 7285 does not define
    /// this member, and clients that do not know it ignore it (§8.3.7). A value that is not a
    /// string counts as absent.
    #[serde(
        default,
        deserialize_with = "text_or_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub alto_federation: Option<String>,
    /// The cost types by the names that this directory's capabilities use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cost_types: BTreeMap<String, StatedCostType<'static>>,
    /// The network map to use by default; root directories have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_alto_network_map: Option<String>,
}

fn text_or_none<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match serde_json::Value::deserialize(from)? {
        serde_json::Value::String(text) => Some(text),
        _ => None,
    })
}

/// A resource of a directory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// The media type of the request body; absent: GET.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepts: Option<String>,
    /// The capabilities of the resource.
    #[serde(default, skip_serializing_if = "Capabilities::is_empty")]
    pub capabilities: Capabilities,
    /// The media type of the response.
    pub media_type: String,
    /// The URI of the resource; may be relative to that of the directory.
    pub uri: String,
    /// The ids of the resources that it depends on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<String>,
}

/// The capabilities of RFC 7285 §11, RFC 8189 §4.1.1, RFC 8895 §6.3 and
/// RFC 9569 §5.2.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Capabilities {
    /// Whether constraints are accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_constraints: Option<bool>,
    /// The cost types by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cost_type_names: Vec<String>,
    /// The media types of the patches that an update stream or a TIPS sends for resources, by
    /// resource id, joined by commas (RFC 8895 §6.3, RFC 9569 §5.2).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub incremental_change_media_types: BTreeMap<String, String>,
    /// The most cost types of an answer; 0 or absent: one (RFC 7285).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_types: Option<usize>,
    /// The endpoint properties.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prop_types: Vec<String>,
    /// Whether update streams can be controlled (RFC 8895 §6.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support_stream_control: Option<bool>,
    /// The names of the cost types that constraints may test.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub testable_cost_type_names: Vec<String>,
}

impl Capabilities {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_written_canonically_and_read_back() {
        let text = r#"{"meta":{"alto-federation":"/s2s/v1/descriptor","cost-types":{"nr":{"cost-metric":"routingcost","cost-mode":"numerical"}},"default-alto-network-map":"metro"},"resources":{"metro":{"media-type":"application/alto-networkmap+json","uri":"/nm"},"rc":{"accepts":"x","capabilities":{"cost-constraints":true,"cost-type-names":["nr"],"max-cost-types":2},"media-type":"y","uri":"/cm","uses":["metro"]}}}"#;
        let directory: Directory = serde_json::from_str(text).expect("sound");
        assert_eq!(serde_json::to_string(&directory).expect("text"), text);
        let tree: serde_json::Value = serde_json::from_str(text).expect("sound");
        assert_eq!(crate::alto::canonical::value_text(&tree), text);
    }

    #[test]
    fn an_announcement_that_is_no_text_is_none() {
        for other in ["1", "null", "{\"x\":[]}"] {
            let text = format!("{{\"meta\":{{\"alto-federation\":{other}}},\"resources\":{{}}}}");
            let directory: Directory = serde_json::from_str(&text).expect("sound");
            assert_eq!(directory.meta.alto_federation, None);
        }
    }

    #[test]
    fn unknown_members_of_a_directory_are_ignored() {
        let text =
            r#"{"x":1,"meta":{"y":2},"resources":{"m":{"uri":"u","media-type":"t","z":[]}}}"#;
        assert!(serde_json::from_str::<Directory>(text).is_ok());
    }
}
