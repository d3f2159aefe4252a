//! Limits wrong credentials for each client.
//!
//! The credentials of a client that has shown too many wrong ones are not checked for a while,
//! so that a right guess looks like any other. A credential that was right from the same address
//! before is still checked: an address may stand for many callers, and one that guesses must not
//! lock out the rest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use lru::LruCache;
use tokio::sync::{Notify, watch};

use super::{Reason, Refusal, Settings};
use crate::auth::Credential;
use crate::ident::Client;
use crate::runtime::{Clock, Moment, Task, lock};

/// The period of the limit, and how often wrong credentials are logged.
const MINUTE: Duration = Duration::from_secs(60);

/// How many clients with wrong credentials are remembered individually. All others share one
/// limit.
const MAX_CLIENTS: usize = 65_536;

/// How many pairs of a client and a credential that was right there are remembered: those shown
/// last.
const MAX_RIGHT: usize = 65_536;

/// How many clients the log names at a time; of the others it gives the number.
const MAX_LINES: usize = 20;

/// Limits how many wrong credentials each client may show.
#[derive(Clone, Debug)]
pub struct Guesses(Arc<Told>);

/// The counts, and the task that logs them. What is not logged yet is logged when this is
/// dropped.
#[derive(Debug)]
struct Told {
    counted: Arc<Counted>,
    _teller: Task<()>,
}

#[derive(Debug)]
struct Counted {
    settings: watch::Receiver<Settings>,
    clock: Clock,
    wrong: Mutex<Wrong>,
    right: Mutex<LruCache<(Client, Credential), ()>>,
    /// Wakes the task when there is something to log.
    any: Notify,
}

/// The wrong credentials of all clients.
#[derive(Debug, Default)]
struct Wrong {
    clients: HashMap<Client, OfClient>,
    rest: OfClient,
}

/// The wrong credentials of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct OfClient {
    /// When the client is allowed as many as after a pause again (GCRA's theoretical arrival
    /// time).
    rested: Option<Moment>,
    /// How many were wrong since the last log line about it.
    wrong: u64,
    /// How many were refused unchecked since then.
    refused: u64,
}

/// A log line about one client, or about all that are not named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    client: Option<Client>,
    clients: usize,
    wrong: u64,
    refused: u64,
}

impl Guesses {
    /// Starts without counts.
    pub fn new(settings: watch::Receiver<Settings>, clock: Clock) -> Guesses {
        let counted = Arc::new(Counted {
            settings,
            clock,
            wrong: Mutex::default(),
            right: Mutex::new(LruCache::unbounded()),
            any: Notify::new(),
        });
        let teller = Task::spawn("wrong credentials", tell(counted.clone()));
        Guesses(Arc::new(Told {
            counted,
            _teller: teller,
        }))
    }

    /// Checks a client's credential by `look`, unless the client has shown too many wrong ones.
    ///
    /// # Errors
    /// The outer error is the refusal of a credential that is not checked, the inner one that of
    /// a wrong credential.
    pub fn look<T, E>(
        &self,
        client: Client,
        shown: Option<&Credential>,
        look: impl FnOnce() -> Result<T, E>,
    ) -> Result<Result<T, E>, Refusal> {
        let counted = &self.0.counted;
        let pair = shown.map(|shown| (client, shown.clone()));
        let was_right = pair
            .as_ref()
            .is_some_and(|pair| lock(&counted.right).get(pair).is_some());
        if !was_right {
            counted.admit(client)?;
        }
        let looked = look();
        match (&looked, pair) {
            (Ok(_), Some((client, shown))) if !was_right => counted.remember_right(client, shown),
            (Ok(_), _) => {}
            (Err(_), pair) => {
                if let Some(pair) = pair.filter(|_| was_right) {
                    lock(&counted.right).pop(&pair);
                }
                counted.count_wrong(client);
            }
        }
        Ok(looked)
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.counted.tell();
    }
}

impl Counted {
    fn admit(&self, client: Client) -> Result<(), Refusal> {
        let Some(limit) = Limit::of(&self.settings.borrow()) else {
            return Ok(());
        };
        let now = self.clock.now();
        let mut wrong = lock(&self.wrong);
        let Some(of_client) = wrong.known(client) else {
            return Ok(());
        };
        limit.admit(of_client, now).map_err(|retry_after| {
            of_client.refused += 1;
            self.any.notify_one();
            Refusal {
                status: StatusCode::TOO_MANY_REQUESTS,
                retry_after,
                reason: Reason::Guesses,
            }
        })
    }

    fn remember_right(&self, client: Client, shown: Credential) {
        let mut right = lock(&self.right);
        right.put((client, shown), ());
        if right.len() > MAX_RIGHT {
            right.pop_lru();
        }
    }

    fn count_wrong(&self, client: Client) {
        let limit = Limit::of(&self.settings.borrow());
        let now = self.clock.now();
        let mut wrong = lock(&self.wrong);
        let of_client = wrong.of(client);
        of_client.wrong += 1;
        if let Some(limit) = limit {
            limit.take(of_client, now);
        }
        self.any.notify_one();
    }

    /// Logs what was counted since the last time.
    fn tell(&self) {
        let lines = lock(&self.wrong).lines(self.clock.now());
        for line in lines {
            let (wrong, refused) = (line.wrong, line.refused);
            match line.client {
                Some(client) => {
                    tracing::warn!(%client, wrong, refused, "wrong credentials were shown");
                }
                None => {
                    let clients = line.clients;
                    tracing::warn!(clients, wrong, refused, "wrong credentials were shown");
                }
            }
        }
    }
}

/// Logs wrong credentials once a minute, as long as there are any.
async fn tell(counted: Arc<Counted>) {
    loop {
        counted.any.notified().await;
        counted.clock.sleep(MINUTE).await;
        counted.tell();
    }
}

impl Wrong {
    fn known(&mut self, client: Client) -> Option<&mut OfClient> {
        if self.clients.len() >= MAX_CLIENTS {
            Some(self.clients.get_mut(&client).unwrap_or(&mut self.rest))
        } else {
            self.clients.get_mut(&client)
        }
    }

    fn of(&mut self, client: Client) -> &mut OfClient {
        if self.clients.len() >= MAX_CLIENTS {
            return self.clients.get_mut(&client).unwrap_or(&mut self.rest);
        }
        self.clients.entry(client).or_default()
    }

    /// Returns the lines to log, the worst clients first, and resets their counts. Forgets
    /// clients whose limit has recovered.
    fn lines(&mut self, now: Moment) -> Vec<Line> {
        let all = self
            .clients
            .iter_mut()
            .map(|(client, of)| (Some(*client), of));
        let all = all.chain([(None, &mut self.rest)]);
        let told = all.filter(|(_, of)| of.wrong + of.refused > 0);
        let mut lines: Vec<Line> = told
            .map(|(client, of)| Line {
                client,
                clients: 1,
                wrong: std::mem::take(&mut of.wrong),
                refused: std::mem::take(&mut of.refused),
            })
            .collect();
        self.clients
            .retain(|_, of| of.rested.is_some_and(|at| at > now));
        lines.sort_by_key(|line| {
            std::cmp::Reverse((line.client.is_some(), line.wrong + line.refused))
        });
        let unnamed = lines.split_off(lines.len().min(MAX_LINES));
        lines.extend(unnamed.into_iter().reduce(|one, other| Line {
            client: None,
            clients: one.clients + other.clients,
            wrong: one.wrong + other.wrong,
            refused: one.refused + other.refused,
        }));
        lines
    }
}

/// After a pause a client may show as many wrong credentials at once as are allowed per minute,
/// and then one in each interval `every`.
#[derive(Clone, Copy, Debug)]
struct Limit {
    every: Duration,
}

impl Limit {
    fn of(settings: &Settings) -> Option<Limit> {
        let per_minute = settings.wrong_credentials_per_minute;
        (per_minute > 0).then(|| Limit {
            every: MINUTE / per_minute,
        })
    }

    /// Checks whether another credential may be checked now. The error is how long to wait.
    fn admit(self, of_client: &OfClient, now: Moment) -> Result<(), Duration> {
        let owed = of_client.rested.map_or(Duration::ZERO, |at| at.since(now));
        match (owed + self.every).checked_sub(MINUTE) {
            None | Some(Duration::ZERO) => Ok(()),
            Some(wait) => Err(wait),
        }
    }

    fn take(self, of_client: &mut OfClient, now: Moment) {
        let from = of_client.rested.filter(|at| *at > now).unwrap_or(now);
        of_client.rested = Some(from + self.every);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, SECOND};
    use super::*;
    use crate::auth::Secret;
    use std::net::{IpAddr, Ipv4Addr};

    const SETTINGS: u32 = 6;

    fn bench() -> (Bench, Guesses) {
        let bench = Bench::new(Settings {
            wrong_credentials_per_minute: SETTINGS,
            ..Settings::default()
        });
        let guesses = Guesses::new(bench.settings.subscribe(), bench.clock.clone());
        (bench, guesses)
    }

    fn client(number: u32) -> Client {
        Client::from(IpAddr::from(Ipv4Addr::from(number)))
    }

    fn secret(text: &str) -> Credential {
        Credential::Secret(Secret::new(text))
    }

    /// Shows a secret; `right` is the right one. Returns whether it was right, or how long to
    /// wait if it was not checked.
    fn show(guesses: &Guesses, from: u32, text: &str) -> Result<bool, Duration> {
        let look = || match text {
            "right" => Ok(()),
            _ => Err(()),
        };
        let looked = guesses.look(client(from), Some(&secret(text)), look);
        looked
            .map(|looked| looked.is_ok())
            .map_err(|refusal| refusal.retry_after)
    }

    fn lines(guesses: &Guesses) -> Vec<Line> {
        let counted = &guesses.0.counted;
        let now = counted.clock.now();
        lock(&counted.wrong).lines(now)
    }

    #[tokio::test]
    async fn after_some_wrong_ones_nothing_is_looked_at_until_time_has_passed() {
        let (bench, guesses) = bench();
        for _ in 0..SETTINGS {
            assert_eq!(show(&guesses, 1, "wrong"), Ok(false));
        }
        for text in ["wrong", "right"] {
            assert_eq!(show(&guesses, 1, text), Err(10 * SECOND), "{text}");
        }
        assert_eq!(show(&guesses, 2, "right"), Ok(true), "another client");
        bench.hand.advance(10 * SECOND);
        assert_eq!(show(&guesses, 1, "wrong"), Ok(false));
        assert_eq!(show(&guesses, 1, "wrong"), Err(10 * SECOND));
        bench.hand.advance(10 * SECOND);
        assert_eq!(show(&guesses, 1, "right"), Ok(true));
    }

    #[tokio::test]
    async fn what_was_right_from_an_address_is_looked_at_while_others_guess_there() {
        let (_bench, guesses) = bench();
        assert_eq!(show(&guesses, 1, "right"), Ok(true));
        for _ in 0..2 * SETTINGS {
            let _ = show(&guesses, 1, "wrong");
        }
        assert_eq!(show(&guesses, 1, "right"), Ok(true));
        // A credential that is wrong by now counts as any other guess.
        let replaced = guesses.look(client(1), Some(&secret("right")), || Err::<(), _>(()));
        assert_eq!(replaced, Ok(Err(())));
        assert!(show(&guesses, 1, "right").is_err());
    }

    #[tokio::test]
    async fn headers_that_show_nothing_count_too_and_zero_is_no_limit() {
        let (bench, guesses) = bench();
        let malformed = || guesses.look(client(1), None, || Err::<(), _>(()));
        for _ in 0..SETTINGS {
            assert_eq!(malformed(), Ok(Err(())));
        }
        assert!(malformed().is_err());
        let none = Settings {
            wrong_credentials_per_minute: 0,
            ..Settings::default()
        };
        bench.settings.send_replace(none);
        for _ in 0..100 {
            assert_eq!(malformed(), Ok(Err(())));
        }
    }

    #[tokio::test]
    async fn the_log_has_a_line_for_each_client_and_minute_and_a_bounded_number() {
        let (bench, guesses) = bench();
        for _ in 0..100 {
            let _ = show(&guesses, 7, "wrong");
        }
        let line = Line {
            client: Some(client(7)),
            clients: 1,
            wrong: 6,
            refused: 94,
        };
        assert_eq!(lines(&guesses), [line]);
        assert_eq!(lines(&guesses), []);
        bench.hand.advance(MINUTE + SECOND);
        assert_eq!(lines(&guesses), []);
        assert!(lock(&guesses.0.counted.wrong).clients.is_empty());

        for from in 0..1000 {
            let _ = show(&guesses, from, "wrong");
            let _ = show(&guesses, from % 5, "wrong");
        }
        let told = lines(&guesses);
        assert_eq!(told.len(), MAX_LINES + 1);
        let worst: Vec<_> = told[..5].iter().map(|line| line.client).collect();
        assert!((0..5).all(|from| worst.contains(&Some(client(from)))));
        assert_eq!(told[MAX_LINES].client, None);
        assert_eq!(told[MAX_LINES].clients, 980);
        let all: u64 = told.iter().map(|line| line.wrong + line.refused).sum();
        assert_eq!(all, 2000);
    }

    #[tokio::test]
    async fn clients_are_remembered_up_to_a_number_and_the_rest_share_one_limit() {
        let (_bench, guesses) = bench();
        for from in 0..u32::try_from(MAX_CLIENTS).expect("a number") {
            let _ = show(&guesses, from, "wrong");
        }
        for from in 0..SETTINGS {
            assert_eq!(show(&guesses, 1_000_000 + from, "wrong"), Ok(false));
        }
        assert!(show(&guesses, 2_000_000, "wrong").is_err());
        assert_eq!(show(&guesses, 3, "wrong"), Ok(false), "one of its own");
        assert_eq!(lock(&guesses.0.counted.wrong).clients.len(), MAX_CLIENTS);
    }
}
