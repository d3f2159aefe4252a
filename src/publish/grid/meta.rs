//! The `meta` of a response, RFC 7285 §8.4.1.

use crate::alto::canonical::write_string;
use crate::alto::meta::{CostType, VersionTag};
use crate::alto::network::write_member_name;

/// Writes the member `meta` of a response as canonical JSON. Its members must be written in the order
/// of their names.
pub(in crate::publish) struct MetaWriter<'o> {
    out: &'o mut Vec<u8>,
    is_begun: bool,
}

impl<'o> MetaWriter<'o> {
    /// Begins the member.
    pub(in crate::publish) fn begin(out: &'o mut Vec<u8>) -> Self {
        write_member_name(out, "meta");
        out.push(b'{');
        Self {
            out,
            is_begun: false,
        }
    }

    /// Writes the cost type of the answer; an empty object for none.
    pub(in crate::publish) fn cost_type(&mut self, cost_type: Option<&CostType>) {
        let out = self.member("cost-type");
        match cost_type {
            Some(cost_type) => cost_type.write(out),
            None => out.extend_from_slice(b"{}"),
        }
    }

    /// Writes the versions of the resources that the answer depends on.
    pub(in crate::publish) fn dependent_vtags(&mut self, vtags: &[VersionTag]) {
        let out = self.member("dependent-vtags");
        write_array(out, vtags, write_vtag);
    }

    /// Writes the cost types of a multi-cost answer (RFC 8189 §4.1.3).
    pub(in crate::publish) fn multi_cost_types<'t>(
        &mut self,
        cost_types: impl Iterator<Item = &'t CostType>,
    ) {
        let out = self.member("multi-cost-types");
        write_array(out, cost_types, |out, cost_type| cost_type.write(out));
    }

    /// Writes the version of the answer.
    pub(in crate::publish) fn vtag(&mut self, vtag: &VersionTag) {
        let out = self.member("vtag");
        write_vtag(out, vtag);
    }

    /// Writes the new tag in the version of the answer, as a merge patch does.
    pub(in crate::publish) fn changed_tag(&mut self, vtag: &VersionTag) {
        let out = self.member("vtag");
        out.push(b'{');
        write_tag(out, vtag);
    }

    /// Ends the member.
    pub(in crate::publish) fn finish(self) {
        self.out.push(b'}');
    }

    fn member(&mut self, name: &str) -> &mut Vec<u8> {
        if self.is_begun {
            self.out.push(b',');
        }
        self.is_begun = true;
        write_member_name(self.out, name);
        self.out
    }
}

/// Writes a version tag.
fn write_vtag(out: &mut Vec<u8>, vtag: &VersionTag) {
    out.push(b'{');
    write_member_name(out, "resource-id");
    write_string(out, vtag.resource_id.as_str());
    out.push(b',');
    write_tag(out, vtag);
}

/// Writes the last member of a version tag, and its end.
fn write_tag(out: &mut Vec<u8>, vtag: &VersionTag) {
    write_member_name(out, "tag");
    write_string(out, vtag.tag.as_str());
    out.push(b'}');
}

fn write_array<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    write: impl Fn(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}
