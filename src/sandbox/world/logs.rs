//! CloudWatch Logs: groups, streams and the events of tasks' output.

use super::WorldConfig;
use super::error::ApiError;
use serde_json::Value;
use std::time::Duration;

/// The state of CloudWatch Logs.
#[derive(Debug)]
pub struct Logs {}

impl Logs {
    /// No groups yet.
    #[must_use]
    pub fn new(_config: &WorldConfig) -> Self {
        Self {}
    }

    /// Answers one operation with the JSON of its output shape.
    ///
    /// # Errors
    /// The operation's declared errors; an unknown operation is refused by name.
    pub fn call(&mut self, _now: Duration, _operation: &str, _input: &Value) -> Result<Value, ApiError> {
        todo!()
    }

    /// Whether a log group exists.
    #[must_use]
    pub fn has_group(&self, _group: &str) -> bool {
        todo!()
    }

    /// Appends a line to a stream, which is created when missing.
    pub fn append(&mut self, _now: Duration, _group: &str, _stream: &str, _line: &str) {
        todo!()
    }
}
