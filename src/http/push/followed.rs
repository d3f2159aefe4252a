//! What is followed: answers with their histories, brought forward together
//! when another snapshot is published.
//!
//! A change is worked out once for each answer, whoever follows it; the
//! followers of a stream each remember only how far they have come. All answers
//! move to a snapshot at one moment, so that nobody sees a cost map that is
//! newer than its network map.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use rayon::prelude::*;
use tokio::sync::watch;

use crate::alto::meta::CostMode;
use crate::http::bodies::Bodies;
use crate::http::socket::{Client, Place, Shares};
use crate::ident::Tag;
use crate::publish::{
    Change, History, HistoryLimits, Kind, Offer, Patch, Query, QueryError, Snapshot, View,
    ViewName, Work,
};
use crate::runtime::{Clock, Moment, Pool, PoolError, Task};

use super::follower::Follower;
use super::moves::{AnswerId, Moved, Moves};
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
    looks: AtomicU64,
}

struct State {
    snapshot: Arc<Snapshot>,
    /// What moved with the last snapshots.
    moves: Moves,
    answers: HashMap<AnswerId, Answer>,
    known: BTreeMap<(ViewName, Query), AnswerId>,
    /// The answers that have a TIPS view, by its name.
    names: HashMap<String, AnswerId>,
    next: u64,
    /// Who was the first to follow the answers, and how many cells they have.
    shares: Arc<Shares>,
    cell_shares: Arc<Shares>,
    /// The cells of all answers.
    cells: u64,
    /// The bytes that the histories keep, of patches and of data.
    kept: usize,
}

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
    /// How many cells count for it; none if it costs what changes of it, whatever its size.
    cells: u64,
    _of_client: Option<[Place; 2]>,
}

/// As many answers are followed as may be, or as many cells.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// What is to be followed.
pub(super) struct Wanted<'a> {
    pub(super) view: &'a ViewName,
    pub(super) query: Query,
    /// What the answer takes.
    pub(super) work: Work,
    /// Who follows it; none is counted if it is a peer.
    pub(super) client: Option<Client>,
}

/// An answer, brought to another snapshot.
struct Advanced {
    advance: Advance,
    /// How many cells it has there.
    cells: u64,
}

/// What became of an answer from one snapshot to the next.
enum Advance {
    Same(Arc<View>),
    Changed {
        view: Arc<View>,
        patch: Patch,
        shortcut: Option<Patch>,
    },
    /// So much changed that it is sent whole.
    Replaced(Arc<View>),
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
                moves: Moves::default(),
                answers: HashMap::new(),
                known: BTreeMap::new(),
                names: HashMap::new(),
                next: 0,
                shares: Arc::default(),
                cell_shares: Arc::default(),
                cells: 0,
                kept: 0,
            }),
            settings,
            max_whole,
            bodies,
            pool,
            begun: clock.now(),
            clock,
            looks: AtomicU64::new(0),
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

    /// The bodies of full maps.
    pub(super) fn bodies(&self) -> &Arc<Bodies> {
        &self.bodies
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

    /// The cells of all that is followed.
    pub fn cells(&self) -> u64 {
        self.read().cells
    }

    /// The bytes that the histories keep: patches, and the data of views that are not the newest.
    pub fn kept_bytes(&self) -> usize {
        self.read().kept
    }

    /// How often a substream was looked at for something to send.
    pub fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }

    /// Counts a look at a substream.
    pub(super) fn count_look(&self) {
        self.looks.fetch_add(1, Ordering::Relaxed);
    }

    /// Follows an answer of a view that the snapshot has.
    ///
    /// # Errors
    /// As much is followed as may be.
    pub(super) fn follow(self: &Arc<Self>, wanted: Wanted<'_>) -> Result<Follower, Full> {
        let now = self.now();
        let settings = self.settings();
        let mut state = self.write();
        let Wanted {
            view,
            query,
            work,
            client,
        } = wanted;
        let key = (view.clone(), query);
        let known = state.known.get(&key).copied();
        let usable = known.filter(|id| state.answers[id].ended.is_none());
        let id = match usable {
            Some(id) => id,
            None => {
                let Some((source, resource)) = state.snapshot.view(view).and_then(|source| {
                    let resource = key.1.resource(source).ok()?;
                    Some((source.clone(), resource.clone()))
                }) else {
                    return Err(Full);
                };
                let is_counted = client.is_some() && !costs_its_changes(&resource.kind);
                let cells = if is_counted { work.cells } else { 0 };
                let place = match state.place(client, cells, &settings) {
                    Err(Full) => {
                        state.forget(now, settings.history_age);
                        state.place(client, cells, &settings)?
                    }
                    Ok(place) => place,
                };
                let id = AnswerId(state.next);
                state.next += 1;
                let whole = usize::try_from(work.bytes).unwrap_or(usize::MAX);
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
                    cells,
                    _of_client: place,
                };
                state.cells += cells;
                state.answers.insert(id, answer);
                state.known.insert(key, id);
                id
            }
        };
        if let Some(answer) = state.answers.get_mut(&id) {
            answer.followers += 1;
            answer.used = now;
        }
        Ok(Follower::new(self.clone(), id))
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
        Some(Follower::new(self.clone(), id))
    }

    /// Notes how long an answer is.
    pub(super) fn note_whole(&self, id: AnswerId, length: usize) {
        if let Some(answer) = self.write().answers.get_mut(&id) {
            answer.history.note_whole(length);
        }
    }

    /// Brings everything to a snapshot.
    async fn advance(&self, snapshot: Arc<Snapshot>) -> Result<(), PoolError> {
        let mut advances: HashMap<AnswerId, Advanced> = HashMap::new();
        // The patches that wait for the moment when all answers move.
        let left = Arc::new(AtomicUsize::new(self.settings().max_history_bytes));
        loop {
            let work = {
                let mut state = self.write();
                let work = state.behind(&snapshot, &advances);
                if work.is_empty() {
                    state.move_to(snapshot, advances, self.now(), &self.settings());
                    break;
                }
                work
            };
            let terms = Terms {
                offer: self.offer(),
                settings: self.settings(),
                left: left.clone(),
            };
            let done = self.pool.run(move || {
                let work = work.into_par_iter();
                let done = work.map(|(id, work)| (id, work.advance(&terms)));
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
                && let Ok(Some(version)) = self.bodies.version_alone(&view, resource).await
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
            && let Ok(Some(version)) = self.bodies.version_alone(&view, resource).await
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

    /// One follows an answer no more.
    pub(super) fn leave(&self, id: AnswerId) {
        let now = self.now();
        if let Some(answer) = self.write().answers.get_mut(&id) {
            answer.followers = answer.followers.saturating_sub(1);
            answer.used = now;
        }
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

    /// What moved with the last snapshots.
    pub(super) fn moves(self) -> &'s Moves {
        &self.0.moves
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
        known: &HashMap<AnswerId, Advanced>,
    ) -> Vec<(AnswerId, Behind)> {
        let answers = self.answers.iter();
        let behind = answers.filter_map(|(id, answer)| {
            let old = answer.history.newest().filter(|_| answer.ended.is_none())?;
            let new = snapshot.view(&answer.view);
            let same = new.is_some_and(|new| Arc::ptr_eq(old, new));
            (!same && !known.contains_key(id)).then(|| {
                let work = Behind {
                    old: old.clone(),
                    new: new.cloned(),
                    shortcut_from: answer.history.shortcut_from().cloned(),
                    query: answer.query.clone(),
                    cells: answer.cells,
                };
                (*id, work)
            })
        });
        behind.collect()
    }

    /// A place for an answer of so many cells, of the client that is the first to follow it.
    fn place(
        &self,
        client: Option<Client>,
        cells: u64,
        settings: &Settings,
    ) -> Result<Option<[Place; 2]>, Full> {
        if self.answers.len() >= settings.max_followed
            || self.cells.saturating_add(cells) > settings.max_followed_cells
        {
            return Err(Full);
        }
        let as_count = |cells: u64| usize::try_from(cells).unwrap_or(usize::MAX);
        let take = |client| {
            let most = as_count(settings.max_cells_per_client);
            let place = self.shares.take(client, settings.max_per_client)?;
            let cells = self.cell_shares.take_some(client, as_count(cells), most)?;
            Some([place, cells])
        };
        client.map(|client| take(client).ok_or(Full)).transpose()
    }

    /// Moves every answer to a snapshot, at one moment.
    fn move_to(
        &mut self,
        snapshot: Arc<Snapshot>,
        advances: HashMap<AnswerId, Advanced>,
        now: Duration,
        settings: &Settings,
    ) {
        let mut moved = Moved::between(&self.snapshot.manifests, &snapshot.manifests);
        for (id, Advanced { advance, cells }) in advances {
            if let Some(answer) = self.answers.get_mut(&id) {
                if answer.advance(advance, now, settings.history()) {
                    moved.answers.push(id);
                }
                answer.cells = cells;
            }
        }
        self.snapshot = snapshot;
        self.forget(now, settings.history_age);
        self.bound(settings.max_history_bytes, &mut moved);
        self.moves.push(moved);
    }

    /// Forgets old versions, the oldest of every answer first, until the histories keep no more
    /// than `most` bytes. Their summaries are others then.
    fn bound(&mut self, most: usize, moved: &mut Moved) {
        loop {
            self.kept = self.patches() + self.pinned();
            if self.kept <= most {
                return;
            }
            let before = moved.answers.len();
            for (id, answer) in &mut self.answers {
                if answer.history.forget_oldest() {
                    moved.answers.push(*id);
                }
            }
            if moved.answers.len() == before {
                return;
            }
        }
    }

    /// The bytes of all patches.
    fn patches(&self) -> usize {
        let histories = self.answers.values().map(|answer| &answer.history);
        histories.map(History::bytes).sum()
    }

    /// The bytes of data that are in memory only since older versions are kept whole. Views are
    /// shared by the answers of them.
    fn pinned(&self) -> usize {
        let histories = self.answers.values().map(|answer| &answer.history);
        let views = histories.flat_map(History::snapshots);
        let old: HashMap<*const View, &Arc<View>> =
            views.map(|view| (Arc::as_ptr(view), view)).collect();
        let bytes = |view: &&Arc<View>| match self.snapshot.view(view.name()) {
            Some(newest) => view.bytes_beside(Some(newest)),
            None => 0,
        };
        old.values().map(bytes).sum()
    }

    /// Forgets the answers that nobody has followed for a time, and those that
    /// are no more.
    fn forget(&mut self, now: Duration, age: Duration) {
        self.answers.retain(|_, answer| {
            let unused = now.saturating_sub(answer.used) > age || answer.ended.is_some();
            answer.followers > 0 || !unused
        });
        self.cells = self.answers.values().map(|answer| answer.cells).sum();
        let answers = &self.answers;
        self.known.retain(|_, id| answers.contains_key(id));
        self.names.retain(|_, id| answers.contains_key(id));
    }
}

/// An answer that is to be brought to another snapshot.
struct Behind {
    old: Arc<View>,
    new: Option<Arc<View>>,
    shortcut_from: Option<Arc<View>>,
    query: Query,
    cells: u64,
}

/// On which terms answers are brought forward.
struct Terms {
    offer: Offer,
    settings: Settings,
    /// The bytes that further patches may have.
    left: Arc<AtomicUsize>,
}

impl Behind {
    fn advance(self, terms: &Terms) -> Advanced {
        let cells = self.cells_now();
        let most = terms.settings.max_cells_per_client;
        if cells > self.cells && cells > most {
            let why = format!(
                "the answer has grown to {cells} cells; at most {most} are followed \
                 (updates.max_cells_per_client): follow a smaller one"
            );
            let advance = Advance::Ended(why);
            return Advanced { advance, cells };
        }
        let advance = self.change(terms);
        Advanced { advance, cells }
    }

    /// How many cells the answer has in the new view. Only another number of PIDs makes another
    /// number of cells.
    fn cells_now(&self) -> u64 {
        let pids = |view: &View| view.network().pids().len();
        match &self.new {
            Some(new) if self.cells > 0 && pids(new) != pids(&self.old) => {
                let rendering = self.query.rendering(new);
                rendering.map_or(self.cells, |rendering| rendering.work().cells)
            }
            _ => self.cells,
        }
    }

    fn change(self, terms: &Terms) -> Advance {
        let Some(view) = self.new else {
            return Advance::Ended(format!("there is no view {} any more", self.old.name()));
        };
        let Ok(resource) = self.query.resource(&view) else {
            return Advance::Ended(QueryError::Gone.to_string());
        };
        if !terms.offer.has(&view, resource) {
            return Advance::Ended(
                "the map has grown too large to be followed; follow a filtered one".into(),
            );
        }
        let forms = terms.offer.forms(&resource.kind);
        let changes = |from: &Arc<View>| {
            let most = terms.left.load(Ordering::Relaxed);
            let most = most.min(terms.settings.history_bytes);
            let change = self.query.changes(from, &view, forms, most);
            if let Ok(Change::Patch(patch)) = &change {
                let length = patch.text.len();
                let less = |left: usize| Some(left.saturating_sub(length));
                // Threads that end at once may take a little more than is left.
                let _ = terms
                    .left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            }
            change
        };
        match changes(&self.old) {
            Err(error) => Advance::Ended(error.to_string()),
            Ok(Change::Same) => Advance::Same(view),
            Ok(Change::TooLong) => Advance::Replaced(view),
            Ok(Change::Patch(patch)) => {
                let shortcut = self.shortcut_from.as_ref().map(changes);
                Advance::Changed {
                    patch,
                    shortcut: match shortcut {
                        Some(Ok(Change::Patch(shortcut))) => Some(shortcut),
                        _ => None,
                    },
                    view,
                }
            }
        }
    }
}

impl Answer {
    /// Brings it forward; whether there is something for who follows it.
    fn advance(&mut self, advance: Advance, now: Duration, limits: HistoryLimits) -> bool {
        match advance {
            Advance::Same(view) => {
                self.history.renew(view);
                return false;
            }
            Advance::Changed {
                view,
                patch,
                shortcut,
            } => {
                let tag = tag_cell(&view, &self.kind);
                self.history.push((view, tag), patch, shortcut, now, limits);
            }
            Advance::Replaced(view) => {
                let tag = tag_cell(&view, &self.kind);
                self.history.restart(view, tag);
            }
            Advance::Ended(why) => self.ended = Some(why),
        }
        true
    }

    /// The newest version, if it has a tag that is not known yet.
    fn untagged(&self) -> Option<(Arc<View>, Query, Arc<OnceLock<Tag>>)> {
        let view = self.history.newest()?;
        let cell = self.history.newest_tag()?;
        let is_map = matches!(self.kind, Kind::CostMap(_));
        (is_map && cell.get().is_none()).then(|| (view.clone(), self.query.clone(), cell.clone()))
    }
}

/// Whether bringing an answer forward takes what changed of it and no more: a full map of costs as
/// they are is compared by the rows that its versions share, and ranks depend on all of them.
fn costs_its_changes(kind: &Kind) -> bool {
    match kind {
        Kind::CostMap(cost_type) => cost_type.cost_mode == CostMode::Numerical,
        kind => *kind == Kind::NetworkMap,
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
