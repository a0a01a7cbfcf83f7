//! SQS, as far as a queue that wakes somebody needs it: standard queues, and events that are put into those of them that
//! subscribed, as a rule of EventBridge puts them.
//!
//! Waiting is the wire's: [`Sqs::call`] answers at once, [`Sqs::next_visible`] tells when it is worth to ask again.

mod queue;
mod read;

use super::error::ApiError;
use super::input::unknown_operation;
use crate::sandbox::ACCOUNT;
use queue::{Message, NoReceipt, PurgedAlready, Queue, md5_of};
use read::Asked;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The most entries of a batch.
const BATCH: usize = 10;

/// The queues.
#[derive(Debug)]
pub struct Sqs {
    region: String,
    host: String,
    queues: BTreeMap<String, Queue>,
    subscriptions: Vec<Subscription>,
    sent: u64,
}

/// A queue that gets events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The queue's name.
    pub queue: String,
    /// The `detail.state` of the events that it gets; every event when empty.
    pub states: Vec<String>,
}

impl Sqs {
    /// No queues yet.
    #[must_use]
    pub fn new(config: &super::WorldConfig) -> Self {
        Self {
            region: config.region.clone(),
            host: config.registry_host.clone(),
            queues: BTreeMap::new(),
            subscriptions: Vec::new(),
            sent: 0,
        }
    }

    /// Puts events into a queue from now on; the queue is created when there is none.
    pub fn subscribe(&mut self, subscription: Subscription) {
        self.queues
            .entry(subscription.queue.clone())
            .or_insert_with(|| Queue::new(queue::Settings::default()));
        self.subscriptions.push(subscription);
    }

    /// Gives an event of EventBridge (`source`, `detail-type`, `detail`) to every queue that subscribed to it.
    pub fn publish(&mut self, now: Duration, event: &Value) {
        let state = event["detail"]["state"].as_str().unwrap_or_default();
        let wanted =
            |one: &&Subscription| one.states.is_empty() || one.states.iter().any(|each| each == state);
        let queues: Vec<String> = self
            .subscriptions
            .iter()
            .filter(wanted)
            .map(|one| one.queue.clone())
            .collect();
        for name in queues {
            let id = self.next_id();
            if let Some(queue) = self.queues.get_mut(&name) {
                queue.send(now, id, event.to_string(), None);
            }
        }
    }

    /// How many messages were ever sent: whoever waits for one looks again when it changes.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// How long a ReceiveMessage waits for a message.
    ///
    /// # Errors
    /// The operation's own, for a queue or a number that is refused.
    pub fn patience(&self, input: &Value) -> Result<Duration, ApiError> {
        let asked = Asked(input);
        let settings = self.queue(asked)?.settings;
        Ok(asked.seconds("WaitTimeSeconds", 0..=20)?.unwrap_or(settings.wait))
    }

    /// The next instant at which a message of the queue of an input can be received.
    #[must_use]
    pub fn next_visible(&self, input: &Value) -> Option<Duration> {
        self.queue(Asked(input)).ok()?.next_visible()
    }

    /// Answers an operation, without waiting.
    ///
    /// # Errors
    /// The operation's own; an unknown operation is refused by name.
    pub fn call(&mut self, now: Duration, operation: &str, input: &Value) -> Result<Value, ApiError> {
        let asked = Asked(input);
        match operation {
            "CreateQueue" => self.create(asked),
            "GetQueueUrl" => self.url_of(asked),
            "GetQueueAttributes" => self.attributes(now, asked),
            "SendMessage" => self.send(now, asked),
            "ReceiveMessage" => self.receive(now, asked),
            "ChangeMessageVisibility" => self.change_visibility(now, asked),
            "DeleteMessage" => self.delete(asked),
            "DeleteMessageBatch" => self.delete_batch(asked),
            "PurgeQueue" => self.purge(now, asked),
            other => Err(unknown_operation("SQS", other)),
        }
    }

    fn create(&mut self, asked: Asked<'_>) -> Result<Value, ApiError> {
        asked.only(&["QueueName", "Attributes", "tags"])?;
        let name = asked.required("QueueName")?;
        check_name(name)?;
        let settings = asked.settings()?;
        let url = self.url(name);
        match self.queues.get(name) {
            Some(queue) if asked.0.get("Attributes").is_some() && queue.settings != settings => {
                return Err(ApiError::new(
                    "QueueNameExists",
                    "A queue already exists with the same name and a different value for an attribute",
                ));
            }
            Some(_) => {}
            None => {
                self.queues.insert(name.to_owned(), Queue::new(settings));
            }
        }
        Ok(json!({ "QueueUrl": url }))
    }

    fn url_of(&self, asked: Asked<'_>) -> Result<Value, ApiError> {
        asked.only(&["QueueName", "QueueOwnerAWSAccountId"])?;
        let name = asked.required("QueueName")?;
        let owner = asked.text("QueueOwnerAWSAccountId")?.unwrap_or(ACCOUNT);
        match self.queues.get(name) {
            Some(_) if owner == ACCOUNT => Ok(json!({ "QueueUrl": self.url(name) })),
            Some(_) | None => Err(no_queue()),
        }
    }

    fn attributes(&self, now: Duration, asked: Asked<'_>) -> Result<Value, ApiError> {
        asked.only(&["QueueUrl", "AttributeNames"])?;
        let queue = self.queue(asked)?;
        let (visible, held, delayed) = queue.counts(now);
        let name = asked.queue_name().unwrap_or_default();
        let seconds = |time: Duration| time.as_secs().to_string();
        let wanted = asked.texts("AttributeNames")?;
        let shown: Map<String, Value> = [
            ("ApproximateNumberOfMessages", visible.to_string()),
            ("ApproximateNumberOfMessagesNotVisible", held.to_string()),
            ("ApproximateNumberOfMessagesDelayed", delayed.to_string()),
            ("DelaySeconds", seconds(queue.settings.delay)),
            ("MessageRetentionPeriod", seconds(queue.settings.retention)),
            (
                "QueueArn",
                format!("arn:aws:sqs:{}:{ACCOUNT}:{name}", self.region),
            ),
            ("ReceiveMessageWaitTimeSeconds", seconds(queue.settings.wait)),
            ("VisibilityTimeout", seconds(queue.settings.visibility)),
        ]
        .into_iter()
        .filter(|(name, _)| wanted.contains(&"All") || wanted.contains(name))
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect();
        Ok(without_empty(json!({ "Attributes": shown })))
    }

    fn send(&mut self, now: Duration, asked: Asked<'_>) -> Result<Value, ApiError> {
        asked.only(&["QueueUrl", "MessageBody", "DelaySeconds"])?;
        let body = asked.message_body()?.to_owned();
        let delay = asked.seconds("DelaySeconds", 0..=900)?;
        self.queue(asked)?;
        let id = self.next_id();
        let md5 = md5_of(&body);
        self.queue_mut(asked)?.send(now, id.clone(), body, delay);
        Ok(json!({ "MessageId": id, "MD5OfMessageBody": md5 }))
    }

    fn receive(&mut self, now: Duration, asked: Asked<'_>) -> Result<Value, ApiError> {
        asked.only(&[
            "QueueUrl",
            "AttributeNames",
            "MessageSystemAttributeNames",
            "MessageAttributeNames",
            "MaxNumberOfMessages",
            "VisibilityTimeout",
            "WaitTimeSeconds",
        ])?;
        let most = asked.number("MaxNumberOfMessages", 1..=10)?.unwrap_or(1);
        let visibility = asked.seconds("VisibilityTimeout", 0..=43_200)?;
        asked.seconds("WaitTimeSeconds", 0..=20)?;
        let mut wanted = asked.texts("AttributeNames")?;
        wanted.extend(asked.texts("MessageSystemAttributeNames")?);
        let queue = self.queue_mut(asked)?;
        let visibility = visibility.unwrap_or(queue.settings.visibility);
        let messages = queue.receive(now, most as usize, visibility);
        let messages: Vec<Value> = messages.iter().map(|one| show(one, &wanted)).collect();
        Ok(without_empty(json!({ "Messages": messages })))
    }

    fn change_visibility(&mut self, now: Duration, asked: Asked<'_>) -> Result<Value, ApiError> {
        asked.only(&["QueueUrl", "ReceiptHandle", "VisibilityTimeout"])?;
        let receipt = asked.required("ReceiptHandle")?;
        let time = asked
            .seconds("VisibilityTimeout", 0..=43_200)?
            .ok_or_else(|| read::missing("VisibilityTimeout"))?;
        match self.queue_mut(asked)?.hide(now, receipt, time) {
            Ok(true) => Ok(json!({})),
            Ok(false) => Err(ApiError::new(
                "MessageNotInflight",
                "The message is not in flight.",
            )),
            Err(NoReceipt) => Err(no_receipt(receipt)),
        }
    }

    fn delete(&mut self, asked: Asked<'_>) -> Result<Value, ApiError> {
        asked.only(&["QueueUrl", "ReceiptHandle"])?;
        let receipt = asked.required("ReceiptHandle")?;
        self.queue_mut(asked)?
            .delete(receipt)
            .map(|()| json!({}))
            .map_err(|NoReceipt| no_receipt(receipt))
    }

    fn delete_batch(&mut self, asked: Asked<'_>) -> Result<Value, ApiError> {
        asked.only(&["QueueUrl", "Entries"])?;
        let entries = asked.list("Entries")?;
        if entries.is_empty() {
            let text = "There should be at least one DeleteMessageBatchRequestEntry in the request.";
            return Err(ApiError::new("EmptyBatchRequest", text));
        }
        if entries.len() > BATCH {
            let text = format!(
                "Maximum number of entries per request are {BATCH}. You have sent {}.",
                entries.len()
            );
            return Err(ApiError::new("TooManyEntriesInBatchRequest", text));
        }
        let mut ids = Vec::new();
        for entry in entries {
            let id = Asked(entry).required("Id")?;
            if ids.contains(&id) {
                let text = format!("Id {id} repeated.");
                return Err(ApiError::new("BatchEntryIdsNotDistinct", text));
            }
            ids.push(id);
        }
        let queue = self.queue_mut(asked)?;
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for (entry, id) in entries.iter().zip(ids) {
            let receipt = Asked(entry).required("ReceiptHandle")?;
            match queue.delete(receipt) {
                Ok(()) => good.push(json!({ "Id": id })),
                Err(NoReceipt) => bad.push(json!({
                    "Id": id,
                    "Code": "ReceiptHandleIsInvalid",
                    "Message": no_receipt(receipt).message,
                    "SenderFault": true,
                })),
            }
        }
        Ok(json!({ "Successful": good, "Failed": bad }))
    }

    fn purge(&mut self, now: Duration, asked: Asked<'_>) -> Result<Value, ApiError> {
        asked.only(&["QueueUrl"])?;
        let name = asked.queue_name().unwrap_or_default().to_owned();
        self.queue_mut(asked)?
            .purge(now)
            .map(|()| json!({}))
            .map_err(|PurgedAlready| {
                let text = format!("Only one PurgeQueue operation on {name} is allowed every 60 seconds.");
                ApiError::new("PurgeQueueInProgress", text).status(403)
            })
    }

    fn queue(&self, asked: Asked<'_>) -> Result<&Queue, ApiError> {
        self.queues.get(asked.queue_name()?).ok_or_else(no_queue)
    }

    fn queue_mut(&mut self, asked: Asked<'_>) -> Result<&mut Queue, ApiError> {
        self.queues.get_mut(asked.queue_name()?).ok_or_else(no_queue)
    }

    fn url(&self, name: &str) -> String {
        format!("http://{}/{ACCOUNT}/{name}", self.host)
    }

    fn next_id(&mut self) -> String {
        self.sent += 1;
        format!("00000000-0000-4000-8000-{:012}", self.sent)
    }
}

fn show(message: &Message, wanted: &[&str]) -> Value {
    let millis = |at: Duration| at.as_millis().to_string();
    let first = message.first_received.map(millis).unwrap_or_default();
    let attributes: Map<String, Value> = [
        ("SenderId", "AIDASANDBOX000000000".to_owned()),
        ("SentTimestamp", millis(message.sent)),
        ("ApproximateReceiveCount", message.receives.to_string()),
        ("ApproximateFirstReceiveTimestamp", first),
    ]
    .into_iter()
    .filter(|(name, _)| wanted.contains(&"All") || wanted.contains(name))
    .map(|(name, value)| (name.to_owned(), Value::from(value)))
    .collect();
    without_empty(json!({
        "MessageId": message.id,
        "ReceiptHandle": message.receipt,
        "MD5OfBody": md5_of(&message.body),
        "Body": message.body,
        "Attributes": attributes,
    }))
}

/// An answer without lists and maps that hold nothing: SQS leaves them out.
fn without_empty(mut answer: Value) -> Value {
    if let Value::Object(members) = &mut answer {
        members.retain(|_, value| match value {
            Value::Array(items) => !items.is_empty(),
            Value::Object(entries) => !entries.is_empty(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        });
    }
    answer
}

fn check_name(name: &str) -> Result<(), ApiError> {
    if name.ends_with(".fifo") {
        let text = "the sandbox knows no FIFO queues";
        return Err(ApiError::new("UnsupportedOperation", text));
    }
    let allowed = |one: char| one.is_ascii_alphanumeric() || one == '-' || one == '_';
    if name.len() > 80 || !name.chars().all(allowed) {
        let text = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
        return Err(read::invalid(text));
    }
    Ok(())
}

fn no_queue() -> ApiError {
    ApiError::new("QueueDoesNotExist", "The specified queue does not exist.")
}

fn no_receipt(receipt: &str) -> ApiError {
    let text = format!("The input receipt handle \"{receipt}\" is not a valid receipt handle.");
    ApiError::new("ReceiptHandleIsInvalid", text)
}

#[cfg(test)]
mod tests;
