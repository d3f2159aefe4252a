//! Follows resources in the best way that the server offers, and goes on when that ends.

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

/// How resources are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowSettings {
    /// How often a server that cannot push is polled; with `None` the follower ends with
    /// [`FollowError::NotPushed`] instead.
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
    /// The most bytes of everything that is followed; above that following ends with
    /// [`FollowError::TooMuch`].
    pub max_bytes: usize,
    /// The room for the events that are being read.
    pub rooms: Box<dyn Rooms>,
}

/// Gives room to streams.
pub trait Rooms: Send + Sync + std::fmt::Debug {
    /// Returns room for the events of one stream.
    fn room(&self) -> Box<dyn Room>;
}

/// Follows resources of one server, until it is dropped.
#[derive(Debug)]
pub struct Follower {
    news: mpsc::Receiver<Result<News, FollowError>>,
    _task: Task<()>,
}

/// How much news may wait to be taken, each with whole documents. Beyond that the server waits.
const WAITING: usize = 1;

impl Follower {
    /// Begins to follow resources of the directory at a URL. Large documents are worked on in
    /// the pool.
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

    /// Begins to follow resources within bounds.
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

    /// Whether the server with this directory, whose root is at `root`, offers to push these
    /// resources, by an update stream or TIPS.
    pub fn is_pushed(
        connection: &Connection,
        root: &Url,
        directory: &Directory,
        wanted: &[Followed],
    ) -> bool {
        let offered = Offered::of(directory, connection, root, wanted);
        offered.is_ok_and(|offered| offered.stream.is_some() || offered.tips.is_some())
    }

    /// Returns the next news. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// There is none and will be none: what was wanted cannot be followed.
    pub async fn next(&mut self) -> Result<News, FollowError> {
        self.news.recv().await.unwrap_or(Err(FollowError::Over))
    }
}

/// Has no value.
pub(super) enum Never {}

/// What a way to follow returns: it has no good end.
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
    /// Since when something does not fit together.
    apart_since: Option<Moment>,
    /// The ways that do not work with this server.
    given_up: Vec<Mode>,
    /// How often the server sent something unusable in the present way.
    faults: u32,
    /// Whether a patch applied since.
    patched: bool,
}

/// How long a way must last for its end not to count as a failure.
const SETTLED: Duration = Duration::from_secs(60);

/// After what time a way that was given up is tried again.
const RECONSIDER: Duration = Duration::from_secs(60 * 60);

/// How long a resource may not fit what it depends on.
const APART: Duration = Duration::from_secs(5 * 60);

/// How often a server may send something unusable before another way is taken.
const MAX_FAULTS: u32 = 3;

/// The size from which documents are worked on in the pool.
const LARGE: usize = 64 * 1024;

impl Driver {
    async fn run(mut self) {
        let mut failures = 0;
        loop {
            let begun = self.connection.clock().now();
            let (mode, error) = self.follow().await;
            if error.is_final() {
                // If nobody listens, nobody misses it.
                let _ = self.tell.send(Err(error)).await;
                return;
            }
            if let Some(mode) = mode.filter(|&mode| mode != Mode::Poll) {
                self.give_up_if_failing(mode, &error);
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

    /// Gives a way up that cannot work, or failed too often.
    fn give_up_if_failing(&mut self, mode: Mode, error: &FollowError) {
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

    /// Sends news to whoever listens.
    pub(super) async fn news(&self, news: News) {
        // If nobody listens any more, this task ends too.
        let _ = self.tell.send(Ok(news)).await;
    }

    /// Forgets the version of a resource, since the server is not told of it: what comes next
    /// is not a change of it.
    pub(super) fn forget(&mut self, index: usize) {
        if let Some(place) = self.board.place_mut(index) {
            place.latest = None;
        }
    }

    /// Returns the tag of a resource that the server is told. Only resources without input have
    /// versions with tags (RFC 8895 §6.5).
    pub(super) fn tag(&self, index: usize) -> Option<String> {
        let latest = self.board.place(index)?.latest.as_ref()?;
        let tagged = self.wanted.get(index)?.input.is_none();
        tagged.then(|| latest.tag.to_string())
    }

    /// Takes what came of a resource, and hands out what fits together.
    ///
    /// # Errors
    /// It cannot be used; the resource is fetched anew.
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

    /// Returns a sleep until something has not fitted together for too long.
    pub(super) fn patience(&self) -> Option<Sleep> {
        self.apart_since
            .map(|since| self.connection.clock().sleep_until(since + APART))
    }

    /// Ends such a state: what depends on others is fetched anew (RFC 8895 §9.2).
    pub(super) fn part(&mut self) -> FollowError {
        self.board.drop_dependents();
        FollowError::Apart(APART)
    }
}

/// Awaits `end`, until a time if there is one.
async fn until(time: Option<Sleep>, end: impl Future<Output = End>) -> Option<End> {
    tokio::select! {
        biased;
        end = end => Some(end),
        () = sleep(time) => None,
    }
}

/// Sleeps until a time, or for ever.
pub(super) async fn sleep(time: Option<Sleep>) {
    match time {
        Some(time) => time.await,
        None => std::future::pending().await,
    }
}
