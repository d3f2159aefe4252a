//! The ALTO services, one file each, and the table of them.
//!
//! A [`Service`] has all that is particular to one kind of resource: its media types, whether a view
//! offers it, its dependencies and capabilities, the answer and what that takes, and the difference
//! between two answers. Everything else goes through the table.

mod cost_map;
mod endpoint_costs;
mod endpoint_properties;
mod filtered_cost_map;
mod filtered_network_map;
mod interface;
pub mod names;
mod network_map;
mod prefixes;

use super::content::Content;

use interface::Line;
pub use interface::{
    Copied, NewResource, Order, Parameters, PatchTerms, QueryError, Service, Signature, Versions,
};

/// The services.
const TABLE: [Line; 6] = [
    network_map::LINE,
    filtered_network_map::LINE,
    filtered_cost_map::LINE,
    endpoint_properties::LINE,
    endpoint_costs::LINE,
    cost_map::LINE,
];

/// The resources that a view with this content offers, each with the signature of its service.
pub(super) fn offered(
    content: &Content,
) -> impl Iterator<Item = (&'static Signature, NewResource)> {
    TABLE.iter().flat_map(move |line| {
        let offered = (line.offered)(content).into_iter();
        offered.map(|resource| (line.signature, resource))
    })
}

/// The signatures of all services.
pub fn signatures() -> impl Iterator<Item = &'static Signature> {
    TABLE.iter().map(|line| line.signature)
}

/// What a peer that copies the full maps of a domain takes from the one with this media type and with
/// this path at the end of its id; none if it is not copied.
pub fn copied(media_type: &str, path: &str) -> Option<Copied> {
    let mut lines = TABLE
        .iter()
        .filter(|line| line.signature.media_type() == media_type);
    lines.find_map(|line| (line.copied?)(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::Form;

    #[test]
    fn the_changes_of_each_service_can_be_sent_as_merge_patches() {
        for signature in signatures() {
            assert!(signature.forms.contains(&Form::Merge), "{signature:?}");
        }
    }
}
