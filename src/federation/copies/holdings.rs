//! Knows which manifests are kept and which documents they name, so that a document can be
//! found, or dropped with the last manifest that names it, without reading the other manifests.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::api::s2s::Manifest;
use crate::facts::Interconnects;
use crate::federation::manifest::read_kept;
use crate::ident::Digest;
use crate::publish::View;

use super::amount::Amount;
use super::copy::CopyName;
use super::import::is_part;

/// For how many manifests of a domain the blobs are kept.
pub(in crate::federation) const KEPT_MANIFESTS: usize = 4;

/// The most documents of one manifest that are kept. No domain has as many maps.
const MAX_NAMED: usize = 1000;

/// The bytes of memory that the index takes for each document that a manifest names.
const FOUND_BY: u64 = 512;

/// The manifests that are kept, by digest.
#[derive(Debug, Default)]
pub(in crate::federation) struct Holdings {
    manifests: HashMap<Digest, Held>,
    /// The manifests that name a document.
    documents: HashMap<Digest, BTreeSet<Digest>>,
}

/// A manifest that is kept.
#[derive(Debug)]
struct Held {
    holding: Holding,
    /// The copies that it is kept for.
    copies: BTreeSet<CopyName>,
}

/// A document that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::federation) struct Named {
    pub(in crate::federation) digest: Digest,
    pub(in crate::federation) media_type: Arc<str>,
    /// Its length in bytes.
    pub(in crate::federation) length: u64,
}

/// What keeping a manifest takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::federation) struct Holding {
    /// The length of its text in bytes.
    pub(in crate::federation) text: u64,
    /// Those of the documents it names that are kept.
    pub(in crate::federation) named: Vec<Named>,
}

impl Holding {
    /// Returns what is kept of a manifest whose text has `text` bytes: the documents of its
    /// network map and its numerical costs. Other documents are made from these, or not
    /// imported.
    pub(in crate::federation) fn by(manifest: &Manifest, text: usize) -> Self {
        let resources = manifest.resources.iter();
        let parts = resources.filter(|it| is_part(it, &manifest.domain));
        let named = parts.map(|resource| Named {
            digest: resource.sha_256,
            media_type: resource.media_type.as_str().into(),
            length: resource.length,
        });
        Self {
            text: text as u64,
            named: named.take(MAX_NAMED).collect(),
        }
    }

    /// Returns what is kept of a manifest, given its text as it is kept.
    pub(in crate::federation) fn read(text: &[u8]) -> Self {
        let manifest = read_kept(text);
        manifest.map_or_else(Self::default, |manifest| Self::by(&manifest, text.len()))
    }

    /// Estimates what a domain takes of which this is the newest manifest: in memory its view,
    /// links and manifest; on the disk the texts of its last manifests and the documents that
    /// they name (see `archive`), each manifest as much as the newest.
    pub(in crate::federation) fn of_domain(&self, view: &View, links: &Interconnects) -> Amount {
        /// The bytes that a link takes, including its costs.
        const LINK: usize = 1024;
        /// A manifest is kept as text and in parsed form.
        const FORMS: u64 = 4;
        let beside = view.bytes_beside(None) + LINK * links.len();
        let newest_alone = Amount {
            memory: (beside as u64).saturating_add(self.text.saturating_mul(FORMS)),
            disk: 0,
        };
        newest_alone.plus(self.takes().times(KEPT_MANIFESTS as u64))
    }

    /// Returns what the text and the documents take.
    pub(in crate::federation) fn takes(&self) -> Amount {
        self.takes_beside(&mut HashSet::new())
    }

    /// Returns what the text and the documents take, except documents that are counted already.
    fn takes_beside(&self, counted: &mut HashSet<Digest>) -> Amount {
        let new = self
            .named
            .iter()
            .filter(|named| counted.insert(named.digest));
        let documents = new.map(|named| named.length).fold(0, u64::saturating_add);
        Amount {
            memory: FOUND_BY * self.named.len() as u64,
            disk: documents.saturating_add(self.text),
        }
    }
}

impl Holdings {
    /// Whether a manifest is kept for some copy.
    pub(in crate::federation) fn has(&self, manifest: &Digest) -> bool {
        self.manifests.contains_key(manifest)
    }

    /// Notes that a manifest is kept for a copy.
    pub(in crate::federation) fn add(
        &mut self,
        copy: &CopyName,
        manifest: Digest,
        holding: Holding,
    ) {
        let held = self.manifests.entry(manifest).or_insert_with(|| {
            for document in &holding.named {
                let naming = self.documents.entry(document.digest).or_default();
                naming.insert(manifest);
            }
            Held {
                holding,
                copies: BTreeSet::new(),
            }
        });
        held.copies.insert(copy.clone());
    }

    /// Notes that a manifest is not kept for a copy any more; returns the blobs that nothing
    /// needs now.
    pub(in crate::federation) fn remove(
        &mut self,
        copy: &CopyName,
        manifest: &Digest,
    ) -> Vec<Digest> {
        let Some(held) = self.manifests.get_mut(manifest) else {
            return Vec::new();
        };
        held.copies.remove(copy);
        if !held.copies.is_empty() {
            return Vec::new();
        }
        let named = self
            .manifests
            .remove(manifest)
            .map(|held| held.holding.named);
        let mut loose = vec![*manifest];
        for document in named.unwrap_or_default() {
            let digest = document.digest;
            if let Some(naming) = self.documents.get_mut(&digest) {
                naming.remove(manifest);
                if naming.is_empty() {
                    self.documents.remove(&digest);
                    loose.push(digest);
                }
            }
        }
        // A manifest may name another as a document.
        loose.retain(|digest| !self.needs(digest));
        loose
    }

    /// Returns how many of the manifests before the newest can be kept, so that all of them and
    /// what they name take at most four times what the newest takes, which is what the peer is
    /// charged.
    pub(in crate::federation) fn fitting(&self, newest: &Holding, before: &[Digest]) -> usize {
        let mut counted = HashSet::new();
        let room = newest
            .takes_beside(&mut counted)
            .times(KEPT_MANIFESTS as u64 - 1);
        let mut more = Amount::default();
        let fits = |manifest: &&Digest| {
            let held = self.manifests.get(*manifest);
            let takes = held.map(|held| held.holding.takes_beside(&mut counted));
            more = more.plus(takes.unwrap_or_default());
            more.is_within(room)
        };
        before.iter().take_while(fits).count()
    }

    /// Returns what keeping a manifest takes, if it is kept.
    pub(in crate::federation) fn holding(&self, manifest: &Digest) -> Option<&Holding> {
        Some(&self.manifests.get(manifest)?.holding)
    }

    /// Returns the copies whose manifests name a document, each with the media type that the
    /// manifest states.
    pub(in crate::federation) fn holders(&self, document: &Digest) -> Vec<(CopyName, String)> {
        let naming = self.documents.get(document).into_iter().flatten();
        let held = naming.filter_map(|manifest| self.manifests.get(manifest));
        let copies = held.flat_map(|held| {
            let mut named = held.holding.named.iter();
            let named = named.find(|named| named.digest == *document);
            let media_type = named.map_or("", |named| &named.media_type);
            let copies = held.copies.iter();
            copies.map(|copy| (copy.clone(), media_type.to_owned()))
        });
        copies.collect()
    }

    /// Whether a blob is needed.
    pub(in crate::federation) fn needs(&self, blob: &Digest) -> bool {
        self.has(blob) || self.documents.contains_key(blob)
    }

    /// Returns every blob that is needed.
    pub(in crate::federation) fn blobs(&self) -> HashSet<Digest> {
        let manifests = self.manifests.keys();
        manifests.chain(self.documents.keys()).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alto::media;
    use crate::federation::testing::label;
    use proptest::prelude::*;

    fn copy(number: u8) -> CopyName {
        CopyName {
            sender: label(&format!("p{number}")),
            domain: label("isp-c"),
        }
    }

    /// Returns the digest of a blob. A manifest and a document may be the same blob.
    fn blob(number: u8) -> Digest {
        Digest::of(&[number])
    }

    /// Returns the documents that a manifest names.
    fn documents(manifest: u8) -> Holding {
        let media_type: Arc<str> = media::COST_MAP.into();
        let numbers = [manifest + 1, manifest + 2, 9];
        let named = numbers.map(|number| Named {
            digest: blob(number),
            media_type: media_type.clone(),
            length: u64::from(number),
        });
        Holding {
            text: 0,
            named: named.into(),
        }
    }

    #[test]
    fn a_document_is_loose_with_the_last_manifest_that_names_it() {
        let mut holdings = Holdings::default();
        for (number, manifest) in [(1, 20), (2, 20), (1, 21)] {
            holdings.add(&copy(number), blob(manifest), documents(manifest));
        }
        let holders = |holdings: &Holdings, number| -> Vec<CopyName> {
            let holders = holdings.holders(&blob(number)).into_iter();
            holders.map(|(copy, _)| copy).collect()
        };
        assert_eq!(holders(&holdings, 22).len(), 3);
        assert_eq!(holders(&holdings, 23), [copy(1)]);
        assert_eq!(holdings.remove(&copy(1), &blob(20)), []);
        // It names the other manifest, which also needs what both of them name.
        assert_eq!(holdings.remove(&copy(2), &blob(20)), [blob(20)]);
        assert_eq!(holdings.remove(&copy(2), &blob(20)), []);
        let mut loose = holdings.remove(&copy(1), &blob(21));
        loose.sort_unstable();
        let mut all = [21, 22, 23, 9].map(blob);
        all.sort_unstable();
        assert_eq!(loose, all);
        assert!(holdings.blobs().is_empty());
    }

    #[test]
    fn manifests_before_the_newest_are_kept_as_far_as_the_peer_is_charged_for_them() {
        let mut holdings = Holdings::default();
        for manifest in [1, 2, 40] {
            holdings.add(&copy(1), blob(manifest), documents(manifest));
        }
        // Those of 1 are 2, 3 and 9; of 2 also 4; of 40 also 41 and 42.
        let before = [2, 1, 40].map(blob);
        assert_eq!(holdings.fitting(&documents(2), &before), 2);
        assert_eq!(holdings.fitting(&documents(1), &before), 2);
        assert_eq!(holdings.fitting(&documents(40), &before), 3);
        assert_eq!(holdings.fitting(&documents(3), &[blob(40)]), 0);
        assert_eq!(holdings.fitting(&Holding::default(), &before), 0);
    }

    #[test]
    fn the_texts_of_older_manifests_and_the_documents_they_name_are_charged_too() {
        let mut holdings = Holdings::default();
        let holding = |text, named: &[u8]| Holding {
            text,
            named: named
                .iter()
                .map(|number| Named {
                    digest: blob(*number),
                    media_type: media::COST_MAP.into(),
                    length: 0,
                })
                .collect(),
        };
        for number in 1..=3 {
            holdings.add(&copy(1), blob(number), holding(100, &[9]));
        }
        let before = [1, 2, 3].map(blob);
        assert_eq!(holdings.fitting(&holding(100, &[9]), &before), 3);
        assert_eq!(holdings.fitting(&holding(99, &[9]), &before), 2);
        assert_eq!(holdings.fitting(&holding(10, &[9]), &before), 0);
        // Many documents, each of which is stated to have no bytes.
        let many: Vec<u8> = (10..100).collect();
        holdings.add(&copy(1), blob(4), holding(100, &many));
        assert_eq!(holdings.fitting(&holding(100, &[9]), &[blob(4)]), 0);
        assert_eq!(holdings.fitting(&holding(100, &many[..30]), &[blob(4)]), 1);
    }

    proptest! {
        #[test]
        fn what_is_loose_is_what_is_needed_no_more(
            steps in proptest::collection::vec((any::<bool>(), 0..4u8, 0..12u8), 1..60),
        ) {
            let mut holdings = Holdings::default();
            let mut kept = BTreeSet::new();
            for (adds, number, manifest) in steps {
                let before = holdings.blobs();
                let mut loose = Vec::new();
                if adds {
                    kept.insert((number, manifest));
                    holdings.add(&copy(number), blob(manifest), documents(manifest));
                } else {
                    kept.remove(&(number, manifest));
                    loose = holdings.remove(&copy(number), &blob(manifest));
                }
                let needed = kept.iter().flat_map(|(_, manifest)| {
                    let named = documents(*manifest).named.into_iter().map(|named| named.digest);
                    named.chain([blob(*manifest)])
                });
                let needed: HashSet<Digest> = needed.collect();
                prop_assert_eq!(&holdings.blobs(), &needed);
                let gone: HashSet<Digest> = before.difference(&needed).copied().collect();
                prop_assert_eq!(loose.into_iter().collect::<HashSet<_>>(), gone);
            }
        }
    }
}
