//! The media types of RFC 7285 §14.1, RFC 8895 §11, RFC 9569 §11, and of the documents around
//! them.

/// Information resource directory.
pub const DIRECTORY: &str = "application/alto-directory+json";
/// Network map and filtered network map.
pub const NETWORK_MAP: &str = "application/alto-networkmap+json";
/// Parameters of a filtered network map.
pub const NETWORK_MAP_FILTER: &str = "application/alto-networkmapfilter+json";
/// Cost map and filtered cost map.
pub const COST_MAP: &str = "application/alto-costmap+json";
/// Parameters of a filtered cost map.
pub const COST_MAP_FILTER: &str = "application/alto-costmapfilter+json";
/// Endpoint properties.
pub const ENDPOINT_PROPERTIES: &str = "application/alto-endpointprop+json";
/// Parameters of the endpoint property service.
pub const ENDPOINT_PROPERTY_PARAMS: &str = "application/alto-endpointpropparams+json";
/// Endpoint costs.
pub const ENDPOINT_COSTS: &str = "application/alto-endpointcost+json";
/// Parameters of the endpoint cost service.
pub const ENDPOINT_COST_PARAMS: &str = "application/alto-endpointcostparams+json";
/// ALTO errors.
pub const ERROR: &str = "application/alto-error+json";
/// Update streams, RFC 8895 §6.1: server-sent events.
pub const EVENT_STREAM: &str = "text/event-stream";
/// Parameters of an update stream and of its control service.
pub const UPDATE_STREAM_PARAMS: &str = "application/alto-updatestreamparams+json";
/// Control events of an update stream.
pub const UPDATE_STREAM_CONTROL: &str = "application/alto-updatestreamcontrol+json";
/// TIPS views, RFC 9569 §6.2.
pub const TIPS: &str = "application/alto-tips+json";
/// Parameters of the transport information publication service.
pub const TIPS_PARAMS: &str = "application/alto-tipsparams+json";
/// Plain JSON, used by the network-to-server API.
pub const JSON: &str = "application/json";
/// JSON patches, RFC 6902.
pub const JSON_PATCH: &str = "application/json-patch+json";
/// JSON merge patches, RFC 7396.
pub const MERGE_PATCH: &str = "application/merge-patch+json";
/// Problem details, RFC 9457.
pub const PROBLEM: &str = "application/problem+json";

/// Returns a media type without its parameters, in lower case: the form in which media types are
/// compared (RFC 9110 §8.3.1).
pub fn essence(media_type: &str) -> String {
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}
