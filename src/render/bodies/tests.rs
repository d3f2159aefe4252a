//! Tests who makes the bodies that all share, and when.

use std::collections::BTreeMap;
use std::sync::mpsc;

use futures_util::FutureExt;
use jiff::Timestamp;

use super::*;
use crate::alto::network::AddressGroup;
use crate::alto::property::PropertyMap;
use crate::ident::{MetricName, PidName};
use crate::net::{Lpm, Matrix, PidIndex};
use crate::publish::{Costs, Lookup, NetworkMap, Origin, Properties};
use crate::render::testing::Bench;
use crate::runtime::testing::soon;
use crate::runtime::{Pool, Task};

/// Makes a view whose cost map has many pieces.
fn view(view: ViewName, pids: usize) -> Arc<View> {
    let name = |place: usize| PidName::new(&format!("p{place:04}")).expect("a name");
    let lookup = Lookup {
        lpm: Arc::new(Lpm::build([]).expect("no prefix twice")),
        ..Lookup::default()
    };
    let names = Arc::new(PidIndex::new((0..pids).map(name).collect()));
    let groups = (0..pids).map(|_| Arc::new(AddressGroup::default()));
    let groups = groups.collect();
    let cells = (0..pids * pids).map(|cell| cell as f64).collect();
    let matrix = Matrix::from_cells(pids, pids, cells).expect("a square");
    let metric = MetricName::new("routingcost").expect("a metric");
    let origin = Origin {
        serial: 1,
        received: Timestamp::UNIX_EPOCH,
    };
    Arc::new(View::new(
        view,
        origin,
        Arc::new(NetworkMap::new(names, groups, lookup)),
        BTreeMap::from([(metric, Costs::Dense(Arc::new(matrix)))]),
        Arc::new(Properties::new(PropertyMap::new())),
        None,
    ))
}

fn own() -> ViewName {
    ViewName::parse("isp-a").expect("a name")
}

/// Makes a cache with one thread for our own view and one for others, and a map of the merged
/// view.
fn cache() -> (Bench, Arc<Bodies>, Arc<View>, Resource) {
    let bench = Bench::new(256 * 1024 * 1024, 64 * 1024 * 1024);
    let flight = bench.flight.clone();
    let pool = || Pool::new(1).expect("a thread");
    let answers = Arc::new(Answers::new(own(), pool(), pool(), flight));
    let clock = bench.clock.clone();
    let bodies = Arc::new(Bodies::new(&Settings::default(), answers, clock));
    let view = view(ViewName::Merged, 300);
    let resource = map_of(&view);
    (bench, bodies, view, resource)
}

fn map_of(view: &View) -> Resource {
    let resource = view.catalog().get("costmap-routingcost").cloned();
    resource.expect("a map")
}

fn caller(name: &str) -> Caller {
    Caller::Principal(name.into())
}

/// Waits for the marks of the map, and returns its length.
fn asks(bodies: &Arc<Bodies>, view: &Arc<View>, resource: &Resource, who: &str) -> Task<u64> {
    let (bodies, view, resource) = (bodies.clone(), view.clone(), resource.clone());
    let caller = caller(who);
    Task::spawn("asks", async move {
        let marks = bodies.marks(&view, &resource, &caller).await;
        marks.expect("room").expect("a map").length
    })
}

async fn until(is: impl Fn() -> bool) {
    soon(async {
        while !is() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A client that has asked for much also begins the map, which does not queue behind its other
/// work.
#[tokio::test]
async fn a_map_is_made_in_turns_of_its_own_whoever_asked_first() {
    let (_bench, bodies, view, resource) = cache();
    let (begin, begun) = mpsc::channel::<()>();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let gates = Arc::new(std::sync::Mutex::new((begun, goes_on)));
    let answers = bodies.answers().clone();
    // The client's first job waits until all have asked, the second ends at once, the others
    // wait.
    let mut his = Vec::new();
    for job in 0..50 {
        let (answers, gates) = (answers.clone(), gates.clone());
        his.push(Task::spawn("his", async move {
            let work = move || {
                let gates = gates.lock().expect("no panic");
                let gate = match job {
                    0 => &gates.0,
                    1 => return,
                    _ => &gates.1,
                };
                // It opens for all when its other end is dropped.
                let _ = gate.recv();
            };
            answers.run(&ViewName::Merged, &caller("a"), work).await
        }));
        tokio::task::yield_now().await;
    }
    let mut maps = vec![asks(&bodies, &view, &resource, "a")];
    tokio::task::yield_now().await;
    maps.push(asks(&bodies, &view, &resource, "b"));
    tokio::task::yield_now().await;
    drop(begin);
    // The first piece is written while 48 jobs of the client wait.
    until(|| answers.cells() > 0).await;
    drop(go_on);
    for map in maps {
        assert!(soon(map.join()).await.expect("it ends") > 500_000);
    }
    for job in his {
        soon(job.join()).await.expect("it ends").expect("no panic");
    }
}

#[tokio::test]
async fn what_was_made_of_a_map_outlives_who_asked_first() {
    let (_bench, bodies, view, resource) = cache();
    let all = view.rendering(&resource).expect("a map").work().cells;
    let caller = caller("a");
    let mut first = Box::pin(bodies.marks(&view, &resource, &caller));
    assert!(first.as_mut().now_or_never().is_none());
    let second = asks(&bodies, &view, &resource, "b");
    until(|| bodies.answers().cells() > 0).await;
    drop(first);
    soon(second.join()).await.expect("it ends");
    assert_eq!(bodies.answers().cells(), all, "it was written once");
    // Its body is kept, and packed once for all who want it packed.
    let packed = async || {
        let marks = resource.marks.get().expect("its marks");
        let body = bodies.body(&view, &resource, marks, Coding::Gzip, &caller);
        match soon(body).await.expect("room") {
            Some(Representation::Kept(body)) => body.chain().expect("it is kept"),
            _ => panic!("it is not kept"),
        }
    };
    let (one, other) = tokio::join!(packed(), packed());
    assert!(Arc::ptr_eq(&one, &other));
    assert_eq!(bodies.answers().cells(), all);
    until(|| bodies.answers().flight().bytes() == 0).await;
}

/// The only thread for other views is busy, and a map of theirs waits to be rendered for the
/// first time; our own map is rendered meanwhile.
#[tokio::test]
async fn our_own_map_waits_for_no_other_views() {
    let (_bench, bodies, merged, resource) = cache();
    let (open, gate) = mpsc::channel::<()>();
    let answers = bodies.answers().clone();
    let busy = Task::spawn("busy", async move {
        let work = move || gate.recv().is_ok();
        answers.run(&ViewName::Merged, &caller("a"), work).await
    });
    let waiting = asks(&bodies, &merged, &resource, "a");
    tokio::task::yield_now().await;
    let ours = view(own(), 100);
    let ours = asks(&bodies, &ours, &map_of(&ours), "a");
    assert!(soon(ours.join()).await.expect("it ends") > 50_000);
    assert!(!waiting.is_finished());
    drop(open);
    soon(waiting.join()).await.expect("it ends");
    soon(busy.join()).await.expect("it ends").expect("no panic");
}
