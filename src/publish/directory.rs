//! The directory of a view, RFC 7285 §9.2.

use std::collections::BTreeMap;

use crate::alto::ird::{Capabilities, Directory, DirectoryMeta, Entry};
use crate::alto::media;
use crate::alto::meta::{CostType, StatedCostType};

use super::catalog::Resource;
use super::grid::Form;
use super::name::ViewName;
use super::push_offer::PushOffer;
use super::service::names;
use super::transport::Transport;
use super::view::View;

/// Creates the directory of a view: its resources, and a delegation to the directory of each view in
/// `delegated` (RFC 7285 §9.2.4). `base` is the start of every URI, `descriptor` the URI of the
/// descriptor for peers; `offer` says which resources can be followed.
pub fn directory(
    view: &View,
    base: &str,
    descriptor: String,
    delegated: &[&ViewName],
    offer: &PushOffer,
) -> Directory {
    let uri = |view: &ViewName, path: &str| format!("{base}/views/{view}/{path}");
    let own = view.catalog().iter().map(|resource| {
        let entry = Entry {
            accepts: resource.accepts().map(str::to_owned),
            capabilities: capabilities(view, resource, offer),
            media_type: resource.media_type().to_owned(),
            uri: uri(view.name(), &resource.path),
            uses: uses(view, resource, offer),
        };
        (resource.id.to_string(), entry)
    });
    let others = delegated.iter().map(|other| {
        let entry = Entry {
            media_type: media::DIRECTORY.to_owned(),
            uri: uri(other, "directory"),
            ..Entry::default()
        };
        (other.resource_id("directory").to_string(), entry)
    });
    Directory {
        meta: DirectoryMeta {
            alto_federation: Some(descriptor),
            cost_types: cost_types(view),
            default_alto_network_map: Some(view.network_id().to_string()),
        },
        resources: own.chain(others).collect(),
    }
}

/// The cost types by their names, which are local to this directory (RFC 7285 §9.2.2).
fn cost_types(view: &View) -> BTreeMap<String, StatedCostType<'static>> {
    let stated = |cost_type: &CostType| StatedCostType {
        cost_metric: cost_type.cost_metric.to_string().into(),
        cost_mode: cost_type.cost_mode.as_str().into(),
        description: None,
    };
    let types = view.capabilities().cost_types.iter();
    types
        .map(|cost_type| (names::cost_type(cost_type), stated(cost_type)))
        .collect()
}

/// The resources that a resource depends on. Those of a transport are all that can be followed; these
/// depend on the network map, which is among them, so that the list is closed (RFC 8895 §6.4,
/// RFC 9569 §5.3). An update stream also sends the summaries of TIPS views (RFC 9569 §6.3.3).
fn uses(view: &View, resource: &Resource, offer: &PushOffer) -> Vec<String> {
    if let Some(service) = resource.service() {
        return service.uses(view).iter().map(ToString::to_string).collect();
    }
    let followed = offer.media_types(view).into_keys();
    followed.chain(summaries(view, resource)).collect()
}

fn capabilities(view: &View, resource: &Resource, offer: &PushOffer) -> Capabilities {
    if let Some(service) = resource.service() {
        return service.capabilities(view);
    }
    let summaries = summaries(view, resource);
    let summaries = summaries.map(|id| (id, Form::Merge.media_type().to_owned()));
    let is_stream = resource.transport() == Some(Transport::UpdateStream);
    Capabilities {
        incremental_change_media_types: offer
            .media_types(view)
            .into_iter()
            .chain(summaries)
            .collect(),
        support_stream_control: is_stream.then_some(true),
        ..Capabilities::default()
    }
}

/// The TIPS resources whose summaries an update stream sends.
fn summaries(view: &View, resource: &Resource) -> impl Iterator<Item = String> {
    let is_stream = resource.transport() == Some(Transport::UpdateStream);
    let tips = view.catalog().transport(Transport::Tips);
    let tips = tips.filter(|_| is_stream).map(|tips| tips.id.to_string());
    tips.into_iter()
}
