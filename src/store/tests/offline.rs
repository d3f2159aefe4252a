use super::*;
use crate::ident::Digest;

const KEYS: Table = Table::new("keys");

/// Creates a store with some history; returns its records too.
async fn used() -> (Home, Vec<Arc<Record>>) {
    let home = Home::new();
    let store = home.open_keeping(8).store;
    let mut records = commit_many(&store, 1..=30).await;
    let mut last = replace(
        commit(31),
        "bytes",
        vec![vec![0xFF; 9_000], b"\"\n".to_vec()],
    );
    last.body = vec![0, 0xC3, 0x28];
    last.table
        .push((KEYS, b"text".to_vec(), Some(b"v".to_vec())));
    last.table.push((KEYS, vec![0xFF], Some(vec![0xFE])));
    records.push(store.commit(last).await.unwrap());
    store
        .put(vec![(KEYS, b"later".to_vec(), Some(Vec::new()))])
        .await
        .unwrap();
    store.close().await.unwrap();
    (home, records)
}

fn exported(home: &Home) -> Vec<u8> {
    let mut out = Vec::new();
    export(&home.path(), &mut out, &mut |_| {}).unwrap();
    out
}

/// Asserts that both stores hold the same records, documents and rows.
async fn assert_same(one: &Home, other: &Home) {
    let (one, other) = (one.open_keeping(8), other.open_keeping(8));
    assert_eq!((&one.quarantine, &other.quarantine), (&None, &None));
    assert_eq!(one.head, other.head);
    let mut kept = 0;
    for revision in 1..=one.head.unwrap().revision {
        match (
            one.store.record(revision).await,
            other.store.record(revision).await,
        ) {
            (Ok(a), Ok(b)) => {
                assert_eq!(a, b);
                assert_eq!(
                    contents(&one.store, &a).await,
                    contents(&other.store, &b).await
                );
                kept += 1;
            }
            (
                Err(StoreError::Pruned { oldest: a, .. }),
                Err(StoreError::Pruned { oldest: b, .. }),
            ) => {
                assert_eq!(a, b);
            }
            (a, b) => panic!("{a:?} {b:?}"),
        }
    }
    assert!(kept >= 8);
    let rows = one.store.table_scan(KEYS).await.unwrap();
    assert_eq!(
        (rows.len(), &rows),
        (3, &other.store.table_scan(KEYS).await.unwrap())
    );
    one.store.close().await.unwrap();
    other.store.close().await.unwrap();
}

#[tokio::test]
async fn an_export_loads_into_an_equal_store() {
    let (home, records) = used().await;
    let export = exported(&home);
    let copy = Home::new();
    let mut done = Vec::new();
    import(&copy.path(), &mut &export[..], &mut |progress| {
        done.push(progress.done)
    })
    .unwrap();
    assert_eq!(done, (1..=done.len() as u64).collect::<Vec<_>>());
    assert_same(&home, &copy).await;
    assert_eq!(exported(&copy), export);
    let opened = copy.open_keeping(8);
    assert_eq!(opened.head.as_ref(), records.last());
    opened.store.commit(commit(32)).await.unwrap();
}

#[tokio::test]
async fn chunks_that_documents_share_are_exported_once() {
    let (home, _) = used().await;
    let export = String::from_utf8(exported(&home)).unwrap();
    let mut lines: Vec<_> = export
        .lines()
        .filter(|line| line.starts_with("{\"chunk\""))
        .collect();
    let count = lines.len();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), count);
    assert!(export.len() < 700_000, "{}", export.len());
}

#[tokio::test]
async fn a_wrong_export_leaves_the_directory_as_it_was() {
    let (home, _) = used().await;
    let export = exported(&home);
    let text = String::from_utf8(export.clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let without = |index: usize| {
        let mut lines = lines.clone();
        lines.remove(index);
        lines.join("\n") + "\n"
    };
    let record = lines
        .iter()
        .position(|line| line.starts_with("{\"record\""))
        .unwrap();
    let wrong = [
        String::new(),
        text[..text.len() / 2].to_owned(),
        without(0),
        without(1),
        without(record),
        without(lines.len() - 2),
        without(lines.len() - 1),
        text.clone() + "x",
        text.replacen("body", "bode", 1),
        text.replacen("body 2", "body 3", 1),
        text.replacen("\"format\":1", "\"format\":2", 1),
        "{\"store\":".to_owned(),
    ];
    // Someone who knows how to write a trailer changed a line.
    let forged = wrong_bodies(&text);
    for wrong in wrong.into_iter().chain(forged) {
        let copy = Home::new();
        let refused = import(&copy.path(), &mut wrong.as_bytes(), &mut |_| {});
        assert!(
            matches!(refused, Err(StoreError::Import { .. })),
            "{refused:?}"
        );
        assert!(!copy.path().join("sled").exists());
        import(&copy.path(), &mut &export[..], &mut |_| {}).unwrap();
    }
}

/// Returns exports with something in the last record changed, and a trailer that fits.
fn wrong_bodies(text: &str) -> Vec<String> {
    let (lines, _) = text.trim_end().rsplit_once('\n').unwrap();
    let changes = [
        ("body 30", "body 3O"),
        ("\"bytes\":", "\"bites\":"),
        ("\"puts\":0", "\"puts\":1"),
    ];
    let changed = changes.map(|(from, to)| {
        assert!(lines.contains(from), "{from}");
        let lines = lines.replacen(from, to, 1) + "\n";
        let digest = Digest::of_parts(&[lines.as_bytes()]);
        let count = lines.lines().count();
        format!("{lines}{{\"end\":{{\"lines\":{count},\"digest\":\"{digest}\"}}}}\n")
    });
    changed.to_vec()
}

#[tokio::test]
async fn an_import_does_not_touch_a_store_that_is_there() {
    let (home, records) = used().await;
    let export = exported(&home);
    let refused = import(&home.path(), &mut &export[..], &mut |_| {});
    assert!(matches!(refused, Err(StoreError::Exists(_))));
    assert_eq!(home.open_keeping(8).head.as_ref(), records.last());
}

#[tokio::test]
async fn compacting_keeps_everything_and_frees_the_rest() {
    let (home, _) = used().await;
    let copy = Home::new();
    copy_directory(&home.path(), &copy.path());
    let compacted = compact(&home.path(), &mut |_| {}).unwrap();
    assert!(compacted.after < compacted.before, "{compacted:?}");
    assert_same(&home, &copy).await;
    let again = compact(&home.path(), &mut |_| {}).unwrap();
    assert!(
        again.after <= again.before && again.before <= compacted.before,
        "{again:?}"
    );
    assert_same(&home, &copy).await;
    let left = fs::read_dir(home.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| {
        ["lock", "reserve", "sled", "witness"]
            .iter()
            .any(|n| name == *n)
    }));
}

#[tokio::test]
async fn verifying_counts_what_is_there() {
    let (home, _) = used().await;
    let mut last = None;
    let report = verify(&home.path(), &mut |progress| last = Some(progress)).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!(
        last,
        Some(Progress {
            done: report.records,
            total: Some(report.records)
        })
    );
    assert!((8..=10).contains(&report.records), "{report:?}");
    assert!(
        report.documents >= 10 && report.chunks > 30 && report.bytes > 120_000,
        "{report:?}"
    );
}

#[tokio::test]
async fn verifying_a_damaged_store_reports_it_and_leaves_what_can_be_saved() {
    let (home, records) = used().await;
    let file = home.path().join("sled/db");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 2_000].fill(0);
    fs::write(&file, bytes).unwrap();
    let report = verify(&home.path(), &mut |_| {}).unwrap();
    assert_eq!(report.problems.len(), 1, "{report:?}");
    let copy = Home::new();
    copy_directory(&home.path(), &copy.path());
    let opened = copy.open_keeping(8);
    assert!(opened.quarantine.is_some());
    assert_eq!(opened.head.as_ref(), records.last());
}

#[test]
fn what_is_no_store_is_refused_and_not_made_one() {
    let home = Home::new();
    let refused = [
        verify(&home.path(), &mut |_| {}).map(drop),
        compact(&home.path(), &mut |_| {}).map(drop),
        export(&home.path(), &mut Vec::new(), &mut |_| {}),
    ];
    for refused in refused {
        assert!(
            matches!(refused, Err(StoreError::NotAStore { .. })),
            "{refused:?}"
        );
    }
    assert!(!home.path().exists());
}
