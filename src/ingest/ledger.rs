//! The ledger: the one place where facts are changed.
//!
//! Writes are judged one after the other, each against the facts after the writes before it. They
//! are numbered and handed to the store in that order. The store commits many at once, and each
//! is acknowledged when it is durable. Readers never see a write that is accepted and not yet
//! durable.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use crate::brake::Verdict;
use crate::facts::{Facts, Text};
use crate::ident::SourceName;
use crate::runtime::{Clock, Pool, Task};
use crate::store::{Commit, Opened, Room, Store, StoreError, Table};

use super::acknowledge::{Accepted, acknowledge};
use super::at_revision::FactsAtRevision;
use super::held::{HeldSource, HeldSources, judge_source};
use super::key::IdempotencyKey;
use super::keys::{Keeping, Keys, Known};
use super::load::{LoadError, documents, load};
use super::revision::{Account, accounts, record};
use super::transaction::{Applied, Replacements, apply, restore};
use super::write::{Changes, Outcome, Rules, Write, WriteError};

const KEYS: Table = Table::new("idempotency");

/// The facts, and the only way to change them.
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

/// What the next write is judged against.
struct State {
    newest: FactsAtRevision,
    stated: BTreeMap<String, u64>,
    keys: Keys,
}

/// A write that was judged and can be handed to the store.
struct Judged {
    source: SourceName,
    applied: Applied,
    outcome: Outcome,
    account: Account,
    /// Whether the brake compares later writes with what the source states after this one.
    is_anew: bool,
}

impl Ledger {
    /// Opens the ledger over an opened store, and loads its facts.
    ///
    /// # Errors
    /// The stored facts cannot be read.
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

    /// Returns a receiver of the newest durable facts.
    pub fn durable(&self) -> watch::Receiver<FactsAtRevision> {
        self.durable.clone()
    }

    /// Returns how much room the disk has for writes.
    pub fn room(&self) -> &Room {
        self.store.room()
    }

    /// Returns once a write was not made durable in time: no further write can be kept, and the
    /// node must end.
    pub async fn stuck(&self) {
        if self.stuck.clone().wait_for(|stuck| *stuck).await.is_err() {
            std::future::pending().await
        }
    }

    /// Returns the rules in force.
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.borrow().clone()
    }

    /// Executes a write, and returns once it is durable. A write that was not given up before its
    /// turn is completed even if nobody waits for the answer any more.
    ///
    /// # Errors
    /// The write was refused and nothing changed; or the store failed and the node must end.
    pub async fn write(self: &Arc<Self>, write: Write) -> Result<Outcome, WriteError> {
        let ledger = self.clone();
        let writing = tokio::spawn(async move { ledger.write_to_end(write).await });
        writing
            .await
            .unwrap_or_else(|failed| Err(WriteError::Panicked(failed.to_string())))
    }

    async fn write_to_end(&self, mut write: Write) -> Result<Outcome, WriteError> {
        let old = match &write.change {
            Changes::Restore(revision) => self.documents_of(*revision).await?,
            _ => Replacements::new(),
        };
        let mut state = self.state.lock().await;
        if !write.dry_run && !write.threshold.cross() {
            return Err(WriteError::GivenUp);
        }
        let now = self.clock.wall();
        let (key, is_dry) = (write.key.take(), write.dry_run);
        if let Some(key) = &key
            && let Some(outcome) = self.answer_before(&state.keys, key, now)?
        {
            drop(state);
            return self.when_durable(outcome).await;
        }
        let judged = self.judge(&state, write, old, now).await?;
        let outcome = judged.outcome.clone();
        if is_dry {
            return Ok(outcome);
        }
        let keeping = key.map(|key| state.keys.keeping(&key, &outcome, now));
        if judged.applied.changed.is_empty() {
            if let Some(keeping) = keeping {
                self.store.put(rows_of(Some(&keeping))).await?;
                state.keys.keep(keeping);
            }
            drop(state);
            return self.when_durable(outcome).await;
        }
        let (principal, source) = (judged.account.principal.clone(), judged.source.clone());
        let acknowledged = self.submit(&mut state, judged, keeping, now).await?;
        drop(state);
        acknowledged.await.unwrap_or(Err(StoreError::Closed))?;
        let (revision, changed) = (outcome.revision, &outcome.changed);
        tracing::info!(%principal, %source, revision, ?changed, "written");
        Ok(outcome)
    }

    /// Returns the answer that was given to a request with this key before.
    ///
    /// # Errors
    /// The key was given with another request, or the share of its principal is used up.
    fn answer_before(
        &self,
        keys: &Keys,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<Option<Outcome>, WriteError> {
        let share = self.rules.borrow().limits.max_keys;
        match keys.find(key, share, now) {
            Known::New => Ok(None),
            Known::Answered(outcome) => Ok(Some(outcome)),
            Known::Other => Err(WriteError::KeyReused),
            Known::Full(wait) => Err(WriteError::KeysFull {
                principal: key.principal.clone(),
                share,
                wait,
            }),
        }
    }

    /// Applies a write to the newest facts and judges it.
    ///
    /// # Errors
    /// The write is refused.
    async fn judge(
        &self,
        state: &State,
        write: Write,
        old: Replacements,
        now: Timestamp,
    ) -> Result<Judged, WriteError> {
        if !write.dry_run {
            self.room().check_facts()?;
        }
        write.check_subject(&state.newest)?;
        let account = Account::new(&write, now, state.stated.clone());
        let subject = match &write.change {
            Changes::Document(operation) => Some(operation.path.clone()),
            _ => None,
        };
        let source = write.source;
        let applied = self
            .apply(&state.newest, &source, write.change, old)
            .await?;
        let is_braked =
            !write.accepted && account.restored.is_none() && !applied.changed.is_empty();
        let is_anew = if is_braked {
            let (before, after) = (&state.newest.facts, &applied.after.facts);
            self.brake(&source, before, after, write.dry_run).await?
        } else {
            write.accepted
        };
        Ok(Judged {
            outcome: applied.outcome(&source, subject.as_ref()),
            source,
            applied,
            account,
            is_anew,
        })
    }

    /// Hands a write to the store; from then on, writes are judged against the facts after it.
    /// The receiver gets the outcome once the write is durable.
    ///
    /// # Errors
    /// The write is more than the store takes, and nothing changed; or the store failed.
    async fn submit(
        &self,
        state: &mut State,
        judged: Judged,
        keeping: Option<Keeping>,
        now: Timestamp,
    ) -> Result<oneshot::Receiver<Result<(), StoreError>>, WriteError> {
        let Judged {
            source,
            mut applied,
            mut account,
            is_anew,
            ..
        } = judged;
        Arc::make_mut(&mut applied.after.facts).accepted = Some(now);
        let revision = applied.after.facts.revision;
        let mut documents = Vec::with_capacity(applied.changed.len());
        for changed in applied.changed {
            let name = changed.path.stored_as(&changed.source);
            account.note(&name, revision, changed.text.is_some());
            documents.push((name, changed.text.map(Text::into_rows)));
        }
        let commit = Commit {
            revision,
            body: serde_json::to_vec(&account).unwrap_or_default(),
            documents,
            table: rows_of(keeping.as_ref()),
        };
        commit
            .check(state.stated.len())
            .map_err(WriteError::TooMuch)?;
        let place = self.accepted.reserve().await;
        let place = place.map_err(|_| StoreError::Closed)?;
        let pending = self.store.submit(commit).await?;
        let (answer, acknowledged) = oneshot::channel();
        place.send(Accepted {
            pending,
            after: applied.after.clone(),
            answer,
        });
        let before = std::mem::replace(&mut state.newest, applied.after);
        if account.restored.is_none() && self.rules.borrow().brakes.contains_key(&source) {
            let before = before.facts.sources.get(&source).cloned();
            let now = self.clock.now();
            self.held
                .taken(&source, before.unwrap_or_default(), is_anew, now);
        }
        state.stated = account.stated;
        // Only now, so that every remembered answer is one that the store was given.
        if let Some(keeping) = keeping {
            state.keys.keep(keeping);
        }
        Ok(acknowledged)
    }

    /// Returns the sources whose writes are refused because they remove too much.
    pub fn held(&self) -> BTreeMap<SourceName, HeldSource> {
        self.held.shown(&self.rules.borrow().brakes, &self.clock)
    }

    /// Judges how much a write removes. Returns whether later writes are to be compared only with
    /// what the source states after this one.
    ///
    /// # Errors
    /// The write removes too much.
    async fn brake(
        &self,
        source: &SourceName,
        before: &Facts,
        after: &Facts,
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
                Changes::Restore(_) => return restore(&current, &rules.limits, old),
            };
            apply(&current, &rules.limits, &source, operations)
        });
        Ok(applied.await??)
    }

    /// Returns the accounts of up to `limit` revisions after `after`, the oldest first. Revisions
    /// that are no longer kept are left out.
    ///
    /// # Errors
    /// The store failed.
    pub async fn revisions(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Account)>, WriteError> {
        accounts(&self.store, after, limit).await
    }

    /// Returns the account of a revision.
    ///
    /// # Errors
    /// There is no such revision, or it is no longer kept.
    pub async fn revision(&self, revision: u64) -> Result<Account, WriteError> {
        let record = record(&self.store, revision).await?;
        Account::read(&record)
            .ok_or_else(|| WriteError::NotFound(format!("revision {revision} has no account")))
    }

    /// Returns every document as it was after a revision.
    async fn documents_of(&self, revision: u64) -> Result<Replacements, WriteError> {
        let record = record(&self.store, revision).await?;
        let rules = self.rules();
        documents(&self.store, &record, &rules, &self.pool)
            .await
            .map_err(|error| match error {
                LoadError::Store(error) => WriteError::Store(error),
                LoadError::Pool(error) => WriteError::Pool(error),
                error => WriteError::Gone(error.to_string()),
            })
    }

    /// Returns the answer once the revision in it is durable.
    async fn when_durable(&self, outcome: Outcome) -> Result<Outcome, WriteError> {
        let mut durable = self.durable.clone();
        let reached = |current: &FactsAtRevision| current.facts.revision >= outcome.revision;
        match durable.wait_for(reached).await {
            Ok(_) => Ok(outcome),
            Err(_) => Err(StoreError::Closed.into()),
        }
    }
}

/// Returns the changes of the side table that keep an answer.
fn rows_of(keeping: Option<&Keeping>) -> Vec<(Table, Vec<u8>, Option<Vec<u8>>)> {
    let rows = keeping.into_iter().flat_map(|keeping| &keeping.rows);
    rows.map(|(key, value)| (KEYS, key.clone(), value.clone()))
        .collect()
}
