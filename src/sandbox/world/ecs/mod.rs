//! ECS: clusters, task definitions, services and their deployments, tasks.

use super::WorldConfig;
use super::ecr::Ecr;
use super::elb::Elb;
use super::error::ApiError;
use super::orders::{Fact, Order};
use serde_json::Value;
use std::time::Duration;

/// How long things take; the defaults are those seen on Fargate, `scaled` makes them shorter.
#[derive(Debug, Clone)]
pub struct Timings {}

impl Default for Timings {
    fn default() -> Self {
        Self {}
    }
}

impl Timings {
    /// Every time divided by `speed`.
    #[must_use]
    pub fn scaled(&self, _speed: f64) -> Self {
        todo!()
    }
}

/// The state of ECS.
#[derive(Debug)]
pub struct Ecs {}

impl Ecs {
    /// No clusters yet.
    #[must_use]
    pub fn new(_config: &WorldConfig) -> Self {
        Self {}
    }

    /// Answers one operation (`RegisterTaskDefinition`, ...) with the JSON of its output shape.
    ///
    /// # Errors
    /// The operation's declared errors; an unknown operation is refused by name.
    pub fn call(
        &mut self,
        _now: Duration,
        _operation: &str,
        _input: &Value,
        _elb: &mut Elb,
        _ecr: &Ecr,
    ) -> Result<Value, ApiError> {
        todo!()
    }

    /// The next instant at which something changes by itself.
    #[must_use]
    pub fn next_change(&self) -> Option<Duration> {
        todo!()
    }

    /// Does what is due at `now`.
    pub fn advance(&mut self, _now: Duration, _elb: &mut Elb, _ecr: &Ecr) {
        todo!()
    }

    /// Takes the orders for the runner.
    pub fn take_orders(&mut self) -> Vec<Order> {
        todo!()
    }

    /// Learns what a task did.
    pub fn learn(&mut self, _now: Duration, _fact: Fact, _elb: &mut Elb, _ecr: &Ecr) {
        todo!()
    }

    /// The log group and stream of a container with the awslogs driver.
    #[must_use]
    pub fn log_destination(&self, _task: &str, _container: &str) -> Option<(String, String)> {
        todo!()
    }
}
