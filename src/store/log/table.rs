//! The side tables: small keyed values that change with a revision or between two.

use crate::store::StoreError;

use super::codec::{Decoder, Encoder, Malformed};

/// The largest key of a row, in bytes.
pub const MAX_KEY: usize = 256;
/// The largest value of a row, in bytes.
pub const MAX_VALUE: usize = 4 * 1024;
const MAX_NAME: usize = 32;

/// Keys and values.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Names a side table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Table(&'static str);

impl Table {
    /// Makes the name of a table: 1 to 32 lower-case letters, digits and hyphens. The table
    /// exists once it has a row.
    ///
    /// # Panics
    /// If the name has another form. Names are constants of the program: written as
    /// `const KEYS: Table = Table::new("keys");` a wrong one does not compile.
    pub const fn new(name: &'static str) -> Table {
        assert!(
            is_name(name.as_bytes()),
            "a table's name has 1 to 32 of a-z, 0-9 and -"
        );
        Table(name)
    }

    /// Returns the name.
    pub fn name(&self) -> &'static str {
        self.0
    }
}

const fn is_name(name: &[u8]) -> bool {
    let mut rest = name;
    while let [first, others @ ..] = rest {
        if !matches!(first, b'a'..=b'z' | b'0'..=b'9' | b'-') {
            return false;
        }
        rest = others;
    }
    !name.is_empty() && name.len() <= MAX_NAME
}

/// Sets (`Some`) or deletes (`None`) the value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct RowChange {
    pub(in crate::store) table: String,
    pub(in crate::store) key: Vec<u8>,
    pub(in crate::store) value: Option<Vec<u8>>,
}

impl RowChange {
    /// Makes a change after checking that it is within the limits.
    pub(in crate::store) fn new(
        table: &str,
        key: Vec<u8>,
        value: Option<Vec<u8>>,
    ) -> Result<RowChange, StoreError> {
        let length = value.as_ref().map_or(0, Vec::len);
        let sizes = [
            ("the key of a row", key.len(), MAX_KEY),
            ("the value of a row", length, MAX_VALUE),
            ("the name of a table", table.len(), MAX_NAME),
        ];
        for (what, size, limit) in sizes {
            if size > limit {
                return Err(StoreError::TooLarge { what, size, limit });
            }
        }
        Ok(RowChange {
            table: table.to_owned(),
            key,
            value,
        })
    }

    pub(in crate::store) fn encode(&self) -> Vec<u8> {
        let encoder = Encoder::default()
            .bytes(self.table.as_bytes())
            .bytes(&self.key);
        match &self.value {
            None => encoder.u8(0).finish(),
            Some(value) => encoder.u8(1).bytes(value).finish(),
        }
    }

    pub(in crate::store) fn decode_all(bytes: &[u8]) -> Result<Vec<RowChange>, Malformed> {
        let mut decoder = Decoder::new(bytes);
        let mut changes = Vec::new();
        while !decoder.is_empty() {
            let (table, key) = (decoder.text()?, decoder.bytes()?.to_vec());
            let value = match decoder.u8()? {
                0 => None,
                1 => Some(decoder.bytes()?.to_vec()),
                _ => return Err(Malformed("a change has an unknown form")),
            };
            changes.push(RowChange { table, key, value });
        }
        Ok(changes)
    }

    /// Returns the row after the change, if it does not delete it.
    pub(in crate::store) fn row(&self, at: Moment) -> Option<Row> {
        let value = self.value.clone()?;
        Some(Row {
            at,
            table: self.table.clone(),
            key: self.key.clone(),
            value,
        })
    }

    pub(in crate::store) fn address(&self) -> Vec<u8> {
        address(&self.table, &self.key)
    }
}

/// When a row was set; moments are ordered by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store) struct Moment {
    /// The newest revision then, which may be the one that set the row.
    pub(in crate::store) revision: u64,
    /// How many times rows had changed without a revision, counting this one.
    pub(in crate::store) puts: u64,
}

/// A row as it is written, with its key and when it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Row {
    pub(in crate::store) at: Moment,
    pub(in crate::store) table: String,
    pub(in crate::store) key: Vec<u8>,
    pub(in crate::store) value: Vec<u8>,
}

impl Row {
    pub(in crate::store) fn encode(&self) -> Vec<u8> {
        let encoder = Encoder::default().u64(self.at.revision).u64(self.at.puts);
        let encoder = encoder.bytes(self.table.as_bytes());
        encoder.bytes(&self.key).bytes(&self.value).finish()
    }

    pub(in crate::store) fn decode(payload: &[u8]) -> Result<Row, Malformed> {
        let mut decoder = Decoder::new(payload);
        let row = Row {
            at: Moment {
                revision: decoder.revision()?,
                puts: decoder.u64()?,
            },
            table: decoder.text()?,
            key: decoder.bytes()?.to_vec(),
            value: decoder.bytes()?.to_vec(),
        };
        decoder.finish()?;
        Ok(row)
    }

    pub(in crate::store) fn address(&self) -> Vec<u8> {
        address(&self.table, &self.key)
    }
}

/// Returns the address of a row among all rows: the name of the table, a zero byte, the key.
pub(in crate::store) fn address(table: &str, key: &[u8]) -> Vec<u8> {
    [table.as_bytes(), &[0], key].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_table_has_a_plain_name() {
        assert!(is_name(b"peers-2"));
        for wrong in ["", "Peers", "a b", "a\0", &"a".repeat(33)] {
            assert!(!is_name(wrong.as_bytes()), "{wrong:?}");
        }
    }

    #[test]
    fn an_oversized_change_is_refused() {
        let change = |key, value| RowChange::new("t", vec![0; key], Some(vec![0; value]));
        assert!(change(MAX_KEY, MAX_VALUE).is_ok());
        assert!(matches!(
            change(MAX_KEY + 1, 0),
            Err(StoreError::TooLarge { .. })
        ));
        assert!(matches!(
            change(0, MAX_VALUE + 1),
            Err(StoreError::TooLarge { .. })
        ));
    }

    proptest! {
        #[test]
        fn rows_and_changes_read_back(
            key in proptest::collection::vec(any::<u8>(), 0..20),
            value in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
        ) {
            let change = RowChange::new("table", key.clone(), value.clone()).unwrap();
            let twice = [change.encode(), change.encode()].concat();
            prop_assert_eq!(RowChange::decode_all(&twice), Ok(vec![change.clone(), change]));
            let value = value.unwrap_or_default();
            let row = Row { at: Moment { revision: 3, puts: 4 }, table: "table".into(), key, value };
            prop_assert_eq!(Row::decode(&row.encode()), Ok(row));
        }

        #[test]
        fn garbage_is_refused_without_panic(
            garbage in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let _ = RowChange::decode_all(&garbage);
            let _ = Row::decode(&garbage);
        }
    }
}
