//! Contents for tests.

use std::sync::Arc;

use jiff::Timestamp;

use super::content::{Content, Origin};
use super::costs::Costs;
use super::name::ViewName;
use super::network::{Lookup, NetworkMap};
use super::properties::Properties;
use super::view::View;
use crate::alto::network::AddressGroup;
use crate::alto::property::PropertyMap;
use crate::ident::{MetricName, PidName};
use crate::net::{Lpm, Matrix, PidIndex};

/// The content of a view of this many PIDs, without prefixes and without costs.
pub(super) fn content(pids: usize) -> Content {
    let name = |place: usize| PidName::new(&format!("p{place:04}")).expect("a name");
    let names = Arc::new(PidIndex::new((0..pids).map(name).collect()));
    let groups = (0..pids).map(|_| Arc::new(AddressGroup::default()));
    let lookup = Lookup {
        lpm: Arc::new(Lpm::build([]).expect("no prefix twice")),
        ..Lookup::default()
    };
    let origin = Origin {
        serial: 1,
        received: Timestamp::UNIX_EPOCH,
    };
    let costs = Costs::Dense(Arc::new(Matrix::new(pids, pids)));
    Content::new(
        ViewName::parse("isp-a").expect("a name"),
        origin,
        Arc::new(NetworkMap::new(names, groups.collect(), lookup)),
        [(MetricName::routingcost(), costs)].into(),
        Arc::new(Properties::new(PropertyMap::new())),
    )
}

/// The view of such a content.
pub(crate) fn view(pids: usize) -> View {
    let content = content(pids);
    View::new(
        content.name().clone(),
        content.origin().clone(),
        content.network().clone(),
        content.costs().clone(),
        content.properties().clone(),
        None,
    )
}
