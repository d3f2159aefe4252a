//! Keeps the maps that came on the update stream of a peer until a manifest names them.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::ident::{Digest, DomainLabel};

use super::pending::Taken;

/// Maps that came on the update stream and wait for the manifest of their domain: the last map
/// of each resource.
#[derive(Default)]
pub(super) struct Given(BTreeMap<DomainLabel, BTreeMap<String, Map>>);

/// A map that came on the update stream, with the room that it takes.
pub(super) struct Map {
    pub(super) digest: Digest,
    pub(super) body: Bytes,
    pub(super) _room: Taken,
}

impl Given {
    /// Keeps a map of a domain, in place of the last of the same resource.
    pub(super) fn insert(&mut self, domain: &DomainLabel, id: String, map: Map) {
        self.0.entry(domain.clone()).or_default().insert(id, map);
    }

    /// Drops the map of a resource, if there is one.
    pub(super) fn remove(&mut self, domain: &DomainLabel, id: &str) {
        if let Some(maps) = self.0.get_mut(domain) {
            maps.remove(id);
        }
    }

    /// Whether maps of a domain wait for its manifest.
    pub(super) fn has(&self, domain: &DomainLabel) -> bool {
        self.0.contains_key(domain)
    }

    /// Returns the map with a digest.
    pub(super) fn find(&self, digest: &Digest) -> Option<&Bytes> {
        let found = self.maps().find(|map| map.digest == *digest);
        found.map(|map| &map.body)
    }

    /// Returns how many bytes all maps have.
    pub(super) fn bytes(&self) -> usize {
        self.maps().map(|map| map.body.len()).sum()
    }

    /// Drops the maps of a domain.
    pub(super) fn clear_domain(&mut self, domain: &DomainLabel) {
        self.0.remove(domain);
    }

    /// Drops all maps.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn maps(&self) -> impl Iterator<Item = &Map> {
        self.0.values().flat_map(BTreeMap::values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::federation::peer::pending::Pending;
    use crate::federation::testing::label;

    #[tokio::test]
    async fn maps_wait_until_their_resource_or_their_domain_is_dropped() {
        let pending = Pending::new(1_000_000, 1);
        let mut given = Given::default();
        for (domain, id, body) in [
            ("isp-a", "networkmap", "1"),
            ("isp-a", "costmap", "22"),
            ("isp-b", "networkmap", "333"),
        ] {
            let body = Bytes::from_static(body.as_bytes());
            let map = Map {
                digest: Digest::of(&body),
                body,
                _room: pending.take(&label("isp-p"), 3).await.expect("room"),
            };
            given.insert(&label(domain), id.to_owned(), map);
        }
        assert_eq!(given.bytes(), 6);
        given.remove(&label("isp-a"), "networkmap");
        assert_eq!(given.bytes(), 5);
        assert_eq!(given.find(&Digest::of(b"1")), None);
        given.clear_domain(&label("isp-a"));
        assert!(!given.has(&label("isp-a")) && given.has(&label("isp-b")));
        assert_eq!(given.bytes(), 3);
    }
}
