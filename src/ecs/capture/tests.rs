use super::*;
use crate::ecs::answers::{DESCRIBE_SERVICES, LIST_TASKS, Outcome};
use crate::ecs::rollout::Verdict;
use crate::failure::{Failure, Kind};
use proptest::prelude::*;
use serde_json::json;
use std::time::Duration;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn head() -> Head {
    Head {
        name: "web".to_owned(),
        cluster: "prod".to_owned(),
        revision: "web:2".to_owned(),
        deployment: "ecs-svc/2".to_owned(),
        previous: Some("ecs-svc/1".to_owned()),
        previous_arn: Some("x/web:1".to_owned()),
        elders: BTreeSet::new(),
        taken_up: false,
        kept: None,
        prints: BTreeSet::new(),
        previous_revision: Some("web:1".to_owned()),
        old_events: BTreeSet::new(),
        unchanged: false,
        policy: Asked {
            until: Until::Healthy,
            timeout: Some(900.0),
            checked: BTreeSet::new(),
            images: BTreeMap::from([(
                "web".to_owned(),
                Digests {
                    deployed: DIGEST.to_owned(),
                    platforms: BTreeSet::new(),
                    resolved: true,
                },
            )]),
            allow_zero: false,
        },
        before: None,
        task_definition: None,
        previous_task_definition: None,
    }
}

fn said(action: &str, asked: Value, said: Value) -> Answer {
    Answer {
        action: action.to_owned(),
        asked,
        outcome: Outcome::Said(said),
    }
}

/// A look at which the one task runs, and at which ECS calls the deployment completed or not.
fn look(at: f64, running: u32, rollout: &str) -> Line {
    let service = json!({ "serviceName": "web", "status": "ACTIVE", "desiredCount": 1, "runningCount": running,
        "pendingCount": 0, "taskDefinition": "x/web:2", "deployments": [{ "id": "ecs-svc/2", "status": "PRIMARY",
        "rolloutState": rollout, "desiredCount": 1, "runningCount": running, "pendingCount": 0, "failedTasks": 0,
        "taskDefinition": "x/web:2" }] });
    let task = json!({ "taskArn": "arn:aws:ecs:r:0:task/prod/1", "startedBy": "ecs-svc/2", "lastStatus": "RUNNING",
        "desiredStatus": "RUNNING", "containers": [{ "name": "web", "imageDigest": DIGEST }] });
    Line::Look(Look {
        of: BTreeMap::from([("web".to_owned(), at)]),
        answers: vec![
            said(
                DESCRIBE_SERVICES,
                json!({ "cluster": "prod", "services": ["web"] }),
                json!({ "services": [service] }),
            ),
            said(
                LIST_TASKS,
                json!({ "cluster": "prod", "serviceName": "web" }),
                json!({ "taskArns": ["1"] }),
            ),
            said(
                "ecs:DescribeTasks",
                json!({ "cluster": "prod", "tasks": ["1"] }),
                json!({ "tasks": [task] }),
            ),
        ],
    })
}

fn text(lines: &[Line]) -> String {
    let scrub = Scrub::default();
    let lines = lines.iter().map(|line| scrub.line(line) + "\n");
    lines.collect()
}

/// A deployment that becomes healthy.
fn healthy() -> String {
    text(&[
        Line::Capture(Header::current()),
        Line::Service(Box::new(head())),
        look(0.0, 0, "IN_PROGRESS"),
        look(30.5, 1, "IN_PROGRESS"),
        look(60.25, 1, "COMPLETED"),
        Line::Verdict(Told {
            service: "web".to_owned(),
            cluster: None,
            exit_code: Some(0),
            left: None,
            failure: None,
        }),
        Line::End(End::of(None)),
    ])
}

#[test]
fn services_of_one_name_in_two_clusters_are_told_apart() {
    let there = Head {
        cluster: "test".to_owned(),
        ..head()
    };
    let look = |place: &str, at| {
        Line::Look(Look {
            of: BTreeMap::from([(place.to_owned(), at)]),
            answers: Vec::new(),
        })
    };
    let verdict = |cluster: &str| Line::Verdict(Told::of(cluster, &"web".parse().unwrap(), None));
    let lines = text(&[
        Line::Capture(Header::current()),
        Line::Service(Box::new(head())),
        Line::Service(Box::new(there)),
        look("prod/web", 1.0),
        look("test/web", 2.0),
        look("prod/web", 3.0),
        verdict("prod"),
    ]);
    let capture = read(lines.as_bytes()).unwrap();
    let [prod, test] = capture.services.as_slice() else {
        panic!("{capture:?}")
    };
    assert_eq!((prod.looks.len(), test.looks.len()), (2, 1));
    assert!(prod.told.is_some() && test.told.is_none());
    let nowhere = lines.replace("prod/web", "elsewhere/web");
    assert!(read(nowhere.as_bytes()).is_err());
}

#[test]
fn how_a_service_was_told_to_deploy_before_the_update_is_kept() {
    let before = json!({ "serviceName": "web", "status": "ACTIVE", "desiredCount": 1, "runningCount": 1,
        "pendingCount": 0, "taskDefinition": "x/web:1", "deployments": [], "events": [],
        "deploymentConfiguration": { "strategy": "CANARY", "bakeTimeInMinutes": 5 } });
    let kept = Head {
        before: Some(before.clone()),
        ..head()
    };
    let lines = text(&[Line::Capture(Header::current()), Line::Service(Box::new(kept))]);
    let capture = read(lines.as_bytes()).unwrap();
    let service = crate::ecs::answers::read::service(&before).unwrap();
    let caution = capture.services[0].head.baseline().caution;
    assert_eq!(caution, Baseline::of(&service).caution);
    assert_ne!(caution, head().baseline().caution);
}

#[test]
fn what_was_written_is_read_and_judged_as_it_was() {
    let capture = read(healthy().as_bytes()).unwrap();
    assert!(capture.is_complete());
    let [service] = capture.services.as_slice() else {
        panic!("{capture:?}")
    };
    assert_eq!(service.head, head());
    let replay = replay(service);
    assert_eq!((replay.verdict, replay.looks), (Verdict::Healthy, 3));
    assert_eq!(replay.elapsed, Duration::from_millis(60_250));
    assert_eq!(replay.proofs[0].tasks, 1);
    let waits: Vec<_> = replay
        .steps
        .iter()
        .map(|step| (step.at.as_secs(), &step.change))
        .collect();
    assert_eq!(waits.len(), 2, "{waits:?}");
}

#[test]
fn a_failure_comes_back_as_it_was_told() {
    let failure = Failure::new(Kind::Superseded, "lost")
        .cause("why")
        .evidence(["a".to_owned()])
        .place("there")
        .left("nothing")
        .hint("look");
    let block = Block::of(&failure);
    let again = block.clone().into_failure(15);
    assert_eq!((again.kind, Block::of(&again)), (Kind::Superseded, block.clone()));
    assert_eq!(block.into_failure(99).kind, Kind::Unclear, "a code of the future");
}

#[test]
fn foreign_newer_and_damaged_files_are_told_apart() {
    let header = text(&[Line::Capture(Header::current())]);
    let newer = "{\"capture\":{\"format\":\"slipway\",\"version\":3,\"slipway\":\"9.9.9\",\"more\":1}}\n";
    for (file, says) in [
        (String::new(), "no whole line"),
        ("{\"capture\":".to_owned(), "no whole line"),
        ("hello\n".to_owned(), "not that of a capture"),
        (
            "{\"time\":1,\"service\":\"ecs\"}\n".to_owned(),
            "not that of a capture",
        ),
        (
            "{\"capture\":{\"format\":\"other\",\"version\":1}}\n".to_owned(),
            "not that of a capture",
        ),
        (newer.to_owned(), "slipway 9.9.9 in version 3"),
        (format!("{header}{{\"look\"\n"), "line 2 is damaged"),
        (
            format!("{header}\n{{\"look\":{{\"of\":5}}}}\n"),
            "line 3 is damaged",
        ),
        (format!("{header}{header}"), "line 2 is wrong: a second capture"),
        (
            format!("{header}{}", text(&[look(0.0, 1, "COMPLETED")])),
            "line 2 is wrong: service `web` has not begun",
        ),
    ] {
        let error = read(file.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(says), "{file:?}: {error}");
    }
    let wrong = |change: fn(&mut Head)| {
        let mut head = head();
        change(&mut head);
        read(format!("{header}{}", text(&[Line::Service(Box::new(head))])).as_bytes()).unwrap_err()
    };
    for error in [
        wrong(|head| head.policy.timeout = Some(-1.0)),
        wrong(|head| head.name = "a b".to_owned()),
        wrong(|head| head.policy.checked = ["a b".to_owned()].into()),
    ] {
        assert!(matches!(error, CaptureError::Wrong { number: 2, .. }), "{error}");
    }
}

#[test]
fn lines_and_members_of_the_future_are_passed_over_and_counted() {
    let whole = healthy();
    let (first, rest) = whole.split_once('\n').unwrap();
    let file = format!(
        "{first}\n{{\"metrics\":{{\"a\":1}}}}\n\n{}",
        rest.replace("\"exit_code\":0", "\"exit_code\":0,\"new\":[1]")
    );
    let capture = read(file.as_bytes()).unwrap();
    assert_eq!(capture.unknown, 1);
    assert!(capture.is_complete());
}

#[test]
fn a_capture_that_is_cut_at_any_byte_is_read_as_far_as_it_goes_and_is_not_complete() {
    let whole = healthy();
    for length in 0..whole.len() {
        match read(&whole.as_bytes()[..length]) {
            Ok(capture) => assert!(!capture.is_complete(), "{length} of {} bytes", whole.len()),
            Err(error) => assert!(matches!(error, CaptureError::Empty), "{length} bytes: {error}"),
        }
    }
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
    }

    #[test]
    fn no_damage_makes_it_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = healthy().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(capture) = read(&bytes) {
            for service in &capture.services {
                let _ = replay(service);
            }
        }
    }

    #[test]
    fn a_time_of_days_is_read_as_it_was_written(nanos in 0u64..864_000_000_000_000) {
        let at = Duration::from_nanos(nanos);
        let line = Line::Look(Look { of: BTreeMap::from([("web".to_owned(), at.as_secs_f64())]), answers: Vec::new() });
        let file = text(&[Line::Capture(Header::current()), Line::Service(Box::new(head())), line]);
        prop_assert_eq!(read(file.as_bytes()).unwrap().services[0].looks[0].0, at);
    }
}
