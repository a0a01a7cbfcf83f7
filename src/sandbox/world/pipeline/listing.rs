//! Pages of a listing, in CodePipeline's words.

use crate::sandbox::world::error::ApiError;
use crate::sandbox::world::input::page;
use serde_json::Value;

/// What is listed.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'a> {
    /// The member of the answer.
    pub member: &'a str,
    /// Where to go on.
    pub token: Option<&'a str>,
    /// How many items one answer shows.
    pub size: usize,
}

/// One page of items that are in the order of their keys.
///
/// # Errors
/// `InvalidNextTokenException`.
pub fn list<T>(
    items: Vec<T>,
    listed: &Listed<'_>,
    key: impl Fn(&T) -> String,
    show: impl Fn(&T) -> Value,
) -> Result<Value, ApiError> {
    let (items, next) = page(items, key, listed.token, listed.size).map_err(|_| {
        ApiError::new(
            "InvalidNextTokenException",
            "Next token is invalid. Verify that it is the token returned by the previous call.",
        )
    })?;
    let mut answer = Value::Object(serde_json::Map::new());
    answer[listed.member] = items.iter().map(show).collect();
    if let Some(next) = next {
        answer["nextToken"] = Value::String(next);
    }
    Ok(answer)
}

/// The key of the newest first: a serial number counted down.
pub fn newest_first(serial: u64) -> String {
    format!("{:020}", u64::MAX - serial)
}
