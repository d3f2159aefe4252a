//! The HTTP server.
//!
//! `socket` is the lowest layer: connections, TLS, and the deadlines of clients.
//!
//! All services share the layer above it: callers (`caller`, `access`), logs and metrics of
//! requests (`telemetry`, `metrics`), limits (`limit`, `body`), representations (`negotiate`,
//! `conditional`), views (`views`, `merging`) and refusals (`refusal`, `unanswered`).
//!
//! Each service is one file or folder: `alto`, `explain`, `push`, `n2s`, `s2s`, `ops`. `openapi`
//! describes them, and `router` joins them.

mod access;
mod alto;
mod announcement;
mod app;
mod body;
mod caller;
mod conditional;
mod explain;
mod limit;
mod merging;
mod metrics;
mod n2s;
mod negotiate;
mod openapi;
mod ops;
mod posted;
mod push;
mod readiness;
mod refusal;
mod router;
mod s2s;
mod settings;
mod socket;
mod telemetry;
mod unanswered;
mod views;

pub use app::{App, Parts};
pub use limit::Settings as LimitSettings;
pub use merging::Merging;
pub use metrics::Metrics;
pub use push::{Push, Status as PushStatus};
pub use router::{description, router};
pub use settings::BodySettings;
pub use socket::{
    ClientAuth, ClientCertificate, Counts, ListenError, Listener, ListenerStats, Peer, Reserved,
    Settings, Tls, TlsError, TlsFiles,
};
pub use telemetry::Telemetry;
