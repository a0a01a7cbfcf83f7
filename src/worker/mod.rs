//! The worker: polls for jobs of custom actions, does the stage of each, and reports its result.

pub mod health;
pub mod listen;
pub mod metrics;
