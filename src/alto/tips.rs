//! The transport information publication service (TIPS): requests and summaries of RFC 9569.

use serde::{Deserialize, Serialize};

use super::error::AltoError;
use super::update::{Input, Member, Members, input, object, required_text, tag};

/// A request to open a TIPS view (RFC 9569 §6.2).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TipsParams {
    /// The resource.
    pub resource_id: String,
    /// The tag of the version that the client has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The parameters of a resource that is queried by POST.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Input>,
}

/// A TIPS view, as the response to opening it describes it (RFC 9569 §6.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TipsView {
    /// The content of the view.
    pub tips_view_summary: TipsViewSummary,
    /// The absolute URI below which the edges of the view are.
    pub tips_view_uri: String,
}

/// The content of a TIPS view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TipsViewSummary {
    /// The updates graph.
    pub updates_graph_summary: UpdatesGraphSummary,
}

/// The range of versions in an updates graph (RFC 9569 §6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct UpdatesGraphSummary {
    /// The newest version.
    pub end_seq: u64,
    /// The edge that the client should begin with.
    pub start_edge_rec: Edge,
    /// The oldest version.
    pub start_seq: u64,
}

/// An edge of an updates graph: it leads from one version to a later one. Version 0 is the empty
/// document, so that an edge from it is a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Edge {
    /// The version that it starts from.
    pub seq_i: u64,
    /// The version that it leads to.
    pub seq_j: u64,
}

impl TipsView {
    /// Makes a view with its summary.
    pub fn new(uri: &str, summary: UpdatesGraphSummary) -> Self {
        Self {
            tips_view_uri: uri.to_owned(),
            tips_view_summary: TipsViewSummary {
                updates_graph_summary: summary,
            },
        }
    }
}

impl TipsParams {
    /// Reads a request. Members that RFC 9569 does not name are ignored.
    ///
    /// # Errors
    /// The error of RFC 7285 §8.5.2, with the member.
    pub fn read(bytes: &[u8]) -> Result<Self, AltoError> {
        const REQUEST: Members = &[
            ("resource-id", Member::Tree),
            ("tag", Member::Tree),
            ("input", Member::Text),
        ];
        let mut request = object(bytes, REQUEST)?;
        Ok(Self {
            resource_id: required_text(&mut request, "", "resource-id")?,
            tag: tag(&mut request, "")?,
            input: input(&mut request),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alto::error::ErrorCode;

    #[test]
    fn a_request_needs_its_resource() {
        let error = TipsParams::read(b"{}").expect_err("no resource");
        assert_eq!(error.code, ErrorCode::MissingField);
        assert_eq!(error.field.as_deref(), Some("resource-id"));
        let request = TipsParams::read(br#"{"resource-id":"m","tag":"t","y":1}"#).expect("sound");
        assert_eq!((request.tag.as_deref(), request.input), (Some("t"), None));
    }

    #[test]
    fn a_view_has_the_members_of_the_rfc() {
        let text = r#"{"tips-view-summary":{"updates-graph-summary":{"end-seq":106,"start-edge-rec":{"seq-i":0,"seq-j":105},"start-seq":101}},"tips-view-uri":"https://alto.example.com/tips/2718281828"}"#;
        let view: TipsView = serde_json::from_str(text).expect("sound");
        assert_eq!(serde_json::to_string(&view).expect("text"), text);
    }
}
