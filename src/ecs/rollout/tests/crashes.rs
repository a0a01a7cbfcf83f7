//! Crash loops, and trouble that only looks like one.

use super::*;
use build::*;

const PULL: &str = "CannotPullContainerError: pull image manifest has been retried 1 time(s): x: not found";

fn unbroken(change: impl FnOnce(&mut Service)) -> Observation {
    let mut seen = look(service(2));
    edit(&mut seen, |service| {
        service.breaker = BreakerSetting::Off;
        change(service);
    });
    seen
}

fn placement(id: &str, why: &str) -> ServiceEvent {
    let message = format!("(service web) was unable to place a task. Reason: {why}.");
    event(id, &message)
}

#[test]
fn a_pull_that_fails_shows_as_an_event_and_counts_by_ecss_own_count() {
    let at = |failed: u32| {
        let mut seen = unbroken(|service| {
            service.events = vec![placement("e1", PULL)];
            service.deployments[0].failed = failed;
        });
        seen.tasks = None;
        seen
    };
    let WaitingOn::FailingTasks { failed, reason, .. } = waits(&[at(2)]) else {
        panic!()
    };
    assert_eq!(failed, 2);
    assert!(reason.starts_with("CannotPullContainerError"), "{reason}");
    assert!(matches!(
        lost(&[at(2), at(3)]),
        Loss::CannotStart { times: 3, .. }
    ));
    let with_breaker = |failed: u32| {
        let mut seen = at(failed);
        edit(&mut seen, |service| service.breaker = BreakerSetting::RollsBack);
        seen
    };
    assert!(
        matches!(
            waits(&[with_breaker(2), with_breaker(5)]),
            WaitingOn::FailingTasks { failed: 5, .. }
        ),
        "ECS ends it, and it is told at once"
    );
}

#[test]
fn trouble_that_passes_is_no_failure() {
    for why in [
        "Capacity is unavailable at this time",
        "ResourceInitializationError: unable to pull secrets or registry auth: i/o timeout",
        "You've reached the limit on the number of vCPUs",
        "Internal error",
    ] {
        let seen = unbroken(|service| {
            service.events = vec![placement("e1", why)];
            service.deployments[0].failed = 9;
        });
        let mut rollout = rollout(policy());
        let verdict = rollout.judge(Duration::from_secs(10), &seen);
        assert!(
            matches!(&verdict, Verdict::Wait(WaitingOn::TasksToPlace { reason, .. }) if reason == why),
            "{verdict:?}"
        );
        let verdict = rollout.judge(Duration::from_secs(900), &seen);
        assert!(
            matches!(verdict, Verdict::Lost(Loss::Deadline { .. })),
            "{verdict:?}"
        );
    }
    let spot = unbroken(|_| {});
    let tasks = (1..=5).map(|number| {
        stopped(
            &format!("t{number}"),
            "SpotInterruption",
            "Your Spot Task was interrupted.",
        )
    });
    let spot = Observation {
        tasks: Some(tasks.collect()),
        ..spot
    };
    assert!(matches!(waits(&[spot]), WaitingOn::TasksToStart { .. }));
}

#[test]
fn failures_from_before_our_update_are_not_ours() {
    let mut old = before(2);
    old.events = vec![placement("e1", PULL)];
    let ours = Ours {
        deployment: "ecs-svc/2".to_owned(),
    };
    let mut rollout = Rollout::new(policy(), ours, Baseline::of(&old));
    let seen = unbroken(|service| {
        service.events.clone_from(&old.events);
        service.deployments[0].failed = 3;
    });
    let verdict = rollout.judge(Duration::from_secs(10), &seen);
    assert!(
        matches!(verdict, Verdict::Wait(WaitingOn::TasksToStart { failed: 3, .. })),
        "{verdict:?}"
    );
}

#[test]
fn a_task_that_is_healthy_keeps_the_wait_alive() {
    let mut checked = policy();
    checked.checked.insert("web".parse().unwrap());
    let crashing = |health: Health| {
        let mut seen = unbroken(|service| service.deployments[0].running = 1);
        let mut alive = task("t9", "RUNNING");
        alive.containers[0].health = health;
        seen.tasks = Some(vec![exited("t1", 1), exited("t2", 1), exited("t3", 1), alive]);
        seen
    };
    let judge = |health: Health| {
        let mut rollout = rollout(checked.clone());
        let seen = crashing(health);
        let first = rollout.judge(Duration::from_secs(10), &seen);
        let second = rollout.judge(Duration::from_secs(100), &seen);
        (first, second)
    };
    assert!(matches!(
        judge(Health::Healthy),
        (Verdict::Wait(_), Verdict::Wait(_))
    ));
    assert!(matches!(
        judge(Health::Unknown).0,
        Verdict::Lost(Loss::CannotStart { times: 3, .. })
    ));
}

#[test]
fn a_task_that_ran_for_long_is_no_failure_to_start() {
    let long = |id: &str| Task {
        ran_for: Some(Duration::from_secs(1200)),
        ..exited(id, 1)
    };
    let mut seen = unbroken(|_| {});
    seen.tasks = Some(vec![long("t1"), long("t2"), long("t3")]);
    assert!(matches!(
        waits(&[seen]),
        WaitingOn::FailingTasks { failed: 3, .. }
    ));
}
