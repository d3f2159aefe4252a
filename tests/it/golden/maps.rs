//! The answers of RFC 7285: directories and maps.

use std::path::Path;

use reqwest::Method;

use super::tape::{Tape, ask, get, post};
use super::world::{World, known};
use super::{merged, own};
use crate::metro::{COST_MAP, DIRECTORY, NETWORK_MAP};
use crate::support::{CDN, JSON, NOC};

#[tokio::test]
async fn directories() {
    let world = World::start().await;
    let mut tape = Tape::of(
        "RFC 7285 section 9: information resource directories",
        &world.masks,
    );
    let asks = [
        ("the root", get("/directory")),
        ("our own", get("/views/isp-a/directory")),
        ("of a signed domain", get("/views/isp-b/directory")),
        (
            "of a signed domain that came through another",
            get("/views/isp-c/directory"),
        ),
        ("of a plain domain", get("/views/isp-d/directory")),
        ("of all", get("/views/merged/directory")),
        ("of nobody", get("/views/isp-x/directory")),
        ("without its body", ask(Method::HEAD, "/directory")),
        ("in its type", get("/directory").with("accept", DIRECTORY)),
        (
            "in a type that it is not of",
            get("/directory").with("accept", COST_MAP),
        ),
        ("packed", get("/directory").with("accept-encoding", "gzip")),
        (
            "packed otherwise",
            get("/views/merged/directory").with("accept-encoding", "zstd"),
        ),
        ("by another method", post("/directory", JSON, "{}")),
        ("its methods", ask(Method::OPTIONS, "/directory")),
        (
            "with a wrong token",
            get("/directory").by("wrong-secret-0123456789"),
        ),
        ("with a token for queries", get("/directory").by(CDN)),
    ];
    tape.all(&world.node, asks).await;
    let root = world.node.get("/directory").await;
    let known = get("/directory").with("if-none-match", root.header("etag"));
    tape.ask(&world.node, "that is known", known).await;
    tape.is("directories.txt");
}

#[tokio::test]
async fn directories_for_who_may_read_little() {
    let closed = |key: &Path| {
        let own = known(key);
        format!("{own}[access]\nquery = \"open\"\nviews = [\"merged\", \"isp-a\"]\n")
    };
    let world = World::known_as(closed).await;
    let mut tape = Tape::of(
        "Directories and maps where not all views are open",
        &world.masks,
    );
    let asks = [
        ("the root", get("/directory")),
        ("the root for who may read all", get("/directory").by(CDN)),
        ("a view that is closed", get("/views/isp-b/networkmap")),
        (
            "a view that is closed, with a token",
            get("/views/isp-b/networkmap").by(CDN),
        ),
        (
            "a view that is closed, with a token for other things",
            get("/views/isp-b/directory").by(NOC),
        ),
        ("a view that there is not", get("/views/isp-x/networkmap")),
        (
            "a view that there is not, with a token",
            get("/views/isp-x/networkmap").by(CDN),
        ),
    ];
    tape.all(&world.node, asks).await;
    tape.is("closed-views.txt");
}

#[tokio::test]
async fn maps() {
    let world = World::start().await;
    let mut tape = Tape::of(
        "RFC 7285 section 11.2: network maps and cost maps",
        &world.masks,
    );
    for view in ["isp-a", "isp-b", "isp-c", "isp-d", "merged"] {
        for map in [
            "networkmap",
            "costmap-routingcost",
            "ordinal-routingcost",
            "costmap-hopcount",
            "ordinal-hopcount",
            "costmap-bw-available",
            "ordinal-bw-available",
        ] {
            let path = format!("/views/{view}/{map}");
            tape.ask(&world.node, &format!("{view} {map}"), get(path))
                .await;
        }
    }
    let map = || get(merged("networkmap"));
    let asks = [
        ("without its body", ask(Method::HEAD, merged("networkmap"))),
        ("packed", map().with("accept-encoding", "gzip, zstd;q=0")),
        (
            "packed otherwise",
            map().with("accept-encoding", "zstd, gzip;q=0.5"),
        ),
        (
            "packed, without its body",
            ask(Method::HEAD, merged("networkmap")).with("accept-encoding", "gzip"),
        ),
        (
            "costs, packed",
            get(merged("costmap-routingcost")).with("accept-encoding", "gzip"),
        ),
        (
            "neither plain nor packed",
            map().with("accept-encoding", "identity;q=0"),
        ),
        ("in its type", map().with("accept", NETWORK_MAP)),
        (
            "in a type that it is not of",
            map().with("accept", "text/html"),
        ),
        ("by another method", post(merged("networkmap"), JSON, "{}")),
        ("its methods", ask(Method::OPTIONS, merged("networkmap"))),
        ("that there is not", get(own("costmap-tput"))),
        ("of a path with more", get(own("networkmap/x"))),
    ];
    tape.all(&world.node, asks).await;
    for map in ["networkmap", "costmap-routingcost"] {
        for coding in ["identity", "gzip"] {
            let path = merged(map);
            let with = || get(&*path).with("accept-encoding", coding);
            let tag = with().request(&world.node).send().await;
            let known = with().with("if-none-match", tag.header("etag"));
            tape.ask(
                &world.node,
                &format!("{map} that is known, {coding}"),
                known,
            )
            .await;
        }
    }
    let other = map().with("if-none-match", "\"other\"");
    tape.ask(&world.node, "another is known", other).await;
    tape.is("maps.txt");
}
