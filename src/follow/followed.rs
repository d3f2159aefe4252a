//! The followed answers and their histories, which advance together when there is another
//! edition.
//!
//! A change is computed once for each answer, whoever follows it; a stream only remembers how
//! far it has come with each answer. All answers move to an edition at one moment, so that
//! nobody sees a cost map that is newer than its network map.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use rayon::prelude::*;
use tokio::sync::watch;

use crate::publish::{PushOffer, Query};
use crate::render::Bodies;
use crate::runtime::{Clock, Moment, Pool, PoolError, Task};

use super::advance::{Advance, Terms};
use super::edition::Edition;
use super::kept::{self, Owned};
use super::moves::{AnswerId, Moved};
use super::settings::Settings;
use super::state::{AllAnswers, Answer, Full, State, Untagged, Wanted};
use super::status::Status;
use super::tokens::unguessable;

/// All followed answers.
pub struct Followed {
    state: RwLock<State>,
    /// The generation of the last edition that was handled: all answers have advanced to it, or
    /// could not.
    arrived: watch::Sender<u64>,
    settings: watch::Receiver<Settings>,
    max_whole: usize,
    bodies: Arc<Bodies>,
    pool: Pool,
    clock: Clock,
    begun: Moment,
    looks: AtomicU64,
}

impl Followed {
    /// Creates an empty set of followed answers, and a task that advances it with `editions`.
    pub fn start<E: Clone + Into<Edition> + Send + Sync + 'static>(
        mut editions: watch::Receiver<E>,
        settings: watch::Receiver<Settings>,
        max_whole: usize,
        bodies: Arc<Bodies>,
        pool: Pool,
        clock: Clock,
    ) -> (Arc<Self>, Task<()>) {
        let edition: Edition = editions.borrow_and_update().clone().into();
        let followed = Arc::new(Self {
            arrived: watch::Sender::new(edition.generation),
            state: RwLock::new(State::new(edition)),
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
            let _tags = Task::spawn("tags", this.clone().find_tags());
            while editions.changed().await.is_ok() {
                let edition: Edition = editions.borrow_and_update().clone().into();
                let generation = edition.generation;
                if let Err(error) = this.advance(edition).await {
                    tracing::error!(%error, "the followed answers could not be updated");
                }
                this.arrived.send_replace(generation);
            }
        });
        (followed, task)
    }

    /// Returns what can be followed.
    pub fn offer(&self) -> PushOffer {
        PushOffer {
            max_whole: self.max_whole,
            json_patches: self.settings.borrow().json_patches,
        }
    }

    /// Returns the settings in force.
    pub fn settings(&self) -> Settings {
        self.settings.borrow().clone()
    }

    /// Returns a channel that changes when another edition was handled; it has the generation.
    pub fn arrived(&self) -> watch::Receiver<u64> {
        self.arrived.subscribe()
    }

    /// Waits until the edition of a generation was handled. A client that has read from that
    /// edition must not be shown an older one.
    pub async fn reach(&self, generation: u64) {
        let mut arrived = self.arrived.subscribe();
        drop(arrived.wait_for(|at| *at >= generation).await);
    }

    /// Returns the edition that all answers are at.
    pub fn edition(&self) -> Edition {
        self.read().edition.clone()
    }

    /// Returns the bodies of full maps.
    pub fn bodies(&self) -> &Arc<Bodies> {
        &self.bodies
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    pub fn moment(&self) -> Moment {
        self.clock.now()
    }

    /// Returns how much is followed now.
    pub fn status(&self) -> Status {
        let state = self.read();
        Status {
            answers: state.answers.len(),
            cells: state.cells.all(),
            history_bytes: state.kept,
            looks: self.looks.load(Ordering::Relaxed),
        }
    }

    /// Counts a check of a substream.
    pub fn count_look(&self) {
        self.looks.fetch_add(1, Ordering::Relaxed);
    }

    /// Follows an answer of a view that the edition has.
    ///
    /// # Errors
    /// The limit of followed answers or cells is reached.
    pub fn follow(self: &Arc<Self>, wanted: Wanted<'_>) -> Result<Follower, Full> {
        let settings = self.settings();
        let id = self.write().follow(wanted, self.now(), &settings)?;
        Ok(Follower {
            followed: self.clone(),
            id,
        })
    }

    /// Returns the name of the TIPS view of an answer, which it is given at the first call: a
    /// name that no other ever has. None if the answer is gone, or there is no randomness for a
    /// name.
    pub fn name(&self, id: AnswerId) -> Option<String> {
        let mut state = self.write();
        let answer = state.answers.get_mut(&id)?;
        if answer.name.is_none() {
            answer.name = Some(unguessable()?);
        }
        let name = answer.name.clone()?;
        state.names.insert(name.clone(), id);
        Some(name)
    }

    /// Follows the answer whose TIPS view has this name, unless the answer has ended.
    pub fn named(self: &Arc<Self>, name: &str) -> Option<Follower> {
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

    /// Notes the length of the whole answer, in bytes.
    pub fn note_whole(&self, id: AnswerId, length: usize) {
        if let Some(answer) = self.write().answers.get_mut(&id) {
            answer.history.note_whole(length);
        }
    }

    /// Advances all answers to an edition.
    async fn advance(&self, edition: Edition) -> Result<(), PoolError> {
        let mut advances: HashMap<AnswerId, Advance> = HashMap::new();
        // The budget for patches that wait until all answers move.
        let left = Arc::new(AtomicUsize::new(self.settings().max_history_bytes));
        loop {
            let behind = {
                let mut state = self.write();
                let behind = state.behind(&edition, &advances);
                if behind.is_empty() {
                    state.move_to(edition, advances, self.now(), &self.settings());
                    break;
                }
                behind
            };
            // The new sizes are known before anything is compared.
            let sized = self.pool.run(move || {
                let behind = behind.into_par_iter();
                let sized = behind.map(|(id, behind)| (id, behind.cells_now(), behind));
                sized.collect::<Vec<_>>()
            });
            let sized = sized.await?;
            let over = self.write().resize(&sized, &self.settings());
            advances.extend(over.into_iter().map(|(id, why)| (id, Advance::Ended(why))));
            let work = sized.into_iter().map(|(id, _, behind)| (id, behind));
            let work: Vec<_> = work.filter(|(id, _)| !advances.contains_key(id)).collect();
            let terms = Terms {
                offer: self.offer(),
                settings: self.settings(),
                left: left.clone(),
            };
            let done = self.pool.run(move || {
                let work = work.into_par_iter();
                let done = work.map(|(id, behind)| (id, behind.advance(&terms)));
                done.collect::<Vec<_>>()
            });
            advances.extend(done.await?);
        }
        self.bound().await
    }

    /// Forgets old versions until the histories keep no more than they may. The answers that
    /// lose versions count as moved, since their summaries change.
    async fn bound(&self) -> Result<(), PoolError> {
        let (old, edition) = {
            let state = self.read();
            let histories = state.answers.values().map(|answer| &answer.history);
            (
                kept::older(histories, &state.edition),
                state.edition.clone(),
            )
        };
        let sizes = self.pool.run(move || kept::sizes(old, &edition)).await?;
        let most = self.settings().max_history_bytes;
        let mut state = self.write();
        let State {
            answers,
            moves,
            kept,
            ..
        } = &mut *state;
        let owned = answers.iter_mut().map(|(id, answer)| Owned {
            id: *id,
            owner: answer.owner,
            history: &mut answer.history,
        });
        let (forgotten, bytes) = kept::bound(owned.collect(), &sizes, most);
        *kept = bytes;
        if !forgotten.is_empty() {
            moves.push(Moved {
                answers: forgotten,
                ..Moved::default()
            });
        }
        Ok(())
    }

    /// Finds the tags of the newest versions whenever an edition was handled; by these tags
    /// clients that return say what they have. The task rests for as long as it worked: where
    /// changes come faster than they can be hashed, some versions get no tag.
    async fn find_tags(self: Arc<Self>) {
        let mut arrived = self.arrived();
        while arrived.changed().await.is_ok() {
            let begun = self.moment();
            let untagged: Vec<_> = {
                let state = self.read();
                let answers = state.answers.values().filter(|a| a.ended.is_none());
                answers.filter_map(Answer::untagged).collect()
            };
            for untagged in untagged {
                self.tag(untagged).await;
            }
            let worked = self.moment().since(begun);
            self.clock.sleep_until(self.moment() + worked).await;
        }
    }

    /// Finds the tag of the newest version of an answer, if the answer is a map.
    pub async fn find_tag(&self, id: AnswerId) {
        let untagged = self.read().answers.get(&id).and_then(Answer::untagged);
        if let Some(untagged) = untagged {
            self.tag(untagged).await;
        }
    }

    async fn tag(&self, Untagged { view, query, tag }: Untagged) {
        if let Ok(resource) = query.resource(&view)
            && let Ok(Some(marks)) = self.bodies.marks_alone(&view, resource).await
        {
            tag.get_or_init(|| marks.tag.clone());
        }
    }

    /// Returns the time since the start.
    fn now(&self) -> Duration {
        self.clock.now().since(self.begun)
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes one follower of an answer.
    fn leave(&self, id: AnswerId) {
        let now = self.now();
        if let Some(answer) = self.write().answers.get_mut(&id) {
            answer.followers = answer.followers.saturating_sub(1);
            answer.used = now;
        }
    }

    /// Reads several answers at one moment.
    pub fn look<T>(&self, look: impl FnOnce(AllAnswers<'_>) -> T) -> T {
        look(AllAnswers(&self.read()))
    }
}

/// A follower of an answer, which is kept as long as it has one.
pub struct Follower {
    followed: Arc<Followed>,
    id: AnswerId,
}

impl Follower {
    /// Returns the id of the answer.
    pub fn id(&self) -> AnswerId {
        self.id
    }

    /// Reads the answer; none if it is gone.
    pub fn look<T>(&self, look: impl FnOnce(&Answer) -> T) -> Option<T> {
        self.followed.look(|answers| answers.get(self.id).map(look))
    }

    /// Returns the query of the answer.
    pub fn query(&self) -> Option<Arc<Query>> {
        self.look(|answer| answer.query.clone())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.followed.leave(self.id);
    }
}
