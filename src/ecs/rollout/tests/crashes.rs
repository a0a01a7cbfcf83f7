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
fn a_task_whose_health_is_not_told_keeps_the_wait_alive() {
    let crashes = || vec![exited("t1", 1), exited("t2", 1), exited("t3", 1)];
    let crashing = |alive: Option<Task>| {
        let mut seen = unbroken(|service| service.deployments[0].running = 1);
        seen.tasks = Some(crashes().into_iter().chain(alive).collect());
        seen
    };
    let judge = |policy: Policy, seen: &Observation| {
        let mut rollout = rollout(policy);
        rollout.judge(Duration::from_secs(100), seen)
    };
    let mut checked = policy();
    checked.checked.insert("web".parse().unwrap());
    let mut bare = task("t9", "RUNNING");
    bare.containers.clear();
    let mut odd = task("t9", "RUNNING");
    odd.containers[0].health = "HALF_WAY".into();
    for alive in [bare, odd, task("t9", "HALF_WAY")] {
        let verdict = judge(checked.clone(), &crashing(Some(alive)));
        assert!(matches!(verdict, Verdict::Wait(_)), "{verdict:?}");
    }
    let verdict = judge(policy(), &crashing(None));
    assert!(
        matches!(verdict, Verdict::Wait(_)),
        "one runs, and was not listed: {verdict:?}"
    );
    let mut balanced = crashing(Some(task("t9", "RUNNING")));
    edit(&mut balanced, |service| {
        service.load_balancers = vec![Attachment {
            target_group: GROUP.to_owned(),
            alternate: None,
            container: "web".to_owned(),
            port: Some(80),
        }];
    });
    for (state, waits) in [(None, true), (Some("HALF_WAY"), true), (Some("unhealthy"), false)] {
        balanced.target_groups = state
            .map(|state| TargetGroup {
                arn: GROUP.to_owned(),
                targets: vec![target("9", state)],
            })
            .into_iter()
            .collect();
        let verdict = judge(policy(), &balanced);
        assert_eq!(
            matches!(verdict, Verdict::Wait(_)),
            waits,
            "{state:?}: {verdict:?}"
        );
    }
    balanced.target_groups = vec![TargetGroup {
        arn: GROUP.to_owned(),
        targets: vec![target("8", "unhealthy")],
    }];
    let verdict = judge(policy(), &balanced);
    assert!(
        matches!(verdict, Verdict::Wait(_)),
        "its target is not listed yet: {verdict:?}"
    );
}

#[test]
fn failures_whose_containers_are_left_out_are_not_taken_for_the_same_one() {
    let crashed = |codes: &[i32], told: bool| {
        let mut seen = unbroken(|_| {});
        let tasks = codes.iter().zip(1..).map(|(code, at)| {
            let mut task = exited(&format!("t{at}"), *code);
            if !told {
                task.containers.clear();
            }
            task
        });
        seen.tasks = Some(tasks.collect());
        seen
    };
    let codes = [1, 137, 3];
    for looks in [
        vec![crashed(&codes[..2], true), crashed(&codes, false)],
        vec![crashed(&codes, false)],
    ] {
        assert!(matches!(waits(&looks), WaitingOn::FailingTasks { failed: 3, .. }));
    }
    let looks = [crashed(&[1, 1], true), crashed(&[1, 1, 1], true)];
    assert!(matches!(lost(&looks), Loss::CannotStart { times: 3, .. }));
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
#[test]
fn a_breaker_that_one_look_leaves_out_may_be_there() {
    let crashed = |breaker| {
        let mut seen = unbroken(|service| service.breaker = breaker);
        seen.tasks = Some(vec![exited("t1", 1), exited("t2", 1), exited("t3", 1)]);
        seen
    };
    let mut first = crashed(BreakerSetting::On);
    first.tasks = Some(Vec::new());
    assert!(matches!(
        waits(&[first, crashed(BreakerSetting::Off)]),
        WaitingOn::FailingTasks { failed: 3, .. }
    ));
}

#[test]
fn a_task_that_may_have_run_for_long_before_it_was_listed_keeps_the_wait_alive() {
    let at = |running: u32, listed: bool| {
        let mut seen = unbroken(|service| service.deployments[0].running = running);
        let tasks = vec![
            exited("t1", 1),
            exited("t2", 1),
            exited("t3", 1),
            task("t9", "RUNNING"),
        ];
        seen.tasks = listed.then_some(tasks);
        seen
    };
    let mut rollout = rollout(policy());
    for (second, running, listed) in [(0, 0, false), (10, 1, false), (60, 1, true)] {
        let verdict = rollout.judge(Duration::from_secs(second), &at(running, listed));
        assert!(matches!(verdict, Verdict::Wait(_)), "at {second} s: {verdict:?}");
    }
    let mut rollout = build::rollout(policy());
    let _ = rollout.judge(Duration::from_secs(50), &at(0, false));
    let verdict = rollout.judge(Duration::from_secs(60), &at(1, true));
    assert!(
        matches!(verdict, Verdict::Lost(Loss::CannotStart { times: 3, .. })),
        "{verdict:?}"
    );
}

#[test]
fn ecss_word_does_not_cover_the_tasks_that_took_the_place_of_those_it_was_said_of() {
    let at = |running: u32| {
        let mut seen = build::running(2, running, "COMPLETED");
        seen.tasks = None;
        seen.blind.push(Blind {
            action: "ecs:ListTasks".to_owned(),
            why: BlindReason::Denied,
        });
        seen.revision = Some(Revision {
            arn: "arn:aws:ecs:eu-west-1:000000000000:service-revision/c/web/2".to_owned(),
            task_definition: None,
            images: vec![RevisionImage {
                container: "web".to_owned(),
                digest: Some(digest("image")),
            }],
        });
        seen
    };
    let judge = |looks: &[(u64, u32)]| {
        let mut rollout = rollout(policy());
        let verdicts = looks
            .iter()
            .map(|(second, running)| rollout.judge(Duration::from_secs(*second), &at(*running)));
        verdicts.last().unwrap()
    };
    assert_eq!(judge(&[(0, 2)]), Verdict::Healthy);
    assert_eq!(
        judge(&[(0, 1), (10, 2), (40, 2)]),
        Verdict::Wait(WaitingOn::TasksToStay {
            stable_for: STABLE_FOR
        })
    );
    assert_eq!(judge(&[(0, 1), (10, 2), (50, 2)]), Verdict::Healthy);
}
