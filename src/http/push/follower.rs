//! Who follows an answer.

use std::sync::Arc;

use crate::publish::Query;

use super::followed::Followed;
use super::moves::AnswerId;
use super::state::Answer;

/// Follows an answer, which is kept as long.
pub(super) struct Follower {
    followed: Arc<Followed>,
    id: AnswerId,
}

impl Follower {
    /// One more that is counted as following an answer.
    pub(super) fn new(followed: Arc<Followed>, id: AnswerId) -> Self {
        Self { followed, id }
    }

    /// The answer that it follows.
    pub(super) fn id(&self) -> AnswerId {
        self.id
    }

    /// Looks at the answer.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Answer) -> T) -> Option<T> {
        self.followed.look(|answers| answers.get(self.id).map(look))
    }

    /// Its query.
    pub(super) fn query(&self) -> Option<Arc<Query>> {
        self.look(|answer| answer.query.clone())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.followed.leave(self.id);
    }
}
