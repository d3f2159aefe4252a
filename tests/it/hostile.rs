//! Whatever a node is sent, it keeps serving, in bounded memory.

use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{
    COST_FILTER, COST_PARAMS, JSON, MERGE_PATCH, NETWORK_FILTER, OPS, PROPERTY_PARAMS, Program,
    client_builder,
};

/// A node in a process of its own, with something to serve.
struct Site {
    program: Program,
    client: Client,
    _directory: TempDir,
}

impl Site {
    async fn start() -> Self {
        let directory = TempDir::new().expect("a directory");
        // The requests of a test come from one caller, as fast as it can send them.
        let more = "[limits]\nrequests_per_second = 0\n";
        let program = Program::serve(directory.path(), more);
        let site = Self {
            program: program.unwrap_or_else(|end| panic!("{}", end.log)),
            client: one_way_client(),
            _directory: directory,
        };
        let map = json!({"network-map": {"ams": {"ipv4": ["0.0.0.0/0"]}}});
        let put = site.send(
            Method::PUT,
            "/n2s/v1/network-map",
            JSON,
            map.to_string().into(),
        );
        assert_eq!(put.await, 201);
        site
    }

    /// Sends a request with all rights; returns the status.
    async fn send(&self, method: Method, path: &str, media_type: &str, body: Vec<u8>) -> u16 {
        let request = self
            .client
            .request(method, format!("{}{path}", self.program.url))
            .bearer_auth(OPS)
            .header("content-type", media_type)
            .body(body);
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        answer.bytes().await.expect("a whole body");
        status
    }

    /// Checks that it still serves what it served.
    async fn serves(&self) {
        let url = format!("{}/views/isp-a/networkmap", self.program.url);
        let answer = self.client.get(url).send().await.expect("an answer");
        let map: Value =
            serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
        assert_eq!(map["network-map"], json!({"ams": {"ipv4": ["0.0.0.0/0"]}}));
    }

    async fn connect(&self) -> TcpStream {
        let address = self.program.url.trim_start_matches("http://");
        TcpStream::connect(address).await.expect("it listens")
    }

    /// Sends these bytes; returns the status of the answer, or `None` if the connection was
    /// closed without one. After `whole` requests the sending side stays open.
    async fn raw(&self, bytes: &[u8], whole: bool) -> Option<u16> {
        let mut stream = self.connect().await;
        // A refusal may come before everything is sent.
        let _ = stream.write_all(bytes).await;
        if !whole {
            let _ = stream.shutdown().await;
        }
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") && line.len() < 100 {
            match stream.read_u8().await {
                Ok(byte) => line.push(byte),
                Err(_) => return None,
            }
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        let status = line.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
        Some(status.parse().expect("a status"))
    }
}

/// Makes a client with a new connection for each request: the node closes a connection when it
/// has not read the body.
fn one_way_client() -> Client {
    let builder = client_builder().pool_max_idle_per_host(0);
    builder.build().expect("a client")
}

/// Returns bytes that look random and are the same in every run.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length.div_ceil(8))
        .flat_map(|_| next())
        .take(length)
        .collect()
}

/// Returns bodies that no client should send.
fn bodies() -> Vec<Vec<u8>> {
    let repeated = |text: &str, count: usize| text.repeat(count).into_bytes();
    let around = |inner: &str| {
        // The odd value is where each document has its content.
        let members = [
            "network-map",
            "cost-map",
            "property-map",
            "interconnects",
            "operations",
            "pids",
            "endpoints",
            "cost-type",
            "properties",
        ];
        let members = members.map(|member| format!("{member:?}:{inner}"));
        format!("{{{}}}", members.join(",")).into_bytes()
    };
    let deep = format!("{}1{}", "{\"x\":".repeat(30), "}".repeat(30));
    let long = "a".repeat(500_000);
    let many: Vec<String> = (0..50_000).map(|i| format!("\"p{i}\":{{}}")).collect();
    let mut bodies = vec![
        Vec::new(),
        noise(1_000_000, 1),
        vec![0; 1_000_000],
        repeated("[", 100_000),
        repeated("{\"a\":", 100_000),
        repeated("\"", 100_000),
        repeated("\\", 100_000),
        repeated("1", 500_000),
        repeated(" ", 1_000_000),
        b"\xef\xbb\xbf{}".to_vec(),
        b"{\"network-map\":{\"\xff\xfe\":{}}}".to_vec(),
        b"{\"a\":\"\x00\x1f\"}".to_vec(),
        around(&deep),
        around("{\"a\":{},\"a\":{}}"),
        around("1e999"),
        around("-1e-999"),
        around(&"9".repeat(100_000)),
        around("{\"a\":{\"a\":1e999}}"),
        around("{\"a\":{\"a\":0.000000000000000000000000000000000001e40}}"),
        around("{\"\\ud800\":{}}"),
        around("{\"__proto__\":{\"constructor\":{\"\\u0000\":null}}}"),
        around("[null,true,-0,\"\",[],{}]"),
        around("null"),
        around("[]"),
        format!("{{\"{long}\":1}}").into_bytes(),
        format!("{{\"network-map\":{{\"{long}\":{{}}}}}}").into_bytes(),
        format!("{{\"network-map\":{{{}}}}}", many.join(",")).into_bytes(),
        format!("{{\"cost-map\":{{{}}}}}", many.join(",")).into_bytes(),
    ];
    let pairs = vec!["ipv4:192.0.2.1"; 30_000];
    bodies.push(
        json!({
            "cost-type": {"cost-metric": "routingcost", "cost-mode": "numerical"},
            "endpoints": {"srcs": pairs, "dsts": pairs},
        })
        .to_string()
        .into(),
    );
    bodies
}

/// Returns every operation of the description: method, path and accepted media types.
async fn operations(site: &Site) -> Vec<(Method, String, Vec<String>)> {
    let url = format!("{}/openapi.json", site.program.url);
    let answer = site.client.get(url).send().await.expect("an answer");
    let text = answer.bytes().await.expect("a body");
    let description: Value = serde_json::from_slice(&text).expect("JSON");
    let mut all = Vec::new();
    for (path, operations) in description["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let method: Method = method.to_uppercase().parse().expect("a method");
            let content = operation["requestBody"]["content"].as_object();
            let types: Vec<String> = content
                .into_iter()
                .flatten()
                .map(|(name, _)| name.clone())
                .collect();
            let path = path
                .replace("{metric}", "routingcost")
                .replace("{revision}", "1")
                .replace("{view}", "merged");
            match path.contains("{resource}") && method == Method::POST {
                false => all.push((method, path.replace("{resource}", "networkmap"), types)),
                true => {
                    let queries = [
                        ("filtered-networkmap", NETWORK_FILTER),
                        ("filtered-costmap", COST_FILTER),
                        ("endpointprop", PROPERTY_PARAMS),
                        ("endpointcost", COST_PARAMS),
                    ];
                    all.extend(queries.map(|(resource, media_type)| {
                        let path = path.replace("{resource}", resource);
                        (Method::POST, path, vec![media_type.to_owned()])
                    }));
                }
            }
        }
    }
    assert!(all.len() > 25, "{all:?}");
    all
}

#[tokio::test]
async fn no_body_ends_or_bloats_the_node() {
    const MIB: u64 = 1024 * 1024;
    let site = Site::start().await;
    let bodies = bodies();
    let mut resident = Vec::new();
    for round in 0..3 {
        for (method, path, types) in operations(&site).await {
            // A delete would remove what is served; its body is not read.
            if method == Method::DELETE || path.ends_with("/restore") {
                continue;
            }
            let media_type = match types.first() {
                Some(media_type) => media_type.clone(),
                None if method == Method::PATCH => MERGE_PATCH.to_owned(),
                None => JSON.to_owned(),
            };
            for (number, body) in bodies.iter().enumerate() {
                let writes = path.starts_with("/n2s/") && method != Method::GET;
                let url = match writes {
                    true => format!("{path}?dry-run=true"),
                    false => path.clone(),
                };
                // An operation that does not use a body is not sent every long one three times.
                if types.is_empty() && (round > 0 || body.len() > 200_000) {
                    continue;
                }
                let status = site
                    .send(method.clone(), &url, &media_type, body.clone())
                    .await;
                assert!(status < 500, "body {number} to {method} {url}: {status}");
            }
        }
        site.serves().await;
        resident.push(site.program.resident());
    }
    // The first round fills buffers, pools and caches.
    assert!(resident[2] < resident[0] + 64 * MIB, "{resident:?}");
    assert!(resident[2] < 512 * MIB, "{resident:?}");
}

#[tokio::test]
async fn no_path_leads_where_it_should_not() {
    let site = Site::start().await;
    let long = format!("/{}", "a/".repeat(20_000));
    let paths = [
        "//",
        "///n2s/v1/network-map",
        "//etc/passwd",
        "/../../etc/passwd",
        "/..",
        "/.",
        "/views/../metrics",
        "/views/merged/../../metrics",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/views/%2e%2e/metrics",
        "/views/merged%2fnetworkmap",
        "/views/merged/%2e",
        "/views/merged/networkmap%00",
        "/%00",
        "/views/%00/networkmap",
        "/%",
        "/%zz",
        "/%f",
        "/views/%ff%fe/networkmap",
        "/views/\u{fc}/networkmap",
        "/n2s/v1/cost-maps/%2e%2e",
        "/n2s/v1/cost-maps/..%2fnetwork-map",
        "/n2s/v1/cost-maps/%00",
        "/n2s/v1/revisions/1e3",
        "/n2s/v1/revisions/%31%00",
        "/n2s/v1/revisions/18446744073709551616",
        "/*",
        "*",
        "/views/*/networkmap",
        "/views/{view}/{resource}",
        "/?",
        "/#",
        "/;",
        "/views/merged;x/networkmap",
        "/\\..\\..",
        "http://elsewhere.example/metrics",
        "/ /x",
        "",
        &long,
    ];
    for path in paths {
        for method in ["GET", "PUT"] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {OPS}\r\n\
                 Content-Length: 0\r\n\r\n"
            );
            let status = site.raw(request.as_bytes(), true).await;
            let fine = match status {
                // The absolute form of a URI names an existing path.
                Some(200) => path.starts_with("http://"),
                Some(status) => (400..500).contains(&status),
                None => false,
            };
            assert!(fine, "{method} {path:.80}: {status:?}");
        }
    }
    let query = format!("/n2s/v1/revisions?{}", "after=1&".repeat(5_000));
    for path in [
        &query,
        "/n2s/v1/revisions?%00=%ff",
        "/n2s/v1/revisions?after=%ff",
    ] {
        let status = site.send(Method::GET, path, JSON, Vec::new()).await;
        assert!(status < 500, "{path:.80}: {status}");
    }
    site.serves().await;
}

#[tokio::test]
async fn what_is_not_http_is_refused_or_closed() {
    let site = Site::start().await;
    let head =
        |rest: &str| format!("POST /n2s/v1/transaction HTTP/1.1\r\nHost: x\r\n{rest}").into_bytes();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut requests: Vec<Vec<u8>> = vec![
        b"\r\n\r\n".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"get /livez HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"G\x00T /livez HTTP/1.1\r\n\r\n".to_vec(),
        b"GET /livez HTTP/1.1\r\nHost\x00: x\r\n\r\n".to_vec(),
        b"GET /livez HTTP/1.1\r\nHost : x\r\n y\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        [&b"A".repeat(100_000)[..], b" / HTTP/1.1\r\n\r\n"].concat(),
        head("Content-Length: -1\r\n\r\n"),
        head("Content-Length: 99999999999999999999\r\n\r\n"),
        head("Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /"),
        head("Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
        head("Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"),
        head("Transfer-Encoding: gzip\r\n\r\n"),
        head("Content-Length: 10\r\n\r\n{"),
        preface.to_vec(),
        [&preface[..], &noise(10_000, 7)].concat(),
        // A frame with a length that is not allowed.
        [&preface[..], b"\xff\xff\xff\x00\x00\x00\x00\x00\x01"].concat(),
    ];
    requests.extend((0..40).map(|seed| noise(5_000, seed * 977 + 3)));
    for (number, request) in requests.iter().enumerate() {
        let status = site.raw(request, false).await;
        let fine = status.is_none_or(|status| (400..500).contains(&status));
        assert!(fine, "request {number}: {status:?}");
    }
    site.serves().await;
}

#[tokio::test]
async fn floods_of_headers_are_refused() {
    let site = Site::start().await;
    let many: String = (0..5_000).map(|i| format!("X-{i}: {i}\r\n")).collect();
    let same = "Authorization: Bearer x\r\n".repeat(90);
    let long = format!("X: {}\r\n", "x".repeat(1_000_000));
    let unending = "X: ".to_owned() + &"x".repeat(2_000_000);
    for (flood, whole) in [
        (many + "\r\n", true),
        (same + "\r\n", true),
        (long + "\r\n", true),
        (unending, false),
    ] {
        let request = format!("GET /livez HTTP/1.1\r\nHost: x\r\n{flood}");
        let status = site.raw(request.as_bytes(), whole).await;
        assert!(
            status.is_none_or(|status| matches!(status, 400 | 401 | 431)),
            "{status:?}"
        );
    }
    site.serves().await;
}

#[tokio::test]
async fn half_open_connections_do_not_keep_others_out() {
    let site = Site::start().await;
    let before = site.program.resident();
    let mut held = Vec::new();
    let beginnings: [&[u8]; 5] = [
        b"",
        b"G",
        b"GET /views/merged/networkmap HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"POST /views/merged/endpointcost HTTP/1.1\r\nHost: x\r\n\
          Content-Type: application/alto-endpointcostparams+json\r\nContent-Length: 1000000\r\n\r\n{",
        b"PRI * HTTP/2.0\r\n\r\n",
    ];
    for beginning in beginnings.into_iter().cycle().take(200) {
        let mut stream = site.connect().await;
        stream.write_all(beginning).await.expect("sent");
        held.push(stream);
        // Each is served while all earlier ones are held.
        if held.len() % 20 == 0 {
            let serves = tokio::time::timeout(Duration::from_secs(60), site.serves());
            serves.await.expect("it serves");
        }
    }
    let each = (site.program.resident().saturating_sub(before)) / held.len() as u64;
    assert!(each < 512 * 1024, "{each} bytes for each");
}
