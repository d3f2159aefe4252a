//! Amounts of memory and of the disk.

use serde::{Deserialize, Serialize};

/// How much something takes, or may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Amount {
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes on the disk.
    pub disk: u64,
}

impl Amount {
    pub(in crate::federation) fn plus(self, other: Self) -> Self {
        Self {
            memory: self.memory.saturating_add(other.memory),
            disk: self.disk.saturating_add(other.disk),
        }
    }

    pub(in crate::federation) fn minus(self, other: Self) -> Self {
        Self {
            memory: self.memory.saturating_sub(other.memory),
            disk: self.disk.saturating_sub(other.disk),
        }
    }

    pub(in crate::federation) fn times(self, count: u64) -> Self {
        Self {
            memory: self.memory.saturating_mul(count),
            disk: self.disk.saturating_mul(count),
        }
    }

    /// Returns the greater amount of memory, and the greater amount of the disk.
    pub(in crate::federation) fn most(self, other: Self) -> Self {
        Self {
            memory: self.memory.max(other.memory),
            disk: self.disk.max(other.disk),
        }
    }

    pub(in crate::federation) fn is_within(self, limit: Self) -> bool {
        self.memory <= limit.memory && self.disk <= limit.disk
    }
}
