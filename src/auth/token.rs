//! Tokens: principals as they are configured.

use crate::ident::{DomainLabel, SourceName, from_hex};

use super::credential::{Secret, is_b64token};
use super::settings::{Scope, TokenSettings};

/// A principal as it is configured, with its secret resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The principal's name.
    pub name: SourceName,
    /// The bearer token it shows, if it shows one.
    pub secret: Option<Secret>,
    /// The SHA-256 of the client certificate it shows, if it shows one.
    pub certificate: Option<[u8; 32]>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The sources it may write for besides its own.
    pub sources: Vec<SourceName>,
    /// The peer that it is, if it is one.
    pub peer: Option<DomainLabel>,
}

/// The fewest characters of a secret: 16 hold at least 64 bits even if only hex digits are
/// used.
const MIN_SECRET: usize = 16;

/// Why a token is refused. The messages contain nothing of what is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It has no credential.
    #[error("it has nothing to show; give secret_env, secret_file, secret or client_cert_sha256")]
    NoSecret,
    /// Its secret is too short.
    #[error(
        "the secret has fewer than {MIN_SECRET} characters; make one with `openssl rand -hex 32`"
    )]
    Short,
    /// Its secret has a character that a bearer token cannot have.
    #[error(
        "the secret has a character that a bearer token cannot have (RFC 6750 section 2.1): use \
         letters, digits and - . _ ~ + / ="
    )]
    Alphabet,
    /// It is bound to a peer, and lacks the scope for that.
    #[error("the token is bound to a peer without the scope for it: add \"peer\" to its scopes")]
    PeerScope,
    /// The fingerprint is not one.
    #[error("it must be 64 hex digits, colons allowed")]
    Fingerprint,
    /// The label of the peer cannot be a name.
    #[error("the label of the domain can be no name of a token")]
    Name,
}

impl TokenError {
    /// Returns the key of the table that the error is about, unless it is about all of it.
    pub fn key(self) -> Option<&'static str> {
        match self {
            TokenError::PeerScope => Some("scopes"),
            TokenError::Fingerprint => Some("client_cert_sha256"),
            TokenError::NoSecret | TokenError::Short | TokenError::Alphabet | TokenError::Name => {
                None
            }
        }
    }
}

impl Token {
    /// Resolves a configured token. `secret` is the text of its secret, if it has one.
    ///
    /// # Errors
    /// What is wrong and how to mend it.
    pub fn new(settings: &TokenSettings, secret: Option<&str>) -> Result<Self, TokenError> {
        if secret.is_none() && settings.client_cert_sha256.is_none() {
            return Err(TokenError::NoSecret);
        }
        if secret.is_some_and(|secret| secret.len() < MIN_SECRET) {
            return Err(TokenError::Short);
        }
        if secret.is_some_and(|secret| !is_b64token(secret)) {
            return Err(TokenError::Alphabet);
        }
        if settings.peer.is_some() && !settings.scopes.contains(&Scope::Peer) {
            return Err(TokenError::PeerScope);
        }
        let certificate = settings.client_cert_sha256.as_deref();
        let certificate = certificate.map(|text| fingerprint(text).ok_or(TokenError::Fingerprint));
        Ok(Self {
            name: settings.name.clone(),
            secret: secret.map(Secret::new),
            certificate: certificate.transpose()?,
            scopes: settings.scopes.clone(),
            sources: settings.sources.clone(),
            peer: settings.peer.clone(),
        })
    }

    /// Returns the principal of a peer that shows this certificate.
    ///
    /// # Errors
    /// The fingerprint is not one.
    pub fn of_peer(peer: &DomainLabel, client_cert_sha256: &str) -> Result<Self, TokenError> {
        let name = SourceName::new(peer.as_str()).map_err(|_| TokenError::Name)?;
        Self::new(
            &TokenSettings {
                name,
                secret: None,
                secret_env: None,
                secret_file: None,
                client_cert_sha256: Some(client_cert_sha256.to_owned()),
                scopes: vec![Scope::Peer],
                sources: Vec::new(),
                peer: Some(peer.clone()),
            },
            None,
        )
    }
}

/// Reads the 32 bytes of a fingerprint in hex, as `openssl x509 -fingerprint` prints it.
fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits = text.replace(':', "").to_ascii_lowercase();
    from_hex(&digits)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> TokenSettings {
        TokenSettings {
            name: SourceName::new("noc").expect("valid"),
            secret: None,
            secret_env: None,
            secret_file: None,
            client_cert_sha256: None,
            scopes: vec![Scope::Ingest],
            sources: Vec::new(),
            peer: None,
        }
    }

    #[test]
    fn short_missing_and_impossible_secrets_are_refused() {
        for bad in [
            None,
            Some("short"),
            Some("0123456789 abcdef"),
            Some("0123456789abcdefé"),
        ] {
            assert!(Token::new(&settings(), bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_token_of_a_peer_needs_the_scope_for_it() {
        let mut bound = settings();
        bound.peer = Some(DomainLabel::new("isp-b").expect("valid"));
        let refused = Token::new(&bound, Some("0123456789abcdef")).expect_err("no scope");
        assert_eq!(refused, TokenError::PeerScope);
        assert_eq!(refused.key(), Some("scopes"));
        bound.scopes.push(Scope::Peer);
        let token = Token::new(&bound, Some("0123456789abcdef")).expect("valid");
        assert_eq!(token.peer, bound.peer);
        let peer = bound.peer.expect("set");
        let token = Token::of_peer(&peer, &"ab".repeat(32)).expect("valid");
        assert_eq!(
            (token.certificate, token.peer),
            (Some([0xab; 32]), Some(peer))
        );
        assert_eq!(token.scopes, [Scope::Peer]);
    }

    #[test]
    fn a_fingerprint_may_have_colons() {
        let plain = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        for text in [plain, colons] {
            let settings = TokenSettings {
                client_cert_sha256: Some(text),
                ..settings()
            };
            assert_eq!(
                Token::new(&settings, None).expect("valid").certificate,
                Some([0xab; 32])
            );
        }
        let short = TokenSettings {
            client_cert_sha256: Some("abc".into()),
            ..settings()
        };
        assert!(Token::new(&short, None).is_err());
    }
}
