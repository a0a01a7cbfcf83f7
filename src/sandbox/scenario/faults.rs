//! What goes wrong on the wire.

/// The faults, in the file's order.
#[derive(Debug, Clone, Default)]
pub struct Faults {}
