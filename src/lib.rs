//! altofed
