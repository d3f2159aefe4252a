//! A client of update streams that recovers as RFC 8895 describes: it comes back with the tag of
//! the network map that it has, and fetches everything else anew.

use altofed::runtime::Task;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::{Board, Target};
use crate::support::events::{UPDATES, patch};
use crate::support::{Request, plain_client};

/// Follows targets through a server at a URL, for ever.
pub fn follow(url: &str, targets: Vec<Target>, board: Board) -> Task<()> {
    let url = format!("{url}/views/isp-a/updates");
    Task::spawn("follower", async move {
        let client = plain_client();
        loop {
            // The next connection shows what is wrong with this one.
            let _ = stream(&client, &url, &targets, &board).await;
            board.came_back();
            tokio::task::yield_now().await;
        }
    })
}

/// Reads one stream for as long as it lasts.
async fn stream(
    client: &Client,
    url: &str,
    targets: &[Target],
    board: &Board,
) -> Result<(), reqwest::Error> {
    let mut add = json!({});
    for target in targets {
        let mut update = target.params();
        match board.get(target.id).filter(|_| target.is_network_map()) {
            Some(document) => update["tag"] = document["meta"]["vtag"]["tag"].clone(),
            None => board.drop_state(target.id),
        }
        add[target.id] = update;
    }
    let body = json!({"add": add}).to_string();
    let request = Request::to(client, Method::POST, url).typed(UPDATES, body);
    let mut response = request.begin().await?;
    if response.status() == 503 {
        // The server goes down.
        return Ok(());
    }
    assert_eq!(response.status(), 200, "{response:?}");
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        text.extend_from_slice(&chunk);
        while let Some(end) = text.windows(2).position(|end| end == b"\n\n") {
            let event: Vec<u8> = text.drain(..end + 2).collect();
            take(std::str::from_utf8(&event).expect("text"), board);
        }
    }
    Ok(())
}

/// Applies an event that has come completely.
fn take(event: &str, board: &Board) {
    let field = |name: &'static str| {
        let lines = event.lines();
        lines.filter_map(move |line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let Some((media_type, id)) = field("event").next().and_then(|head| head.rsplit_once(','))
    else {
        return;
    };
    let data = field("data").collect::<Vec<_>>().join("\n");
    let payload: Value = serde_json::from_str(&data).expect("JSON");
    let mut document = board.get(id).unwrap_or_default();
    patch(&mut document, media_type, payload);
    board.put(id, document);
}
