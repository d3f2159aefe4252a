//! Answers that are tables: selecting and ranking costs, and writing and comparing costs, prefixes
//! and properties.

mod body;
mod changes;
mod meta;
mod patch;
mod rank;
mod select;
mod side;
mod table;

pub(super) use body::{CostsBody, Member};
pub(super) use changes::{Grid, join};
pub(super) use meta::MetaWriter;
pub use patch::{Change, Form, Patch};
pub(super) use patch::{PatchWriter, TagOf};
pub(super) use select::{Filtered, filtered_costs};
pub(super) use side::{Side, held};
pub(super) use table::Table;
