//! Remembers the newest manifest that was seen under each key: an older one is a replay.
//!
//! Each peer has a share of what is remembered, and each domain a part of that, so that a peer
//! that shows keys without end uses up its own room only. Within a share, the marks that guard
//! against nothing any more are forgotten first: those of manifests that have stopped counting,
//! and those of keys that do not count any more.

use std::collections::BTreeMap;
use std::ops::Bound;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::federation::import_error::ImportError;
use crate::ident::DomainLabel;

use super::received::Highest;

/// How many keys of one domain are remembered of those that one peer passed on.
const OF_A_DOMAIN: usize = 16;

/// How many marks are forgotten at a time, in one write.
const AT_A_TIME: usize = 64;

/// The domain and the key that a mark is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::federation) struct MarkName {
    pub(in crate::federation) domain: DomainLabel,
    /// The thumbprint of the key.
    pub(in crate::federation) kid: String,
}

/// The newest manifest that was seen under a key, and who passed it on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    #[serde(flatten)]
    pub(in crate::federation) highest: Highest,
    /// The peer whose share it counts in: the domain itself if it passed on the manifest. `None`
    /// if an earlier altofed kept the mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::federation) by: Option<DomainLabel>,
}

/// What a mark is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::federation) enum Worth {
    /// Nothing: the key does not count, so whatever it signed is refused.
    Nothing,
    /// Little: the peer alone vouched for the domain, and does not pass it on now.
    Little,
    /// All: it guards a copy that we have.
    All,
}

/// All marks.
#[derive(Debug, Default)]
pub(in crate::federation) struct Marks {
    all: BTreeMap<MarkName, Mark>,
    /// How many of them count in the share of each peer.
    counts: BTreeMap<DomainLabel, usize>,
}

impl Marks {
    pub(in crate::federation) fn get(&self, name: &MarkName) -> Option<&Mark> {
        self.all.get(name)
    }

    pub(in crate::federation) fn insert(&mut self, name: MarkName, mark: Mark) {
        self.remove(&name);
        if let Some(by) = &mark.by {
            *self.counts.entry(by.clone()).or_default() += 1;
        }
        self.all.insert(name, mark);
    }

    pub(in crate::federation) fn remove(&mut self, name: &MarkName) {
        let by = self.all.remove(name).and_then(|mark| mark.by);
        if let Some(by) = by
            && let Some(count) = self.counts.get_mut(&by)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&by);
            }
        }
    }

    /// Returns the marks of a domain.
    pub(in crate::federation) fn of_domain(
        &self,
        domain: &DomainLabel,
    ) -> impl Iterator<Item = (&MarkName, &Mark)> {
        let first = MarkName {
            domain: domain.clone(),
            kid: String::new(),
        };
        let rest = self.all.range((Bound::Included(first), Bound::Unbounded));
        rest.take_while(move |(name, _)| name.domain == *domain)
    }

    /// Returns the names of the marks whose peer is not configured any more.
    pub(in crate::federation) fn without(
        &self,
        is_peer: impl Fn(&DomainLabel) -> bool,
    ) -> Vec<MarkName> {
        let gone = |mark: &Mark| mark.by.as_ref().is_none_or(|by| !is_peer(by));
        let gone = self.all.iter().filter(|(_, mark)| gone(mark));
        gone.map(|(name, _)| name.clone()).collect()
    }

    /// Returns the marks to forget, so that one more mark of a domain can be remembered for the
    /// peer `by`, which has room for `share` marks.
    ///
    /// # Errors
    /// [`ImportError::Full`]: no mark of its share may be forgotten.
    pub(in crate::federation) fn room(
        &self,
        by: &DomainLabel,
        domain: &DomainLabel,
        share: usize,
        now: Timestamp,
        worth: impl Fn(&MarkName, &Mark) -> Worth,
    ) -> Result<Vec<MarkName>, ImportError> {
        let is_of = |mark: &Mark| mark.by.as_ref() == Some(by);
        let of_domain: Vec<_> = self.of_domain(domain).filter(|(_, it)| is_of(it)).collect();
        if of_domain.len() >= OF_A_DOMAIN {
            let name = cheapest(of_domain.into_iter(), now, &worth, 1);
            return some(name, || {
                format!(
                    "{OF_A_DOMAIN} keys of {domain} that came from {by} still count, and no more are \
                     remembered: `altofed peer {domain} --forget-key` forgets them"
                )
            });
        }
        if self.counts.get(by).is_none_or(|count| *count < share) {
            return Ok(Vec::new());
        }
        let all = self.all.iter().filter(|(_, mark)| is_of(mark));
        some(cheapest(all, now, &worth, AT_A_TIME), || {
            format!(
                "{share} keys of domains that came from {by} still count, and no more are \
                 remembered: choose the domains that are imported, or raise max_domains"
            )
        })
    }
}

/// Returns at most `most` of the marks that may be forgotten, those of the least worth.
fn cheapest<'a>(
    marks: impl Iterator<Item = (&'a MarkName, &'a Mark)>,
    now: Timestamp,
    worth: &impl Fn(&MarkName, &Mark) -> Worth,
    most: usize,
) -> Vec<MarkName> {
    let worth = |name: &MarkName, mark: &Mark| {
        if mark.highest.until < now {
            Worth::Nothing
        } else {
            worth(name, mark)
        }
    };
    let mut marks: Vec<_> = marks
        .map(|(name, mark)| (worth(name, mark), mark.highest.until, name))
        .filter(|(worth, ..)| *worth != Worth::All)
        .collect();
    marks.sort_unstable();
    let marks = marks.into_iter().take(most);
    marks.map(|(_, _, name)| name.clone()).collect()
}

fn some(names: Vec<MarkName>, full: impl Fn() -> String) -> Result<Vec<MarkName>, ImportError> {
    if names.is_empty() {
        Err(ImportError::Full(full()))
    } else {
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::federation::testing::{at, label};
    use crate::ident::Digest;

    const SHARE: usize = 40;

    fn name(domain: &str, number: usize) -> MarkName {
        MarkName {
            domain: label(domain),
            kid: format!("kid-{number:05}"),
        }
    }

    fn mark(by: &str, hours: i64) -> Mark {
        Mark {
            highest: Highest {
                serial: 1,
                payload: Digest::of(b"x"),
                until: at(hours),
            },
            by: Some(label(by)),
        }
    }

    /// Lets a peer show a key of a domain; returns whether it is remembered.
    fn show(
        marks: &mut Marks,
        by: &str,
        name: MarkName,
        worth: impl Fn(&MarkName, &Mark) -> Worth,
    ) -> bool {
        let room = marks.room(&label(by), &name.domain, SHARE, at(0), worth);
        let Ok(gone) = room else {
            return false;
        };
        for name in gone {
            marks.remove(&name);
        }
        marks.insert(name, mark(by, 6));
        true
    }

    #[test]
    fn who_rolls_its_key_ten_thousand_times_takes_nothing_from_others() {
        let mut marks = Marks::default();
        for number in 0..10_000 {
            // The key before counts, and those before that do not.
            let last = name("isp-b", number);
            let previous = name("isp-b", number.saturating_sub(1));
            let worth = |name: &MarkName, _: &Mark| {
                if *name == previous {
                    Worth::All
                } else {
                    Worth::Nothing
                }
            };
            assert!(show(&mut marks, "isp-b", last, worth), "{number}");
        }
        assert_eq!(marks.all.len(), OF_A_DOMAIN);
        assert!(
            marks.get(&name("isp-b", 9_998)).is_some(),
            "what guards stays"
        );
        let all = |_: &MarkName, _: &Mark| Worth::All;
        assert!(show(&mut marks, "isp-c", name("isp-c", 0), all));
    }

    #[test]
    fn a_peer_that_spent_its_share_is_refused_alone_and_until_something_ends() {
        let mut marks = Marks::default();
        let all = |_: &MarkName, _: &Mark| Worth::All;
        for number in 0..SHARE {
            let domain = format!("isp-{number}");
            assert!(show(&mut marks, "isp-b", name(&domain, 0), all));
        }
        assert!(!show(&mut marks, "isp-b", name("isp-x", 0), all));
        assert!(show(&mut marks, "isp-c", name("isp-x", 0), all));
        // A mark of a domain that the peer no longer passes on goes when its room is needed, and
        // no mark of another peer.
        let little = |MarkName { domain, .. }: &MarkName, _: &Mark| {
            if *domain == label("isp-7") {
                Worth::Little
            } else {
                Worth::All
            }
        };
        assert!(show(&mut marks, "isp-b", name("isp-y", 0), little));
        assert!(marks.get(&name("isp-7", 0)).is_none());
        marks.insert(name("isp-8", 0), mark("isp-b", -1));
        assert!(
            show(&mut marks, "isp-b", name("isp-z", 0), all),
            "one is over"
        );
        assert!(marks.get(&name("isp-8", 0)).is_none());
        assert_eq!(marks.counts[&label("isp-b")], SHARE);
        assert!(marks.get(&name("isp-x", 0)).is_some());
    }

    #[test]
    fn one_domain_does_not_spend_the_share_of_its_relay() {
        let mut marks = Marks::default();
        let all = |_: &MarkName, _: &Mark| Worth::All;
        let taken = (0..100).filter(|n| show(&mut marks, "isp-b", name("isp-x", *n), all));
        assert_eq!(taken.count(), OF_A_DOMAIN);
        assert!(show(&mut marks, "isp-b", name("isp-c", 0), all));
        // What another relay says of the same domain counts in another share.
        assert!(show(&mut marks, "isp-d", name("isp-x", 500), all));
    }

    #[test]
    fn what_an_earlier_altofed_kept_is_read() {
        let old = r#"{"serial":7,"payload":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","until":"2026-11-30T00:00:00Z"}"#;
        let read: Mark = serde_json::from_str(old).expect("a mark");
        assert_eq!((read.highest.serial, &read.by), (7, &None));
        assert_eq!(serde_json::to_string(&read).expect("text"), old);
        let of = mark("isp-b", 0);
        let text = serde_json::to_string(&of).expect("text");
        assert_eq!(serde_json::from_str::<Mark>(&text).expect("read"), of);
    }
}
