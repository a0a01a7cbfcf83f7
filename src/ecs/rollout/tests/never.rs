//! Over any sequence of looks: what must hold when the judge says that a rollout is healthy.

use super::*;
use build::*;
use proptest::prelude::*;
use proptest::strategy::Strategy;

/// Mostly the first word: a look has few oddities at a time, or none would be healthy.
fn word(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop_oneof![8 => Just(words[0]), 2 => prop::sample::select(words)]
}

/// A look at any state of our deployment: right words, wrong ones and unknown ones.
fn any_look() -> impl Strategy<Value = Observation> {
    let ours = (
        word(&["PRIMARY", "ACTIVE", "INACTIVE", "DRAINING", "SECONDARY"]),
        word(&["COMPLETED", "IN_PROGRESS", "FAILED", "DONE", ""]),
        0..4u32,
        prop::bool::weighted(0.9),
    );
    let theirs = prop::option::of((
        word(&[
            "SUCCESSFUL",
            "PENDING",
            "IN_PROGRESS",
            "STOPPED",
            "ROLLBACK_SUCCESSFUL",
            "FINE",
        ]),
        word(&["2", "1", "3"]),
    ));
    let around = (
        0..4u32,
        word(&["ACTIVE", "DRAINING", "RETIRED"]),
        word(&["RUNNING", "PENDING", "STOPPED", "RUNNING_WELL"]),
        word(&["image", "other", ""]),
        word(&["ROLLING", "BLUE_GREEN", "TURQUOISE"]),
        prop::bool::weighted(0.9),
    );
    (ours, theirs, around).prop_map(|((place, rollout, running, listed), theirs, around)| {
        let (desired, status, task_status, runs, strategy, tasks) = around;
        let mut seen = service(desired);
        seen.status = status.into();
        seen.strategy = strategy.into();
        seen.deployments[0] = deployment(2, place, rollout, running);
        if rollout.is_empty() {
            seen.deployments[0].rollout = None;
        }
        if !listed {
            seen.deployments.remove(0);
        }
        let mut look = look(seen);
        look.service_deployment = theirs.map(|(status, number)| {
            let mut theirs = service_deployment(status);
            theirs.target.as_mut().unwrap().arn = format!("arn:x:service-revision/c/web/{number}");
            theirs
        });
        let of = |number: u32| {
            let mut task = task(&format!("t{number}"), task_status);
            task.containers[0].digest = (!runs.is_empty()).then(|| digest(runs));
            task
        };
        look.tasks = tasks.then(|| (1..=running).map(of).collect());
        look
    })
}

proptest! {
    #[test]
    fn healthy_is_only_said_of_our_primary_deployment_with_all_its_tasks_and_the_right_digest(
        looks in prop::collection::vec(any_look(), 1..12),
    ) {
        let mut rollout = rollout(policy());
        for (look, at) in looks.iter().zip(0u64..) {
            let verdict = rollout.judge(Duration::from_secs(at * 25), look);
            if verdict != Verdict::Healthy {
                continue;
            }
            let service = look.seen_service().unwrap();
            let ours = service.deployment("ecs-svc/2").unwrap();
            let theirs = look.service_deployment.as_ref().filter(|theirs| {
                theirs.target.as_ref().is_some_and(|target| target.arn.ends_with("/2"))
            });
            prop_assert_eq!(&service.status, &ServiceStatus::Active);
            prop_assert_eq!(&ours.status, &DeploymentStatus::Primary);
            prop_assert!(matches!(&ours.rollout, None | Some(RolloutState::InProgress | RolloutState::Completed)));
            prop_assert!(ours.rollout.is_some() || theirs.is_some());
            if let Some(theirs) = theirs {
                prop_assert!(matches!(
                    theirs.status,
                    ServiceDeploymentStatus::Pending
                        | ServiceDeploymentStatus::InProgress
                        | ServiceDeploymentStatus::Successful
                ));
            }
            let good = look.tasks.as_ref().unwrap().iter().filter(|task| {
                task.runs() && task.containers[0].digest == Some(digest("image"))
            });
            prop_assert!(service.desired > 0 && good.count() >= service.desired as usize);
        }
    }
}
