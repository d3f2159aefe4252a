//! Returns the status of the peers, as it is shown.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::api::s2s::{Ignored, ImportStatus, PeerState, PeerStatus};
use crate::client::shown;
use crate::federation::copies::choice::choose;
use crate::federation::copies::copy::DomainCopy;
use crate::federation::copies::peer::Peer;
use crate::federation::copies::refused::FailureKind;

use super::Copies;

impl Copies {
    /// Returns the status of all peers, ordered by label.
    pub(in crate::federation) fn status(&self) -> Vec<PeerStatus> {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let peers = self.lock();
        // The same moment is used as for the states, so that no copy is expired and used.
        let used = choose(&peers, now, wall);
        let is_used = |copy: &Arc<DomainCopy>| {
            let used = used.get(&copy.domain);
            used.is_some_and(|used| Arc::ptr_eq(used, copy))
        };
        let status = |peer: &Peer| {
            let labels = peer.copies.keys().chain(peer.refused.keys());
            let labels: BTreeSet<_> = labels.collect();
            let labels_total = labels.len();
            let domains = labels.into_iter().map(|label| {
                let copy = peer.copies.get(label);
                let refused = peer.refused.get(label);
                let age = peer.synced.filter(|_| copy.is_some());
                ImportStatus {
                    domain: label.clone(),
                    state: match (copy, refused.map(|refused| refused.failure.kind)) {
                        (_, Some(FailureKind::Held)) => PeerState::Held,
                        (Some(copy), None) => peer.shown_state(copy, now, wall),
                        (_, Some(_)) | (None, None) => PeerState::Failed,
                    },
                    reason: refused.map(|refused| refused.failure.reason.clone()),
                    held: {
                        let hold = peer.settings.import.hold;
                        let held = peer.held.get(label);
                        held.map(|held| held.status(hold, self.now()))
                    },
                    used: copy.is_some_and(is_used),
                    serial: copy.map(|copy| copy.serial),
                    fingerprint: copy.and_then(|copy| copy.fingerprint()),
                    age_seconds: age.map(|synced| synced.age(now).as_secs()),
                    next_update: copy.and_then(|copy| peer.end(copy)),
                    path: match (copy, refused) {
                        (Some(copy), _) => copy.path.clone(),
                        (None, refused) => refused.map_or(Vec::new(), |r| r.path.clone()),
                    },
                    key: copy.and_then(|copy| copy.key()),
                    pids: copy.map_or(0, |copy| copy.view.network().pids().len()),
                    prefixes: copy.map_or(0, |copy| copy.view.network().prefix_count()),
                    ignored: copy.map_or(Vec::new(), |copy| listed(&copy.ignored)),
                    ignored_total: copy.map_or(0, |copy| copy.ignored.len()),
                }
            });
            PeerStatus {
                domain: peer.settings.domain.clone(),
                directory: shown(&peer.settings.directory),
                protocol: peer.protocol,
                state: peer.state(now),
                reason: peer.failure().map(|failure| failure.reason.clone()),
                since: peer.shown.1,
                last_sync: peer.synced.map(|synced| synced.wall),
                next_attempt: peer.next_attempt,
                failures: peer.failures,
                domains_total: labels_total,
                memory_bytes: peer.takes().memory,
                disk_bytes: peer.takes().disk,
                domains: domains.collect(),
            }
        };
        peers.values().map(status).collect()
    }
}

/// How many of the things that were left out of a domain are listed, and how many characters of
/// each, since a peer can name any number.
const LISTED: usize = 20;
const MAX_LISTED: usize = 200;

fn listed(ignored: &[Ignored]) -> Vec<Ignored> {
    let cut = |text: &str| text.chars().take(MAX_LISTED).collect();
    let listed = ignored.iter().take(LISTED).map(|it| Ignored {
        what: cut(&it.what),
        reason: cut(&it.reason),
    });
    listed.collect()
}
