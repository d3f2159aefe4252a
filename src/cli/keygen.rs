//! `altofed keygen`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::federation::SigningKey;

use super::failure::Failure;
use super::output::say;

/// Where the key goes.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The file to write the private key to; it must not be there yet.
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Makes a key, writes it to the file, and prints its public half.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let key = SigningKey::generate()?;
    key.save(&options.out)?;
    let (public, kid) = (key.public().to_string(), key.public().kid());
    if options.json {
        say(json!({"key": public, "kid": kid, "file": options.out}))?;
        return Ok(());
    }
    say(format_args!(
        "The private key is in {}.",
        options.out.display()
    ))?;
    say(format_args!("Put into your own configuration:"))?;
    say(format_args!("  [federation]\n  key = {:?}", options.out))?;
    say(format_args!(
        "Give to your peers, for [domain.YOU] in theirs:"
    ))?;
    say(format_args!("  keys = [{public:?}]"))?;
    Ok(())
}
