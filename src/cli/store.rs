//! `altofed store`

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::config::Config;
use crate::store::{self, Progress};

use super::failure::Failure;
use super::output::say;

/// What is done with which store.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    action: Action,
    /// The configuration, for its data_dir.
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        default_value = "peers.toml"
    )]
    config: PathBuf,
    /// The data directory; without it, that of the configuration.
    #[arg(short, long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check everything that is kept.
    Verify,
    /// Write the database anew without what nothing needs.
    Compact,
    /// Write everything that is kept to a file.
    Export {
        /// The file, or - for standard output.
        file: PathBuf,
    },
    /// Fill an empty data directory from an export.
    Import {
        /// The file, or - for standard input.
        file: PathBuf,
    },
}

/// Runs the command.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let directory = match &options.data_dir {
        Some(directory) => directory.clone(),
        None => {
            let config = Config::load(&options.config);
            config
                .map_err(|error| Failure::Usage(error.to_string()))?
                .node
                .data_dir
        }
    };
    let bar = bar();
    let mut progress = |progress: Progress| {
        if let Some(total) = progress.total {
            bar.set_length(total);
        }
        bar.set_position(progress.done);
    };
    match &options.action {
        Action::Verify => {
            let report = store::verify(&directory, &mut progress)?;
            bar.finish_and_clear();
            print(
                options.json,
                &json!({
                    "records": report.records,
                    "documents": report.documents,
                    "chunks": report.chunks,
                    "bytes": report.bytes,
                    "unused-chunks": report.unused,
                    "problems": report.problems,
                }),
            )?;
            if !report.problems.is_empty() {
                return Err(Failure::Store(format!(
                    "{} is damaged; start the node to have it mended as far as it can be",
                    directory.display()
                )));
            }
        }
        Action::Compact => {
            let sizes = store::compact(&directory, &mut progress)?;
            bar.finish_and_clear();
            print(
                options.json,
                &json!({"bytes-before": sizes.before, "bytes-after": sizes.after}),
            )?;
        }
        Action::Export { file } => {
            let mut out: Box<dyn Write> = if file.as_os_str() == "-" {
                Box::new(std::io::stdout().lock())
            } else {
                let file = File::create_new(file)
                    .with_context(|| format!("cannot create {}", file.display()))?;
                Box::new(BufWriter::new(file))
            };
            let exported = store::export(&directory, &mut out, &mut progress);
            if let Err(error) = exported
                .map_err(Failure::from)
                .and_then(|()| Ok(out.flush()?))
            {
                if file.as_os_str() != "-" {
                    // What is incomplete must not be taken for an export.
                    let _left = fs::remove_file(file);
                }
                return Err(error);
            }
            bar.finish_and_clear();
        }
        Action::Import { file } => {
            let mut input: Box<dyn BufRead> = if file.as_os_str() == "-" {
                Box::new(std::io::stdin().lock())
            } else {
                let file =
                    File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
                Box::new(BufReader::new(file))
            };
            store::import(&directory, &mut input, &mut progress)?;
            bar.finish_and_clear();
        }
    }
    Ok(())
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} revisions {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn print(as_json: bool, report: &serde_json::Value) -> Result<(), Failure> {
    if as_json {
        return Ok(say(report)?);
    }
    for (name, value) in report.as_object().into_iter().flatten() {
        let one = [value.clone()];
        for value in value.as_array().map_or(&one[..], Vec::as_slice) {
            say(format_args!("{name:14} {value}"))?;
        }
    }
    Ok(())
}
