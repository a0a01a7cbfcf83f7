//! Reads the members of an input of SQS, and refuses them in its words.

use super::super::error::ApiError;
use super::queue::Settings;
use crate::sandbox::ACCOUNT;
use serde_json::Value;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The most bytes of a message.
const LONGEST: usize = 1024 * 1024;

/// The input of an operation.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a>(pub &'a Value);

impl<'a> Asked<'a> {
    /// Refuses members that the sandbox does not know: what is ignored would look as if it worked.
    pub fn only(self, known: &[&str]) -> Result<(), ApiError> {
        let members = self.0.as_object().into_iter().flatten();
        match members
            .map(|(name, _)| name)
            .find(|name| !known.contains(&name.as_str()))
        {
            None => Ok(()),
            Some(name) => Err(ApiError::new(
                "UnsupportedOperation",
                format!("the sandbox does not know the member {name} of this operation of SQS"),
            )),
        }
    }

    /// A text that must be there.
    pub fn required(self, name: &str) -> Result<&'a str, ApiError> {
        self.text(name)?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| missing(name))
    }

    /// A text that may be missing.
    pub fn text(self, name: &str) -> Result<Option<&'a str>, ApiError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(mistyped(name)),
        }
    }

    /// A list of texts; an empty one when missing.
    pub fn texts(self, name: &str) -> Result<Vec<&'a str>, ApiError> {
        let items = self.list(name)?.iter();
        items
            .map(|item| item.as_str().ok_or_else(|| mistyped(name)))
            .collect()
    }

    /// A list; an empty one when missing.
    pub fn list(self, name: &str) -> Result<&'a [Value], ApiError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(mistyped(name)),
        }
    }

    /// A whole number that may be missing.
    pub fn number(self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, ApiError> {
        let Some(value) = self.0.get(name).filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        let number = value.as_i64().ok_or_else(|| mistyped(name))?;
        match u64::try_from(number) {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            Ok(_) | Err(_) => Err(invalid(&format!(
                "Value {number} for parameter {name} is invalid. Reason: Must be between {} and {}, if provided.",
                range.start(),
                range.end()
            ))),
        }
    }

    /// A time in whole seconds that may be missing.
    pub fn seconds(self, name: &str, range: RangeInclusive<u64>) -> Result<Option<Duration>, ApiError> {
        Ok(self.number(name, range)?.map(Duration::from_secs))
    }

    /// The name of the queue of a URL.
    pub fn queue_name(self) -> Result<&'a str, ApiError> {
        let url = self.required("QueueUrl")?;
        let mut parts = url.rsplit('/');
        match (parts.next(), parts.next()) {
            (Some(name), Some(ACCOUNT)) if !name.is_empty() => Ok(name),
            (Some(_), Some(_)) if url.contains("://") => Err(super::no_queue()),
            _ => Err(ApiError::new(
                "InvalidAddress",
                format!("The address {url} is not valid for this endpoint."),
            )
            .status(404)),
        }
    }

    /// The text of a message.
    pub fn message_body(self) -> Result<&'a str, ApiError> {
        let body = self.required("MessageBody")?;
        if body.len() > LONGEST {
            let text = format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {LONGEST} bytes."
            );
            return Err(invalid(&text));
        }
        // XML 1.0's characters: https://www.w3.org/TR/REC-xml/#charsets
        let is_character =
            |one: char| !one.is_control() || matches!(one, '\t' | '\n' | '\r' | '\u{7f}'..='\u{9f}');
        if !body.chars().all(is_character) {
            let text = "The message contains characters outside the allowed set.";
            return Err(ApiError::new("InvalidMessageContents", text));
        }
        Ok(body)
    }

    /// The attributes of a queue to create: numbers that are written as texts.
    pub fn settings(self) -> Result<Settings, ApiError> {
        let mut settings = Settings::default();
        let attributes = self.0.get("Attributes").and_then(Value::as_object);
        for (name, value) in attributes.into_iter().flatten() {
            let (place, range) = match name.as_str() {
                "VisibilityTimeout" => (&mut settings.visibility, 0..=43_200),
                "ReceiveMessageWaitTimeSeconds" => (&mut settings.wait, 0..=20),
                "DelaySeconds" => (&mut settings.delay, 0..=900),
                "MessageRetentionPeriod" => (&mut settings.retention, 60..=1_209_600),
                // Who may send is a policy, which the sandbox does not imitate; encryption at rest shows nowhere.
                "Policy" | "SqsManagedSseEnabled" => continue,
                other => {
                    return Err(ApiError::new(
                        "InvalidAttributeName",
                        format!("Unknown Attribute {other}."),
                    ));
                }
            };
            let number = value.as_str().and_then(|text| text.parse::<u64>().ok());
            *place = match number.filter(|number| range.contains(number)) {
                Some(number) => Duration::from_secs(number),
                None => {
                    let text = format!("Invalid value for the parameter {name}.");
                    return Err(ApiError::new("InvalidAttributeValue", text));
                }
            };
        }
        Ok(settings)
    }
}

/// `InvalidParameterValueException`.
pub fn invalid(text: &str) -> ApiError {
    ApiError::new("InvalidParameterValueException", text)
}

/// `MissingRequiredParameterException`, naming the member.
pub fn missing(name: &str) -> ApiError {
    ApiError::new(
        "MissingRequiredParameterException",
        format!("The request must contain the parameter {name}."),
    )
}

fn mistyped(name: &str) -> ApiError {
    ApiError::new("SerializationException", format!("{name} is of another type"))
}
