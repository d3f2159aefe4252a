//! Tables of costs: selected, ranked, written, and compared with those of another version.

mod body;
mod changes;
mod filter;
mod meta;
mod patch;
mod rank;
mod table;

pub(super) use body::{CostsBody, Member};
pub(super) use changes::{Grid, join};
pub(super) use filter::{Filtered, filtered_costs};
pub(super) use meta::write_vtag;
pub use patch::{Change, Form, Patch};
pub(super) use patch::{PatchWriter, TagOf};
pub(super) use table::{Side, Table, held};
