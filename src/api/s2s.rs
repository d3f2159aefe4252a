//! The documents of the server-to-server API.
//!
//! Receivers ignore members that they do not know, so that newer nodes may add members.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ident::{Digest, DomainLabel, ResourceId, Tag};

use super::conflict::MergeConflict;
use super::difference::Difference;
use super::interconnect::{InterconnectDocument, InterconnectStanding};

/// The feature of a node that has an update stream for its peers.
pub const UPDATES: &str = "updates";

/// What a node is: `/.well-known/alto-federation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Descriptor {
    /// The label of its domain.
    #[schemars(with = "String")]
    pub domain: DomainLabel,
    /// The name of its domain, for people.
    #[serde(default)]
    pub name: String,
    /// The autonomous systems of its domain.
    #[serde(default)]
    pub asns: Vec<u32>,
    /// The URI of its directory.
    pub directory: String,
    /// The URI below which its server-to-server API is, with a slash at the
    /// end.
    pub s2s: String,
    /// The keys that its manifests may be signed with.
    #[serde(default)]
    pub keys: Vec<KeyDocument>,
    /// What it can do beyond this.
    #[serde(default)]
    pub features: BTreeSet<String>,
}

/// A key that manifests may be signed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct KeyDocument {
    /// Its thumbprint, RFC 7638.
    pub kid: String,
    /// The public key, 32 bytes in base64url.
    pub ed25519: String,
    /// When it ceases to be valid, RFC 3339; never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub not_after: Option<Timestamp>,
}

/// One of the domains that a node passes on: `/s2s/v1/manifests`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestEntry {
    /// Whose manifest it is.
    #[schemars(with = "String")]
    pub domain: DomainLabel,
    /// Its serial.
    pub serial: u64,
    /// The domains it came through: the origin first, the sender last.
    #[schemars(with = "Vec<String>")]
    pub path: Vec<DomainLabel>,
    /// The manifest as its origin signed it: a compact JWS (RFC 7515) of a
    /// [`Manifest`].
    pub manifest: String,
}

/// What makes up the view of a domain: the payload of a manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Manifest {
    /// The domain.
    #[schemars(with = "String")]
    pub domain: DomainLabel,
    /// Counts the manifests of the domain; it never falls.
    pub serial: u64,
    /// When it was signed, RFC 3339.
    #[schemars(with = "String")]
    pub issued: Timestamp,
    /// When it ceases to be valid, RFC 3339.
    #[schemars(with = "String")]
    pub next_update: Timestamp,
    /// Who may have it.
    pub scope: Scope,
    /// The keys that this and the next manifests may be signed with.
    pub keys: Vec<KeyDocument>,
    /// The links of the domain to others.
    pub interconnects: BTreeMap<String, InterconnectDocument>,
    /// The PIDs of addresses outside of the domain: they say how it reaches
    /// them, and not that it holds them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub off_net: BTreeSet<String>,
    /// The resources of the domain's view that are read by GET.
    pub resources: Vec<ManifestResource>,
}

/// Who may have the manifest of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Everybody.
    #[default]
    Any,
    /// The domain's own peers; they do not pass it on.
    None,
    /// These domains.
    #[serde(untagged)]
    #[schemars(with = "BTreeSet<String>")]
    Only(BTreeSet<DomainLabel>),
}

/// A resource of a domain's view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ManifestResource {
    /// Its id.
    #[schemars(with = "String")]
    pub resource_id: ResourceId,
    /// The media type of its representation.
    pub media_type: String,
    /// The tag of its content.
    #[schemars(with = "String")]
    pub tag: Tag,
    /// How many bytes the representation has.
    pub length: u64,
    /// The SHA-256 of the representation, in hexadecimal digits; it is at
    /// `/s2s/v1/blobs/{sha-256}`.
    #[serde(rename = "sha-256")]
    #[schemars(with = "String")]
    pub sha_256: Digest,
}

/// The state of the peers: `/s2s/v1/peers`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PeerList {
    /// What our own domain stated last; absent until that is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnStatus>,
    /// The configured peers, by label.
    pub peers: Vec<PeerStatus>,
}

/// What our own domain stated last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OwnStatus {
    /// The label of our domain.
    #[schemars(with = "String")]
    pub domain: DomainLabel,
    /// The serial of its manifest.
    pub serial: u64,
    /// The SHA-256 of the manifest's payload, in hexadecimal digits: those who
    /// read this serial have the same, or were told something else.
    #[schemars(with = "String")]
    pub fingerprint: Digest,
}

/// The state of a peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PeerStatus {
    /// The label of its domain.
    #[schemars(with = "String")]
    pub domain: DomainLabel,
    /// The URI of its directory, as configured; a query is not shown.
    pub directory: String,
    /// The protocol that is spoken with it; absent until it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<SpokenProtocol>,
    /// Its state.
    pub state: PeerState,
    /// Why it is in this state, for people; absent where nothing is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Since when it has been in this state, RFC 3339.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// When it was last read with success, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub last_sync: Option<Timestamp>,
    /// When it will be read next, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub next_attempt: Option<Timestamp>,
    /// How many attempts in a row failed.
    pub failures: u32,
    /// About how many bytes of memory what it passes takes.
    #[serde(default)]
    pub memory_bytes: u64,
    /// How many bytes of our disk what it passes may take.
    #[serde(default)]
    pub disk_bytes: u64,
    /// The domains it passes to us, by label: a hundred at most, its own and those of
    /// which something was refused before others.
    pub domains: Vec<ImportStatus>,
    /// How many there are.
    #[serde(default)]
    pub domains_total: usize,
}

/// What is spoken with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SpokenProtocol {
    /// Signed manifests.
    Altofed,
    /// ALTO alone.
    Alto,
}

impl SpokenProtocol {
    /// Returns the name of the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            SpokenProtocol::Altofed => "altofed",
            SpokenProtocol::Alto => "alto",
        }
    }
}

/// The state of a peer, or of a domain that it passes to us.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum PeerState {
    /// It was not read yet.
    Connecting,
    /// What it has is what we have.
    Synced,
    /// It was not read for a while; what it gave last is used.
    Stale,
    /// It was not read for long; what it gave last is not used.
    Expired,
    /// The operator has to decide.
    Held,
    /// It cannot be read, or what it gives cannot be used.
    Failed,
}

impl PeerState {
    /// Returns the name of the state.
    pub fn as_str(self) -> &'static str {
        match self {
            PeerState::Connecting => "connecting",
            PeerState::Synced => "synced",
            PeerState::Stale => "stale",
            PeerState::Expired => "expired",
            PeerState::Held => "held",
            PeerState::Failed => "failed",
        }
    }
}

/// Why something is as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// The kind of reason, one word of a fixed set.
    pub code: String,
    /// What is wrong and how to mend it, for people.
    pub detail: String,
}

/// The state of a domain that a peer passes to us.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ImportStatus {
    /// The domain.
    #[schemars(with = "String")]
    pub domain: DomainLabel,
    /// Its state.
    pub state: PeerState,
    /// Why it is in this state; absent where nothing is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The change of it that is held; absent where none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldStatus>,
    /// Whether this is the copy that is used, where several peers pass one.
    pub used: bool,
    /// The serial of what we have of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u64>,
    /// The SHA-256 of its manifest's payload, in hexadecimal digits, the same
    /// for all who have this serial; plain domains have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub fingerprint: Option<Digest>,
    /// The seconds since what we have was last confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
    /// When it ceases to be valid, RFC 3339; signed domains have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub next_update: Option<Timestamp>,
    /// The domains it came through: the origin first, the sender last.
    #[schemars(with = "Vec<String>")]
    pub path: Vec<DomainLabel>,
    /// The key it is signed with; plain domains have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyStatus>,
    /// How many PIDs it has.
    pub pids: usize,
    /// How many prefixes it has.
    pub prefixes: usize,
    /// The first things of it that were left aside, and why: twenty at most.
    pub ignored: Vec<Ignored>,
    /// How many there are.
    #[serde(default)]
    pub ignored_total: usize,
}

/// A change of a domain that is held since it changes too much at once; what was
/// good before is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct HeldStatus {
    /// The serial of what is held.
    pub serial: u64,
    /// Since when it is held, RFC 3339.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// When it is taken anyway, RFC 3339; absent if it never is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub until: Option<Timestamp>,
    /// Whether it was accepted, and is taken when the peer is read next.
    pub accepted: bool,
    /// What it would change.
    pub difference: Difference,
}

/// The key that a domain's manifest is signed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyStatus {
    /// The key, as it is written into `keys` to pin it.
    pub key: String,
    /// Why it is trusted.
    pub trust: KeyTrust,
}

/// Why a key is trusted.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum KeyTrust {
    /// The peer that passed the manifest says so.
    Vouched,
    /// The domain itself showed it, when it was first met or later under a key
    /// trusted then.
    Direct,
    /// The operator says so.
    Pinned,
}

impl KeyTrust {
    /// Returns the name of the trust.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyTrust::Vouched => "vouched",
            KeyTrust::Direct => "direct",
            KeyTrust::Pinned => "pinned",
        }
    }
}

/// Something of a domain that was left aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ignored {
    /// What: the id of a resource, an interconnect.
    pub what: String,
    /// Why.
    pub reason: String,
}

/// What the merged view could not take as it is: `/s2s/v1/conflicts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ConflictList {
    /// The first thousand of each kind.
    pub conflicts: Vec<MergeConflict>,
    /// How many there are of each kind.
    pub totals: BTreeMap<String, u64>,
    /// Interconnects that domains declare, and whether they are used: at most
    /// ten thousand, those of our own domain and to it before all others.
    pub interconnects: Vec<InterconnectStanding>,
    /// How many there are.
    #[serde(default)]
    pub interconnect_total: u64,
}

impl ConflictList {
    /// The most interconnects that are listed; peers declare up to a million.
    pub const INTERCONNECTS: usize = 10_000;
}

/// The most domains of a peer that are listed.
const LISTED_DOMAINS: usize = 100;

impl PeerStatus {
    /// Limits the domains to those that a list shows, or to one if only that is asked for.
    pub fn bounded(mut self, only: Option<&DomainLabel>) -> Self {
        self.domains_total = self.domains.len();
        if let Some(only) = only {
            self.domains.retain(|domain| domain.domain == *only);
        }
        if self.domains.len() > LISTED_DOMAINS {
            let own = &self.domain;
            let rank = |it: &ImportStatus| (it.domain != *own, it.reason.is_none());
            self.domains.sort_by_key(rank);
            self.domains.truncate(LISTED_DOMAINS);
            self.domains.sort_by(|a, b| a.domain.cmp(&b.domain));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_a_word_or_a_list_of_domains_and_nothing_else() {
        let read = |text: &str| serde_json::from_str::<Scope>(text);
        assert_eq!(read("\"any\"").expect("a scope"), Scope::Any);
        assert_eq!(read("\"none\"").expect("a scope"), Scope::None);
        let only = read(r#"["ISP-b","isp-c"]"#).expect("a scope");
        assert_eq!(
            serde_json::to_string(&only).expect("text"),
            r#"["isp-b","isp-c"]"#
        );
        for wrong in ["\"peers\"", "\"own\"", "[\"own\"]", "1", "null", "{}"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn unknown_members_are_ignored() {
        let entry = r#"{"domain":"a","serial":1,"path":["a"],"manifest":"x","colour":"red"}"#;
        assert!(serde_json::from_str::<ManifestEntry>(entry).is_ok());
        let descriptor = r#"{"domain":"a","directory":"u","s2s":"v","colour":{"x":[]}}"#;
        let descriptor: Descriptor = serde_json::from_str(descriptor).expect("sound");
        assert!(descriptor.keys.is_empty() && descriptor.features.is_empty());
    }
}
