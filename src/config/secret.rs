//! Secrets, which stand in the file, in the environment or in a file of their own.

use std::path::Path;

/// A secret `X` as it may be given: `X`, `X_env` or `X_file`.
pub(super) struct Stated<'a> {
    /// `X`.
    pub(super) key: &'static str,
    /// Whose it is: `token noc`.
    pub(super) owner: String,
    pub(super) value: Option<&'a str>,
    pub(super) env: Option<&'a str>,
    pub(super) file: Option<&'a Path>,
}

impl Stated<'_> {
    /// The secret itself, if one is given.
    ///
    /// # Errors
    /// It is not where it should be, or in several places; for people.
    pub(super) fn resolve(&self) -> Result<Option<String>, String> {
        let Self { key, owner, .. } = self;
        let places = [
            self.value.is_some(),
            self.env.is_some(),
            self.file.is_some(),
        ];
        if places.into_iter().filter(|given| *given).count() > 1 {
            return Err(format!(
                "{owner} has its secret in several places; keep one of {key}, {key}_env and \
                 {key}_file"
            ));
        }
        if let Some(variable) = self.env {
            return std::env::var(variable).map(Some).map_err(|_| {
                format!("{owner} takes its secret from the environment: set {variable}")
            });
        }
        if let Some(file) = self.file {
            let text = std::fs::read_to_string(file)
                .map_err(|error| format!("the secret of {owner}: {}: {error}", file.display()))?;
            return Ok(Some(text.trim_end().to_owned()));
        }
        Ok(self.value.map(str::to_owned))
    }
}
