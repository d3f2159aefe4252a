//! Bearer tokens (RFC 6750).

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Answer, CDN, COST_PARAMS, JSON, NETWORK_FILTER, NOC, OPS, TestNode, command, config_path, text,
    write_config,
};

/// Checks that an answer is a challenge as in RFC 6750 section 3.
#[track_caller]
fn challenged(answer: &Answer, status: u16, error: &str, scope: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let challenge = answer.header("www-authenticate");
    let rest = challenge
        .strip_prefix("Bearer realm=\"altofed\"")
        .unwrap_or_else(|| panic!("{challenge:?}"));
    let attribute = |name: &str| {
        let from = rest.split_once(&format!(", {name}=\""))?.1;
        from.split_once('"').map(|(value, _)| value.to_owned())
    };
    assert_eq!(attribute("error").unwrap_or_default(), error, "{challenge}");
    assert_eq!(attribute("scope").unwrap_or_default(), scope, "{challenge}");
    // A request without credentials is not told an error code (section 3.1).
    assert_eq!(
        attribute("error_description").is_some(),
        !error.is_empty(),
        "{challenge}"
    );
}

/// Every operation of the API that needs a scope, with its method, path and scope.
async fn guarded(node: &TestNode) -> Vec<(Method, String, String)> {
    let description = node.get("/openapi.json").await.json();
    let paths = description["paths"].as_object().expect("paths");
    let mut guarded = Vec::new();
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().expect("operations") {
            let needs = operation["description"].as_str().unwrap_or_default();
            let Some(scope) = needs.split('`').nth(1) else {
                continue;
            };
            let path = path
                .replace("{metric}", "routingcost")
                .replace("{revision}", "1");
            let method = method.to_uppercase().parse().expect("a method");
            guarded.push((method, path, scope.to_owned()));
        }
    }
    assert!(guarded.len() > 20, "{guarded:?}");
    guarded
}

#[tokio::test]
async fn every_guarded_operation_wants_a_token_with_its_scope() {
    let node = TestNode::start().await;
    for (method, path, scope) in guarded(&node).await {
        let request = || node.request(method.clone(), &path);
        challenged(&request().send().await, 401, "", &scope);
        let unknown = request().token("no-such-token-0123").send().await;
        challenged(&unknown, 401, "invalid_token", "");
        let lacking = if scope == "operate" { NOC } else { CDN };
        let lacking = request().token(lacking).send().await;
        challenged(&lacking, 403, "insufficient_scope", &scope);
        lacking.problem(403, &[]);
        let allowed = request().token(OPS).send().await;
        assert!(
            !matches!(allowed.status.as_u16(), 401 | 403),
            "{method} {path}: {allowed:?}"
        );
    }
}

#[tokio::test]
async fn wrong_credentials_are_refused_even_where_none_are_needed() {
    let node = TestNode::start().await;
    for path in ["/directory", "/views/merged/networkmap", "/openapi.json"] {
        assert_eq!(node.get(path).await.status, 200);
        let unknown = node.request(Method::GET, path).token("no-such-token-0123");
        challenged(&unknown.send().await, 401, "invalid_token", "");
        for malformed in ["Basic bm9jOnNlY3JldA==", "Bearer", NOC, "Bearer\u{a0}x"] {
            let request = node.request(Method::GET, path);
            let bytes = reqwest::header::HeaderValue::from_bytes(malformed.as_bytes());
            let answer = request.raw("authorization", bytes.expect("a value"));
            challenged(&answer.send().await, 400, "invalid_request", "");
        }
        let fine = node.request(Method::GET, path);
        let fine = fine.header("authorization", &format!("bEARER  {CDN} "));
        assert_eq!(fine.send().await.status, 200);
    }
}

#[tokio::test]
async fn of_two_headers_none_counts() {
    let node = TestNode::start().await;
    for (first, second) in [(NOC, "no-such-token-0123"), (NOC, CDN), (NOC, NOC)] {
        for path in ["/n2s/v1/revisions", "/directory"] {
            let twice = node.request(Method::GET, path).token(first).token(second);
            challenged(&twice.send().await, 400, "invalid_request", "");
            let joined = format!("Bearer {first}, Bearer {second}");
            let joined = node
                .request(Method::GET, path)
                .header("authorization", &joined);
            challenged(&joined.send().await, 400, "invalid_request", "");
        }
    }
}

#[tokio::test]
async fn a_secret_that_is_nearly_right_is_wrong() {
    let node = TestNode::start().await;
    for shown in [
        &NOC[..NOC.len() - 1],
        &NOC[1..],
        &format!("{NOC}0"),
        &NOC.to_uppercase(),
    ] {
        let request = node.request(Method::GET, "/n2s/v1/revisions").token(shown);
        challenged(&request.send().await, 401, "invalid_token", "");
    }
}

#[tokio::test]
async fn queries_can_be_for_those_with_a_token_only() {
    let node = TestNode::with("[access]\nquery = \"token\"\n").await;
    let filter = json!({"pids": []}).to_string();
    for path in [
        "/directory",
        "/views/merged/directory",
        "/views/isp-a/networkmap",
        "/views/merged/costmap-routingcost",
    ] {
        let get = || node.request(Method::GET, path);
        challenged(&get().send().await, 401, "", "query");
        let lacking = get().token(NOC).send().await;
        challenged(&lacking, 403, "insufficient_scope", "query");
        // ALTO has neither an error code nor a media type for it.
        assert!(lacking.body.is_empty());
        let allowed = get().token(CDN).send().await;
        assert_eq!(allowed.status, 200);
        assert!(
            allowed.header("cache-control").contains("private"),
            "{allowed:?}"
        );
        assert_eq!(get().token(OPS).send().await.status, 200);
    }
    let path = "/views/merged/filtered-networkmap";
    let query =
        |request: crate::support::Request| request.typed(NETWORK_FILTER, filter.clone()).send();
    let denied = query(node.request(Method::POST, path)).await;
    challenged(&denied, 401, "", "query");
    let allowed = query(node.request(Method::POST, path).token(CDN)).await;
    assert_eq!(allowed.status, 200);
    for open in ["/livez", "/readyz", "/openapi.json", "/metrics"] {
        assert_eq!(node.get(open).await.status, 200, "{open}");
    }
}

#[tokio::test]
async fn some_views_can_be_open_and_the_others_not() {
    let node = TestNode::with("[access]\nviews = [\"merged\"]\n").await;
    let delegates = |directory: &Value| {
        let resources = directory["resources"].as_object().expect("resources");
        resources.values().any(|resource| {
            resource["uri"]
                .as_str()
                .is_some_and(|uri| uri.ends_with("/views/isp-a/directory"))
        })
    };
    let directory = "application/alto-directory+json";
    assert!(!delegates(&node.get("/directory").await.ok(directory)));
    let known = node.request(Method::GET, "/directory").token(CDN);
    assert!(delegates(&known.send().await.ok(directory)));

    assert_eq!(node.get("/views/merged/networkmap").await.status, 200);
    challenged(&node.get("/views/isp-a/networkmap").await, 401, "", "query");
    let query = json!({
        "cost-type": {"cost-metric": "routingcost", "cost-mode": "numerical"},
        "endpoints": {"srcs": ["ipv4:192.0.2.1"], "dsts": ["ipv4:192.0.2.1"]},
    });
    let denied = node.post("/views/isp-a/endpointcost", COST_PARAMS, query.to_string());
    challenged(&denied.await, 401, "", "query");
    let noc = node
        .request(Method::GET, "/views/isp-a/networkmap")
        .token(NOC);
    challenged(&noc.send().await, 403, "insufficient_scope", "query");
    let cdn = node
        .request(Method::GET, "/views/isp-a/networkmap")
        .token(CDN);
    assert_eq!(cdn.send().await.status, 200);

    let node = TestNode::with("[access]\nviews = []\n").await;
    challenged(&node.get("/directory").await, 401, "", "query");
    challenged(
        &node.get("/views/merged/networkmap").await,
        401,
        "",
        "query",
    );
}

#[tokio::test]
async fn metrics_can_be_for_operators_only() {
    let node = TestNode::with("[access]\nmetrics = \"token\"\n").await;
    let get = || node.request(Method::GET, "/metrics");
    challenged(&get().send().await, 401, "", "operate");
    let lacking = get().token(NOC).send().await;
    challenged(&lacking, 403, "insufficient_scope", "operate");
    assert_eq!(get().token(OPS).send().await.status, 200);
    let open = TestNode::start().await;
    let metrics = open.get("/metrics").await;
    assert!(
        metrics
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    assert!(metrics.text().ends_with("# EOF\n"));
}

#[test]
fn a_secret_is_in_no_log_and_no_error() {
    let directory = tempfile::TempDir::new().expect("a directory");
    write_config(directory.path(), "");
    let config = config_path(directory.path());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let program = crate::support::Program::run(&config, &["-vv", "--log-format", "json"]);
    let program = program.unwrap_or_else(|end| panic!("{}", end.log));
    let client = crate::support::plain_client();
    let wrong = "wrong-secret-0123456789";
    for secret in [NOC, CDN, wrong] {
        let request = |url: String| {
            client
                .put(url)
                .bearer_auth(secret)
                .header("content-type", JSON)
                .header("cookie", format!("session={secret}"))
                .body("{\"network-map\": 5}")
        };
        let url = format!("{}/n2s/v1/network-map", program.url);
        let body = runtime.block_on(async {
            let answer = request(url).send().await.expect("an answer");
            let headers = format!("{:?}", answer.headers());
            headers + &answer.text().await.expect("text")
        });
        assert!(!body.contains(secret), "{body}");
    }
    program.logs("/n2s/v1/network-map", 0);
    program.signal("TERM");
    let end = program.end();
    for secret in [NOC, OPS, CDN, wrong] {
        assert!(!end.log.contains(secret), "{secret}: {}", end.log);
    }

    // Nor if the configuration is at fault.
    for (key, words) in [
        ("secret = \"short-secret\"", "fewer than"),
        ("secret = \"a secret with blanks in it\"", "cannot have"),
        (
            "secret = \"hidden-secret-0123\"\nsecret_env = \"X\"",
            "several places",
        ),
        (
            "secret = \"hidden-secret-0123\"\nscope = []",
            "unknown field",
        ),
        ("secret = \"hidden-secret-0123", "string"),
        ("secret = [\"hidden-secret-0123\"]", "string"),
    ] {
        let token = format!("[[token]]\nname = \"x\"\nscopes = []\n{key}\n");
        write_config(directory.path(), &token);
        let config = config.to_str().expect("text");
        for more in [&[][..], &["--json"]] {
            let mut check = command([&["check", "--config", config], more].concat());
            let outcome = check.output().expect("the program");
            assert_eq!(outcome.status.code(), Some(2), "{key}");
            let said = text(&outcome.stdout) + &text(&outcome.stderr);
            assert!(said.contains(words), "{key}: {said}");
            let hidden = ["short-secret", "a secret with", "hidden-secret"];
            assert!(!hidden.iter().any(|secret| said.contains(secret)), "{said}");
        }
    }
}
