use std::sync::OnceLock;

use proptest::{prelude::*, sample::Index, test_runner::TestRunner};

use super::*;

const KEYS: Table = Table::new("keys");
const REVISIONS: u64 = 90;
const KEEP: u64 = 40;

/// A store that has seen some use, and what it held at each revision.
struct Sample {
    home: Home,
    records: Vec<(Arc<Record>, Contents)>,
    row: Vec<u8>,
}

impl Sample {
    async fn new() -> Sample {
        let home = Home::new();
        let store = home.open_keeping(KEEP).store;
        let mut records = Vec::new();
        let mut row = Vec::new();
        for revision in 1..=REVISIONS {
            let record = commit_many(&store, revision..=revision).await.remove(0);
            row = revision.to_be_bytes().to_vec();
            store
                .put(vec![(KEYS, b"row".to_vec(), Some(row.clone()))])
                .await
                .unwrap();
            let contents = contents(&store, &record).await;
            records.push((record, contents));
        }
        store.close().await.unwrap();
        Sample { home, records, row }
    }

    /// Returns a copy of the store's directory with one of its files damaged.
    fn damaged(&self, file: &str, damage: &dyn Fn(&mut Vec<u8>)) -> Home {
        let home = Home::new();
        copy_directory(&self.home.path(), &home.path());
        let path = match file {
            "witness" => home.path().join("witness"),
            _ => {
                let entries = fs::read_dir(home.path().join("sled")).unwrap();
                let names = entries.map(|entry| entry.unwrap().path());
                names
                    .into_iter()
                    .find(|path| path.to_str().unwrap().contains(file))
                    .unwrap()
            }
        };
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes);
        fs::write(&path, bytes).unwrap();
        home
    }
}

/// How a start with damaged files ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Whole,
    NothingLost,
    TailLost,
    Refused,
}

/// Opens the store and checks the rule: it holds a prefix of what was written, and reports what is
/// missing.
async fn start(sample: &Sample, home: &Home) -> Outcome {
    let settings = Settings {
        keep_revisions: KEEP,
        ..Settings::default()
    };
    let opened = match Store::open(&home.path(), &settings) {
        Ok(opened) => opened,
        Err(StoreError::Unrecoverable { .. }) => return Outcome::Refused,
        Err(other) => panic!("{other}"),
    };
    let head = opened
        .head
        .expect("a store with an acknowledged revision starts with one");
    let store = opened.store;
    let (expected, documents) = &sample.records[head.revision as usize - 1];
    assert_eq!(&head, expected);
    assert_eq!(&contents(&store, &head).await, documents);
    for (expected, documents) in &sample.records[..head.revision as usize] {
        match store.record(expected.revision).await {
            Ok(record) => {
                assert_eq!(&record, &**expected);
                for (name, document) in &record.documents {
                    match store.document(document).await {
                        Ok(bytes) => assert_eq!(bytes, documents[name]),
                        Err(StoreError::Damaged { .. }) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
            }
            Err(StoreError::Pruned { .. } | StoreError::Damaged { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    let row = store.table_get(KEYS, b"row").await.unwrap();
    let outcome = match &opened.quarantine {
        None => {
            assert_eq!(
                head.revision, REVISIONS,
                "revisions are missing and nobody was told"
            );
            assert_eq!(row.as_ref(), Some(&sample.row));
            Outcome::Whole
        }
        Some(quarantine) => {
            assert_eq!(quarantine.resumed_at, head.revision);
            assert!(quarantine.directory.join("sled").join("db").exists());
            match &quarantine.lost {
                None => {
                    assert_eq!(head.revision, REVISIONS);
                    let told = quarantine.message.contains("side tables may lack");
                    assert!(told || row.as_ref() == Some(&sample.row));
                    Outcome::NothingLost
                }
                Some(lost) => {
                    assert_eq!(*lost, head.revision + 1..=REVISIONS);
                    assert!(quarantine.message.contains("LOST"), "{quarantine}");
                    Outcome::TailLost
                }
            }
        }
    };
    let next = store.commit(commit(head.revision + 1)).await.unwrap();
    store.close().await.unwrap();
    let again = Store::open(&home.path(), &settings).unwrap();
    assert_eq!(again.quarantine, None);
    assert_eq!(again.head, Some(next));
    again.store.close().await.unwrap();
    outcome
}

#[derive(Debug, Clone)]
enum Damage {
    Truncate(Index),
    Flip(Index, u8),
    Fill(Index, u16, u8),
    Noise(Index, u16, u64),
    Append(u16),
}

impl Damage {
    fn any() -> impl Strategy<Value = Damage> {
        prop_oneof![
            1 => any::<Index>().prop_map(Damage::Truncate),
            4 => (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
            1 => (any::<Index>(), any::<u16>(), prop_oneof![Just(0), Just(0xFF)])
                .prop_map(|(at, length, byte)| Damage::Fill(at, length, byte)),
            1 => (any::<Index>(), any::<u16>(), any::<u64>())
                .prop_map(|(at, length, seed)| Damage::Noise(at, length, seed)),
            1 => any::<u16>().prop_map(Damage::Append),
        ]
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        let size = bytes.len();
        match self {
            Damage::Truncate(at) => bytes.truncate(at.index(size)),
            Damage::Flip(at, bit) => bytes[at.index(size)] ^= 1 << bit,
            Damage::Fill(at, length, byte) => {
                bytes
                    .iter_mut()
                    .skip(at.index(size))
                    .take((*length).into())
                    .for_each(|b| *b = *byte);
            }
            Damage::Noise(at, length, seed) => {
                let noise = rows(1, (*length).into(), *seed).remove(0);
                bytes
                    .iter_mut()
                    .skip(at.index(size))
                    .zip(noise)
                    .for_each(|(b, noise)| *b ^= noise);
            }
            Damage::Append(length) => bytes.resize(size + usize::from(*length), 0xA5),
        }
    }
}

/// Damages `file` in many ways and counts how the starts end.
fn damage(file: &'static str, cases: u32) -> BTreeMap<Outcome, u32> {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let sample = SAMPLE.get_or_init(|| runtime.block_on(Sample::new()));
    let heavy = if std::env::var_os("ALTOFED_HEAVY").is_some() {
        4
    } else {
        1
    };
    let config = ProptestConfig {
        cases: cases * heavy,
        failure_persistence: None,
        max_shrink_iters: 0,
        ..ProptestConfig::default()
    };
    let outcomes = std::cell::RefCell::new(BTreeMap::new());
    TestRunner::new(config)
        .run(&Damage::any(), |damage| {
            let home = sample.damaged(file, &|bytes| damage.apply(bytes));
            let outcome = runtime.block_on(start(sample, &home));
            *outcomes.borrow_mut().entry(outcome).or_insert(0) += 1;
            Ok(())
        })
        .unwrap();
    println!("{file}: {:?}", outcomes.borrow());
    outcomes.into_inner()
}

#[test]
fn a_damaged_database_file_never_yields_a_wrong_document_nor_hides_a_loss() {
    damage("db", 60);
}

#[test]
fn a_damaged_snapshot_of_the_page_table_loses_nothing() {
    let outcomes = damage("snap.", 12);
    assert!(!outcomes.contains_key(&Outcome::TailLost), "{outcomes:?}");
    assert!(!outcomes.contains_key(&Outcome::Refused), "{outcomes:?}");
}

#[test]
fn a_damaged_configuration_of_the_database_loses_nothing() {
    let outcomes = damage("conf", 12);
    assert!(!outcomes.contains_key(&Outcome::TailLost), "{outcomes:?}");
    assert!(!outcomes.contains_key(&Outcome::Refused), "{outcomes:?}");
}

#[test]
fn a_damaged_witness_loses_nothing() {
    assert_eq!(
        damage("witness", 12).into_keys().collect::<Vec<_>>(),
        [Outcome::Whole]
    );
}
