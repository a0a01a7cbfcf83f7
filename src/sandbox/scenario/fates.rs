//! What simulated tasks do.

/// The fates of tasks, by task definition revision.
#[derive(Debug, Clone, Default)]
pub struct Fates {}
