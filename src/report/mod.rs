//! Telling people and machines: events are data, reporters print them.
//!
//! `human` and `json` turn events and failures into text, `bars` into live rows; `reporter` chooses among them and is
//! the only writer of stdout and stderr.

pub mod bars;
pub mod event;
pub mod human;
pub mod json;
pub mod reporter;
