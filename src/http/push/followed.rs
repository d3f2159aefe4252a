//! What is followed: answers with their histories, brought forward together
//! when another snapshot is published.
//!
//! A change is worked out once for each answer, whoever follows it; the
//! followers of a stream each remember only how far they have come. All answers
//! move to a snapshot at one moment, so that nobody sees a cost map that is
//! newer than its network map.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use bytes::Bytes;
use rayon::prelude::*;
use tokio::sync::watch;

use crate::http::bodies::{Bodies, Representation};
use crate::http::negotiate::Coding;
use crate::http::socket::{Client, Place, Shares};
use crate::ident::Tag;
use crate::publish::{
    History, HistoryLimits, Kind, Offer, Patch, Query, QueryError, Snapshot, View, ViewName,
    about_length,
};
use crate::runtime::{Clock, Moment, Pool, PoolError, Task};

use super::settings::Settings;
use super::tokens::unguessable;

/// All that is followed.
pub struct Followed {
    state: RwLock<State>,
    /// The generation of the snapshot that everything was brought to, or could
    /// not be.
    arrived: watch::Sender<u64>,
    settings: watch::Receiver<Settings>,
    max_whole: usize,
    bodies: Arc<Bodies>,
    pool: Pool,
    clock: Clock,
    begun: Moment,
}

struct State {
    snapshot: Arc<Snapshot>,
    answers: HashMap<AnswerId, Answer>,
    known: BTreeMap<(ViewName, Query), AnswerId>,
    /// The answers that have a TIPS view, by its name.
    names: HashMap<String, AnswerId>,
    next: u64,
    /// Who was the first to follow the answers.
    shares: Arc<Shares>,
}

/// Numbers the answers that are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct AnswerId(u64);

/// An answer that is followed.
pub(super) struct Answer {
    pub(super) view: ViewName,
    pub(super) query: Query,
    pub(super) kind: Kind,
    pub(super) history: History<Arc<View>>,
    /// Why it is no more.
    pub(super) ended: Option<String>,
    /// How many follow it now, and when one did last.
    followers: usize,
    used: Duration,
    /// The name of its TIPS view, if it has one.
    name: Option<String>,
    _of_client: Option<Place>,
}

/// Follows an answer, which is kept as long.
pub(super) struct Follower {
    followed: Arc<Followed>,
    id: AnswerId,
}

/// As many answers are followed as may be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// What became of an answer from one snapshot to the next.
enum Advance {
    Same(Arc<View>),
    Changed {
        view: Arc<View>,
        patch: Patch,
        shortcut: Option<Patch>,
    },
    Ended(String),
}

impl Followed {
    /// Follows nothing yet, and `snapshots` from now on.
    pub fn start(
        mut snapshots: watch::Receiver<Arc<Snapshot>>,
        settings: watch::Receiver<Settings>,
        max_whole: usize,
        bodies: Arc<Bodies>,
        pool: Pool,
        clock: Clock,
    ) -> (Arc<Self>, Task<()>) {
        let snapshot = snapshots.borrow_and_update().clone();
        let followed = Arc::new(Self {
            arrived: watch::Sender::new(snapshot.generation),
            state: RwLock::new(State {
                snapshot,
                answers: HashMap::new(),
                known: BTreeMap::new(),
                names: HashMap::new(),
                next: 0,
                shares: Arc::default(),
            }),
            settings,
            max_whole,
            bodies,
            pool,
            begun: clock.now(),
            clock,
        });
        let this = followed.clone();
        let task = Task::spawn("updates", async move {
            let mut tags: Option<Task<()>> = None;
            while snapshots.changed().await.is_ok() {
                let snapshot = snapshots.borrow_and_update().clone();
                let generation = snapshot.generation;
                let advanced = this.advance(snapshot).await;
                this.arrived.send_replace(generation);
                if let Err(error) = advanced {
                    tracing::error!(%error, "what is followed could not be brought forward");
                    continue;
                }
                // What is older needs no tag any more.
                drop(tags.take());
                let this = this.clone();
                tags = Some(Task::spawn("tags", async move { this.find_tags().await }));
            }
        });
        (followed, task)
    }

    /// What can be followed.
    pub fn offer(&self) -> Offer {
        Offer {
            max_whole: self.max_whole,
            json_patches: self.settings.borrow().json_patches,
        }
    }

    /// The settings in force.
    pub(super) fn settings(&self) -> Settings {
        self.settings.borrow().clone()
    }

    /// Changes when everything was brought to another snapshot.
    pub(super) fn arrived(&self) -> watch::Receiver<u64> {
        self.arrived.subscribe()
    }

    /// Waits until everything was brought to the snapshot of a generation, or
    /// could not be: who has read from it is not to be shown an older one.
    pub(super) async fn reach(&self, generation: u64) {
        let mut arrived = self.arrived.subscribe();
        drop(arrived.wait_for(|at| *at >= generation).await);
    }

    /// The snapshot that everything was brought to.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.read().snapshot.clone()
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn moment(&self) -> Moment {
        self.clock.now()
    }

    /// How many answers are followed, or were a short while ago.
    pub fn count(&self) -> usize {
        self.read().answers.len()
    }

    /// Follows an answer of a view that the snapshot has.
    ///
    /// # Errors
    /// As many are followed as may be.
    pub(super) fn follow(
        self: &Arc<Self>,
        view: &ViewName,
        query: Query,
        whole: Option<usize>,
        client: Option<Client>,
    ) -> Result<Follower, Full> {
        let now = self.now();
        let settings = self.settings();
        let mut state = self.write();
        let key = (view.clone(), query);
        let known = state.known.get(&key).copied();
        let usable = known.filter(|id| state.answers[id].ended.is_none());
        let id = match usable {
            Some(id) => id,
            None => {
                let place = match state.place(client, &settings) {
                    Err(Full) => {
                        state.forget(now, settings.history_age);
                        state.place(client, &settings)?
                    }
                    Ok(place) => place,
                };
                let Some((source, resource)) = state.snapshot.view(view).and_then(|source| {
                    let resource = key.1.resource(source).ok()?;
                    Some((source.clone(), resource.clone()))
                }) else {
                    return Err(Full);
                };
                let id = AnswerId(state.next);
                state.next += 1;
                let whole = whole.unwrap_or_else(|| about_length(&source, &resource));
                let tag = tag_cell(&source, &resource.kind);
                let answer = Answer {
                    view: view.clone(),
                    query: key.1.clone(),
                    kind: resource.kind,
                    history: History::new(source, tag, whole),
                    ended: None,
                    followers: 0,
                    used: now,
                    name: None,
                    _of_client: place,
                };
                state.answers.insert(id, answer);
                state.known.insert(key, id);
                id
            }
        };
        if let Some(answer) = state.answers.get_mut(&id) {
            answer.followers += 1;
            answer.used = now;
        }
        Ok(Follower {
            followed: self.clone(),
            id,
        })
    }

    /// The name of the TIPS view of an answer, which it is given when it is first
    /// asked for: never that of another.
    pub(super) fn name(&self, id: AnswerId) -> Option<String> {
        let mut state = self.write();
        let answer = state.answers.get_mut(&id)?;
        if answer.name.is_none() {
            answer.name = Some(unguessable()?);
        }
        let name = answer.name.clone()?;
        state.names.insert(name.clone(), id);
        Some(name)
    }

    /// Follows the answer whose TIPS view has a name, unless it is no more.
    pub(super) fn named(self: &Arc<Self>, name: &str) -> Option<Follower> {
        let now = self.now();
        let mut state = self.write();
        let id = state.names.get(name).copied()?;
        let answer = state.answers.get_mut(&id)?;
        if answer.ended.is_some() {
            return None;
        }
        answer.followers += 1;
        answer.used = now;
        Some(Follower {
            followed: self.clone(),
            id,
        })
    }

    /// The whole answer as a version of the view has it.
    ///
    /// # Errors
    /// The view cannot answer.
    pub(super) async fn whole(
        &self,
        view: &Arc<View>,
        query: &Query,
    ) -> Result<Result<Bytes, QueryError>, PoolError> {
        if let Ok(resource) = query.resource(view)
            && let Some(version) = self.bodies.version(view, resource).await?
        {
            let body = self.bodies.body(view, resource, version, Coding::Identity);
            if let Some(Representation::Whole(body)) = body.await? {
                return Ok(Ok(body));
            }
        }
        let (view, query) = (view.clone(), query.clone());
        let body = self.pool.run(move || query.answer(&view)).await?;
        Ok(body.map(Bytes::from))
    }

    /// Notes how long an answer is.
    pub(super) fn note_whole(&self, id: AnswerId, length: usize) {
        if let Some(answer) = self.write().answers.get_mut(&id) {
            answer.history.note_whole(length);
        }
    }

    /// Brings everything to a snapshot.
    async fn advance(&self, snapshot: Arc<Snapshot>) -> Result<(), PoolError> {
        let mut advances: HashMap<AnswerId, Advance> = HashMap::new();
        loop {
            let work = {
                let mut state = self.write();
                let work = state.behind(&snapshot, &advances);
                if work.is_empty() {
                    let (now, limits) = (self.now(), self.settings().history());
                    for (id, advance) in advances.drain() {
                        if let Some(answer) = state.answers.get_mut(&id) {
                            answer.advance(advance, now, limits);
                        }
                    }
                    state.snapshot = snapshot;
                    state.forget(now, limits.age);
                    break;
                }
                work
            };
            let offer = self.offer();
            let done = self.pool.run(move || {
                let work = work.into_par_iter();
                let done = work.map(|(id, work)| (id, work.advance(&offer)));
                done.collect::<Vec<_>>()
            });
            advances.extend(done.await?);
        }
        Ok(())
    }

    /// Finds the tags of the newest versions, by which clients that come back
    /// say what they have.
    async fn find_tags(&self) {
        let maps: Vec<(Arc<View>, Query, Arc<OnceLock<Tag>>)> = {
            let state = self.read();
            let answers = state.answers.values().filter(|a| a.ended.is_none());
            answers.filter_map(Answer::untagged).collect()
        };
        for (view, query, cell) in maps {
            if let Ok(resource) = query.resource(&view)
                && let Ok(Some(version)) = self.bodies.version(&view, resource).await
            {
                cell.get_or_init(|| version.tag.clone());
            }
        }
    }

    /// Finds the tag of the newest version of an answer, if it has one.
    pub(super) async fn find_tag(&self, id: AnswerId) {
        let untagged = self.read().answers.get(&id).and_then(Answer::untagged);
        if let Some((view, query, cell)) = untagged
            && let Ok(resource) = query.resource(&view)
            && let Ok(Some(version)) = self.bodies.version(&view, resource).await
        {
            cell.get_or_init(|| version.tag.clone());
        }
    }

    /// The time since it began.
    fn now(&self) -> Duration {
        self.clock.now().since(self.begun)
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at several answers at one moment.
    pub(super) fn look<T>(&self, look: impl FnOnce(Answers<'_>) -> T) -> T {
        look(Answers(&self.read()))
    }
}

/// What is followed, at one moment.
#[derive(Clone, Copy)]
pub(super) struct Answers<'s>(&'s State);

impl<'s> Answers<'s> {
    /// The snapshot that all are at.
    pub(super) fn snapshot(self) -> &'s Snapshot {
        &self.0.snapshot
    }

    pub(super) fn get(self, id: AnswerId) -> Option<&'s Answer> {
        self.0.answers.get(&id)
    }
}

impl State {
    /// The answers that are not at a snapshot, and whose advance to it is not
    /// known.
    fn behind(
        &mut self,
        snapshot: &Arc<Snapshot>,
        known: &HashMap<AnswerId, Advance>,
    ) -> Vec<(AnswerId, Work)> {
        let answers = self.answers.iter();
        let behind = answers.filter_map(|(id, answer)| {
            let old = answer.history.newest().filter(|_| answer.ended.is_none())?;
            let new = snapshot.view(&answer.view);
            let same = new.is_some_and(|new| Arc::ptr_eq(old, new));
            (!same && !known.contains_key(id)).then(|| {
                let work = Work {
                    old: old.clone(),
                    new: new.cloned(),
                    shortcut_from: answer.history.shortcut_from().cloned(),
                    query: answer.query.clone(),
                };
                (*id, work)
            })
        });
        behind.collect()
    }

    /// A place for an answer, of the client that is the first to follow it.
    fn place(&self, client: Option<Client>, settings: &Settings) -> Result<Option<Place>, Full> {
        if self.answers.len() >= settings.max_followed {
            return Err(Full);
        }
        let take = |client| self.shares.take(client, settings.max_per_client);
        client.map(|client| take(client).ok_or(Full)).transpose()
    }

    /// Forgets the answers that nobody has followed for a time, and those that
    /// are no more.
    fn forget(&mut self, now: Duration, age: Duration) {
        self.answers.retain(|_, answer| {
            let unused = now.saturating_sub(answer.used) > age || answer.ended.is_some();
            answer.followers > 0 || !unused
        });
        let answers = &self.answers;
        self.known.retain(|_, id| answers.contains_key(id));
        self.names.retain(|_, id| answers.contains_key(id));
    }
}

/// An answer that is to be brought to another snapshot.
struct Work {
    old: Arc<View>,
    new: Option<Arc<View>>,
    shortcut_from: Option<Arc<View>>,
    query: Query,
}

impl Work {
    fn advance(self, offer: &Offer) -> Advance {
        let Some(view) = self.new else {
            return Advance::Ended(format!("there is no view {} any more", self.old.name()));
        };
        let Ok(resource) = self.query.resource(&view) else {
            return Advance::Ended(QueryError::Gone.to_string());
        };
        if !offer.has(&view, resource) {
            return Advance::Ended(
                "the map has grown too large to be followed; follow a filtered one".into(),
            );
        }
        let forms = offer.forms(&resource.kind);
        let changes = |from: &Arc<View>| self.query.changes(from, &view, forms);
        match changes(&self.old) {
            Err(error) => Advance::Ended(error.to_string()),
            Ok(None) => Advance::Same(view),
            Ok(Some(patch)) => {
                let shortcut = self.shortcut_from.as_ref().map(changes);
                Advance::Changed {
                    patch,
                    shortcut: shortcut.and_then(Result::ok).flatten(),
                    view,
                }
            }
        }
    }
}

impl Answer {
    fn advance(&mut self, advance: Advance, now: Duration, limits: HistoryLimits) {
        match advance {
            Advance::Same(view) => self.history.renew(view),
            Advance::Changed {
                view,
                patch,
                shortcut,
            } => {
                let tag = tag_cell(&view, &self.kind);
                self.history.push((view, tag), patch, shortcut, now, limits);
            }
            Advance::Ended(why) => self.ended = Some(why),
        }
    }

    /// The newest version, if it has a tag that is not known yet.
    fn untagged(&self) -> Option<(Arc<View>, Query, Arc<OnceLock<Tag>>)> {
        let view = self.history.newest()?;
        let cell = self.history.newest_tag()?;
        let is_map = matches!(self.kind, Kind::CostMap(_));
        (is_map && cell.get().is_none()).then(|| (view.clone(), self.query.clone(), cell.clone()))
    }
}

/// Where the tag of an answer is kept; that of a network map is known.
fn tag_cell(view: &View, kind: &Kind) -> Arc<OnceLock<Tag>> {
    let cell = Arc::new(OnceLock::new());
    if *kind == Kind::NetworkMap {
        cell.get_or_init(|| view.network().tag().clone());
    }
    cell
}

impl Follower {
    pub(super) fn id(&self) -> AnswerId {
        self.id
    }

    /// Looks at the answer.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Answer) -> T) -> Option<T> {
        self.followed.look(|answers| answers.get(self.id).map(look))
    }

    /// The whole answer as a version of the view has it.
    ///
    /// # Errors
    /// The view cannot answer.
    pub(super) async fn whole(
        &self,
        view: &Arc<View>,
    ) -> Result<Result<Bytes, QueryError>, PoolError> {
        let Some(query) = self.look(|answer| answer.query.clone()) else {
            return Ok(Err(QueryError::Gone));
        };
        // Boxed, since every stream has room for what it may wait for, and few
        // wait for this.
        let whole = Box::pin(self.followed.whole(view, &query)).await?;
        if let Ok(whole) = &whole {
            self.followed.note_whole(self.id, whole.len());
        }
        Ok(whole)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let now = self.followed.now();
        if let Some(answer) = self.followed.write().answers.get_mut(&self.id) {
            answer.followers = answer.followers.saturating_sub(1);
            answer.used = now;
        }
    }
}
