//! The client of a person at the command line. It goes where it is told.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::redirect::Policy;
use url::Url;

use crate::alto::error::ErrorDocument;
use crate::alto::media;
use crate::ident::Hidden;
use crate::runtime::Clock;

use super::client_error::ClientError;
use super::connection::{AnswerLimits, Call, Connection, Take, bearer, builder, reason};
use super::directory::{Directory, Page, Pages};
use super::peer_error::PeerError;
use super::tls;

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The bearer token it shows, to the origin of the directory only.
    pub token: Option<Hidden>,
    /// A PEM file of the certificate authorities that are trusted in place of
    /// the system's.
    pub cacert: Option<PathBuf>,
    /// The time for a whole request.
    pub timeout: Duration,
    /// The most bytes of a response, after decompression.
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

/// The most directories that are read.
const MAX_DIRECTORIES: usize = 1000;

/// An ALTO client.
#[derive(Debug, Clone)]
pub struct Client {
    connection: Connection,
}

impl Client {
    /// Makes a client that starts from the directory at `url`.
    ///
    /// # Errors
    /// The options cannot be used.
    pub fn new(url: &Url, options: &Options, clock: Clock) -> Result<Self, ClientError> {
        let tls = tls::config(options.cacert.as_deref(), None).map_err(ClientError::Options)?;
        let origin = url.origin();
        let http = builder(tls)
            .redirect(redirects(origin.clone()))
            .build()
            .map_err(|error| ClientError::Options(reason(&error)))?;
        let token = options.token.as_ref().map(bearer).transpose();
        Ok(Self {
            connection: Connection {
                http,
                origin,
                bound: false,
                token: token.map_err(ClientError::Options)?,
                limits: AnswerLimits {
                    max_bytes: options.max_bytes,
                    // A person asks for large answers, and waits for them.
                    max_ratio: u64::MAX,
                    max_depth: usize::MAX,
                    patience: options.timeout,
                    bytes_per_second: 1,
                    total: options.timeout,
                },
                clock,
            },
        })
    }

    /// Returns the connection to the servers that this client may ask, for following resources.
    pub fn connection(&self) -> Connection {
        let AnswerLimits {
            max_bytes,
            patience,
            ..
        } = self.connection.limits;
        Connection {
            limits: AnswerLimits {
                max_bytes,
                patience,
                ..AnswerLimits::default()
            },
            ..self.connection.clone()
        }
    }

    /// Reads the directory at `root` and those that it delegates to, each once.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub async fn directory(&self, root: &Url) -> Result<Directory, ClientError> {
        Directory::crawl(root, MAX_DIRECTORIES, self).await
    }

    /// Gets a representation of this media type.
    ///
    /// # Errors
    /// There is no such answer.
    pub async fn get(&self, url: &Url, wanted: &'static str) -> Result<Bytes, ClientError> {
        Ok(self.locate(url, wanted).await?.body)
    }

    /// Gets a representation of this media type, and where it was found after redirects:
    /// relative URIs in it are resolved against that (RFC 3986 §5.1.3).
    ///
    /// # Errors
    /// There is no such answer.
    async fn locate(&self, url: &Url, wanted: &'static str) -> Result<Page, ClientError> {
        let accepted = [wanted];
        self.fetch(Call::new(url, &accepted), wanted).await
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
        let accepted = [wanted];
        let call = Call::post(url, &accepted, sent, query.to_string());
        Ok(self.fetch(call, wanted).await?.body)
    }

    /// Puts a document of the network-to-server API; the answer is JSON.
    ///
    /// # Errors
    /// The document was refused.
    pub async fn put(&self, url: &Url, document: &'static str) -> Result<Bytes, ClientError> {
        self.send(Method::PUT, url, media::JSON, document).await
    }

    /// Changes a document of the network-to-server API by a merge patch (RFC
    /// 7396); the answer is JSON.
    ///
    /// # Errors
    /// The change was refused.
    pub async fn patch(&self, url: &Url, change: &'static str) -> Result<Bytes, ClientError> {
        self.send(Method::PATCH, url, media::MERGE_PATCH, change)
            .await
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        media_type: &'static str,
        body: &'static str,
    ) -> Result<Bytes, ClientError> {
        let call = Call {
            method,
            ..Call::post(url, &[media::JSON], media_type, body.to_owned())
        };
        Ok(self.fetch(call, media::JSON).await?.body)
    }

    /// Posts a command that has no answer.
    ///
    /// # Errors
    /// It was refused.
    pub async fn command(&self, url: &Url) -> Result<(), ClientError> {
        let call = Call {
            method: Method::POST,
            ..Call::new(url, &[media::JSON])
        };
        match self.fetch(call, media::JSON).await {
            Ok(_) => Ok(()),
            // An empty answer has no media type.
            Err(ClientError::MediaType { found, .. }) if found.is_empty() => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn fetch(&self, call: Call<'_>, wanted: &'static str) -> Result<Page, ClientError> {
        let url = || call.url.to_string();
        let exchange = self.connection.exchange(&call, |_| Ok(Take::All)).await;
        let received = exchange.map_err(|error| self.failed(url(), error))?;
        if !received.status.is_success() {
            return Err(refused(url(), received.status.as_u16(), &received.body));
        }
        if received.media_type != wanted {
            return Err(ClientError::MediaType {
                url: url(),
                wanted,
                found: received.media_type,
            });
        }
        Ok(Page {
            place: received.place,
            body: received.body,
        })
    }

    fn failed(&self, url: String, error: PeerError) -> ClientError {
        let reason = match error {
            PeerError::Body { limit: true, .. } => {
                let limit = self.connection.limits.max_bytes;
                return ClientError::TooLarge { url, limit };
            }
            PeerError::Transport { reason, .. } | PeerError::Body { reason, .. } => reason,
            PeerError::Timeout { .. } => "operation timed out".to_owned(),
            other => other.to_string(),
        };
        ClientError::Transport { url, reason }
    }
}

impl Pages for &Client {
    type Error = ClientError;

    async fn page(&mut self, url: &Url) -> Result<Option<Page>, ClientError> {
        Ok(Some(self.locate(url, media::DIRECTORY).await?))
    }
}

/// Reads the answer of a server that refuses. It may be an ALTO error or not (RFC 7285 §8.5.1).
fn refused(url: String, status: u16, body: &[u8]) -> ClientError {
    if let Ok(ErrorDocument { meta }) = serde_json::from_slice(body) {
        let error = Box::new(meta);
        return ClientError::Alto { url, status, error };
    }
    match serde_json::from_slice(body) {
        Ok(problem) => ClientError::Problem { url, problem },
        Err(_) => ClientError::Status { url, status },
    }
}

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 3;

fn redirects(origin: url::Origin) -> Policy {
    Policy::custom(move |attempt| {
        if attempt.previous().len() > MAX_REDIRECTS {
            attempt.error("too many redirects")
        } else if attempt.url().origin() == origin {
            attempt.follow()
        } else {
            attempt.error("a redirect to another origin is not followed")
        }
    })
}
