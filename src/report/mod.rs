//! Telling people and machines: events are data, reporters print them.

pub mod bars;
pub mod event;
pub mod human;
pub mod json;
