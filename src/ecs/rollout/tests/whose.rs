//! Whose doing a failure is: the monitor's that found it, the deadline's, or nobody's.

use super::success::attach;
use super::*;
use build::*;

/// Ours failed in DescribeServices, with nothing of ECS's going back.
fn failed(reason: &str, change: impl FnOnce(&mut Service)) -> Observation {
    let mut seen = look(service(2));
    edit(&mut seen, |service| {
        service.deployments[0] = deployment(2, "PRIMARY", "FAILED", 0);
        service.deployments[0].reason = Some(reason.to_owned());
        change(service);
    });
    seen
}

#[test]
fn each_monitor_has_its_own_word_on_going_back() {
    for (reason, breaker, alarms, goes_back) in [
        (
            "ECS deployment circuit breaker: tasks failed to start.",
            BreakerSetting::RollsBack,
            false,
            true,
        ),
        (
            "ECS deployment circuit breaker: tasks failed to start.",
            BreakerSetting::On,
            true,
            false,
        ),
        (
            "ECS deployment failed: alarm detected.",
            BreakerSetting::RollsBack,
            false,
            false,
        ),
        (
            "ECS deployment failed: alarm detected.",
            BreakerSetting::On,
            true,
            true,
        ),
        (
            "ECS deployment failed: alarm detected.",
            BreakerSetting::Off,
            true,
            true,
        ),
    ] {
        let seen = failed(reason, |service| {
            service.breaker = breaker;
            service.configuration.alarms.enabled = true;
            service.configuration.alarms.rolls_back = alarms;
        });
        let loss = lost(&[seen]);
        let back = matches!(loss, Loss::RollingBack { .. });
        assert!(back || matches!(loss, Loss::Failed { .. }), "{loss:?}");
        assert_eq!(back, goes_back, "{reason} {breaker:?} {alarms}");
    }
}

#[test]
fn a_failure_without_a_word_of_its_monitor_waits_for_a_sign() {
    let seen = failed("", |service| {
        service.breaker = BreakerSetting::RollsBack;
        service.configuration.alarms.enabled = true;
    });
    assert_eq!(waits(&[seen.clone(), seen.clone()]), WaitingOn::RollbackToShow);
    assert!(matches!(
        lost(&[seen.clone(), seen.clone(), seen]),
        Loss::Failed { .. }
    ));
}

#[test]
fn what_was_there_before_ours_comes_back_and_supersedes_nobody() {
    // Ours replaced one that had not completed.
    let mut old = before(2);
    old.deployments = vec![
        deployment(7, "PRIMARY", "IN_PROGRESS", 0),
        deployment(1, "ACTIVE", "COMPLETED", 2),
    ];
    let ours = Ours {
        deployment: "ecs-svc/2".to_owned(),
    };
    let judge = |seen: &Observation| {
        let mut rollout = Rollout::new(policy(), ours.clone(), Baseline::of(&old)).taken_up();
        rollout.judge(Duration::from_secs(10), seen)
    };
    let mut seen = look(service(2));
    edit(&mut seen, |service| {
        service.deployments = vec![
            deployment(1, "PRIMARY", "IN_PROGRESS", 2),
            deployment(2, "ACTIVE", "FAILED", 0),
        ];
    });
    assert!(matches!(judge(&seen), Verdict::Lost(Loss::RollingBack { .. })));
    // One that nobody knows is ECS's if an event says so.
    edit(&mut seen, |service| {
        service.deployments[0].id = "ecs-svc/5".to_owned();
    });
    assert!(matches!(judge(&seen), Verdict::Lost(Loss::Superseded { .. })));
    edit(&mut seen, |service| {
        service.events = vec![
            event("e2", "(service web) rolling back to deployment ecs-svc/5."),
            event(
                "e1",
                "(service web) (deployment ecs-svc/2) deployment failed: tasks failed to start.",
            ),
        ];
    });
    assert!(matches!(judge(&seen), Verdict::Lost(Loss::RollingBack { .. })));
}

#[test]
fn a_failure_that_is_over_leaves_a_slow_rollout_a_slow_one() {
    let late = Duration::from_secs(900);
    let crashed = |running_now: u32| {
        let mut seen = running(3, running_now, "IN_PROGRESS");
        seen.tasks.as_mut().unwrap().push(exited("t9", 1));
        seen
    };
    let judge = |first: Duration, seen: &Observation| {
        let mut rollout = rollout(policy());
        let verdict = rollout.judge(first, seen);
        assert!(matches!(verdict, Verdict::Wait(_)), "{verdict:?}");
        rollout.judge(late, seen)
    };
    let mut bakes = crashed(3);
    edit(&mut bakes, |service| {
        service.configuration.bake = Some(Duration::from_secs(600));
    });
    assert!(
        matches!(
            judge(Duration::from_secs(800), &bakes),
            Verdict::Lost(Loss::Deadline {
                last: WaitingOn::BakeTime { .. }
            })
        ),
        "healthy tasks are not what it waits for"
    );
    let slow = crashed(2);
    let early = Duration::from_secs(60);
    assert!(
        matches!(judge(early, &slow), Verdict::Lost(Loss::Deadline { .. })),
        "long ago"
    );
    assert!(matches!(
        judge(Duration::from_secs(800), &slow),
        Verdict::Lost(Loss::Stuck { failed: 1, .. })
    ));
    let mut counted = slow.clone();
    edit(&mut counted, |service| service.deployments[0].failed = 1);
    assert!(
        matches!(judge(early, &counted), Verdict::Lost(Loss::Stuck { .. })),
        "ECS counts failures in a row"
    );
    let mut again = rollout(policy()).taken_up();
    let _ = again.judge(late - Duration::from_secs(10), &slow);
    assert!(
        matches!(again.judge(late, &slow), Verdict::Lost(Loss::Deadline { .. })),
        "a resumed run does not know when it was"
    );
}

#[test]
fn targets_that_nothing_checks_say_nothing_of_their_tasks() {
    let at = |state: &str| {
        let mut seen = running(2, 2, "IN_PROGRESS");
        attach(&mut seen, &[state, state]);
        edit(&mut seen, |service| {
            service.breaker = BreakerSetting::Off;
            service.strategy = Strategy::BlueGreen;
        });
        let crashes = ["t7", "t8", "t9"].map(|id| exited(id, 1));
        seen.tasks.as_mut().unwrap().extend(crashes);
        seen
    };
    for state in ["unused", "unavailable"] {
        assert!(
            matches!(waits(&[at(state)]), WaitingOn::Targets { .. }),
            "{state}"
        );
    }
    assert!(matches!(lost(&[at("unhealthy")]), Loss::CannotStart { .. }));
}

#[test]
fn only_old_targets_of_the_service_itself_hold_steady_up() {
    let steady = || Policy {
        goal: Goal::Steady,
        ..policy()
    };
    let at = |old: u32, states: &[&str]| {
        let mut seen = running(2, 2, "COMPLETED");
        attach(&mut seen, states);
        edit(&mut seen, |service| service.deployments[1].running = old);
        seen
    };
    let both = ["healthy", "healthy", "healthy"];
    let draining = ["healthy", "healthy", "draining"];
    assert_eq!(
        last(steady(), &[at(1, &both), at(0, &draining)]),
        Verdict::Wait(WaitingOn::OldTasksToDrain { remaining: 1 })
    );
    assert_eq!(
        last(steady(), &[at(1, &both[..2]), at(0, &draining)]),
        Verdict::Healthy,
        "another service's"
    );
    let mut replaced = at(1, &both);
    replaced.tasks.as_mut().unwrap().push(exited("t3", 1));
    let mut ours = at(0, &draining);
    ours.tasks.as_mut().unwrap().push(exited("t3", 1));
    assert_eq!(
        last(steady(), &[replaced, ours]),
        Verdict::Healthy,
        "a task of ours that was replaced"
    );
}

#[test]
fn a_look_that_misses_a_task_does_not_make_it_young_again() {
    let at = Duration::from_secs;
    let seen = running(2, 2, "IN_PROGRESS");
    let mut missed = seen.clone();
    missed.tasks.as_mut().unwrap().truncate(1);
    let mut ending = seen.clone();
    ending.tasks.as_mut().unwrap()[1] = exited("t2", 1);
    for (between, verdict) in [
        (missed, Verdict::Healthy),
        (
            ending,
            Verdict::Wait(WaitingOn::TasksToStay {
                stable_for: STABLE_FOR,
            }),
        ),
    ] {
        let mut rollout = rollout(policy());
        let _ = rollout.judge(at(10), &seen);
        let _ = rollout.judge(at(30), &between);
        assert_eq!(rollout.judge(at(51), &seen), verdict);
    }
}
