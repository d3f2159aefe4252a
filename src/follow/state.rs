//! The followed answers, all at one edition.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::ident::{Client, Tag};
use crate::publish::service::Signature;
use crate::publish::{Query, Service, View, ViewName, Work};
use crate::runtime::{Place, Shares};

use super::advance::{Advance, Outdated, tag_cell};
use super::cells::{Cells, Counted, cells_of};
use super::edition::Edition;
use super::history::{History, HistoryLimits};
use super::moves::{AnswerId, Moved, Moves};
use super::settings::Settings;

/// All followed answers.
pub(super) struct State {
    pub(super) edition: Edition,
    /// What moved with the last editions.
    pub(super) moves: Moves,
    pub(super) answers: HashMap<AnswerId, Answer>,
    known: BTreeMap<(ViewName, Arc<Query>), AnswerId>,
    /// The answers that have a TIPS view, by its name.
    pub(super) names: HashMap<String, AnswerId>,
    next: u64,
    /// The shares of the clients that were the first to follow the answers.
    shares: Arc<Shares<Client>>,
    pub(super) cells: Cells,
    /// The bytes that the histories keep: patches and data of views.
    pub(super) kept: usize,
}

/// A followed answer.
pub struct Answer {
    pub view: ViewName,
    pub query: Arc<Query>,
    /// The service that makes the answer.
    service: Arc<dyn Service>,
    /// The signature of the service.
    pub signature: &'static Signature,
    pub history: History<Arc<View>>,
    /// Why it ended, if it did.
    pub ended: Option<String>,
    /// How many follow it now.
    pub(super) followers: usize,
    /// When it was last followed, as the time since a fixed moment.
    pub(super) used: Duration,
    /// The name of its TIPS view, if it has one.
    pub name: Option<String>,
    /// How many cells count for it; zero if following it costs only as much as changes, whatever
    /// its size.
    cells: u64,
    /// The client that was the first to follow it; none if that was a peer.
    pub(super) owner: Option<Client>,
    _place: Option<Place<Client>>,
}

/// The limit of followed answers or cells is reached.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

/// What is to be followed.
pub struct Wanted<'a> {
    pub view: &'a ViewName,
    pub query: Query,
    /// What the answer takes to compute.
    pub work: Work,
    /// The client that follows it; none if it is a peer.
    pub client: Option<Client>,
}

/// The followed answers, at one moment.
#[derive(Clone, Copy)]
pub struct AllAnswers<'s>(pub(super) &'s State);

impl<'s> AllAnswers<'s> {
    /// Returns the edition that all are at.
    pub fn edition(self) -> &'s Edition {
        &self.0.edition
    }

    /// Returns what moved with the last editions.
    pub fn moves(self) -> &'s Moves {
        &self.0.moves
    }

    pub fn get(self, id: AnswerId) -> Option<&'s Answer> {
        self.0.answers.get(&id)
    }
}

impl State {
    /// Creates a state without answers.
    pub(super) fn new(edition: Edition) -> Self {
        Self {
            edition,
            moves: Moves::default(),
            answers: HashMap::new(),
            known: BTreeMap::new(),
            names: HashMap::new(),
            next: 0,
            shares: Arc::default(),
            cells: Cells::default(),
            kept: 0,
        }
    }

    /// Adds a follower to an answer of a view that the edition has.
    ///
    /// # Errors
    /// The limit of followed answers or cells is reached.
    pub(super) fn follow(
        &mut self,
        wanted: Wanted<'_>,
        now: Duration,
        settings: &Settings,
    ) -> Result<AnswerId, Full> {
        let Wanted {
            view,
            query,
            work,
            client,
        } = wanted;
        let key = (view.clone(), Arc::new(query));
        let known = self.known.get(&key).copied();
        let id = match known.filter(|id| self.answers[id].ended.is_none()) {
            Some(id) => id,
            None => self.add(key, &work, client, now, settings)?,
        };
        if let Some(answer) = self.answers.get_mut(&id) {
            answer.followers += 1;
            answer.used = now;
        }
        Ok(id)
    }

    /// Adds an answer that a client is the first to follow.
    fn add(
        &mut self,
        key: (ViewName, Arc<Query>),
        work: &Work,
        client: Option<Client>,
        now: Duration,
        settings: &Settings,
    ) -> Result<AnswerId, Full> {
        let (view, query) = &key;
        let source = self.edition.view(view).ok_or(Full)?.clone();
        let resource = query.resource(&source).map_err(|_| Full)?;
        let service = resource.service().ok_or(Full)?.clone();
        let signature = resource.signature().ok_or(Full)?;
        let cells = if service.is_updated_incrementally() || client.is_none() {
            0
        } else {
            cells_of(query, work)
        };
        let place = match self.place(client, cells, settings) {
            Err(Full) => {
                self.forget(now, settings.history_age);
                self.place(client, cells, settings)?
            }
            Ok(place) => place,
        };
        let id = AnswerId(self.next);
        self.next += 1;
        let whole = usize::try_from(work.bytes).unwrap_or(usize::MAX);
        let tag = tag_cell(&source, &*service);
        let answer = Answer {
            view: view.clone(),
            query: query.clone(),
            service,
            signature,
            history: History::new(source, tag, whole),
            ended: None,
            followers: 0,
            used: now,
            name: None,
            cells,
            owner: client,
            _place: place,
        };
        self.cells.add(client, cells);
        self.answers.insert(id, answer);
        self.known.insert(key, id);
        Ok(id)
    }

    /// Returns the answers that are not at an edition and whose advance to it is not in `known`.
    pub(super) fn behind(
        &self,
        edition: &Edition,
        known: &HashMap<AnswerId, Advance>,
    ) -> Vec<(AnswerId, Outdated)> {
        let answers = self.answers.iter();
        let behind = answers.filter_map(|(id, answer)| {
            let old = answer.history.newest().filter(|_| answer.ended.is_none())?;
            let new = edition.view(&answer.view);
            let same = new.is_some_and(|new| Arc::ptr_eq(old, new));
            (!same && !known.contains_key(id)).then(|| {
                let work = Outdated {
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

    /// Takes a place for an answer of `cells` cells, for the client that is the first to follow
    /// it.
    fn place(
        &self,
        client: Option<Client>,
        cells: u64,
        settings: &Settings,
    ) -> Result<Option<Place<Client>>, Full> {
        let is_over = self.cells.over(client, cells, settings).is_some();
        if self.answers.len() >= settings.max_followed || is_over {
            return Err(Full);
        }
        let take = |client| self.shares.take(client, settings.max_per_client);
        client.map(|client| take(client).ok_or(Full)).transpose()
    }

    /// Sets the cells of answers to what they are now. If some have grown, returns the answers
    /// that must end since they exceed a limit, the last opened first to go, and why.
    pub(super) fn resize(
        &mut self,
        sized: &[(AnswerId, u64, Outdated)],
        settings: &Settings,
    ) -> Vec<(AnswerId, String)> {
        let mut have_grown = false;
        for (id, cells, _) in sized {
            if let Some(answer) = self.answers.get_mut(id) {
                have_grown |= *cells > answer.cells;
                answer.cells = *cells;
            }
        }
        self.cells = Cells::of(self.counted());
        let over = if have_grown {
            Cells::over_in_turn(self.counted(), settings)
        } else {
            Vec::new()
        };
        for (id, _) in &over {
            if let Some(answer) = self.answers.get_mut(id) {
                answer.cells = 0;
            }
        }
        self.cells = Cells::of(self.counted());
        over
    }

    /// Returns what each answer counts for.
    fn counted(&self) -> impl Iterator<Item = Counted> {
        self.answers.iter().map(|(id, answer)| Counted {
            id: *id,
            owner: answer.owner,
            cells: answer.cells,
        })
    }

    /// Moves every answer to an edition, at one moment.
    pub(super) fn move_to(
        &mut self,
        edition: Edition,
        advances: HashMap<AnswerId, Advance>,
        now: Duration,
        settings: &Settings,
    ) {
        let mut moved = Moved::between(&self.edition.documents, &edition.documents);
        for (id, advance) in advances {
            if let Some(answer) = self.answers.get_mut(&id)
                && answer.advance(advance, now, settings.history())
            {
                moved.answers.push(id);
            }
        }
        self.edition = edition;
        self.forget(now, settings.history_age);
        self.moves.push(moved);
    }

    /// Forgets the answers that nobody has followed for a time, and those that have ended.
    fn forget(&mut self, now: Duration, age: Duration) {
        self.answers.retain(|_, answer| {
            let unused = now.saturating_sub(answer.used) > age || answer.ended.is_some();
            answer.followers > 0 || !unused
        });
        self.cells = Cells::of(self.counted());
        let answers = &self.answers;
        self.known.retain(|_, id| answers.contains_key(id));
        self.names.retain(|_, id| answers.contains_key(id));
    }
}

/// A version whose tag is to be found.
pub(super) struct Untagged {
    pub(super) view: Arc<View>,
    pub(super) query: Arc<Query>,
    pub(super) tag: Arc<OnceLock<Tag>>,
}

impl Answer {
    /// Advances the answer; returns whether there is anything new for its followers.
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
                let tag = tag_cell(&view, &*self.service);
                self.history.push(view, tag, patch, shortcut, now, limits);
            }
            Advance::Replaced(view) => {
                let tag = tag_cell(&view, &*self.service);
                self.history.restart(view, tag);
            }
            Advance::Ended(why) => self.ended = Some(why),
        }
        true
    }

    /// Returns the newest version of a map, if its tag is not known yet.
    pub(super) fn untagged(&self) -> Option<Untagged> {
        let view = self.history.newest()?;
        let tag = self.history.newest_tag()?;
        let is_map = self.signature.accepts.is_none();
        (is_map && tag.get().is_none()).then(|| Untagged {
            view: view.clone(),
            query: self.query.clone(),
            tag: tag.clone(),
        })
    }
}
