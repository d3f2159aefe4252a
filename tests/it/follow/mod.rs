//! Following a server that is not ours, in each of the ways that there are.

mod peer;
mod poll;
pub mod server;
mod stream;
mod tips;
mod watch;

use altofed::client::{
    Client, FollowError, FollowSettings, Followed, Follower, Mode, News, Options, Update,
};
use altofed::runtime::{Clock, ManualClock, Pool};
use jiff::Timestamp;
use serde_json::{Value, json};
use server::Server;
use url::Url;

use crate::metro::{COST_MAP, NETWORK_MAP};
use crate::peer::soon;

const MERGE_PATCH: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";

/// A follower with a clock that is moved by hand.
pub struct Following {
    pub follower: Follower,
    pub hand: ManualClock,
}

impl Following {
    fn new(server: &Server, ids: &[&str]) -> Self {
        let wanted = ids.iter().map(|id| (*id, None));
        Self::of(&server.root, wanted)
    }

    /// Follows resources of the directory at a URL, some of them with an input.
    pub fn of<'a>(
        directory: &Url,
        wanted: impl IntoIterator<Item = (&'a str, Option<Value>)>,
    ) -> Self {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let client = Client::new(directory, &Options::default(), clock).expect("a client");
        let followed = |(id, input): (&str, Option<Value>)| Followed {
            resource_id: id.to_owned(),
            input,
        };
        let follower = Follower::new(
            client.connection(),
            Pool::new(1).expect("a thread"),
            directory.clone(),
            wanted.into_iter().map(followed).collect(),
            FollowSettings::default(),
        );
        Self { follower, hand }
    }

    async fn news(&mut self) -> News {
        soon(self.follower.next()).await.expect("it goes on")
    }

    #[track_caller]
    fn expect_following(news: News, mode: Mode) {
        assert!(
            matches!(news, News::Following(found) if found == mode),
            "{news:?}"
        );
    }

    async fn following(&mut self, mode: Mode) {
        Self::expect_following(self.news().await, mode);
    }

    async fn changed(&mut self) -> Vec<Update> {
        match self.news().await {
            News::Changed(updates) => updates,
            other => panic!("{other:?}"),
        }
    }

    /// Returns why following was interrupted, once the pause is over.
    async fn interrupted(&mut self) -> FollowError {
        match self.news().await {
            News::Interrupted {
                error, again_in, ..
            } => {
                if !again_in.is_zero() {
                    soon(self.hand.sleeper(again_in)).await;
                    self.hand.advance(again_in);
                }
                error
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Returns the ids of a batch.
fn ids(updates: &[Update]) -> Vec<&str> {
    updates
        .iter()
        .map(|update| update.resource_id.as_str())
        .collect()
}

pub fn body(update: &Update) -> Value {
    serde_json::from_slice(&update.body).expect("JSON")
}

/// Returns the only cost of a cost map.
fn cost(update: &Update) -> Option<f64> {
    body(update)["cost-map"]["a"]["a"].as_f64()
}

/// Makes a directory with a network map `m`, a cost map `c` over it, and more.
fn directory(more: Value) -> Value {
    let mut directory = json!({
        "meta": {"cost-types": {"num": {"cost-mode": "numerical", "cost-metric": "routingcost"}}},
        "resources": {
            "m": {"uri": "/map", "media-type": NETWORK_MAP},
            "c": {"uri": "/costs", "media-type": COST_MAP, "uses": ["m"], "capabilities": {"cost-type-names": ["num"]}},
        },
    });
    for (id, entry) in more.as_object().expect("entries") {
        directory["resources"][id] = entry.clone();
    }
    directory
}

/// Makes the entry of an update stream over `m` and `c` with patches of both.
fn stream_entry() -> Value {
    json!({"u": {
        "uri": "/updates/stream", "media-type": "text/event-stream",
        "accepts": "application/alto-updatestreamparams+json", "uses": ["m", "c"],
        "capabilities": {
            "incremental-change-media-types": {"m": JSON_PATCH, "c": format!("{MERGE_PATCH}, {JSON_PATCH}")},
            "support-stream-control": true,
        },
    }})
}

fn tips_entry(types: &str) -> Value {
    json!({"t": {
        "uri": "/tips", "media-type": "application/alto-tips+json",
        "accepts": "application/alto-tipsparams+json", "uses": ["m", "c"],
        "capabilities": {"incremental-change-media-types": {"c": types}},
    }})
}

fn map(tag: &str, prefixes: &[&str]) -> Value {
    json!({"meta": {"vtag": {"resource-id": "m", "tag": tag}}, "network-map": {"a": {"ipv4": prefixes}}})
}

fn costs(tag: &str, cost: f64) -> Value {
    json!({
        "meta": {"dependent-vtags": [{"resource-id": "m", "tag": tag}]},
        "cost-map": {"a": {"a": cost}},
    })
}
