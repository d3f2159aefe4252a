//! Credentials: a bearer token (RFC 6750) or a TLS client certificate.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::ident::Digest;

use super::denied::Denied;

/// What a caller shows. A caller is recognised by this and not by its name: a principal whose
/// secret was replaced is another caller than before.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Credential {
    /// A bearer token.
    Secret(Secret),
    /// The SHA-256 of a client certificate.
    Certificate([u8; 32]),
}

/// A bearer token, kept only as its hash. Comparing takes the same time whatever was shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(Digest);

impl Credential {
    /// Reads the bearer token from an `Authorization` header.
    ///
    /// # Errors
    /// [`Denied::Malformed`]: the header is not `Bearer` and a token of RFC 6750 §2.1.
    pub fn bearer(header: &str) -> Result<Self, Denied> {
        let (scheme, token) = header.trim().split_once(' ').ok_or(Denied::Malformed)?;
        let token = token.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || !is_b64token(token) {
            return Err(Denied::Malformed);
        }
        Ok(Credential::Secret(Secret::new(token)))
    }

    /// Whether `shown` is this credential.
    pub(super) fn is(&self, shown: &Credential) -> bool {
        match (self, shown) {
            (Credential::Secret(one), Credential::Secret(other)) => one.is(other),
            (Credential::Certificate(one), Credential::Certificate(other)) => one == other,
            _ => false,
        }
    }
}

impl Secret {
    /// Hashes a secret.
    pub fn new(text: &str) -> Self {
        Self(Digest::of(text.as_bytes()))
    }

    fn is(&self, shown: &Secret) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), shown.0.as_bytes()).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whether a text can be a bearer token: the `b64token` of RFC 6750 §2.1, except that `=` may
/// be anywhere.
pub(super) fn is_b64token(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    !text.is_empty() && text.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_bearer_and_one_token_or_malformed() {
        let token = Credential::Secret(Secret::new("aaaa"));
        for header in ["Bearer aaaa", "bearer  aaaa", " BEARER aaaa "] {
            assert_eq!(Credential::bearer(header), Ok(token.clone()), "{header:?}");
        }
        for header in [
            "",
            "Bearer",
            "Bearer ",
            "Basic aaaa",
            "aaaa",
            "Bearer aaaa, Bearer bbbb",
            "Bearer aa aa",
            "Bearer \"aaaa\"",
        ] {
            let read = Credential::bearer(header);
            assert_eq!(read, Err(Denied::Malformed), "{header:?}");
        }
    }

    #[test]
    fn a_secret_is_known_again_and_never_shown() {
        let secret = Secret::new("0123456789abcdef");
        assert!(secret.is(&Secret::new("0123456789abcdef")));
        assert!(!secret.is(&Secret::new("0123456789abcdeF")));
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
