//! The text of documents, and their names in the store.

use std::fmt;
use std::iter;

use crate::alto::network::write_member_name;
use crate::ident::{PidName, Sha256, SourceName, Tag};

use super::{Document, DocumentPath};

/// The canonical text of a document, in rows of one PID, source or entity, so that the store can
/// tell which of them changed. The text is the concatenation of the rows.
pub struct Text {
    rows: Vec<Vec<u8>>,
    tag: Tag,
}

impl Text {
    /// Returns the rows.
    pub fn into_rows(self) -> Vec<Vec<u8>> {
        self.rows
    }

    /// Returns the tag of the text.
    pub fn tag(&self) -> &Tag {
        &self.tag
    }
}

impl Document {
    /// Returns the rows of its canonical text: the opening, a row for each PID, source, entity or
    /// interconnect, and the closing. Each is written when it is asked for, so that of a large
    /// document no more than a row is in memory.
    pub fn rows(&self) -> impl Iterator<Item = Vec<u8>> + Send + use<> {
        let content = self.content();
        let closing = content.closing();
        iter::once(self.opening())
            .chain(content.text_rows())
            .chain(iter::once(closing))
    }

    /// Returns the document as canonical text.
    pub fn text(&self) -> Text {
        let mut rows = vec![self.opening()];
        rows.append(&mut self.content().all_text_rows());
        rows.push(self.content().closing());
        let mut hasher = Sha256::new();
        rows.iter().for_each(|row| hasher.update(row));
        Text {
            rows,
            tag: hasher.finish().into(),
        }
    }

    fn opening(&self) -> Vec<u8> {
        let mut opening = b"{".to_vec();
        write_member_name(&mut opening, self.description().member);
        opening.push(b'{');
        opening
    }

    /// Returns about how many bytes of memory the document takes that it does not share with
    /// others.
    pub fn bytes(&self) -> u64 {
        self.content().bytes() as u64
    }

    /// Returns about how many bytes of memory [`Document::rows`] takes while the rows are
    /// written.
    pub fn bytes_of_rows(&self) -> u64 {
        self.content().bytes_of_rows() as u64
    }

    /// Calls `found` for each wanted PID that the document names, with the members that lead to one
    /// place that names it.
    pub fn find_pids(
        &self,
        is_wanted: &dyn Fn(&PidName) -> bool,
        found: &mut dyn FnMut(&[&str], &PidName),
    ) {
        self.content().find_pids(is_wanted, found);
    }
}

impl DocumentPath {
    /// Returns the name of a source's document in the store.
    pub fn stored_as(&self, source: &SourceName) -> String {
        format!("{source}/{self}")
    }

    /// Parses the name of a document in the store.
    pub fn parse_stored(name: &str) -> Option<(SourceName, Self)> {
        let (source, path) = name.split_once('/')?;
        Some((SourceName::new(source).ok()?, Self::parse(path).ok()?))
    }
}

impl fmt::Display for DocumentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description().path_of(self.name().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Limits, Reader};
    use crate::ident::DomainLabel;

    fn read(path: &str, member: &str, entries: Vec<String>) -> Document {
        let (domain, limits) = (DomainLabel::new("us").expect("a label"), Limits::none());
        let reader = Reader {
            domain: &domain,
            limits: &limits,
        };
        let text = format!("{{\"{member}\":{{{}}}}}", entries.join(","));
        let path = DocumentPath::parse(path).expect("a path");
        let document = path.read(reader, Vec::new(), text.as_bytes());
        document.unwrap_or_else(|faults| panic!("{faults}"))
    }

    /// Returns a document of each kind: so many PIDs, the last with so many prefixes; costs between
    /// so many PIDs; properties of so many PIDs; so many interconnects.
    fn of_each_kind(count: usize) -> [Document; 4] {
        let each = |entry: &dyn Fn(usize) -> String| (0..count).map(entry).collect::<Vec<_>>();
        let prefix = |n| format!("\"10.{n}.0.0/24\"");
        let groups = each(&|n| {
            let prefixes: Vec<_> = (0..count).map(prefix).collect();
            let prefixes = if n + 1 == count { prefixes } else { Vec::new() };
            format!("\"p{n}\":{{\"ipv4\":[{}]}}", prefixes.join(","))
        });
        let costs = each(&|n| {
            let row = each(&|to| format!("\"p{to}\":1.5"));
            format!("\"p{n}\":{{{}}}", row.join(","))
        });
        let properties = each(&|n| format!("\"pid:p{n}\":{{\"priv:x\":1}}"));
        let links = each(&|n| {
            format!(
                "\"i{n}\":{{\"border\":\"p\",\"costs\":{{}},\"peer-border\":\"q\",\
                 \"peer-domain\":\"them\",\"relationship\":\"open\"}}"
            )
        });
        [
            read("network-map", "network-map", groups),
            read("cost-maps/routingcost", "cost-map", costs),
            read("properties", "property-map", properties),
            read("interconnects", "interconnects", links),
        ]
    }

    #[test]
    fn memory_is_counted_by_entries_and_costs() {
        // The least bytes of an entry. An entry of a cost map has a hundred costs.
        let least = [50, 8 * 100, 200, 200];
        for (document, least) in of_each_kind(100).iter().zip(least) {
            assert!(document.bytes() >= 100 * least, "{document:?}");
        }
    }

    #[test]
    fn rows_take_the_memory_of_the_longest_and_of_the_names_that_are_kept() {
        for document in of_each_kind(100) {
            let longest = document.rows().map(|row| row.len()).max();
            let names = 100 * "pid:p0".len();
            let least = longest.unwrap_or(0).max(names) as u64;
            assert!(document.bytes_of_rows() >= least, "{document:?}");
        }
    }

    #[test]
    fn all_rows_are_those_that_are_written_one_by_one() {
        for document in of_each_kind(20) {
            let rows: Vec<Vec<u8>> = document.rows().collect();
            assert_eq!(document.text().into_rows(), rows);
        }
    }

    #[test]
    fn a_path_has_one_text_and_one_name_in_the_store() {
        let source = SourceName::new("noc").expect("valid");
        for text in [
            "network-map",
            "cost-maps/delay-ow:p95",
            "properties",
            "interconnects",
        ] {
            let path = DocumentPath::parse(text).expect(text);
            assert_eq!(path.to_string(), text);
            let stored = path.stored_as(&source);
            assert_eq!(
                DocumentPath::parse_stored(&stored),
                Some((source.clone(), path))
            );
        }
        for bad in [
            "",
            "network-map/",
            "cost-maps/",
            "cost-maps/latency",
            "topologies/x",
        ] {
            assert!(DocumentPath::parse(bad).is_err(), "{bad}");
        }
    }
}
