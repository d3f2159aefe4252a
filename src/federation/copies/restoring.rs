//! The progress of restoring copies after a start.

use std::collections::BTreeSet;

use crate::ident::DomainLabel;

use super::copy::CopyName;

/// How much of what peers passed on before the node started is restored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restoring {
    /// The copies that are not restored yet.
    left: BTreeSet<CopyName>,
    /// How many copies were kept, and how many of them were read.
    kept: usize,
    read: usize,
    is_over: bool,
}

impl Restoring {
    /// Begins with all of these copies still to be restored.
    pub(in crate::federation) fn new(left: BTreeSet<CopyName>) -> Self {
        Self {
            kept: left.len(),
            read: 0,
            left,
            is_over: false,
        }
    }

    /// Notes that copies were read from the disk, or will not be.
    pub(in crate::federation) fn note_read(&mut self, copies: usize) {
        self.read += copies;
    }

    /// Notes that all copies from a peer that could be restored are restored.
    pub(in crate::federation) fn note_restored(&mut self, peer: &DomainLabel) {
        self.left.retain(|name| name.sender != *peer);
    }

    /// Notes that nothing more will be restored.
    pub(in crate::federation) fn end(&mut self) {
        self.left.clear();
        self.is_over = true;
    }

    /// Whether everything that could be restored is restored.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Returns how many copies were read from the disk, and how many there are.
    pub fn read(&self) -> (usize, usize) {
        (self.read, self.kept)
    }

    /// Whether a wanted copy may still come.
    pub(in crate::federation) fn awaits(&self, wanted: impl Fn(&DomainLabel) -> bool) -> bool {
        self.left.iter().any(|name| wanted(&name.domain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::federation::testing::label;

    #[test]
    fn copies_are_counted_as_they_are_read() {
        let name = |domain: &str| CopyName {
            sender: label("isp-b"),
            domain: label(domain),
        };
        let mut restoring = Restoring::new(["isp-b", "isp-c", "isp-d"].map(name).into());
        restoring.note_read(2);
        restoring.note_read(1);
        assert_eq!(restoring.read(), (3, 3));
    }
}
