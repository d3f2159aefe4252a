//! The bodies of full maps: rendered once for each content and coding, kept within a bound in
//! bytes, written by rows while they are sent where they are too large to be kept.

mod kept;
mod once;

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use crate::ident::Sha256;
use crate::publish::{Rendering, Resource, Version, View, ViewName, Work};

use super::answers::{Answers, Unanswered};
use super::limit::Caller;
use super::negotiate::Coding;
use super::packing::{Effort, Packing};

pub use kept::{Body, GivenUp};
use kept::{Draft, Kept, Key};
use once::Once;

/// `[publish]`: how bodies are kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How many bytes of rendered bodies are kept in memory, those being sent counted.
    pub cache_bytes: u64,
    /// Bodies over this many bytes are kept packed only, and else written while they are sent.
    pub max_rendered: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cache_bytes: 128 * 1024 * 1024,
            max_rendered: 64 * 1024 * 1024,
        }
    }
}

/// A body to be sent.
pub enum Representation {
    /// One that is kept.
    Kept(Body),
    /// One that is not: to be written while it is sent, and packed on the way.
    Streamed(Box<Rendering>),
}

/// The cache of bodies.
#[derive(Debug)]
pub struct Bodies {
    kept: Arc<Kept>,
    max_rendered: u64,
    answers: Arc<Answers>,
    /// Contents that are rendered for the first time, by where their marks are kept.
    marking: Once<usize>,
    making: Once<Key>,
}

impl Bodies {
    /// A cache of what `answers` works out.
    pub fn new(settings: &Settings, answers: Arc<Answers>) -> Self {
        Self {
            kept: Kept::new(settings.cache_bytes),
            max_rendered: settings.max_rendered as u64,
            answers,
            marking: Once::default(),
            making: Once::default(),
        }
    }

    /// Answers that were cut off since the start, since the body that they were sent was given up.
    pub fn cut(&self) -> u64 {
        self.kept.cut()
    }

    /// The bytes kept now.
    pub fn kept_bytes(&self) -> u64 {
        self.kept.bytes()
    }

    /// What works them out.
    pub(super) fn answers(&self) -> &Arc<Answers> {
        &self.answers
    }

    /// The marks of what a GET of this resource returns; `None` if it takes parameters. The first
    /// to ask has it rendered; others who ask for the same wait.
    ///
    /// # Errors
    /// There is no room for it, or rendering panicked.
    pub(super) async fn version<'r>(
        &self,
        view: &Arc<View>,
        resource: &'r Resource,
        caller: &Caller,
    ) -> Result<Option<&'r Version>, Unanswered> {
        self.marks(view, resource, caller, true).await
    }

    /// As [`Bodies::version`], of a content that is not about to be sent: its body is not kept.
    ///
    /// # Errors
    /// There is no room for it, or rendering panicked.
    pub(super) async fn version_alone<'r>(
        &self,
        view: &Arc<View>,
        resource: &'r Resource,
    ) -> Result<Option<&'r Version>, Unanswered> {
        self.marks(view, resource, &Caller::Node, false).await
    }

    async fn marks<'r>(
        &self,
        view: &Arc<View>,
        resource: &'r Resource,
        caller: &Caller,
        keep: bool,
    ) -> Result<Option<&'r Version>, Unanswered> {
        if let Some(version) = resource.version.get() {
            return Ok(Some(version));
        }
        let Some(rendering) = Rendering::new(view.clone(), resource) else {
            return Ok(None);
        };
        let work = rendering.work();
        let room = self.answers.room(caller, &work, Coding::Identity);
        let content = Arc::as_ptr(&resource.version) as usize;
        let is_made = || resource.version.get().is_some();
        let Some(_making) = self.marking.enter_with(&content, is_made, room).await? else {
            return Ok(resource.version.get());
        };
        // What would not be kept in the end drives nothing out.
        let is_short = work.bytes <= self.max_rendered && self.kept.takes(work.bytes);
        let draft = (keep && is_short).then(|| self.kept.draft());
        let (version, draft) = self.mark(caller, rendering, draft).await?;
        if let Some(draft) = draft.filter(|_| version.length <= self.max_rendered) {
            draft.keep(key(resource, &version, Coding::Identity));
        }
        Ok(Some(resource.version.get_or_init(|| version)))
    }

    /// The body of a version in a coding.
    ///
    /// # Errors
    /// There is no room for it, or rendering or packing panicked.
    pub(super) async fn body(
        &self,
        view: &Arc<View>,
        resource: &Resource,
        version: &Version,
        coding: Coding,
        caller: &Caller,
    ) -> Result<Option<Representation>, Unanswered> {
        let key = key(resource, version, coding);
        if let Some(body) = self.kept.get(&key) {
            return Ok(Some(Representation::Kept(body)));
        }
        let is_short = self.may_keep(version);
        let plain = match coding {
            Coding::Identity => None,
            _ => self.plain(view, resource, version, caller).await?,
        };
        let made = match plain {
            Some(plain) => Some(self.packed(view.name(), caller, &plain, &key).await?),
            None if coding == Coding::Identity && !is_short => None,
            None => {
                let Some(rendering) = Rendering::new(view.clone(), resource) else {
                    return Ok(None);
                };
                Some(
                    self.rendered(caller, rendering, &key, version.length)
                        .await?,
                )
            }
        };
        if let Some(body) = made.flatten() {
            return Ok(Some(Representation::Kept(body)));
        }
        let rendering = Rendering::new(view.clone(), resource);
        Ok(rendering.map(|rendering| Representation::Streamed(Box::new(rendering))))
    }

    /// The body as it is, if it can be kept.
    async fn plain(
        &self,
        view: &Arc<View>,
        resource: &Resource,
        version: &Version,
        caller: &Caller,
    ) -> Result<Option<Body>, Unanswered> {
        if !self.may_keep(version) {
            return Ok(None);
        }
        let plain = self.body(view, resource, version, Coding::Identity, caller);
        Ok(match Box::pin(plain).await? {
            Some(Representation::Kept(body)) => Some(body),
            _ => None,
        })
    }

    /// Whether the body may be kept as it is.
    fn may_keep(&self, version: &Version) -> bool {
        version.length <= self.max_rendered && self.kept.takes(version.length)
    }

    /// The marks of a content, and its body in the draft if there is one and room for it.
    async fn mark(
        &self,
        caller: &Caller,
        rendering: Rendering,
        mut draft: Option<Draft>,
    ) -> Result<(Version, Option<Draft>), Unanswered> {
        let (mut rendering, mut hasher, mut length) = (Box::new(rendering), Sha256::new(), 0);
        loop {
            let hash = |hasher: &mut Sha256, text: Bytes| {
                hasher.update(&text);
                text
            };
            let step = self.answers.step(caller, rendering, hasher, hash).await?;
            length += step.made.len() as u64;
            draft = draft.and_then(|mut draft| draft.push(step.made).then_some(draft));
            (rendering, hasher) = (step.rendering, step.state);
            if !step.more {
                break;
            }
        }
        let digest = hasher.finish();
        let version = Version {
            tag: rendering.tag(digest),
            digest,
            length,
        };
        Ok((version, draft))
    }

    /// A body in a coding; none if there is no room to keep it.
    async fn rendered(
        &self,
        caller: &Caller,
        rendering: Rendering,
        key: &Key,
        length: u64,
    ) -> Result<Option<Body>, Unanswered> {
        let work = rendering.work();
        let effort = effort(length);
        let room = self.answers.room_for(caller, &work, key.coding, effort);
        let is_made = || self.kept.get(key).is_some();
        let Some(_making) = self.making.enter_with(key, is_made, room).await? else {
            return Ok(self.kept.get(key));
        };
        let mut draft = self.kept.draft();
        let mut rendering = Box::new(rendering);
        let mut packing = Packing::new(key.coding, effort);
        loop {
            let pack = |packing: &mut Packing, text| packing.pack(&text);
            let step = self.answers.step(caller, rendering, packing, pack).await?;
            if !draft.push(step.made) {
                return Ok(None);
            }
            (rendering, packing) = (step.rendering, step.state);
            if !step.more {
                let whole = draft.push(packing.finish());
                return Ok(whole.then(|| draft.keep(key.clone())));
            }
        }
    }

    /// A kept body in another coding; none if there is no room to keep it.
    async fn packed(
        &self,
        view: &ViewName,
        caller: &Caller,
        plain: &Body,
        key: &Key,
    ) -> Result<Option<Body>, Unanswered> {
        let (work, effort) = (Work::default(), effort(plain.length()));
        let room = self.answers.room_for(caller, &work, key.coding, effort);
        let is_made = || self.kept.get(key).is_some();
        let Some(_making) = self.making.enter_with(key, is_made, room).await? else {
            return Ok(self.kept.get(key));
        };
        let Some(plain) = plain.chain() else {
            return Ok(None);
        };
        let mut draft = self.kept.draft();
        let mut packing = Packing::new(key.coding, effort);
        for piece in plain.pieces() {
            let piece = piece.clone();
            let pack = move || {
                let packed = packing.pack(&piece);
                (packing, packed)
            };
            let (more, packed) = self.answers.run(view, caller, pack).await?;
            packing = more;
            if !draft.push(packed) {
                return Ok(None);
            }
        }
        let whole = draft.push(packing.finish());
        Ok(whole.then(|| draft.keep(key.clone())))
    }
}

fn key(resource: &Resource, version: &Version, coding: Coding) -> Key {
    Key {
        id: resource.id.clone(),
        tag: version.tag.clone(),
        coding,
    }
}

/// How hard a body of this length is packed that is sent many times. The longest ones change
/// before it would pay.
fn effort(length: u64) -> Effort {
    const LONG: u64 = 16 * 1024 * 1024;
    if length > LONG {
        Effort::Long
    } else {
        Effort::Once
    }
}
