//! The client of a peer: another operator's server, which may be broken, slow or hostile.
//!
//! Only the origin that our operator configured is asked, at addresses that were judged when
//! its name was resolved ([`super::DeniedAddress`]). Redirects elsewhere are not followed. An
//! answer is refused as soon as it exceeds a limit: of bytes, of the ratio of its coding, of
//! levels of JSON, of time or of pace.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::redirect::Policy;
use url::{Host, Url};

use crate::ident::Hidden;
use crate::runtime::Clock;

use super::address::AddressPolicy;
use super::connection::{
    AnswerLimits, Call, Connection, Received, RedirectElsewhere, at_origin, bearer, builder,
    reason, shown,
};
use super::peer_error::PeerError;
use super::tls::{self, Identity};

/// How a peer is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerOptions {
    /// The bearer token that it is shown.
    pub token: Option<Hidden>,
    /// A PEM file of the certificate authorities that are trusted in place of
    /// the system's.
    pub cacert: Option<PathBuf>,
    /// The certificate that it is shown.
    pub identity: Option<Identity>,
    /// Whether it may be in a private network, and be asked without TLS.
    pub allow_private_addresses: bool,
    /// The limits of an answer.
    pub limits: AnswerLimits,
}

/// A request for a document of a peer.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Its URL.
    pub url: &'a Url,
    /// Its media type.
    pub wanted: &'a str,
    /// The entity tag of the version that we have, as the peer gave it.
    pub known: Option<&'a str>,
    /// The most bytes that it may have, if fewer than any answer.
    pub max_bytes: Option<usize>,
}

impl<'a> Ask<'a> {
    /// Asks for what is at `url`, of this media type.
    pub fn new(url: &'a Url, wanted: &'a str) -> Self {
        Self {
            url,
            wanted,
            known: None,
            max_bytes: None,
        }
    }
}

/// The answer of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The version that we have is the current one.
    NotModified,
    /// The document.
    Document(Document),
}

/// A document that a peer sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The URL where it was found, after redirects, against which relative URIs are resolved
    /// (RFC 3986 §5.1.3).
    pub place: Url,
    /// Its entity tag.
    pub etag: Option<String>,
    /// Its body, decoded.
    pub body: Bytes,
}

/// A client of one peer.
#[derive(Debug, Clone)]
pub struct PeerClient {
    connection: Connection,
}

/// How many redirects are followed inside the peer's origin.
const MAX_REDIRECTS: usize = 3;

/// The most bytes of the headers of an answer over HTTP/2; over HTTP/1.1 hyper limits them to
/// 100 headers and 400 kB.
const MAX_HEADER_BYTES: u32 = 64 * 1024;

impl PeerClient {
    /// Makes a client of the peer at the origin of `root`.
    ///
    /// # Errors
    /// The options cannot be used, or `root` is not a URL that a peer may have.
    pub fn new(root: &Url, options: &PeerOptions, clock: Clock) -> Result<Self, PeerError> {
        let policy = AddressPolicy {
            allow_private: options.allow_private_addresses,
        };
        check_root(root, policy)?;
        let origin = root.origin();
        let tls = tls::config(options.cacert.as_deref(), options.identity.as_ref());
        let http = builder(tls.map_err(PeerError::Options)?)
            .dns_resolver(Arc::new(policy))
            // A proxy would resolve names itself, and connect where it likes.
            .no_proxy()
            .redirect(redirects(origin.clone()))
            .http2_max_header_list_size(MAX_HEADER_BYTES)
            .build()
            .map_err(|error| PeerError::Options(reason(&error)))?;
        let token = options.token.as_ref().map(bearer).transpose();
        Ok(Self {
            connection: Connection {
                http,
                origin,
                bound: true,
                token: token.map_err(PeerError::Options)?,
                limits: options.limits,
                clock,
            },
        })
    }

    /// Returns the connection to the peer.
    pub fn connection(&self) -> Connection {
        self.connection.clone()
    }

    /// Returns the clock of its deadlines.
    pub fn clock(&self) -> &Clock {
        self.connection.clock()
    }

    /// Checks that the peer may be asked for what is at a URL.
    ///
    /// # Errors
    /// [`PeerError::Elsewhere`].
    pub fn check_url(&self, url: &Url) -> Result<(), PeerError> {
        self.connection.check_url(url)
    }

    /// Gets a document, unless the version that is known is the current one.
    ///
    /// # Errors
    /// There is no answer, or it is refused.
    pub async fn get(&self, ask: Ask<'_>) -> Result<Answer, PeerError> {
        let wanted = [ask.wanted];
        let call = Call {
            known: ask.known,
            max_bytes: ask.max_bytes,
            ..Call::new(ask.url, &wanted)
        };
        Ok(match self.connection.fetch(call).await? {
            Some(received) => Answer::Document(received.into()),
            None => Answer::NotModified,
        })
    }

    /// Posts a query and returns the document that answers it.
    ///
    /// # Errors
    /// There is no answer, or it is refused.
    pub async fn post(
        &self,
        ask: Ask<'_>,
        sent: &str,
        query: &serde_json::Value,
    ) -> Result<Document, PeerError> {
        let wanted = [ask.wanted];
        let call = Call {
            max_bytes: ask.max_bytes,
            ..Call::post(ask.url, &wanted, sent, query.to_string())
        };
        match self.connection.fetch(call).await? {
            Some(received) => Ok(received.into()),
            None => Err(PeerError::Status {
                url: shown(ask.url),
                status: StatusCode::NOT_MODIFIED.as_u16(),
                retry_after: None,
            }),
        }
    }
}

impl From<Received> for Document {
    fn from(received: Received) -> Self {
        Self {
            place: received.place,
            etag: received.etag,
            body: received.body,
        }
    }
}

fn redirects(origin: url::Origin) -> Policy {
    Policy::custom(move |attempt| {
        if !at_origin(&origin, attempt.url()) {
            let to = attempt.url().clone();
            attempt.error(RedirectElsewhere(to))
        } else if attempt.previous().len() > MAX_REDIRECTS {
            attempt.error("too many redirects")
        } else {
            attempt.follow()
        }
    })
}

/// Checks what the resolver does not see: the scheme, and an address in place of a name.
fn check_root(root: &Url, policy: AddressPolicy) -> Result<(), PeerError> {
    let refuse = |reason: &str| Err(PeerError::Options(format!("{}: {reason}", shown(root))));
    match root.scheme() {
        "https" => {}
        "http" if policy.allow_private => {}
        "http" => {
            return refuse(
                "a peer is asked by https; http is for private networks, with \
                 allow_private_addresses",
            );
        }
        _ => return refuse("give an https URL"),
    }
    if !at_origin(&root.origin(), root) {
        return refuse("give the token as an option, not a user in the URL");
    }
    let literal = match root.host() {
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
        Some(Host::Domain(_)) => return Ok(()),
        None => return refuse("give a URL with a host"),
    };
    let host = root.host_str().unwrap_or_default();
    Ok(policy.check(host, literal)?)
}
