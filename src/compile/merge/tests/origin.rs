//! Where the content of the merged view comes from.

use std::sync::Arc;

use jiff::Timestamp;

use crate::compile::{Domain, MergePolicy, merged_view};
use crate::publish::{Origin, View};

use super::world::{Stated, label};

/// Returns a domain whose content has this serial and was received so many seconds after the epoch.
fn domain(name: &'static str, serial: u64, second: i64) -> Domain {
    let domain = Stated::new(name, &[&[]]).domain();
    let view = &domain.view;
    let received = Timestamp::from_second(second).expect("a time");
    let view = View::new(
        view.name().clone(),
        Origin { serial, received },
        view.network().clone(),
        view.costs().clone(),
        view.properties().clone(),
        None,
    );
    Domain {
        view: Arc::new(view),
        ..domain
    }
}

#[test]
fn the_merged_view_has_our_serial_and_the_time_of_its_newest_part() {
    let domains = [domain("a", 7, 30), domain("b", 5, 10), domain("c", 9, 20)];
    let merged = merged_view(&domains, &MergePolicy::new(label("b")), None);
    let origin = merged.view.origin();
    assert_eq!((origin.serial, origin.received.as_second()), (5, 30));
    for (name, serial, second) in [("a", 7, 30), ("b", 5, 10), ("c", 9, 20)] {
        let joined = merged.paths.domain(&label(name)).expect("a domain");
        assert_eq!(
            (joined.serial, joined.received.as_second()),
            (serial, second)
        );
    }
    let without_us = merged_view(&domains[..1], &MergePolicy::new(label("b")), None);
    assert_eq!(without_us.view.origin().serial, 0);
}
