//! The wake-up queue on the wire: who is woken, what is deleted, and what trouble costs.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use crate::responder::{Answer, Asked, error, ok, respond};
use crate::sandbox_support::{REGION, clients, config, start};
use crate::wire_pipeline::{let_pass, started};
use serde_json::{Value, json};
use slipway::clock::{Clock, VirtualClock};
use slipway::failure::Kind;
use slipway::pipeline::job::ActionTypeId;
use slipway::pipeline::wake::WakeQueue;
use slipway::report::event::{Event, Tell};
use slipway::shutdown::{self, ShutdownSwitch};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

const QUEUE: &str = "http://127.0.0.1/000000000000/slipway";

fn message(category: &str, receipt: usize) -> Value {
    let event = json!({
        "source": "aws.codepipeline",
        "detail-type": "CodePipeline Action Execution State Change",
        "detail": {
            "state": "STARTED",
            "type": {"owner": "Custom", "provider": "Slipway", "category": category, "version": "1"},
        },
    });
    json!({"MessageId": "m", "ReceiptHandle": format!("receipt-{receipt}"), "Body": event.to_string()})
}

/// What was told, woken, and how often each operation was asked for, when `answer` has raised the switch.
async fn listen(
    answer: impl Fn(&str, &Asked, &ShutdownSwitch) -> Answer + Send + Sync + 'static,
) -> (Vec<Event>, Vec<String>, Asked, Duration) {
    let (switch, view) = shutdown::switch();
    let (switch, answer) = (Arc::new(switch), Arc::new(answer));
    let (aws, asked) = respond(move |operation, _, asked| answer(operation, asked, &switch)).await;
    let types: Vec<ActionTypeId> = vec![
        "Deploy/Slipway/1".parse().unwrap(),
        "Build/Slipway/1".parse().unwrap(),
    ];
    let told: Arc<Mutex<Vec<Event>>> = Arc::default();
    let woken: Arc<Mutex<Vec<String>>> = Arc::default();
    let (telling, waking) = (told.clone(), woken.clone());
    let clock = VirtualClock::starting_at(Duration::from_secs(1_000_000));
    let (_room, has_room) = watch::channel(true);
    WakeQueue::new(&aws, QUEUE, &types)
        .listen(
            &Clock::Virtual(clock.clone()),
            &view,
            &Tell::new(move |event| telling.lock().unwrap().push(event)),
            has_room,
            move |id| waking.lock().unwrap().push(id.to_string()),
        )
        .await;
    let (told, woken) = (told.lock().unwrap().clone(), woken.lock().unwrap().clone());
    (told, woken, asked, clock.now() - Duration::from_secs(1_000_000))
}

#[tokio::test]
async fn only_types_that_started_are_woken_and_every_message_is_deleted() {
    let (told, woken, asked, _) = listen(|operation, asked, switch| match operation {
        "ReceiveMessage" if asked.times(operation) == 0 => ok(json!({"Messages": [
            message("Deploy", 1), message("Deploy", 2), message("Test", 3),
            {"MessageId": "m", "ReceiptHandle": "receipt-4", "Body": "no event"},
        ]})),
        "ReceiveMessage" => {
            switch.raise(Kind::Terminated);
            Answer::Hang
        }
        _ => ok(json!({"Successful": [], "Failed": []})),
    })
    .await;
    assert_eq!(
        (told.as_slice(), woken.as_slice()),
        (&[][..], &["Deploy/Slipway/1".to_owned()][..])
    );
    let received: Value = serde_json::from_slice(&asked.bodies("ReceiveMessage")[0]).unwrap();
    assert_eq!(
        (&received["QueueUrl"], &received["MaxNumberOfMessages"]),
        (&json!(QUEUE), &json!(10))
    );
    assert!(received["WaitTimeSeconds"].as_u64().unwrap() > 0, "{received}");
    let deleted: Value = serde_json::from_slice(&asked.bodies("DeleteMessageBatch")[0]).unwrap();
    let receipts: Vec<&str> = deleted["Entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["ReceiptHandle"].as_str().unwrap())
        .collect();
    assert_eq!(receipts, ["receipt-1", "receipt-2", "receipt-3", "receipt-4"]);
}

#[tokio::test]
async fn trouble_is_told_once_and_so_is_its_end() {
    let (told, woken, asked, took) = listen(|operation, asked, switch| match operation {
        "ReceiveMessage" if asked.times(operation) < 3 => error("AccessDenied", "no"),
        "ReceiveMessage" if asked.times(operation) == 3 => ok(json!({"Messages": [message("Build", 1)]})),
        "ReceiveMessage" => {
            switch.raise(Kind::Terminated);
            ok(json!({}))
        }
        _ => ok(json!({"Successful": [], "Failed": []})),
    })
    .await;
    assert_eq!(woken, ["Build/Slipway/1"]);
    assert_eq!(told.len(), 2, "{told:?}");
    let Event::Warning(warning) = &told[0] else {
        panic!("{told:?}")
    };
    assert!(
        warning.contains("call `sqs:ReceiveMessage`") && warning.contains("by polling alone"),
        "{warning}"
    );
    assert_eq!(told[1], Event::Note("the wake-up queue answers again".to_owned()));
    assert_eq!(asked.times("ReceiveMessage"), 5);
    assert!(took >= Duration::from_secs(180), "{took:?}");
}

#[tokio::test]
async fn a_queue_that_does_not_wait_is_not_asked_in_a_loop() {
    let (told, woken, asked, took) = listen(|operation, asked, switch| {
        if asked.times(operation) == 10 {
            switch.raise(Kind::Terminated);
        }
        ok(json!({}))
    })
    .await;
    assert_eq!(
        (told.len(), woken.len(), asked.times("ReceiveMessage")),
        (0, 0, 11)
    );
    assert!(took >= Duration::from_secs(50), "{took:?}");
}

#[tokio::test]
async fn nothing_is_received_without_a_free_slot() {
    let (aws, asked) = respond(|_, _, _| ok(json!({}))).await;
    let types = ["Deploy/Slipway/1".parse().unwrap()];
    let (room, has_room) = watch::channel(false);
    let (switch, view) = shutdown::switch();
    let clock = Clock::Virtual(VirtualClock::starting_at(Duration::from_secs(1)));
    let tell = Tell::nobody();
    let queue = WakeQueue::new(&aws, QUEUE, &types);
    let listening = queue.listen(&clock, &view, &tell, has_room, |_| {});
    let stop = async {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        switch.raise(Kind::Terminated);
        drop(room);
    };
    tokio::join!(listening, stop);
    assert_eq!(asked.all(), 0);
}

#[tokio::test]
async fn the_start_of_an_action_in_a_pipeline_wakes_who_serves_its_type() {
    let sandbox = start("[[wake]]\nqueue = \"slipway\"\nstates = [\"STARTED\"]").await;
    let _ = started(&sandbox, &config(&sandbox, REGION)).await;
    let aws = clients(&sandbox).await;
    let url = format!("{}/000000000000/slipway", sandbox.endpoint());
    // Fetch, of AWS itself, started too; Deploy did not yet.
    let types = [
        "Build/Slipway/1".parse().unwrap(),
        "Deploy/Slipway/1".parse().unwrap(),
    ];
    let (switch, view) = shutdown::switch();
    let woken: Arc<Mutex<Vec<String>>> = Arc::default();
    let waking = woken.clone();
    let (_room, has_room) = watch::channel(true);
    let clock = sandbox.world().clock().clone();
    let queue = WakeQueue::new(&aws, &url, &types);
    queue
        .listen(&clock, &view, &Tell::nobody(), has_room, move |id| {
            waking.lock().unwrap().push(id.to_string());
            switch.raise(Kind::Terminated);
        })
        .await;
    assert_eq!(*woken.lock().unwrap(), ["Build/Slipway/1"]);
    // What was read is gone, also from a reader for whom it would be visible again.
    let_pass(&sandbox, 3600).await;
    let left = aws.sqs.receive_message().queue_url(&url).send().await.unwrap();
    assert_eq!(left.messages().len(), 0);
}
