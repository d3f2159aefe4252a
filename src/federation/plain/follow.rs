//! Follows the maps of a plain server that offers to push their changes.

use bytes::Bytes;
use serde_json::Value;
use url::Url;

use crate::client::{
    FollowBounds, FollowError, FollowSettings, Followed, Follower, News, PeerClient, Update,
};
use crate::runtime::Pool;

use super::choice::Source;

/// The maps of a plain domain that are followed.
///
/// If the stream is cut, the follower opens it again with what it has by then. It ends if
/// nothing can be pushed, instead of polling.
#[derive(Debug)]
pub(in crate::federation) struct Following {
    follower: Follower,
    pushed: Pushed,
}

/// The last pushed body of each map.
#[derive(Debug)]
pub(in crate::federation) struct Pushed {
    wanted: Vec<Followed>,
    bodies: Vec<Option<Bytes>>,
}

impl Following {
    /// Begins to follow these maps of the server with this directory.
    pub(in crate::federation) fn new(
        client: &PeerClient,
        pool: &Pool,
        directory: &Url,
        wanted: &[Followed],
        bounds: FollowBounds,
    ) -> Self {
        let settings = FollowSettings { interval: None };
        let (link, pool, directory) = (client.connection(), pool.clone(), directory.clone());
        let (followed, bounds) = (wanted.to_vec(), Some(bounds));
        Self {
            follower: Follower::within(link, pool, directory, followed, settings, bounds),
            pushed: Pushed {
                wanted: wanted.to_vec(),
                bodies: vec![None; wanted.len()],
            },
        }
    }

    /// Whether these are the maps that are followed.
    pub(in crate::federation) fn is_of(&self, wanted: Option<&[Followed]>) -> bool {
        wanted == Some(&*self.pushed.wanted)
    }

    /// Returns how many bytes all bodies have.
    pub(in crate::federation) fn bytes(&self) -> u64 {
        let bodies = self.pushed.bodies.iter().flatten();
        bodies.map(|body| body.len() as u64).sum()
    }

    /// Waits for the next news. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// There will be none, because the server does not push.
    pub(in crate::federation) async fn next(&mut self) -> Result<News, FollowError> {
        self.follower.next().await
    }

    /// Takes updates; returns all bodies once there is one of every map.
    pub(in crate::federation) fn take(&mut self, updates: Vec<Update>) -> Option<&Pushed> {
        for update in updates {
            if let Some(body) = self.pushed.bodies.get_mut(update.index) {
                *body = Some(update.body);
            }
        }
        let is_whole = self.pushed.bodies.iter().all(Option::is_some);
        is_whole.then_some(&self.pushed)
    }
}

impl Pushed {
    /// Returns the last body of a resource that is requested with this input.
    pub(super) fn body(&self, id: &str, input: Option<&Value>) -> Option<&Bytes> {
        let mut all = self.wanted.iter().zip(&self.bodies);
        let is_it =
            |followed: &Followed| followed.resource_id == id && followed.input.as_ref() == input;
        all.find(|(followed, _)| is_it(followed))?.1.as_ref()
    }
}

/// Returns the resources to follow for a domain: its network map, and the sources of its costs.
pub(super) fn followed<'a>(map: &str, sources: impl Iterator<Item = &'a Source>) -> Vec<Followed> {
    let map = Followed {
        resource_id: map.to_owned(),
        input: None,
    };
    let costs = sources.map(|source| Followed {
        resource_id: source.id.clone(),
        input: source.input(),
    });
    [map].into_iter().chain(costs).collect()
}
