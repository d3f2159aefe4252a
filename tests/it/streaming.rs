//! Bodies that are too large to be kept.

use serde_json::{Map, Value, json};

use crate::support::TestNode;

/// Makes a network of PIDs `p000`, `p001`, … and costs between all of them.
pub async fn feed(node: &TestNode, pids: usize) {
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
        let head = request.header("accept-encoding", "identity").send().await;
        assert_eq!(
            head.header("content-length"),
            pieces.header("content-length"),
            "{path}"
        );
    }
}

/// A body over `max_rendered` is compressed by pieces, and kept compressed if there is room for
/// that; otherwise it is compressed while it is sent.
#[tokio::test]
async fn a_streamed_body_is_coded_as_one_that_is_kept() {
    const PIDS: usize = 120;
    let plain = TestNode::start().await;
    let kept = TestNode::with("[publish]\nmax_rendered = 1000\n").await;
    let unkept = TestNode::with("[publish]\nmax_rendered = 1000\ncache_bytes = 100\n").await;
    for node in [&plain, &kept, &unkept] {
        feed(node, PIDS).await;
    }
    for path in ["networkmap", "costmap-routingcost", "ordinal-routingcost"] {
        let path = format!("/views/isp-a/{path}");
        let whole = plain.get(&path).await;
        for coding in ["gzip", "zstd"] {
            for (node, has_length) in [(&kept, true), (&unkept, false)] {
                let ask = |method| {
                    let request = node.request(method, &path);
                    request.header("accept-encoding", coding).send()
                };
                let got = ask(reqwest::Method::GET).await;
                assert_eq!(got.header("content-encoding"), coding, "{path}");
                assert!(got.decoded() == whole.body, "{path} {coding}");
                let length = if has_length {
                    got.body.len().to_string()
                } else {
                    String::new()
                };
                assert_eq!(got.header("content-length"), length, "{path} {coding}");
                let head = ask(reqwest::Method::HEAD).await;
                for header in ["content-length", "content-encoding", "etag"] {
                    assert_eq!(head.header(header), got.header(header), "{path} {header}");
                }
            }
        }
        let bytes = kept.metric("altofed_publish_bodies_bytes").await;
        assert!(bytes > 0.0, "what is packed is kept: {path}");
        let bytes = unkept.metric("altofed_publish_bodies_bytes").await;
        assert!(bytes <= 100.0, "{path}: {bytes}");
    }
}
