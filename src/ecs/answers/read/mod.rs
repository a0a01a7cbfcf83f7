//! JSON of the APIs to our own plain data; every word of an API goes through its text, so that none is lost or mistaken.
//!
//! What a success rests on is never made up: a count that is missing or is no count makes the whole service
//! [`Unreadable`], since a 0 in its place could look like success.

mod service;
mod service_deployment;
mod task;

pub use service::service;
pub use service_deployment::{revision, service_deployment};
pub use task::{target, task};

use serde_json::Value;

/// A member that a verdict rests on is missing, or is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable {
    /// The member.
    pub member: &'static str,
}

/// The elements of an array; none of anything else.
#[must_use]
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A string.
#[must_use]
pub fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A word that may be left out. Anything else than a string is a word that no version knows.
fn optional<W: for<'a> From<&'a str>>(value: &Value) -> Option<W> {
    match value {
        Value::Null => None,
        Value::String(word) => Some(word.as_str().into()),
        other => Some(other.to_string().as_str().into()),
    }
}

fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok())
}

/// A count that must be there.
fn count(value: &Value, member: &'static str) -> Result<u32, Unreadable> {
    number(value).ok_or(Unreadable { member })
}

/// A number that may be left out, and must be one otherwise.
fn optional_number(value: &Value, member: &'static str) -> Result<Option<u32>, Unreadable> {
    match value {
        Value::Null => Ok(None),
        value => count(value, member).map(Some),
    }
}

/// Whether a switch is on; anything but `false` and nothing is on, where off would be the lighter rule.
fn is_on(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false))
}

/// An array that must be one.
fn all<'a>(value: &'a Value, member: &'static str) -> Result<&'a [Value], Unreadable> {
    value.as_array().map(Vec::as_slice).ok_or(Unreadable { member })
}

fn port(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|port| u16::try_from(port).ok())
}

#[cfg(test)]
mod tests;
