use proptest::prelude::*;

use super::*;
use crate::ident::Digest;

const KEYS: Table = Table::new("keys");
const PEERS: Table = Table::new("peers");

#[tokio::test]
async fn a_commit_reads_back_after_a_restart() {
    let home = Home::new();
    let store = home.store();
    let mut first = replace(commit(1), "map", vec![b"one ".to_vec(), b"two".to_vec()]);
    first
        .table
        .push((KEYS, b"key".to_vec(), Some(b"value".to_vec())));
    let record = store.commit(first).await.unwrap();
    assert_eq!((record.revision, record.previous), (1, Digest::ZERO));
    store.close().await.unwrap();
    let opened = home.open();
    assert_eq!(opened.head, Some(record.clone()));
    assert_eq!(opened.store.record(1).await.unwrap(), *record);
    assert_eq!(contents(&opened.store, &record).await["map"], b"one two");
    assert_eq!(
        opened.store.table_get(KEYS, b"key").await.unwrap().unwrap(),
        b"value"
    );
}

#[tokio::test]
async fn an_empty_store_has_no_head() {
    let home = Home::new();
    let opened = home.open();
    assert_eq!(opened.head, None);
    assert!(matches!(
        opened.store.record(1).await,
        Err(StoreError::Unknown {
            revision: 1,
            newest: 0
        })
    ));
    assert_eq!(opened.store.records(0, 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_revision_out_of_order_is_refused_and_leaves_no_trace() {
    let home = Home::new();
    let store = home.store();
    store.commit(commit(1)).await.unwrap();
    for given in [0, 1, 3, u64::MAX] {
        let mut wrong = replace(commit(given), "map", rows(1, 10, 1));
        wrong.table.push((KEYS, b"key".to_vec(), Some(Vec::new())));
        match store.commit(wrong).await {
            Err(StoreError::OutOfOrder {
                given: told,
                head: 1,
            }) => assert_eq!(told, given),
            other => panic!("{other:?}"),
        }
    }
    let record = store.commit(commit(2)).await.unwrap();
    assert!(record.documents.is_empty());
    assert_eq!(store.table_get(KEYS, b"key").await.unwrap(), None);
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let home = Home::new();
    let store = home.store();
    let body = Commit {
        body: vec![0; MAX_BODY + 1],
        ..commit(1)
    };
    let name = replace(commit(1), &"n".repeat(MAX_NAME + 1), Vec::new());
    let value = (KEYS, Vec::new(), Some(vec![0; MAX_VALUE + 1]));
    let value = Commit {
        table: vec![value],
        ..commit(1)
    };
    let count = Commit {
        table: vec![(KEYS, Vec::new(), None); MAX_CHANGES + 1],
        ..commit(1)
    };
    for wrong in [body, name, value, count] {
        assert!(matches!(
            store.commit(wrong).await,
            Err(StoreError::TooLarge { .. })
        ));
    }
    let many = (0..2_u8)
        .map(|n| (KEYS, vec![n], Some(vec![0; MAX_VALUE])))
        .collect();
    assert!(matches!(
        store.put(many).await,
        Err(StoreError::TooLarge { .. })
    ));
    assert!(store.commit(commit(1)).await.is_ok());
}

#[tokio::test]
async fn the_largest_parts_are_stored() {
    let home = Home::new();
    let store = home.store();
    let mut large = Commit {
        body: vec![0xFF; MAX_BODY],
        ..commit(1)
    };
    for n in 0..2_000_u32 {
        large
            .documents
            .push((format!("{n:0>255}"), Some(vec![n.to_be_bytes().to_vec()])));
        large
            .table
            .push((KEYS, n.to_be_bytes().to_vec(), Some(vec![1; MAX_VALUE])));
    }
    let record = store.commit(large.clone()).await.unwrap();
    assert_eq!(store.record(1).await.unwrap(), *record);
    assert_eq!(record.body, large.body);
    assert_eq!(store.table_scan(KEYS).await.unwrap().len(), 2_000);
    store
        .put(vec![(PEERS, vec![1; MAX_KEY], Some(vec![2; MAX_VALUE]))])
        .await
        .unwrap();
    store.close().await.unwrap();
    assert_eq!(home.open().head, Some(record));
}

#[tokio::test]
async fn tables_keep_apart_and_list_their_rows_in_order() {
    let home = Home::new();
    let store = home.store();
    let set = |table, key: &str| {
        (
            table,
            key.as_bytes().to_vec(),
            Some(key.as_bytes().to_vec()),
        )
    };
    store
        .put(vec![set(KEYS, "b"), set(KEYS, "a"), set(PEERS, "c")])
        .await
        .unwrap();
    let row = |key: &str| (key.as_bytes().to_vec(), key.as_bytes().to_vec());
    assert_eq!(store.table_scan(KEYS).await.unwrap(), [row("a"), row("b")]);
    assert_eq!(store.table_scan(PEERS).await.unwrap(), [row("c")]);
    assert_eq!(store.table_scan(Table::new("key")).await.unwrap(), []);
    store.put(vec![(KEYS, b"a".to_vec(), None)]).await.unwrap();
    assert_eq!(store.table_scan(KEYS).await.unwrap(), [row("b")]);
}

#[tokio::test]
async fn records_are_listed_from_a_revision_on() {
    let home = Home::new();
    let store = home.store();
    for revision in 1..=5 {
        store.commit(commit(revision)).await.unwrap();
    }
    let revisions = |after, limit| {
        let store = store.clone();
        async move {
            let records = store.records(after, limit).await.unwrap();
            records
                .iter()
                .map(|record| record.revision)
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(revisions(0, 2).await, [1, 2]);
    assert_eq!(revisions(3, 10).await, [4, 5]);
    assert_eq!(revisions(5, 10).await, Vec::<u64>::new());
    assert_eq!(revisions(u64::MAX, usize::MAX).await, Vec::<u64>::new());
}

#[tokio::test]
async fn commits_are_made_in_the_order_they_were_submitted() {
    let home = Home::new();
    let store = home.store();
    let mut submitted = Vec::new();
    for revision in 1..=1_000 {
        submitted.push(store.submit(commit(revision)).await.unwrap());
    }
    let mut previous = Digest::ZERO;
    for (revision, submitted) in (1..).zip(submitted) {
        let record = submitted.durable().await.unwrap();
        assert_eq!((record.revision, record.previous), (revision, previous));
        previous = record.hash;
    }
}

#[tokio::test]
async fn a_refused_member_of_a_group_does_not_touch_the_others() {
    let home = Home::new();
    let store = home.store();
    let put = |n: u8| store.put(vec![(KEYS, vec![n], Some(vec![n]))]);
    let (first, a, wrong, b, second, c) = tokio::join!(
        store.commit(commit(1)),
        put(1),
        store.commit(commit(7)),
        put(2),
        store.commit(commit(2)),
        put(3),
    );
    assert!(first.is_ok() && a.is_ok() && b.is_ok() && second.is_ok() && c.is_ok());
    assert!(matches!(
        wrong,
        Err(StoreError::OutOfOrder { given: 7, head: 1 })
    ));
    store.close().await.unwrap();
    assert_eq!(home.store().table_scan(KEYS).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let home = Home::new();
    let store = home.store();
    store.close().await.unwrap();
    assert!(matches!(
        store.commit(commit(1)).await,
        Err(StoreError::Closed)
    ));
    assert!(matches!(store.record(1).await, Err(StoreError::Closed)));
    assert!(matches!(store.close().await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn the_size_on_disk_is_that_of_the_database() {
    let home = Home::new();
    let store = home.store();
    store
        .commit(replace(commit(1), "map", rows(1_000, 1_000, 1)))
        .await
        .unwrap();
    let size = store.size_on_disk().unwrap();
    assert!((1_000_000..20_000_000).contains(&size), "{size}");
}

/// What a test does to the store and to its model alike.
#[derive(Debug, Clone)]
enum Step {
    Commit {
        documents: Vec<(u8, Option<(u16, u16)>)>,
        rows: Vec<(u8, Option<u8>)>,
    },
    Put(Vec<(u8, Option<u8>)>),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let documents = || {
        let content = proptest::option::weighted(0.8, (0..300_u16, 0..400_u16));
        proptest::collection::vec((0..4_u8, content), 0..3)
    };
    let rows = || proptest::collection::vec((0..6_u8, any::<Option<u8>>()), 0..3);
    let step = prop_oneof![
        6 => (documents(), rows()).prop_map(|(documents, rows)| Step::Commit { documents, rows }),
        3 => rows().prop_map(Step::Put),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_store_holds_what_its_model_holds(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(follow(steps));
    }
}

async fn follow(steps: Vec<Step>) {
    let home = Home::new();
    let mut store = home.store();
    let mut history: Vec<Contents> = vec![BTreeMap::new()];
    let mut table: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut change = |changes: &[(u8, Option<u8>)]| {
        let rows = changes
            .iter()
            .map(|(key, value)| (vec![*key], value.map(|value| vec![value])));
        rows.map(|(key, value)| {
            match value.clone() {
                Some(value) => table.insert(key.clone(), value),
                None => table.remove(&key),
            };
            (KEYS, key, value)
        })
        .collect::<Vec<_>>()
    };
    for step in steps.into_iter().chain([Step::Restart]) {
        match step {
            Step::Commit {
                documents,
                rows: changes,
            } => {
                let revision = history.len() as u64;
                let mut now = history.last().unwrap().clone();
                let mut next = Commit {
                    table: change(&changes),
                    ..commit(revision)
                };
                for (name, content) in documents {
                    let name = name.to_string();
                    let content =
                        content.map(|(count, length)| rows(count.into(), length.into(), revision));
                    match &content {
                        Some(rows) => now.insert(name.clone(), rows.concat()),
                        None => now.remove(&name),
                    };
                    next.documents.push((name, content));
                }
                store.commit(next).await.unwrap();
                history.push(now);
            }
            Step::Put(changes) => store.put(change(&changes)).await.unwrap(),
            Step::Restart => {
                store.close().await.unwrap();
                store = home.store();
            }
        }
    }
    for (revision, expected) in (0..).zip(&history).skip(1) {
        let record = store.record(revision).await.unwrap();
        assert_eq!(
            &contents(&store, &record).await,
            expected,
            "revision {revision}"
        );
    }
    let rows: BTreeMap<_, _> = store.table_scan(KEYS).await.unwrap().into_iter().collect();
    assert_eq!(rows, table);
}
