use super::*;
use crate::ident::Digest;

fn error(path: &Path) -> StoreError {
    match Store::open(path, &Settings::default()) {
        Err(error) => error,
        Ok(_) => panic!("it opened"),
    }
}

#[tokio::test]
async fn a_store_is_open_once() {
    let home = Home::new();
    let store = home.store();
    assert!(matches!(error(&home.path()), StoreError::InUse(_)));
    assert!(matches!(
        verify(&home.path(), &mut |_| {}),
        Err(StoreError::InUse(_))
    ));
    store.close().await.unwrap();
    home.store();
}

#[test]
fn a_file_in_place_of_the_directory_is_refused_by_name() {
    let home = Home::new();
    fs::write(home.path(), "a file").unwrap();
    let error = error(&home.path());
    assert!(matches!(error, StoreError::Io { .. }));
    assert!(
        error.to_string().contains(home.path().to_str().unwrap()),
        "{error}"
    );
}

#[test]
fn a_directory_that_cannot_be_written_is_refused_by_name() {
    let error = error(Path::new("/proc/altofed"));
    assert!(matches!(error, StoreError::Io { .. }));
    assert!(error.to_string().contains("/proc/altofed"), "{error}");
}

#[test]
fn a_directory_with_something_else_is_refused_and_left_alone() {
    let home = Home::new();
    fs::create_dir_all(home.path()).unwrap();
    fs::write(home.path().join("thesis.tex"), "").unwrap();
    let error = error(&home.path());
    assert!(matches!(error, StoreError::NotAStore { .. }));
    assert!(error.to_string().contains("thesis.tex"), "{error}");
    assert!(!home.path().join("sled").exists());
}

#[tokio::test]
async fn a_missing_database_file_is_no_empty_store() {
    for missing in ["sled/db", "sled"] {
        let home = Home::new();
        let store = home.store();
        store.commit(commit(1)).await.unwrap();
        store.close().await.unwrap();
        let path = home.path().join(missing);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        let error = error(&home.path());
        assert!(matches!(error, StoreError::Unrecoverable { .. }), "{error}");
        assert!(
            error.to_string().contains("altofed store import"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_newer_format_is_refused_with_the_release_that_is_needed() {
    let home = Home::new();
    home.store().close().await.unwrap();
    let text = "2 9.1.0 0011223344556677 1 0";
    let line = format!("{text} {}", Digest::of_parts(&[text.as_bytes()]));
    fs::write(home.path().join("witness"), line).unwrap();
    let error = error(&home.path());
    assert!(matches!(error, StoreError::NewerFormat { found: 2, .. }));
    assert!(error.to_string().contains("altofed 9.1.0"), "{error}");
}

#[test]
fn settings_that_cannot_be_used_are_refused() {
    for (text, least) in [
        ("keep_revisions = 0", "1 or more"),
        ("cache_bytes = 1048575", "1048576 or more"),
        ("min_free = 16777215", "16777216 or more"),
    ] {
        let error = toml::from_str::<Settings>(text).unwrap_err().to_string();
        assert!(error.contains(least), "{error}");
    }
    let unknown = toml::from_str::<Settings>("keep = 5");
    assert!(unknown.unwrap_err().to_string().contains("keep"));
    let settings: Settings = toml::from_str("keep_revisions = 5").unwrap();
    assert_eq!(
        settings,
        Settings {
            keep_revisions: 5,
            ..Settings::default()
        }
    );
}

#[tokio::test]
async fn an_exchange_of_databases_cut_off_anywhere_is_settled() {
    // What a crash can leave while a compacted database takes the place of the present one.
    type Step = fn(&Path);
    let steps: [Step; 5] = [
        |root| fs::create_dir(root.join("sled.part")).unwrap(),
        |root| copy_directory(&root.join("sled"), &root.join("sled.new")),
        |root| {
            copy_directory(&root.join("sled"), &root.join("sled.new"));
            fs::rename(root.join("sled"), root.join("sled.old")).unwrap();
        },
        |root| copy_directory(&root.join("sled"), &root.join("sled.old")),
        |root| copy_directory(&root.join("sled"), &root.join("sled.kept")),
    ];
    for step in steps {
        let home = Home::new();
        let store = home.store();
        let records = commit_many(&store, 1..=3).await;
        store.close().await.unwrap();
        step(&home.path());
        let opened = home.open();
        assert_eq!(
            (opened.head.as_ref(), opened.quarantine),
            (records.last(), None)
        );
        opened.store.close().await.unwrap();
        let left = fs::read_dir(home.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let mut left: Vec<_> = left.collect();
        left.sort();
        assert_eq!(left, ["lock", "reserve", "sled", "witness"]);
    }
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-v1")
}

/// Commits what the store in the fixture holds; returns the records.
async fn fill_fixture(store: &Store) -> Vec<Arc<Record>> {
    let mut map = rows(40, 100, 0);
    let mut records = Vec::new();
    for revision in 1..=7 {
        map[revision as usize] = rows(1, 100, revision).remove(0);
        let change = replace(commit(revision), "map", map.clone());
        let change = replace(change, "small", rows(1, 50, revision));
        records.push(store.commit(change).await.unwrap());
    }
    let row = (Table::new("keys"), b"key".to_vec(), Some(b"value".to_vec()));
    let last = Commit {
        table: vec![row.clone()],
        ..commit(8)
    };
    records.push(store.commit(last).await.unwrap());
    store
        .put(vec![(Table::new("peers"), row.1, row.2)])
        .await
        .unwrap();
    records
}

#[tokio::test]
async fn format_1_as_first_released_still_opens() {
    let home = Home::new();
    copy_directory(&fixture(), &home.path());
    let opened = home.open_keeping(5);
    assert_eq!(opened.quarantine, None);
    let other = Home::new();
    let expected = fill_fixture(&other.store()).await;
    assert_eq!(opened.head.as_ref(), expected.last());
    for record in expected.iter().filter(|record| record.revision > 4) {
        assert_eq!(
            opened.store.record(record.revision).await.unwrap(),
            **record
        );
        contents(&opened.store, record).await;
    }
    for table in ["keys", "peers"] {
        let value = opened
            .store
            .table_get(Table::new(table), b"key")
            .await
            .unwrap();
        assert_eq!(value.unwrap(), b"value");
    }
    opened.store.commit(commit(9)).await.unwrap();
}

/// Writes the fixture of this build's format: once for each format, when it is first released.
#[tokio::test]
#[ignore = "writes to the source tree"]
async fn write_the_fixture() {
    let home = Home::new();
    let store = home.open_keeping(4).store;
    fill_fixture(&store).await;
    store.close().await.unwrap();
    fs::remove_file(home.path().join("lock")).unwrap();
    copy_directory(&home.path(), &fixture());
}
