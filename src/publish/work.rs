//! What an answer takes, known before it is begun.

/// An upper bound on what an answer takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// The cells that are read and tested: the pairs of sources and destinations, times the cost
    /// types and the comparisons for each, plus the work to compute them. For other answers, the
    /// values looked up.
    pub cells: u64,
    /// About how many bytes the body has.
    pub bytes: u64,
    /// The bytes of memory that writing it takes, the view not counted.
    pub memory: u64,
}

/// The most that an answer to a query may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkLimits {
    /// See [`Work::cells`].
    pub cells: u64,
    /// The key of the configuration that sets this limit.
    pub cells_key: &'static str,
    /// See [`Work::bytes`].
    pub bytes: u64,
    /// See [`Work::memory`].
    pub memory: u64,
}

impl WorkLimits {
    /// The limit that `work` exceeds; none if it is within all limits.
    pub fn exceeded(&self, work: &Work) -> Option<Exceeded> {
        let limits = [
            (self.cells_key, "cells to read", work.cells, self.cells),
            ("max_answer_bytes", "bytes to send", work.bytes, self.bytes),
            (
                "max_bytes_per_client",
                "bytes of memory",
                work.memory,
                self.memory,
            ),
        ];
        let over = limits.into_iter().find(|(_, _, asked, most)| asked > most);
        over.map(|(limit, unit, asked, most)| Exceeded {
            limit,
            unit,
            asked,
            most,
        })
    }
}

/// A limit that an answer would exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{asked} {unit}; at most {most} are taken for one answer ({limit})")]
pub struct Exceeded {
    limit: &'static str,
    unit: &'static str,
    asked: u64,
    most: u64,
}
