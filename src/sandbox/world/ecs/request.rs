//! Reading requests and writing answers: members, pages, errors, timestamps.

use crate::sandbox::world::error::ApiError;
use base64::Engine as _;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// `ClientException`: the caller's action or input is wrong.
pub fn client(message: impl Into<String>) -> ApiError {
    ApiError::new("ClientException", message)
}

/// `InvalidParameterException`: a parameter is wrong.
pub fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}

/// A text member, `None` when absent, null or empty.
pub fn text<'a>(input: &'a Value, key: &str) -> Option<&'a str> {
    input
        .get(key)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

/// A text member that must be there.
pub fn required<'a>(input: &'a Value, key: &str) -> Result<&'a str, ApiError> {
    text(input, key).ok_or_else(|| invalid(format!("{key} should not be null or empty.")))
}

/// A whole number that may be absent; negative and fractional ones are refused.
pub fn number(input: &Value, key: &str) -> Result<Option<u32>, ApiError> {
    match input.get(key).filter(|value| !value.is_null()) {
        None => Ok(None),
        Some(value) => match value.as_u64().and_then(|n| u32::try_from(n).ok()) {
            Some(n) => Ok(Some(n)),
            None => Err(invalid(format!("{key} must be a whole number, not {value}."))),
        },
    }
}

/// A boolean member, false when absent.
pub fn flag(input: &Value, key: &str) -> bool {
    input.get(key).and_then(Value::as_bool).unwrap_or_default()
}

/// A list member, empty when absent.
pub fn list<'a>(input: &'a Value, key: &str) -> &'a [Value] {
    input
        .get(key)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// A list of texts, empty when absent.
pub fn texts<'a>(input: &'a Value, key: &str) -> Vec<&'a str> {
    list(input, key).iter().filter_map(Value::as_str).collect()
}

/// Whether `include` asks for tags.
pub fn wants_tags(input: &Value) -> bool {
    texts(input, "include").contains(&"TAGS")
}

/// Refuses a list that names nothing or more than `most` things.
pub fn at_most(input: &Value, key: &str, most: usize) -> Result<(), ApiError> {
    match list(input, key).len() {
        0 => Err(invalid(format!("{key} can not be empty."))),
        n if n > most => Err(invalid(format!("{key} can have at most {most} items, not {n}."))),
        _ => Ok(()),
    }
}

/// A time as awsJson writes it: seconds since the epoch, with milliseconds.
pub fn stamp(time: Duration) -> Value {
    if time.subsec_millis() == 0 {
        return json!(time.as_secs());
    }
    // Seconds of this century and three decimals fit a double exactly enough to print back as written.
    #[expect(
        clippy::cast_precision_loss,
        reason = "53 bits hold milliseconds for 285 000 years"
    )]
    let seconds = time.as_millis() as f64 / 1000.0;
    json!(seconds)
}

/// Sets a member when there is a value.
pub fn set(map: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value);
    }
}

/// Copies members that are present and not null.
pub fn copy(from: &Value, keys: &[&str], to: &mut Map<String, Value>) {
    for key in keys {
        if let Some(value) = from.get(*key).filter(|value| !value.is_null()) {
            to.insert((*key).to_owned(), value.clone());
        }
    }
}

/// A `failures[]` member.
pub fn missing(arn: &str) -> Value {
    json!({ "arn": arn, "reason": "MISSING" })
}

/// Cuts a page out of `items` and gives the token of the next one.
///
/// # Errors
/// `InvalidParameterException` for a token that this operation did not give, or a `maxResults` outside 1..=`most`.
pub fn page<T>(
    input: &Value,
    items: Vec<T>,
    usual: usize,
    most: usize,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let size = match number(input, "maxResults")? {
        None => usual,
        Some(n) if n >= 1 && n as usize <= most => n as usize,
        Some(n) => {
            return Err(invalid(format!(
                "maxResults must be between 1 and {most}, not {n}."
            )));
        }
    };
    let from = match text(input, "nextToken") {
        None => 0,
        Some(token) => offset(token).ok_or_else(|| invalid("Invalid token"))?,
    };
    let end = from.saturating_add(size);
    let next = (end < items.len())
        .then(|| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("{TOKEN}{end}")));
    Ok((items.into_iter().skip(from).take(size).collect(), next))
}

const TOKEN: &str = "from:";

fn offset(token: &str) -> Option<usize> {
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(token)
        .ok()?;
    String::from_utf8(bytes).ok()?.strip_prefix(TOKEN)?.parse().ok()
}

/// An answer with a list and, when there are more, a token.
pub fn listing(key: &str, (items, next): (Vec<Value>, Option<String>)) -> Value {
    let mut answer = Map::new();
    answer.insert(key.to_owned(), Value::Array(items));
    set(&mut answer, "nextToken", next.map(Value::String));
    Value::Object(answer)
}

/// An answer with what was found and what was not. (`json!` would copy both, member by member.)
pub fn described(key: &str, found: Vec<Value>, failures: Vec<Value>) -> Value {
    let mut answer = Map::new();
    answer.insert(key.to_owned(), Value::Array(found));
    answer.insert("failures".to_owned(), Value::Array(failures));
    Value::Object(answer)
}

/// The part of a name or an ARN after the last `/`.
pub fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::{page, stamp};
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn a_listing_is_read_page_by_page() {
        let items: Vec<u32> = (0..250).collect();
        let (first, token) = page(&json!({}), items.clone(), 100, 100).unwrap();
        assert_eq!((first[0], first.len()), (0, 100));
        let (last, end) = page(
            &json!({ "nextToken": token, "maxResults": 100 }),
            items.clone(),
            100,
            100,
        )
        .and_then(|(_, next)| page(&json!({ "nextToken": next }), items.clone(), 100, 100))
        .unwrap();
        assert_eq!((last[0], last.len(), end), (200, 50, None));
        for bad in [
            json!({ "nextToken": "x" }),
            json!({ "maxResults": 0 }),
            json!({ "maxResults": 101 }),
        ] {
            assert_eq!(
                page(&bad, items.clone(), 100, 100).unwrap_err().code,
                "InvalidParameterException",
                "{bad}"
            );
        }
    }

    #[test]
    fn timestamps_are_numbers_with_milliseconds() {
        assert_eq!(
            stamp(Duration::from_millis(1_764_000_000_123)).to_string(),
            "1764000000.123"
        );
        assert_eq!(
            stamp(Duration::from_secs(1_764_000_000)).to_string(),
            "1764000000"
        );
    }
}
