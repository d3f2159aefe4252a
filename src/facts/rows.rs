//! Writing a shared map row by row.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

/// A row for each entry of a map, in the order of the keys.
pub(super) struct MapRows<K, V> {
    map: Arc<BTreeMap<K, V>>,
    last: Option<K>,
    write: Write<K, V>,
}

/// Writes an entry, after a comma unless it is the first.
type Write<K, V> = fn(out: &mut Vec<u8>, first: bool, key: &K, value: &V);

impl<K, V> MapRows<K, V> {
    pub(super) fn new(map: Arc<BTreeMap<K, V>>, write: Write<K, V>) -> Self {
        Self {
            map,
            last: None,
            write,
        }
    }
}

impl<K: Ord + Clone, V> Iterator for MapRows<K, V> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let after = self.last.as_ref().map_or(Unbounded, Excluded);
        let (key, value) = self.map.range::<K, _>((after, Unbounded)).next()?;
        let mut out = Vec::new();
        (self.write)(&mut out, self.last.is_none(), key, value);
        self.last = Some(key.clone());
        Some(out)
    }
}
