//! The ledger: the one place where facts are changed.
//!
//! Writes are judged one after the other against the facts as the writes
//! before them leave them, numbered, and handed to the store in that order.
//! The store commits many at once; each is acknowledged when it is durable.
//! A write that was accepted and is not yet durable is never seen by readers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot, watch};

use crate::brake::Verdict;
use crate::facts::{DocumentPath, Facts, Text};
use crate::ident::{SourceName, Tag};
use crate::runtime::{Clock, Pool, Task};
use crate::store::{Commit, Opened, Record, Room, Store, StoreError, Submitted, Table};

use super::at_revision::FactsAtRevision;
use super::held::{HeldSource, HeldSources, judge_source};
use super::keys::{Keys, Known};
use super::load::{LoadError, account, documents, load};
use super::operation::{Change, Operation};
use super::revision::{Account, MAX_LISTED};
use super::transaction::{Applied, Replacements, apply, replace};
use super::write::{Changes, Outcome, Rules, Write, WriteError};
use crate::api::n2s::OperationSummary;

const KEYS: Table = Table::new("idempotency");

/// The facts, and the right to change them.
pub struct Ledger {
    store: Store,
    pool: Pool,
    clock: Clock,
    rules: watch::Receiver<Arc<Rules>>,
    state: Mutex<State>,
    durable: watch::Receiver<FactsAtRevision>,
    accepted: mpsc::Sender<Accepted>,
    stuck: watch::Receiver<bool>,
    held: HeldSources,
    _acknowledger: Task<()>,
}

/// How long the disk may take to make a write durable. A disk that hangs gives
/// no error; a node that waits for it takes writes that it cannot keep.
const DURABLE_WITHIN: Duration = Duration::from_secs(60);

/// What the next write is judged against.
struct State {
    newest: FactsAtRevision,
    stated: BTreeMap<String, u64>,
    keys: Keys,
}

/// A write on its way to the disk.
struct Accepted {
    pending: Submitted,
    after: FactsAtRevision,
    answer: oneshot::Sender<Result<(), StoreError>>,
}

impl Ledger {
    /// A ledger over an opened store.
    ///
    /// # Errors
    /// What is stored cannot be read.
    pub async fn open(
        opened: &Opened,
        rules: watch::Receiver<Arc<Rules>>,
        pool: Pool,
        clock: Clock,
    ) -> Result<Self, LoadError> {
        let store = opened.store.clone();
        let (facts, stated) = match &opened.head {
            Some(head) => load(&store, head, &rules.borrow().clone(), &pool).await?,
            None => (Facts::default(), BTreeMap::new()),
        };
        let keys = Keys::load(store.table_scan(KEYS).await?);
        let policy = rules.borrow().policy.clone();
        let newest = pool
            .run(move || FactsAtRevision::new(Arc::new(facts), policy))
            .await?;
        let (announce, durable) = watch::channel(newest.clone());
        let (accepted, waiting) = mpsc::channel(1024);
        let (stop, stuck) = watch::channel(false);
        let acknowledging = acknowledge(waiting, announce, clock.clone(), stop);
        Ok(Self {
            store,
            pool,
            clock,
            rules,
            state: Mutex::new(State {
                newest,
                stated,
                keys,
            }),
            durable,
            accepted,
            stuck,
            held: HeldSources::default(),
            _acknowledger: Task::spawn("acknowledger", acknowledging),
        })
    }

    /// The facts that are durable, and each later state of them.
    pub fn durable(&self) -> watch::Receiver<FactsAtRevision> {
        self.durable.clone()
    }

    /// How much room there is for writes.
    pub fn room(&self) -> &Room {
        self.store.room()
    }

    /// Comes back when a write was not made durable in time: nothing more can
    /// be kept, and the node must end.
    pub async fn stuck(&self) {
        if self.stuck.clone().wait_for(|stuck| *stuck).await.is_err() {
            std::future::pending().await
        }
    }

    /// The rules in force.
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.borrow().clone()
    }

    /// The tag of a revision, for conditions on transactions.
    pub fn revision_tag(revision: u64) -> Tag {
        Tag::new(&format!("r{revision}")).expect("a letter and digits are a tag")
    }

    /// Does a write, and answers when it is durable. If it was not given up before its turn
    /// came, it is done to its end even if nobody waits for the answer any more.
    ///
    /// # Errors
    /// It was refused, and nothing changed; or the store failed, and the node
    /// must end.
    pub async fn write(self: &Arc<Self>, write: Write) -> Result<Outcome, WriteError> {
        let ledger = self.clone();
        let writing = tokio::spawn(async move { ledger.write_to_end(write).await });
        writing
            .await
            .unwrap_or_else(|failed| Err(WriteError::Panicked(failed.to_string())))
    }

    async fn write_to_end(&self, write: Write) -> Result<Outcome, WriteError> {
        let old = match &write.change {
            Changes::Restore(revision) => self.documents_of(*revision).await?,
            _ => Replacements::new(),
        };
        let mut state = self.state.lock().await;
        if !write.dry_run && !write.threshold.cross() {
            return Err(WriteError::GivenUp);
        }
        let now = self.clock.wall();
        if let Some(key) = &write.key {
            let share = self.rules.borrow().limits.max_keys;
            match state.keys.find(key, share, now) {
                Known::New => {}
                Known::Answered(outcome) => {
                    drop(state);
                    return self.when_durable(outcome).await;
                }
                Known::Other => return Err(WriteError::KeyReused),
                Known::Full(wait) => {
                    return Err(WriteError::KeysFull {
                        principal: key.principal.clone(),
                        share,
                        wait,
                    });
                }
            }
        }
        if !write.dry_run {
            self.room().check_facts()?;
        }
        let current = subject_tag(&state.newest, &write);
        if !write.condition.holds(current.as_ref()) {
            return Err(WriteError::Precondition);
        }
        if let Changes::Document(operation) = &write.change
            && matches!(operation.change, Change::Delete)
            && current.is_none()
        {
            return Err(WriteError::NoDocument(write.source, operation.path.clone()));
        }
        let mut account = Account {
            time: now.to_string(),
            principal: write.principal.to_string(),
            source: write.source.to_string(),
            operations: summary(&write.change),
            changed: Vec::new(),
            restored: match write.change {
                Changes::Restore(revision) => Some(revision),
                _ => None,
            },
            stated: state.stated.clone(),
        };
        let subject = match &write.change {
            Changes::Document(operation) => Some(operation.path.clone()),
            _ => None,
        };
        let mut applied = self
            .apply(&state.newest, &write.source, write.change, old)
            .await?;
        let is_restored = account.restored.is_some();
        let mut is_anew = write.accepted;
        if !write.accepted && !is_restored && !applied.changed.is_empty() {
            let facts = (&state.newest.facts, &applied.after.facts);
            is_anew = self.brake(&write.source, facts, write.dry_run).await?;
        }
        let outcome = outcome_of(&applied, &write.source, subject.as_ref());
        if write.dry_run {
            return Ok(outcome);
        }
        let keeping = write.key.map(|key| state.keys.keeping(&key, &outcome, now));
        let rows = keeping.iter().flat_map(|keeping| keeping.rows.clone());
        let table: Vec<_> = rows.map(|(key, value)| (KEYS, key, value)).collect();
        if applied.changed.is_empty() {
            if let Some(keeping) = keeping {
                self.store.put(table).await?;
                state.keys.keep(keeping);
            }
            drop(state);
            return self.when_durable(outcome).await;
        }
        Arc::make_mut(&mut applied.after.facts).accepted = Some(now);
        let revision = applied.after.facts.revision;
        let mut documents = Vec::with_capacity(applied.changed.len());
        for (owner, path, text) in applied.changed {
            let name = path.stored_as(&owner);
            match &text {
                Some(_) => account.stated.insert(name.clone(), revision),
                None => account.stated.remove(&name),
            };
            account.changed.push(name.clone());
            documents.push((name, text.map(Text::into_rows)));
        }
        let commit = Commit {
            revision,
            body: serde_json::to_vec(&account).unwrap_or_default(),
            documents,
            table,
        };
        commit
            .check(state.stated.len())
            .map_err(WriteError::TooMuch)?;
        let place = self
            .accepted
            .reserve()
            .await
            .map_err(|_| StoreError::Closed)?;
        let pending = self.store.submit(commit).await?;
        let (answer, acknowledged) = oneshot::channel();
        place.send(Accepted {
            pending,
            after: applied.after.clone(),
            answer,
        });
        let before = std::mem::replace(&mut state.newest, applied.after);
        if !is_restored && self.rules.borrow().brakes.contains_key(&write.source) {
            let before = before.facts.sources.get(&write.source).cloned();
            let now = self.clock.now();
            self.held
                .taken(&write.source, before.unwrap_or_default(), is_anew, now);
        }
        state.stated = account.stated;
        // Only now: an answer that is remembered is one that the store was given.
        if let Some(keeping) = keeping {
            state.keys.keep(keeping);
        }
        drop(state);
        match acknowledged.await {
            Ok(Ok(())) => {
                let (principal, source) = (&write.principal, &write.source);
                tracing::info!(%principal, %source, revision, changed = ?outcome.changed, "written");
                Ok(outcome)
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(StoreError::Closed.into()),
        }
    }

    /// The sources whose writes are refused since they take too much.
    pub fn held(&self) -> BTreeMap<SourceName, HeldSource> {
        self.held.shown(&self.rules.borrow().brakes, &self.clock)
    }

    /// Whether what a source stated before need not be compared any more once it
    /// states what it states after a write.
    ///
    /// # Errors
    /// The write takes too much.
    async fn brake(
        &self,
        source: &SourceName,
        (before, after): (&Arc<Facts>, &Arc<Facts>),
        is_dry: bool,
    ) -> Result<bool, WriteError> {
        let Some(brake) = self.rules.borrow().brakes.get(source).copied() else {
            return Ok(true);
        };
        let of = |facts: &Facts| facts.sources.get(source).cloned().unwrap_or_default();
        let (before, after) = (of(before), of(after));
        let reference = self.held.reference(source, self.clock.now());
        let judging = self
            .pool
            .run(move || judge_source(&before, reference.as_ref(), &after, &brake));
        let difference = match judging.await? {
            Verdict::Pass { grows } => return Ok(grows),
            Verdict::Held(difference) => difference,
        };
        let clock = &self.clock;
        match self.held.refuses(source, &brake, difference, is_dry, clock) {
            Some(held) => Err(WriteError::Held(Box::new(held))),
            None => Ok(true),
        }
    }

    async fn apply(
        &self,
        current: &FactsAtRevision,
        source: &SourceName,
        change: Changes,
        old: Replacements,
    ) -> Result<Applied, WriteError> {
        let (rules, current, source) = (self.rules(), current.clone(), source.clone());
        let applied = self.pool.run(move || {
            let current = current.under(&rules.policy);
            let operations = match change {
                Changes::Document(operation) => vec![operation],
                Changes::Transaction(operations) => operations,
                Changes::Restore(_) => {
                    let documents = replacements(&current, old);
                    return replace(&current, &rules.limits, documents, None, &BTreeMap::new());
                }
            };
            apply(&current, &rules.limits, &source, operations)
        });
        Ok(applied.await??)
    }

    /// The accounts of the revisions after one, oldest first; of those that
    /// are still kept.
    ///
    /// # Errors
    /// The store failed.
    pub async fn revisions(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Account)>, WriteError> {
        let mut after = after;
        let records = loop {
            match self.store.records(after, limit).await {
                Err(StoreError::Pruned { oldest, .. }) => after = oldest.saturating_sub(1),
                records => break records?,
            }
        };
        Ok(records
            .iter()
            .filter_map(|record| Some((record.revision, account(record)?)))
            .collect())
    }

    /// The account of a revision.
    ///
    /// # Errors
    /// There is no such revision, or it is no longer kept.
    pub async fn revision(&self, revision: u64) -> Result<Account, WriteError> {
        let record = self.record(revision).await?;
        account(&record)
            .ok_or_else(|| WriteError::NotFound(format!("revision {revision} has no account")))
    }

    async fn record(&self, revision: u64) -> Result<Record, WriteError> {
        self.store
            .record(revision)
            .await
            .map_err(|error| match error {
                StoreError::Unknown { .. } => WriteError::NotFound(error.to_string()),
                StoreError::Pruned { .. } => WriteError::Gone(error.to_string()),
                error => WriteError::Store(error),
            })
    }

    /// The documents as they stood after a revision.
    async fn documents_of(&self, revision: u64) -> Result<Replacements, WriteError> {
        let record = self.record(revision).await?;
        let rules = self.rules();
        documents(&self.store, &record, &rules, &self.pool)
            .await
            .map_err(|error| match error {
                LoadError::Store(error) => WriteError::Store(error),
                LoadError::Pool(error) => WriteError::Pool(error),
                error => WriteError::Gone(error.to_string()),
            })
    }

    /// The answer, once what it says is durable.
    async fn when_durable(&self, outcome: Outcome) -> Result<Outcome, WriteError> {
        let mut durable = self.durable.clone();
        let reached = |current: &FactsAtRevision| current.facts.revision >= outcome.revision;
        match durable.wait_for(reached).await {
            Ok(_) => Ok(outcome),
            Err(_) => Err(StoreError::Closed.into()),
        }
    }
}

/// Tells of each write, in order, that it is durable; ends with the first that
/// does not become so in time.
async fn acknowledge(
    mut waiting: mpsc::Receiver<Accepted>,
    durable: watch::Sender<FactsAtRevision>,
    clock: Clock,
    stuck: watch::Sender<bool>,
) {
    while let Some(accepted) = waiting.recv().await {
        let Ok(outcome) = clock
            .timeout(DURABLE_WITHIN, accepted.pending.durable())
            .await
        else {
            tracing::error!(
                "a write was not durable within {} s",
                DURABLE_WITHIN.as_secs()
            );
            stuck.send_replace(true);
            return;
        };
        let failed = outcome.is_err();
        if !failed {
            durable.send_replace(accepted.after);
        }
        // Who wrote may have stopped waiting.
        let _ = accepted.answer.send(outcome.map(|_| ()));
        if failed {
            return;
        }
    }
}

/// The tag of what a write's condition is on.
fn subject_tag(current: &FactsAtRevision, write: &Write) -> Option<Tag> {
    match &write.change {
        Changes::Document(operation) => {
            let facts = current.facts.sources.get(&write.source)?;
            Some(facts.get(&operation.path)?.tag.clone())
        }
        Changes::Transaction(_) | Changes::Restore(_) => {
            Some(Ledger::revision_tag(current.facts.revision))
        }
    }
}

fn summary(changes: &Changes) -> Vec<OperationSummary> {
    let of = |operation: &Operation| OperationSummary {
        op: operation.change.kind().as_str().to_owned(),
        path: operation.path.to_string(),
    };
    match changes {
        Changes::Document(operation) => vec![of(operation)],
        Changes::Transaction(operations) => operations.iter().take(MAX_LISTED).map(of).collect(),
        Changes::Restore(revision) => vec![OperationSummary {
            op: "restore".to_owned(),
            path: format!("revisions/{revision}"),
        }],
    }
}

fn outcome_of(applied: &Applied, source: &SourceName, subject: Option<&DocumentPath>) -> Outcome {
    let named = |(owner, path, _): &(SourceName, DocumentPath, _)| {
        if owner == source {
            path.to_string()
        } else {
            path.stored_as(owner)
        }
    };
    Outcome {
        revision: applied.after.facts.revision,
        changed: applied.changed.iter().map(named).collect(),
        warnings: applied.warnings.clone(),
        created: applied.created,
        tag: subject.and_then(|path| {
            let facts = applied.after.facts.sources.get(source)?;
            Some(facts.get(path)?.tag.clone())
        }),
    }
}

/// What makes the facts those of `documents`: they are stated, all others go.
fn replacements(current: &FactsAtRevision, mut documents: Replacements) -> Replacements {
    for (source, facts) in &current.facts.sources {
        for (path, _) in facts.documents() {
            let key = (source.clone(), path.clone());
            documents.entry(key).or_insert(None);
        }
    }
    documents
}
