//! Decides who a caller is and what it may do.

use std::sync::Arc;

use crate::ident::{DomainLabel, SourceName};

use super::credential::Credential;
use super::denied::Denied;
use super::settings::{AccessSettings, QueryAccess, Scope};
use super::token::Token;

/// The access rules in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    settings: AccessSettings,
    /// One for each credential.
    principals: Vec<Arc<Principal>>,
}

/// A caller that is known by one credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Its name, which is also the source of the facts it writes.
    pub name: SourceName,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The sources it may write for besides its own.
    pub sources: Vec<SourceName>,
    /// The peer that it is, if it is one.
    pub peer: Option<DomainLabel>,
    /// The credential that it showed.
    credential: Credential,
}

impl Access {
    /// Joins settings and tokens to rules.
    pub fn new(settings: AccessSettings, tokens: Vec<Token>) -> Self {
        let principals = tokens.into_iter().flat_map(|token| {
            let secret = token.secret.map(Credential::Secret);
            let certificate = token.certificate.map(Credential::Certificate);
            let credentials = secret.into_iter().chain(certificate);
            let principals = credentials.map(|credential| Principal {
                name: token.name.clone(),
                scopes: token.scopes.clone(),
                sources: token.sources.clone(),
                peer: token.peer.clone(),
                credential,
            });
            principals.map(Arc::new).collect::<Vec<_>>()
        });
        Self {
            principals: principals.collect(),
            settings,
        }
    }

    /// Returns the principal that shows this credential. An unknown certificate makes a caller
    /// nobody, as no credential does.
    ///
    /// # Errors
    /// The token is not known.
    pub fn authenticate(
        &self,
        shown: Option<&Credential>,
    ) -> Result<Option<Arc<Principal>>, Denied> {
        let Some(shown) = shown else {
            return Ok(None);
        };
        match (self.find(shown), shown) {
            (Some(principal), _) => Ok(Some(principal.clone())),
            (None, Credential::Certificate(_)) => Ok(None),
            (None, Credential::Secret(_)) => Err(Denied::Unknown),
        }
    }

    /// Returns the caller by the present rules, if it is still the principal that it was when
    /// it was authenticated: its credential is known today and means the same principal. Nobody
    /// remains nobody.
    ///
    /// # Errors
    /// Its credential is no longer known, or belongs to another principal.
    pub fn present(
        &self,
        caller: Option<&Arc<Principal>>,
    ) -> Result<Option<&Arc<Principal>>, Denied> {
        let Some(caller) = caller else {
            return Ok(None);
        };
        let known = self.find(&caller.credential);
        let same = known.filter(|known| known.name == caller.name);
        same.map(Some).ok_or(Denied::Unknown)
    }

    /// Returns the caller by the present rules, if it has a scope now.
    ///
    /// # Errors
    /// It does not, is nobody, or is no longer known.
    pub fn require(
        &self,
        caller: Option<&Arc<Principal>>,
        scope: Scope,
    ) -> Result<&Arc<Principal>, Denied> {
        match self.present(caller)? {
            None => Err(Denied::Missing(scope)),
            Some(principal) if principal.scopes.contains(&scope) => Ok(principal),
            Some(_) => Err(Denied::Scope(scope)),
        }
    }

    /// Checks that the caller may read this view. A principal with scope `query` or `operate`
    /// may read every view; others may read those that are open to all.
    ///
    /// # Errors
    /// It may not, or is no longer known.
    pub fn may_read(&self, caller: Option<&Arc<Principal>>, view: &str) -> Result<(), Denied> {
        self.present(caller)?;
        let listed = |name: &String| name == "*" || name.eq_ignore_ascii_case(view);
        let open =
            self.settings.query == QueryAccess::Open && self.settings.views.iter().any(listed);
        if open || self.require(caller, Scope::Operate).is_ok() {
            return Ok(());
        }
        self.require(caller, Scope::Query).map(|_| ())
    }

    /// Checks that the caller may read `/metrics`.
    ///
    /// # Errors
    /// It may not.
    pub fn may_read_metrics(&self, caller: Option<&Arc<Principal>>) -> Result<(), Denied> {
        match self.settings.metrics {
            QueryAccess::Open => Ok(()),
            QueryAccess::Token => self.require(caller, Scope::Operate).map(|_| ()),
        }
    }

    /// Whether ALTO queries are open, so that shared caches may keep answers.
    pub fn is_public(&self) -> bool {
        self.settings.query == QueryAccess::Open
            && self.settings.views.iter().any(|name| name == "*")
    }

    fn find(&self, shown: &Credential) -> Option<&Arc<Principal>> {
        // Every principal is compared, so that the time taken does not reveal which one it is.
        self.principals.iter().fold(None, |found, principal| {
            if principal.credential.is(shown) {
                Some(principal)
            } else {
                found
            }
        })
    }
}

impl Principal {
    /// Whether two callers showed the same credential and are the same principal.
    pub fn is_same(&self, other: &Principal) -> bool {
        self.name == other.name && self.credential.is(&other.credential)
    }

    /// Whether it may write facts of a source.
    pub fn may_write_for(&self, source: &SourceName) -> bool {
        self.name == *source || self.sources.contains(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Secret, TokenSettings};

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

    fn secret(text: &str) -> Option<Credential> {
        Some(Credential::Secret(Secret::new(text)))
    }

    fn caller(access: &Access, text: &str) -> Option<Arc<Principal>> {
        access.authenticate(secret(text).as_ref()).expect("known")
    }

    #[test]
    fn a_caller_is_known_by_token_or_certificate_or_is_nobody() {
        let access = access(QueryAccess::Open, &["*"]);
        let name = |shown: Option<Credential>| {
            let known = access.authenticate(shown.as_ref());
            known.map(|p| p.map(|p| p.name.to_string()))
        };
        let certificate = |byte| Some(Credential::Certificate([byte; 32]));
        assert_eq!(name(None), Ok(None));
        assert_eq!(name(secret("aaaaaaaaaaaaaaaa")), Ok(Some("noc".into())));
        assert_eq!(name(secret("bbbbbbbbbbbbbbbb")), Ok(Some("cdn".into())));
        assert_eq!(name(certificate(7)), Ok(Some("cert".into())));
        assert_eq!(name(certificate(8)), Ok(None));
        assert_eq!(name(secret("nonsense")), Err(Denied::Unknown));
    }

    #[test]
    fn principals_are_the_same_by_name_and_credential() {
        let of = |name, secret| {
            let tokens = vec![token(name, secret, &[Scope::Query])];
            let access = Access::new(AccessSettings::default(), tokens);
            caller(&access, secret).expect("a principal")
        };
        let noc = of("noc", "aaaaaaaaaaaaaaaa");
        assert!(noc.is_same(&of("noc", "aaaaaaaaaaaaaaaa")));
        assert!(!noc.is_same(&of("noc", "bbbbbbbbbbbbbbbb")));
        assert!(!noc.is_same(&of("cdn", "aaaaaaaaaaaaaaaa")));
    }

    #[test]
    fn a_caller_is_who_it_was_while_what_it_showed_is_known() {
        let before = access(QueryAccess::Open, &["*"]);
        let noc = caller(&before, "aaaaaaaaaaaaaaaa");
        let with = |tokens: Vec<Token>| Access::new(AccessSettings::default(), tokens);
        let rotated = with(vec![token("noc", "dddddddddddddddd", &[Scope::Ingest])]);
        assert_eq!(rotated.present(noc.as_ref()), Err(Denied::Unknown));
        assert_eq!(rotated.may_read(noc.as_ref(), "any"), Err(Denied::Unknown));
        let moved = with(vec![token("cdn", "aaaaaaaaaaaaaaaa", &[Scope::Ingest])]);
        assert_eq!(moved.present(noc.as_ref()), Err(Denied::Unknown));
        // What a caller may do is decided by the rules of now.
        let lesser = with(vec![token("noc", "aaaaaaaaaaaaaaaa", &[Scope::Query])]);
        assert!(lesser.present(noc.as_ref()).is_ok());
        assert_eq!(
            lesser.require(noc.as_ref(), Scope::Ingest),
            Err(Denied::Scope(Scope::Ingest))
        );
        assert_eq!(rotated.present(None), Ok(None));
    }

    #[test]
    fn a_principal_with_two_credentials_keeps_one_when_the_other_changes() {
        let both = |secret: &str| {
            let token = Token {
                certificate: Some([9; 32]),
                ..token("noc", secret, &[Scope::Ingest])
            };
            Access::new(AccessSettings::default(), vec![token])
        };
        let (before, after) = (both("aaaaaaaaaaaaaaaa"), both("dddddddddddddddd"));
        let by_secret = caller(&before, "aaaaaaaaaaaaaaaa");
        let certificate = Credential::Certificate([9; 32]);
        let by_certificate = before.authenticate(Some(&certificate)).expect("known");
        assert!(after.present(by_secret.as_ref()).is_err());
        assert!(after.present(by_certificate.as_ref()).is_ok());
    }

    #[test]
    fn views_are_read_as_configured() {
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
        let caller = caller(&access, "aaaaaaaaaaaaaaaa");
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
