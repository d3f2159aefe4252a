//! The state of reading a document.

use std::borrow::Cow;

use super::fault::{Fault, FaultKind, Faults, Step, shorten};

/// The current place in a document, and the faults found so far.
#[derive(Default)]
pub struct Walk<'de> {
    pub(super) path: Vec<Step<'de>>,
    faults: Faults,
}

impl<'de> Walk<'de> {
    /// Starts below the given steps, for a document inside another.
    pub fn below(path: Vec<Step<'de>>) -> Self {
        Self {
            path,
            faults: Faults::default(),
        }
    }

    /// Notes a fault at the current place.
    pub fn fault(&mut self, kind: FaultKind, detail: impl Into<String>) {
        let path = self.path.iter().map(Step::to_static).collect();
        self.faults.push(Fault {
            path,
            kind,
            detail: detail.into(),
        });
    }

    /// Notes that the current value cannot be used, and repeats it.
    pub fn invalid(&mut self, value: &str, detail: impl Into<String>) {
        self.fault(FaultKind::Value(Some(shorten(value))), detail);
    }

    /// Notes that the current object lacks a member.
    pub fn missing(&mut self, member: &'static str) {
        self.path.push(Step::Member(Cow::Borrowed(member)));
        self.fault(
            FaultKind::Missing,
            format!("the member {member:?} is missing"),
        );
        self.path.pop();
    }

    /// Notes that the current member occurs twice in its object.
    pub fn duplicate(&mut self) {
        self.fault(FaultKind::Syntax, "the member occurs twice; give it once");
    }

    /// Notes that the document may not have the current member.
    pub fn unknown(&mut self, allowed: &[&str]) {
        self.fault(
            FaultKind::Value(None),
            format!(
                "the member is unknown; allowed here: {}",
                allowed.join(", ")
            ),
        );
    }

    /// Calls `go` one step further down.
    pub fn step<T>(&mut self, step: Step<'de>, go: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let out = go(self);
        self.path.pop();
        out
    }

    /// Returns how many faults were noted so far.
    pub fn fault_count(&self) -> usize {
        self.faults.total()
    }

    /// Returns the faults.
    pub fn into_faults(self) -> Faults {
        self.faults
    }

    /// Notes that the current value has the wrong type.
    pub(super) fn wrong_type(&mut self, wanted: &str, found: String) {
        let detail = format!("expected {wanted}, found {found}");
        self.fault(FaultKind::Type(found), detail);
    }
}
