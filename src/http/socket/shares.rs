//! Places of which each client has a share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::peer::Client;

/// How many places each client has. A client that has none takes no room.
#[derive(Debug, Default)]
pub struct Shares(Mutex<HashMap<Client, usize>>);

/// Places of a client, given back when dropped.
#[derive(Debug)]
pub struct Place {
    shares: Arc<Shares>,
    client: Client,
    count: usize,
}

impl Shares {
    /// A place for a client, unless it has `max`.
    pub fn take(self: &Arc<Self>, client: Client, max: usize) -> Option<Place> {
        self.take_some(client, 1, max)
    }

    /// Some places for a client, unless it would have more than `max`.
    pub fn take_some(self: &Arc<Self>, client: Client, count: usize, max: usize) -> Option<Place> {
        let mut held = self.lock();
        let of_client = held.get(&client).copied().unwrap_or(0);
        let with_these = of_client.checked_add(count).filter(|sum| *sum <= max)?;
        held.insert(client, with_these);
        Some(Place {
            shares: self.clone(),
            client,
            count,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Client, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.shares.lock();
        match held.get_mut(&self.client) {
            Some(of_client) if *of_client > self.count => *of_client -= self.count,
            _ => {
                held.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn a_place_given_back_can_be_taken_again_and_nothing_of_its_client_stays() {
        let shares = Arc::new(Shares::default());
        let [a, b] = ["192.0.2.1", "192.0.2.2"]
            .map(|text| Client::from(text.parse::<IpAddr>().expect("an address")));
        let first = shares.take(a, 2).expect("a place");
        let second = shares.take(a, 2).expect("a place");
        assert!(shares.take(a, 2).is_none());
        let third = shares.take(b, 2).expect("a place of its own");
        drop(first);
        let fourth = shares.take(a, 2).expect("the place given back");
        drop((second, third, fourth));
        assert!(shares.lock().is_empty());
    }
}
