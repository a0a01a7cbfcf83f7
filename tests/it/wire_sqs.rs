//! The sandbox's SQS over real sockets, asked by the official SDK.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use crate::journals::journal;
use crate::sandbox_support::{NOW, REGION, config, start_on};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use serde_json::json;
use slipway::clock::{Clock, VirtualClock};
use slipway::sandbox::server::Sandbox;
use std::time::Duration;

async fn queue() -> (Sandbox, Client, String) {
    queue_on(Clock::Virtual(VirtualClock::starting_at(NOW))).await
}

async fn queue_on(clock: Clock) -> (Sandbox, Client, String) {
    let scenario = "[[wake]]\nqueue = \"wake\"\nstates = [\"STARTED\"]";
    let sandbox = start_on(scenario, clock, journal(scenario)).await;
    let sqs = Client::new(&config(&sandbox, REGION));
    let url = sqs.get_queue_url().queue_name("wake").send().await.unwrap();
    let url = url.queue_url().unwrap().to_owned();
    (sandbox, sqs, url)
}

/// The seconds that have passed on the sandbox's clock.
fn passed(sandbox: &Sandbox) -> u64 {
    (sandbox.world().clock().now() - NOW).as_secs()
}

#[tokio::test]
async fn messages_are_received_and_deleted_in_batches() {
    let (sandbox, sqs, url) = queue().await;
    for body in ["one", "two"] {
        sqs.send_message()
            .queue_url(&url)
            .message_body(body)
            .send()
            .await
            .unwrap();
    }
    let receive = || sqs.receive_message().queue_url(&url).max_number_of_messages(10);
    let received = receive().wait_time_seconds(20).send().await.unwrap();
    let bodies: Vec<_> = received.messages().iter().filter_map(|one| one.body()).collect();
    assert_eq!((bodies, passed(&sandbox)), (vec!["one", "two"], 0));
    let entries = received.messages().iter().enumerate().map(|(id, message)| {
        DeleteMessageBatchRequestEntry::builder()
            .id(id.to_string())
            .receipt_handle(message.receipt_handle().unwrap())
            .build()
            .unwrap()
    });
    let deleted = sqs
        .delete_message_batch()
        .queue_url(&url)
        .set_entries(Some(entries.collect()))
        .send()
        .await
        .unwrap();
    assert_eq!((deleted.successful().len(), deleted.failed().len()), (2, 0));
    let none = receive().wait_time_seconds(20).send().await.unwrap();
    assert!(none.messages().is_empty());
    assert_eq!(passed(&sandbox), 20, "an empty queue is waited for to the end");
    sandbox.stop().await;
}

#[tokio::test]
async fn a_message_that_nobody_deletes_ends_the_wait_when_it_comes_back() {
    let (sandbox, sqs, url) = queue().await;
    sqs.send_message()
        .queue_url(&url)
        .message_body("job")
        .send()
        .await
        .unwrap();
    let receive = || sqs.receive_message().queue_url(&url).wait_time_seconds(20);
    let first = receive().visibility_timeout(8).send().await.unwrap();
    let again = receive().send().await.unwrap();
    assert_eq!(passed(&sandbox), 8);
    assert_eq!(again.messages()[0].body(), Some("job"));
    assert_eq!(again.messages()[0].message_id(), first.messages()[0].message_id());
    sandbox.stop().await;
}

#[tokio::test]
async fn an_event_wakes_whoever_waits_for_it() {
    let (sandbox, sqs, url) = queue_on(Clock::System).await;
    let world = sandbox.world();
    let begun = world.clock().now();
    let event = |state: &str| json!({ "source": "aws.codepipeline", "detail": { "state": state } });
    let publish = async {
        // As many answers as give the receive time to come first.
        for _ in 0..20 {
            sqs.get_queue_url().queue_name("wake").send().await.unwrap();
        }
        world.visit(|world, now| {
            world.sqs.publish(now, &event("SUCCEEDED"));
            world.sqs.publish(now, &event("STARTED"));
        });
    };
    let receive = sqs.receive_message().queue_url(&url).wait_time_seconds(20).send();
    let (received, ()) = tokio::join!(receive, publish);
    let received = received.unwrap();
    assert_eq!(
        received.messages()[0].body(),
        Some(event("STARTED").to_string().as_str())
    );
    assert!(world.clock().now() - begun < Duration::from_secs(10));
    sandbox.stop().await;
}

#[tokio::test]
async fn refusals_are_told_from_each_other_by_the_sdk() {
    let (sandbox, sqs, url) = queue().await;
    let missing = sqs.get_queue_url().queue_name("nobody").send().await.unwrap_err();
    assert!(missing.as_service_error().unwrap().is_queue_does_not_exist());
    assert_eq!(missing.code(), Some("AWS.SimpleQueueService.NonExistentQueue"));
    let made_up = sqs
        .delete_message()
        .queue_url(&url)
        .receipt_handle("made up")
        .send()
        .await
        .unwrap_err();
    assert_eq!(made_up.code(), Some("ReceiptHandleIsInvalid"));
    sandbox.stop().await;
}
