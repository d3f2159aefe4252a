//! Who may do what.

mod certificates;
mod closed;
mod limits;
mod reload;
mod rotation;
mod tokens;
