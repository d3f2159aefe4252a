//! A document's text, row by row: of a large one no more than a row is in memory.

use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use rayon::prelude::*;

use crate::alto::canonical::{write_string, write_value};
use crate::alto::cost::GridWriter;
use crate::alto::network::{AddressGroup, write_member_name};
use crate::alto::property::{Entity, write_member};
use crate::facts::Interconnect;
use crate::ident::{Digest, Family, InterconnectId, PidName, Sha256, Tag};

use super::document::Document;

/// The rows of a document's canonical text: what opens it, one for each PID, source, entity or
/// interconnect, and what closes it.
pub struct Rows {
    document: Document,
    next: Next,
}

/// What is written next.
enum Next {
    Head,
    /// The group after that of a PID.
    Group(Option<PidName>),
    Costs {
        grid: GridWriter,
        row: usize,
        begun: bool,
    },
    /// Entities by their texts, in the order of those, the last first.
    Members {
        left: Vec<(String, Entity)>,
        begun: bool,
    },
    /// The interconnect after one.
    Link(Option<InterconnectId>),
    Nothing,
}

impl Rows {
    fn of(document: Document) -> Self {
        Self {
            document,
            next: Next::Head,
        }
    }

    /// What comes after the head.
    fn first(&self) -> Next {
        match &self.document {
            Document::Network(_) => Next::Group(None),
            Document::Costs(table) => Next::Costs {
                grid: GridWriter::new(table.dsts.names().iter().map(PidName::as_str)),
                row: 0,
                begun: false,
            },
            Document::Properties(map) => {
                let texts = map
                    .keys()
                    .map(|entity| (entity.to_string(), entity.clone()));
                let mut left: Vec<_> = texts.collect();
                left.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
                Next::Members { left, begun: false }
            }
            Document::Interconnects(_) => Next::Link(None),
        }
    }

    fn head(&self) -> Vec<u8> {
        let mut head = b"{".to_vec();
        write_member_name(&mut head, self.document.member());
        head.push(b'{');
        head
    }

    /// The next row that is one of the content; none at its end.
    fn content(&mut self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        match (&self.document, &mut self.next) {
            (Document::Network(groups), Next::Group(last)) => {
                let after = last.as_ref().map_or(Unbounded, Excluded);
                let (pid, group) = groups.range::<PidName, _>((after, Unbounded)).next()?;
                write_group(&mut out, last.is_none(), pid, group);
                *last = Some(pid.clone());
            }
            (Document::Costs(table), Next::Costs { grid, row, begun }) => {
                let src = table.srcs.names().get(*row)?;
                grid.costs(&mut out, src.as_str(), table.cells.row(*row));
                *row += 1;
                // The head has the brace that opens the object.
                if !*begun && !out.is_empty() {
                    out.remove(0);
                    *begun = true;
                }
            }
            (Document::Properties(map), Next::Members { left, begun }) => {
                let (text, entity) = left.pop()?;
                write_member(&mut out, !*begun, &text, map.get(&entity)?);
                *begun = true;
            }
            (Document::Interconnects(links), Next::Link(last)) => {
                let after = last.as_ref().map_or(Unbounded, Excluded);
                let (id, link) = links
                    .range::<InterconnectId, _>((after, Unbounded))
                    .next()?;
                write_link(&mut out, last.is_none(), id, link);
                *last = Some(id.clone());
            }
            _ => return None,
        }
        Some(out)
    }
}

impl Iterator for Rows {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        match self.next {
            Next::Head => {
                self.next = self.first();
                Some(self.head())
            }
            Next::Nothing => None,
            _ => self.content().or_else(|| {
                self.next = Next::Nothing;
                Some(b"}}".to_vec())
            }),
        }
    }
}

/// The canonical text of a document, in rows of one PID, source or entity, so
/// that a store can tell which of them changed. The rows joined are the text.
pub struct Text {
    rows: Vec<Vec<u8>>,
    tag: Tag,
}

impl Text {
    /// The rows.
    pub fn into_rows(self) -> Vec<Vec<u8>> {
        self.rows
    }

    /// The tag of the text.
    pub fn tag(&self) -> &Tag {
        &self.tag
    }
}

impl Document {
    /// The rows of its canonical text, each written when it is asked for.
    pub fn rows(&self) -> Rows {
        Rows::of(self.clone())
    }

    /// The document as canonical text.
    pub fn text(&self) -> Text {
        let mut rows = self.rows();
        let rows: Vec<Vec<u8>> = match self {
            // The longest ones, written side by side.
            Self::Network(groups) => {
                let row = |(index, (pid, group)): (usize, (&PidName, &Arc<_>))| {
                    let mut out = Vec::new();
                    write_group(&mut out, index == 0, pid, group);
                    out
                };
                let groups: Vec<_> = groups.iter().enumerate().collect();
                let mut written: Vec<Vec<u8>> = rows.next().into_iter().collect();
                written.par_extend(groups.into_par_iter().map(row));
                written.push(b"}}".to_vec());
                written
            }
            _ => rows.collect(),
        };
        let mut hasher = Sha256::new();
        rows.iter().for_each(|row| hasher.update(row));
        let digest: Digest = hasher.finish();
        Text {
            rows,
            tag: digest.into(),
        }
    }
}

/// Writes a PID with its prefixes.
fn write_group(out: &mut Vec<u8>, first: bool, pid: &PidName, group: &AddressGroup) {
    out.extend_from_slice(if first { b"" } else { b"," });
    write_member_name(out, pid.as_str());
    group.write(out, &Family::ALL);
}

fn write_link(out: &mut Vec<u8>, first: bool, id: &InterconnectId, link: &Interconnect) {
    out.extend_from_slice(if first { b"" } else { b"," });
    write_string(out, id.as_str());
    out.push(b':');
    write_value(out, &serde_json::to_value(link).unwrap_or_default());
}
