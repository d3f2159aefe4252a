//! Places of which each client has a share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::peer::Client;

/// How many places each client has. A client that has none takes no room.
#[derive(Debug, Default)]
pub struct Shares(Mutex<HashMap<Client, usize>>);

/// A place of a client, given back when dropped.
#[derive(Debug)]
pub struct Place {
    shares: Arc<Shares>,
    client: Client,
}

impl Shares {
    /// A place for a client, unless it has `max`.
    pub fn take(self: &Arc<Self>, client: Client, max: usize) -> Option<Place> {
        let mut held = self.lock();
        let of_client = held.get(&client).copied().unwrap_or(0);
        if of_client >= max {
            return None;
        }
        held.insert(client, of_client + 1);
        Some(Place {
            shares: self.clone(),
            client,
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
            Some(of_client) if *of_client > 1 => *of_client -= 1,
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
