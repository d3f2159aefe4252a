//! Follows by polling.

use std::time::Duration;

use super::follower::{Driver, End};
use super::news::{Mode, News};
use super::offered::Offered;
use super::version::Piece;
use crate::client::connection::Call;

/// The pause before resources are asked for again that do not fit together: one changed between
/// two requests.
const SOON: Duration = Duration::from_secs(1);

impl Driver {
    /// Asks for each resource in turn, bases before what depends on them.
    pub(super) async fn poll(&mut self, offered: &Offered, interval: Duration) -> End {
        let mut etags: Vec<Option<String>> = vec![None; offered.resources.len()];
        let mut begun = false;
        let is_base = |index: &usize| {
            self.board
                .place(*index)
                .is_some_and(|place| place.bases.is_empty())
        };
        let (mut order, dependents): (Vec<usize>, Vec<usize>) =
            (0..offered.resources.len()).partition(is_base);
        order.extend(dependents);
        loop {
            for &index in &order {
                let (Some(resource), Some(etag)) =
                    (offered.resources.get(index), etags.get_mut(index))
                else {
                    continue;
                };
                let input = self
                    .wanted
                    .get(index)
                    .and_then(|wanted| wanted.input.as_ref());
                let wanted = [resource.entry.media_type.as_str()];
                let call = match input.zip(resource.entry.accepts.as_deref()) {
                    Some((input, accepts)) => {
                        Call::post(&resource.url, &wanted, accepts, input.to_string())
                    }
                    None => Call {
                        known: etag.as_deref(),
                        ..Call::new(&resource.url, &wanted)
                    },
                };
                let received = self.connection.fetch(call).await?;
                if !std::mem::replace(&mut begun, true) {
                    self.news(News::Following(Mode::Poll)).await;
                }
                if let Some(received) = received {
                    *etag = received.etag;
                    let piece = Piece {
                        media_type: received.media_type,
                        data: received.body,
                    };
                    self.take(Mode::Poll, index, piece).await?;
                }
            }
            let wait = if self.board.has_apart() {
                SOON.min(interval)
            } else {
                interval
            };
            self.connection.clock().sleep(wait).await;
        }
    }
}
