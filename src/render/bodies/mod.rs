//! The bodies of full maps. They are rendered once for each content and coding and kept within a
//! limit in bytes; those too large to be kept are written by rows while they are sent.
//!
//! Rendering and packing a map is work for all who ask for it. It takes turns as a caller of its
//! own, so that it does not queue behind other requests of whoever asked first; its room is
//! counted for that first caller.

mod kept;
mod once;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::ident::{ResourceId, Sha256};
use crate::publish::{Rendering, Resource, ResourceMarks, View, ViewName, Work};
use crate::runtime::{Clock, PoolError};

use super::answers::{Answers, Unanswered};
use super::caller::Caller;
use super::coding::Coding;
use super::flight::Room;
use super::packing::{Effort, Packing};
use super::settings::Settings;

use kept::{Chain, Draft, Kept, Key};
pub use kept::{GivenUp, KeptBody};
use once::{End, Once, Wanted};

/// A body to be sent.
pub enum Representation {
    /// A body that is kept.
    Kept(KeptBody),
    /// A body that is not kept: it is written and packed while it is sent.
    Streamed(Box<Rendering>),
}

/// The cache of bodies.
#[derive(Debug)]
pub struct Bodies {
    kept: Arc<Kept>,
    max_rendered: u64,
    answers: Arc<Answers>,
    /// Contents that are being rendered for the first time, by the address of their marks.
    marking: Once<usize, (), Unanswered>,
    /// Bodies that are being made; none results if there is no room to keep it.
    making: Once<Key, Option<KeptBody>, Unanswered>,
    /// How many pieces of shared work were begun.
    works: AtomicU64,
}

/// Work on a body, shared by all who ask for it.
struct Making {
    answers: Arc<Answers>,
    kept: Arc<Kept>,
    /// The caller whose turns the work takes.
    caller: Caller,
    wanted: Wanted,
    _room: Room,
}

/// Why work has no result.
enum Unmade {
    GivenUp,
    Failed(Unanswered),
}

impl From<PoolError> for Unmade {
    fn from(error: PoolError) -> Self {
        Unmade::Failed(error.into())
    }
}

fn end<T>(made: Result<T, Unmade>) -> End<T, Unanswered> {
    match made {
        Ok(made) => End::Made(made),
        Err(Unmade::Failed(error)) => End::Failed(error),
        Err(Unmade::GivenUp) => End::GivenUp,
    }
}

impl Bodies {
    /// Creates a cache of bodies that `answers` computes.
    pub fn new(settings: &Settings, answers: Arc<Answers>, clock: Clock) -> Self {
        Self {
            kept: Kept::new(settings.cache_bytes),
            max_rendered: settings.max_rendered as u64,
            answers,
            marking: Once::new(clock.clone()),
            making: Once::new(clock),
            works: AtomicU64::new(0),
        }
    }

    /// Returns how many answers were cut off since the start because their body was given up.
    pub fn cut(&self) -> u64 {
        self.kept.cut()
    }

    /// Returns the bytes that are kept now.
    pub fn kept_bytes(&self) -> u64 {
        self.kept.bytes()
    }

    /// Returns what computes the bodies.
    pub fn answers(&self) -> &Arc<Answers> {
        &self.answers
    }

    /// Returns the marks of the body that a GET of this resource returns; `None` if it takes
    /// parameters. The body is rendered once for all who ask for it.
    ///
    /// # Errors
    /// There is no room for it, or rendering panicked.
    pub async fn marks<'r>(
        &self,
        view: &Arc<View>,
        resource: &'r Resource,
        caller: &Caller,
    ) -> Result<Option<&'r ResourceMarks>, Unanswered> {
        self.find_marks(view, resource, caller, true).await
    }

    /// As [`Bodies::marks`], for a content that is not about to be sent: its body is not kept.
    ///
    /// # Errors
    /// There is no room for it, or rendering panicked.
    pub async fn marks_alone<'r>(
        &self,
        view: &Arc<View>,
        resource: &'r Resource,
    ) -> Result<Option<&'r ResourceMarks>, Unanswered> {
        self.find_marks(view, resource, &Caller::Node, false).await
    }

    async fn find_marks<'r>(
        &self,
        view: &Arc<View>,
        resource: &'r Resource,
        caller: &Caller,
        keep: bool,
    ) -> Result<Option<&'r ResourceMarks>, Unanswered> {
        if let Some(marks) = resource.marks.get() {
            return Ok(Some(marks));
        }
        let Some(rendering) = view.rendering(resource) else {
            return Ok(None);
        };
        let takes = rendering.work();
        // A body that is too long to be kept must not displace others.
        let is_short = takes.bytes <= self.max_rendered && self.kept.takes(takes.bytes);
        let room = self.answers.room(caller, &takes, Coding::Identity);
        let content = Arc::as_ptr(&resource.marks) as usize;
        let is_made = || resource.marks.get().map(|_| ());
        let work = |room, wanted| {
            let making = self.begin(room, wanted);
            let draft = (keep && is_short).then(|| self.kept.draft());
            let (id, cell, most) = (
                resource.id.clone(),
                resource.marks.clone(),
                self.max_rendered,
            );
            async move {
                end(making.mark(rendering, draft).await.map(|(marks, draft)| {
                    if let Some(draft) = draft.filter(|_| marks.length <= most) {
                        draft.keep(key(&id, &marks, Coding::Identity));
                    }
                    cell.get_or_init(|| marks);
                }))
            }
        };
        let made = self.marking.make(&content, is_made, room, work).await?;
        made.ok_or_else(broken_off)?;
        Ok(resource.marks.get())
    }

    /// Makes the context of work that begins now.
    fn begin(&self, room: Room, wanted: Wanted) -> Making {
        let number = self.works.fetch_add(1, Ordering::Relaxed);
        Making {
            answers: self.answers.clone(),
            kept: self.kept.clone(),
            caller: Caller::Shared(number),
            wanted,
            _room: room,
        }
    }

    /// Returns the body with these marks in a coding; `None` if the resource takes parameters.
    ///
    /// # Errors
    /// There is no room for it, or rendering or packing panicked.
    pub async fn body(
        &self,
        view: &Arc<View>,
        resource: &Resource,
        marks: &ResourceMarks,
        coding: Coding,
        caller: &Caller,
    ) -> Result<Option<Representation>, Unanswered> {
        let key = key(&resource.id, marks, coding);
        if let Some(body) = self.kept.get(&key) {
            return Ok(Some(Representation::Kept(body)));
        }
        let is_short = self.may_keep(marks);
        let plain = match coding {
            Coding::Identity => None,
            _ => self.plain(view, resource, marks, caller).await?,
        };
        let made = match plain {
            Some(plain) => Some(self.packed(view.name(), caller, &plain, &key).await?),
            None if coding == Coding::Identity && !is_short => None,
            None => {
                let Some(rendering) = view.rendering(resource) else {
                    return Ok(None);
                };
                Some(self.rendered(caller, rendering, &key, marks.length).await?)
            }
        };
        if let Some(body) = made.flatten() {
            return Ok(Some(Representation::Kept(body)));
        }
        let rendering = view.rendering(resource);
        Ok(rendering.map(|rendering| Representation::Streamed(Box::new(rendering))))
    }

    /// Returns the body without a coding, if it can be kept.
    async fn plain(
        &self,
        view: &Arc<View>,
        resource: &Resource,
        marks: &ResourceMarks,
        caller: &Caller,
    ) -> Result<Option<KeptBody>, Unanswered> {
        if !self.may_keep(marks) {
            return Ok(None);
        }
        let plain = self.body(view, resource, marks, Coding::Identity, caller);
        Ok(match Box::pin(plain).await? {
            Some(Representation::Kept(body)) => Some(body),
            _ => None,
        })
    }

    /// Whether the body may be kept without a coding.
    fn may_keep(&self, marks: &ResourceMarks) -> bool {
        marks.length <= self.max_rendered && self.kept.takes(marks.length)
    }

    /// Renders a body in a coding; none if there is no room to keep it.
    async fn rendered(
        &self,
        caller: &Caller,
        rendering: Rendering,
        key: &Key,
        length: u64,
    ) -> Result<Option<KeptBody>, Unanswered> {
        let takes = rendering.work();
        let effort = effort(length);
        let room = self.answers.room_for(caller, &takes, key.coding, effort);
        let work = |room, wanted| {
            let (making, key) = (self.begin(room, wanted), key.clone());
            async move { end(making.render(rendering, key, effort).await) }
        };
        self.made(key, room, work).await
    }

    /// Packs a kept body in another coding; none if there is no room to keep it.
    async fn packed(
        &self,
        view: &ViewName,
        caller: &Caller,
        plain: &KeptBody,
        key: &Key,
    ) -> Result<Option<KeptBody>, Unanswered> {
        let effort = effort(plain.length());
        let Some(plain) = plain.chain() else {
            return Ok(None);
        };
        let nothing = Work::default();
        let room = self.answers.room_for(caller, &nothing, key.coding, effort);
        let work = |room, wanted| {
            let (making, view, key) = (self.begin(room, wanted), view.clone(), key.clone());
            async move { end(making.pack(view, plain, key, effort).await) }
        };
        self.made(key, room, work).await
    }

    async fn made<F>(
        &self,
        key: &Key,
        room: impl Future<Output = Result<Room, Unanswered>>,
        work: impl FnOnce(Room, Wanted) -> F,
    ) -> Result<Option<KeptBody>, Unanswered>
    where
        F: Future<Output = End<Option<KeptBody>, Unanswered>> + Send + 'static,
    {
        let is_made = || self.kept.get(key).map(Some);
        let made = self.making.make(key, is_made, room, work).await?;
        made.ok_or_else(broken_off)
    }
}

impl Making {
    /// Checks that somebody still waits, before the next piece.
    fn go_on(&mut self) -> Result<(), Unmade> {
        if self.wanted.goes_on() {
            Ok(())
        } else {
            Err(Unmade::GivenUp)
        }
    }

    /// Computes the marks of a content. The body is in the returned draft, if a draft was given
    /// and there was room.
    async fn mark(
        mut self,
        rendering: Rendering,
        mut draft: Option<Draft>,
    ) -> Result<(ResourceMarks, Option<Draft>), Unmade> {
        let (mut rendering, mut hasher, mut length) = (Box::new(rendering), Sha256::new(), 0);
        loop {
            self.go_on()?;
            let hash = |hasher: &mut Sha256, text: Bytes| {
                hasher.update(&text);
                text
            };
            let step = self.answers.step(&self.caller, rendering, hasher, hash);
            let step = step.await?;
            length += step.made.len() as u64;
            draft = draft.and_then(|mut draft| draft.push(step.made).then_some(draft));
            (rendering, hasher) = (step.rendering, step.state);
            if !step.more {
                break;
            }
        }
        let digest = hasher.finish();
        let marks = ResourceMarks {
            tag: rendering.tag(digest),
            digest,
            length,
        };
        Ok((marks, draft))
    }

    /// Writes and packs a body; none if there is no room to keep it.
    async fn render(
        mut self,
        rendering: Rendering,
        key: Key,
        effort: Effort,
    ) -> Result<Option<KeptBody>, Unmade> {
        let mut draft = self.kept.draft();
        let mut rendering = Box::new(rendering);
        let mut packing = Packing::new(key.coding, effort);
        loop {
            self.go_on()?;
            let pack = |packing: &mut Packing, text| packing.pack(&text);
            let step = self.answers.step(&self.caller, rendering, packing, pack);
            let step = step.await?;
            if !draft.push(step.made) {
                return Ok(None);
            }
            (rendering, packing) = (step.rendering, step.state);
            if !step.more {
                let whole = draft.push(packing.finish());
                return Ok(whole.then(|| draft.keep(key)));
            }
        }
    }

    /// Packs a kept body; none if there is no room to keep it.
    async fn pack(
        mut self,
        view: ViewName,
        plain: Arc<Chain>,
        key: Key,
        effort: Effort,
    ) -> Result<Option<KeptBody>, Unmade> {
        let mut draft = self.kept.draft();
        let mut packing = Packing::new(key.coding, effort);
        for piece in plain.pieces() {
            self.go_on()?;
            let piece = piece.clone();
            let pack = move || {
                let packed = packing.pack(&piece);
                (packing, packed)
            };
            let (more, packed) = self.answers.run(&view, &self.caller, pack).await?;
            packing = more;
            if !draft.push(packed) {
                return Ok(None);
            }
        }
        let whole = draft.push(packing.finish());
        Ok(whole.then(|| draft.keep(key)))
    }
}

/// The error that is returned to those who wait for work that ended without a result.
fn broken_off() -> Unanswered {
    let message = "the work on a body broke off".to_owned();
    PoolError::Panicked { message }.into()
}

fn key(id: &ResourceId, marks: &ResourceMarks, coding: Coding) -> Key {
    Key {
        id: id.clone(),
        tag: marks.tag.clone(),
        coding,
    }
}

/// Returns how hard a body of this length that is sent many times is packed. The longest bodies
/// are replaced before more effort would pay.
fn effort(length: u64) -> Effort {
    const LONG: u64 = 16 * 1024 * 1024;
    if length > LONG {
        Effort::Long
    } else {
        Effort::Once
    }
}

#[cfg(test)]
mod tests;
