//! Transports: resources that send the changes of other resources.

use crate::alto::media;

/// A resource that sends the changes of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// RFC 8895 §6
    UpdateStream,
    /// RFC 9569 §5
    Tips,
}

impl Transport {
    pub(super) const ALL: [Transport; 2] = [Transport::UpdateStream, Transport::Tips];

    /// The path of its resource.
    pub(super) fn path(self) -> &'static str {
        match self {
            Transport::UpdateStream => "updates",
            Transport::Tips => "tips",
        }
    }

    /// The media type of its responses.
    pub fn media_type(self) -> &'static str {
        match self {
            Transport::UpdateStream => media::EVENT_STREAM,
            Transport::Tips => media::TIPS,
        }
    }

    /// The media type of its parameters.
    pub fn accepts(self) -> &'static str {
        match self {
            Transport::UpdateStream => media::UPDATE_STREAM_PARAMS,
            Transport::Tips => media::TIPS_PARAMS,
        }
    }
}
