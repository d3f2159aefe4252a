//! The program, as operators and their scripts run it.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    CDN, NOC, Program, TestNode, command, config_path, plain_client, text, write_config,
};

/// Runs the program; returns its exit code, standard output and standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = command(arguments).output().expect("the program");
    let code = output.status.code().expect("it exits by itself");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(!err.contains("panicked"), "{arguments:?}: {err}");
    (code, out, err)
}

/// Runs the program, which must succeed; returns its standard output.
#[track_caller]
fn done(arguments: &[&str]) -> String {
    let (code, out, err) = run(arguments);
    assert_eq!(code, 0, "{arguments:?}: {err}");
    out
}

/// Runs the program like [`done`], and parses its output as JSON.
#[track_caller]
fn done_json(arguments: &[&str]) -> Value {
    let out = done(arguments);
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

fn path(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[test]
fn version_and_help_say_what_runs() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(done(&["version"]), format!("altofed {version}\n"));
    let stated = done_json(&["version", "--json"]);
    assert_eq!(stated, json!({"name": "altofed", "version": version}));
    assert_eq!(done(&["--version"]), format!("altofed {version}\n"));
    let help = done(&["--help"]);
    for command in [
        "serve", "check", "demo", "query", "keygen", "peers", "peer", "explain", "store", "version",
    ] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
        assert!(done(&[command, "--help"]).contains("Usage:"));
    }
    assert!(help.contains("Exit codes:"), "{help}");
}

#[test]
fn the_notices_name_the_sources_of_the_data_and_the_licences_of_the_libraries() {
    let said = done(&["version", "--notices"]);
    for words in [
        "MIT, as here, or Apache-2.0, as at the libraries below",
        "Copyright (c) 2026 The altofed authors",
        "IP Geolocation by DB-IP (https://db-ip.com)",
        "https://www.routeviews.org",
        "https://doi.org/10.1109/JSAC.2011.111002",
        "Version 2.0, January 2004",
        "Copyright (c) Tokio Contributors",
        "Copyright (c) Meta Platforms, Inc. and affiliates.",
    ] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    let (code, ..) = run(&["version", "--notices", "--json"]);
    assert_eq!(code, 2, "the notices are not JSON");
}

#[test]
fn a_reader_that_goes_ends_the_program_without_ado() {
    // More than a pipe holds, so that the program notices.
    let mut version = command(["version", "--notices"]);
    version.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = version.spawn().expect("the program");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("its end");
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    assert_eq!(text(&ended.stderr), "");
}

#[test]
fn a_command_line_that_makes_no_sense_is_exit_code_2() {
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["serve", "--no-such-option"],
        &["query", "not a uri", "directory"],
        &["query", "http://192.0.2.1/directory", "cost"],
        &[
            "query",
            "http://192.0.2.1/directory",
            "pid",
            "not-an-address",
        ],
        &["store", "verify", "--config", "/does/not/exist.toml"],
        &["serve", "--config", "/does/not/exist.toml"],
    ] {
        let (code, out, err) = run(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {err}");
        assert!(!err.is_empty(), "{arguments:?}");
    }
}

#[test]
fn check_says_whether_a_node_can_run() {
    let directory = TempDir::new().expect("a directory");
    write_config(directory.path(), "");
    let config = config_path(directory.path());
    let said = done(&["check", "--config", path(&config)]);
    assert!(said.contains("a node can run with it"), "{said}");
    assert!(said.contains("isp-a"), "{said}");
    assert!(said.contains("noc: ingest"), "{said}");
    assert!(!said.contains(NOC), "a secret is shown: {said}");
    let stated = done_json(&["check", "--json", "--config", path(&config)]);
    assert_eq!(
        (&stated["ok"], &stated["domain"]),
        (&json!(true), &json!("isp-a"))
    );
    assert_eq!(stated["tokens"][0], "noc");
    // The configuration at the top of the repository works unchanged.
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers.toml");
    let mut check = command(["check", "--config", path(&own)]);
    let checked = check.env("ALTOFED_NOC_TOKEN", NOC).output();
    let checked = checked.expect("the program");
    assert!(checked.status.success(), "{}", text(&checked.stderr));
}

#[test]
fn check_says_what_a_proxy_has_to_forward() {
    let directory = TempDir::new().expect("a directory");
    let config = config_path(directory.path());
    let check = |public_url: &str| {
        let node = "[node]\ndomain = \"isp-a\"\ndata_dir = \"var\"\nlisten = \"127.0.0.1:8181\"\n";
        fs::write(&config, format!("{node}{public_url}")).expect("a file");
        let stated = done_json(&["check", "--json", "--config", path(&config)]);
        let said = done(&["check", "--config", path(&config)]);
        let lines = stated["forward"].as_array().expect("lines").iter();
        let lines = lines.map(|line| line.as_str().expect("text").to_owned());
        let lines: Vec<String> = lines.collect();
        assert!(
            lines
                .iter()
                .all(|line| said.contains(&format!("forward  {line}\n"))),
            "{said}"
        );
        lines
    };
    assert_eq!(check(""), Vec::<String>::new());
    let lines = check("public_url = \"https://h.example/alto/\"\n");
    let said = lines.join("\n");
    for words in [
        "https://h.example/alto/directory and https://h.example/alto/views/ to \
         http://127.0.0.1:8181/, with /alto removed",
        "https://h.example/alto/s2s/v1/ to http://127.0.0.1:8181/s2s/v1/",
        "https://h.example/.well-known/alto-federation to \
         http://127.0.0.1:8181/.well-known/alto-federation",
    ] {
        assert!(said.contains(words), "{said}");
    }
    let said = check("public_url = \"https://h.example\"\n").join("\n");
    assert!(said.contains("https://h.example/s2s/v1/ to "), "{said}");
    assert!(!said.contains("removed"), "{said}");
}

#[test]
fn check_says_which_configured_prefixes_are_never_taken() {
    let directory = TempDir::new().expect("a directory");
    let policy = "[merge]\nprivate_prefixes = false\n[domain.isp-b]\n\
        prefixes = [\"169.254.0.0/17\", \"10.1.0.0/16\", \"198.51.100.0/24\", \"0.0.0.0/1\"]\n";
    write_config(directory.path(), policy);
    let config = config_path(directory.path());
    let said = done(&["check", "--config", path(&config)]);
    let stated = done_json(&["check", "--json", "--config", path(&config)]);
    let warnings = stated["warnings"].as_array().expect("warnings");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for warning in warnings {
        assert!(said.contains(warning.as_str().expect("text")), "{said}");
    }
    let link_local = "169.254.0.0/17 of domain isp-b is never taken: 169.254.0.0/16 is link-local";
    assert!(said.contains(link_local), "{said}");
    assert!(
        said.contains("10.1.0.0/16 of domain isp-b is never taken"),
        "{said}"
    );
}

#[test]
fn check_says_where_a_configuration_is_wrong_and_the_mend() {
    let directory = TempDir::new().expect("a directory");
    let config = config_path(directory.path());
    let node = "[node]\ndomain = \"isp-a\"\ndata_dir = \"var\"\n";
    for (text, words) in [
        ("[node\n".to_owned(), &["peers.toml:1:"][..]),
        (
            "[node]\nname = \"A\"\n".to_owned(),
            &["peers.toml:1:1: node.domain is missing; it takes a string: The label"],
        ),
        (
            format!("{node}lissten = \"127.0.0.1:0\"\n"),
            &["peers.toml:4:", "lissten", "listen"],
        ),
        (
            format!("{node}listen = \"nowhere\"\n"),
            &["peers.toml:4:10: node.listen: ", "an address"],
        ),
        (
            "[node]\ndomain = \"merged\"\n".to_owned(),
            &["peers.toml:2:10: node.domain: ", "not `merged`"],
        ),
        (
            format!("{node}[[token]]\nname = \"noc\"\nscopes = [\"ingest\"]\n"),
            &["peers.toml:4:1: token[1]: ", "give secret_env, secret_file"],
        ),
        (
            format!(
                "{node}[[token]]\nname = \"noc\"\nsecret_env = \"ALTOFED_TEST_UNSET\"\nscopes = [\"ingest\"]\n"
            ),
            &["peers.toml:6:14: token[1].secret_env: ", "set it"],
        ),
        (
            format!(
                "{node}tls = {{ cert = \"/does/not/exist.pem\", key = \"/does/not/exist.pem\" }}\n"
            ),
            &["node.tls.cert", "No such file", "check the path"],
        ),
    ] {
        fs::write(&config, &text).expect("a file");
        let (code, out, err) = run(&["check", "--config", path(&config)]);
        assert_eq!((code, out.as_str()), (2, ""), "{text}: {err}");
        for word in words {
            assert!(err.contains(word), "{word:?} is not said of {text}: {err}");
        }
        let (code, out, _) = run(&["check", "--json", "--config", path(&config)]);
        let stated: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"));
        assert_eq!((code, &stated["ok"]), (2, &json!(false)), "{text}");
        let error = stated["error"].as_str().expect("words");
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
}

/// Starts a node with a map, costs and a property.
async fn fed() -> TestNode {
    let node = TestNode::start().await;
    let map = json!({"network-map": {
        "ams": {"ipv4": ["192.0.2.0/24"], "ipv6": ["2001:db8::/32"]},
        "fra": {"ipv4": ["198.51.100.0/24"]},
    }});
    node.put("network-map", &map).await;
    let costs = json!({"cost-map": {"ams": {"ams": 0, "fra": 5.5}, "fra": {"ams": 6}}});
    node.put("cost-maps/routingcost", &costs).await;
    node
}

/// Runs a query while the node goes on, which needs the runtime of this thread.
async fn query(arguments: &[&str]) -> (i32, String, String) {
    let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
    let asked = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run(&arguments)
    });
    asked.await.expect("it ran")
}

#[tokio::test]
async fn query_answers_every_question_for_people_and_for_scripts() {
    let node = fed().await;
    let directory = format!("{}/directory", node.url);
    let costs = "{\"ipv4:192.0.2.1\":{\"ipv4:198.51.100.1\":5.5}}";
    for (question, table, script) in [
        (
            "directory",
            "filtered-costmap ",
            "\"default-alto-network-map\":",
        ),
        ("map", "isp-a:ams", "\"isp-a:fra\":[\"198.51.100.0/24\"]"),
        (
            "costs",
            "5.5",
            "\"isp-a:ams\":{\"isp-a:ams\":0.0,\"isp-a:fra\":5.5}",
        ),
        (
            "cost --src 192.0.2.1 --dst 198.51.100.1",
            "ipv4:198.51.100.1",
            costs,
        ),
        (
            "cost --src 192.0.2.1 --dst 203.0.113.1 198.51.100.1",
            "1 of 2 pairs have no cost.",
            costs,
        ),
        (
            "pid 192.0.2.1 2001:db8::1",
            "isp-a:ams",
            "\"ipv6:2001:db8::1\":\"isp-a:ams\"",
        ),
    ] {
        let mut asked = vec!["query", &directory];
        asked.extend(question.split(' '));
        let (code, out, err) = query(&asked).await;
        assert_eq!(code, 0, "{question}: {err}");
        assert!(out.contains(table), "{question}: {out}");
        asked.push("--json");
        let (code, out, err) = query(&asked).await;
        assert_eq!(code, 0, "{question}: {err}");
        serde_json::from_str::<Value>(&out).unwrap_or_else(|e| panic!("{e}: {out}"));
        assert!(out.contains(script), "{question}: {out}");
    }
    // A network map other than the default, chosen by its id.
    let (_, out, _) = query(&["query", &directory, "map", "--map", "isp-a:networkmap"]).await;
    assert!(out.contains("\n ams") || out.contains("ams "), "{out}");
}

#[tokio::test]
async fn query_says_why_it_has_no_answer() {
    let node = fed().await;
    let directory = format!("{}/directory", node.url);
    for (asked, words) in [
        (vec!["map", "--map", "nowhere"], "nowhere"),
        (vec!["costs", "--metric", "hopcount"], "hopcount"),
        (
            vec!["cost", "--metric", "tput", "--dst", "192.0.2.1"],
            "tput",
        ),
    ] {
        let mut arguments = vec!["query", &directory];
        arguments.extend(asked);
        let (code, out, err) = query(&arguments).await;
        assert_eq!((code, out.as_str()), (1, ""), "{arguments:?}: {err}");
        assert!(err.contains(words), "{arguments:?}: {err}");
    }
    let metrics = format!("{}/metrics", node.url);
    for server in ["http://127.0.0.1:1/directory", &metrics] {
        let (code, _, err) = query(&["query", server, "directory"]).await;
        assert_eq!(code, 1, "{err}");
        assert!(err.contains(server), "{err}");
    }
    let (code, _, err) = query(&[
        "query",
        &directory,
        "directory",
        "--token-env",
        "ALTOFED_TEST_UNSET",
    ])
    .await;
    assert_eq!(code, 2, "{err}");
    // The token was given there by mistake.
    assert!(
        err.contains("--token-env") && !err.contains("UNSET"),
        "{err}"
    );
}

/// Makes a client of a program.
async fn ask(url: &str, method: Method, secret: &str, path: &str, body: Option<&Value>) -> u16 {
    let request = plain_client().request(method, format!("{url}{path}"));
    let request = request.bearer_auth(secret);
    let request = match body {
        Some(body) => request
            .header("content-type", "application/json")
            .body(body.to_string()),
        None => request,
    };
    request.send().await.expect("an answer").status().as_u16()
}

#[track_caller]
fn serve(directory: &Path, more: &str) -> Program {
    Program::serve(directory, more).unwrap_or_else(|end| panic!("{}", end.log))
}

// Waiting for the program blocks a thread, while its client has to go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_verified_compacted_exported_and_imported() {
    let (first, second) = (TempDir::new(), TempDir::new());
    let (first, second) = (first.expect("a directory"), second.expect("a directory"));
    let program = serve(first.path(), "");
    let map = json!({"network-map": {"ams": {"ipv4": ["192.0.2.0/24"]}}});
    let put = "/n2s/v1/network-map";
    assert_eq!(
        ask(&program.url, Method::PUT, NOC, put, Some(&map)).await,
        201
    );

    let config = config_path(first.path());
    let store = |action: &[&str]| {
        let mut arguments = vec!["store"];
        arguments.extend(action);
        arguments.extend(["--config", path(&config)]);
        run(&arguments)
    };
    let (code, _, err) = store(&["verify"]);
    assert_ne!(code, 0, "a store in use was opened");
    assert!(err.contains("in use by another process"), "{err}");
    program.signal("TERM");
    assert_eq!(program.end().status.code(), Some(0));

    let (code, out, err) = store(&["verify", "--json"]);
    assert_eq!(code, 0, "{err}");
    let report: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        (&report["records"], &report["problems"]),
        (&json!(1), &json!([]))
    );
    let (code, out, err) = store(&["compact"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("bytes-after"), "{out}");
    let file = first.path().join("export");
    let (code, _, err) = store(&["export", path(&file)]);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = store(&["export", path(&file)]);
    assert_eq!(code, 1, "an export overwrote a file");
    assert!(err.contains(path(&file)), "{err}");

    write_config(second.path(), "");
    let config = config_path(second.path());
    let import = ["store", "import", path(&file), "--config", path(&config)];
    done(&import);
    let (code, _, err) = run(&import);
    assert_ne!(code, 0, "an import overwrote a store");
    assert!(err.contains("store"), "{err}");
    let program = serve(second.path(), "");
    assert_eq!(ask(&program.url, Method::GET, NOC, put, None).await, 200);
    program.signal("TERM");
    assert_eq!(program.end().status.code(), Some(0));
}

// Waiting for the program blocks a thread, while its client has to go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_reload_and_stop_the_program() {
    let directory = TempDir::new().expect("a directory");
    let program = serve(directory.path(), "");
    let open = |secret| {
        let url = program.url.clone();
        async move { ask(&url, Method::GET, secret, "/directory", None).await }
    };
    assert_eq!(open(CDN).await, 200);

    write_config(directory.path(), "[access]\nquery = \"token\"\n");
    program.signal("HUP");
    let read = program.logs("the configuration was reloaded", 0);
    assert_eq!(open(CDN).await, 200);
    assert_eq!(open("no-such-token").await, 401);

    write_config(directory.path(), "[access]\nquery = \"perhaps\"\n");
    program.signal("HUP");
    let read = program.logs("the configuration was not reloaded", read);
    program.logs("access.query: it cannot be this", 0);
    assert_eq!(open("no-such-token").await, 401, "a bad file took effect");

    write_config(directory.path(), "threads = 3\n");
    fs::write(
        config_path(directory.path()),
        fs::read_to_string(config_path(directory.path()))
            .expect("a file")
            .replace("isp-a", "isp-b"),
    )
    .expect("a file");
    program.signal("HUP");
    program.logs("the configuration was not reloaded", read);

    program.signal("TERM");
    let end = program.end();
    assert_eq!(end.status.code(), Some(0), "{}", end.log);
    assert!(end.log.contains("stopping"), "{}", end.log);
}

#[test]
fn the_log_is_json_where_asked_and_names_its_fields() {
    let directory = TempDir::new().expect("a directory");
    write_config(directory.path(), "");
    let config = config_path(directory.path());
    let program = Program::run(&config, &["--json", "-v", "--log-format", "json"]);
    let program = program.unwrap_or_else(|end| panic!("{}", end.log));
    let port = program
        .url
        .rsplit_once(':')
        .expect("a port")
        .1
        .parse::<u16>();
    assert!(port.is_ok_and(|port| port > 0), "{}", program.url);
    program.signal("INT");
    let end = program.end();
    assert_eq!(end.status.code(), Some(0), "{}", end.log);
    let line = end.log.lines().find(|line| line.contains("listening"));
    let entry: Value = serde_json::from_str(line.expect("a line")).expect("JSON");
    assert_eq!(entry["level"], "INFO");
    assert_eq!(entry["node"], "isp-a", "{entry}");
    for line in end.log.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(!line.contains(NOC), "a secret is logged");
    }
}

#[test]
fn the_demo_joins_ten_networks_asks_and_ends_though_its_address_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("an address");
    let taken = taken.local_addr().expect("an address").to_string();
    let said = done(&["demo", "--once", "--listen", &taken]);
    for words in [
        "taking a free port instead",
        "switch    knows 10 of 10 networks",
        "POST http://127.0.0.1:",
        "over internet2-new-york-geant-amsterdam",
        "ms later a client that watches the answer at DFN's node is told (update stream)",
        "over internet2-new-york-geant-london",
        "ipv4:188.184.1.1 is held by several networks",
        "0 statements do not fit together",
    ] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    let urls = said.lines().filter(|line| line.ends_with("/directory"));
    assert_eq!(urls.count(), 10, "{said}");
}
