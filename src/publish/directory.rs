//! The directory of a view, RFC 7285 §9.2.

use std::collections::BTreeMap;

use crate::alto::ird::{Capabilities, Directory, DirectoryMeta, Entry};
use crate::alto::media;
use crate::alto::meta::{CostMode, CostType, StatedCostType};
use crate::ident::PropertyName;

use super::catalog::{Kind, Resource};
use super::endpoint::pid_property;
use super::grid::Form;
use super::name::ViewName;
use super::offer::Offer;
use super::view::View;

/// The directory of a view: its resources, and a delegation to the directory of
/// each view in `delegated` (RFC 7285 §9.2.4). `base` is put before every path;
/// `descriptor` is where peers find what this node is; `offer` says which resources can be
/// followed.
pub fn directory(
    view: &View,
    base: &str,
    descriptor: String,
    delegated: &[&ViewName],
    offer: &Offer,
) -> Directory {
    let uri = |view: &ViewName, path: &str| format!("{base}/views/{view}/{path}");
    let own = view.catalog().iter().map(|resource| {
        let entry = Entry {
            accepts: resource.kind.accepts().map(str::to_owned),
            capabilities: capabilities(view, resource, offer),
            media_type: resource.kind.media_type().to_owned(),
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

/// The cost types by the names this directory gives them. The names are local
/// to it (RFC 7285 §9.2.2).
fn cost_types(view: &View) -> BTreeMap<String, StatedCostType<'static>> {
    let stated = |cost_type: &CostType| StatedCostType {
        cost_metric: cost_type.cost_metric.to_string().into(),
        cost_mode: cost_type.cost_mode.as_str().into(),
        description: None,
    };
    let types = view.capabilities().cost_types.iter();
    types
        .map(|cost_type| (name(cost_type), stated(cost_type)))
        .collect()
}

fn name(cost_type: &CostType) -> String {
    let prefix = match cost_type.cost_mode {
        CostMode::Numerical => "num",
        CostMode::Ordinal => "ord",
    };
    format!("{prefix}-{}", cost_type.cost_metric)
}

/// What a resource is to be read with. What can be followed refers to the
/// network map among other things, so that the list is closed (RFC 8895 §6.4,
/// RFC 9569 §5.3); the summaries of the TIPS views can be followed too (RFC 9569
/// §6.3.3).
fn uses(view: &View, resource: &Resource, offer: &Offer) -> Vec<String> {
    match &resource.kind {
        Kind::UpdateStream | Kind::Tips => {
            let tips = view
                .catalog()
                .iter()
                .filter(|other| other.kind == Kind::Tips && resource.kind == Kind::UpdateStream);
            let followed = offer.media_types(view).into_keys();
            followed
                .chain(tips.map(|tips| tips.id.to_string()))
                .collect()
        }
        kind if kind.uses_network_map() => vec![view.network_id().to_string()],
        _ => Vec::new(),
    }
}

fn capabilities(view: &View, resource: &Resource, offer: &Offer) -> Capabilities {
    match &resource.kind {
        Kind::NetworkMap | Kind::FilteredNetworkMap => Capabilities::default(),
        Kind::CostMap(cost_type) => Capabilities {
            cost_type_names: vec![name(cost_type)],
            ..Capabilities::default()
        },
        Kind::FilteredCostMap | Kind::EndpointCosts => {
            let can = view.capabilities();
            Capabilities {
                cost_constraints: Some(true),
                cost_type_names: can.cost_types.iter().map(name).collect(),
                max_cost_types: Some(can.max_cost_types),
                ..Capabilities::default()
            }
        }
        Kind::UpdateStream => {
            let tips = view
                .catalog()
                .iter()
                .filter(|other| other.kind == Kind::Tips);
            let summaries = tips.map(|tips| {
                let merge = Form::Merge.media_type().to_owned();
                (tips.id.to_string(), merge)
            });
            Capabilities {
                incremental_change_media_types: offer
                    .media_types(view)
                    .into_iter()
                    .chain(summaries)
                    .collect(),
                support_stream_control: Some(true),
                ..Capabilities::default()
            }
        }
        Kind::Tips => Capabilities {
            incremental_change_media_types: offer.media_types(view),
            ..Capabilities::default()
        },
        Kind::EndpointProperties => {
            let stated = view
                .properties()
                .names()
                .iter()
                .map(PropertyName::to_string);
            Capabilities {
                prop_types: std::iter::once(pid_property(view)).chain(stated).collect(),
                ..Capabilities::default()
            }
        }
    }
}
