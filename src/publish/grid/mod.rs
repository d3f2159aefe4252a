//! Tables of costs: selecting, ranking, writing and comparing them.

mod body;
mod changes;
mod filter;
mod meta;
mod patch;
mod rank;
mod side;
mod table;

pub(super) use body::{CostsBody, Member};
pub(super) use changes::{Grid, join};
pub(super) use filter::{Filtered, filtered_costs};
pub(super) use meta::write_vtag;
pub use patch::{Change, Form, Patch};
pub(super) use patch::{PatchWriter, TagOf};
pub(super) use side::{Side, held};
pub(super) use table::Table;
