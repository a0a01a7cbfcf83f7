use super::super::WorldConfig;
use super::super::ecs::Timings;
use super::{Sqs, Subscription};
use serde_json::{Value, json};
use std::time::Duration;

const NOW: Duration = Duration::from_secs(1_767_225_600);
const URL: &str = "http://127.0.0.1:4566/000000000000/wake";

fn sqs() -> Sqs {
    let mut sqs = Sqs::new(&WorldConfig {
        region: "eu-west-1".into(),
        registry_host: "127.0.0.1:4566".into(),
        timings: Timings::default(),
    });
    assert_eq!(
        ask(&mut sqs, "CreateQueue", &json!({ "QueueName": "wake" })),
        Ok(json!({ "QueueUrl": URL }))
    );
    sqs
}

fn ask(sqs: &mut Sqs, operation: &str, input: &Value) -> Result<Value, String> {
    sqs.call(NOW, operation, input).map_err(|error| error.to_string())
}

fn of_queue(mut input: Value) -> Value {
    input["QueueUrl"] = json!(URL);
    input
}

#[test]
fn a_message_is_sent_received_and_deleted() {
    let mut sqs = sqs();
    let sent = ask(
        &mut sqs,
        "SendMessage",
        &of_queue(json!({ "MessageBody": "hello world" })),
    );
    let id = "00000000-0000-4000-8000-000000000001";
    let md5 = "5eb63bbbe01eeed093cb22bb8f5acdc3";
    assert_eq!(sent, Ok(json!({ "MessageId": id, "MD5OfMessageBody": md5 })));
    let receive =
        of_queue(json!({ "MaxNumberOfMessages": 10, "AttributeNames": ["ApproximateReceiveCount"] }));
    let receipt = "sandbox-receipt-000000000001";
    assert_eq!(
        ask(&mut sqs, "ReceiveMessage", &receive),
        Ok(json!({ "Messages": [{
            "MessageId": id,
            "ReceiptHandle": receipt,
            "MD5OfBody": md5,
            "Body": "hello world",
            "Attributes": { "ApproximateReceiveCount": "1" },
        }] }))
    );
    assert_eq!(ask(&mut sqs, "ReceiveMessage", &receive), Ok(json!({})));
    assert_eq!(
        sqs.next_visible(&of_queue(json!({}))),
        Some(NOW + Duration::from_secs(30))
    );
    let gone = of_queue(json!({ "Entries": [
        { "Id": "a", "ReceiptHandle": receipt },
        { "Id": "b", "ReceiptHandle": "no" },
    ] }));
    let answer = ask(&mut sqs, "DeleteMessageBatch", &gone).unwrap();
    assert_eq!(answer["Successful"], json!([{ "Id": "a" }]));
    assert_eq!(answer["Failed"][0]["Code"], "ReceiptHandleIsInvalid");
    let counts = of_queue(json!({ "AttributeNames": ["ApproximateNumberOfMessagesNotVisible"] }));
    assert_eq!(
        ask(&mut sqs, "GetQueueAttributes", &counts),
        Ok(json!({ "Attributes": { "ApproximateNumberOfMessagesNotVisible": "0" } }))
    );
}

#[test]
fn an_event_goes_to_the_queues_that_subscribed_to_its_state() {
    let mut sqs = sqs();
    for (queue, states) in [("wake", vec![]), ("started", vec!["STARTED".to_owned()])] {
        sqs.subscribe(Subscription {
            queue: queue.into(),
            states,
        });
    }
    for state in ["STARTED", "SUCCEEDED"] {
        sqs.publish(
            NOW,
            &json!({ "source": "aws.codepipeline", "detail": { "state": state } }),
        );
    }
    let mut states = |queue: &str| -> Vec<Value> {
        let url = format!("http://127.0.0.1:4566/000000000000/{queue}");
        let input = json!({ "QueueUrl": url, "MaxNumberOfMessages": 10 });
        let answer = ask(&mut sqs, "ReceiveMessage", &input).unwrap();
        let messages = answer["Messages"].as_array().unwrap();
        let bodies = messages.iter().map(|one| one["Body"].as_str().unwrap());
        bodies
            .map(|body| serde_json::from_str::<Value>(body).unwrap()["detail"]["state"].clone())
            .collect()
    };
    assert_eq!(states("wake"), ["STARTED", "SUCCEEDED"]);
    assert_eq!(states("started"), ["STARTED"]);
    assert_eq!(sqs.sent(), 3);
}

#[test]
fn a_receive_waits_as_long_as_it_or_its_queue_says() {
    let mut sqs = sqs();
    let attributes = json!({ "ReceiveMessageWaitTimeSeconds": "7", "VisibilityTimeout": "5" });
    ask(
        &mut sqs,
        "CreateQueue",
        &json!({ "QueueName": "patient", "Attributes": attributes }),
    )
    .unwrap();
    let patience = |queue: &str, wait: Value| {
        let url = format!("http://127.0.0.1:4566/000000000000/{queue}");
        let patience = sqs.patience(&json!({ "QueueUrl": url, "WaitTimeSeconds": wait }));
        patience.map(|time| time.as_secs()).map_err(|error| error.code)
    };
    assert_eq!(patience("wake", json!(null)), Ok(0));
    assert_eq!(patience("wake", json!(20)), Ok(20));
    assert_eq!(patience("patient", json!(null)), Ok(7));
    assert_eq!(patience("patient", json!(0)), Ok(0));
    assert_eq!(
        patience("patient", json!(21)),
        Err("InvalidParameterValueException".into())
    );
    assert_eq!(patience("nobody", json!(0)), Err("QueueDoesNotExist".into()));
}

#[test]
fn what_is_asked_wrongly_is_refused_in_the_words_of_sqs() {
    let mut sqs = sqs();
    let eleven: Vec<Value> = (0..11)
        .map(|id| json!({ "Id": id.to_string(), "ReceiptHandle": "r" }))
        .collect();
    let twice = json!([{ "Id": "a", "ReceiptHandle": "r" }, { "Id": "a", "ReceiptHandle": "r" }]);
    for (operation, input, says) in [
        (
            "GetQueueUrl",
            json!({ "QueueName": "nobody" }),
            "QueueDoesNotExist: The specified queue",
        ),
        (
            "SendMessage",
            json!({ "QueueUrl": "x", "MessageBody": "b" }),
            "InvalidAddress: ",
        ),
        (
            "SendMessage",
            of_queue(json!({})),
            "must contain the parameter MessageBody.",
        ),
        (
            "SendMessage",
            of_queue(json!({ "MessageBody": "\u{1}" })),
            "InvalidMessageContents",
        ),
        (
            "SendMessage",
            of_queue(json!({ "MessageBody": "b", "MessageGroupId": "g" })),
            "does not know the member MessageGroupId",
        ),
        (
            "ReceiveMessage",
            of_queue(json!({ "MaxNumberOfMessages": 11 })),
            "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.",
        ),
        (
            "DeleteMessage",
            of_queue(json!({ "ReceiptHandle": "r" })),
            "ReceiptHandleIsInvalid",
        ),
        (
            "DeleteMessageBatch",
            of_queue(json!({ "Entries": [] })),
            "EmptyBatchRequest",
        ),
        (
            "DeleteMessageBatch",
            of_queue(json!({ "Entries": eleven })),
            "TooManyEntriesInBatchRequest",
        ),
        (
            "DeleteMessageBatch",
            of_queue(json!({ "Entries": twice })),
            "BatchEntryIdsNotDistinct",
        ),
        (
            "CreateQueue",
            json!({ "QueueName": "a.fifo" }),
            "UnsupportedOperation",
        ),
        (
            "CreateQueue",
            json!({ "QueueName": "a b" }),
            "Can only include alphanumeric",
        ),
        (
            "CreateQueue",
            json!({ "QueueName": "wake", "Attributes": { "DelaySeconds": "1" } }),
            "QueueNameExists",
        ),
        (
            "CreateQueue",
            json!({ "QueueName": "new", "Attributes": { "DelaySeconds": "901" } }),
            "InvalidAttributeValue",
        ),
        (
            "ListQueues",
            json!({}),
            "does not know the operation ListQueues of SQS",
        ),
    ] {
        let refused = ask(&mut sqs, operation, &input).unwrap_err();
        assert!(refused.contains(says), "{operation} {input}: {refused}");
    }
    ask(&mut sqs, "PurgeQueue", &of_queue(json!({}))).unwrap();
    let refused = ask(&mut sqs, "PurgeQueue", &of_queue(json!({}))).unwrap_err();
    assert!(refused.starts_with("PurgeQueueInProgress: Only one PurgeQueue operation on wake"));
}
