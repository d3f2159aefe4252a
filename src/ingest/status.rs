//! The status of the ledger.

use std::collections::BTreeMap;

use crate::ident::SourceName;
use crate::runtime::{Measured, Measures};

use super::ledger::Ledger;

/// The status of the ledger at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The newest revision that is durable.
    pub revision: u64,
    /// The sources with a brake, each with whether its writes are refused because they remove too
    /// much at once.
    pub held: BTreeMap<SourceName, bool>,
}

impl Ledger {
    /// Returns the status of the ledger now.
    pub fn status(&self) -> Status {
        let (held, rules) = (self.held(), self.rules());
        let sources = rules.brakes.keys();
        Status {
            revision: self.durable().borrow().facts.revision,
            held: sources
                .map(|source| (source.clone(), held.contains_key(source)))
                .collect(),
        }
    }
}

impl Measured for Status {
    fn measure(&self, out: &mut Measures) {
        out.gauge(
            "altofed_ingest_revision",
            "The newest revision that is durable",
            self.revision,
        );
        let held = self.held.iter();
        out.gauges(
            "altofed_ingest_held",
            "1 for a source whose writes are refused since they take too much at once",
            "source",
            held.map(|(source, is_held)| (source.as_str(), u64::from(*is_held))),
        );
    }
}
