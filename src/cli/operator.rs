//! What operator's commands share: which running node is asked, and how it
//! knows us.

use std::path::PathBuf;

use clap::Args;
use serde::de::DeserializeOwned;
use url::Url;

use crate::alto::media;
use crate::client::{self, Client};
use crate::config::Config;

use super::Failure;

/// Which node is asked.
#[derive(Debug, Clone, Args)]
pub(super) struct NodeOptions {
    /// The configuration of the node, for where it listens.
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        default_value = "peers.toml"
    )]
    config: PathBuf,
    /// The base of the node's URIs; without it, what the configuration says.
    #[arg(long, global = true, value_name = "URL")]
    url: Option<Url>,
    /// The environment variable that holds a bearer token of scope operate.
    #[arg(long, global = true, value_name = "VARIABLE")]
    token_env: Option<String>,
    /// A PEM file of the certificate authorities to trust in place of the system's.
    #[arg(long, global = true, value_name = "FILE")]
    cacert: Option<PathBuf>,
}

/// A running node, as an operator talks to it.
pub(super) struct Operated {
    client: Client,
    base: Url,
}

impl NodeOptions {
    /// The node.
    pub(super) fn node(&self) -> Result<Operated, Failure> {
        let mut base = match &self.url {
            Some(url) => url.clone(),
            None => {
                let config = Config::load(&self.config);
                let config = config.map_err(|error| Failure::Usage(error.to_string()))?;
                let base = config.base_url(config.node.listen);
                Url::parse(&base).map_err(|error| Failure::Usage(format!("{base}: {error}")))?
            }
        };
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let token = self.token_env.as_ref().map(|variable| {
            std::env::var(variable).map_err(|_| Failure::Usage(format!("{variable} is not set")))
        });
        let options = client::Options {
            token: token.transpose()?.map(Into::into),
            cacert: self.cacert.clone(),
            ..client::Options::default()
        };
        let client = Client::new(&base, &options)?;
        Ok(Operated { client, base })
    }
}

impl Operated {
    /// The JSON document at a path.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let url = self.base.join(path)?;
        let text = self.client.get(&url, media::JSON).await?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Has something done that has no answer.
    pub(super) async fn post(&self, path: &str) -> Result<(), Failure> {
        let url = self.base.join(path)?;
        Ok(self.client.command(&url).await?)
    }
}
