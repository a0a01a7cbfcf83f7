//! Tags of a request; the sandbox checks them and shows them once.

use super::check::Problems;
use super::rules;
use crate::sandbox::world::error::ApiError;
use serde_json::{Value, json};

/// How many tags a resource has at most.
const MOST: usize = 50;

/// The tags of a request, as its answer shows them.
///
/// # Errors
/// `ValidationException`, `TooManyTagsException`, `InvalidTagsException`.
pub fn read_tags(input: &Value) -> Result<Option<Value>, ApiError> {
    let problems = Problems::default();
    let reader = problems.reader(input);
    let mut tags = Vec::new();
    for tag in reader.list("tags", 0..=usize::MAX)? {
        let key = tag.required("key", &rules::TAG_KEY)?;
        let value = tag.required("value", &rules::TAG_VALUE)?;
        tags.push((key, value));
    }
    problems.finish()?;
    if tags.len() > MOST {
        return Err(ApiError::new(
            "TooManyTagsException",
            format!("The number of tags exceeds the limit of {MOST}"),
        ));
    }
    let mut keys: Vec<&str> = tags.iter().map(|(key, _)| *key).collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.len() < tags.len() || keys.iter().any(|key| key.starts_with("aws:")) {
        return Err(ApiError::new(
            "InvalidTagsException",
            "A tag's key must be unique and must not begin with 'aws:'",
        ));
    }
    let shown = tags
        .iter()
        .map(|(key, value)| json!({ "key": key, "value": value }));
    Ok((!tags.is_empty()).then(|| shown.collect()))
}
