//! The form of an export: JSON lines.
//!
//! The first line is the `store` line. Before each `record` line come the `chunk` and `list`
//! lines of its documents that no earlier record needed. Then come the `row` lines of the side
//! tables and an `end` line, which has the number and the digest of the lines before it. Bytes
//! that are UTF-8 are written as text, others as hexadecimal digits. A document refers to a chunk
//! by its digest, which is that of a zero byte and the bytes of the chunk; see the documents of a
//! record.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ident::{Digest, from_hex, to_hex};

use super::record::Record;
use super::table::{Moment, Row, RowChange};
use super::tree::DocumentRef;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(in crate::store) enum Line {
    Store(Header),
    Chunk(Bytes),
    List(List),
    Record(RecordLine),
    Row(RowLine),
    End(End),
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::store) struct Header {
    pub(in crate::store) format: u32,
    /// The release that wrote the export.
    pub(in crate::store) release: String,
}

/// A list of chunks, or of lists.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::store) struct List {
    pub(in crate::store) level: u8,
    pub(in crate::store) digests: Vec<Digest>,
}

/// A revision.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::store) struct RecordLine {
    revision: u64,
    previous: Digest,
    pub(in crate::store) hash: Digest,
    body: Bytes,
    documents: BTreeMap<String, DocumentRef>,
    puts: u64,
    changes: Vec<ChangeLine>,
    tables: Digest,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeLine {
    table: String,
    key: Bytes,
    value: Option<Bytes>,
}

/// A row of a side table.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::store) struct RowLine {
    revision: u64,
    puts: u64,
    table: String,
    key: Bytes,
    value: Bytes,
}

/// The last line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::store) struct End {
    pub(in crate::store) lines: u64,
    pub(in crate::store) digest: Digest,
}

/// A byte string.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::store) enum Bytes {
    Text(String),
    Hex(#[serde(with = "hex")] Vec<u8>),
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        match String::from_utf8(bytes) {
            Ok(text) => Bytes::Text(text),
            Err(error) => Bytes::Hex(error.into_bytes()),
        }
    }
}

impl From<Bytes> for Vec<u8> {
    fn from(bytes: Bytes) -> Vec<u8> {
        match bytes {
            Bytes::Text(text) => text.into_bytes(),
            Bytes::Hex(bytes) => bytes,
        }
    }
}

impl From<Record> for RecordLine {
    fn from(record: Record) -> RecordLine {
        RecordLine {
            revision: record.revision,
            previous: record.previous,
            hash: record.hash,
            body: record.body.into(),
            documents: record.documents,
            puts: record.puts,
            changes: record.changes.into_iter().map(ChangeLine::from).collect(),
            tables: record.tables,
        }
    }
}

impl From<RecordLine> for Record {
    fn from(line: RecordLine) -> Record {
        Record {
            revision: line.revision,
            previous: line.previous,
            hash: line.hash,
            body: line.body.into(),
            documents: line.documents,
            puts: line.puts,
            changes: line.changes.into_iter().map(RowChange::from).collect(),
            tables: line.tables,
        }
    }
}

impl From<RowChange> for ChangeLine {
    fn from(change: RowChange) -> ChangeLine {
        let (key, value) = (change.key.into(), change.value.map(Bytes::from));
        ChangeLine {
            table: change.table,
            key,
            value,
        }
    }
}

impl From<ChangeLine> for RowChange {
    fn from(line: ChangeLine) -> RowChange {
        let (key, value) = (line.key.into(), line.value.map(Vec::from));
        RowChange {
            table: line.table,
            key,
            value,
        }
    }
}

impl From<Row> for RowLine {
    fn from(row: Row) -> RowLine {
        let (key, value) = (row.key.into(), row.value.into());
        RowLine {
            revision: row.at.revision,
            puts: row.at.puts,
            table: row.table,
            key,
            value,
        }
    }
}

impl From<RowLine> for Row {
    fn from(line: RowLine) -> Row {
        let (key, value) = (line.key.into(), line.value.into());
        Row {
            at: Moment {
                revision: line.revision,
                puts: line.puts,
            },
            table: line.table,
            key,
            value,
        }
    }
}

mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(in crate::store) fn serialize<S: Serializer>(
        bytes: &[u8],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::to_hex(bytes))
    }

    pub(in crate::store) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::from_hex(&text).ok_or_else(|| de::Error::custom("not hexadecimal digits"))
    }
}
