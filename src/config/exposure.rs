//! Files with secrets that everybody can read.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;

use crate::auth::TokenSettings;
use crate::http::TlsFiles;

use super::peers::PeerSection;
use super::report::Fault;

/// Whether others than the owner and the group of a file can read or write it.
#[cfg(unix)]
pub(super) fn is_exposed(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let metadata = std::fs::metadata(file);
    metadata.is_ok_and(|metadata| metadata.permissions().mode() & 0o006 != 0)
}

#[cfg(not(unix))]
pub(super) fn is_exposed(_file: &Path) -> bool {
    false
}

/// The places in a configuration whose secrets are open to everybody. `is_open` tells whether
/// its own file is.
pub(super) fn exposed(
    tls: Option<&Spanned<TlsFiles>>,
    tokens: &[Spanned<TokenSettings>],
    peers: &[Spanned<PeerSection>],
    is_open: bool,
) -> Vec<Fault> {
    let mut found = Vec::new();
    let mut file = |span: Range<usize>, key: Option<&'static str>, file: &Path| {
        if is_exposed(file) {
            let why = "everybody on this machine can read or write the file; `chmod o-rw` it";
            let fault = Fault::new(span, why);
            found.push(key.into_iter().fold(fault, Fault::at));
        }
    };
    if let Some(tls) = tls {
        file(tls.span(), None, &tls.get_ref().key);
    }
    let mut inline = Vec::new();
    for token in tokens {
        let settings = token.get_ref();
        if let Some(secret) = &settings.secret_file {
            file(token.span(), Some("secret_file"), secret);
        }
        inline.extend(settings.secret.as_ref().map(|_| (token.span(), "secret")));
    }
    for peer in peers {
        let (settings, span) = (peer.get_ref(), peer.span());
        if let Some(token) = &settings.token_file {
            file(span.clone(), Some("token_file"), token);
        }
        if let Some(certificate) = &settings.client_cert {
            file(span.clone(), Some("client_cert"), &certificate.key);
        }
        inline.extend(settings.token.as_ref().map(|_| (span, "token")));
    }
    if let Some((span, key)) = inline.into_iter().next().filter(|_| is_open) {
        let why = "the secret stands in this file, which everybody on this machine can read or \
                   write; `chmod o-rw` it, or keep the secret elsewhere";
        found.push(Fault::new(span, why).at(key));
    }
    found
}
