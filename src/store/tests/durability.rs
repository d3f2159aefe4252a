use std::{
    io::{self, BufRead, BufReader, Write},
    process::{Command, Stdio},
    sync::mpsc,
};

use super::*;

const KEYS: Table = Table::new("keys");

fn checked(check: impl FnMut() -> io::Result<()> + Send + 'static) -> Durability {
    Durability::Checked(Box::new(check))
}

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_durable() {
    let home = Home::new();
    let (reached, syncs) = mpsc::channel();
    let (permit, permits) = mpsc::channel();
    let durability = checked(move || {
        reached.send(()).unwrap();
        permits.recv().map_err(io::Error::other)
    });
    let opened = Store::open_with(
        &home.path(),
        &Settings::default(),
        durability,
        FreeSpace::real(),
    )
    .unwrap();
    let store = opened.store;
    let first = tokio::spawn(store.submit(commit(1)).await.unwrap().durable());
    syncs.recv().unwrap();
    let mut others = Vec::new();
    for revision in 2..=20 {
        others.push(tokio::spawn(
            store.submit(commit(revision)).await.unwrap().durable(),
        ));
    }
    tokio::task::yield_now().await;
    assert!(!first.is_finished());
    permit.send(()).unwrap();
    assert_eq!(first.await.unwrap().unwrap().revision, 1);
    // The 19 that came meanwhile are one group: one more sync acknowledges them all.
    syncs.recv().unwrap();
    assert!(others.iter().all(|other| !other.is_finished()));
    permit.send(()).unwrap();
    for other in others {
        other.await.unwrap().unwrap();
    }
    permit.send(()).unwrap();
    store.close().await.unwrap();
    assert_eq!(syncs.iter().count(), 1, "closing syncs once");
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_acknowledged_and_everybody_is_told() {
    let home = Home::new();
    let mut syncs = 0;
    let durability = checked(move || {
        syncs += 1;
        if syncs > 1 {
            Err(io::Error::other("the disk is on fire"))
        } else {
            Ok(())
        }
    });
    let opened = Store::open_with(
        &home.path(),
        &Settings::default(),
        durability,
        FreeSpace::real(),
    )
    .unwrap();
    let store = opened.store;
    store.commit(commit(1)).await.unwrap();
    let (commit_2, put) = tokio::join!(
        store.commit(commit(2)),
        store.put(vec![(KEYS, Vec::new(), Some(Vec::new()))]),
    );
    assert!(commit_2.is_err() && put.is_err());
    let told = [
        commit_2.map(drop),
        put,
        Err(store.failed().await),
        store.commit(commit(3)).await.map(drop),
        store.record(1).await.map(drop),
        store.close().await,
    ];
    for answer in told {
        match answer {
            Err(StoreError::Fatal(why)) => assert!(why.contains("the disk is on fire"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_panic_in_the_database_is_a_failure_and_no_end_of_the_process() {
    let home = Home::new();
    let durability = checked(|| panic!("a bug in the database"));
    let opened = Store::open_with(
        &home.path(),
        &Settings::default(),
        durability,
        FreeSpace::real(),
    )
    .unwrap();
    match opened.store.commit(commit(1)).await {
        Err(StoreError::Fatal(why)) => assert!(why.contains("a bug in the database"), "{why}"),
        other => panic!("{other:?}"),
    }
}

/// The child of the tests below: commits for ever to the store in `ALTOFED_TEST_STORE`, and
/// says so on its standard output once a commit is acknowledged.
#[tokio::test]
#[ignore = "run by other tests in a process of its own"]
async fn commit_for_ever() {
    let Some(directory) = std::env::var_os("ALTOFED_TEST_STORE") else {
        return;
    };
    let opened = Store::open(Path::new(&directory), &Settings::default()).unwrap();
    assert_eq!(opened.quarantine, None);
    let first = opened.head.map_or(0, |head| head.revision) + 1;
    for revision in first.. {
        let change = replace(commit(revision), "map", rows(30, 900, revision));
        let change = replace(change, "same", rows(100, 900, 1));
        let key = (
            KEYS,
            vec![revision as u8],
            Some(revision.to_be_bytes().to_vec()),
        );
        let change = Commit {
            table: vec![key],
            ..change
        };
        match opened.store.commit(change).await {
            Ok(_) => println!("acknowledged {revision}"),
            Err(error) => {
                println!("failed {error}");
                println!("told {}", opened.store.failed().await);
                io::stdout().flush().unwrap();
                std::process::exit(7);
            }
        }
    }
}

/// Returns a command that runs [`commit_for_ever`] on the store at `home`.
fn committing(home: &Home, shell: &str) -> Command {
    let mut command = Command::new("sh");
    let program = std::env::current_exe().unwrap();
    let script = format!(r#"{shell} exec "$0" "$@""#);
    command.args(["-c", &script]).arg(program);
    command.args([
        "store::tests::durability::commit_for_ever",
        "--exact",
        "--ignored",
    ]);
    command.args(["--nocapture", "--test-threads=1"]);
    command
        .env("ALTOFED_TEST_STORE", home.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

fn acknowledged(line: &str) -> Option<u64> {
    line.split_once("acknowledged ")?.1.parse().ok()
}

/// Checks that the store holds what [`commit_for_ever`] wrote.
async fn check_committed(home: &Home, acknowledged: u64) {
    let store = home.store();
    let head = store.records(acknowledged, 1_000).await.unwrap();
    let head = head.last().map_or(acknowledged, |record| record.revision);
    for revision in head.saturating_sub(20).max(1)..=head {
        let record = store.record(revision).await.unwrap();
        let contents = contents(&store, &record).await;
        assert_eq!(contents["map"], rows(30, 900, revision).concat());
        assert_eq!(contents["same"], rows(100, 900, 1).concat());
        let row = store.table_get(KEYS, &[revision as u8]).await.unwrap();
        assert_eq!(row.unwrap(), revision.to_be_bytes());
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let home = Home::new();
    let rounds = if std::env::var_os("ALTOFED_HEAVY").is_some() {
        40
    } else {
        4
    };
    let mut last = 0;
    for round in 1..=rounds {
        let mut child = committing(&home, "").spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap);
        let mut seen = 0;
        for line in lines {
            let Some(revision) = acknowledged(&line) else {
                continue;
            };
            assert!(revision > last);
            last = revision;
            seen += 1;
            if seen == round * 17 % 90 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        check_committed(&home, last).await;
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_what_was_acknowledged_before_is_there() {
    let home = Home::new();
    home.store().close().await.unwrap();
    // A limit on the size of files stands in for the end of the disk: 4 MiB in blocks of 512.
    let mut child = committing(&home, "trap '' XFSZ; ulimit -f 8192;")
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let lines: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(7), "{:?}", lines.last());
    let last = lines
        .iter()
        .filter_map(|line| acknowledged(line))
        .max()
        .unwrap();
    let told: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("the store failed"))
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    check_committed(&home, last).await;
}
