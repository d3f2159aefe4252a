//! `[[token]]`: who may call, and with what.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;

use crate::auth::{Token, TokenError, TokenSettings};
use crate::ident::Hidden;

use super::report::Fault;
use super::secret;

/// A principal, and where the file states it.
pub(super) struct StatedToken {
    pub(super) token: Token,
    pub(super) span: Range<usize>,
}

/// Reads the tokens, and lists what is wrong with them.
pub(super) fn read(stated: &[Spanned<TokenSettings>], faults: &mut Vec<Fault>) -> Vec<StatedToken> {
    let mut names = BTreeMap::new();
    let mut tokens = Vec::new();
    for spanned in stated {
        let (settings, span) = (spanned.get_ref(), spanned.span());
        if let Some(earlier) = names.insert(&settings.name, span.clone()) {
            let reason = "another token has this name; give each one of its own";
            faults.push(Fault::new(span.clone(), reason).at("name").beside(earlier));
        }
        let secret = secret::Stated {
            keys: ["secret", "secret_env", "secret_file"],
            value: settings.secret.as_ref(),
            env: settings.secret_env.as_deref(),
            file: settings.secret_file.as_deref(),
        };
        match secret.resolve() {
            Err((key, reason)) => faults.push(Fault::new(span, reason).at(key)),
            Ok(secret) => match Token::new(settings, secret.as_ref().map(Hidden::expose)) {
                Ok(token) => tokens.push(StatedToken { token, span }),
                Err(error) => faults.push(refused(error, span)),
            },
        }
    }
    tokens
}

/// Makes the fault of a token, or of a peer that shows a certificate.
pub(super) fn refused(error: TokenError, span: Range<usize>) -> Fault {
    let fault = Fault::new(span, error.to_string());
    error.key().into_iter().fold(fault, Fault::at)
}

/// Checks that no two principals have the same credential.
pub(super) fn check_shown(tokens: &[StatedToken], faults: &mut Vec<Fault>) {
    for (at, StatedToken { token, span }) in tokens.iter().enumerate() {
        for earlier in &tokens[..at] {
            let same = if token.secret.is_some() && token.secret == earlier.token.secret {
                "secret"
            } else if token.certificate.is_some() && token.certificate == earlier.token.certificate
            {
                "client_cert_sha256"
            } else {
                continue;
            };
            let reason = format!(
                "another principal has the same {same}, so that one passes for the other; give \
                 each its own"
            );
            faults.push(Fault::new(span.clone(), reason).beside(earlier.span.clone()));
        }
    }
}
