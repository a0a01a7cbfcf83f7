//! A scenario file (TOML): what goes wrong in the sandbox, and when.
//!
//! `faults` are of the wire (throttling, 5xx, lost answers); `fates` are of simulated tasks (crash, hang, unhealthy).

pub mod fates;
pub mod faults;

/// Everything that a scenario file says.
#[derive(Debug, Clone, Default)]
pub struct Scenario {
    /// What goes wrong on the wire.
    pub faults: faults::Faults,
    /// What simulated tasks do.
    pub fates: fates::Fates,
}
