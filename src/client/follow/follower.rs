//! The follower: which way it goes, and what it does when that ends.

use std::time::Duration;

use tokio::sync::mpsc;
use url::Url;

use super::board::Board;
use super::error::FollowError;
use super::news::{Followed, How, Mode, News};
use super::offered::Offered;
use super::version::{Kind, Piece, Version};
use crate::client::Room;
use crate::client::connection::Connection;
use crate::client::directory::Directory;
use crate::runtime::{Moment, Pool, Sleep, Task, back_off};

/// How following is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowSettings {
    /// How often a server that cannot push is asked; `None` has the follower end
    /// with [`FollowError::NotPushed`] instead.
    pub interval: Option<Duration>,
}

impl Default for FollowSettings {
    fn default() -> Self {
        Self {
            interval: Some(Duration::from_secs(30)),
        }
    }
}

/// What following may take.
#[derive(Debug)]
pub struct FollowBounds {
    /// How many bytes all that is followed may have; above that following ends with
    /// [`FollowError::TooMuch`].
    pub max_bytes: usize,
    /// Where the events that are being read have room.
    pub rooms: Box<dyn Rooms>,
}

/// Where streams find room.
pub trait Rooms: Send + Sync + std::fmt::Debug {
    /// Room for the events of a stream.
    fn room(&self) -> Box<dyn Room>;
}

/// Follows resources of one server, until it is dropped.
#[derive(Debug)]
pub struct Follower {
    news: mpsc::Receiver<Result<News, FollowError>>,
    _task: Task<()>,
}

/// The news that may wait for who asks for them, each with whole documents; then
/// the server waits.
const WAITING: usize = 1;

impl Follower {
    /// Begins to follow resources of the directory at a URL. Large documents are
    /// worked on in the pool.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(
        connection: Connection,
        pool: Pool,
        directory: Url,
        wanted: Vec<Followed>,
        settings: FollowSettings,
    ) -> Self {
        Self::within(connection, pool, directory, wanted, settings, None)
    }

    /// The same within bounds.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn within(
        connection: Connection,
        pool: Pool,
        directory: Url,
        wanted: Vec<Followed>,
        settings: FollowSettings,
        bounds: Option<FollowBounds>,
    ) -> Self {
        let (tell, news) = mpsc::channel(WAITING);
        let board = Board::new(wanted.iter().map(|wanted| wanted.resource_id.clone()));
        let driver = Driver {
            connection,
            pool,
            directory,
            wanted,
            settings,
            bounds,
            board,
            tell,
            apart_since: None,
            given_up: Vec::new(),
            faults: 0,
            patched: false,
        };
        Self {
            news,
            _task: Task::spawn("follower", driver.run()),
        }
    }

    /// Whether the server with this directory, whose root is at `root`, offers to push
    /// these resources, by an update stream or TIPS.
    pub fn is_pushed(
        connection: &Connection,
        root: &Url,
        directory: &Directory,
        wanted: &[Followed],
    ) -> bool {
        let offered = Offered::of(directory, connection, root, wanted);
        offered.is_ok_and(|offered| offered.stream.is_some() || offered.tips.is_some())
    }

    /// The next news. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// There are none and will be none: what was wanted cannot be followed.
    pub async fn next(&mut self) -> Result<News, FollowError> {
        self.news.recv().await.unwrap_or(Err(FollowError::Over))
    }
}

/// Nothing is.
pub(super) enum Never {}

/// What a way to follow leads to: it has no good end.
pub(super) type End = Result<Never, FollowError>;

/// The task behind a follower.
pub(super) struct Driver {
    pub(super) connection: Connection,
    pub(super) pool: Pool,
    directory: Url,
    pub(super) wanted: Vec<Followed>,
    pub(super) settings: FollowSettings,
    pub(super) bounds: Option<FollowBounds>,
    pub(super) board: Board,
    tell: mpsc::Sender<Result<News, FollowError>>,
    /// Since when something is there that does not fit together.
    apart_since: Option<Moment>,
    /// The ways that the server does not do.
    given_up: Vec<Mode>,
    /// How often in the present way the server sent what could not be used.
    faults: u32,
    /// Whether a patch applied since.
    patched: bool,
}

/// What went well for this long is no failure when it ends.
const SETTLED: Duration = Duration::from_secs(60);

/// When a way that was given up is tried again.
const RECONSIDER: Duration = Duration::from_secs(60 * 60);

/// How long a base and what depends on it may not fit together.
const APART: Duration = Duration::from_secs(5 * 60);

/// How often a server may send what cannot be used before another way is taken.
const MAX_FAULTS: u32 = 3;

/// What is larger is worked on in the pool.
const LARGE: usize = 64 * 1024;

impl Driver {
    async fn run(mut self) {
        let mut failures = 0;
        loop {
            let begun = self.connection.clock().now();
            let (mode, error) = self.follow().await;
            if error.is_final() {
                // Nobody who listens is nobody who misses it.
                let _ = self.tell.send(Err(error)).await;
                return;
            }
            if let Some(mode) = mode.filter(|&mode| mode != Mode::Poll) {
                self.judge(mode, &error);
            }
            if self.connection.clock().now().since(begun) >= SETTLED {
                failures = 0;
            }
            let gone_on = mode.is_some_and(|mode| self.given_up.contains(&mode));
            let again_in = if gone_on {
                Duration::ZERO
            } else {
                failures += 1;
                back_off(failures, error.retry_after())
            };
            let news = News::Interrupted {
                mode,
                error,
                again_in,
            };
            self.news(news).await;
            self.connection.clock().sleep(again_in).await;
        }
    }

    /// Gives a way up that ended for good, or went wrong too often.
    fn judge(&mut self, mode: Mode, error: &FollowError) {
        if std::mem::take(&mut self.patched) {
            self.faults = 0;
        }
        self.faults += u32::from(error.is_fault());
        if error.is_lasting() || self.faults >= MAX_FAULTS {
            self.given_up.push(mode);
            self.faults = 0;
        }
    }

    /// Follows in the best way there is, until that ends.
    async fn follow(&mut self) -> (Option<Mode>, FollowError) {
        let offered = match Offered::read(&self.connection, &self.directory, &self.wanted).await {
            Ok(offered) => offered,
            Err(error) => return (None, error),
        };
        for ((index, bases), resource) in offered
            .bases(&self.wanted)
            .into_iter()
            .enumerate()
            .zip(&offered.resources)
        {
            if let Some(place) = self.board.place_mut(index) {
                place.bases = bases;
                place.media_type = resource.entry.media_type.clone();
            }
        }
        self.apart_since = None;
        loop {
            let open = |mode| !self.given_up.contains(&mode);
            let stream = offered.stream.as_ref().filter(|_| open(Mode::Stream));
            let tips = offered.tips.as_ref().filter(|_| open(Mode::Tips));
            let clock = self.connection.clock().clone();
            let reconsider = if self.given_up.is_empty() {
                None
            } else {
                Some(clock.sleep(RECONSIDER))
            };
            let (mode, end) = match (stream, tips) {
                (Some(resource), _) => (
                    Mode::Stream,
                    until(reconsider, self.stream(&offered, resource)).await,
                ),
                (None, Some(resource)) => (
                    Mode::Tips,
                    until(reconsider, self.tips(&offered, resource)).await,
                ),
                (None, None) => match self.settings.interval {
                    Some(interval) => {
                        let end = until(reconsider, self.poll(&offered, interval)).await;
                        (Mode::Poll, end)
                    }
                    None => return (None, FollowError::NotPushed),
                },
            };
            match end {
                Some(Err(error)) => return (Some(mode), error),
                Some(Ok(never)) => match never {},
                None => self.given_up.clear(),
            }
        }
    }

    /// Tells what is new.
    pub(super) async fn news(&self, news: News) {
        // Who listened is gone, and this task ends with it.
        let _ = self.tell.send(Ok(news)).await;
    }

    /// Forgets the version that the server is not told of: what comes next is not
    /// a change of it.
    pub(super) fn forget(&mut self, index: usize) {
        if let Some(place) = self.board.place_mut(index) {
            place.latest = None;
        }
    }

    /// The tag to tell the server of: that of a resource without input, whose
    /// versions have tags (RFC 8895 §6.5).
    pub(super) fn tag(&self, index: usize) -> Option<String> {
        let latest = self.board.place(index)?.latest.as_ref()?;
        let tagged = self.wanted.get(index)?.input.is_none();
        tagged.then(|| latest.tag.to_string())
    }

    /// Takes what came of a resource, and hands out what fits together.
    ///
    /// # Errors
    /// It cannot be used; then the resource is had anew.
    pub(super) async fn take(
        &mut self,
        mode: Mode,
        index: usize,
        piece: Piece,
    ) -> Result<(), FollowError> {
        let Some(place) = self.board.place_mut(index) else {
            return Ok(());
        };
        let kind = Kind {
            resource_id: place.resource_id.clone(),
            media_type: place.media_type.clone(),
            max_bytes: self.connection.max_bytes(),
        };
        let base = place.latest.take();
        let size = base.as_ref().map_or(0, |base| base.body.len()) + piece.data.len();
        let work = move || Version::after(base.as_ref(), &piece, &kind);
        let version = if size > LARGE {
            self.pool.run(work).await??
        } else {
            work()?
        };
        self.patched |= version.how == How::Patched;
        if let Some(place) = self.board.place_mut(index) {
            place.latest = Some(version);
        }
        if let Some(bounds) = &self.bounds
            && self.board.bytes() > bounds.max_bytes
        {
            return Err(FollowError::TooMuch {
                bytes: self.board.bytes(),
                most: bounds.max_bytes,
            });
        }
        for batch in self.board.release(mode) {
            self.news(News::Changed(batch)).await;
        }
        self.apart_since = match (self.board.has_apart(), self.apart_since) {
            (false, _) => None,
            (true, since) => Some(since.unwrap_or_else(|| self.connection.clock().now())),
        };
        Ok(())
    }

    /// When what does not fit together has not for too long.
    pub(super) fn patience(&self) -> Option<Sleep> {
        self.apart_since
            .map(|since| self.connection.clock().sleep_until(since + APART))
    }

    /// What to do then: have what depends on others anew (RFC 8895 §9.2).
    pub(super) fn part(&mut self) -> FollowError {
        self.board.drop_dependents();
        FollowError::Apart(APART)
    }
}

/// Awaits an end until a time, if there is one.
async fn until(time: Option<Sleep>, end: impl Future<Output = End>) -> Option<End> {
    tokio::select! {
        biased;
        end = end => Some(end),
        () = sleep(time) => None,
    }
}

/// Sleeps, or for ever.
pub(super) async fn sleep(time: Option<Sleep>) {
    match time {
        Some(time) => time.await,
        None => std::future::pending().await,
    }
}
