//! What people read: one line per event, one shape for every failure.

mod failure;
mod lines;
mod others;
mod short;
mod text;

pub use failure::render;
pub use lines::{line, lines};
pub use text::{Style, clean, duration, size, time_of_day};
