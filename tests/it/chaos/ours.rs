//! Our own client, with both kinds of push.

use std::time::Duration;

use altofed::client::{Mode, News};
use altofed::runtime::Task;
use url::Url;

use super::{Board, TARGETS};
use crate::follow::server::Server;
use crate::follow::{Following, body};
use crate::support::TestNode;

const DIRECTORY: &str = "/views/isp-a/directory";

/// Follows all targets of a server at a URL by an update stream, for ever.
pub fn stream(url: &str, board: Board) -> Task<()> {
    let directory = Url::parse(&format!("{url}{DIRECTORY}")).expect("a URL");
    Task::spawn("ours by stream", async move {
        follow(&directory, Mode::Stream, &board).await;
    })
}

/// Follows all targets of a node by TIPS, for ever: the directory, which comes from elsewhere,
/// offers nothing better.
pub async fn tips(node: &TestNode, board: Board) -> Task<()> {
    let mut directory = node.get(DIRECTORY).await.json();
    let resources = directory["resources"].as_object_mut().expect("resources");
    resources.retain(|_, entry| entry["media-type"] != "text/event-stream");
    let elsewhere = Server::start(directory).await;
    Task::spawn("ours by TIPS", async move {
        // Moves the whole server, so that it lives as long as the task.
        let elsewhere = elsewhere;
        follow(&elsewhere.root, Mode::Tips, &board).await;
    })
}

/// The longest pause that a client makes without reporting it.
const SHORT: Duration = Duration::from_secs(5);

async fn follow(directory: &Url, by: Mode, board: &Board) {
    let wanted = TARGETS.map(|target| (target.id, target.input()));
    let mut following = Following::of(directory, wanted);
    // What may be left of the pause that it reported.
    let mut pause = Duration::ZERO;
    loop {
        let news = tokio::select! {
            news = following.follower.next() => news,
            ahead = following.hand.sleeper_within(Duration::ZERO..=pause.max(SHORT)) => {
                following.hand.advance(ahead);
                pause = pause.saturating_sub(ahead);
                continue;
            }
        };
        match news.expect("it goes on") {
            News::Following(mode) => assert_eq!(mode, by),
            News::Changed(updates) => {
                for update in updates {
                    board.put(&update.resource_id, body(&update));
                }
            }
            News::Interrupted { again_in, .. } => {
                board.came_back();
                pause = again_in;
            }
        }
    }
}
