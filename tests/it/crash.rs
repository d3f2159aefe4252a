//! What is left after a node, its disk or its data was damaged.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use altofed::store::Durability;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::support::{JSON, NOC, NOC2, OPS, Program, TestNode, config_path, plain_client};

/// The sources that write, each with its own facts.
const WRITERS: [(&str, &str); 3] = [("noc", NOC), ("noc2", NOC2), ("ops", OPS)];

/// All revisions are kept, so that all can be checked.
const MORE: &str = "[store]\nkeep_revisions = 1000000\n[limits]\nrequests_per_second = 0\n";

/// How often a slow kind of damage is done.
fn times(usual: usize, heavy: usize) -> usize {
    match std::env::var_os("ALTOFED_HEAVY") {
        Some(_) => heavy,
        None => usual,
    }
}

/// A generator of numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// What a writer has written.
#[derive(Clone, Copy, Default)]
struct Written {
    /// The number of the last write that was sent.
    sent: u64,
    /// The number and the revision of the last one that was acknowledged.
    acknowledged: Option<(u64, u64)>,
}

/// Makes a transaction that changes two documents together: both state `number`.
fn transaction(writer: usize, number: u64) -> Value {
    // Now and then the document has many chunks.
    let long = "x".repeat(if number.is_multiple_of(5) {
        100_000
    } else {
        10
    });
    json!({"operations": [
        {"op": "put", "path": "network-map", "value": {"network-map": {
            format!("w{writer}-{number}"): {"ipv4": [format!("10.{writer}.0.0/16")]},
        }}},
        {"op": "put", "path": "properties", "value": {"property-map": {
            format!("ipv4:10.{writer}.0.1"): {"priv:number": number, "priv:long": long},
        }}},
    ]})
}

async fn get(client: &Client, url: &str, secret: &str, path: &str) -> Option<Value> {
    let request = client.get(format!("{url}/n2s/v1/{path}"));
    let answer = request.bearer_auth(secret).send().await.expect("an answer");
    match answer.status().as_u16() {
        404 => None,
        200 => {
            let text = answer.bytes().await.expect("a body");
            Some(serde_json::from_slice(&text).expect("JSON"))
        }
        status => panic!("{path}: {status}"),
    }
}

/// Returns the number that both documents of a writer state; they must agree.
async fn stated(client: &Client, url: &str, writer: usize) -> u64 {
    let secret = WRITERS[writer].1;
    let network = get(client, url, secret, "network-map").await;
    let properties = get(client, url, secret, "properties").await;
    let pid = network.as_ref().and_then(|map| {
        let pids = map["network-map"].as_object()?;
        assert_eq!(pids.len(), 1);
        pids.keys().next()?.split_once('-')?.1.parse().ok()
    });
    let number = properties.as_ref().and_then(|map| {
        let entity = &map["property-map"][format!("ipv4:10.{writer}.0.1")];
        entity["priv:number"].as_u64()
    });
    assert_eq!(pid, number, "the documents of writer {writer} are torn");
    number.unwrap_or(0)
}

/// Returns the principal of every revision, and checks that they are numbered from 1 on without
/// a gap.
async fn revisions(client: &Client, url: &str) -> Vec<String> {
    let mut principals = Vec::new();
    loop {
        let path = format!("revisions?after={}", principals.len());
        let page = get(client, url, OPS, &path).await.expect("a list");
        let list = page["revisions"].as_array().expect("a list");
        if list.is_empty() {
            assert_eq!(page["newest"], principals.len());
            return principals;
        }
        for revision in list {
            assert_eq!(revision["revision"], principals.len() + 1);
            principals.push(revision["principal"].as_str().expect("a name").to_owned());
        }
    }
}

/// Lets all writers write until the node is gone. Calls `killed` once `until` writes were
/// acknowledged.
async fn write_until_gone(
    client: &Client,
    url: &str,
    written: &mut [Written; 3],
    until: u64,
    kill: impl FnOnce(),
) {
    let acknowledged = Arc::new((AtomicU64::new(0), Notify::new()));
    let writers = (0..WRITERS.len()).map(|writer| {
        let (client, mut state) = (client.clone(), written[writer]);
        let url = format!("{url}/n2s/v1/transaction");
        let acknowledged = acknowledged.clone();
        tokio::spawn(async move {
            loop {
                state.sent += 1;
                let request = client.post(&url).bearer_auth(WRITERS[writer].1);
                let body = transaction(writer, state.sent).to_string();
                let request = request.header("content-type", JSON).body(body);
                let Ok(answer) = request.send().await else {
                    return state;
                };
                let status = answer.status();
                let Ok(text) = answer.bytes().await else {
                    return state;
                };
                assert!(status.is_success(), "{status} {text:?}");
                let answer: Value = serde_json::from_slice(&text).expect("JSON");
                let revision = answer["revision"].as_u64().expect("a number");
                state.acknowledged = Some((state.sent, revision));
                acknowledged.0.fetch_add(1, Ordering::SeqCst);
                acknowledged.1.notify_one();
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    while acknowledged.0.load(Ordering::SeqCst) < until {
        acknowledged.1.notified().await;
    }
    kill();
    for (writer, ended) in writers.into_iter().enumerate() {
        written[writer] = ended.await.expect("a writer");
    }
}

// Waiting for the program blocks a thread, while its client has to go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_moment_loses_nothing_acknowledged_and_tears_nothing() {
    let directory = TempDir::new().expect("a directory");
    let serve = || {
        let program = Program::serve(directory.path(), MORE);
        program.unwrap_or_else(|end| panic!("{}", end.log))
    };
    let client = plain_client();
    let mut written = [Written::default(); 3];
    let mut dice = Dice(0x5eed);
    let mut known: Vec<String> = Vec::new();
    for round in 0..times(5, 50) {
        let program = serve();
        let url = program.url.clone();
        let now = revisions(&client, &url).await;
        assert_eq!(now[..known.len()], known, "round {round}");
        for (writer, written) in written.iter_mut().enumerate() {
            let number = stated(&client, &url, writer).await;
            let (last, revision) = written.acknowledged.unwrap_or_default();
            assert!(number >= last, "writer {writer} lost {last}, has {number}");
            assert!(
                number <= written.sent,
                "writer {writer}: {number} from nowhere"
            );
            if revision > 0 {
                assert_eq!(now[revision as usize - 1], WRITERS[writer].0);
            }
            // A write that was not acknowledged may or may not have been done.
            written.sent = number;
        }
        // The published view is that of the newest revision.
        let page = client
            .get(format!("{url}/metrics"))
            .send()
            .await
            .expect("an answer");
        let metrics = page.text().await.expect("text");
        assert!(metrics.contains(&format!("altofed_publish_revision {}\n", now.len())));
        known = now;
        let until = dice.below(40);
        write_until_gone(&client, &url, &mut written, until, || program.kill()).await;
    }
    let program = serve();
    assert!(revisions(&client, &program.url).await.len() >= known.len());
    program.signal("TERM");
    let end = program.end();
    assert_eq!(end.status.code(), Some(0), "{}", end.log);
    assert!(!end.log.contains("panicked"), "{}", end.log);
}

/// A disk that can be made to fail, or to wait.
fn disk() -> (Durability, Arc<AtomicBool>) {
    let broken = Arc::new(AtomicBool::new(false));
    let fails = broken.clone();
    let check = move || {
        if fails.load(Ordering::SeqCst) {
            Err(io::Error::other("the disk is on fire"))
        } else {
            Ok(())
        }
    };
    (Durability::Checked(Box::new(check)), broken)
}

fn map(pid: &str) -> Value {
    json!({"network-map": {pid: {"ipv4": ["0.0.0.0/0"]}}})
}

#[tokio::test]
async fn a_store_that_fails_ends_acknowledgements() {
    let (durability, broken) = disk();
    let mut node = TestNode::failing(durability).await;
    node.put("network-map", &map("ams")).await;
    broken.store(true, Ordering::SeqCst);
    let put = |node: &TestNode| node.n2s(NOC, Method::PUT, "network-map", Some(&map("fra")));
    for _ in 0..3 {
        let refused = put(&node).send().await;
        // It is refused at once, not when the request has taken too long.
        let problem = refused.problem(503, &[]);
        assert_eq!(problem["type"], "urn:altofed:problem:store");
        assert!(refused.header("retry-after").parse::<u64>().is_ok());
    }
    let failed = node.node().failed().await.to_string();
    assert!(failed.contains("the disk is on fire"), "{failed}");
    // A disk that recovers changes nothing: its content is not known.
    broken.store(false, Ordering::SeqCst);
    put(&node).send().await.problem(503, &[]);
    // Known data is still served, and only that.
    let map_served = node.get("/views/isp-a/networkmap").await.json();
    assert_eq!(map_served["network-map"], map("ams")["network-map"]);
    assert_eq!(node.stated("network-map").await.json(), map("ams"));

    // The process has to end to release its files; another one has the same content.
    let directory = TempDir::new().expect("a directory");
    copy(&node.data().join("store"), &directory.path().join("store"));
    let program =
        Program::serve(directory.path(), MORE).unwrap_or_else(|end| panic!("{}", end.log));
    let left = get(&plain_client(), &program.url, NOC, "network-map").await;
    let left = left.expect("what was acknowledged");
    assert!(left == map("ams") || left == map("fra"), "{left}");
}

#[tokio::test]
async fn nothing_is_acknowledged_or_seen_before_it_is_durable() {
    let (reached, at_disk) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let armed = Arc::new(AtomicBool::new(false));
    let holds = armed.clone();
    let check = move || {
        if !holds.load(Ordering::SeqCst) {
            return Ok(());
        }
        reached.send(()).expect("the test waits");
        // Closed when the test is over.
        let _ = released.lock().expect("one thread").recv();
        Ok(())
    };
    let node = TestNode::failing(Durability::Checked(Box::new(check))).await;
    node.signed().await;
    armed.store(true, Ordering::SeqCst);
    let body = map("ams");
    let put = node
        .n2s(NOC, Method::PUT, "network-map", Some(&body))
        .send();
    let watch = async {
        let at_disk = tokio::task::spawn_blocking(move || at_disk.recv());
        at_disk.await.expect("it ran").expect("the write comes");
        node.stated("network-map").await.problem(404, &[]);
        let metrics = node.get("/metrics").await;
        assert!(metrics.text().contains("\naltofed_ingest_revision 0\n"));
        let served = node.get("/views/isp-a/networkmap").await.json();
        assert_eq!(served["network-map"], json!({}));
        armed.store(false, Ordering::SeqCst);
        release.send(()).expect("the store waits");
        release
    };
    tokio::pin!(put);
    let release = tokio::select! {
        biased;
        answer = &mut put => panic!("{answer:?} before it was durable"),
        release = watch => release,
    };
    assert_eq!(put.await.status, 201);
    assert_eq!(node.stated("network-map").await.json(), body);
    drop(release);
}

/// Expects the program to end at its start with exit code 3 and these words.
#[track_caller]
fn refuses(directory: &Path, words: &str) {
    let end = match Program::serve(directory, MORE) {
        Ok(program) => panic!("it serves at {}", program.url),
        Err(end) => end,
    };
    assert_eq!(end.status.code(), Some(3), "{}", end.log);
    assert!(end.log.contains(words), "{}", end.log);
    assert!(!end.log.contains("panicked"), "{}", end.log);
}

#[test]
fn a_store_that_cannot_be_opened_is_exit_code_3() {
    let directory = TempDir::new().expect("a directory");
    let store = directory.path().join("store");
    fs::write(&store, "a file").expect("a file");
    refuses(directory.path(), "store");
    fs::remove_file(&store).expect("it is there");
    fs::create_dir(&store).expect("a directory");
    fs::write(store.join("thesis.tex"), "years of work").expect("a file");
    refuses(directory.path(), "thesis.tex");
    fs::remove_dir_all(&store).expect("it is there");

    let first = Program::serve(directory.path(), MORE).unwrap_or_else(|end| panic!("{}", end.log));
    refuses(directory.path(), "in use by another process");
    assert!(config_path(directory.path()).exists());
    first.kill();
    let again = Program::serve(directory.path(), MORE);
    assert!(again.is_ok(), "the lock of a killed process is free");
}

/// Makes a store with some revisions, closed properly.
async fn filled() -> (TempDir, u64) {
    let directory = TempDir::new().expect("a directory");
    let program =
        Program::serve(directory.path(), MORE).unwrap_or_else(|end| panic!("{}", end.log));
    let client = plain_client();
    let mut count = 0;
    for number in 1..=6 {
        for (writer, (_, secret)) in WRITERS.iter().enumerate() {
            let request = client.post(format!("{}/n2s/v1/transaction", program.url));
            let request = request.bearer_auth(secret).header("content-type", JSON);
            let body = transaction(writer, number).to_string();
            let answer = request.body(body).send().await.expect("an answer");
            assert!(answer.status().is_success());
            count += 1;
        }
    }
    program.signal("TERM");
    assert_eq!(program.end().status.code(), Some(0));
    (directory, count)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory").flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target)
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// Returns every file below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        if entry.file_type().expect("a type").is_dir() {
            all.extend(files(&entry.path()))
        } else {
            all.push(entry.path())
        }
    }
    all.sort();
    all
}

/// Starts the program on a damaged store: it serves what is sound and reports what is not, or
/// refuses to start. Returns what happened.
async fn start_damaged(directory: &Path, count: u64, harm: &str) -> &'static str {
    let program = match Program::serve(directory, MORE) {
        Ok(program) => program,
        Err(end) => {
            assert_eq!(end.status.code(), Some(3), "{harm}: {}", end.log);
            assert!(end.log.contains("altofed: "), "{harm}: {}", end.log);
            assert!(!end.log.contains("panicked"), "{harm}: {}", end.log);
            return "refused";
        }
    };
    let client = plain_client();
    let mut left = BTreeMap::new();
    for writer in 0..WRITERS.len() {
        left.insert(writer, stated(&client, &program.url, writer).await);
    }
    let newest = get(&client, &program.url, OPS, "revisions?after=1000000").await;
    let newest = newest.expect("a list")["newest"]
        .as_u64()
        .expect("a number");
    // It takes writes again.
    let request = client.post(format!("{}/n2s/v1/transaction", program.url));
    let request = request.bearer_auth(NOC).header("content-type", JSON);
    let body = transaction(0, 99).to_string();
    let answer = request.body(body).send().await.expect("an answer");
    assert!(answer.status().is_success(), "{harm}: {answer:?}");
    program.signal("TERM");
    let end = program.end();
    assert_eq!(end.status.code(), Some(0), "{harm}: {}", end.log);
    assert!(!end.log.contains("panicked"), "{harm}: {}", end.log);
    let all = left.values().all(|&number| number == 6);
    match newest == count {
        true => {
            assert!(all, "{harm}: {left:?}");
            "whole"
        }
        false => {
            assert!(newest < count, "{harm}: {newest}");
            assert!(end.log.contains("ERROR"), "{harm}: {}", end.log);
            assert!(end.log.contains("quarantine"), "{harm}: {}", end.log);
            "cut"
        }
    }
}

// Waiting for the program blocks a thread, while its client has to go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_store_serves_what_is_sound_or_refuses_and_never_panics() {
    let (directory, count) = filled().await;
    let sound = directory.path().join("store");
    let names: Vec<PathBuf> = files(&sound)
        .into_iter()
        .filter(|file| fs::metadata(file).is_ok_and(|file| file.len() > 0))
        .map(|file| file.strip_prefix(&sound).expect("below").to_owned())
        .collect();
    assert!(!names.is_empty());
    let mut dice = Dice(0xd1ce);
    let mut outcomes: BTreeMap<&str, u32> = BTreeMap::new();
    for round in 0..times(3, 30) {
        for name in &names {
            for truncated in [true, false] {
                let case = TempDir::new().expect("a directory");
                let store = case.path().join("store");
                copy(&sound, &store);
                let file = store.join(name);
                let mut bytes = fs::read(&file).expect("a file");
                // A database reserves more than it uses.
                let used = bytes.iter().rposition(|&byte| byte != 0).unwrap_or(0);
                let at = dice.below(used as u64 + 1) as usize;
                match truncated {
                    true => bytes.truncate(at),
                    false => {
                        let upto = bytes.len().min(at + 1 + dice.below(64) as usize);
                        bytes[at..upto].iter_mut().for_each(|byte| *byte ^= 0x5a);
                    }
                }
                fs::write(&file, bytes).expect("a file");
                let kind = if truncated { "truncated" } else { "flipped" };
                let harm = format!("round {round}: {} {kind} at {at}", name.display());
                let outcome = start_damaged(case.path(), count, &harm).await;
                *outcomes.entry(outcome).or_default() += 1;
            }
        }
    }
    let harmed: u32 = outcomes.values().sum();
    assert!(
        outcomes.get("whole").copied().unwrap_or(0) < harmed,
        "no harm was done"
    );
}
