//! Who may do what.

mod certificates;
mod closed;
mod guesses;
mod limits;
mod privacy;
mod reload;
mod rotation;
mod tokens;
mod values;
