//! The command line.

mod check;
mod demo;
mod difference;
mod explain;
mod failure;
mod keygen;
mod logging;
mod operator;
mod options;
mod output;
mod path;
mod peers;
mod query;
mod serve;
mod store;
mod version;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::client::ClientError;

use failure::Failure;
use logging::LogOptions;
use options::ConfigOptions;
use output::is_unread;

/// An ALTO (RFC 7285) node: it takes a network's maps and costs, keeps them,
/// and tells applications how near, fast and cheap its paths are.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: LogOptions,
}

const EXIT_CODES: &str = "Exit codes:
  0  done
  1  it failed; the message says why
  2  the command line or the configuration is wrong
  3  the store failed: nothing more could be kept";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node until it is told to stop (SIGTERM, Ctrl-C); SIGHUP reloads the configuration.
    Serve(ConfigOptions),
    /// Say whether a configuration can be used, and if not what is wrong.
    Check(ConfigOptions),
    /// Start ten federated nodes with real research networks, ask them what an operator of
    /// caches would ask, and show a change of one arrive at the others.
    Demo(demo::Options),
    /// Ask any ALTO server, starting from the URI of its directory.
    Query(query::Options),
    /// Make a key to sign manifests with.
    Keygen(keygen::Options),
    /// Show the state of a running node's peers, and what the merged view could not take.
    Peers(peers::Options),
    /// Show one peer of a running node.
    Peer(peers::PeerOptions),
    /// Show the path that a running node's costs between two places follow.
    Explain(explain::Options),
    /// Check, compact, export or import the store of a node that does not run.
    Store(store::Options),
    /// Print the version, or the licences of everything in the program.
    Version(version::Options),
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    keep_private();
    logging::init(&cli.log, matches!(cli.command, Command::Serve(_)));
    let outcome = match cli.command {
        Command::Serve(options) => wait(serve::run(&options)),
        Command::Check(options) => check::run(&options),
        Command::Demo(options) => wait(async { Ok(demo::run(&options).await?) }),
        Command::Query(options) => wait(query::run(&options)),
        Command::Keygen(options) => keygen::run(&options),
        Command::Peers(options) => wait(peers::run(&options)),
        Command::Peer(options) => wait(peers::one(&options)),
        Command::Explain(options) => wait(explain::run(&options)),
        Command::Store(options) => store::run(&options),
        Command::Version(options) => version::run(&options),
    };
    let (code, message) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Failed(error)) if is_unread(&error) => return ExitCode::SUCCESS,
        Err(Failure::Failed(error)) => (1, format!("{error:#}{}", hint(&error))),
        Err(Failure::Usage(message)) => (2, message),
        Err(Failure::Store(message)) => (3, message),
    };
    eprintln!("altofed: {message}");
    ExitCode::from(code)
}

/// Returns what to do about a failure, if the server answered with a status alone.
fn hint(error: &anyhow::Error) -> &'static str {
    let Some(ClientError::Status { status, .. }) = error.downcast_ref() else {
        return "";
    };
    match status {
        401 => "; give a token with --token-env",
        403 => "; the token may not read this",
        404 => "; check the URL",
        503 => "; it is busy, or has just started: ask again shortly",
        _ => "",
    }
}

/// Makes every file that this process creates private to its owner: the store, in which sled
/// creates files itself, and exports of it.
fn keep_private() {
    #[cfg(unix)]
    {
        use rustix::fs::Mode;
        rustix::process::umask(Mode::RWXG | Mode::RWXO);
    }
}

/// Runs a future on a runtime of its own.
fn wait(future: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(future)
}
