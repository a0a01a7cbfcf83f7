//! A queue that says that there may be work, fed by EventBridge.
//!
//! It only shortens the wait for a poll: events come at least once, in any order, and none comes for a job that was handed
//! back. A queue that is denied or gone costs nothing but that, so polling goes on without it.

use super::job::ActionTypeId;
use crate::aws::Aws;
use crate::aws::sort::CallError;
use crate::clock::{Clock, Pause};
use crate::failure::chain;
use crate::report::event::{Event, Tell};
use crate::shutdown::{Shutdown, Urgency};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message};
use serde_json::Value;
use std::fmt;
use std::time::Duration;
use tokio::sync::watch;

/// How long SQS holds a request open for a message, in seconds: 20 are possible, and a call that is silent for 15 is told
/// of as one that may hang.
const WAIT: i32 = 10;

/// The most messages of one answer.
const MOST_MESSAGES: i32 = 10;

/// The pause after an empty answer that came at once although it should have waited.
const HASTE: Duration = Duration::from_secs(5);

/// The pause after a refusal or a failure.
const TROUBLE: Duration = Duration::from_secs(60);

/// A queue of EventBridge's events, for the action types of one worker.
#[derive(Clone)]
pub struct WakeQueue {
    client: Client,
    url: String,
    types: Vec<ActionTypeId>,
}

/// Why the queue gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum WakeError {
    /// It cannot be read.
    #[error("receive from the wake-up queue")]
    Receive(#[source] Box<CallError>),
    /// What was read cannot be removed from it.
    #[error("delete from the wake-up queue")]
    Delete(#[source] Box<CallError>),
}

impl WakeQueue {
    /// The queue with this URL.
    #[must_use]
    pub fn new(aws: &Aws, url: &str, types: &[ActionTypeId]) -> Self {
        Self {
            client: aws.sqs.clone(),
            url: url.to_owned(),
            types: types.to_vec(),
        }
    }

    /// Listens until a stop is asked for, and calls `wake` for each type that has work. Nothing is received while `room`
    /// says that there is no free slot: another worker may have one. Trouble is told once, and its end.
    pub async fn listen(
        &self,
        clock: &Clock,
        shutdown: &Shutdown,
        tell: &Tell,
        mut room: watch::Receiver<bool>,
        wake: impl Fn(&ActionTypeId),
    ) {
        let mut troubled = false;
        loop {
            let began = tokio::select! {
                biased;
                _ = shutdown.reached(Urgency::WindDown) => return,
                free = room.wait_for(|free| *free) => match free {
                    Ok(_) => clock.now(),
                    Err(_) => return,
                },
            };
            let received = tokio::select! {
                biased;
                _ = shutdown.reached(Urgency::WindDown) => return,
                received = self.receive() => received,
            };
            let outcome = match received {
                Ok(messages) => {
                    for id in self.meant(&messages) {
                        wake(id);
                    }
                    let came_at_once = clock.now().saturating_sub(began) < HASTE;
                    let is_hasty = messages.is_empty() && came_at_once;
                    let deleted = self.delete(&messages).await;
                    deleted.map(|()| if is_hasty { HASTE } else { Duration::ZERO })
                }
                Err(error) => Err(error),
            };
            let pause = match outcome {
                Ok(pause) => {
                    if std::mem::take(&mut troubled) {
                        tell.tell(Event::Note("the wake-up queue answers again".to_owned()));
                    }
                    pause
                }
                Err(error) => {
                    if !std::mem::replace(&mut troubled, true) {
                        tell.tell(Event::Warning(format!(
                            "{}; jobs are found by polling alone until it works",
                            chain(&error)
                        )));
                    }
                    TROUBLE
                }
            };
            if pause > Duration::ZERO && clock.pause(pause, shutdown).await == Pause::Stopped {
                return;
            }
        }
    }

    async fn receive(&self) -> Result<Vec<Message>, WakeError> {
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(MOST_MESSAGES)
            .wait_time_seconds(WAIT)
            .send()
            .await
            .map_err(CallError::of("sqs:ReceiveMessage"))
            .map_err(|source| WakeError::Receive(source.into()))?;
        Ok(answer.messages.unwrap_or_default())
    }

    /// The types of ours that messages speak of, each once.
    fn meant(&self, messages: &[Message]) -> Vec<&ActionTypeId> {
        let started: Vec<Started> = messages
            .iter()
            .filter_map(|message| started(message.body()?))
            .collect();
        let is_meant = |id: &&ActionTypeId| started.iter().any(|started| started.is(id));
        self.types.iter().filter(is_meant).collect()
    }

    /// Removes every message that was read, also those of other types: the queue is this fleet's own, and a message that
    /// stays would come back until it is too old.
    async fn delete(&self, messages: &[Message]) -> Result<(), WakeError> {
        let entries: Vec<DeleteMessageBatchRequestEntry> = messages
            .iter()
            .enumerate()
            .filter_map(|(at, message)| {
                let entry = DeleteMessageBatchRequestEntry::builder()
                    .id(at.to_string())
                    .receipt_handle(message.receipt_handle()?);
                entry.build().ok()
            })
            .collect();
        if entries.is_empty() {
            return Ok(());
        }
        // One that stays although it was to be deleted comes again, and costs a poll.
        self.client
            .delete_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(CallError::of("sqs:DeleteMessage"))
            .map(drop)
            .map_err(|source| WakeError::Delete(source.into()))
    }
}

impl fmt::Debug for WakeQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakeQueue")
            .field("types", &self.types)
            .finish_non_exhaustive()
    }
}

/// An action of a custom type that was started.
#[derive(Debug, PartialEq, Eq)]
struct Started {
    category: String,
    provider: String,
    version: String,
}

impl Started {
    fn is(&self, id: &ActionTypeId) -> bool {
        self.category == id.category.word() && self.provider == id.provider && self.version == id.version
    }
}

/// Reads an event of EventBridge; none if it speaks of anything else than an action of a custom type that was started.
fn started(body: &str) -> Option<Started> {
    let event: Value = serde_json::from_str(body).ok()?;
    let detail = event.get("detail")?;
    let text = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).map(str::to_owned);
    let is_action = text(&event, "source")? == "aws.codepipeline"
        && text(&event, "detail-type")? == "CodePipeline Action Execution State Change";
    let kind = detail.get("type")?;
    if !is_action || text(detail, "state")? != "STARTED" || text(kind, "owner")? != "Custom" {
        return None;
    }
    Some(Started {
        category: text(kind, "category")?,
        provider: text(kind, "provider")?,
        version: text(kind, "version")?,
    })
}

#[cfg(test)]
mod tests {
    use super::started;
    use serde_json::{Value, json};

    /// As AWS documents it, with the type of a custom action.
    fn event() -> Value {
        json!({
            "version": "0",
            "id": "CWE-event-id",
            "detail-type": "CodePipeline Action Execution State Change",
            "source": "aws.codepipeline",
            "account": "123456789012",
            "time": "2020-01-24T22:03:07Z",
            "region": "us-east-1",
            "resources": ["arn:aws:codepipeline:us-east-1:123456789012:myPipeline"],
            "detail": {
                "pipeline": "myPipeline",
                "execution-id": "12345678-1234-5678-abcd-12345678abcd",
                "start-time": "2023-10-26T13:51:09.981Z",
                "stage": "Prod",
                "execution-result": null,
                "action": "deploy-action",
                "state": "STARTED",
                "region": "us-east-1",
                "type": { "owner": "Custom", "provider": "Slipway", "category": "Deploy", "version": "1" },
                "version": 1.0,
                "pipeline-execution-attempt": 1.0
            }
        })
    }

    #[test]
    fn the_start_of_a_custom_action_is_read_and_all_else_is_not() {
        let started_action = started(&event().to_string()).unwrap();
        assert!(started_action.is(&"Deploy/Slipway/1".parse().unwrap()));
        for other in ["Build/Slipway/1", "Deploy/Other/1", "Deploy/Slipway/2"] {
            assert!(!started_action.is(&other.parse().unwrap()), "{other}");
        }
        for (pointer, value) in [
            ("/source", json!("aws.ecs")),
            ("/detail-type", json!("CodePipeline Stage Execution State Change")),
            ("/detail/state", json!("SUCCEEDED")),
            ("/detail/type/owner", json!("AWS")),
            ("/detail/type/provider", json!(null)),
            ("/detail", json!(null)),
        ] {
            let mut other = event();
            *other.pointer_mut(pointer).unwrap() = value;
            assert_eq!(started(&other.to_string()), None, "{pointer}");
        }
        for garbage in ["", "{", "[]", "hello"] {
            assert_eq!(started(garbage), None);
        }
    }
}
