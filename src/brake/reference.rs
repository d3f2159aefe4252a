//! Remembers what was stated before the changes of the last hour.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::runtime::Moment;

/// For how long changes are counted together, so that many small steps are noticed.
const WINDOW: Duration = Duration::from_secs(60 * 60);

/// What each party stated before the changes of the last hour, if it changed.
#[derive(Debug)]
pub struct References<K, T>(BTreeMap<K, (T, Moment)>);

impl<K, T> Default for References<K, T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, T> References<K, T> {
    /// Forgets what was stated too long ago.
    pub fn age(&mut self, now: Moment) {
        self.0.retain(|_, (_, since)| now.since(*since) < WINDOW);
    }

    /// Iterates over all of it.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &T)> {
        self.0.iter().map(|(party, (stated, _))| (party, stated))
    }

    /// Returns what a party stated before, if that is not too long ago.
    pub fn current(&self, party: &K, now: Moment) -> Option<&T> {
        let (stated, since) = self.0.get(party)?;
        (now.since(*since) < WINDOW).then_some(stated)
    }

    /// Returns what a party stated before.
    pub fn get(&self, party: &K) -> Option<&T> {
        self.0.get(party).map(|(stated, _)| stated)
    }

    /// Remembers what a party states before it changes that.
    pub fn changes_from(&mut self, party: K, stated: T, now: Moment) {
        self.age(now);
        self.0.entry(party).or_insert((stated, now));
    }

    /// Remembers what a party stated last that states nothing any more.
    pub fn ends_with(&mut self, party: K, stated: T, now: Moment) {
        self.0.insert(party, (stated, now));
    }

    /// Compares a party from now on with what it states next.
    pub fn forget(&mut self, party: &K) {
        self.0.remove(party);
    }
}
