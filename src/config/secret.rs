//! Reads secrets, from the configuration, from the environment or from a file of their own.

use std::path::Path;

use crate::ident::Hidden;

/// The places where a secret may be given.
pub(super) struct Stated<'a> {
    /// The keys of the next three: `secret`, `secret_env`, `secret_file`.
    pub(super) keys: [&'static str; 3],
    /// The secret itself.
    pub(super) value: Option<&'a Hidden>,
    /// The environment variable that contains it.
    pub(super) env: Option<&'a str>,
    /// The file that contains it.
    pub(super) file: Option<&'a Path>,
}

/// Why there is no secret: the key, and what is wrong, for people.
pub(super) type Wrong = (&'static str, String);

impl Stated<'_> {
    /// Returns the secret, if one is given.
    ///
    /// # Errors
    /// It is not where it should be, or in several places.
    pub(super) fn resolve(&self) -> Result<Option<Hidden>, Wrong> {
        let [value_key, env_key, file_key] = self.keys;
        let places = [
            self.value.is_some(),
            self.env.is_some(),
            self.file.is_some(),
        ];
        if places.into_iter().filter(|given| *given).count() > 1 {
            let why = format!(
                "the secret is given in several places; keep one of {value_key}, {env_key} and \
                 {file_key}"
            );
            return Err((value_key, why));
        }
        if let Some(variable) = self.env {
            return std::env::var(variable)
                .map(|text| Some(text.into()))
                .map_err(|_| {
                    let why = "the environment has no variable of this name, or no text in it; \
                               set it, or name the one that holds the secret";
                    (env_key, why.to_owned())
                });
        }
        if let Some(file) = self.file {
            let text = std::fs::read_to_string(file).map_err(|error| {
                let why = format!(
                    "the file cannot be read: {error}; name the file that holds the secret"
                );
                (file_key, why)
            })?;
            return Ok(Some(text.trim_end().into()));
        }
        Ok(self.value.cloned())
    }
}
