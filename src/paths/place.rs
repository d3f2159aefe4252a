//! Where a PID is in the merged view.

/// A PID of the merged view, by its domain and its index there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The place of the domain among all domains.
    pub domain: usize,
    /// The index of the PID in the domain's own view.
    pub pid: usize,
}
