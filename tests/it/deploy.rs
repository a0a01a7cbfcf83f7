//! The deploy stage through the real SDK on a virtual clock, against a responder that plays one service.

use crate::responder::{Answer, Asked, error, ok, respond};
use serde_json::{Value, json};
use slipway::clock::{Clock, VirtualClock};
use slipway::config::settings::{
    DefinitionsSource, DeploySettings, OnFailure, OnFirstFailure, ServiceSettings, Until,
};
use slipway::ecs::recorder::Recorder;
use slipway::failure::{Failure, Kind};
use slipway::image::endpoint::EngineEnv;
use slipway::report::event::{Event, Tell};
use slipway::shutdown;
use slipway::stage::Tools;
use slipway::stage::deploy::{DeployPlan, Deployed, deploy};
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const OLD: &str = "arn:aws:ecs:eu-west-1:000000000000:task-definition/web:7";
const NEW: &str = "arn:aws:ecs:eu-west-1:000000000000:task-definition/web:8";
const SERVICE_DEPLOYMENT: &str = "arn:aws:ecs:eu-west-1:000000000000:service-deployment/prod/web/abc";

fn image() -> String {
    format!("registry.test/shop/web@{DIGEST}")
}

fn deployment(number: u32, status: &str, rollout: &str, running: u32, task_definition: &str) -> Value {
    json!({
        "id": format!("ecs-svc/{number}"), "status": status, "rolloutState": rollout, "desiredCount": running,
        "runningCount": running, "pendingCount": 0, "taskDefinition": task_definition,
    })
}

fn service(deployments: &Value) -> Value {
    json!({
        "serviceName": "web", "status": "ACTIVE", "desiredCount": 1, "runningCount": 1, "pendingCount": 0,
        "taskDefinition": OLD, "loadBalancers": [],
        "deployments": deployments,
    })
}

fn before() -> Value {
    service(&json!([deployment(1, "PRIMARY", "COMPLETED", 1, OLD)]))
}

fn rolling(rollout: &str, running: u32) -> Value {
    service(&json!([
        deployment(2, "PRIMARY", rollout, running, NEW),
        deployment(1, "ACTIVE", "COMPLETED", 1, OLD)
    ]))
}

/// What every play answers alike; `looks` answers the n-th DescribeServices after the update. Two come before it: one
/// prepares, and one is right before it.
fn play(operation: &str, input: &Value, asked: &Asked, looks: impl Fn(usize) -> Value) -> Answer {
    let updated = asked.times("UpdateService") > 0;
    ok(match operation {
        "DescribeServices" if !updated => json!({"services": [before()]}),
        "DescribeServices" => json!({"services": [looks(asked.times("DescribeServices") - 1)]}),
        "DescribeTaskDefinition" => json!({
            "taskDefinition": {
                "family": "web", "revision": 7, "taskDefinitionArn": OLD,
                "containerDefinitions": [{
                    "name": "web", "image": "registry.test/shop/web:old",
                    "logConfiguration": {
                        "logDriver": "awslogs",
                        "options": {"awslogs-group": "/web", "awslogs-stream-prefix": "ecs"},
                    },
                }],
            },
            "tags": [{"key": "team", "value": "shop"}],
        }),
        "RegisterTaskDefinition" => json!({"taskDefinition": {"taskDefinitionArn": NEW}}),
        "UpdateService" => json!({"service": rolling("IN_PROGRESS", 0)}),
        "BatchGetImage" => json!({"images": [], "failures": []}),
        "ListServiceDeployments" => json!({"serviceDeployments": [{
            "serviceDeploymentArn": SERVICE_DEPLOYMENT,
            "targetServiceRevisionArn": "arn:aws:ecs:eu-west-1:000000000000:service-revision/prod/web/2",
        }]}),
        "DescribeServiceDeployments" => json!({"serviceDeployments": []}),
        "StopServiceDeployment" => json!({"serviceDeploymentArn": SERVICE_DEPLOYMENT}),
        "ListTasks" if input["desiredStatus"] == "RUNNING" => json!({"taskArns": ["arn:x:task/prod/t1"]}),
        "ListTasks" => json!({"taskArns": []}),
        "DescribeTasks" => json!({"tasks": [{
            "taskArn": "arn:x:task/prod/t1", "startedBy": if updated { "ecs-svc/2" } else { "ecs-svc/1" }, "lastStatus": "RUNNING",
            "desiredStatus": "RUNNING", "containers": [{"name": "web", "imageDigest": DIGEST}],
        }]}),
        "GetLogEvents" => json!({"events": [{"message": "panic: config missing"}]}),
        other => panic!("{other}"),
    })
}

struct Run {
    result: Result<Vec<Deployed>, Failure>,
    events: Vec<Event>,
    asked: Asked,
}

impl Run {
    fn failure(self) -> Failure {
        self.result.unwrap_err()
    }

    fn changed(&self) -> usize {
        self.asked.times("RegisterTaskDefinition") + self.asked.times("UpdateService")
    }
}

/// Deploys with `containers` of imagedefinitions.json as (name, image). An answer that hangs makes somebody impatient.
async fn run(
    containers: &[(&str, &str)],
    stop_when: fn(&Event) -> bool,
    answer: impl Fn(&str, &Value, &Asked) -> Answer + Clone + Send + Sync + 'static,
) -> Run {
    let (hand, view) = shutdown::switch();
    let hand = Arc::new(hand);
    let impatient = hand.clone();
    let (aws, asked) = respond(move |operation: &str, input: &Value, asked: &Asked| {
        let answer = answer(operation, input, asked);
        if matches!(answer, Answer::Hang) {
            impatient.raise(Kind::Interrupted);
        }
        answer
    })
    .await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let entries: Vec<Value> = containers
        .iter()
        .map(|(name, image)| json!({"name": name, "imageUri": image}))
        .collect();
    file.write_all(json!(entries).to_string().as_bytes()).unwrap();
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = events.clone();
    let tools = Tools {
        aws: aws.into(),
        clock: Clock::Virtual(VirtualClock::starting_at(Duration::ZERO)),
        shutdown: view,
        tell: Tell::new(move |event| {
            if stop_when(&event) {
                hand.raise(Kind::Interrupted);
            }
            heard.lock().unwrap().push(event);
        }),
        engine: EngineEnv::default(),
        record: Recorder::default(),
    };
    let plan = DeployPlan {
        deploy: DeploySettings {
            cluster: Some("prod".to_owned()),
            source: DefinitionsSource::File(file.path().to_owned()),
            timeout: Duration::from_secs(900),
            until: Until::Healthy,
            on_failure: OnFailure::Rollback,
            on_first_failure: OnFirstFailure::KeepGoing,
            force: false,
            allow_zero: false,
        },
        services: vec![ServiceSettings {
            name: "web".parse().unwrap(),
            cluster: None,
            place: slipway::config::settings::Place::default(),
            task_definition: None,
            env: std::collections::BTreeMap::new(),
            containers: Vec::new(),
        }],
        tasks: Vec::new(),
    };
    let result = deploy(&tools, &plan).await;
    drop(tools);
    let events = events.lock().unwrap().clone();
    Run {
        result,
        events,
        asked,
    }
}

#[tokio::test]
async fn a_new_image_is_registered_deployed_watched_and_proven() {
    let run = run(
        &[("web", &image())],
        |_| false,
        |operation, input, asked| {
            // A stale answer, a young deployment, then tasks without any check, which must stay.
            play(operation, input, asked, |look| match look {
                0 | 1 => before(),
                2 => rolling("IN_PROGRESS", 0),
                _ => rolling("IN_PROGRESS", 1),
            })
        },
    )
    .await;
    let deployed = run.result.unwrap();
    assert_eq!(deployed.len(), 1);
    assert_eq!(
        (deployed[0].revision.as_str(), deployed[0].deployment.as_deref()),
        ("web:8", Some("ecs-svc/2"))
    );
    assert_eq!(deployed[0].images, [image()]);
    let sent: Value = serde_json::from_slice(&run.asked.bodies("RegisterTaskDefinition")[0]).unwrap();
    assert_eq!(sent["containerDefinitions"][0]["image"], image());
    assert_eq!(sent["tags"], json!([{"key": "team", "value": "shop"}]));
    let waits: Vec<String> = run
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Waiting { what_for, .. } => Some(what_for.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(
        waits,
        [
            "our deployment to appear",
            "tasks to start (0/1 running)",
            "tasks to stay up for 40 s (they have no health check)",
        ]
    );
    assert!(
        run.events
            .iter()
            .any(|event| matches!(event, Event::DigestProven { tasks: 1, .. }))
    );
    assert!(
        run.events
            .iter()
            .any(|event| matches!(event, Event::Healthy { took, .. } if took.as_secs() >= 40))
    );
}

#[tokio::test]
async fn nothing_is_deployed_when_nothing_differs_and_it_is_still_proven() {
    let run = run(
        &[("web", &image())],
        |_| false,
        |operation, input, asked| match operation {
            "DescribeTaskDefinition" => ok(json!({ "taskDefinition": {
                "family": "web", "revision": 7, "taskDefinitionArn": OLD,
                "containerDefinitions": [{ "name": "web", "image": image() }] } })),
            _ => play(operation, input, asked, |_| before()),
        },
    )
    .await;
    assert_eq!(run.changed(), 0);
    assert!(run.events.contains(&Event::Unchanged {
        service: "web".parse().unwrap(),
        revision: "web:7".to_owned()
    }));
    assert_eq!(run.result.unwrap()[0].deployment, None);
}

#[tokio::test]
async fn a_failed_rollout_is_rolled_back_and_its_cause_named() {
    let run = run(
        &[("web", &image())],
        |_| false,
        |operation, input, asked| match operation {
            "ListTasks" if input["desiredStatus"] == "STOPPED" => {
                ok(json!({"taskArns": ["arn:x:task/prod/t1"]}))
            }
            "ListTasks" => ok(json!({"taskArns": []})),
            "DescribeTasks" => ok(json!({"tasks": [{
                "taskArn": "arn:x:task/prod/t1", "startedBy": "ecs-svc/2", "lastStatus": "STOPPED",
                "desiredStatus": "STOPPED", "stopCode": "EssentialContainerExited",
                "stoppedReason": "Essential container in task exited",
                "containers": [{"name": "web", "imageDigest": DIGEST, "exitCode": 1}],
            }]})),
            _ => play(operation, input, asked, |look| match look {
                0..4 => rolling("IN_PROGRESS", 0),
                _ => rolling("FAILED", 0),
            }),
        },
    )
    .await;
    assert_eq!(run.asked.times("StopServiceDeployment"), 1);
    let failure = run.failure();
    assert_eq!(failure.kind, Kind::RolledBack);
    assert_eq!(failure.what, "the rollout of service `web` failed");
    assert_eq!(
        failure.cause.as_deref(),
        Some("container web exited with code 1: \"panic: config missing\"")
    );
    assert_eq!(
        failure.place.as_deref(),
        Some("service `web` in cluster `prod`, deployment ecs-svc/2, task definition `web:8`")
    );
    assert_eq!(
        failure.left.as_deref(),
        Some(
            "`web:7` runs 1 task, `web:8` none; ECS was asked to bring `web:7` back and was still at it when last seen"
        )
    );
}

#[tokio::test]
async fn a_refused_service_deployment_rollback_points_the_service_back() {
    let run = run(
        &[("web", &image())],
        |_| false,
        |operation, input, asked| match operation {
            "StopServiceDeployment" => error("ConflictException", "it has ended"),
            "UpdateService" if asked.times("UpdateService") == 1 => {
                ok(json!({"service": service(&json!([deployment(3, "PRIMARY", "IN_PROGRESS", 0, OLD)]))}))
            }
            "DescribeServices" if asked.times("UpdateService") == 2 => ok(json!({"services": [
                service(&json!([deployment(3, "PRIMARY", "COMPLETED", 1, OLD)]))
            ]})),
            _ => play(operation, input, asked, |_| rolling("FAILED", 0)),
        },
    )
    .await;
    let last: Value = serde_json::from_slice(&run.asked.bodies("UpdateService")[1]).unwrap();
    assert_eq!(last["taskDefinition"], OLD);
    let failure = run.failure();
    assert_eq!(failure.kind, Kind::RolledBack);
    assert_eq!(
        failure.left.as_deref(),
        Some("`web:7` is back; `web:7` runs 1 task")
    );
}

#[tokio::test]
async fn an_interrupted_watch_says_what_goes_on() {
    let run = run(
        &[("web", &image())],
        |event| matches!(event, Event::Waiting { .. }),
        |operation, input, asked| play(operation, input, asked, |_| rolling("IN_PROGRESS", 0)),
    )
    .await;
    let failure = run.failure();
    assert_eq!(failure.kind, Kind::Interrupted);
    assert_eq!(
        failure.left.as_deref(),
        Some(
            "ECS goes on with deployment ecs-svc/2; it was waiting for tasks to start (0/1 running); `web:7` runs 1 task, `web:8` none"
        )
    );
}

#[tokio::test]
async fn an_interrupt_before_the_update_changes_no_service() {
    let run = run(
        &[("web", &image())],
        |event| matches!(event, Event::Registered { .. }),
        |operation, input, asked| play(operation, input, asked, |_| before()),
    )
    .await;
    assert_eq!(run.asked.times("UpdateService"), 0);
    let left = "`web:7` serves as before; revision `web:8` is registered and not used";
    assert_eq!(run.failure().left.as_deref(), Some(left));
}

#[tokio::test]
async fn a_registration_race_and_a_throttled_update_are_repeated() {
    let run = run(
        &[("web", &image())],
        |_| false,
        |operation, input, asked| match operation {
            "RegisterTaskDefinition" if asked.times(operation) < 2 => error(
                "ClientException",
                "Too many concurrent attempts to create a new revision of the specified family.",
            ),
            "UpdateService" if asked.times(operation) < 1 => error("ThrottlingException", "Rate exceeded"),
            _ => play(operation, input, asked, |_| rolling("COMPLETED", 1)),
        },
    )
    .await;
    assert_eq!(
        (
            run.asked.times("RegisterTaskDefinition"),
            run.asked.times("UpdateService")
        ),
        (3, 2)
    );
    assert!(run.result.is_ok());
}

#[tokio::test]
async fn an_interrupt_while_a_call_hangs_ends_the_run_and_says_what_is_left() {
    for (hangs, what, left) in [
        (
            "DescribeServices",
            "stopped before any service was changed",
            "nothing was changed",
        ),
        (
            "DescribeTaskDefinition",
            "stopped before any service was changed",
            "nothing was changed",
        ),
        (
            "RegisterTaskDefinition",
            "stopped while a revision for service `web` was being registered",
            "`web:7` serves as before; it is unknown whether the revision is registered, and nothing uses it",
        ),
        (
            "UpdateService",
            "stopped while service `web` was being updated",
            "unknown whether the update took effect; before it, `web:7` serves as before; revision `web:8` is \
             registered and not used",
        ),
        (
            "ListTasks",
            "stopped while watching service `web`",
            "ECS goes on with deployment ecs-svc/2",
        ),
    ] {
        let run = run(
            &[("web", &image())],
            |_| false,
            move |operation, input, asked| {
                if operation == hangs {
                    return Answer::Hang;
                }
                play(operation, input, asked, |_| rolling("IN_PROGRESS", 1))
            },
        )
        .await;
        let failure = run.failure();
        assert_eq!(
            (failure.kind, failure.what.as_str(), failure.left.as_deref()),
            (Kind::Interrupted, what, Some(left)),
            "{hangs}"
        );
    }
}

/// A lost update that may have taken effect, after which nothing can be seen any more.
#[tokio::test]
async fn once_an_update_is_in_doubt_no_later_refusal_takes_the_doubt_away() {
    let run = run(
        &[("web", &image())],
        |_| false,
        |operation, input, asked| match operation {
            "UpdateService" => Answer::Cut,
            "DescribeServices" if asked.times("UpdateService") > 0 => {
                error("ExpiredTokenException", "expired")
            }
            _ => play(operation, input, asked, |_| before()),
        },
    )
    .await;
    let failure = run.failure();
    assert_eq!(failure.kind, Kind::Unclear);
    let left = failure.left.unwrap();
    assert!(
        left.starts_with("unknown whether the update took effect"),
        "{left}"
    );
}

#[tokio::test]
async fn a_registration_whose_answer_is_lost_is_not_called_no_change() {
    let run = run(
        &[("web", &image())],
        |_| false,
        |operation, input, asked| match operation {
            "RegisterTaskDefinition" => Answer::Cut,
            _ => play(operation, input, asked, |_| before()),
        },
    )
    .await;
    assert_eq!(
        run.failure().left.as_deref(),
        Some(
            "`web:7` serves as before; it is unknown whether the revision is registered, and nothing uses it"
        )
    );
}

#[tokio::test]
async fn a_rollback_whose_answer_is_lost_is_neither_called_done_nor_refused() {
    let run = run(
        &[("web", &image())],
        |_| false,
        |operation, input, asked| match operation {
            "StopServiceDeployment" => error("ConflictException", "it has ended"),
            "UpdateService" if asked.times("UpdateService") > 0 => Answer::Cut,
            _ => play(operation, input, asked, |_| rolling("FAILED", 0)),
        },
    )
    .await;
    let failure = run.failure();
    assert_eq!(failure.kind, Kind::RolloutFailed);
    let left = failure.left.unwrap();
    assert!(
        left.contains("unknown whether the service wants `web:8` still or `web:7` again"),
        "{left}"
    );
}

#[tokio::test]
async fn whatever_ends_a_watch_what_is_left_is_said() {
    type Look = fn(usize) -> Answer;
    fn seen(service: &Value) -> Answer {
        ok(json!({ "services": [service] }))
    }
    let cases: [(Kind, &str, Look); 5] = [
        (
            Kind::Unclear,
            "unknown what serves now; when last seen, `web:7` runs 1 task, `web:8` none",
            |look| match look {
                1 => seen(&rolling("IN_PROGRESS", 0)),
                _ => error("ExpiredTokenException", "expired"),
            },
        ),
        (
            Kind::RolloutFailed,
            "nothing: the service is gone, and its tasks with it",
            |look| match look {
                1 => seen(&rolling("IN_PROGRESS", 0)),
                _ => ok(
                    json!({ "services": [], "failures": [{ "arn": "arn:aws:ecs:r:0:service/prod/web", "reason": "MISSING" }] }),
                ),
            },
        ),
        (
            Kind::RolloutFailed,
            "`web:7` runs 1 task, `web:8` none, and the service is DRAINING: its tasks are being stopped",
            |_| {
                let mut service = rolling("IN_PROGRESS", 0);
                service["status"] = json!("DRAINING");
                seen(&service)
            },
        ),
        (Kind::Superseded, "`web:7` runs 1 task, `web:9` none", |_| {
            let stranger = deployment(3, "PRIMARY", "IN_PROGRESS", 0, "arn:x/web:9");
            seen(&service(&json!([
                stranger,
                deployment(1, "ACTIVE", "COMPLETED", 1, OLD)
            ])))
        }),
        (Kind::RolledBack, "`web:7` runs 1 task", |look| match look {
            1 => seen(&rolling("IN_PROGRESS", 0)),
            _ => seen(&before()),
        }),
    ];
    for (kind, left, look) in cases {
        let run = run(
            &[("web", &image())],
            |_| false,
            move |operation, input, asked| match operation {
                "DescribeServices" if asked.times("UpdateService") > 0 => look(asked.times(operation) - 1),
                _ => play(operation, input, asked, |_| before()),
            },
        )
        .await;
        let failure = run.failure();
        assert_eq!(
            (failure.kind, failure.left.as_deref()),
            (kind, Some(left)),
            "{failure:?}"
        );
        assert!(failure.cause.is_some(), "{failure:?}");
    }
}

#[tokio::test]
async fn a_refused_update_leaves_the_old_revision_and_says_so() {
    let run = run(
        &[("web", &image())],
        |_| false,
        |operation, input, asked| match operation {
            "UpdateService" => error(
                "AccessDeniedException",
                "not authorized to perform ecs:UpdateService",
            ),
            _ => play(operation, input, asked, |_| before()),
        },
    )
    .await;
    let failure = run.failure();
    assert_eq!(
        (failure.kind, failure.what.as_str()),
        (Kind::Refused, "service `web` could not be updated")
    );
    assert_eq!(failure.hints, ["allow `ecs:UpdateService` in the role's policy"]);
    assert!(failure.left.unwrap().starts_with("`web:7` serves as before"));
}

#[tokio::test]
async fn everything_that_is_wrong_before_the_change_has_its_own_words_and_changes_nothing() {
    type Case = (&'static str, fn() -> Answer, Kind, &'static str);
    fn with(key: &str, value: Value) -> Answer {
        let mut service = before();
        service[key] = value;
        ok(json!({"services": [service]}))
    }
    let cases: [Case; 9] = [
        (
            "DescribeServices",
            || error("ClusterNotFoundException", "Cluster not found."),
            Kind::Refused,
            "the cluster of service `web` does not exist",
        ),
        (
            "DescribeServices",
            || ok(json!({"services": [], "failures": [{"reason": "MISSING"}]})),
            Kind::Refused,
            "service `web` does not exist",
        ),
        (
            "DescribeServices",
            || with("status", json!("INACTIVE")),
            Kind::Refused,
            "service `web` is INACTIVE: it was deleted",
        ),
        (
            "DescribeServices",
            || with("deploymentController", json!({"type": "CODE_DEPLOY"})),
            Kind::Refused,
            "service `web` cannot be deployed to",
        ),
        (
            "DescribeServices",
            || with("deploymentController", json!({"type": "EXTERNAL"})),
            Kind::Refused,
            "service `web` cannot be deployed to",
        ),
        (
            "DescribeServices",
            || with("desiredCount", json!(0)),
            Kind::Refused,
            "a deployment of service `web` could not be proven",
        ),
        (
            "DescribeServices",
            || error("ExpiredTokenException", "expired"),
            Kind::Refused,
            "service `web` cannot be read",
        ),
        (
            "DescribeServices",
            || error("UnrecognizedClientException", "invalid token"),
            Kind::Usage,
            "service `web` cannot be read",
        ),
        (
            "DescribeTaskDefinition",
            || error("AccessDeniedException", "no"),
            Kind::Refused,
            "service `web` cannot be read",
        ),
    ];
    for (wrong, answer, kind, what) in cases {
        let run = run(
            &[("web", &image())],
            |_| false,
            move |operation, input, asked| {
                if operation == wrong {
                    answer()
                } else {
                    play(operation, input, asked, |_| before())
                }
            },
        )
        .await;
        assert_eq!(run.changed(), 0);
        let failure = run.failure();
        assert_eq!((failure.kind, failure.what.as_str()), (kind, what));
        assert_eq!(failure.left.as_deref(), Some("nothing was changed"));
        assert!(!failure.hints.is_empty(), "{what}");
        assert_eq!(
            failure.place.as_deref(),
            Some("service `web` in cluster `prod`, region eu-west-1")
        );
    }
    let unknown = run(
        &[("wep", &image())],
        |_| false,
        |operation, input, asked| play(operation, input, asked, |_| before()),
    )
    .await;
    assert_eq!(unknown.changed(), 0);
    let failure = unknown.failure();
    assert_eq!(failure.kind, Kind::Usage);
    assert_eq!(
        failure.what,
        "imagedefinitions.json names `wep`; service `web` has `web`"
    );
}

const TAGGED: &str = "000000000000.dkr.ecr.eu-west-1.amazonaws.com/shop/web:v2";

#[tokio::test]
async fn a_tag_of_ecr_is_deployed_as_the_digest_that_it_stands_for() {
    let run = run(
        &[("web", TAGGED)],
        |_| false,
        |operation, input, asked| match operation {
            "BatchGetImage" if input["imageIds"][0]["imageTag"] == "v2" => ok(json!({ "images": [
                { "imageId": { "imageDigest": DIGEST, "imageTag": "v2" }, "imageManifest": "{}" }] })),
            _ => play(operation, input, asked, |_| rolling("IN_PROGRESS", 1)),
        },
    )
    .await;
    let pinned = format!("{}@{DIGEST}", TAGGED.trim_end_matches(":v2"));
    assert_eq!(
        run.result.as_ref().unwrap()[0].images,
        std::slice::from_ref(&pinned)
    );
    let note = format!("container `web`: `{TAGGED}` is now `{pinned}`, which is deployed");
    assert!(run.events.contains(&Event::Note(note)), "{:?}", run.events);
}

#[tokio::test]
async fn an_image_whose_digest_nobody_can_say_is_refused_before_anything_changes() {
    let nothing = json!({ "images": [], "failures": [{ "failureCode": "ImageNotFound" }] });
    for (image, answer, says) in [
        ("registry.test/shop/web:v2", nothing.clone(), "ECR alone"),
        ("registry.test/shop/web", nothing.clone(), "ECR alone"),
        (TAGGED, nothing, "has no tag `v2`"),
    ] {
        let run = run(
            &[("web", image)],
            |_| false,
            move |operation, input, asked| match operation {
                "BatchGetImage" => ok(answer.clone()),
                _ => play(operation, input, asked, |_| before()),
            },
        )
        .await;
        assert_eq!(run.changed(), 0);
        let failure = run.failure();
        assert_eq!(
            (failure.kind, failure.left.as_deref()),
            (Kind::Registry, Some("nothing was changed"))
        );
        assert!(failure.root_cause().unwrap().contains(says), "{failure:?}");
        assert_eq!(failure.hints.len(), 1, "{failure:?}");
    }
}
