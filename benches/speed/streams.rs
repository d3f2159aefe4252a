//! Many update streams of one node: holds them, and measures a change that all are told.

use std::io::Read;
use std::path::Path;

use futures_util::future::join_all;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::data;
use crate::pairs::{RUNS, stopwatch};
use crate::patch;
use crate::process;
use crate::stream::Base;

/// How many streams are told of a change.
const MANY: usize = 1000;

const UPDATES: &str = "/views/isp-a/updates";
const COSTS: &str = "/views/isp-a/costmap-routingcost";

/// Makes a runtime on this thread alone.
pub fn runtime() -> Runtime {
    let mut runtime = Builder::new_current_thread();
    runtime.enable_all().build().expect("a runtime")
}

/// Opens streams of a small cost map, prints a line when all are open, and holds them until its
/// standard input ends.
pub fn hold(base: &str, count: &str) {
    let count: usize = count.parse().expect("a number of streams");
    runtime().block_on(async {
        let base = Base(base);
        let mut streams = Vec::with_capacity(count);
        for _ in 0..count {
            streams.push(base.open(UPDATES, &params(None)).await);
        }
        println!("{} open", streams.len());
        let _ = std::io::stdin().read(&mut [0]);
    });
}

/// Lets one stream, then many, watch the costs that a node is given from a directory, changes
/// these in turns, and prints a line for each change, in the form of the table.
pub fn change(base: &str, token: &str, node: &str, directory: &Path) {
    let [costs, changed] =
        ["cost-map.json", "changed-costs.json"].map(|name| data::file(directory, name));
    runtime().block_on(async {
        let watched = Watched {
            base: Base(base),
            token,
            node,
        };
        // The first change costs more than later ones, and is not counted.
        for costs in [&changed, &costs] {
            watched.tell(1, costs).await;
        }
        for _ in 0..RUNS {
            let alone = watched.tell(1, &changed).await;
            let told = watched.tell(MANY, &costs).await;
            let whole = watched.base.length(COSTS).await;
            let share = told.bytes as f64 / whole as f64 * 100.0;
            println!(
                "bytes on the wire to each of 1,000 streams for 1 % of a cost map of 1,000 × 1,000, \
                 of the map's\t%\t< 1.5\t{share:.6}"
            );
            println!(
                "PUT of a cost map of 1,000 × 1,000, 1 % of it changed, until the last of 1,000 \
                 streams has it, beside one stream\tms\trecorded\t{:.6}\t{:.6}",
                told.until * 1e3,
                alone.until * 1e3
            );
            println!(
                "CPU of a node for each further stream that is told of 1 % of a cost map of \
                 1,000 × 1,000, beside working out the patch\tµs\t< 1\t{:.6}\t{:.6}",
                (told.cpu - alone.cpu) * 1e6 / (MANY - 1) as f64,
                patch::worked_out() * 1e6
            );
        }
    });
}

/// A node with streams.
struct Watched<'a> {
    base: Base<'a>,
    token: &'a str,
    /// The id of its process.
    node: &'a str,
}

/// What a change took.
struct Told {
    /// The most bytes that a stream was sent.
    bytes: u64,
    /// The seconds until the last stream had the change.
    until: f64,
    /// The seconds of the node's CPU time.
    cpu: f64,
}

impl Watched<'_> {
    /// Opens streams whose clients have the present costs, and changes these.
    async fn tell(&self, count: usize, costs: &[u8]) -> Told {
        let params = params(Some(&self.base.tag(COSTS).await));
        let mut streams = Vec::with_capacity(count);
        for _ in 0..count {
            let mut stream = self.base.open(UPDATES, &params).await;
            assert_eq!(stream.events, 1, "nothing has changed yet");
            stream.bytes = 0;
            streams.push(stream);
        }
        let cpu = || process::cpu_time(self.node).as_secs_f64();
        let before = cpu();
        let begun = stopwatch();
        let put = self.base.put("cost-maps/routingcost", self.token, costs);
        let told = join_all(streams.iter_mut().map(|stream| stream.until(2)));
        tokio::join!(put, told);
        let bytes = streams.iter().map(|stream| stream.bytes).max();
        Told {
            bytes: bytes.expect("streams"),
            until: begun(),
            cpu: cpu() - before,
        }
    }
}

/// Makes a request for an update stream of the costs, by a client that has the version with this
/// tag.
fn params(tag: Option<&str>) -> String {
    let mut costs = json!({"resource-id": "isp-a:costmap-routingcost"});
    if let Some(tag) = tag {
        costs["tag"] = tag.into();
    }
    json!({"add": {"costs": costs}}).to_string()
}
