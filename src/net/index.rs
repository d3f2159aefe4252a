//! The PIDs of a map, numbered.

use std::collections::HashMap;

use crate::ident::PidName;

/// The PIDs of a map in canonical order (by name), each with its index.
#[derive(Debug, Clone, Default)]
pub struct PidIndex {
    names: Box<[PidName]>,
    places: HashMap<PidName, u32>,
}

impl PidIndex {
    /// Numbers these names; duplicates count once.
    pub fn new(mut names: Vec<PidName>) -> Self {
        names.sort_unstable();
        names.dedup();
        let places = (0..)
            .zip(&names)
            .map(|(i, name)| (name.clone(), i))
            .collect();
        Self {
            names: names.into(),
            places,
        }
    }

    /// Returns the names in canonical order.
    pub fn names(&self) -> &[PidName] {
        &self.names
    }

    /// Returns how many PIDs there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Returns whether there is no PID.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns the index of a name.
    pub fn get(&self, name: &str) -> Option<u32> {
        self.places.get(name).copied()
    }

    /// Returns the name at an index.
    pub fn name(&self, index: u32) -> Option<&PidName> {
        self.names.get(index as usize)
    }
}

impl PartialEq for PidIndex {
    fn eq(&self, other: &Self) -> bool {
        self.names == other.names
    }
}

impl Eq for PidIndex {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_follow_the_order_of_names() {
        let names = ["b", "a", "b", "a:c"].map(|name| PidName::new(name).expect("valid"));
        let index = PidIndex::new(names.to_vec());
        assert_eq!(index.len(), 3);
        let at = ["a", "a:c", "b", "c"].map(|name| index.get(name));
        assert_eq!(at, [Some(0), Some(1), Some(2), None]);
        assert_eq!(index.name(1).map(PidName::as_str), Some("a:c"));
        assert_eq!(index.name(3), None);
    }
}
