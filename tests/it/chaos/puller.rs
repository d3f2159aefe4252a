//! A client of TIPS that pulls one edge after the other, and opens its view again when it learns
//! that the view is gone.

use altofed::runtime::Task;
use reqwest::{Client, Method};
use serde_json::Value;

use super::{Board, Target};
use crate::support::events::{TIPS, TIPS_PARAMS, patch};
use crate::support::tips::Tips;
use crate::support::{Answer, Request, plain_client};

/// Pulls a target through a server at a URL, for ever.
pub fn pull(url: &str, target: Target, board: Board) -> Task<()> {
    let url = url.to_owned();
    Task::spawn("puller", async move {
        let client = plain_client();
        loop {
            let _ = view(&client, &url, &target, &board).await;
            board.came_back();
            tokio::task::yield_now().await;
        }
    })
}

/// Pulls one view for as long as it exists.
async fn view(
    client: &Client,
    url: &str,
    target: &Target,
    board: &Board,
) -> Result<(), reqwest::Error> {
    let ask = async |uri: &str, params: &Value| {
        let request = Request::to(client, Method::POST, uri);
        let request = request.typed(TIPS_PARAMS, params.to_string());
        request.tried().await
    };
    let mut params = target.params();
    if target.is_network_map()
        && let Some(document) = board.get(target.id)
    {
        params["tag"] = document["meta"]["vtag"]["tag"].clone();
    }
    let opened = ask(&format!("{url}/views/isp-a/tips"), &params).await?;
    if opened.status == 503 {
        // The server goes down.
        return Ok(());
    }
    let view = Tips::new(&opened.ok(TIPS));
    let (mut from, mut to) = view.recommended();
    if from != 0 {
        assert!(params["tag"].is_string(), "a patch of nothing");
    }
    loop {
        let uri = view.edge_uri(from, to);
        let edge: Answer = Request::to(client, Method::GET, &uri).tried().await?;
        match edge.status.as_u16() {
            200 => {
                let mut document = match from {
                    0 => Value::Null,
                    _ => board.get(target.id).expect("a version"),
                };
                patch(&mut document, edge.header("content-type"), edge.json());
                board.put(target.id, document);
                (from, to) = (to, to + 1);
            }
            410 => {
                let mut params = target.params();
                params.as_object_mut().expect("parameters").remove("input");
                let told = ask(&format!("{}/ug", view.uri), &params).await?;
                if told.status != 200 {
                    return Ok(());
                }
                let summary = &told.json()["tips-view-summary"]["updates-graph-summary"];
                let now = Tips {
                    summary: summary.clone(),
                    ..view.clone()
                };
                (from, to) = now.recommended();
                assert_eq!(from, 0, "without a tag it begins with nothing");
            }
            // The view is gone, or the server goes down.
            404 | 503 => return Ok(()),
            _ => panic!("{uri}: {edge:?}"),
        }
    }
}
