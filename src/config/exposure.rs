//! Finds files that everybody on the machine can read or change.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;

use crate::auth::TokenSettings;
use crate::http::TlsFiles;

use super::peers::PeerSection;
use super::report::Fault;

/// What users other than the owner and the group may do with a file.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Others {
    read: bool,
    write: bool,
}

impl Others {
    #[cfg(unix)]
    pub(super) fn of(file: &Path) -> Self {
        use std::os::unix::fs::PermissionsExt;
        // A file that cannot be looked at is reported where it is read.
        let Ok(metadata) = std::fs::metadata(file) else {
            return Self::default();
        };
        let mode = metadata.permissions().mode();
        Self {
            read: mode & 0o004 != 0,
            write: mode & 0o002 != 0,
        }
    }

    #[cfg(not(unix))]
    pub(super) fn of(_file: &Path) -> Self {
        Self::default()
    }
}

/// What a file is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It contains a secret.
    Secret,
    /// It decides who is trusted.
    Trust,
}

/// Returns the places of a configuration that are open to everybody: files that contain
/// secrets, and files that decide who is trusted. `others` is what everybody may do with the
/// configuration file itself.
pub(super) fn exposed(
    tls: Option<&Spanned<TlsFiles>>,
    tokens: &[Spanned<TokenSettings>],
    peers: &[Spanned<PeerSection>],
    others: Others,
) -> Vec<Fault> {
    let mut found = Vec::new();
    let mut file = |span: Range<usize>, key: &'static str, used: Use, file: &Path| {
        let others = Others::of(file);
        let is_secret = used == Use::Secret;
        let is_exposed = others.write || is_secret && others.read;
        if !is_exposed {
            return;
        }
        let (may, mend) = if is_secret {
            ("read or write", "o-rw")
        } else {
            ("write", "o-w")
        };
        let why =
            format!("everybody on this machine can {may} the file of `{key}`; `chmod {mend}` it");
        let fault = Fault::new(span, why);
        // The span is that of `tls`.
        found.push(match key.split_once('.') {
            Some(("tls", _)) => fault,
            Some((table, _)) => fault.at(table),
            None => fault.at(key),
        });
    };
    if let Some(tls) = tls {
        let (files, span) = (tls.get_ref(), tls.span());
        file(span.clone(), "tls.key", Use::Secret, &files.key);
        file(span.clone(), "tls.cert", Use::Trust, &files.cert);
        if let Some(authorities) = &files.client_ca {
            file(span, "tls.client_ca", Use::Trust, authorities);
        }
    }
    let mut inline = Vec::new();
    for token in tokens {
        let settings = token.get_ref();
        if let Some(secret) = &settings.secret_file {
            file(token.span(), "secret_file", Use::Secret, secret);
        }
        inline.extend(settings.secret.as_ref().map(|_| (token.span(), "secret")));
    }
    for peer in peers {
        let (settings, span) = (peer.get_ref(), peer.span());
        if let Some(token) = &settings.token_file {
            file(span.clone(), "token_file", Use::Secret, token);
        }
        if let Some(certificate) = &settings.client_cert {
            file(
                span.clone(),
                "client_cert.key",
                Use::Secret,
                &certificate.key,
            );
            file(
                span.clone(),
                "client_cert.cert",
                Use::Trust,
                &certificate.cert,
            );
        }
        if let Some(authorities) = &settings.cacert {
            file(span.clone(), "cacert", Use::Trust, authorities);
        }
        inline.extend(settings.token.as_ref().map(|_| (span, "token")));
    }
    if let Some((span, key)) = inline.into_iter().next().filter(|_| others.read) {
        let why = "the secret stands in this file, which everybody on this machine can read; \
                   `chmod o-rw` it, or keep the secret elsewhere";
        found.push(Fault::new(span, why).at(key));
    }
    if others.write {
        let why = "everybody on this machine can write this file, and say in it who may do what; \
                   `chmod o-w` it";
        found.push(Fault::new(None::<Range<usize>>, why));
    }
    found
}
