//! Who may do what.

mod certificates;
mod limits;
mod reload;
mod tokens;
