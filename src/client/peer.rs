//! Requests to a peer: another operator's server, which may be broken, slow or
//! hostile.
//!
//! Only the origin that our operator configured is asked, at addresses that
//! were judged when its name was resolved ([`DeniedAddress`]); redirects
//! elsewhere are not followed. An answer is held to limits of bytes, of the
//! ratio of its coding, of levels of JSON, of time and of pace, and refused as
//! soon as it passes one.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG,
    HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, RETRY_AFTER,
};
use reqwest::redirect::Policy;
use reqwest::{Method, Response, StatusCode};
use url::{Host, Url};

use crate::alto::media;
use crate::runtime::{Clock, Elapsed};

use super::address::{AddressPolicy, DeniedAddress};
use super::decode::{ACCEPTED, Body, BodyError, BodyLimits};
use super::http::reason;
use super::peer_error::PeerError;
use super::tls::{self, Identity};

/// How a peer is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerOptions {
    /// The bearer token it is shown.
    pub token: Option<String>,
    /// A PEM file of the certificate authorities that are trusted in place of
    /// the system's.
    pub cacert: Option<PathBuf>,
    /// The certificate it is shown.
    pub identity: Option<Identity>,
    /// Whether it may be in a private network, and be asked without TLS.
    pub allow_private_addresses: bool,
    /// What an answer may cost.
    pub limits: PeerLimits,
}

/// What an answer may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerLimits {
    /// Its bytes after decompression.
    pub max_bytes: usize,
    /// How many times larger decompression may make it; not looked at below
    /// 16 MB.
    pub max_ratio: u64,
    /// The time until its headers are there.
    pub patience: Duration,
    /// The slowest pace of its body. A second for this many bytes is added to
    /// the patience, so that a byte a second ends soon. 0 is taken for 1.
    pub bytes_per_second: u32,
    /// The time it may take whatever its size.
    pub total: Duration,
}

impl Default for PeerLimits {
    fn default() -> Self {
        Self {
            max_bytes: 512 * 1024 * 1024,
            max_ratio: 200,
            patience: Duration::from_secs(30),
            bytes_per_second: 16 * 1024,
            total: Duration::from_secs(10 * 60),
        }
    }
}

/// What a peer is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Where it is.
    pub url: &'a Url,
    /// The media type it must have.
    pub wanted: &'a str,
    /// The entity tag of what we have of it, as the peer gave it.
    pub known: Option<&'a str>,
    /// The bytes it may have, if fewer than any answer may.
    pub max_bytes: Option<usize>,
}

impl<'a> Ask<'a> {
    /// For what is at `url`, of this media type.
    pub fn new(url: &'a Url, wanted: &'a str) -> Self {
        Self {
            url,
            wanted,
            known: None,
            max_bytes: None,
        }
    }
}

/// What a peer answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// We have it: its entity tag is the known one.
    NotModified,
    /// This.
    Document(Document),
}

/// A document that a peer sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Where it was found, after redirects: what is relative in it is relative
    /// to that (RFC 3986 §5.1.3).
    pub place: Url,
    /// Its entity tag.
    pub etag: Option<String>,
    /// Its bytes, decoded.
    pub body: Bytes,
}

/// A client of one peer.
#[derive(Debug, Clone)]
pub struct PeerClient {
    http: reqwest::Client,
    origin: url::Origin,
    token: Option<HeaderValue>,
    limits: PeerLimits,
    clock: Clock,
}

/// How many redirects are followed inside the peer's origin.
const MAX_REDIRECTS: usize = 3;

/// How much of the headers of an answer is taken over HTTP/2; over HTTP/1.1
/// hyper takes 100 of 400 kB at most.
const MAX_HEADER_BYTES: u32 = 64 * 1024;

/// The longest entity tag that is remembered.
const MAX_ETAG: usize = 256;

/// An address is not at the peer's origin.
#[derive(Debug, thiserror::Error)]
#[error("a redirect to {0} is not followed")]
struct RedirectElsewhere(Url);

impl PeerClient {
    /// A client of the peer at the origin of `root`.
    ///
    /// # Errors
    /// The options cannot be used, or `root` is no URL that a peer may have.
    pub fn new(root: &Url, options: &PeerOptions, clock: Clock) -> Result<Self, PeerError> {
        let policy = AddressPolicy {
            allow_private: options.allow_private_addresses,
        };
        check_root(root, policy)?;
        let origin = root.origin();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(
                tls::config(options.cacert.as_deref(), options.identity.as_ref())
                    .map_err(PeerError::Options)?,
            )
            .dns_resolver(Arc::new(policy))
            // A proxy would resolve names itself, and connect where it likes.
            .no_proxy()
            // Decoding is ours, so that it can be held to limits.
            .no_gzip()
            .no_zstd()
            .referer(false)
            .redirect(redirects(origin.clone()))
            .http2_max_header_list_size(MAX_HEADER_BYTES)
            .user_agent(concat!("altofed/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| PeerError::Options(reason(&error)))?;
        let bearer = |token: &String| -> Result<HeaderValue, PeerError> {
            let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                .map_err(|error| PeerError::Options(format!("the token: {error}")))?;
            value.set_sensitive(true);
            Ok(value)
        };
        Ok(Self {
            http,
            origin,
            token: options.token.as_ref().map(bearer).transpose()?,
            limits: options.limits,
            clock,
        })
    }

    /// The clock of its deadlines.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether the peer may be asked for what is at a URL.
    ///
    /// # Errors
    /// [`PeerError::Elsewhere`].
    pub fn check_url(&self, url: &Url) -> Result<(), PeerError> {
        match at_origin(&self.origin, url) {
            true => Ok(()),
            false => Err(self.elsewhere(url)),
        }
    }

    /// Gets a document, unless it is the one that is known.
    ///
    /// # Errors
    /// There is no answer that is taken.
    pub async fn get(&self, ask: Ask<'_>) -> Result<Answer, PeerError> {
        let mut request = self.http.request(Method::GET, ask.url.clone());
        if let Some(known) = ask.known {
            request = request.header(IF_NONE_MATCH, known);
        }
        self.whole(request, ask).await
    }

    /// Posts a query and gets the document that answers it.
    ///
    /// # Errors
    /// There is no answer that is taken.
    pub async fn post(
        &self,
        ask: Ask<'_>,
        sent: &str,
        query: &serde_json::Value,
    ) -> Result<Document, PeerError> {
        let request = self.http.request(Method::POST, ask.url.clone());
        let request = request.header(CONTENT_TYPE, sent).body(query.to_string());
        let ask = Ask { known: None, ..ask };
        match self.whole(request, ask).await? {
            Answer::Document(document) => Ok(document),
            Answer::NotModified => Err(PeerError::Status {
                url: ask.url.to_string(),
                status: StatusCode::NOT_MODIFIED.as_u16(),
                retry_after: None,
            }),
        }
    }

    /// The answer to a request, in all the time it may take.
    async fn whole(
        &self,
        request: reqwest::RequestBuilder,
        ask: Ask<'_>,
    ) -> Result<Answer, PeerError> {
        self.check_url(ask.url)?;
        let limit = self.limits.total;
        let answer = self.clock.timeout(limit, self.exchange(request, ask));
        answer.await.unwrap_or_else(|Elapsed| {
            Err(PeerError::Timeout {
                url: ask.url.to_string(),
                limit,
            })
        })
    }

    async fn exchange(
        &self,
        request: reqwest::RequestBuilder,
        ask: Ask<'_>,
    ) -> Result<Answer, PeerError> {
        let url = || ask.url.to_string();
        let mut request = request
            .header(ACCEPT, format!("{}, {}", ask.wanted, media::ERROR))
            .header(ACCEPT_ENCODING, ACCEPTED);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        let limit = self.limits.patience;
        let sent = self.clock.timeout(limit, request.send()).await;
        let response = sent
            .map_err(|Elapsed| PeerError::Timeout { url: url(), limit })?
            .map_err(|error| self.failed(ask.url, &error))?;
        let status = response.status();
        let headers = response.headers();
        if status == StatusCode::NOT_MODIFIED && ask.known.is_some() {
            return Ok(Answer::NotModified);
        }
        if status != StatusCode::OK {
            return Err(PeerError::Status {
                url: url(),
                status: status.as_u16(),
                retry_after: text(headers, RETRY_AFTER)
                    .and_then(|seconds| seconds.parse().ok())
                    .map(Duration::from_secs),
            });
        }
        let found = media::essence(text(headers, CONTENT_TYPE).unwrap_or_default());
        if found != media::essence(ask.wanted) {
            return Err(PeerError::MediaType {
                url: url(),
                wanted: ask.wanted.to_owned(),
                found: found.chars().take(80).collect(),
            });
        }
        let place = response.url().clone();
        let etag = text(headers, ETAG).filter(|etag| etag.len() <= MAX_ETAG);
        Ok(Answer::Document(Document {
            etag: etag.map(str::to_owned),
            body: self.body(response, ask).await?,
            place,
        }))
    }

    async fn body(&self, mut response: Response, ask: Ask<'_>) -> Result<Bytes, PeerError> {
        let refused = |error: BodyError| PeerError::Body {
            url: ask.url.to_string(),
            reason: error.to_string(),
            limit: matches!(
                error,
                BodyError::TooLarge(_) | BodyError::Ratio(_) | BodyError::TooDeep(_)
            ),
        };
        let max_bytes = ask.max_bytes.unwrap_or(usize::MAX);
        let limits = BodyLimits {
            max_bytes: max_bytes.min(self.limits.max_bytes),
            max_ratio: self.limits.max_ratio,
        };
        let headers = response.headers();
        let claimed = text(headers, CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        if claimed.is_some_and(|claimed| claimed > limits.max_bytes as u64) {
            return Err(refused(BodyError::TooLarge(limits.max_bytes)));
        }
        let codings: Vec<&str> = headers
            .get_all(CONTENT_ENCODING)
            .iter()
            .map(|value| value.to_str().unwrap_or("not readable"))
            .collect();
        let mut body = Body::coded(&codings.join(","), limits).map_err(refused)?;
        let pace = self.limits.bytes_per_second.max(1);
        let begun = self.clock.now();
        let mut received = 0;
        loop {
            let bought = Duration::from_secs_f64(received as f64 / f64::from(pace));
            let deadline = self
                .clock
                .sleep_until(begun + self.limits.patience + bought);
            let chunk = tokio::select! {
                biased;
                chunk = response.chunk() => chunk,
                () = deadline => {
                    return Err(PeerError::Slow { url: ask.url.to_string(), limit: pace });
                }
            };
            match chunk.map_err(|error| self.failed(ask.url, &error))? {
                Some(chunk) => {
                    received += chunk.len();
                    body.feed(&chunk).map_err(refused)?;
                }
                None => break,
            }
        }
        Ok(body.finish().map_err(refused)?.into())
    }

    /// What went wrong, looked for in all that reqwest wraps it in.
    fn failed(&self, url: &Url, error: &reqwest::Error) -> PeerError {
        let mut source = error.source();
        while let Some(error) = source {
            if let Some(denied) = error.downcast_ref::<DeniedAddress>() {
                return denied.clone().into();
            }
            if let Some(RedirectElsewhere(to)) = error.downcast_ref() {
                return self.elsewhere(to);
            }
            source = error.source();
        }
        PeerError::Transport {
            url: url.to_string(),
            reason: reason(error),
        }
    }

    fn elsewhere(&self, url: &Url) -> PeerError {
        PeerError::Elsewhere {
            url: url.to_string(),
            origin: self.origin.ascii_serialization(),
        }
    }
}

/// Whether a URL is at an origin, with nothing in it that would have it asked
/// otherwise.
fn at_origin(origin: &url::Origin, url: &Url) -> bool {
    url.origin() == *origin && url.username().is_empty() && url.password().is_none()
}

fn redirects(origin: url::Origin) -> Policy {
    Policy::custom(move |attempt| match at_origin(&origin, attempt.url()) {
        false => {
            let to = attempt.url().clone();
            attempt.error(RedirectElsewhere(to))
        }
        true if attempt.previous().len() > MAX_REDIRECTS => attempt.error("too many redirects"),
        true => attempt.follow(),
    })
}

/// Checks what no resolver sees: the scheme, and an address in place of a name.
fn check_root(root: &Url, policy: AddressPolicy) -> Result<(), PeerError> {
    let refuse = |reason: &str| Err(PeerError::Options(format!("{root}: {reason}")));
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

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
