//! One update stream of RFC 8895: opening it, reading its events, controlling it.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use url::Url;

use crate::alto::media;
use crate::alto::update::{ControlUpdate, UpdateStreamParams, is_substream_id};

use super::connection::{Call, Connection, Incoming, shown};
use super::peer_error::PeerError;
use super::sse::{EventReader, EventTooLarge, ServerEvent};

/// Room in memory for the event that is being read.
pub trait Room: Send + Sync + std::fmt::Debug {
    /// Reserves room for this many bytes in place of what was reserved before; whether there is
    /// as much.
    fn holds(&mut self, bytes: usize) -> bool;
}

/// An open update stream. It is closed when it is dropped.
#[derive(Debug)]
pub struct UpdateStream {
    room: Option<Box<dyn Room>>,
    connection: Connection,
    incoming: Incoming,
    reader: EventReader,
    waiting: VecDeque<ServerEvent>,
    control: Option<Url>,
    begun: bool,
}

/// What comes on an update stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEvent {
    /// Substreams were started or stopped. The first event is one of these (RFC 8895 §6.7.1).
    Control(ControlUpdate),
    /// A document, or a change of one.
    Data(DataEvent),
    /// An event was dropped since there was no room: what came of its substream before is out
    /// of date.
    Lost {
        /// The substream.
        substream: String,
        /// How many bytes came.
        bytes: usize,
    },
}

/// A document, or a change of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataEvent {
    /// The media type of the resource, or of a patch, without parameters and in lower case.
    pub media_type: String,
    /// The substream that it belongs to.
    pub substream: String,
    /// The part of a `multipart/related` resource that it changes (RFC 8895
    /// §5.2).
    pub part: Option<String>,
    /// The data; the lines it came in are joined by newlines.
    pub data: Bytes,
}

/// Why there is no next event. The stream is over. Unless [`StreamError::is_lasting`], another
/// one can be opened, with the tags that are known.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// It could not be opened, or broke.
    #[error(transparent)]
    Request(#[from] PeerError),
    /// The server ended it.
    #[error("{url}: the server closed the stream")]
    Closed {
        /// Where it came from.
        url: String,
    },
    /// The server sent what is no event of RFC 8895.
    #[error("{url}: {reason}")]
    Malformed {
        /// Where it came from.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// How long nothing may come: servers are to send something every 15 seconds (RFC 8895 §6.8),
/// and may miss that twice.
const SILENCE: Duration = Duration::from_secs(45);

impl UpdateStream {
    /// Opens the stream at a URL.
    ///
    /// # Errors
    /// The server has no such stream.
    pub async fn open(
        connection: &Connection,
        url: &Url,
        params: &UpdateStreamParams,
    ) -> Result<Self, StreamError> {
        let call = Call::post(
            url,
            &[media::EVENT_STREAM],
            media::UPDATE_STREAM_PARAMS,
            text(params),
        );
        Ok(Self {
            room: None,
            incoming: connection.open(call).await?,
            reader: EventReader::new(connection.max_bytes()),
            connection: connection.clone(),
            waiting: VecDeque::new(),
            control: None,
            begun: false,
        })
    }

    /// Reads events within this room. An event for which there is none is dropped, and the
    /// stream goes on.
    #[must_use]
    pub fn within(mut self, room: Box<dyn Room>) -> Self {
        self.room = Some(room);
        self
    }

    /// Returns the next event; until then the one before keeps its room. Nothing is lost when
    /// the future is dropped.
    ///
    /// # Errors
    /// There is none; the stream is over.
    pub async fn next(&mut self) -> Result<StreamEvent, StreamError> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return self.take(event);
            }
            if let Some(room) = &mut self.room
                && !room.holds(self.reader.buffered())
            {
                self.reader.let_go();
            }
            let Some(chunk) = self.incoming.chunk(SILENCE).await? else {
                let url = shown(&self.incoming.place);
                return Err(StreamError::Closed { url });
            };
            let fed = self.reader.feed(&chunk, &mut self.waiting);
            fed.map_err(|error: EventTooLarge| StreamError::Malformed {
                url: shown(&self.incoming.place),
                reason: error.to_string(),
            })?;
        }
    }

    /// Returns where the stream is controlled, if it can be, once its first event has come.
    pub fn control_uri(&self) -> Option<&Url> {
        self.control.as_ref()
    }

    /// Adds or removes substreams (RFC 8895 §7). An event on the stream says when that is done.
    ///
    /// # Errors
    /// The stream cannot be controlled, or nothing of the request was done.
    pub async fn control(&self, params: &UpdateStreamParams) -> Result<(), StreamError> {
        let Some(url) = &self.control else {
            return Err(self.malformed("the stream has no control URI; open another"));
        };
        let call = Call::post(url, &[], media::UPDATE_STREAM_PARAMS, text(params));
        Ok(self.connection.tell(call).await?)
    }

    fn take(&mut self, event: ServerEvent) -> Result<StreamEvent, StreamError> {
        let named = Name::parse(&event.name).ok_or_else(|| {
            let name: String = event.name.chars().take(80).collect();
            self.malformed(&format!("{name:?} is no event of an update stream"))
        })?;
        let first = !std::mem::replace(&mut self.begun, true);
        if event.lost > 0 {
            return match named {
                Name::Data { substream, .. } if !first => Ok(StreamEvent::Lost {
                    substream: substream.to_owned(),
                    bytes: event.lost,
                }),
                _ => Err(self.malformed("a control event for which there is no room")),
            };
        }
        match named {
            Name::Control => {
                let control: ControlUpdate = serde_json::from_slice(&event.data)
                    .map_err(|error| self.malformed(&format!("a control event: {error}")))?;
                match &control.control_uri {
                    Some(Some(uri)) if first => {
                        // RFC 8895 §7.1: relative to where the stream is.
                        let joined = self.incoming.place.join(uri);
                        let url = joined.map_err(|error| {
                            self.malformed(&format!("the control URI: {error}"))
                        })?;
                        self.control = Some(url);
                    }
                    None if first => return Err(self.malformed(NO_CONTROL)),
                    _ => {}
                }
                Ok(StreamEvent::Control(control))
            }
            Name::Data { .. } if first => Err(self.malformed(NO_CONTROL)),
            Name::Data {
                media_type,
                substream,
                part,
            } => Ok(StreamEvent::Data(DataEvent {
                media_type,
                substream: substream.to_owned(),
                part: part.map(str::to_owned),
                data: event.data,
            })),
        }
    }

    fn malformed(&self, reason: &str) -> StreamError {
        StreamError::Malformed {
            url: shown(&self.incoming.place),
            reason: reason.to_owned(),
        }
    }
}

const NO_CONTROL: &str = "the first event has no control-uri (RFC 8895 §6.7.1)";

impl StreamError {
    /// Whether another attempt would end the same way.
    pub fn is_lasting(&self) -> bool {
        match self {
            StreamError::Request(error) => error.is_lasting(),
            StreamError::Closed { .. } => false,
            StreamError::Malformed { .. } => true,
        }
    }
}

fn text(params: &UpdateStreamParams) -> String {
    // A map with text keys can always be written.
    serde_json::to_string(params).unwrap_or_default()
}

/// The name of an event (RFC 8895 §5.1).
#[derive(Debug, PartialEq, Eq)]
enum Name<'a> {
    Control,
    Data {
        media_type: String,
        substream: &'a str,
        part: Option<&'a str>,
    },
}

impl<'a> Name<'a> {
    /// Splits a name. A media type may have commas, in a quoted parameter, and a data-id has
    /// none; a Content-ID may have dots, and the id of a substream has none.
    fn parse(name: &'a str) -> Option<Self> {
        if media::essence(name) == media::UPDATE_STREAM_CONTROL {
            return Some(Name::Control);
        }
        let (media_type, data_id) = name.rsplit_once(',')?;
        let data_id = data_id.trim();
        let (substream, part) = match data_id.split_once('.') {
            Some((substream, part)) => (substream, Some(part)),
            None => (data_id, None),
        };
        let media_type = media::essence(media_type);
        let sound = media_type.contains('/') && is_substream_id(substream) && part != Some("");
        sound.then_some(Name::Data {
            media_type,
            substream,
            part,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_split_at_the_last_comma_and_the_first_dot() {
        let data = |media_type: &str, substream, part| {
            Some(Name::Data {
                media_type: media_type.to_owned(),
                substream,
                part,
            })
        };
        for (name, parsed) in [
            (
                "application/alto-updatestreamcontrol+json",
                Some(Name::Control),
            ),
            (
                "Application/ALTO-UpdateStreamControl+json;charset=utf-8",
                Some(Name::Control),
            ),
            (
                "application/alto-costmap+json,1",
                data(media::COST_MAP, "1", None),
            ),
            (
                r#"multipart/related;boundary="a,b";type="x/y",sub-1"#,
                data("multipart/related", "sub-1", None),
            ),
            (
                "application/merge-patch+json,sub.part.of@x",
                data(media::MERGE_PATCH, "sub", Some("part.of@x")),
            ),
            ("application/alto-costmap+json", None),
            ("application/alto-costmap+json,", None),
            ("application/alto-costmap+json,.a", None),
            ("application/alto-costmap+json,a.", None),
            ("application/alto-costmap+json,a b", None),
            ("costmap,1", None),
            ("", None),
        ] {
            assert_eq!(Name::parse(name), parsed, "{name}");
        }
    }
}
