//! The transport of all clients. Every request goes through here, and every answer is held to
//! limits, by our clock, whether a person or the federation asks.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG,
    HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, RETRY_AFTER,
};
use reqwest::{Method, Response, StatusCode};
use url::Url;

use crate::alto::media;
use crate::ident::Hidden;
use crate::runtime::{Clock, Elapsed};

use super::address::DeniedAddress;
use super::decode::{ACCEPTED, Body, BodyError, BodyLimits};
use super::peer_error::PeerError;

/// A connection to a server: made by [`super::Client::connection`], it goes where it is told;
/// made by [`super::PeerClient::connection`], to its peer only.
#[derive(Debug, Clone)]
pub struct Connection {
    pub(super) http: reqwest::Client,
    /// The origin that is shown the token.
    pub(super) origin: url::Origin,
    /// Whether no other origin is asked.
    pub(super) bound: bool,
    pub(super) token: Option<HeaderValue>,
    pub(super) limits: AnswerLimits,
    pub(super) clock: Clock,
}

/// The limits of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerLimits {
    /// Bytes, after decompression.
    pub max_bytes: usize,
    /// How many times decompression may enlarge it; not checked below 16 MB.
    pub max_ratio: u64,
    /// Levels of arrays and objects; the documents of the RFCs have six at most.
    pub max_depth: usize,
    /// The time until its headers have come.
    pub patience: Duration,
    /// The slowest pace of its body. Each time this many bytes have come, a second is added to
    /// the patience, so that a body of one byte a second ends soon. 0 means 1.
    pub bytes_per_second: u32,
    /// The time for all of it, whatever its size.
    pub total: Duration,
}

impl Default for AnswerLimits {
    fn default() -> Self {
        Self {
            max_bytes: 512 * 1024 * 1024,
            max_ratio: 200,
            max_depth: 32,
            patience: Duration::from_secs(30),
            bytes_per_second: 16 * 1024,
            total: Duration::from_secs(10 * 60),
        }
    }
}

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Call<'a> {
    /// The URL.
    pub(super) url: &'a Url,
    /// The media types that an answer may have.
    pub(super) wanted: &'a [&'a str],
    /// The entity tag of the version that is known.
    pub(super) known: Option<&'a str>,
    /// The method.
    pub(super) method: Method,
    /// The media type and the text of the body.
    pub(super) sent: Option<(&'a str, String)>,
    /// The most bytes of the answer, if fewer than the limit of the connection.
    pub(super) max_bytes: Option<usize>,
    /// The time until the answer begins, if not the usual one: the server may have reason to
    /// wait.
    pub(super) patience: Option<Duration>,
}

impl<'a> Call<'a> {
    /// Makes a GET.
    pub(super) fn new(url: &'a Url, wanted: &'a [&'a str]) -> Self {
        Self {
            url,
            wanted,
            known: None,
            method: Method::GET,
            sent: None,
            max_bytes: None,
            patience: None,
        }
    }

    /// Makes a POST of a body of this media type.
    pub(super) fn post(
        url: &'a Url,
        wanted: &'a [&'a str],
        media_type: &'a str,
        body: String,
    ) -> Self {
        Self {
            method: Method::POST,
            sent: Some((media_type, body)),
            ..Self::new(url, wanted)
        }
    }
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) status: StatusCode,
    /// The URL where it was found, after redirects.
    pub(super) place: Url,
    /// Its entity tag.
    pub(super) etag: Option<String>,
    /// Its media type, without parameters.
    pub(super) media_type: String,
    /// Its body, decoded.
    pub(super) body: Bytes,
}

/// How much of an answer is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Take {
    /// The head and the body.
    All,
    /// The head only.
    Head,
}

/// An answer that does not end, without a content coding.
#[derive(Debug)]
pub(super) struct Incoming {
    /// The URL that it comes from, after redirects.
    pub(super) place: Url,
    response: Response,
    connection: Connection,
}

/// An address that is not at the peer's origin.
#[derive(Debug, thiserror::Error)]
#[error("a redirect to {0} is not followed")]
pub(super) struct RedirectElsewhere(pub(super) Url);

/// The longest entity tag that is kept.
const MAX_ETAG: usize = 256;

/// The time limit given to reqwest: none that matters beside those of our clock.
const UNLIMITED: Duration = Duration::from_secs(365 * 86_400);

/// Returns what the HTTP clients for people and for peers have in common.
pub(super) fn builder(tls: rustls::ClientConfig) -> reqwest::ClientBuilder {
    // Bodies are decoded in `decode`, where limits can be held.
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("altofed/", env!("CARGO_PKG_VERSION")))
        .referer(false)
}

impl Connection {
    /// Returns the clock of its deadlines.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Returns the most bytes that an answer may have.
    pub(super) fn max_bytes(&self) -> usize {
        self.limits.max_bytes
    }

    /// Checks that the server may be asked for what is at a URL.
    ///
    /// # Errors
    /// [`PeerError::Elsewhere`].
    pub(super) fn check_url(&self, url: &Url) -> Result<(), PeerError> {
        if !self.bound || at_origin(&self.origin, url) {
            Ok(())
        } else {
            Err(self.elsewhere(url))
        }
    }

    /// Sends a request and returns the whole answer, or `None` if it is the version that is
    /// known.
    ///
    /// # Errors
    /// There is no answer, or it is refused.
    pub(super) async fn fetch(&self, call: Call<'_>) -> Result<Option<Received>, PeerError> {
        let is_known = |response: &Response| {
            response.status() == StatusCode::NOT_MODIFIED && call.known.is_some()
        };
        let received = self
            .exchange(&call, |response| {
                if is_known(response) {
                    return Ok(Take::Head);
                }
                taken(&call, response)?;
                Ok(Take::All)
            })
            .await?;
        Ok(Some(received).filter(|received| received.status == StatusCode::OK))
    }

    /// Sends a request and takes as much of the answer as `wanted` decides by its head, within
    /// the time for all of it.
    ///
    /// # Errors
    /// There is no answer, `wanted` refuses it, or its body is over a limit.
    pub(super) async fn exchange(
        &self,
        call: &Call<'_>,
        wanted: impl FnOnce(&Response) -> Result<Take, PeerError>,
    ) -> Result<Received, PeerError> {
        let limit = self.limits.total + call.patience.unwrap_or_default();
        let exchange = async {
            let response = self.send(call, ACCEPTED).await?;
            let take = wanted(&response)?;
            let headers = response.headers();
            let etag = text(headers, ETAG).filter(|etag| etag.len() <= MAX_ETAG);
            let media_type = media::essence(text(headers, CONTENT_TYPE).unwrap_or_default());
            Ok(Received {
                status: response.status(),
                place: response.url().clone(),
                etag: etag.map(str::to_owned),
                media_type,
                body: match take {
                    Take::All => self.body(response, call).await?,
                    Take::Head => Bytes::new(),
                },
            })
        };
        let answer = self.clock.timeout(limit, exchange).await;
        answer.unwrap_or_else(|Elapsed| {
            let url = shown(call.url);
            Err(PeerError::Timeout { url, limit })
        })
    }

    /// Opens an answer that does not end.
    ///
    /// # Errors
    /// There is no answer, or it is refused.
    pub(super) async fn open(&self, call: Call<'_>) -> Result<Incoming, PeerError> {
        let response = self.send(&call, "identity").await?;
        taken(&call, &response)?;
        if let Some(coding) = text(response.headers(), CONTENT_ENCODING)
            && !coding.eq_ignore_ascii_case("identity")
        {
            return Err(PeerError::Body {
                url: shown(call.url),
                reason: format!("coded as {coding:.80}; no coding was asked for"),
                limit: false,
            });
        }
        Ok(Incoming {
            place: response.url().clone(),
            response,
            connection: self.clone(),
        })
    }

    /// Sends a request whose answer does not matter but for its status.
    ///
    /// # Errors
    /// It was refused.
    pub(super) async fn tell(&self, call: Call<'_>) -> Result<(), PeerError> {
        let response = self.send(&call, ACCEPTED).await?;
        if response.status().is_success() {
            Ok(())
        } else {
            Err(refusal(&call, &response))
        }
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// The URL may not be asked, or no head came in time.
    async fn send(&self, call: &Call<'_>, coding: &'static str) -> Result<Response, PeerError> {
        self.check_url(call.url)?;
        let accept = format!("{}, {}", call.wanted.join(", "), media::ERROR);
        let mut request = self
            .http
            .request(call.method.clone(), call.url.clone())
            .timeout(UNLIMITED)
            .header(ACCEPT, accept)
            .header(ACCEPT_ENCODING, coding);
        if let Some((media_type, body)) = &call.sent {
            request = request.header(CONTENT_TYPE, *media_type).body(body.clone());
        }
        if let Some(known) = call.known {
            request = request.header(IF_NONE_MATCH, known);
        }
        if let Some(token) = self
            .token
            .as_ref()
            .filter(|_| call.url.origin() == self.origin)
        {
            request = request.header(AUTHORIZATION, token.clone());
        }
        let limit = call.patience.unwrap_or(self.limits.patience);
        let sent = self.clock.timeout(limit, request.send()).await;
        let url = || shown(call.url);
        sent.map_err(|Elapsed| PeerError::Timeout { url: url(), limit })?
            .map_err(|error| self.failed(call.url, &error))
    }

    async fn body(&self, mut response: Response, call: &Call<'_>) -> Result<Bytes, PeerError> {
        let refused = |error: BodyError| PeerError::Body {
            url: shown(call.url),
            reason: error.to_string(),
            limit: matches!(
                error,
                BodyError::TooLarge(_) | BodyError::Ratio(_) | BodyError::TooDeep(_)
            ),
        };
        let max_bytes = call.max_bytes.unwrap_or(usize::MAX);
        let limits = BodyLimits {
            max_bytes: max_bytes.min(self.limits.max_bytes),
            max_ratio: self.limits.max_ratio,
            max_depth: self.limits.max_depth,
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
                    return Err(PeerError::Slow { url: shown(call.url), limit: pace });
                }
            };
            match chunk.map_err(|error| self.failed(call.url, &error))? {
                Some(chunk) => {
                    received += chunk.len();
                    body.feed(&chunk).map_err(refused)?;
                }
                None => break,
            }
        }
        Ok(body.finish().map_err(refused)?.into())
    }

    /// Finds out what went wrong, inside all the errors that reqwest wraps it in.
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
            url: shown(url),
            reason: reason(error),
        }
    }

    fn elsewhere(&self, url: &Url) -> PeerError {
        PeerError::Elsewhere {
            url: shown(url),
            origin: self.origin.ascii_serialization(),
        }
    }
}

impl Incoming {
    /// Returns the next bytes, or `None` at the end. Nothing is lost when the future is
    /// dropped.
    ///
    /// # Errors
    /// The connection broke, or nothing came for `silence`.
    pub(super) async fn chunk(&mut self, silence: Duration) -> Result<Option<Bytes>, PeerError> {
        let Self {
            place,
            response,
            connection,
        } = self;
        match connection.clock.timeout(silence, response.chunk()).await {
            Ok(chunk) => chunk.map_err(|error| connection.failed(place, &error)),
            Err(Elapsed) => Err(PeerError::Silent {
                url: shown(place),
                limit: silence,
            }),
        }
    }
}

/// Returns a URL as it is shown: without its query, which may contain a secret.
pub fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_fragment(None);
    if url.query().is_none() {
        return shown.into();
    }
    shown.set_query(None);
    format!("{shown}?…")
}

/// Returns the header that shows a bearer token, marked so that nothing prints its value.
///
/// # Errors
/// The token has a character that a header cannot have. The message does not contain it.
pub(super) fn bearer(token: &Hidden) -> Result<HeaderValue, String> {
    let value = HeaderValue::try_from(format!("Bearer {}", token.expose()));
    let mut value = value.map_err(|error| format!("the token: {error}"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whether a URL is at an origin, without a user or a password.
pub(super) fn at_origin(origin: &url::Origin, url: &Url) -> bool {
    url.origin() == *origin && url.username().is_empty() && url.password().is_none()
}

/// Checks that an answer has status 200 and a media type that was asked for.
///
/// # Errors
/// It does not.
pub(super) fn taken(call: &Call<'_>, response: &Response) -> Result<(), PeerError> {
    if response.status() != StatusCode::OK {
        return Err(refusal(call, response));
    }
    let found = media::essence(text(response.headers(), CONTENT_TYPE).unwrap_or_default());
    let mut wanted = call.wanted.iter().map(|wanted| media::essence(wanted));
    if wanted.any(|wanted| wanted == found) {
        return Ok(());
    }
    Err(PeerError::MediaType {
        url: shown(call.url),
        wanted: call.wanted.join(" or "),
        found: found.chars().take(80).collect(),
    })
}

fn refusal(call: &Call<'_>, response: &Response) -> PeerError {
    PeerError::Status {
        url: shown(call.url),
        status: response.status().as_u16(),
        retry_after: text(response.headers(), RETRY_AFTER)
            .and_then(|seconds| seconds.parse().ok())
            .map(Duration::from_secs),
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Returns the innermost cause of a failure: reqwest's own message only says in which step it
/// happened.
pub(super) fn reason(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_told_without_its_query() {
        let told = |url: &str| shown(&url.parse().expect("a URL"));
        assert_eq!(told("https://h:7/a?key=secret#b"), "https://h:7/a?…");
        assert_eq!(told("https://h/a#b"), "https://h/a");
    }
}
