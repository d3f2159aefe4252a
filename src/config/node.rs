//! `[node]`: who we are and where we listen.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;
use url::Url;

use crate::http::TlsFiles;
use crate::ident::DomainLabel;

use super::report::Fault;

/// `[node]`: who we are and where we listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The label of our domain.
    pub domain: DomainLabel,
    /// Our name, for people.
    pub name: String,
    /// The numbers of our autonomous systems.
    pub asns: Vec<u32>,
    /// The address to listen at; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The base of our URIs, without a slash at its end; absent: made from the address that we
    /// listen at.
    pub public_url: Option<Url>,
    /// The directory of the store.
    pub data_dir: PathBuf,
    /// The files for TLS; absent: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// The number of threads for CPU work; 0: one per core.
    pub threads: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NodeSection {
    domain: DomainLabel,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    asns: Vec<u32>,
    #[serde(default = "listen")]
    listen: SocketAddr,
    #[serde(default)]
    public_url: Option<Spanned<String>>,
    data_dir: PathBuf,
    #[serde(default)]
    pub(super) tls: Option<Spanned<TlsFiles>>,
    #[serde(default)]
    threads: usize,
}

fn listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8181))
}

impl NodeSection {
    /// Reads the section.
    pub(super) fn read(self, faults: &mut Vec<Fault>) -> Node {
        let public_url = self.public_url.and_then(|stated| {
            let read = read_public_url(stated.get_ref());
            read.map_err(|reason| faults.push(Fault::new(stated.span(), reason)))
                .ok()
        });
        Node {
            name: self.name.unwrap_or_else(|| self.domain.to_string()),
            domain: self.domain,
            asns: self.asns,
            listen: self.listen,
            public_url,
            data_dir: self.data_dir,
            tls: self.tls.map(Spanned::into_inner),
            threads: self.threads,
        }
    }
}

/// Reads the base of our URIs.
///
/// # Errors
/// What is wrong with it, for people.
fn read_public_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| {
        format!("it is no URL: {error}; write it like https://alto.example.net")
    })?;
    let reason = if !matches!(url.scheme(), "http" | "https") {
        "it must start with http:// or https://"
    } else if url.query().is_some() || url.fragment().is_some() {
        "it must end with its path: leave out `?` and `#` and what follows"
    } else if !url.username().is_empty() || url.password().is_some() {
        "it must be without a user and a password: it is told to everybody"
    } else {
        return Ok(url);
    };
    Err(reason.to_owned())
}
