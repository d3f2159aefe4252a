//! The names of services: paths of resources, and cost types in directories.

use crate::alto::meta::{CostMode, CostType};
use crate::ident::MetricName;

/// The path of a view's network map.
pub const NETWORK_MAP: &str = "networkmap";

const NUMERICAL: &str = "costmap-";
const ORDINAL: &str = "ordinal-";

/// The path of the full map of a cost type. A `.`, which resource ids cannot have (RFC 7285 §10.2), is
/// written `_`.
pub fn cost_map(cost_type: &CostType) -> String {
    let prefix = match cost_type.cost_mode {
        CostMode::Numerical => NUMERICAL,
        CostMode::Ordinal => ORDINAL,
    };
    prefix.to_owned() + &cost_type.cost_metric.as_str().replace('.', "_")
}

/// The mode and the metric of the full cost map with this path; no metric if it is unknown, nothing if
/// the path is not that of a cost map. Of registered names only percentiles have a `.`, and none has
/// a `_`.
pub fn cost_type_of(path: &str) -> Option<(CostMode, Option<MetricName>)> {
    let (mode, suffix) = match path.strip_prefix(NUMERICAL) {
        Some(suffix) => (CostMode::Numerical, suffix),
        None => (CostMode::Ordinal, path.strip_prefix(ORDINAL)?),
    };
    let metric = if suffix.starts_with("priv:") {
        MetricName::new(suffix)
    } else {
        MetricName::new(&suffix.replace('_', "."))
    };
    Some((mode, metric.ok()))
}

/// The name of a cost type, which is local to a directory (RFC 7285 §9.2.2).
pub fn cost_type(cost_type: &CostType) -> String {
    let prefix = match cost_type.cost_mode {
        CostMode::Numerical => "num",
        CostMode::Ordinal => "ord",
    };
    format!("{prefix}-{}", cost_type.cost_metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_type_of_a_full_map_is_in_its_path() {
        for metric in ["routingcost", "delay-ow:p99.9", "priv:a_b", "priv:a"] {
            let metric = MetricName::new(metric).expect("a metric");
            for mode in [CostMode::Numerical, CostMode::Ordinal] {
                let path = cost_map(&CostType::new(&metric, mode));
                assert_eq!(cost_type_of(&path), Some((mode, Some(metric.clone()))));
            }
        }
        let unknown = Some((CostMode::Numerical, None));
        assert_eq!(cost_type_of("costmap-latency"), unknown);
        assert_eq!(cost_type_of("networkmap"), None);
    }
}
