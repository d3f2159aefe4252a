//! `altofed explain`

use clap::Args;
use serde_json::json;
use url::form_urlencoded;

use crate::api::explain::Explanation;

use super::failure::Failure;
use super::operator::NodeOptions;
use super::output::say;
use super::path::path_text;

/// Which path is explained.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Where from: an address, or a PID of the merged view.
    src: String,
    /// Where to: an address, or a PID of the merged view.
    dst: String,
    #[command(flatten)]
    node: NodeOptions,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Shows the path that the costs between two places follow.
pub(super) async fn run(options: &Options) -> Result<(), Failure> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("src", &options.src);
    query.append_pair("dst", &options.dst);
    let path = format!("views/merged/explain?{}", query.finish());
    let explanation: Explanation = options.node.node()?.get(&path).await?;
    if options.json {
        say(json!(explanation))?
    } else {
        say(path_text(&explanation))?
    }
    Ok(())
}
