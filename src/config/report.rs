//! What is wrong with a configuration, for people.

use std::fmt::Write;
use std::ops::Range;
use std::path::Path;

/// Everything that is wrong with a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct ConfigError {
    text: String,
}

impl ConfigError {
    /// The file cannot be read.
    pub(super) fn read(path: &Path, error: &std::io::Error) -> Self {
        Self {
            text: format!(
                "cannot read {}: {error}; give the path of your configuration with --config",
                path.display()
            ),
        }
    }

    /// The text is no configuration.
    pub(super) fn parse(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let mut fault = Fault::new(error.span(), error.message());
        if let Some(meant) = suggestion(error.message()) {
            let _ = write!(fault.message, "; did you mean `{meant}`?");
        }
        Self::faults(path, text, &[fault])
    }

    /// These faults were found in the text.
    pub(super) fn faults(path: &Path, text: &str, faults: &[Fault]) -> Self {
        let described = faults.iter().map(|fault| fault.describe(path, text));
        Self {
            text: described.collect::<Vec<_>>().join("\n"),
        }
    }
}

/// One thing that is wrong, and where.
pub(super) struct Fault {
    span: Option<Range<usize>>,
    message: String,
}

impl Fault {
    pub(super) fn new(span: Option<Range<usize>>, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
        }
    }

    /// `file:line:column: message`, and the line itself.
    fn describe(&self, path: &Path, text: &str) -> String {
        let Some(start) = self.span.as_ref().map(|span| span.start.min(text.len())) else {
            return format!("{}: {}", path.display(), self.message);
        };
        let before = text.get(..start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before[line_start..].chars().count() + 1;
        let content = shown(text[line_start..].lines().next().unwrap_or_default());
        format!(
            "{}:{line}:{column}: {}\n  | {content}",
            path.display(),
            self.message
        )
    }
}

/// A line as it can be logged: up to a secret that stands in it.
fn shown(line: &str) -> String {
    let value = line.match_indices("secret").find_map(|(at, key)| {
        let rest = line[at + key.len()..].trim_start_matches(['"', '\'', ' ', '\t']);
        rest.starts_with('=').then(|| line.len() - rest.len())
    });
    match value {
        Some(value) => format!("{}= …", &line[..value]),
        None => line.to_owned(),
    }
}

/// Of "unknown field `x`, expected one of `a`, `b`" the field that `x` is most
/// like.
fn suggestion(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field `")?;
    let (unknown, expected) = rest.split_once("`, expected ")?;
    let known = expected.split('`').skip(1).step_by(2);
    let like = |known: &str| strsim::jaro_winkler(unknown, known);
    known
        .map(|known| (like(known), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_without_the_secret_in_it() {
        for (line, expected) in [
            ("secret = \"hidden\"", "secret = …"),
            ("'secret'=\"hidden", "'secret'= …"),
            (
                "token = [{ name = \"x\", secret = \"hidden\", scopes = [] }]",
                "token = [{ name = \"x\", secret = …",
            ),
            ("secret_env = \"VARIABLE\"", "secret_env = \"VARIABLE\""),
            ("name = \"secret\"", "name = \"secret\""),
        ] {
            assert_eq!(shown(line), expected);
        }
    }
}
