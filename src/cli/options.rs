//! The options of the verbs that read the configuration.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Clone, Args)]
pub(super) struct ConfigOptions {
    /// The configuration.
    #[arg(short, long, value_name = "FILE", default_value = "peers.toml")]
    pub(super) config: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}
