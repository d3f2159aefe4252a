//! Requests of a client, within limits.

use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use url::Url;

use crate::alto::error::{AltoError, ErrorDocument};
use crate::alto::json::Faults;
use crate::alto::media;
use crate::api::problem::Problem;
use crate::ident::Hidden;
use crate::runtime::Clock;

use super::connection::{Connection, PeerLimits, bearer, reason};
use super::tls;

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The bearer token it shows, to the origin of the directory only.
    pub token: Option<Hidden>,
    /// A PEM file of the certificate authorities that are trusted in place of
    /// the system's.
    pub cacert: Option<PathBuf>,
    /// The time a whole request may take.
    pub timeout: Duration,
    /// The bytes that a response may have after decompression.
    pub max_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            token: None,
            cacert: None,
            timeout: Duration::from_secs(60),
            max_bytes: 512 * 1024 * 1024,
        }
    }
}

/// An ALTO client.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    origin: url::Origin,
    token: Option<HeaderValue>,
    timeout: Duration,
    max_bytes: usize,
}

/// Why a request gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The options make no client.
    #[error("{0}")]
    Options(String),
    /// The request failed on the way.
    #[error("{url}: {reason}")]
    Transport {
        /// Where it went.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// The server refused, with an ALTO error.
    #[error("{url}: {status}: {}", describe(.error))]
    Alto {
        /// Where it went.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What the server says.
        error: Box<AltoError>,
    },
    /// The server refused, with problem details.
    #[error("{url}: {} {}", problem.status, explain(problem))]
    Problem {
        /// Where it went.
        url: String,
        /// What the server says.
        problem: Box<Problem>,
    },
    /// The server refused, with something else.
    #[error("{url}: the server answered {status}{}", hint(*.status))]
    Status {
        /// Where it went.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The response is of another type than was asked for.
    #[error("{url}: the response is {found}, not {wanted}: is this the URI of an ALTO resource?")]
    MediaType {
        /// Where it came from.
        url: String,
        /// What it should be.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// The response is over the limit.
    #[error("{url}: the response has more than {limit} bytes")]
    TooLarge {
        /// Where it came from.
        url: String,
        /// The limit.
        limit: usize,
    },
    /// The response is not what its type promises.
    #[error("{url}: the response cannot be read: {faults}")]
    Faulty {
        /// Where it came from.
        url: String,
        /// What is wrong with it.
        faults: Faults,
    },
    /// The server has nothing that the question could be put to.
    #[error("{0}")]
    NotOffered(String),
}

fn describe(error: &AltoError) -> String {
    let code = serde_json::to_string(&error.code).unwrap_or_default();
    let parts = [
        ("field", &error.field),
        ("value", &error.value),
        ("because", &error.syntax_error),
    ];
    let said = parts
        .iter()
        .filter_map(|(name, part)| Some(format!(" {name} {:?}", part.as_ref()?)));
    format!("{}{}", code.trim_matches('"'), said.collect::<String>())
}

fn explain(problem: &Problem) -> String {
    let faults = problem
        .errors
        .iter()
        .map(|fault| format!("; {}: {}", fault.pointer, fault.detail));
    format!("{}{}", problem.detail, faults.collect::<String>())
}

fn hint(status: u16) -> &'static str {
    match status {
        401 => "; give a token with --token-env",
        403 => "; the token may not read this",
        404 => "; check the URL",
        503 => "; it is busy, or has just started: ask again shortly",
        _ => "",
    }
}

impl Client {
    /// A client that starts from the directory at `url`.
    ///
    /// # Errors
    /// The options cannot be used.
    pub fn new(url: &Url, options: &Options) -> Result<Self, ClientError> {
        let options_error = |error: &dyn std::fmt::Display| ClientError::Options(error.to_string());
        let tls = tls::config(options.cacert.as_deref(), None).map_err(ClientError::Options)?;
        let origin = url.origin();
        let same_origin = {
            let origin = origin.clone();
            Policy::custom(move |attempt| match attempt.url().origin() == origin {
                _ if attempt.previous().len() > 3 => attempt.error("too many redirects"),
                true => attempt.follow(),
                false => attempt.error("a redirect to another origin is not followed"),
            })
        };
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("altofed/", env!("CARGO_PKG_VERSION")))
            .redirect(same_origin)
            .timeout(options.timeout)
            .build()
            .map_err(|error| options_error(&error))?;
        let token = options.token.as_ref().map(bearer).transpose();
        Ok(Self {
            http,
            origin,
            token: token.map_err(ClientError::Options)?,
            timeout: options.timeout,
            max_bytes: options.max_bytes,
        })
    }

    /// The way to the servers that this client may ask, for what is more than an
    /// answer.
    pub fn connection(&self, clock: Clock) -> Connection {
        Connection {
            http: self.http.clone(),
            origin: self.origin.clone(),
            bound: false,
            token: self.token.clone(),
            limits: PeerLimits {
                max_bytes: self.max_bytes,
                patience: self.timeout,
                ..PeerLimits::default()
            },
            clock,
        }
    }

    /// Gets a representation of this media type.
    ///
    /// # Errors
    /// There is no such answer.
    pub async fn get(&self, url: &Url, wanted: &'static str) -> Result<Bytes, ClientError> {
        Ok(self.locate(url, wanted).await?.1)
    }

    /// Gets a representation of this media type, and tells where it was found
    /// after redirects: what is relative in it is relative to that (RFC 3986
    /// §5.1.3).
    ///
    /// # Errors
    /// There is no such answer.
    pub(super) async fn locate(
        &self,
        url: &Url,
        wanted: &'static str,
    ) -> Result<(Url, Bytes), ClientError> {
        self.fetch(self.http.get(url.clone()), url, wanted).await
    }

    /// Posts a query and gets a representation of this media type.
    ///
    /// # Errors
    /// There is no such answer.
    pub async fn post(
        &self,
        url: &Url,
        sent: &'static str,
        query: &serde_json::Value,
        wanted: &'static str,
    ) -> Result<Bytes, ClientError> {
        let request = self.http.post(url.clone()).header(CONTENT_TYPE, sent);
        let (_, body) = self
            .fetch(request.body(query.to_string()), url, wanted)
            .await?;
        Ok(body)
    }

    /// Puts a document of the network-to-server API; the answer is JSON.
    ///
    /// # Errors
    /// The document was refused.
    pub async fn put(&self, url: &Url, document: &'static str) -> Result<Bytes, ClientError> {
        let request = self.http.put(url.clone()).header(CONTENT_TYPE, media::JSON);
        let (_, body) = self.fetch(request.body(document), url, media::JSON).await?;
        Ok(body)
    }

    /// Changes a document of the network-to-server API by a merge patch (RFC
    /// 7396); the answer is JSON.
    ///
    /// # Errors
    /// The change was refused.
    pub async fn patch(&self, url: &Url, change: &'static str) -> Result<Bytes, ClientError> {
        let request = self.http.patch(url.clone());
        let request = request.header(CONTENT_TYPE, media::MERGE_PATCH);
        let (_, body) = self.fetch(request.body(change), url, media::JSON).await?;
        Ok(body)
    }

    /// Has something done that has no answer.
    ///
    /// # Errors
    /// It was refused.
    pub async fn command(&self, url: &Url) -> Result<(), ClientError> {
        match self
            .fetch(self.http.post(url.clone()), url, media::JSON)
            .await
        {
            Ok(_) => Ok(()),
            // Nothing has no type.
            Err(ClientError::MediaType { found, .. }) if found.is_empty() => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn fetch(
        &self,
        request: reqwest::RequestBuilder,
        url: &Url,
        wanted: &'static str,
    ) -> Result<(Url, Bytes), ClientError> {
        let transport = |error: reqwest::Error| ClientError::Transport {
            url: url.to_string(),
            reason: reason(&error),
        };
        let mut request = request.header(ACCEPT, format!("{wanted}, {}", media::ERROR));
        if let Some(token) = self.token.as_ref().filter(|_| url.origin() == self.origin) {
            request = request.header(AUTHORIZATION, token.clone());
        }
        let mut response = request.send().await.map_err(transport)?;
        let status = response.status();
        let place = response.url().clone();
        let found = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let found = media::essence(found.unwrap_or_default());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if chunk.len() > self.max_bytes - body.len() {
                return Err(ClientError::TooLarge {
                    url: url.to_string(),
                    limit: self.max_bytes,
                });
            }
            body.extend_from_slice(&chunk);
        }
        let (url, body) = (url.to_string(), body.freeze());
        if !status.is_success() {
            let status = status.as_u16();
            // RFC 7285 §8.5.1: an error may come with an ALTO error or without.
            if let Ok(ErrorDocument { meta }) = serde_json::from_slice(&body) {
                let error = Box::new(meta);
                return Err(ClientError::Alto { url, status, error });
            }
            return Err(match serde_json::from_slice(&body) {
                Ok(problem) => ClientError::Problem { url, problem },
                Err(_) => ClientError::Status { url, status },
            });
        }
        match found == wanted {
            true => Ok((place, body)),
            false => Err(ClientError::MediaType { url, wanted, found }),
        }
    }
}

/// What was read, or the error that says where the fault came from.
pub(super) fn sound<T>(url: &Url, read: Result<T, Faults>) -> Result<T, ClientError> {
    read.map_err(|faults| ClientError::Faulty {
        url: url.to_string(),
        faults,
    })
}
