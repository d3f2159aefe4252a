//! What operators get: health, and explanations of costs.

use reqwest::Method;

use super::tape::{Tape, ask, get};
use super::world::World;
use crate::support::{CDN, OPS};

#[tokio::test]
async fn health() {
    let world = World::start().await;
    let mut tape = Tape::of("Health, and what there is not", &world.masks);
    let asks = [
        ("alive", get("/livez")),
        ("ready", get("/readyz")),
        ("ready, and why", get("/readyz?verbose").by(OPS)),
        ("ready, without its body", ask(Method::HEAD, "/readyz")),
        ("ready, by another method", ask(Method::POST, "/readyz")),
        ("the methods of a path", ask(Method::OPTIONS, "/livez")),
        ("nothing", get("/")),
        (
            "nothing, by a wrong token",
            get("/none").by("wrong-secret-0123456789"),
        ),
        ("a view of nothing", get("/views/merged")),
    ];
    tape.all(&world.node, asks).await;
    // Their content has golden files of its own.
    for path in ["/metrics", "/openapi.json"] {
        tape.part(&format!("the marks of {path}"));
        let answer = world.node.get(path).await;
        for name in ["cache-control", "content-type", "etag", "vary"] {
            tape.write(&format!("{name}: {}", answer.header(name)));
        }
    }
    tape.is("ops.txt");
}

#[tokio::test]
async fn explanations() {
    let world = World::start().await;
    let mut tape = Tape::of("The way that costs of the merged view follow", &world.masks);
    let way = |src: &str, dst: &str| get(format!("/views/merged/explain?src={src}&dst={dst}"));
    let asks = [
        (
            "between PIDs of two domains",
            way("isp-a:core", "isp-b:core"),
        ),
        ("between PIDs over a domain", way("isp-c:core", "isp-d:b")),
        ("between addresses", way("10.1.7.9", "ipv4:10.3.0.1")),
        ("inside a domain", way("isp-a:core", "isp-a:edge")),
        ("from a plain domain", way("192.0.2.200", "2001:db8:1::1")),
        ("where there is none", way("isp-a:void", "isp-b:core")),
        (
            "from a PID that there is not",
            way("isp-x:core", "isp-b:core"),
        ),
        ("from what is no address", way("10.1.7", "isp-b:core")),
        (
            "without a destination",
            get("/views/merged/explain?src=isp-a:core"),
        ),
        (
            "of another view",
            get("/views/isp-a/explain?src=core&dst=edge").by(CDN),
        ),
        (
            "by another method",
            ask(Method::POST, "/views/merged/explain"),
        ),
    ];
    tape.all(&world.node, asks).await;
    tape.is("explain.txt");
}
