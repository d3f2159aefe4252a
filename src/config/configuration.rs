//! What follows from a configuration: its URIs, its files, its warnings.

use std::net::SocketAddr;

use crate::auth::Access;
use crate::client::{PeerClient, PeerError};
use crate::facts::Policy;
use crate::federation::{KeyError, Keyring, PeerSettings, Protocol};
use crate::http::{Tls, TlsError};
use crate::ident::DomainLabel;
use crate::ingest::Rules;
use crate::runtime::Clock;

use super::file::Config;

/// Why a file that the configuration names cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A file for our own TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A file with a signing key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A file for the TLS of a peer.
    #[error("peer {peer}: {reason}")]
    Peer {
        /// The label of the peer.
        peer: DomainLabel,
        /// What is wrong.
        reason: PeerError,
    },
}

impl Config {
    /// Returns the base of the URIs of a node that listens at an address, without a slash at
    /// its end.
    pub fn base_url(&self, address: SocketAddr) -> String {
        match &self.node.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None if self.node.tls.is_some() => format!("https://{address}"),
            None => format!("http://{address}"),
        }
    }

    /// Reads the files that the configuration names, as a node would that runs with it. A node
    /// makes an unnamed signing key itself at its first start, and only then the key may be
    /// missing.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn check_files(&self, before_the_start: bool) -> Result<(), FileError> {
        if let Some(files) = &self.node.tls {
            Tls::load(files)?;
        }
        let own = &self.federation.own;
        let is_to_be_made = before_the_start && own.make_key && !own.keys.key.exists();
        if !is_to_be_made {
            Keyring::load(&own.keys)?;
        }
        for peer in self.federation.peers.values() {
            if peer.identity.is_none() && peer.cacert.is_none() {
                continue;
            }
            PeerClient::new(&peer.directory, &peer.options(), Clock::system()).map_err(
                |reason| FileError::Peer {
                    peer: peer.domain.clone(),
                    reason,
                },
            )?;
        }
        Ok(())
    }

    /// Returns warnings for people about a configuration that can be used.
    pub fn warnings(&self) -> Vec<String> {
        let plain = self.unlimited_plain_peers();
        [self.exposed.clone(), self.merge.warnings(), plain].concat()
    }

    /// Describes, for people, each plain ALTO server among the peers that has no configured
    /// prefixes: it cannot say which of its PIDs are off-net.
    fn unlimited_plain_peers(&self) -> Vec<String> {
        let is_plain = |peer: &&PeerSettings| {
            peer.protocol == Protocol::Alto || !peer.interconnects.is_empty()
        };
        let is_unlimited = |peer: &&PeerSettings| {
            let policy = self.merge.domains.get(&peer.domain);
            policy.is_none_or(|policy| policy.prefixes.is_none())
        };
        let peers = self.federation.peers.values();
        let unlimited = peers.filter(is_plain).filter(is_unlimited);
        let warning = |peer: &PeerSettings| {
            format!(
                "peer {0} is a plain ALTO server, which cannot say which of its PIDs only say how \
                 it reaches others: all its prefixes but 0.0.0.0/0 and ::/0 count as its own; \
                 give [domain.{0}] prefixes, or off_net",
                peer.domain
            )
        };
        unlimited.map(warning).collect()
    }

    /// Returns the access rules.
    pub fn access_rules(&self) -> Access {
        Access::new(self.access.clone(), self.tokens.clone())
    }

    /// Returns the rules of ingest.
    pub fn rules(&self) -> Rules {
        Rules {
            policy: Policy {
                domain: self.node.domain.clone(),
                priorities: self.priorities.clone(),
            },
            limits: self.ingest.clone(),
            brakes: self.brakes.clone(),
        }
    }

    /// Returns the keys that differ from `running` and need a restart.
    pub fn needs_restart(&self, running: &Config) -> Vec<&'static str> {
        let (new, old) = (&self.node, &running.node);
        let changed = [
            ("node.domain", new.domain != old.domain),
            ("node.name", new.name != old.name),
            ("node.asns", new.asns != old.asns),
            ("node.listen", new.listen != old.listen),
            ("node.public_url", new.public_url != old.public_url),
            ("node.data_dir", new.data_dir != old.data_dir),
            ("node.tls", new.tls.is_some() != old.tls.is_some()),
            ("node.threads", new.threads != old.threads),
            ("publish", self.publish != running.publish),
            ("store", self.store != running.store),
        ];
        changed
            .into_iter()
            .filter(|(_, differs)| *differs)
            .map(|(key, _)| key)
            .collect()
    }
}
