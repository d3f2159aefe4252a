//! Standard output, whose reader may go away at any time.

use std::fmt::Display;
use std::io::{self, Write};

/// Prints a line.
///
/// # Errors
/// The reader is gone, or the output is full.
pub(super) fn say(text: impl Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// Whether the error is that the reader is gone, as in `altofed … | head`.
pub(super) fn is_unread(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
