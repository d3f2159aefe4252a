//! Bodies that are too large to be kept.

use serde_json::{Map, Value, json};

use crate::support::TestNode;

/// A network of PIDs `p000`, `p001`, … and costs between all of them.
async fn feed(node: &TestNode, pids: usize) {
    let name = |i: usize| format!("p{i:03}");
    let groups: Map<String, Value> = (0..pids)
        .map(|i| {
            (
                name(i),
                json!({"ipv4": [format!("10.{}.{}.0/24", i / 256, i % 256)]}),
            )
        })
        .collect();
    node.put("network-map", &json!({"network-map": groups}))
        .await;
    let costs: Map<String, Value> = (0..pids)
        .map(|i| {
            let row: Map<String, Value> = (0..pids).map(|j| (name(j), json!(i * 7 + j))).collect();
            (name(i), Value::Object(row))
        })
        .collect();
    node.put("cost-maps/routingcost", &json!({"cost-map": costs}))
        .await;
}

#[tokio::test]
async fn a_streamed_body_has_the_bytes_and_marks_of_one_that_is_kept() {
    const PIDS: usize = 120;
    let kept = TestNode::start().await;
    let streamed = TestNode::with("[publish]\nmax_rendered = 1000\n").await;
    feed(&kept, PIDS).await;
    feed(&streamed, PIDS).await;
    for path in ["networkmap", "costmap-routingcost", "ordinal-routingcost"] {
        let path = format!("/views/isp-a/{path}");
        let whole = kept.get(&path).await;
        let pieces = streamed.get(&path).await;
        assert_eq!(whole.status, 200);
        assert!(whole.body.len() > 1000, "{path}");
        assert!(whole.body == pieces.body, "{path} differs");
        for header in ["etag", "content-length", "repr-digest", "content-type"] {
            assert_eq!(
                whole.header(header),
                pieces.header(header),
                "{path} {header}"
            );
        }
        let request = streamed.request(reqwest::Method::GET, &path);
        let again = request
            .header("if-none-match", pieces.header("etag"))
            .send()
            .await;
        assert_eq!(again.status, 304, "{path}");
        let request = streamed.request(reqwest::Method::HEAD, &path);
        let head = request.header("accept-encoding", "gzip").send().await;
        assert_eq!(
            head.header("content-length"),
            pieces.header("content-length"),
            "{path}"
        );
        assert_eq!(
            head.header("content-encoding"),
            "",
            "what is streamed is not coded"
        );
    }
}
