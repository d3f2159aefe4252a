//! Decides which connections are let in.

use std::sync::Arc;

use super::settings::Settings;
use super::stats::ListenerStats;
use crate::ident::Client;
use crate::runtime::{self, Shares};

/// The connections that were let in, by client. Their number is bounded by `max_connections`.
#[derive(Debug)]
pub(super) struct Admission {
    open: Arc<Shares<Client>>,
    stats: ListenerStats,
}

/// The place of a connection, which is given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    admission: Arc<Admission>,
    _of_client: runtime::Place<Client>,
}

/// Why a connection is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// All places are taken.
    Full,
    /// The client already has its share.
    Client,
}

impl Admission {
    pub fn new(stats: ListenerStats) -> Arc<Admission> {
        Arc::new(Admission {
            open: Arc::default(),
            stats,
        })
    }

    /// Lets a connection of `client` in, if the settings leave a place for it, and counts it.
    pub fn admit(self: &Arc<Self>, client: Client, settings: &Settings) -> Result<Place, Refused> {
        let decision = self.decide(client, settings);
        self.stats.add(|counts| {
            counts.accepted += 1;
            match &decision {
                Ok(_) => counts.open += 1,
                Err(Refused::Full) => counts.refused_full += 1,
                Err(Refused::Client) => counts.refused_client += 1,
            }
        });
        decision.map(|of_client| Place {
            admission: self.clone(),
            _of_client: of_client,
        })
    }

    fn decide(
        &self,
        client: Client,
        settings: &Settings,
    ) -> Result<runtime::Place<Client>, Refused> {
        // Checked first, so that a client that has its share learns that the fault is its own.
        let max = settings.max_connections_per_client;
        let place = self.open.take(client, max).ok_or(Refused::Client)?;
        if self.stats.now().open >= settings.max_connections as u64 {
            return Err(Refused::Full);
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.stats.add(|counts| counts.open -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn client(text: &str) -> Client {
        Client::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn a_place_given_back_can_be_taken_again() {
        let admission = Admission::new(ListenerStats::default());
        let settings = Settings {
            max_connections: 3,
            max_connections_per_client: 2,
            ..Settings::default()
        };
        let [a, b, c] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(client);
        let admit = |who| admission.admit(who, &settings);
        let first = admit(a).unwrap();
        let second = admit(a).unwrap();
        assert_eq!(admit(a).unwrap_err(), Refused::Client);
        let third = admit(b).unwrap();
        assert_eq!(admit(c).unwrap_err(), Refused::Full);
        assert_eq!(admit(a).unwrap_err(), Refused::Client);
        drop(first);
        let fourth = admit(c).unwrap();
        let counts = admission.stats.now();
        assert_eq!((counts.open, counts.accepted), (3, 7));
        assert_eq!((counts.refused_full, counts.refused_client), (1, 2));
        drop((second, third, fourth));
        assert_eq!(admission.stats.now().open, 0);
    }
}
