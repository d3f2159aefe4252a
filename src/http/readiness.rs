//! Whether the node is ready, and what is still missing.

use crate::store::RoomState;

use super::app::App;

/// The conditions for a node to be ready.
pub(super) struct Readiness(Vec<Check>);

/// One condition, or a part of the node that is only reported.
struct Check {
    /// Whether the node can be ready in this state.
    holds: bool,
    what: &'static str,
    /// The state, for people.
    state: String,
}

impl Readiness {
    /// Checks the present state.
    pub(super) fn of(app: &App) -> Self {
        Self(vec![
            serving(app),
            own_view(app),
            restored(app),
            merged_view(app),
            store(app),
        ])
    }

    pub(super) fn is_ready(&self) -> bool {
        self.first_lack().is_none()
    }

    /// Returns why the node is not ready.
    pub(super) fn first_lack(&self) -> Option<&str> {
        let lack = self.0.iter().find(|check| !check.holds)?;
        Some(&lack.state)
    }

    /// Describes all checks, a line for each.
    pub(super) fn text(&self) -> String {
        let line = |Check { holds, what, state }: &Check| {
            let mark = if *holds { '+' } else { '-' };
            format!("[{mark}] {what}: {state}\n")
        };
        let mut text: String = self.0.iter().map(line).collect();
        text += if self.is_ready() {
            "ready\n"
        } else {
            "not ready\n"
        };
        text
    }
}

fn serving(app: &App) -> Check {
    let holds = !app.drain.is_draining();
    let state = if holds {
        "requests are answered"
    } else {
        "the node is going down"
    };
    Check {
        holds,
        what: "serving",
        state: state.to_owned(),
    }
}

/// Never makes the node unready: queries are also answered without room on the disk.
fn store(app: &App) -> Check {
    let room = app.ledger.room();
    let (free, min_free) = (mebibytes(room.free()), mebibytes(room.min_free()));
    let state = match *room.state().borrow() {
        RoomState::Enough => format!("{free} MiB are free"),
        RoomState::Scarce => format!(
            "{free} MiB are free: nothing more of other domains is kept until there is twice \
             store.min_free, {min_free} MiB"
        ),
        RoomState::Out => format!(
            "{free} MiB are free: writes are refused until there is store.min_free, {min_free} MiB"
        ),
        RoomState::Unopened => format!(
            "{free} MiB are free, too little to open the store: what it holds is read, and writes \
             are refused until there is store.min_free, {min_free} MiB"
        ),
    };
    Check {
        holds: true,
        what: "store",
        state,
    }
}

fn mebibytes(bytes: u64) -> u64 {
    bytes / (1024 * 1024)
}

/// Always holds: our own view is made before the node listens.
fn own_view(app: &App) -> Check {
    let (published, durable) = (app.snapshot().revision, app.ledger.durable());
    let state = match durable.borrow().facts.revision {
        newest if newest == published => format!("revision {published}"),
        newest => format!("revision {published}; {newest} is being compiled"),
    };
    Check {
        holds: true,
        what: "own view",
        state,
    }
}

fn restored(app: &App) -> Check {
    let restoring = app.federation.restoring().borrow().clone();
    let (read, kept) = restoring.read();
    let state = if restoring.is_over() {
        "what peers passed before the start is restored".to_owned()
    } else {
        format!(
            "what peers passed before the start is being restored: {read} of {kept} copies of \
             domains"
        )
    };
    Check {
        holds: restoring.is_over(),
        what: "peers",
        state,
    }
}

fn merged_view(app: &App) -> Check {
    let (snapshot, merging) = (app.snapshot(), app.merging.borrow().clone());
    let Some(revision) = snapshot.merged_revision() else {
        return Check {
            holds: false,
            what: "merged view",
            state: "the merged view has not been made yet".to_owned(),
        };
    };
    let state = match merging.behind_since {
        None => format!("revision {revision}"),
        Some(since) => format!(
            "revision {revision}, behind for {:.1} s: revision {} and what peers pass now is \
             being joined",
            app.clock.now().since(since).as_secs_f64(),
            snapshot.revision,
        ),
    };
    Check {
        holds: true,
        what: "merged view",
        state,
    }
}
