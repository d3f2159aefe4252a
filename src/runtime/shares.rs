//! Limits how many places each holder has.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use super::lock;

/// How many places each holder has. A holder without one takes no memory.
#[derive(Debug)]
pub struct Shares<K: Eq + Hash>(Mutex<HashMap<K, usize>>);

/// A place of a holder, given back when dropped.
#[derive(Debug)]
pub struct Place<K: Eq + Hash> {
    shares: Arc<Shares<K>>,
    holder: K,
}

impl<K: Eq + Hash> Default for Shares<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash> Shares<K> {
    /// Takes a place for a holder, unless it already has `max`.
    pub fn take(self: &Arc<Self>, holder: K, max: usize) -> Option<Place<K>> {
        let mut held = lock(&self.0);
        let of_holder = held.get(&holder).copied().unwrap_or(0);
        if of_holder >= max {
            return None;
        }
        held.insert(holder.clone(), of_holder + 1);
        Some(Place {
            shares: self.clone(),
            holder,
        })
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut held = lock(&self.shares.0);
        match held.get_mut(&self.holder) {
            Some(of_holder) if *of_holder > 1 => *of_holder -= 1,
            _ => {
                held.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_given_back_can_be_taken_again_and_nothing_of_its_holder_stays() {
        let shares = Arc::new(Shares::default());
        let [a, b] = ["a", "b"];
        let first = shares.take(a, 2).expect("a place");
        let second = shares.take(a, 2).expect("a place");
        assert!(shares.take(a, 2).is_none());
        let third = shares.take(b, 2).expect("a place of its own");
        drop(first);
        let fourth = shares.take(a, 2).expect("the place given back");
        drop((second, third, fourth));
        assert!(lock(&shares.0).is_empty());
    }
}
