//! The configuration file, `peers.toml`.
//!
//! Every module owns its settings. This one joins them, reads them, resolves secrets, and
//! reports what is wrong with its place and a way to mend it, but never with a value of the
//! file. Unknown keys are errors.

mod configuration;
mod exposure;
mod file;
mod keys;
mod node;
mod peers;
mod place;
mod report;
mod secret;
mod tokens;

pub use configuration::FileError;
pub use file::Config;
pub use node::Node;
pub use report::ConfigError;
