//! Loading facts from the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::facts::{DocumentPath, Facts, Limits, Reader, Stated};
use crate::runtime::{Pool, PoolError};
use crate::store::{Record, Store, StoreError};

use super::revision::Account;
use super::transaction::Replacements;
use super::write::Rules;

/// Why stored facts could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored document cannot be used.
    #[error(
        "the stored document {name:?} cannot be used: {reason}; check with `altofed store verify`"
    )]
    Document {
        /// The name of the document.
        name: String,
        /// Why it cannot be used.
        reason: String,
    },
    /// The account of the newest revision cannot be read.
    #[error("the account of revision {0} cannot be read; check with `altofed store verify`")]
    Account(u64),
    /// A task on the pool failed.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

/// Loads the facts of the newest record, and for each document the revision that stated it last.
pub(super) async fn load(
    store: &Store,
    head: &Record,
    rules: &Arc<Rules>,
    pool: &Pool,
) -> Result<(Facts, BTreeMap<String, u64>), LoadError> {
    let account = Account::read(head).ok_or(LoadError::Account(head.revision))?;
    let (stated, accepted) = (account.stated, account.time.parse().ok());
    let documents = documents(store, head, rules, pool).await?;
    let since = stated.clone();
    let revision = head.revision;
    let facts = pool.run(move || {
        let mut facts = Facts {
            revision,
            accepted,
            ..Facts::default()
        };
        for ((source, path), document) in documents {
            let Some(document) = document else { continue };
            let since = since
                .get(&path.stored_as(&source))
                .copied()
                .unwrap_or(revision);
            let tag = document.text().tag().clone();
            let stated = facts.sources.entry(source).or_default();
            let document = Stated {
                document,
                revision: since,
                tag,
            };
            stated.state(path, Some(document));
        }
        facts
    });
    Ok((facts.await?, stated))
}

/// Loads every document that a record names.
pub(super) async fn documents(
    store: &Store,
    record: &Record,
    rules: &Arc<Rules>,
    pool: &Pool,
) -> Result<Replacements, LoadError> {
    let mut documents = Replacements::new();
    for (name, reference) in &record.documents {
        let bytes = store.document(reference).await?;
        let refuse = |reason: String| LoadError::Document {
            name: name.clone(),
            reason,
        };
        let key = DocumentPath::parse_stored(name).ok_or_else(|| refuse("unknown name".into()))?;
        let (path, rules) = (key.1.clone(), rules.clone());
        let read = pool.run(move || {
            let reader = Reader {
                domain: &rules.policy.domain,
                limits: &Limits::none(),
            };
            path.read(reader, Vec::new(), &bytes)
        });
        let document = read.await?.map_err(|faults| refuse(faults.to_string()))?;
        documents.insert(key, Some(document));
    }
    Ok(documents)
}
