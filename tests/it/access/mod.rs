//! Who may do what.

mod certificates;
mod closed;
mod guesses;
mod limits;
mod reload;
mod rotation;
mod tokens;
