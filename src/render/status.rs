//! What answers take in memory and work.

use crate::runtime::{Measured, Measures};

use super::bodies::Bodies;
use super::flight::Flight;

/// What answers take, and what was refused since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// The bytes of queries and answers in memory.
    pub answer_bytes: u64,
    /// How many requests found no room there.
    pub refused: u64,
    /// The bytes of bodies of the network-to-server API in memory.
    pub ingest_bytes: u64,
    /// How many writes found no room there.
    pub ingest_refused: u64,
    /// The bytes that answers being sent kept of replaced views when the last view was
    /// published.
    pub replaced_bytes: usize,
    /// How many answers were cut off: they kept too much of replaced views, or read too little
    /// of a kept body.
    pub cut: u64,
    /// How many cells were read for large answers and full maps.
    pub cells: u64,
    /// The bytes of rendered bodies that are kept.
    pub body_bytes: u64,
}

impl Status {
    /// Returns what answers take now. `intake` is the memory of bodies of the network-to-server
    /// API.
    pub fn of(bodies: &Bodies, intake: &Flight) -> Self {
        let answers = bodies.answers();
        Self {
            answer_bytes: answers.flight().bytes(),
            refused: answers.flight().refused(),
            ingest_bytes: intake.bytes(),
            ingest_refused: intake.refused(),
            replaced_bytes: answers.pins().bytes(),
            cut: answers.pins().cut() + bodies.cut(),
            cells: answers.cells(),
            body_bytes: bodies.kept_bytes(),
        }
    }
}

impl Measured for Status {
    fn measure(&self, out: &mut Measures) {
        out.gauge(
            "altofed_http_answer_bytes",
            "Bytes of queries and answers in memory until their clients have taken them",
            self.answer_bytes,
        );
        out.counter(
            "altofed_http_answers_refused",
            "Requests that were answered 503 since there was no room for them or their answers",
            self.refused,
        );
        out.gauge(
            "altofed_http_ingest_bytes",
            "Bytes of bodies of the network-to-server API in memory",
            self.ingest_bytes,
        );
        out.counter(
            "altofed_http_ingest_refused",
            "Writes that were answered 503 since there was no room for their bodies",
            self.ingest_refused,
        );
        out.gauge(
            "altofed_http_replaced_bytes",
            "Bytes of replaced views that answers on their way kept when the last view was published",
            self.replaced_bytes,
        );
        out.counter(
            "altofed_http_answers_cut",
            "Answers that were cut off since they kept too much of replaced views, or read too \
             little of a kept body",
            self.cut,
        );
        out.counter(
            "altofed_http_answer_cells",
            "Cells that were read for large answers and full maps",
            self.cells,
        );
        out.gauge(
            "altofed_publish_bodies_bytes",
            "Rendered bodies that are kept",
            self.body_bytes,
        );
    }
}
