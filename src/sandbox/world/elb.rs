//! ELBv2: load balancers, listeners, target groups and the health of their targets.

use super::WorldConfig;
use super::error::ApiError;
use super::orders::{CheckOutcome, Order, TargetId};
use std::collections::BTreeMap;
use std::time::Duration;

/// The state of ELBv2.
#[derive(Debug)]
pub struct Elb {}

/// A target's state, as DescribeTargetHealth names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetHealth {
    /// `initial`, `healthy`, `unhealthy`, `draining`, `unused`.
    pub state: &'static str,
    /// `Elb.RegistrationInProgress`, `Target.ResponseCodeMismatch`, ...
    pub reason: Option<&'static str>,
    /// `Health checks failed with these codes: [404]`.
    pub description: Option<String>,
}

impl Elb {
    /// No load balancers yet.
    #[must_use]
    pub fn new(_config: &WorldConfig) -> Self {
        Self {}
    }

    /// Answers one operation of the query protocol with the XML inside `<...Result>`.
    ///
    /// # Errors
    /// The operation's declared errors; an unknown operation is refused by name.
    pub fn call(
        &mut self,
        _now: Duration,
        _operation: &str,
        _params: &BTreeMap<String, String>,
    ) -> Result<String, ApiError> {
        todo!()
    }

    /// Whether a target group exists and is attached to a load balancer (CreateService requires it).
    #[must_use]
    pub fn is_attached(&self, _target_group: &str) -> Option<bool> {
        todo!()
    }

    /// Registers a target; it starts as `initial`.
    pub fn register(&mut self, _now: Duration, _target_group: &str, _target: TargetId) {
        todo!()
    }

    /// Deregisters a target; it drains for the group's deregistration delay, or until its last connection ends.
    pub fn deregister(&mut self, _now: Duration, _target_group: &str, _target: &TargetId) {
        todo!()
    }

    /// The health of a target; `None` when it is not registered (any more).
    #[must_use]
    pub fn health(&self, _target_group: &str, _target: &TargetId) -> Option<TargetHealth> {
        todo!()
    }

    /// Learns the outcome of a check.
    pub fn checked(
        &mut self,
        _now: Duration,
        _target_group: &str,
        _target: &TargetId,
        _outcome: &CheckOutcome,
    ) {
        todo!()
    }

    /// The next instant at which something changes by itself.
    #[must_use]
    pub fn next_change(&self) -> Option<Duration> {
        todo!()
    }

    /// Does what is due at `now`: checks to order, drains to end.
    pub fn advance(&mut self, _now: Duration) {
        todo!()
    }

    /// Takes the checks to carry out.
    pub fn take_orders(&mut self) -> Vec<Order> {
        todo!()
    }
}
