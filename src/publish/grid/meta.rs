//! The `meta` of a response, RFC 7285 §8.4.1.

use crate::alto::canonical::write_string;
use crate::alto::meta::VersionTag;

/// Writes a version tag as canonical JSON.
pub(in crate::publish) fn write_vtag(out: &mut Vec<u8>, vtag: &VersionTag) {
    out.extend_from_slice(b"{\"resource-id\":\"");
    out.extend_from_slice(vtag.resource_id.as_str().as_bytes());
    out.extend_from_slice(b"\",\"tag\":");
    write_string(out, vtag.tag.as_str());
    out.push(b'}');
}
