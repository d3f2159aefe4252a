//! Bounds on what other domains can make a merge take.

use crate::api::conflict::MergeConflictKind;
use crate::compile::merge::metrics::MAX_ADDED;
use crate::compile::{MergePolicy, Merged, merged_view};
use crate::ident::MetricName;

use super::world::{Stated, label};

/// Returns a domain of one PID with costs in private metrics of its own.
fn private(name: &'static str, prefix: &'static str, count: usize) -> Stated {
    let mut stated = Stated::new(name, &[&[prefix]]);
    for number in 0..count {
        let metric = format!("priv:{name}-{number:03}").leak();
        stated.costs.insert(metric, vec![Some(1.0)]);
    }
    stated
}

fn merged(domains: &[Stated]) -> Merged {
    let domains: Vec<_> = domains.iter().map(Stated::domain).collect();
    merged_view(&domains, &MergePolicy::new(label("b")), None)
}

fn has(merged: &Merged, metric: &str) -> bool {
    let metric = MetricName::new(metric).expect("a metric");
    merged.view.costs().contains_key(&metric)
}

#[test]
fn metrics_that_others_make_up_are_bounded_and_crowd_out_only_their_own() {
    let mut honest = private("e", "30.0.0.0/8", 1);
    honest.costs.insert("lossrate", vec![Some(1.0)]);
    let domains = [
        private("b", "10.0.0.0/8", 100),
        private("c0", "20.0.0.0/8", 1000),
        honest,
    ];
    let merged = merged(&domains);
    // The metrics of our own domain, `routingcost`, `lossrate`, and as many as there is room for.
    assert_eq!(merged.view.costs().len(), 100 + 2 + MAX_ADDED);
    for metric in ["priv:b-099", "lossrate", "priv:e-000", "priv:c0-000"] {
        assert!(has(&merged, metric), "{metric}");
    }
    assert!(!has(&merged, "priv:c0-999"));
    let kind = MergeConflictKind::ExcessMetric;
    assert_eq!(merged.conflicts.count(kind), 1000 + 1 - MAX_ADDED as u64);
    let first = merged.conflicts.listed().first().expect("a conflict");
    assert_eq!((first.kind, first.domain.as_str()), (kind, "c0"));
    assert_eq!(first.subject, format!("priv:c0-{:03}", MAX_ADDED - 1));
}
