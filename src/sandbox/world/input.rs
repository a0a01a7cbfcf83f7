//! Reads the members of an awsJson input, and refuses them in AWS's words.

use super::error::ApiError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The input of an operation whose bad members are `InvalidParameterException` (ECR, CloudWatch Logs).
#[derive(Debug, Clone, Copy)]
pub struct Input<'a>(pub &'a Value);

impl<'a> Input<'a> {
    /// A member that must be there, as text.
    pub fn required(self, name: &str) -> Result<&'a str, ApiError> {
        match self.text(name)? {
            Some(text) if !text.is_empty() => Ok(text),
            Some(_) => Err(invalid(
                name,
                "Member must have length greater than or equal to 1",
            )),
            None => Err(invalid(name, "Member must not be null")),
        }
    }

    /// A member that may be missing, as text.
    pub fn text(self, name: &str) -> Result<Option<&'a str>, ApiError> {
        match self.member(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(mistyped(other, "String")),
        }
    }

    /// A whole number that may be missing.
    pub fn number(self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.member(name) else {
            return Ok(None);
        };
        let number = value.as_i64().ok_or_else(|| mistyped(value, "Integer"))?;
        if number < *range.start() {
            let rule = format!(
                "Member must have value greater than or equal to {}",
                range.start()
            );
            return Err(invalid(name, &rule));
        }
        if number > *range.end() {
            let rule = format!("Member must have value less than or equal to {}", range.end());
            return Err(invalid(name, &rule));
        }
        Ok(Some(number))
    }

    /// A flag; false when missing.
    pub fn flag(self, name: &str) -> Result<bool, ApiError> {
        match self.member(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(mistyped(other, "Boolean")),
        }
    }

    /// A list that may be missing.
    pub fn list(self, name: &str) -> Result<Option<&'a [Value]>, ApiError> {
        match self.member(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(other) => Err(mistyped(other, "List")),
        }
    }

    /// A list of texts that may be missing.
    pub fn texts(self, name: &str) -> Result<Option<Vec<&'a str>>, ApiError> {
        let Some(items) = self.list(name)? else {
            return Ok(None);
        };
        items
            .iter()
            .map(|item| item.as_str().ok_or_else(|| mistyped(item, "String")))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// A structure; an empty one when missing.
    pub fn structure(self, name: &str) -> Result<Input<'a>, ApiError> {
        match self.member(name) {
            None => Ok(Input(&Value::Null)),
            Some(object @ Value::Object(_)) => Ok(Input(object)),
            Some(other) => Err(mistyped(other, "Structure")),
        }
    }

    /// A member; JSON's null is a missing member.
    pub fn member(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }
}

/// `InvalidParameterException` about one member.
pub fn invalid(name: &str, rule: &str) -> ApiError {
    ApiError::new(
        "InvalidParameterException",
        format!("Invalid parameter at '{name}' failed to satisfy constraint: '{rule}'"),
    )
}

/// `SerializationException` about a value of another type than `wanted`.
pub fn mistyped(value: &Value, wanted: &str) -> ApiError {
    let found = match value {
        Value::Null => "NULL_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    };
    ApiError::new(
        "SerializationException",
        format!("{found} can not be converted to a {wanted}"),
    )
}

/// `UnknownOperationException`, naming the service and the operation that the sandbox does not know.
pub fn unknown_operation(service: &str, operation: &str) -> ApiError {
    ApiError::new(
        "UnknownOperationException",
        format!("the sandbox does not know the operation {operation} of {service}"),
    )
}

/// An instant as awsJson writes it: seconds since the epoch, to the millisecond.
pub fn epoch(at: Duration) -> Value {
    Value::from(at.as_millis() as f64 / 1000.0)
}

/// One page of `items` after the item that `token` names, and the token of the next page.
pub fn page<T>(
    items: Vec<T>,
    key: impl Fn(&T) -> String,
    token: Option<&str>,
    size: usize,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let start = match token {
        None => 0,
        Some(token) => {
            let last = decode_token(token)
                .ok_or_else(|| invalid("nextToken", "must be a token of an earlier answer"))?;
            items
                .iter()
                .position(|item| key(item) > last)
                .unwrap_or(items.len())
        }
    };
    let more = items.len().saturating_sub(start) > size;
    let page: Vec<T> = items.into_iter().skip(start).take(size).collect();
    let next = page
        .last()
        .filter(|_| more)
        .map(|last| URL_SAFE_NO_PAD.encode(key(last)));
    Ok((page, next))
}

fn decode_token(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::{Input, page};
    use serde_json::json;

    #[test]
    fn members_are_refused_in_the_words_of_aws() {
        let input = json!({ "name": 7, "empty": "", "size": 0, "list": "x", "null": null });
        let input = Input(&input);
        let says = |problem: super::ApiError| problem.to_string();
        assert_eq!(
            says(input.required("name").unwrap_err()),
            "SerializationException: NUMBER_VALUE can not be converted to a String"
        );
        assert_eq!(
            says(input.required("null").unwrap_err()),
            "InvalidParameterException: Invalid parameter at 'null' failed to satisfy constraint: 'Member must not be null'"
        );
        assert_eq!(
            says(input.number("size", 1..=9).unwrap_err()),
            "InvalidParameterException: Invalid parameter at 'size' failed to satisfy constraint: 'Member must have value greater than or equal to 1'"
        );
        assert!(input.required("empty").is_err());
        assert!(input.list("list").is_err());
    }

    #[test]
    fn pages_join_to_the_whole_list() {
        let all: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        let (mut joined, mut token) = (Vec::new(), None);
        loop {
            let (items, next) = page(all.clone(), Clone::clone, token.as_deref(), 2).unwrap();
            assert!(items.len() <= 2);
            joined.extend(items);
            token = next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(joined, all);
        assert!(page(all, Clone::clone, Some("%"), 2).is_err());
    }
}
