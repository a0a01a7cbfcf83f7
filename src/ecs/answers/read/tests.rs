//! Every member that a success rests on, with everything in it that it must not be.

use super::{revision, service, service_deployment, target, task};
use crate::ecs::observation::*;
use serde_json::{Value, json};
use std::time::Duration;

fn whole() -> Value {
    json!({
        "serviceName": "web", "status": "ACTIVE", "desiredCount": 2, "runningCount": 2, "pendingCount": 0,
        "taskDefinition": "arn:aws:ecs:r:0:task-definition/web:2",
        "deploymentController": { "type": "ECS" },
        "deploymentConfiguration": {
            "strategy": "ROLLING", "bakeTimeInMinutes": 0,
            "deploymentCircuitBreaker": { "enable": true, "rollback": true },
        },
        "deployments": [{
            "id": "ecs-svc/2", "status": "PRIMARY", "rolloutState": "COMPLETED", "desiredCount": 2,
            "runningCount": 2, "pendingCount": 0, "failedTasks": 0,
        }],
        "loadBalancers": [{ "targetGroupArn": "tg", "containerName": "web", "containerPort": 80 }],
        "events": [],
    })
}

/// The service with another value at a place; none removes the member.
fn with(pointer: &str, value: Option<&Value>) -> Value {
    let mut changed = whole();
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    let object = changed.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => object.insert(member.to_owned(), value.clone()),
        None => object.remove(member),
    };
    changed
}

/// Missing, null, and what is no count.
fn no_counts() -> Vec<Option<Value>> {
    let values = [
        json!(null),
        json!("2"),
        json!(-1),
        json!(2.5),
        json!(true),
        json!([2]),
        json!({}),
        json!(1u64 << 40),
    ];
    values.into_iter().map(Some).chain([None]).collect()
}

#[test]
fn a_count_that_is_no_count_is_never_a_number() {
    assert!(service(&whole()).is_ok());
    for member in ["desiredCount", "runningCount", "pendingCount"] {
        for value in no_counts() {
            for (pointer, names) in [
                (format!("/{member}"), member.to_owned()),
                (
                    format!("/deployments/0/{member}"),
                    format!("deployments[].{member}"),
                ),
            ] {
                let read = service(&with(&pointer, value.as_ref()));
                assert_eq!(read.unwrap_err().member, names, "{value:?}");
            }
        }
    }
}

#[test]
fn lists_and_ids_that_a_success_rests_on_must_be_there() {
    for value in [
        None,
        Some(json!(null)),
        Some(json!("x")),
        Some(json!({})),
        Some(json!(3)),
    ] {
        let read = service(&with("/deployments", value.as_ref()));
        assert_eq!(read.unwrap_err().member, "deployments", "{value:?}");
        let read = service(&with("/loadBalancers", value.as_ref())).unwrap();
        assert!(read.unseen_health, "{value:?}");
    }
    assert!(!service(&whole()).unwrap().unseen_health);
    for value in [None, Some(json!(null)), Some(json!(2))] {
        assert!(
            service(&with("/deployments/0/id", value.as_ref())).is_err(),
            "{value:?}"
        );
    }
    assert!(service(&with("/loadBalancers/0/containerPort", Some(&json!("80")))).is_err());
    assert!(service(&with("/loadBalancers/0/targetGroupArn", Some(&json!(7)))).is_err());
}

#[test]
fn a_classic_load_balancer_and_a_lattice_are_health_that_is_not_seen() {
    let classic = json!([{ "loadBalancerName": "old", "containerName": "web", "containerPort": 80 }]);
    let read = service(&with("/loadBalancers", Some(&classic))).unwrap();
    assert!(read.unseen_health && read.load_balancers.is_empty());
    for lattice in [json!([{ "targetGroupArn": "x" }]), json!("x")] {
        let read = service(&with("/deployments/0/vpcLatticeConfigurations", Some(&lattice)));
        assert!(read.unwrap().unseen_health, "{lattice}");
    }
    let none = service(&with("/deployments/0/vpcLatticeConfigurations", Some(&json!([]))));
    assert!(!none.unwrap().unseen_health);
}

#[test]
fn words_that_are_no_words_are_not_known() {
    for value in [json!(3), json!(true), json!(["ROLLING"]), json!({})] {
        let strategy = service(&with("/deploymentConfiguration/strategy", Some(&value)))
            .unwrap()
            .strategy;
        assert!(matches!(strategy, Strategy::Unrecognised(_)), "{value}");
        let rollout = service(&with("/deployments/0/rolloutState", Some(&value))).unwrap();
        assert!(
            matches!(
                rollout.deployments[0].rollout,
                Some(RolloutState::Unrecognised(_))
            ),
            "{value}"
        );
        let controller = service(&with("/deploymentController/type", Some(&value)))
            .unwrap()
            .controller;
        assert!(matches!(controller, Controller::Unrecognised(_)), "{value}");
        let status = service(&with("/status", Some(&value))).unwrap().status;
        assert!(matches!(status, ServiceStatus::Unrecognised(_)), "{value}");
        let place = service(&with("/deployments/0/status", Some(&value))).unwrap();
        assert!(
            matches!(place.deployments[0].status, DeploymentStatus::Unrecognised(_)),
            "{value}"
        );
    }
    let absent = service(&with("/deployments/0/rolloutState", None)).unwrap();
    assert_eq!(absent.deployments[0].rollout, None);
    assert_eq!(
        service(&with("/deploymentConfiguration", None)).unwrap().strategy,
        Strategy::Rolling
    );
}

#[test]
fn how_a_service_deploys_is_read_with_the_defaults_of_ecs() {
    let of = |configuration: Value| {
        service(&with("/deploymentConfiguration", Some(&configuration)))
            .unwrap()
            .configuration
    };
    assert_eq!(of(json!({})), Configuration::default());
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let full = of(json!({
        "bakeTimeInMinutes": 5,
        "linearConfiguration": {},
        "canaryConfiguration": { "canaryPercent": 12.5, "canaryBakeTimeInMinutes": 3 },
        "alarms": { "enable": true, "rollback": false, "alarmNames": ["5xx"] },
        "deploymentCircuitBreaker": { "thresholdConfiguration": { "type": "COUNT", "value": 7 } },
        "earlySuccessCriteria": { "enable": true, "healthyPercent": 80, "sourceServiceRevisionCleanup": "BLOCKING" },
        "lifecycleHooks": [{ "targetType": "PAUSE", "lifecycleStages": ["POST_SCALE_UP"] },
            { "hookTargetArn": "f", "timeoutConfiguration": { "timeoutInMinutes": 2 } }],
    }));
    assert_eq!(full.bake, Some(minutes(5)));
    let linear = full.linear.unwrap();
    assert_eq!((linear.share.tenths(), linear.bake), (100, minutes(6)));
    let canary = full.canary.unwrap();
    assert_eq!((canary.share.tenths(), canary.bake), (125, minutes(3)));
    assert_eq!(
        full.alarms,
        AlarmSettings {
            enabled: true,
            rolls_back: false,
            names: vec!["5xx".to_owned()]
        }
    );
    assert_eq!(full.threshold, Threshold::Count(7));
    assert_eq!(
        full.early_success,
        Some(EarlySuccess {
            healthy_percent: 80,
            deferred_cleanup: false
        })
    );
    assert!(full.hooks[0].pauses && full.hooks[0].timeout == minutes(1440));
    assert!(!full.hooks[1].pauses && full.hooks[1].timeout == minutes(2));
    for odd in [json!("yes"), json!(1)] {
        let odd = of(
            json!({ "earlySuccessCriteria": { "enable": odd, "healthyPercent": -3 }, "alarms": { "enable": odd } }),
        );
        assert_eq!(
            odd.early_success.unwrap().healthy_percent,
            0,
            "the least that ECS could vouch for"
        );
        assert!(odd.alarms.enabled);
    }
    assert!(
        service(&with(
            "/deploymentConfiguration/bakeTimeInMinutes",
            Some(&json!(-1))
        ))
        .is_err()
    );
}

#[test]
fn a_task_runs_only_if_both_of_its_states_say_so() {
    let runs =
        |last: Value, desired: Value| task(&json!({ "lastStatus": last, "desiredStatus": desired })).runs();
    assert!(runs(json!("RUNNING"), json!("RUNNING")));
    for odd in [
        json!(null),
        json!("STOPPED"),
        json!("running"),
        json!("RUNNING_WELL"),
        json!(1),
        json!(["RUNNING"]),
    ] {
        assert!(!runs(odd.clone(), json!("RUNNING")), "{odd}");
        assert!(!runs(json!("RUNNING"), odd.clone()), "{odd}");
    }
}

#[test]
fn health_and_digests_are_what_they_say_or_nothing() {
    let container = |container: Value| task(&json!({ "containers": [container] })).containers.remove(0);
    for odd in [
        json!(null),
        json!("healthy"),
        json!("FINE"),
        json!(true),
        json!(-1),
    ] {
        assert_ne!(
            container(json!({ "healthStatus": odd })).health,
            Health::Healthy,
            "{odd}"
        );
        assert_eq!(container(json!({ "imageDigest": odd })).digest, None, "{odd}");
        let state = target(&json!({ "TargetHealth": { "State": odd } })).state;
        assert_eq!(state == TargetState::Healthy, odd == json!("healthy"), "{odd}");
    }
    assert_eq!(task(&json!({})).containers, Vec::new());
}

#[test]
fn how_long_a_task_ran_is_told_by_its_stamps() {
    let of = |from: Value| task(&from).ran_for;
    assert_eq!(
        of(json!({ "startedAt": 100.5, "stoppedAt": 110.5 })),
        Some(Duration::from_secs(10))
    );
    let ended = json!({ "startedAt": 100, "executionStoppedAt": 103, "stoppedAt": 160 });
    assert_eq!(of(ended), Some(Duration::from_secs(3)));
    for odd in [
        json!({ "stoppedAt": 1 }),
        json!({ "startedAt": 5, "stoppedAt": 1 }),
        json!({ "startedAt": "x", "stoppedAt": 1 }),
    ] {
        assert_eq!(of(odd.clone()), None, "{odd}");
    }
}

#[test]
fn a_service_deployment_says_its_stage_hooks_and_traffic() {
    let read = service_deployment(&json!({
        "status": "IN_PROGRESS", "lifecycleStage": "POST_SCALE_UP",
        "alarms": { "status": "MONITORING", "triggeredAlarmNames": [] },
        "deploymentConfiguration": { "strategy": "CANARY" },
        "lifecycleHookDetails": [{ "hookId": "h", "targetType": "PAUSE", "status": "AWAITING_ACTION", "timeoutAction": "CONTINUE" }],
        "targetServiceRevision": { "arn": "a/2", "runningTaskCount": -4, "requestedProductionTrafficWeight": 12.5 },
    }));
    assert_eq!(read.stage, Some(LifecycleStage::PostScaleUp));
    assert_eq!(read.alarms, Some(MonitorStatus::Monitoring));
    assert_eq!(read.strategy, Some(Strategy::Canary));
    let hook = &read.hooks[0];
    assert_eq!(
        (&hook.target, &hook.status),
        (&HookTarget::Pause, &HookStatus::AwaitingAction)
    );
    assert_eq!(hook.on_timeout, Some(HookAction::Continue));
    let counts = read.target.unwrap();
    assert_eq!(
        (counts.running, counts.production),
        (None, Share::of_percent(12.5))
    );
    let bare = service_deployment(&json!({}));
    assert_eq!(bare.status, ServiceDeploymentStatus::Unrecognised(String::new()));
    assert_eq!((bare.target, bare.stage), (None, None));
}

#[test]
fn a_revision_names_the_digests_that_ecs_resolved() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let read = revision(&json!({
        "serviceRevisionArn": "a/2", "taskDefinition": "td",
        "containerImages": [{ "containerName": "web", "imageDigest": digest }, { "containerName": "log", "imageDigest": 5 }],
    }));
    assert_eq!(read.images[0].digest.as_ref().unwrap().to_string(), digest);
    assert_eq!(read.images[1].digest, None);
}
