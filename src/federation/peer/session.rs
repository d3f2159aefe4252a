//! The task that reads one peer for as long as the node runs.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use crate::api::s2s::SpokenProtocol;
use crate::client::{
    FollowBounds, FollowError, News, PeerClient, PeerError, StreamError, StreamEvent, Update,
};
use crate::federation::admit::Outcome;
use crate::federation::copies::{DomainCopy, PeerRow};
use crate::federation::import_error::ImportError;
use crate::federation::plain::{self, Fetched, Following, Plain, PlainSettings, Seen};
use crate::federation::settings::{PeerSettings, Protocol};
use crate::federation::shared::Shared;
use crate::ident::DomainLabel;
use crate::runtime::{FIRST_WAIT, LONGEST_WAIT, Moment, Task, TaskError, back_off, jittered};
use crate::store::StoreError;

use super::nudge::Nudge;
use super::pace::{Allowance, Pace};
use super::pending::Readings;
use super::reader::Reader;
use super::stream::{Broken, Heard, Pushed};

/// The wait after the first pushed change of a domain, and the longest wait: a domain that
/// changes all the time is taken once a minute. A node like ours signs at most once a second.
const SHORTEST_CALM: Duration = Duration::from_millis(250);
const LONGEST_CALM: Duration = Duration::from_secs(60);

/// How many changes of all the domains that a peer passes on are taken at once, and the interval
/// between those beyond that. This bounds a peer that passes on many domains and has each of
/// them change in turn.
const CHANGES_AT_ONCE: u32 = 50;
const CHANGE_EACH: Duration = Duration::from_secs(1);

/// How often a plain peer is probed for a descriptor.
const PROBED_EVERY: Duration = Duration::from_secs(60 * 60);

/// Reads a peer until the future is dropped. A panic ends one reading, not the reading of the
/// peer.
pub(in crate::federation) async fn supervise(
    shared: Arc<Shared>,
    peer: Arc<PeerSettings>,
    nudge: Arc<Nudge>,
) {
    loop {
        let living = live(shared.clone(), peer.clone(), nudge.clone());
        let ended = Task::spawn("peer", living).join().await;
        let refusal = match ended {
            Ok(never) => match never {},
            Err(TaskError::Cancelled { .. }) => return,
            Err(error) => ImportError::Defect(error.to_string()),
        };
        let (failures, _) = shared.copies.failed(&peer.domain, &refusal);
        shared.clock.sleep(back_off(failures, None)).await;
    }
}

enum Never {}

async fn live(shared: Arc<Shared>, peer: Arc<PeerSettings>, nudge: Arc<Nudge>) -> Never {
    let label = peer.domain.clone();
    let mut session = Session::new(shared.clone(), peer.clone());
    loop {
        let asked = nudge.wanted();
        let read = session.read().await;
        session.may_listen = read.is_ok();
        if read.is_err() || std::mem::take(&mut session.is_due) {
            // What a connection from before still brings is out of date, or is not all that is
            // passed on.
            session.open = None;
        }
        let now = shared.clock.now();
        let wait = match read {
            Ok(spoken) => {
                session.forget_the_calm();
                shared.copies.synced(&label, spoken);
                let row = PeerRow {
                    synced: shared.clock.wall(),
                    protocol: spoken,
                };
                let kept = shared.archive.keep_peer(&label, &row).await;
                // A full disk is reported where room is judged.
                if let Err(error) = kept
                    && !matches!(error, StoreError::NoRoom { .. })
                {
                    tracing::error!(peer = %label, reason = %error, "the time of the last reading cannot be stored");
                }
                jittered(peer.refresh.interval)
            }
            Err(refusal) => {
                let (failures, is_news) = shared.copies.failed(&label, &refusal);
                let code = refusal.code();
                if is_news {
                    tracing::warn!(peer = %label, reason = code, "not read: {refusal}")
                } else {
                    tracing::debug!(peer = %label, reason = code, failures, "not read")
                }
                back_off(failures, refusal.retry_after())
            }
        };
        shared.copies.next_attempt(&label, wait);
        nudge.is_done(asked);
        let mut until = now + wait;
        loop {
            let event = tokio::select! {
                () = shared.clock.sleep_until(until) => break,
                () = nudge.asked() => {
                    session.forget();
                    break;
                }
                () = nudge.asked_again() => None,
                event = session.event() => Some(event),
            };
            let heard = match event {
                Some(event) => session.take(event).await,
                None => Heard::Reread,
            };
            let wanted = match heard {
                Heard::Nothing | Heard::Taken => continue,
                Heard::Reread => Duration::ZERO,
                Heard::Broken(asked) => back_off(1, asked),
            };
            until = until.min(session.again(wanted));
            let left = until.since(shared.clock.now());
            shared.copies.next_attempt(&label, left);
        }
        if session.is_due {
            session.rereads.done(shared.clock.now());
        }
    }
}

/// The open connection on which a peer pushes.
enum Open {
    /// The update stream of a peer of our kind.
    Signed(Box<Pushed>),
    /// The updates of a plain peer's maps.
    Plain(Following),
}

/// An event from that connection.
enum Event {
    Signed(Result<StreamEvent, StreamError>),
    Plain(Result<News, FollowError>),
    /// The held maps of a plain peer are to be taken now.
    Ripe,
    /// The connection could not be opened.
    Unopened(Broken),
}

/// What is remembered of a peer from one reading to the next.
struct Session {
    shared: Arc<Shared>,
    peer: Arc<PeerSettings>,
    client: Option<PeerClient>,
    reader: Option<Reader>,
    /// The plain domain that we have from it.
    plain: Option<Box<Plain>>,
    /// What a plain server states and we do not use.
    aside: Option<Seen>,
    /// When the peer was last found to be plain.
    probed: Option<Moment>,
    /// The connection on which it pushes, if that is open.
    open: Option<Open>,
    /// Whether the peer was just read, so that its update stream can be opened.
    may_listen: bool,
    /// Whether what it pushed asks for a reading, and for another stream after it.
    is_due: bool,
    /// The pace of those readings.
    rereads: Pace,
    /// The pace of the pushed changes of each domain.
    changes: BTreeMap<DomainLabel, Pace>,
    /// The allowance of the pushed changes of all domains.
    all_changes: Allowance,
    /// What was pushed too soon, and when it will be taken.
    held: Option<(Moment, Held)>,
    /// The pace of opening update streams after one that brought too much.
    streams: Pace,
}

/// What was pushed too soon.
enum Held {
    /// A manifest. Nothing more is read from the stream meanwhile, so that the sender waits and
    /// then sends the newest.
    Manifest(StreamEvent),
    /// The maps of a plain peer. Those that come meanwhile replace them.
    Maps,
}

impl Session {
    fn new(shared: Arc<Shared>, peer: Arc<PeerSettings>) -> Self {
        Self {
            shared,
            peer,
            client: None,
            reader: None,
            plain: None,
            aside: None,
            probed: None,
            open: None,
            may_listen: false,
            is_due: false,
            rereads: Pace::new(FIRST_WAIT, LONGEST_WAIT),
            changes: BTreeMap::new(),
            all_changes: Allowance::new(CHANGES_AT_ONCE, CHANGE_EACH),
            held: None,
            streams: Pace::new(FIRST_WAIT, LONGEST_WAIT),
        }
    }

    /// Forgets the paces of domains that have been calm for long.
    fn forget_the_calm(&mut self) {
        let now = self.shared.clock.now();
        let is_calm = |due: Moment| due + 2 * LONGEST_CALM < now;
        self.changes
            .retain(|_, pace| !pace.due().is_some_and(is_calm));
    }

    /// Notes that what the peer pushed asks for a reading, and returns when that is due: not
    /// before this wait is over, and later the more often it is asked for.
    fn again(&mut self, wait: Duration) -> Moment {
        self.is_due = true;
        let soonest = self.shared.clock.now() + wait;
        self.rereads.due().map_or(soonest, |due| due.max(soonest))
    }

    /// Waits for the next event that the peer pushes. Opens the connection if it may; waits for
    /// ever if there is none. Nothing is lost when the future is dropped.
    async fn event(&mut self) -> Event {
        if self.open.is_none() {
            self.held = None;
            self.reader.iter_mut().for_each(Reader::give_up_all);
            // An amount of 0 is never refused.
            let _kept = self.shared.copies.follows(&self.peer.domain, 0);
        }
        if self.may_listen && self.open.is_none() && self.peer.refresh.push {
            if let Some(due) = self.streams.due() {
                // Readings meanwhile, however many, open no stream.
                self.shared.clock.sleep_until(due).await;
            }
            self.may_listen = false;
            match self.listen().await {
                Ok(open) => self.open = open,
                Err(error) => return Event::Unopened(error),
            }
        }
        let ripe = self.shared.clock.sleep_until(match &self.held {
            Some((due, _)) => *due,
            None => self.shared.clock.now(),
        });
        match (&mut self.open, &self.held) {
            (Some(Open::Signed(_)), Some(_)) => ripe.await,
            (Some(Open::Signed(pushed)), None) => return Event::Signed(pushed.next().await),
            (Some(Open::Plain(following)), Some(_)) => tokio::select! {
                () = ripe => {}
                news = following.next() => return Event::Plain(news),
            },
            (Some(Open::Plain(following)), None) => return Event::Plain(following.next().await),
            (None, _) => return pending().await,
        }
        match self.held.take() {
            Some((_, Held::Manifest(event))) => Event::Signed(Ok(event)),
            Some((_, Held::Maps)) | None => Event::Ripe,
        }
    }

    /// Opens the update stream or the updates that the peer offers, as it was just read.
    async fn listen(&self) -> Result<Option<Open>, Broken> {
        if let Some(plain) = &self.plain {
            let own = &self.peer.domain;
            if self.shared.copies.copy(own, own).is_none() {
                // Without a copy there is nothing to apply changes to.
                return Ok(None);
            }
            let open = |(client, pushed)| {
                let (pool, directory) = (&self.shared.pool, &self.peer.directory);
                let bounds = FollowBounds {
                    max_bytes: self.peer.import.max_pending,
                    rooms: Box::new(Readings::of(&self.shared.pending, &self.peer)),
                };
                Open::Plain(Following::new(client, pool, directory, pushed, bounds))
            };
            return Ok(self.client.as_ref().zip(plain.pushed()).map(open));
        }
        match self
            .reader
            .as_ref()
            .filter(|reader| reader.api().has_updates())
        {
            Some(reader) => Ok(Some(Open::Signed(Box::new(Pushed::open(reader).await?)))),
            None => Ok(None),
        }
    }

    /// Returns the domain of an event that is a manifest, if the manifest is new or comes after
    /// maps.
    fn changed(&self, event: &StreamEvent) -> Option<DomainLabel> {
        let (Some(Open::Signed(pushed)), Some(reader)) = (&self.open, &self.reader) else {
            return None;
        };
        let (domain, entry) = pushed.manifest(event)?;
        let is_news = reader.has_given(domain) || !reader.is_known(domain, entry);
        is_news.then(|| domain.clone())
    }

    /// Returns until when a change of a domain must wait, if it must: it, or other domains of
    /// the peer, change all the time.
    fn is_early(&self, domain: &DomainLabel) -> Option<Moment> {
        let now = self.shared.clock.now();
        let due = self.changes.get(domain).and_then(Pace::due);
        let due = due.max(self.all_changes.due(now))?;
        let early = due > now;
        early.then(|| {
            self.shared.copies.count_damped();
            due
        })
    }

    /// Notes that a change of a domain is taken now.
    fn takes_change(&mut self, domain: DomainLabel) {
        let calm = Pace::new(SHORTEST_CALM, LONGEST_CALM);
        let pace = self.changes.entry(domain).or_insert(calm);
        let now = self.shared.clock.now();
        pace.done(now);
        self.all_changes.done(now);
    }

    /// Handles an event. Drops the connection if it broke.
    async fn take(&mut self, event: Event) -> Heard {
        let heard = match event {
            Event::Unopened(error) => Err(error),
            Event::Signed(event) => self.take_signed(event).await,
            Event::Plain(Ok(News::Changed(updates))) => self.take_updates(updates).await,
            Event::Ripe => self.take_updates(Vec::new()).await,
            Event::Plain(Ok(News::Following(mode))) => {
                tracing::debug!(peer = %self.peer.domain, by = mode.as_str(), "followed");
                Ok(Heard::Nothing)
            }
            Event::Plain(Ok(News::Interrupted { error, .. })) => {
                tracing::debug!(peer = %self.peer.domain, reason = %error, "interrupted");
                Ok(Heard::Nothing)
            }
            Event::Plain(Err(error @ FollowError::TooMuch { .. })) => {
                let text = format!("{error} of what a plain peer pushes (max_pending)");
                Err(ImportError::Limit(text).into())
            }
            Event::Plain(Err(error)) => {
                self.open = None;
                tracing::debug!(peer = %self.peer.domain, reason = %error, "no updates");
                Ok(Heard::Nothing)
            }
        };
        match heard {
            Ok(heard) => {
                if heard == Heard::Taken {
                    self.shared.copies.push_failed(&self.peer.domain, None);
                }
                heard
            }
            Err(error) => {
                self.open = None;
                if let Some(refusal) = error.limit() {
                    self.streams.done(self.shared.clock.now());
                    let copies = &self.shared.copies;
                    copies.push_failed(&self.peer.domain, Some(refusal));
                }
                tracing::debug!(peer = %self.peer.domain, reason = %error, "the update stream broke");
                Heard::Broken(error.retry_after())
            }
        }
    }

    async fn take_signed(
        &mut self,
        event: Result<StreamEvent, StreamError>,
    ) -> Result<Heard, Broken> {
        let event = event?;
        if let Some(domain) = self.changed(&event) {
            if let Some(due) = self.is_early(&domain) {
                self.held = Some((due, Held::Manifest(event)));
                return Ok(Heard::Nothing);
            }
            self.takes_change(domain);
        }
        match (&mut self.open, &mut self.reader) {
            (Some(Open::Signed(pushed)), Some(reader)) => pushed.take(event, reader).await,
            _ => Ok(Heard::Reread),
        }
    }

    /// Makes a plain domain anew from what was pushed, or holds that for a while.
    async fn take_updates(&mut self, updates: Vec<Update>) -> Result<Heard, Broken> {
        let mut is_whole = false;
        if let Some(Open::Plain(following)) = &mut self.open {
            is_whole = following.take(updates).is_some();
            let bytes = following.bytes();
            self.shared.copies.follows(&self.peer.domain, bytes)?;
        }
        if is_whole {
            if self.held.is_some() {
                return Ok(Heard::Nothing);
            }
            if let Some(due) = self.is_early(&self.peer.domain) {
                self.held = Some((due, Held::Maps));
                return Ok(Heard::Nothing);
            }
        }
        self.let_go();
        let (Some(Open::Plain(following)), Some(plain), Some(client)) =
            (&mut self.open, self.plain.as_deref(), &self.client)
        else {
            return Ok(Heard::Reread);
        };
        let Some(pushed) = following.take(Vec::new()) else {
            return Ok(Heard::Nothing);
        };
        let pool = &self.shared.pool;
        let fetched = plain::fetch_pushed(client, pool, plain, pushed).await;
        // A map that waits for the others that it belongs to changes nothing yet.
        let is_change = match &fetched {
            Ok(Fetched::Unchanged) => false,
            Ok(Fetched::Changed(now)) => !Arc::ptr_eq(&now.view, &plain.view),
            Err(_) => true,
        };
        if is_change {
            self.takes_change(self.peer.domain.clone());
        }
        Ok(self.take_plain(fetched?).await?)
    }

    /// Forgets everything, so that the next reading examines it all again, including the
    /// certificate files.
    fn forget(&mut self) {
        self.client = None;
        self.open = None;
        self.streams = Pace::new(FIRST_WAIT, LONGEST_WAIT);
        self.reader = None;
        self.aside = None;
        self.probed = None;
        self.is_due = false;
        self.changes.clear();
        self.all_changes = Allowance::new(CHANGES_AT_ONCE, CHANGE_EACH);
        self.rereads = Pace::new(FIRST_WAIT, LONGEST_WAIT);
        let own = &self.peer.domain;
        self.shared.copies.reconsider(|peer, _| peer == own);
    }

    /// Reads the peer by the protocol that it speaks.
    async fn read(&mut self) -> Result<SpokenProtocol, ImportError> {
        if self.open.is_some() {
            // A stream that has lasted since the reading before is sound.
            self.shared.copies.push_failed(&self.peer.domain, None);
        }
        let client = match &self.client {
            Some(client) => client.clone(),
            None => {
                let (peer, clock) = (&self.peer, self.shared.clock.clone());
                PeerClient::new(&peer.directory, &peer.options(), clock)?
            }
        };
        self.client = Some(client.clone());
        let must_be_signed = self.shared.must_be_signed(&self.peer.domain).await;
        match self.peer.protocol {
            Protocol::Altofed => {}
            Protocol::Alto if must_be_signed => return Err(self.no_way_back()),
            Protocol::Alto => return self.read_plain(&client).await,
            Protocol::Auto if must_be_signed => {}
            Protocol::Auto => {
                let now = self.shared.clock.now();
                if self.probed.is_some_and(|at| now.since(at) < PROBED_EVERY) {
                    let outcome = self.read_plain(&client).await;
                    // The peer may not be plain any more.
                    self.probed.take_if(|_| outcome.is_err());
                    return outcome;
                }
            }
        }
        let (shared, peer) = (&self.shared, &self.peer);
        let reader = self
            .reader
            .get_or_insert_with(|| Reader::new(shared.clone(), peer.clone(), client.clone()));
        match reader.describe().await {
            Ok(()) => {}
            Err(refusal) if !is_plain(&refusal) || self.peer.protocol == Protocol::Altofed => {
                return Err(refusal);
            }
            Err(_) if must_be_signed => return Err(self.no_way_back()),
            Err(_) => {
                let outcome = self.read_plain(&client).await;
                self.probed = outcome.is_ok().then(|| self.shared.clock.now());
                return outcome;
            }
        }
        reader.read().await?;
        (self.plain, self.aside) = (None, None);
        self.open.take_if(|open| match open {
            Open::Plain(_) => true,
            Open::Signed(pushed) => pushed.is_behind(reader),
        });
        Ok(SpokenProtocol::Altofed)
    }

    fn no_way_back(&self) -> ImportError {
        ImportError::Key(format!(
            "{domain} was read with signed manifests before, or its key is pinned, and it has \
             none now; if that is as agreed, drop its key with `altofed peer {domain} \
             --forget-key`",
            domain = self.peer.domain
        ))
    }

    async fn read_plain(&mut self, client: &PeerClient) -> Result<SpokenProtocol, ImportError> {
        let (shared, peer) = (self.shared.clone(), self.peer.clone());
        let settings = PlainSettings {
            own: shared.settings().own.domain.clone(),
            domain: peer.domain.clone(),
            directory: peer.directory.clone(),
            network_map: peer.network_map.clone(),
            interconnects: peer.interconnects.clone(),
            limits: peer.import.limits(),
        };
        self.let_go();
        if let Some(outcome) = self.known_aside()
            && let Some(aside) = &self.aside
            && plain::says(client, &shared.pool, &settings, aside).await?
        {
            return outcome.map(|()| SpokenProtocol::Alto);
        }
        let former = self.plain.as_deref();
        let fetched = plain::fetch(client, &shared.pool, &settings, former).await;
        if let Err(ImportError::Merged(_)) = fetched {
            // The copy from before was not of a single domain either.
            (self.plain, self.aside) = (None, None);
            let is_it = |copy: &DomainCopy| copy.signed.is_none() && *copy.sender() == peer.domain;
            shared.drop_where(is_it).await?;
        }
        let fetched = fetched?;
        self.take_plain(fetched).await?;
        let pushed = self.plain.as_deref().and_then(Plain::pushed);
        let is_other = |open: &mut Open| match open {
            Open::Signed(_) => true,
            Open::Plain(following) => !following.is_of(pushed),
        };
        self.open.take_if(is_other);
        let wanted = self.wants_own();
        let keep = |domain: &DomainLabel| wanted && *domain == peer.domain;
        shared.retain(&peer.domain, keep).await?;
        Ok(SpokenProtocol::Alto)
    }

    /// Whether we want the peer's own domain from it.
    fn wants_own(&self) -> bool {
        let domain = &self.peer.domain;
        self.peer.import.domains.includes(domain, domain)
    }

    /// Drops the plain domain if its copy is gone: a budget or a pin may have removed it.
    fn let_go(&mut self) {
        let (copies, domain) = (&self.shared.copies, &self.peer.domain);
        let is_had = |plain: &Plain| {
            let copy = copies.copy(domain, domain);
            copy.is_some_and(|copy| copy.signed.is_none() && copy.digest == plain.digest)
        };
        let wanted = self.wants_own();
        if let Some(gone) = self.plain.take_if(|plain| wanted && !is_had(plain)) {
            self.aside = Some(gone.seen());
        }
    }

    /// Returns the outcome of a reading if the server still states what was set aside; `None` if
    /// that must be judged anew.
    fn known_aside(&self) -> Option<Result<(), ImportError>> {
        let (copies, domain) = (&self.shared.copies, &self.peer.domain);
        let aside = self.aside.as_ref().filter(|_| !copies.has_due(domain))?;
        if let Err(over) = copies.check_over(domain, domain, &aside.digest) {
            return Some(Err(over));
        }
        let held = copies.held_change(domain, domain)?;
        (held.content == aside.digest).then_some(Ok(()))
    }

    /// Takes what was fetched of a plain domain.
    async fn take_plain(&mut self, fetched: Fetched) -> Result<Heard, ImportError> {
        let (shared, domain) = (self.shared.clone(), self.peer.domain.clone());
        let copies = &shared.copies;
        self.aside = None;
        let Fetched::Changed(plain) = fetched else {
            // The server does not state any more what was held or over a budget.
            shared.release(&domain, &domain).await?;
            copies.confirm(&domain, &domain);
            return Ok(Heard::Nothing);
        };
        if !self.wants_own() {
            self.plain = Some(plain);
            return Ok(Heard::Taken);
        }
        let copy = plain::copy(&domain, &plain);
        // The memory is reserved before the copy is written as text, which may take more than
        // the copy itself.
        let in_memory = copies.offer(&domain, &domain, &copy.digest, copy.amount);
        let in_memory = in_memory.inspect_err(|_| self.aside = Some(plain.seen()))?;
        let candidate = shared.pool.run(move || plain::written(copy)).await?;
        match shared.admit(&self.peer, candidate, None).await {
            Ok(Outcome::Taken) => {}
            Ok(Outcome::Held) => {
                self.aside = Some(plain.seen());
                return Ok(Heard::Nothing);
            }
            Err(refusal) => {
                if matches!(refusal, ImportError::Full(_)) {
                    self.aside = Some(plain.seen());
                }
                return Err(refusal);
            }
        }
        drop(in_memory);
        self.plain = Some(plain);
        shared.enforce().await?;
        Ok(Heard::Taken)
    }
}

/// Whether the refusal of a descriptor means that there is none.
fn is_plain(refusal: &ImportError) -> bool {
    match refusal {
        ImportError::Client(PeerError::Status { status, .. }) => matches!(status, 404 | 405 | 410),
        ImportError::Client(PeerError::MediaType { .. }) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_absence_of_a_descriptor_makes_a_peer_plain() {
        let status = |status| {
            let refusal = ImportError::Client(PeerError::Status {
                url: String::new(),
                status,
                retry_after: None,
            });
            is_plain(&refusal)
        };
        assert!(status(404) && status(405) && status(410));
        assert!(!status(401) && !status(403) && !status(429) && !status(500) && !status(503));
        assert!(!is_plain(&ImportError::Form("no JSON".to_owned())));
    }
}
