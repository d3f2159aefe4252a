//! What the operator's commands share: which running node is asked, and how we authenticate.

use std::path::PathBuf;

use clap::Args;
use serde::de::DeserializeOwned;
use url::Url;

use crate::alto::media;
use crate::client::{self, Client};
use crate::config::Config;
use crate::ident::Hidden;
use crate::runtime::Clock;

use super::failure::Failure;

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

/// A running node, as an operator reaches it.
pub(super) struct Operated {
    client: Client,
    base: Url,
}

impl NodeOptions {
    /// Returns the node that the options name.
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
        let token = token(self.token_env.as_deref())?;
        let options = client::Options {
            token,
            cacert: self.cacert.clone(),
            ..client::Options::default()
        };
        let client = Client::new(&base, &options, Clock::system())?;
        Ok(Operated { client, base })
    }
}

/// Returns the token in the environment variable that `--token-env` names, if the option is
/// given. An error does not show what was given, since it may be the token itself.
pub(super) fn token(variable: Option<&str>) -> Result<Option<Hidden>, Failure> {
    let read = |variable| {
        let set = std::env::var(variable).map(Hidden::from);
        set.map_err(|_| {
            let text = "the environment variable that --token-env names is not set";
            Failure::Usage(text.to_owned())
        })
    };
    variable.map(read).transpose()
}

impl Operated {
    /// Gets the JSON document at a path.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let url = self.base.join(path)?;
        let text = self.client.get(&url, media::JSON).await?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Sends a request that has no body and no answer.
    pub(super) async fn post(&self, path: &str) -> Result<(), Failure> {
        let url = self.base.join(path)?;
        Ok(self.client.command(&url).await?)
    }
}
