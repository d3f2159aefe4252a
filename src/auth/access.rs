//! The decision: who a caller is and whether it may.

use std::sync::Arc;

use crate::ident::{DomainLabel, SourceName};

use super::settings::{AccessSettings, QueryAccess, Scope};
use super::token::Token;

/// The access rules in force.
#[derive(Debug, Clone)]
pub struct Access {
    settings: AccessSettings,
    tokens: Vec<(Token, Arc<Principal>)>,
}

/// A caller we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Its name, which is also the source of the facts it writes.
    pub name: SourceName,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The sources it may write for besides its own.
    pub sources: Vec<SourceName>,
    /// The peer that it is.
    pub peer: Option<DomainLabel>,
}

/// Why a caller may not, RFC 6750 §3.1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No credentials were shown, and they are needed.
    #[error("a bearer token with scope {} is needed", .0.as_str())]
    Missing(Scope),
    /// The `Authorization` header is not of the form `Bearer TOKEN`.
    #[error("the Authorization header must be of the form `Bearer TOKEN`")]
    Malformed,
    /// The token is none of ours.
    #[error("the token is not known; it may have been replaced")]
    Unknown,
    /// The principal lacks the scope.
    #[error("the token lacks the scope {}", .0.as_str())]
    Scope(Scope),
}

impl Access {
    /// The rules of these settings and tokens.
    pub fn new(settings: AccessSettings, tokens: Vec<Token>) -> Self {
        let principal = |token: &Token| Principal {
            name: token.name.clone(),
            scopes: token.scopes.clone(),
            sources: token.sources.clone(),
            peer: token.peer.clone(),
        };
        Self {
            settings,
            tokens: tokens
                .into_iter()
                .map(|token| {
                    let principal = Arc::new(principal(&token));
                    (token, principal)
                })
                .collect(),
        }
    }

    /// Who the caller is: by its `Authorization` header, else by the SHA-256
    /// of its client certificate. A caller that shows nothing is nobody.
    ///
    /// # Errors
    /// The header is malformed or its token unknown.
    pub fn authenticate(
        &self,
        authorization: Option<&str>,
        certificate: Option<&[u8; 32]>,
    ) -> Result<Option<Arc<Principal>>, Denied> {
        let Some(header) = authorization else {
            let shown = |token: &Token| token.certificate.as_ref() == certificate;
            let known = self
                .tokens
                .iter()
                .find(|(token, _)| certificate.is_some() && shown(token));
            return Ok(known.map(|(_, principal)| principal.clone()));
        };
        let (scheme, token) = header.trim().split_once(' ').ok_or(Denied::Malformed)?;
        let shown = token.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || shown.is_empty() {
            return Err(Denied::Malformed);
        }
        // Every token is compared, so that the time taken does not tell which.
        let is_shown = |token: &Token| token.secret.as_ref().is_some_and(|s| s.is(shown));
        let known = self.tokens.iter().fold(None, |found, (token, principal)| {
            if is_shown(token) {
                Some(principal)
            } else {
                found
            }
        });
        known.cloned().map(Some).ok_or(Denied::Unknown)
    }

    /// Whether the caller has a scope.
    ///
    /// # Errors
    /// It has not, or it is nobody.
    pub fn require<'p>(
        &self,
        caller: Option<&'p Arc<Principal>>,
        scope: Scope,
    ) -> Result<&'p Arc<Principal>, Denied> {
        match caller {
            None => Err(Denied::Missing(scope)),
            Some(principal) if principal.scopes.contains(&scope) => Ok(principal),
            Some(_) => Err(Denied::Scope(scope)),
        }
    }

    /// Whether the caller may read this view. A principal with scope `query`
    /// or `operate` may read every view; others what is open to all.
    ///
    /// # Errors
    /// It may not.
    pub fn may_read(&self, caller: Option<&Arc<Principal>>, view: &str) -> Result<(), Denied> {
        let listed = |name: &String| name == "*" || name.eq_ignore_ascii_case(view);
        let open =
            self.settings.query == QueryAccess::Open && self.settings.views.iter().any(listed);
        if open || self.require(caller, Scope::Operate).is_ok() {
            return Ok(());
        }
        self.require(caller, Scope::Query).map(|_| ())
    }

    /// Whether a caller is still who it was when it was authenticated, and may
    /// read this view: its token may have been taken away since.
    pub fn may_still_read(&self, caller: Option<&Arc<Principal>>, view: &str) -> bool {
        self.is_known(caller) && self.may_read(caller, view).is_ok()
    }

    /// Whether a caller is still who it was when it was authenticated; nobody is
    /// always nobody.
    pub fn is_known(&self, caller: Option<&Arc<Principal>>) -> bool {
        caller.is_none_or(|caller| self.tokens.iter().any(|(_, one)| one == caller))
    }

    /// Whether the caller may read `/metrics`.
    ///
    /// # Errors
    /// It may not.
    pub fn may_read_metrics(&self, caller: Option<&Arc<Principal>>) -> Result<(), Denied> {
        match self.settings.metrics {
            QueryAccess::Open => Ok(()),
            QueryAccess::Token => self.require(caller, Scope::Operate).map(|_| ()),
        }
    }

    /// Whether ALTO queries are open, so that answers may be kept by shared
    /// caches.
    pub fn is_public(&self) -> bool {
        self.settings.query == QueryAccess::Open
            && self.settings.views.iter().any(|name| name == "*")
    }
}

impl Principal {
    /// Whether it may write facts of this source.
    pub fn may_write_for(&self, source: &SourceName) -> bool {
        self.name == *source || self.sources.contains(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::TokenSettings;

    fn token(name: &str, secret: &str, scopes: &[Scope]) -> Token {
        let settings = TokenSettings {
            name: SourceName::new(name).expect("valid"),
            secret: None,
            secret_env: None,
            secret_file: None,
            client_cert_sha256: None,
            scopes: scopes.to_vec(),
            sources: vec![SourceName::new("extra").expect("valid")],
            peer: None,
        };
        Token::new(&settings, Some(secret)).expect("valid")
    }

    fn access(query: QueryAccess, views: &[&str]) -> Access {
        let settings = AccessSettings {
            query,
            views: views.iter().map(|&view| view.to_owned()).collect(),
            ..AccessSettings::default()
        };
        let certified = Token {
            secret: None,
            certificate: Some([7; 32]),
            ..token("cert", "cccccccccccccccc", &[Scope::Query])
        };
        Access::new(
            settings,
            vec![
                token("noc", "aaaaaaaaaaaaaaaa", &[Scope::Ingest]),
                token("cdn", "bbbbbbbbbbbbbbbb", &[Scope::Query]),
                certified,
            ],
        )
    }

    #[test]
    fn a_caller_is_known_by_token_or_certificate_or_is_nobody() {
        let access = access(QueryAccess::Open, &["*"]);
        let name = |header, cert| {
            let known = access.authenticate(header, cert);
            known.map(|p| p.map(|p| p.name.to_string()))
        };
        assert_eq!(name(None, None), Ok(None));
        assert_eq!(
            name(Some("Bearer aaaaaaaaaaaaaaaa"), None),
            Ok(Some("noc".into()))
        );
        assert_eq!(
            name(Some("bearer  bbbbbbbbbbbbbbbb"), None),
            Ok(Some("cdn".into()))
        );
        assert_eq!(name(None, Some(&[7; 32])), Ok(Some("cert".into())));
        assert_eq!(name(None, Some(&[8; 32])), Ok(None));
        assert_eq!(
            name(Some("Bearer nonsense"), Some(&[7; 32])),
            Err(Denied::Unknown)
        );
        for malformed in ["", "Bearer", "Bearer ", "Basic aaaa", "aaaaaaaaaaaaaaaa"] {
            assert_eq!(
                name(Some(malformed), None),
                Err(Denied::Malformed),
                "{malformed:?}"
            );
        }
    }

    #[test]
    fn views_are_read_as_configured() {
        let caller = |access: &Access, secret: &str| {
            let header = format!("Bearer {secret}");
            access.authenticate(Some(&header), None).expect("known")
        };
        let open = access(QueryAccess::Open, &["merged"]);
        assert_eq!(open.may_read(None, "merged"), Ok(()));
        assert_eq!(
            open.may_read(None, "isp-a"),
            Err(Denied::Missing(Scope::Query))
        );
        let noc = caller(&open, "aaaaaaaaaaaaaaaa");
        assert_eq!(
            open.may_read(noc.as_ref(), "isp-a"),
            Err(Denied::Scope(Scope::Query))
        );
        let cdn = caller(&open, "bbbbbbbbbbbbbbbb");
        assert_eq!(open.may_read(cdn.as_ref(), "isp-a"), Ok(()));
        let closed = access(QueryAccess::Token, &["*"]);
        assert_eq!(
            closed.may_read(None, "merged"),
            Err(Denied::Missing(Scope::Query))
        );
        assert!(!closed.is_public() && !open.is_public());
    }

    #[test]
    fn a_principal_writes_for_itself_and_the_sources_it_lists() {
        let access = access(QueryAccess::Open, &["*"]);
        let caller = access
            .authenticate(Some("Bearer aaaaaaaaaaaaaaaa"), None)
            .expect("known");
        let noc = access
            .require(caller.as_ref(), Scope::Ingest)
            .expect("scope");
        let may = |name| noc.may_write_for(&SourceName::new(name).expect("valid"));
        assert!(may("noc") && may("extra") && !may("cdn"));
        assert_eq!(
            access.require(caller.as_ref(), Scope::Operate),
            Err(Denied::Scope(Scope::Operate))
        );
    }
}
