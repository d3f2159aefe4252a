//! Whole answers, as followers are sent them.

use std::sync::Arc;

use bytes::Bytes;

use crate::publish::{Query, QueryError, Rendering, View};
use crate::render::{Caller, Coding, KeptBody, Representation, Room, SMALL, Unanswered};

use super::followed::Followed;

/// A whole answer.
pub enum Whole {
    /// A small answer, which counts against the memory until its last slice is dropped.
    Text(Bytes),
    /// The body of a full map, which is shared with other clients.
    Kept(KeptBody),
    /// An answer that is written by rows while it is sent.
    Rows(Box<Rendering>, Room),
}

/// Why there is no whole answer.
#[derive(Debug, thiserror::Error)]
pub enum NoWhole {
    /// The view cannot answer.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The answer is not available now.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
}

impl Followed {
    /// Makes the whole answer to a query as a version of the view has it, packed in `coding` if
    /// it is long; it is counted for `caller`.
    ///
    /// # Errors
    /// The view cannot answer it, or there is no room for it.
    pub async fn whole(
        &self,
        view: &Arc<View>,
        query: &Query,
        caller: &Caller,
        coding: Coding,
    ) -> Result<Whole, NoWhole> {
        let bodies = self.bodies();
        let answers = bodies.answers();
        let rendering = if query.is_full_map(view)? {
            let resource = query.resource(view)?;
            let marks = bodies.marks(view, resource, caller).await?;
            let marks = marks.ok_or(QueryError::Gone)?;
            match bodies.body(view, resource, marks, coding, caller).await? {
                Some(Representation::Kept(body)) => return Ok(Whole::Kept(body)),
                Some(Representation::Streamed(rendering)) => rendering,
                None => return Err(QueryError::Gone.into()),
            }
        } else {
            let (asked, query) = (view.clone(), query.clone());
            let read = move || query.rendering(&asked);
            let read = answers.run(view.name(), caller, read).await;
            Box::new(read.map_err(Unanswered::from)??)
        };
        let work = rendering.work();
        if SMALL.exceeded(&work).is_none() {
            let room = answers.flight().take(caller, work.bytes).await;
            let room = room.map_err(Unanswered::from)?;
            let text = rendering.write();
            return Ok(Whole::Text(room.turned_out(text.len() as u64).own(text)));
        }
        let room = answers.room(caller, &work, coding).await?;
        Ok(Whole::Rows(rendering, room))
    }
}
