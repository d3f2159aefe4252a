//! Follows by an update stream (RFC 8895).

use std::collections::BTreeMap;

use super::error::FollowError;
use super::follower::{Driver, End, sleep};
use super::news::{Mode, News};
use super::offered::{Offered, applies_all};
use super::version::Piece;
use crate::alto::update::{AddUpdate, ControlUpdate, Input, UpdateStreamParams};
use crate::client::directory::Resource;
use crate::client::{DataEvent, StreamEvent, UpdateStream};

impl Driver {
    /// Follows all resources on one stream. The id of a substream is the index of its resource.
    pub(super) async fn stream(&mut self, offered: &Offered, service: &Resource) -> End {
        let mut add = BTreeMap::new();
        for (index, resource) in offered.resources.iter().enumerate() {
            let tag = self.tag(index);
            if tag.is_none() {
                self.forget(index);
            }
            let input = self
                .wanted
                .get(index)
                .and_then(|wanted| wanted.input.as_ref().map(Input::from));
            let update = AddUpdate {
                resource_id: resource.id.clone(),
                tag,
                incremental_changes: applies_all(service, &resource.id),
                input,
            };
            add.insert(index.to_string(), update);
        }
        let params = UpdateStreamParams { add, remove: None };
        let mut stream = UpdateStream::open(&self.connection, &service.url, &params).await?;
        if let Some(bounds) = &self.bounds {
            stream = stream.within(bounds.rooms.room());
        }
        let mut begun = false;
        loop {
            let event = tokio::select! {
                biased;
                event = stream.next() => event?,
                () = sleep(self.patience()) => return Err(self.part()),
            };
            if !std::mem::replace(&mut begun, true) {
                self.news(News::Following(Mode::Stream)).await;
            }
            match event {
                StreamEvent::Control(control) => self.is_going_on(control)?,
                StreamEvent::Data(data) => self.data(data).await?,
                StreamEvent::Lost { substream, bytes } => {
                    substream
                        .parse()
                        .into_iter()
                        .for_each(|lost| self.forget(lost));
                    return Err(FollowError::NoRoom(bytes));
                }
            }
        }
    }

    /// Checks that none of our substreams stopped.
    ///
    /// # Errors
    /// One did.
    fn is_going_on(&self, control: ControlUpdate) -> Result<(), FollowError> {
        let ended = |id: &String| Some(self.board.place(id.parse().ok()?)?.resource_id.clone());
        match control.stopped.iter().find_map(ended) {
            Some(resource_id) => Err(FollowError::Stopped {
                resource_id,
                description: control.description,
            }),
            None => Ok(()),
        }
    }

    async fn data(&mut self, event: DataEvent) -> Result<(), FollowError> {
        let index = event.substream.parse().ok();
        let known = index.filter(|&index| self.board.place(index).is_some());
        let (Some(index), None) = (known, &event.part) else {
            return Err(FollowError::Malformed {
                resource_id: event.substream,
                reason: "there is no such substream, or it has no parts".to_owned(),
            });
        };
        let piece = Piece {
            media_type: event.media_type,
            data: event.data,
        };
        self.take(Mode::Stream, index, piece).await
    }
}
