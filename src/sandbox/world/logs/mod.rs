//! CloudWatch Logs: groups, streams and the events of tasks' output.

use super::WorldConfig;
use super::error::ApiError;
use super::input::{Input, invalid, page, unknown_operation};
use crate::sandbox::ACCOUNT;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The most events of one answer (GetLogEvents, FilterLogEvents), and how many come unasked.
const MAX_EVENTS: i64 = 10_000;

/// The state of CloudWatch Logs.
#[derive(Debug)]
pub struct Logs {
    region: String,
    groups: BTreeMap<String, Group>,
}

#[derive(Debug)]
struct Group {
    created: Duration,
    streams: BTreeMap<String, Stream>,
}

#[derive(Debug)]
struct Stream {
    created: Duration,
    events: Vec<Event>,
}

#[derive(Debug, Clone)]
struct Event {
    at: Duration,
    ingested: Duration,
    message: String,
}

impl Logs {
    /// No groups yet.
    #[must_use]
    pub fn new(config: &WorldConfig) -> Self {
        Self {
            region: config.region.clone(),
            groups: BTreeMap::new(),
        }
    }

    /// Answers one operation with the JSON of its output shape.
    ///
    /// # Errors
    /// The operation's declared errors; an unknown operation is refused by name.
    pub fn call(&mut self, now: Duration, operation: &str, input: &Value) -> Result<Value, ApiError> {
        let input = Input(input);
        match operation {
            "CreateLogGroup" => self.create_group(now, input),
            "DeleteLogGroup" => self.delete_group(input),
            "DescribeLogGroups" => self.describe_groups(input),
            "CreateLogStream" => self.create_stream(now, input),
            "DescribeLogStreams" => self.describe_streams(input),
            "PutLogEvents" => self.put_events(now, input),
            "GetLogEvents" => self.events(input),
            "FilterLogEvents" => self.filter_events(input),
            unknown => Err(unknown_operation("CloudWatch Logs", unknown)),
        }
    }

    /// Whether a log group exists.
    #[must_use]
    pub fn has_group(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// Appends a line to a stream, which is created when missing; nothing happens when the group is missing.
    pub fn append(&mut self, now: Duration, group: &str, stream: &str, line: &str) {
        if let Some(group) = self.groups.get_mut(group) {
            let stream = group
                .streams
                .entry(stream.to_owned())
                .or_insert_with(|| Stream::new(now));
            stream.events.push(Event {
                at: now,
                ingested: now,
                message: line.to_owned(),
            });
        }
    }

    fn create_group(&mut self, now: Duration, input: Input<'_>) -> Result<Value, ApiError> {
        let name = input.required("logGroupName")?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/#".contains(&byte);
        if name.len() > 512 || !name.bytes().all(allowed) {
            return Err(invalid(
                "logGroupName",
                r"Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+",
            ));
        }
        if self.has_group(name) {
            return Err(already("The specified log group already exists"));
        }
        let group = Group {
            created: now,
            streams: BTreeMap::new(),
        };
        self.groups.insert(name.to_owned(), group);
        Ok(json!({}))
    }

    fn delete_group(&mut self, input: Input<'_>) -> Result<Value, ApiError> {
        let removed = self.groups.remove(input.required("logGroupName")?);
        removed.map(|_| json!({})).ok_or_else(no_group)
    }

    fn describe_groups(&self, input: Input<'_>) -> Result<Value, ApiError> {
        let prefix = input.text("logGroupNamePrefix")?.unwrap_or_default();
        let size = input.number("limit", 1..=50)?.unwrap_or(50);
        let groups = self
            .groups
            .iter()
            .filter(|(name, _)| name.starts_with(prefix))
            .collect();
        let (groups, next) = page(
            groups,
            |(name, _)| (*name).clone(),
            input.text("nextToken")?,
            to_size(size),
        )?;
        let shown = groups.into_iter().map(|(name, group)| {
            let arn = self.arn(name);
            json!({
                "logGroupName": name,
                "creationTime": millis(group.created),
                "metricFilterCount": 0,
                "arn": format!("{arn}:*"),
                "logGroupArn": arn,
                "storedBytes": 0,
                "logGroupClass": "STANDARD",
            })
        });
        Ok(with_token(
            json!({ "logGroups": shown.collect::<Vec<_>>() }),
            next,
        ))
    }

    fn create_stream(&mut self, now: Duration, input: Input<'_>) -> Result<Value, ApiError> {
        let name = input.required("logStreamName")?;
        if name.len() > 512 || name.contains([':', '*']) {
            return Err(invalid(
                "logStreamName",
                "Member must satisfy regular expression pattern: [^:*]*",
            ));
        }
        let streams = &mut self.group_mut(input)?.streams;
        if streams.contains_key(name) {
            return Err(already("The specified log stream already exists"));
        }
        streams.insert(name.to_owned(), Stream::new(now));
        Ok(json!({}))
    }

    fn describe_streams(&self, input: Input<'_>) -> Result<Value, ApiError> {
        let group_name = input.required("logGroupName")?;
        let group = self.group(input)?;
        let prefix = input.text("logStreamNamePrefix")?.unwrap_or_default();
        let size = input.number("limit", 1..=50)?.unwrap_or(50);
        let streams = group
            .streams
            .iter()
            .filter(|(name, _)| name.starts_with(prefix))
            .collect();
        let (streams, next) = page(
            streams,
            |(name, _)| (*name).clone(),
            input.text("nextToken")?,
            to_size(size),
        )?;
        let shown = streams.into_iter().map(|(name, stream)| {
            let mut shown = json!({
                "logStreamName": name,
                "creationTime": millis(stream.created),
                "arn": format!("{}:log-stream:{name}", self.arn(group_name)),
                "storedBytes": 0,
            });
            if let (Some(first), Some(last)) = (stream.events.first(), stream.events.last()) {
                shown["firstEventTimestamp"] = millis(first.at);
                shown["lastEventTimestamp"] = millis(last.at);
                shown["lastIngestionTime"] = millis(last.ingested);
            }
            shown
        });
        Ok(with_token(
            json!({ "logStreams": shown.collect::<Vec<_>>() }),
            next,
        ))
    }

    fn put_events(&mut self, now: Duration, input: Input<'_>) -> Result<Value, ApiError> {
        let name = input.required("logStreamName")?;
        let items = input.list("logEvents")?.unwrap_or_default();
        if items.is_empty() || items.len() > 10_000 {
            return Err(invalid(
                "logEvents",
                "Member must have length between 1 and 10000",
            ));
        }
        let mut events = Vec::new();
        for item in items.iter().map(Input) {
            let at = item.number("timestamp", 0..=i64::MAX)?;
            let at = at.ok_or_else(|| invalid("timestamp", "Member must not be null"))?;
            events.push(Event {
                at: Duration::from_millis(at.unsigned_abs()),
                ingested: now,
                message: item.required("message")?.to_owned(),
            });
        }
        if !events.is_sorted_by_key(|event| event.at) {
            let text = "Log events in a single PutLogEvents request must be in chronological order.";
            return Err(ApiError::new("InvalidParameterException", text));
        }
        let stream = self
            .group_mut(input)?
            .streams
            .get_mut(name)
            .ok_or_else(no_stream)?;
        stream.events.extend(events);
        Ok(json!({}))
    }

    /// GetLogEvents: a window that starts at a token, or at either end.
    fn events(&self, input: Input<'_>) -> Result<Value, ApiError> {
        let stream = self
            .group(input)?
            .streams
            .get(input.required("logStreamName")?)
            .ok_or_else(no_stream)?;
        let limit = to_size(input.number("limit", 1..=MAX_EVENTS)?.unwrap_or(MAX_EVENTS));
        let window = Window::read(input)?;
        let events: Vec<&Event> = stream.events.iter().filter(|event| window.holds(event)).collect();
        let total = events.len();
        let (from, to) = match input.text("nextToken")? {
            Some(token) => match (token.split_at_checked(2), parse_position(token)) {
                (Some(("f/", _)), Some(at)) => (at.min(total), at.saturating_add(limit).min(total)),
                (Some(("b/", _)), Some(at)) => (at.min(total).saturating_sub(limit), at.min(total)),
                _ => {
                    return Err(ApiError::new(
                        "InvalidParameterException",
                        "The specified nextToken is invalid.",
                    ));
                }
            },
            None if input.flag("startFromHead")? => (0, limit.min(total)),
            None => (total.saturating_sub(limit), total),
        };
        let shown: Vec<Value> = events[from..to].iter().map(|event| show(event)).collect();
        Ok(json!({
            "events": shown,
            "nextForwardToken": format!("f/{to:056}/s"),
            "nextBackwardToken": format!("b/{from:056}/s"),
        }))
    }

    fn filter_events(&self, input: Input<'_>) -> Result<Value, ApiError> {
        let group = self.group(input)?;
        let pattern = input.text("filterPattern")?.unwrap_or_default().trim_matches('"');
        let names = input.texts("logStreamNames")?;
        let prefix = input.text("logStreamNamePrefix")?.unwrap_or_default();
        let limit = to_size(input.number("limit", 1..=MAX_EVENTS)?.unwrap_or(MAX_EVENTS));
        let window = Window::read(input)?;
        let mut found = Vec::new();
        for (name, stream) in &group.streams {
            if !name.starts_with(prefix)
                || names
                    .as_ref()
                    .is_some_and(|names| !names.contains(&name.as_str()))
            {
                continue;
            }
            for (at, event) in stream.events.iter().enumerate() {
                if window.holds(event) && event.message.contains(pattern) {
                    found.push((event.at, name, at, event));
                }
            }
        }
        found.sort_by_key(|(time, name, at, _)| (*time, *name, *at));
        let key = |(time, name, at, _): &(Duration, &String, usize, &Event)| {
            format!("{:020}/{name}/{at:010}", time.as_millis())
        };
        let (found, next) = page(found, key, input.text("nextToken")?, limit)?;
        let shown = found.into_iter().map(|(_, name, at, event)| {
            let mut shown = show(event);
            shown["logStreamName"] = Value::from(name.as_str());
            shown["eventId"] = Value::from(format!("{at:056}"));
            shown
        });
        Ok(with_token(json!({ "events": shown.collect::<Vec<_>>() }), next))
    }

    fn group(&self, input: Input<'_>) -> Result<&Group, ApiError> {
        self.groups
            .get(input.required("logGroupName")?)
            .ok_or_else(no_group)
    }

    fn group_mut(&mut self, input: Input<'_>) -> Result<&mut Group, ApiError> {
        self.groups
            .get_mut(input.required("logGroupName")?)
            .ok_or_else(no_group)
    }

    fn arn(&self, group: &str) -> String {
        format!("arn:aws:logs:{}:{ACCOUNT}:log-group:{group}", self.region)
    }
}

impl Stream {
    fn new(created: Duration) -> Self {
        Self {
            created,
            events: Vec::new(),
        }
    }
}

/// `startTime` (included) and `endTime` (excluded).
struct Window {
    start: Option<i64>,
    end: Option<i64>,
}

impl Window {
    fn read(input: Input<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            start: input.number("startTime", 0..=i64::MAX)?,
            end: input.number("endTime", 0..=i64::MAX)?,
        })
    }

    fn holds(&self, event: &Event) -> bool {
        let at = i64::try_from(event.at.as_millis()).unwrap_or(i64::MAX);
        self.start.is_none_or(|start| at >= start) && self.end.is_none_or(|end| at < end)
    }
}

fn parse_position(token: &str) -> Option<usize> {
    token.get(2..)?.strip_suffix("/s")?.parse().ok()
}

fn show(event: &Event) -> Value {
    json!({
        "timestamp": millis(event.at),
        "ingestionTime": millis(event.ingested),
        "message": event.message,
    })
}

/// An instant as CloudWatch Logs writes it: whole milliseconds since the epoch.
fn millis(at: Duration) -> Value {
    Value::from(u64::try_from(at.as_millis()).unwrap_or(u64::MAX))
}

fn to_size(size: i64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

fn with_token(mut answer: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        answer["nextToken"] = Value::String(next);
    }
    answer
}

fn no_group() -> ApiError {
    ApiError::new(
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    )
}

fn no_stream() -> ApiError {
    ApiError::new(
        "ResourceNotFoundException",
        "The specified log stream does not exist.",
    )
}

fn already(text: &str) -> ApiError {
    ApiError::new("ResourceAlreadyExistsException", text)
}

#[cfg(test)]
mod tests;
