//! Reading a database without opening it, because there is no room for what sled writes when it
//! opens one.

use std::{collections::BTreeMap, sync::Arc};

use crate::ident::Digest;
use crate::store::disk::directory::Directory;
use crate::store::log::read::Reading;
use crate::store::log::record::Record;
use crate::store::log::table::{self, Row};
use crate::store::log::tree::{self, DocumentRef};
use crate::store::log::witness::Testimony;
use crate::store::{Settings, StoreError};

use super::salvage::Harvest;

/// The content of a sound database, found by the mark of its values.
pub(in crate::store) struct Unopened {
    harvest: Harvest,
    /// The hashes of the revisions that lead to the newest one, by number.
    chain: BTreeMap<u64, Digest>,
    head: Option<Arc<Record>>,
    /// The rows by address.
    rows: BTreeMap<Vec<u8>, Row>,
}

impl Unopened {
    /// Reads the database; `None` if something that was acknowledged is not found. Then the
    /// database has to be opened.
    pub(in crate::store) fn read(
        directory: &Directory,
        settings: &Settings,
    ) -> Result<Option<Unopened>, StoreError> {
        let Some(testimony) = Testimony::read(&directory.witness(), directory.root())? else {
            return Ok(None);
        };
        let (mark, acknowledged) = (testimony.identity.mark, testimony.position);
        let mut harvest = Harvest::search(&directory.database(), mark)?;
        let found = harvest.newest_chain(&acknowledged.hash, settings.keep_revisions)?;
        let is_there = acknowledged.revision == 0
            || found.iter().any(|found| {
                let record = &found.record;
                (record.revision, record.hash) == (acknowledged.revision, acknowledged.hash)
            });
        let rows = harvest.rows(&found, &acknowledged)?;
        if !is_there || !rows.whole {
            return Ok(None);
        }
        let chain = found.iter().map(|found| &found.record);
        let chain = chain.map(|record| (record.revision, record.hash)).collect();
        let rows = rows.rows.into_iter().map(|row| (row.address(), row));
        let head = found.into_iter().next_back();
        Ok(Some(Unopened {
            harvest,
            chain,
            head: head.map(|found| Arc::new(found.record)),
            rows: rows.collect(),
        }))
    }

    pub(in crate::store) fn head(&self) -> Option<&Arc<Record>> {
        self.head.as_ref()
    }
}

impl Reading for Unopened {
    fn revisions(&self) -> (u64, u64) {
        let (oldest, newest) = (self.chain.keys().next(), self.chain.keys().next_back());
        (
            oldest.copied().unwrap_or(1),
            newest.copied().unwrap_or_default(),
        )
    }

    fn stored(&self, revision: u64) -> Result<Option<Record>, StoreError> {
        let hash = self.chain.get(&revision);
        hash.map_or(Ok(None), |hash| self.harvest.record(revision, *hash))
    }

    fn document(&self, document: &DocumentRef) -> Result<Vec<u8>, StoreError> {
        tree::read(document, &mut |digest| self.harvest.fetch(digest))
    }

    fn row(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let row = self.rows.get(&table::address(table, key));
        Ok(row.map(|row| row.value.clone()))
    }

    fn rows(&self, table: &str) -> Result<table::Pairs, StoreError> {
        let first = table::address(table, &[]);
        let rows = self.rows.range(first.clone()..);
        let rows = rows.take_while(|(address, _)| address.starts_with(&first));
        Ok(rows
            .map(|(_, row)| (row.key.clone(), row.value.clone()))
            .collect())
    }
}
