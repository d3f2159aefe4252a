//! An update stream (RFC 8895): what its client follows, and what it is sent.
//!
//! Nothing is queued for a slow client. The stream remembers how far each substream has come.
//! When the client takes more, it is sent the next patch on the shortest path to the version
//! that is the newest by then, or the whole of that version.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use crate::alto::media;
use crate::alto::update::ControlUpdate;
use crate::auth::Access;
use crate::follow::{Followed, Whole};
use crate::ident::DomainLabel;
use crate::render::{Caller, Coding, GivenUp, KeptBody, Pinned, Room};
use crate::runtime::{Drain, Moment};

use super::behind::Behind;
use super::controlled::Controlled;
use super::event;
use super::streams::Open;
use super::substream::{Source, Step, Substream, behind, sort, tell};

/// The domains that a peer gets. The same `Arc` means the same domains.
pub(super) type Passed = Arc<BTreeSet<DomainLabel>>;

/// Returns which domains a peer gets now.
pub(super) type May = Box<dyn Fn() -> Passed + Send + Sync>;

/// A stream that is sent to a client.
pub(super) struct Stream {
    followed: Arc<Followed>,
    controlled: Arc<Controlled>,
    /// Ordered by dependency.
    substreams: Vec<Substream>,
    behind: Behind,
    /// How many moves of the followed answers were checked.
    seen: u64,
    /// The domains that the client was last seen to get, which are all that it may still follow;
    /// none unless it is a peer.
    passed: Option<Passed>,
    arrived: watch::Receiver<u64>,
    drain: Drain,
    /// Pieces that are to be sent next.
    pieces: VecDeque<Bytes>,
    /// The event whose payload is still being written.
    writing: Option<Writing>,
    caller: Caller,
    /// When the client is sent a comment if nothing else is sent.
    comment_at: Moment,
    rights: Rights,
    closed: bool,
    _open: Open,
}

/// The payload of an event that is written while it is sent.
enum Writing {
    /// A body that is kept.
    Kept(KeptBody),
    /// An answer that is written by rows.
    Rows { rows: Pinned, _room: Room },
}

/// Whether a client may still read what it follows, by the given rules.
pub(in crate::http) type Allowed = Box<dyn Fn(&Access) -> bool + Send + Sync>;

/// What the client may read. It is checked again when the rules change, before the client is
/// sent anything.
pub(super) struct Rights {
    access: watch::Receiver<Arc<Access>>,
    allowed: Allowed,
    /// Whether the client was allowed by the last rules.
    held: bool,
    /// Returns the domains that a peer gets; none for other clients.
    may: Option<May>,
}

impl Rights {
    /// Holds as long as `allowed` says so by the rules in force. They are checked before the
    /// first piece.
    pub(super) fn new(
        mut access: watch::Receiver<Arc<Access>>,
        allowed: Allowed,
        may: Option<May>,
    ) -> Self {
        // The rules may have changed since the client was let in.
        access.mark_changed();
        Self {
            access,
            allowed,
            held: true,
            may,
        }
    }

    /// Whether the client may still read what it follows.
    fn hold(&mut self) -> bool {
        if self.held && self.access.has_changed().is_ok_and(|changed| changed) {
            self.held = (self.allowed)(&self.access.borrow_and_update());
        }
        self.held
    }
}

impl Stream {
    /// Makes a stream that begins with the event `first`.
    pub(super) fn new(
        open: Open,
        caller: Caller,
        controlled: Arc<Controlled>,
        mut substreams: Vec<Substream>,
        first: &ControlUpdate,
        drain: Drain,
        rights: Rights,
    ) -> Self {
        sort(&mut substreams);
        let followed = open.followed().clone();
        let settings = followed.settings();
        Self {
            behind: behind(&substreams),
            seen: followed.look(|answers| answers.moves().count()),
            passed: None,
            arrived: followed.arrived(),
            comment_at: followed.moment() + settings.keep_alive,
            followed,
            controlled,
            substreams,
            drain,
            pieces: [event::control(first)].into(),
            writing: None,
            caller,
            rights,
            closed: false,
            _open: open,
        }
    }

    /// Returns the next piece for the client; none when the stream has ended.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.closed && !self.rights.hold() {
                self.cut();
            }
            if let Some(piece) = self.pieces.pop_front() {
                self.comment_at = self.followed.moment() + self.followed.settings().keep_alive;
                return Some(piece);
            }
            if let Some(writing) = self.writing.take() {
                self.write_on(writing).await;
                continue;
            }
            if self.closed {
                return None;
            }
            // Marked before checking, so that an edition that arrives meanwhile wakes the stream
            // again.
            self.arrived.mark_unchanged();
            if self.drain.is_draining() {
                self.end_all("the server is going down; open the stream again");
            } else if let Some(place) = self.forbidden() {
                self.end(
                    place,
                    "the domain is no longer passed to this peer".to_owned(),
                );
            } else if !self.obey() {
                match self.step() {
                    Some((place, step)) => self.take(place, step).await,
                    None => self.wait().await,
                }
            }
        }
    }

    /// Returns the first substream of a domain that the client does not get any more. Substreams
    /// are checked when the domains that the client gets change.
    fn forbidden(&mut self) -> Option<usize> {
        let passed = self.rights.may.as_ref()?();
        let known = self.passed.as_ref();
        if known.is_some_and(|known| Arc::ptr_eq(known, &passed)) {
            return None;
        }
        let found = self.followed.look(|answers| {
            let mut substreams = self.substreams.iter();
            substreams.position(|substream| {
                let domain = substream.source.domain(answers);
                domain.is_some_and(|domain| !passed.contains(domain))
            })
        });
        if found.is_none() {
            self.passed = Some(passed);
            self.behind.relist();
        }
        found
    }

    /// Waits until there may be something to send.
    async fn wait(&mut self) {
        let clock = self.followed.clock();
        let controlled = self.controlled.clone();
        tokio::select! {
            biased;
            arrived = self.arrived.changed() => {
                // Nothing will arrive any more: the node is going down.
                self.closed |= arrived.is_err();
            }
            () = controlled.woken.notified() => {}
            Ok(()) = self.rights.access.changed() => self.rights.access.mark_changed(),
            _ = self.drain.draining() => {}
            () = clock.sleep_until(self.comment_at) => self.pieces.push_back(event::KEEP_ALIVE),
        }
    }

    /// Executes a request of the control service; returns whether there was one, or the stream ends.
    fn obey(&mut self) -> bool {
        let (command, closing) = {
            let mut ids = self.controlled.ids();
            (ids.commands.pop_front(), ids.closing)
        };
        let Some(command) = command else {
            self.closed |= closing;
            return closing;
        };
        let started: Vec<String> = command.add.iter().map(|s| s.id.clone()).collect();
        self.substreams.extend(command.add);
        sort(&mut self.substreams);
        self.substreams.retain(|s| !command.remove.contains(&s.id));
        self.behind = behind(&self.substreams);
        if !started.is_empty() {
            self.pieces.push_back(event::control(&ControlUpdate {
                started,
                ..ControlUpdate::default()
            }));
        }
        if !command.remove.is_empty() {
            self.pieces.push_back(event::control(&ControlUpdate {
                stopped: command.remove,
                ..ControlUpdate::default()
            }));
        }
        true
    }

    /// Returns the first substream, ordered by dependency, that is behind, and what it is sent.
    fn step(&mut self) -> Option<(usize, Step)> {
        let Self {
            followed,
            substreams,
            behind,
            seen,
            passed,
            ..
        } = self;
        followed.look(|answers| {
            match answers.moves().since(*seen) {
                Some(moves) => behind.follow(moves),
                None => behind.all(),
            }
            *seen = answers.moves().count();
            while let Some(place) = behind.first() {
                followed.count_look();
                let source = substreams.get(place).map(|substream| &substream.source);
                match source.and_then(|source| source.step(answers, passed.as_deref())) {
                    Some(step) => return Some((place, step)),
                    None => behind.is_level(place),
                }
            }
            None
        })
    }

    /// Takes room for a patch, which is counted once however many streams send it. If there is
    /// no room, the whole answer takes its place.
    fn counted(&self, place: usize, step: Step) -> Step {
        let Step::Patch { form, text, to } = step else {
            return step;
        };
        let shared = self.followed.bodies().answers().shared();
        if let Ok(text) = shared.hold(&text) {
            return Step::Patch { form, text, to };
        }
        let source = self
            .substreams
            .get(place)
            .map(|substream| &substream.source);
        let whole = match source {
            Some(Source::Answer { follower, .. }) => follower.look(|answer| {
                let to = answer.history.end();
                let view = answer.history.newest()?.clone();
                Some(Step::Whole { view, to })
            }),
            _ => None,
        };
        let gone = || Step::End("the answer is not here any more".to_owned());
        whole.flatten().unwrap_or_else(gone)
    }

    async fn take(&mut self, place: usize, step: Step) {
        let step = self.counted(place, step);
        let Some(substream) = self.substreams.get_mut(place) else {
            return;
        };
        let id = substream.id.as_str();
        match (step, &mut substream.source) {
            (Step::Patch { form, text, to }, Source::Answer { at, .. }) => {
                *at = Some(to);
                self.pieces
                    .extend(event::data(form.media_type(), id, &text));
            }
            (Step::Whole { view, to }, Source::Answer { follower, at, .. }) => {
                let asked =
                    follower.look(|answer| (answer.signature.media_type(), answer.query.clone()));
                let Some((media_type, query)) = asked else {
                    return self.end(place, "the answer is not here any more".to_owned());
                };
                // Boxed, since every stream has the size of what it may wait for, and few wait
                // for this.
                let whole = self
                    .followed
                    .whole(&view, &query, &self.caller, Coding::Identity);
                let whole = match Box::pin(whole).await {
                    Ok(whole) => whole,
                    Err(error) => return self.end(place, error.to_string()),
                };
                *at = Some(to);
                let id = follower.id();
                match whole {
                    Whole::Text(text) => {
                        self.followed.note_whole(id, text.len());
                        let event = event::data(media_type, &substream.id, &text);
                        self.pieces.extend(event);
                    }
                    Whole::Kept(body) => {
                        let length = usize::try_from(body.length()).unwrap_or(usize::MAX);
                        self.followed.note_whole(id, length);
                        let head = event::begin(media_type, &substream.id);
                        self.pieces.push_back(head);
                        self.writing = Some(Writing::Kept(body));
                    }
                    Whole::Rows(rendering, room) => {
                        let head = event::begin(media_type, &substream.id);
                        self.pieces.push_back(head);
                        let rows = self.followed.bodies().answers().pins().note(rendering);
                        self.writing = Some(Writing::Rows { rows, _room: room });
                    }
                }
            }
            (Step::Summary(summary), Source::Summary { uri, told, .. }) => {
                let (media_type, text) = tell(uri, *told, summary);
                *told = Some(summary);
                self.pieces.extend(event::data(media_type, id, &text));
            }
            (Step::Document(text), Source::Manifest { told, .. } | Source::Domains { told }) => {
                self.pieces.extend(event::data(media::JSON, id, &text));
                *told = Some(text);
            }
            (Step::End(why), _) => self.end(place, why),
            _ => {}
        }
    }

    /// Writes the next part of an event. If it cannot be continued, the stream ends in the
    /// middle of it; half an event means nothing to the client.
    async fn write_on(&mut self, writing: Writing) {
        match writing {
            Writing::Kept(mut body) => match body.next_piece() {
                Ok(Some(piece)) => {
                    self.pieces.extend(event::lines(&piece));
                    self.writing = Some(Writing::Kept(body));
                }
                Ok(None) => self.pieces.push_back(event::END),
                Err(GivenUp) => self.closed = true,
            },
            Writing::Rows { rows, _room } => {
                let answers = self.followed.bodies().answers().clone();
                let as_it_is = |(): &mut (), text| text;
                let step = Box::pin(answers.step_on(&self.caller, &rows, (), as_it_is));
                let Ok(((), text, more)) = step.await else {
                    self.closed = true;
                    return;
                };
                if !text.is_empty() {
                    self.pieces.extend(event::lines(&text));
                }
                if more {
                    self.writing = Some(Writing::Rows { rows, _room });
                } else {
                    self.pieces.push_back(event::END);
                }
            }
        }
    }

    /// Ends a substream, and the stream if it was the last one.
    fn end(&mut self, place: usize, why: String) {
        let substream = self.substreams.remove(place);
        self.behind = behind(&self.substreams);
        {
            let mut ids = self.controlled.ids();
            ids.ever.insert(substream.id.clone(), false);
            ids.closing |= !ids.ever.values().any(|active| *active);
        }
        self.pieces.push_back(event::control(&ControlUpdate {
            stopped: vec![substream.id],
            description: Some(why),
            ..ControlUpdate::default()
        }));
    }

    /// Ends the stream of a client that may no longer read what it follows. Pieces that are not
    /// sent yet are dropped: only an empty line completes an event, so that a client that is cut
    /// off in the middle of one gets nothing of it.
    fn cut(&mut self) {
        let whole = self.pieces.is_empty() && self.writing.is_none();
        self.end_all("the client may no longer read this, or its credential was replaced");
        if !whole {
            self.pieces.clear();
            self.writing = None;
        }
    }

    fn end_all(&mut self, why: &str) {
        self.closed = true;
        self.controlled.ids().closing = true;
        self.pieces.push_back(event::control(&ControlUpdate {
            stopped: self.substreams.drain(..).map(|s| s.id).collect(),
            description: Some(why.to_owned()),
            ..ControlUpdate::default()
        }));
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Substreams that the control service adds from now on would be followed by nobody.
        let mut ids = self.controlled.ids();
        ids.closing = true;
        ids.commands.clear();
    }
}
