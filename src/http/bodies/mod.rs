//! The bodies of full maps: rendered once for each tag and coding, kept within
//! a bound in bytes, streamed when they are too large to be kept.

use std::io::Write;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::ident::{ResourceId, Tag};
use crate::publish::{Rendering, Resource, Version, View};
use crate::runtime::{Pool, PoolError};

use super::negotiate::Coding;

/// `[publish]`: how bodies are kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How many bytes of rendered bodies are kept in memory.
    pub cache_bytes: u64,
    /// Bodies over this many bytes are streamed and never kept.
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
    /// All of it.
    Whole(Bytes),
    /// Too large to be held: written while it is sent, in the identity coding.
    Streamed(Box<Rendering>),
}

/// The cache of bodies.
pub struct Bodies {
    kept: Cache<Key, Bytes, Weight>,
    max_rendered: usize,
    pool: Pool,
    /// Held while a content is rendered for the first time, so that many who
    /// ask at once have it rendered once.
    first: Mutex<()>,
}

type Key = (ResourceId, Tag, Coding);

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Bytes> for Weight {
    fn weight(&self, _: &Key, body: &Bytes) -> u64 {
        body.len() as u64
    }
}

impl Bodies {
    /// A cache that renders on `pool`.
    pub fn new(settings: &Settings, pool: Pool) -> Self {
        Self {
            kept: Cache::with_weighter(1000, settings.cache_bytes, Weight),
            max_rendered: settings.max_rendered,
            pool,
            first: Mutex::new(()),
        }
    }

    /// The bytes kept now.
    pub fn kept_bytes(&self) -> u64 {
        self.kept.weight()
    }

    /// The marks of what a GET of this resource returns; `None` if it takes
    /// parameters. The first to ask waits for the rendering.
    ///
    /// # Errors
    /// Rendering panicked.
    pub async fn version<'r>(
        &self,
        view: &Arc<View>,
        resource: &'r Resource,
    ) -> Result<Option<&'r Version>, PoolError> {
        if let Some(version) = resource.version.get() {
            return Ok(Some(version));
        }
        let _first = self.first.lock().await;
        if resource.version.get().is_none() {
            let Some((version, body)) = self.render(view, resource).await? else {
                return Ok(None);
            };
            if let Some(body) = body {
                let key = (resource.id.clone(), version.tag.clone(), Coding::Identity);
                self.kept.insert(key, body);
            }
            resource.version.get_or_init(|| version);
        }
        Ok(resource.version.get())
    }

    /// The body of a version in a coding. What is too large to be kept comes
    /// in the identity coding whatever was asked.
    ///
    /// # Errors
    /// Rendering or compressing panicked.
    pub async fn body(
        &self,
        view: &Arc<View>,
        resource: &Resource,
        version: &Version,
        coding: Coding,
    ) -> Result<Option<Representation>, PoolError> {
        if self.is_streamed(version) {
            let rendering = Rendering::new(view.clone(), resource);
            return Ok(rendering.map(|r| Representation::Streamed(Box::new(r))));
        }
        let key = |coding| (resource.id.clone(), version.tag.clone(), coding);
        let (plain, packed) = (key(Coding::Identity), key(coding));
        let identity = self.kept.get_or_insert_async(&plain, async {
            let rendered = self.render(view, resource).await?;
            Ok::<_, PoolError>(rendered.and_then(|(_, body)| body).unwrap_or_default())
        });
        if coding == Coding::Identity {
            return Ok(Some(Representation::Whole(identity.await?)));
        }
        let coded = self.kept.get_or_insert_async(&packed, async {
            let identity = identity.await?;
            self.pool
                .run(move || compress(&identity, coding, Effort::Once))
                .await
        });
        Ok(Some(Representation::Whole(coded.await?)))
    }

    /// Whether a version is too large to be kept.
    pub fn is_streamed(&self, version: &Version) -> bool {
        version.length > self.max_rendered as u64
    }

    async fn render(
        &self,
        view: &Arc<View>,
        resource: &Resource,
    ) -> Result<Option<(Version, Option<Bytes>)>, PoolError> {
        let (view, resource, limit) = (view.clone(), resource.clone(), self.max_rendered);
        let work = move || {
            let (version, body) = Rendering::new(view, &resource)?.finish(limit);
            Some((version, body.map(Bytes::from)))
        };
        self.pool.run(work).await
    }
}

impl Representation {
    /// Its length in bytes, if it is known before it is written.
    pub fn length(&self) -> Option<u64> {
        match self {
            Representation::Whole(bytes) => Some(bytes.len() as u64),
            Representation::Streamed(_) => None,
        }
    }

    /// The body to send.
    pub fn into_body(self) -> Body {
        const PIECE: usize = 64 * 1024;
        match self {
            Representation::Whole(bytes) => Body::from(bytes),
            Representation::Streamed(mut rendering) => {
                let mut more = true;
                let pieces = std::iter::from_fn(move || {
                    let mut piece = Vec::with_capacity(2 * PIECE);
                    while more && piece.len() < PIECE {
                        more = rendering.write_piece(&mut piece);
                    }
                    (!piece.is_empty()).then_some(Ok::<_, std::convert::Infallible>(piece))
                });
                Body::from_stream(futures_util::stream::iter(pieces))
            }
        }
    }
}

/// How hard to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// A body that is sent many times.
    Once,
    /// A body that is sent once.
    Each,
}

/// Compresses a body that is sent once, a large one on the pool.
///
/// # Errors
/// Compressing panicked.
pub async fn pack(pool: &Pool, body: Bytes, coding: Coding) -> Result<Bytes, PoolError> {
    const LARGE: usize = 64 * 1024;
    match coding != Coding::Identity && body.len() > LARGE {
        true => {
            pool.run(move || compress(&body, coding, Effort::Each))
                .await
        }
        false => Ok(compress(&body, coding, Effort::Each)),
    }
}

/// Compresses a body.
pub fn compress(body: &Bytes, coding: Coding, effort: Effort) -> Bytes {
    let once = effort == Effort::Once;
    let compressed = match coding {
        Coding::Identity => return body.clone(),
        Coding::Gzip => {
            let level = flate2::Compression::new(if once { 6 } else { 1 });
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(body).and_then(|()| encoder.finish())
        }
        Coding::Zstd => zstd::bulk::compress(body, if once { 6 } else { 1 }),
    };
    Bytes::from(compressed.expect("neither encoder fails when it writes to memory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_packed_alike_wherever_that_is_done() {
        let pool = Pool::new(1).expect("a thread");
        for length in [100, 1 << 20] {
            let body = Bytes::from(vec![b'7'; length]);
            for coding in [Coding::Identity, Coding::Gzip, Coding::Zstd] {
                let packed = pack(&pool, body.clone(), coding).await;
                let same = compress(&body, coding, Effort::Each);
                assert_eq!(packed.expect("it does not panic"), same, "{length}");
            }
        }
    }
}
