use super::*;

#[tokio::test]
async fn pruning_keeps_what_is_asked_for_and_tells_the_rest_from_what_never_was() {
    let home = Home::new();
    let store = home.open_keeping(16).store;
    let records = commit_many(&store, 1..=60).await;
    // Whatever was asked for is kept, and no more than a quarter on top of it.
    let newest = records.last().unwrap();
    let oldest = match store.record(1).await {
        Err(StoreError::Pruned {
            revision: 1,
            oldest,
        }) => oldest,
        other => panic!("{other:?}"),
    };
    assert!((60 - 16 - 3..=60 - 16 + 1).contains(&oldest), "{oldest}");
    for record in &records {
        match store.record(record.revision).await {
            Ok(found) => assert_eq!((found.hash, found.revision >= oldest), (record.hash, true)),
            Err(StoreError::Pruned { .. }) => assert!(record.revision < oldest),
            Err(other) => panic!("{other}"),
        }
    }
    assert!(matches!(
        store.record(61).await,
        Err(StoreError::Unknown { .. })
    ));
    assert!(matches!(
        store.records(oldest - 2, 1).await,
        Err(StoreError::Pruned { .. })
    ));
    assert_eq!(
        store.records(oldest - 1, 1).await.unwrap()[0].revision,
        oldest
    );
    store.close().await.unwrap();
    let opened = home.open_keeping(16);
    assert_eq!(opened.head.as_ref(), Some(newest));
    assert!(matches!(
        opened.store.record(oldest - 1).await,
        Err(StoreError::Pruned { .. })
    ));
}

#[tokio::test]
async fn pruning_keeps_what_is_reached_and_sweeps_the_rest() {
    let home = Home::new();
    let store = home.open_keeping(8).store;
    let mut first = replace(commit(1), "constant", rows(200, 500, 7));
    first = replace(first, "passing", rows(200, 500, 8));
    store.commit(first).await.unwrap();
    let gone = Commit {
        documents: vec![("passing".into(), None)],
        ..commit(2)
    };
    store.commit(gone).await.unwrap();
    // The same content comes and goes, last within what is kept.
    for revision in 3..=50 {
        let rows = rows(100, 500, revision % 3);
        store
            .commit(replace(commit(revision), "changing", rows))
            .await
            .unwrap();
    }
    let records = store.records(42, 100).await.unwrap();
    for record in &records {
        let contents = contents(&store, record).await;
        assert_eq!(contents["constant"], rows(200, 500, 7).concat());
        assert_eq!(
            contents["changing"],
            rows(100, 500, record.revision % 3).concat()
        );
        assert_eq!(contents.len(), 2);
    }
    store.close().await.unwrap();
    let report = verify(&home.path(), &mut |_| {}).unwrap();
    assert_eq!((report.unused, report.problems.as_slice()), (0, &[][..]));
    assert_eq!(report.documents, 4);
}

#[tokio::test]
async fn the_largest_parts_are_swept_too() {
    let home = Home::new();
    let store = home.open_keeping(2).store;
    for revision in 1..=10 {
        let mut large = Commit {
            body: rows(1, 30_000, revision).remove(0),
            ..commit(revision)
        };
        for n in 0..40 {
            large = replace(large, &format!("{n} at {revision}"), rows(1, 10, n));
            let row = (
                Table::new("rows"),
                vec![n as u8],
                Some(rows(1, 200, n).remove(0)),
            );
            large.table.push(row);
        }
        store.commit(large).await.unwrap();
    }
    store.close().await.unwrap();
    let report = verify(&home.path(), &mut |_| {}).unwrap();
    assert_eq!((report.unused, report.problems.as_slice()), (0, &[][..]));
}

#[tokio::test]
async fn a_smaller_setting_prunes_at_the_next_commit() {
    let home = Home::new();
    let store = home.store();
    commit_many(&store, 1..=30).await;
    store.close().await.unwrap();
    let store = home.open_keeping(1).store;
    assert!(store.record(1).await.is_ok());
    commit_many(&store, 31..=31).await;
    assert!(matches!(
        store.record(1).await,
        Err(StoreError::Pruned { oldest: 31, .. })
    ));
}
