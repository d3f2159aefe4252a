//! Keeps what of the federation survives a restart.
//!
//! Small facts are rows of the store's side tables; manifests and maps are blobs. Of each domain
//! that a peer passes on, the documents of the last manifests are kept, so that whoever read one
//! of those manifests can get what it names.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::api::s2s::SpokenProtocol;
use crate::federation::manifest::{KeySet, KnownKeys, Mark, MarkName};
use crate::ident::{Digest, DomainLabel};
use crate::store::{BlobReader, Blobs, Store, StoreError, Table};

use super::amount::Amount;
use super::copy::CopyName;
use super::held::HeldRow;
use super::holdings::{Holding, Holdings, KEPT_MANIFESTS};

/// The most rows that are dropped in one write.
const ROWS_AT_A_TIME: usize = 64;

/// The serial of our last manifest.
const OWN: Table = Table::new("federation-own");
/// The newest manifests seen: `domain/kid`.
const SERIALS: Table = Table::new("federation-serials");
/// Keys: `domain` for those that the domain showed, `domain/peer` for those that a peer vouched
/// for.
const KEYS: Table = Table::new("federation-keys");
/// Peers: `peer`.
const PEERS: Table = Table::new("federation-peers");
/// Copies: `peer/domain`.
const COPIES: Table = Table::new("federation-copies");
/// Held changes: `peer/domain`.
const HELD: Table = Table::new("federation-held");

/// The federation's part of the store, which lasts from one run to the next.
pub struct Archive {
    store: Store,
    blobs: Blobs,
    copies: Mutex<CopyRows>,
}

/// What is kept of all copies.
struct CopyRows {
    rows: BTreeMap<CopyName, CopyRow>,
    /// The copies with a held change.
    held: BTreeSet<CopyName>,
    /// What the manifests name. It is read when it is first needed.
    holdings: Option<Holdings>,
    /// Blobs that were written or are to be dropped, and that perhaps nothing needs.
    loose: Vec<Digest>,
}

/// What is kept of a domain that a peer passes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct CopyRow {
    /// The domains that it came through.
    path: Vec<DomainLabel>,
    /// The last manifests, the newest first.
    manifests: Vec<Digest>,
    /// Whether they are signed. We write those of plain domains ourselves.
    signed: bool,
    /// How much it takes.
    #[serde(default)]
    takes: Amount,
}

/// What is kept of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRow {
    /// When it was last read.
    pub synced: Timestamp,
    /// The protocol that was spoken.
    pub protocol: SpokenProtocol,
}

/// What an earlier run kept, besides copies.
#[derive(Debug, Default)]
pub struct Kept {
    /// The serial of our last manifest, 0 before the first.
    pub serial: u64,
    /// The newest manifest seen under each key.
    pub(in crate::federation) marks: Vec<(MarkName, Mark)>,
    /// The keys of domains.
    pub keys: BTreeMap<DomainLabel, KnownKeys>,
    /// The peers.
    pub peers: BTreeMap<DomainLabel, PeerRow>,
    /// The held changes.
    pub held: BTreeMap<CopyName, HeldRow>,
}

/// A domain as a peer passed it on last.
#[derive(Debug)]
pub struct KeptCopy {
    /// Its name.
    pub name: CopyName,
    /// The domains that it came through.
    pub path: Vec<DomainLabel>,
    /// The newest manifest: a compact JWS, or the document itself if it is not signed.
    pub manifest: Bytes,
    /// Whether it is signed.
    pub signed: bool,
}

/// A domain as a peer passes it on now, to be kept.
#[derive(Debug)]
pub struct NewCopy {
    /// The domains that it came through.
    pub path: Vec<DomainLabel>,
    /// Its manifest: a compact JWS, or the document itself if it is not signed.
    pub manifest: Bytes,
    /// Whether it is signed.
    pub signed: bool,
    /// How much it takes.
    pub takes: Amount,
    /// The documents that the manifest names and that are not kept yet.
    pub documents: Vec<Bytes>,
}

impl Archive {
    /// Opens the federation's part of the store and returns what is kept in it. A row that
    /// cannot be read is skipped with a warning: peers have it, or it is learned again.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn open(store: &Store) -> Result<(Self, Kept), StoreError> {
        let mut kept = Kept::default();
        for (_, serial) in rows::<u64>(store, OWN).await? {
            kept.serial = kept.serial.max(serial);
        }
        for (name, mark) in rows(store, SERIALS).await? {
            if let Some((domain, kid)) = name.split_once('/')
                && let Ok(domain) = DomainLabel::new(domain)
            {
                let kid = kid.to_owned();
                kept.marks.push((MarkName { domain, kid }, mark));
            }
        }
        for (name, keys) in rows::<KeySet>(store, KEYS).await? {
            match labels(&name) {
                (Some(domain), None) => kept.keys.entry(domain).or_default().direct = keys,
                (Some(domain), Some(peer)) => {
                    let known = kept.keys.entry(domain).or_default();
                    known.vouched.insert(peer, keys);
                }
                _ => {}
            }
        }
        for (name, peer) in rows(store, PEERS).await? {
            if let Ok(label) = DomainLabel::new(&name) {
                kept.peers.insert(label, peer);
            }
        }
        let mut copies = BTreeMap::new();
        for (name, row) in rows::<CopyRow>(store, COPIES).await? {
            if let (Some(sender), Some(domain)) = labels(&name) {
                copies.insert(CopyName { sender, domain }, row);
            }
        }
        for (name, row) in rows::<HeldRow>(store, HELD).await? {
            if let (Some(sender), Some(domain)) = labels(&name) {
                kept.held.insert(CopyName { sender, domain }, row);
            }
        }
        let archive = Self {
            blobs: store.blobs().clone(),
            store: store.clone(),
            copies: Mutex::new(CopyRows {
                rows: copies,
                held: kept.held.keys().cloned().collect(),
                holdings: None,
                loose: Vec::new(),
            }),
        };
        Ok((archive, kept))
    }

    /// Returns the wanted ones of the domains that a peer passed on last. A copy whose manifest
    /// is gone is left out.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn kept_copies(
        &self,
        sender: &DomainLabel,
        is_wanted: impl Fn(&CopyName) -> bool,
    ) -> Result<Vec<KeptCopy>, StoreError> {
        let mut kept = Vec::new();
        let is_wanted = |name: &CopyName| name.sender == *sender && is_wanted(name);
        for (name, row) in &self.copies.lock().await.rows {
            let Some(newest) = row.manifests.first().filter(|_| is_wanted(name)) else {
                continue;
            };
            kept.extend(self.blobs.get(newest).await?.map(|manifest| KeptCopy {
                name: name.clone(),
                path: row.path.clone(),
                manifest,
                signed: row.signed,
            }));
        }
        Ok(kept)
    }

    /// Keeps the serial of our own manifest.
    ///
    /// # Errors
    /// The store failed.
    pub async fn keep_serial(&self, serial: u64) -> Result<(), StoreError> {
        self.store
            .put(vec![(OWN, b"serial".to_vec(), Some(json(&serial)))])
            .await
    }

    /// Keeps the newest manifest seen under a key.
    ///
    /// # Errors
    /// The store failed.
    pub(in crate::federation) async fn keep_mark(
        &self,
        name: &MarkName,
        mark: &Mark,
    ) -> Result<(), StoreError> {
        let row = (SERIALS, row_of(name), Some(json(mark)));
        self.store.put(vec![row]).await
    }

    /// Forgets the newest manifests seen under these keys.
    ///
    /// # Errors
    /// The store failed.
    pub(in crate::federation) async fn drop_marks(
        &self,
        names: &[MarkName],
    ) -> Result<(), StoreError> {
        for names in names.chunks(ROWS_AT_A_TIME) {
            let rows = names.iter().map(|name| (SERIALS, row_of(name), None));
            self.store.put(rows.collect()).await?;
        }
        Ok(())
    }

    /// Keeps the keys of a domain: writes the sets that changed.
    ///
    /// # Errors
    /// The store failed.
    pub async fn keep_keys(
        &self,
        domain: &DomainLabel,
        before: &KnownKeys,
        after: &KnownKeys,
    ) -> Result<(), StoreError> {
        let row = |name: String, set: &KeySet| {
            let value = (!set.is_empty()).then(|| json(set));
            (KEYS, name.into_bytes(), value)
        };
        let mut changes = Vec::new();
        if before.direct != after.direct {
            changes.push(row(domain.to_string(), &after.direct));
        }
        let none = KeySet::default();
        let peers: HashSet<_> = before.vouched.keys().chain(after.vouched.keys()).collect();
        for peer in peers {
            let set = |keys: &'_ KnownKeys| keys.vouched.get(peer).cloned();
            if set(before) != set(after) {
                let set = after.vouched.get(peer).unwrap_or(&none);
                changes.push(row(format!("{domain}/{peer}"), set));
            }
        }
        // One at a time, since a set of rows without a revision is small.
        for change in changes {
            self.store.put(vec![change]).await?;
        }
        Ok(())
    }

    /// Keeps when a peer was read, and by which protocol.
    ///
    /// # Errors
    /// The store failed.
    pub async fn keep_peer(&self, peer: &DomainLabel, row: &PeerRow) -> Result<(), StoreError> {
        let key = peer.to_string().into_bytes();
        self.store.put(vec![(PEERS, key, Some(json(row)))]).await
    }

    /// Checks that the disk has room for bodies of this many bytes in all.
    ///
    /// # Errors
    /// There is no room.
    pub fn check_room(&self, bytes: u64) -> Result<(), StoreError> {
        self.store.room().check_blobs(bytes)
    }

    /// Keeps a manifest, and those of the bodies that it names that are new. Drops the bodies of
    /// the manifests before the last few, and before that those of earlier manifests that would
    /// exceed what the peer is charged for.
    ///
    /// # Errors
    /// The store failed.
    pub async fn keep_copy(&self, name: &CopyName, copy: NewCopy) -> Result<(), StoreError> {
        let NewCopy {
            path,
            manifest,
            signed,
            takes,
            documents,
        } = copy;
        // The lock is held until the row is written, since what no row names is swept away.
        let mut copies = self.copies.lock().await;
        let CopyRows {
            rows,
            holdings,
            loose,
            ..
        } = &mut *copies;
        let holdings = self.read(rows, holdings).await?;
        for document in documents {
            loose.push(self.blobs.put(document).await?);
        }
        let newest = self.blobs.put(manifest.clone()).await?;
        loose.push(newest);
        let mut manifests = rows
            .get(name)
            .map_or(Vec::new(), |row| row.manifests.clone());
        manifests.retain(|manifest| *manifest != newest);
        let holding = match holdings.holding(&newest) {
            Some(holding) => holding.clone(),
            None => Holding::read(&manifest),
        };
        let fitting = holdings.fitting(&holding, &manifests);
        let oldest = manifests.split_off(fitting.min(KEPT_MANIFESTS - 1));
        manifests.insert(0, newest);
        let row = CopyRow {
            path,
            manifests,
            signed,
            takes,
        };
        self.write(name, Some(&row)).await?;
        rows.insert(name.clone(), row);
        holdings.add(name, newest, holding);
        loose.extend(oldest.iter().flat_map(|old| holdings.remove(name, old)));
        self.drop_loose(holdings, loose).await
    }

    /// Drops all copies that `has` does not know any more, and all held changes that `has_held`
    /// does not.
    ///
    /// # Errors
    /// The store failed.
    pub(in crate::federation) async fn retain(
        &self,
        has: impl Fn(&CopyName) -> bool,
        has_held: impl Fn(&CopyName) -> bool,
    ) -> Result<(), StoreError> {
        let mut copies = self.copies.lock().await;
        let CopyRows {
            rows,
            held,
            holdings,
            loose,
        } = &mut *copies;
        // This is asked again for each one when it is dropped, since it may have been taken
        // again meanwhile.
        for name in held.iter().cloned().collect::<Vec<_>>() {
            if !has_held(&name) {
                self.store.put(vec![(HELD, name.key(), None)]).await?;
                held.remove(&name);
            }
        }
        let names: Vec<_> = rows.keys().filter(|name| !has(name)).cloned().collect();
        if names.is_empty() && loose.is_empty() {
            return Ok(());
        }
        let holdings = self.read(rows, holdings).await?;
        for name in names {
            if has(&name) {
                continue;
            }
            self.write(&name, None).await?;
            let gone = rows.remove(&name).map(|row| row.manifests);
            for manifest in gone.unwrap_or_default() {
                loose.extend(holdings.remove(&name, &manifest));
            }
        }
        self.drop_loose(holdings, loose).await
    }

    /// Drops those of the loose blobs that nothing needs. They stay in the list until they are
    /// gone: a call that is stopped in the middle leaves them to the next.
    async fn drop_loose(
        &self,
        holdings: &Holdings,
        loose: &mut Vec<Digest>,
    ) -> Result<(), StoreError> {
        loose.retain(|digest| !holdings.needs(digest));
        self.blobs.remove(loose.clone()).await?;
        loose.clear();
        Ok(())
    }

    /// Returns the kept copies and how much each takes; 0 if that is not known.
    pub async fn takes(&self) -> BTreeMap<CopyName, Amount> {
        let copies = self.copies.lock().await;
        let rows = copies.rows.iter();
        rows.map(|(name, row)| (name.clone(), row.takes)).collect()
    }

    /// Keeps a held change.
    ///
    /// # Errors
    /// The store failed.
    pub async fn keep_held(&self, name: &CopyName, row: &HeldRow) -> Result<(), StoreError> {
        let mut copies = self.copies.lock().await;
        let row = Some(json(row));
        self.store.put(vec![(HELD, name.key(), row)]).await?;
        copies.held.insert(name.clone());
        Ok(())
    }

    /// Drops the held change of a copy, if there is one.
    ///
    /// # Errors
    /// The store failed.
    pub async fn drop_held(&self, name: &CopyName) -> Result<(), StoreError> {
        let mut copies = self.copies.lock().await;
        if copies.held.contains(name) {
            self.store.put(vec![(HELD, name.key(), None)]).await?;
            copies.held.remove(name);
        }
        Ok(())
    }

    /// Returns a blob.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn blob(&self, digest: &Digest) -> Result<Option<Bytes>, StoreError> {
        self.blobs.get(digest).await
    }

    /// Returns a reader of a blob that is to be sent.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn blob_reader(&self, digest: &Digest) -> Result<Option<BlobReader>, StoreError> {
        self.blobs.reader(digest).await
    }

    /// Returns the copies that name a digest in one of their last manifests, each with the media
    /// type that it states.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn named(&self, digest: &Digest) -> Result<Vec<(CopyName, String)>, StoreError> {
        let mut copies = self.copies.lock().await;
        let CopyRows { rows, holdings, .. } = &mut *copies;
        let holdings = self.read(rows, holdings).await?;
        Ok(holdings.holders(digest))
    }

    /// Returns what the manifests of these rows name; reads it the first time. Blobs that
    /// nothing names are left from a crash, and dropped then.
    async fn read<'k>(
        &self,
        rows: &BTreeMap<CopyName, CopyRow>,
        holdings: &'k mut Option<Holdings>,
    ) -> Result<&'k mut Holdings, StoreError> {
        if holdings.is_none() {
            let mut read = Holdings::default();
            for (name, row) in rows {
                for manifest in &row.manifests {
                    let holding = if read.has(manifest) {
                        Holding::default()
                    } else {
                        let text = self.blobs.get(manifest).await?;
                        text.map_or_else(Holding::default, |text| Holding::read(&text))
                    };
                    read.add(name, *manifest, holding);
                }
            }
            self.blobs.retain(read.blobs()).await?;
            *holdings = Some(read);
        }
        Ok(holdings.get_or_insert_default())
    }

    async fn write(&self, name: &CopyName, row: Option<&CopyRow>) -> Result<(), StoreError> {
        let row = row.map(json);
        self.store.put(vec![(COPIES, name.key(), row)]).await
    }
}

/// Reads the rows of a table, with their names. Rows that cannot be read are skipped with a
/// warning.
async fn rows<T: DeserializeOwned>(
    store: &Store,
    table: Table,
) -> Result<Vec<(String, T)>, StoreError> {
    let mut read = Vec::new();
    for (key, value) in store.table_scan(table).await? {
        let row = serde_json::from_slice(&value).ok();
        match String::from_utf8(key).ok().zip(row) {
            Some(row) => read.push(row),
            None => tracing::warn!(table = table.name(), "a row cannot be read; passed over"),
        }
    }
    Ok(read)
}

/// Returns the labels in the name of a row: one, or two with a slash between them.
fn labels(name: &str) -> (Option<DomainLabel>, Option<DomainLabel>) {
    match name.split_once('/') {
        Some((first, second)) => match (DomainLabel::new(first), DomainLabel::new(second)) {
            (Ok(first), Ok(second)) => (Some(first), Some(second)),
            _ => (None, None),
        },
        None => (DomainLabel::new(name).ok(), None),
    }
}

fn row_of(name: &MarkName) -> Vec<u8> {
    format!("{}/{}", name.domain, name.kid).into_bytes()
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;
