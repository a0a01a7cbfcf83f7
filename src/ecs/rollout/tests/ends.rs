//! Every way to lose, and what is no loss yet.

use super::*;
use build::*;

/// A look in which ECS went back to the deployment from before.
fn returned(rollout: &str) -> Observation {
    let mut seen = look(before(2));
    edit(&mut seen, |service| {
        service.deployments[0].rollout = Some(rollout.into());
    });
    seen
}

fn failing(reason: &str) -> Observation {
    let mut seen = look(service(2));
    edit(&mut seen, |service| {
        service.deployments[0].rollout = Some(RolloutState::Failed);
        service.deployments[0].reason = Some(reason.to_owned());
        service.deployments[0].failed = 3;
    });
    seen
}

#[test]
fn a_breaker_that_rolls_back_is_lost_at_its_first_sign() {
    for status in ["ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"] {
        let mut seen = look(service(2));
        let mut theirs = service_deployment(status);
        theirs.breaker = Some(Breaker {
            status: MonitorStatus::Triggered,
            failures: 3,
            threshold: 3,
        });
        seen.service_deployment = Some(theirs);
        let loss = lost(&[look(service(2)), seen]);
        let why = RollbackCause::Breaker {
            failures: Some((3, 3)),
            reason: None,
        };
        assert_eq!(loss, Loss::RollingBack { why });
    }
    for reason in [
        "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/1",
        "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/1.",
    ] {
        assert!(
            matches!(lost(&[failing(reason)]), Loss::RollingBack { .. }),
            "{reason}"
        );
    }
}

#[test]
fn a_finished_rollback_is_never_success() {
    let mut seen = returned("COMPLETED");
    seen.service_deployment = Some(service_deployment("ROLLBACK_SUCCESSFUL"));
    assert!(matches!(lost(&[look(service(2)), seen]), Loss::RolledBack { .. }));
    let three = [
        look(service(2)),
        returned("COMPLETED"),
        returned("COMPLETED"),
        returned("COMPLETED"),
    ];
    assert!(
        matches!(lost(&three), Loss::RolledBack { .. }),
        "without the service deployment API"
    );
}

#[test]
fn a_rollback_is_known_at_once_by_an_event_that_names_our_deployment() {
    let mut seen = returned("IN_PROGRESS");
    edit(&mut seen, |service| {
        service.events = vec![event(
            "e",
            "(service web) (deployment ecs-svc/2) deployment failed: tasks failed to start.",
        )];
    });
    assert!(
        matches!(lost(&[seen]), Loss::RollingBack { .. }),
        "even if our deployment was never seen"
    );
}

#[test]
fn a_failed_deployment_that_drains_is_rolling_back() {
    for status in ["DRAINING", "ACTIVE", "INACTIVE"] {
        let mut seen = failing("ECS deployment circuit breaker: tasks failed to start.");
        edit(&mut seen, |service| {
            service.deployments[0].status = status.into();
            service.deployments[1].status = DeploymentStatus::Primary;
        });
        assert!(
            matches!(lost(&[look(service(2)), seen]), Loss::RollingBack { .. }),
            "{status}"
        );
    }
}

#[test]
fn a_rollback_that_gets_a_new_id_is_no_strangers_deployment() {
    let mut seen = look(service(2));
    edit(&mut seen, |service| {
        let mut back = deployment(9, "PRIMARY", "IN_PROGRESS", 0);
        back.task_definition = deployment(1, "ACTIVE", "COMPLETED", 0).task_definition;
        service.deployments = vec![
            back,
            deployment(2, "ACTIVE", "FAILED", 0),
            deployment(1, "ACTIVE", "COMPLETED", 2),
        ];
    });
    assert!(matches!(
        lost(&[look(service(2)), seen]),
        Loss::RollingBack { .. }
    ));
}

#[test]
fn a_breaker_without_rollback_fails_and_leaves_the_new_revision() {
    let mut seen = failing("ECS deployment circuit breaker: tasks failed to start.");
    edit(&mut seen, |service| service.breaker = BreakerSetting::On);
    let loss = lost(&[seen.clone()]);
    assert!(
        matches!(&loss, Loss::Failed { reason: Some(reason) } if reason.contains("tasks failed to start"))
    );
    assert!(loss.leaves_new_revision());
    let mut stopped = look(service(2));
    let mut theirs = service_deployment("STOPPED");
    theirs.breaker = Some(Breaker {
        status: MonitorStatus::Triggered,
        failures: 3,
        threshold: 3,
    });
    stopped.service_deployment = Some(theirs);
    assert!(matches!(lost(&[stopped]), Loss::Failed { .. }));
}

#[test]
fn a_rollback_without_a_candidate_is_told() {
    let mut seen = failing("ECS deployment circuit breaker: tasks failed to start.");
    let mut theirs = service_deployment("ROLLBACK_FAILED");
    theirs.reason = Some("No rollback candidate was found to run the rollback.".to_owned());
    seen.service_deployment = Some(theirs);
    assert!(matches!(
        lost(&[seen.clone()]),
        Loss::RollbackFailed { reason: Some(_) }
    ));
    seen.service_deployment = None;
    let with_candidate = lost(std::slice::from_ref(&seen));
    assert!(matches!(with_candidate, Loss::RollingBack { .. }), "it is listed");
    edit(&mut seen, |service| {
        service.deployments[1].rollout = Some(RolloutState::Failed);
    });
    let looks = [seen.clone(), seen.clone(), seen];
    assert_eq!(waits(&looks[..2]), WaitingOn::RollbackToShow);
    assert!(
        matches!(lost(&looks), Loss::Failed { .. }),
        "without the service deployment API"
    );
}

#[test]
fn alarms_are_named() {
    let mut seen = look(service(2));
    let mut theirs = service_deployment("ROLLBACK_IN_PROGRESS");
    theirs.triggered_alarms = vec!["5xx".to_owned()];
    seen.service_deployment = Some(theirs);
    assert_eq!(
        lost(&[seen]),
        Loss::RollingBack {
            why: RollbackCause::Alarms(vec!["5xx".to_owned()])
        }
    );
}

#[test]
fn somebody_elses_deployment_supersedes_ours() {
    let mut seen = look(service(2));
    edit(&mut seen, |service| {
        service.deployments[0].status = DeploymentStatus::Active;
        service
            .deployments
            .insert(0, deployment(3, "PRIMARY", "IN_PROGRESS", 0));
    });
    assert!(matches!(lost(&[look(service(2)), seen]), Loss::Superseded { by, .. } if by == "ecs-svc/3"));
    let mut won = look(before(2));
    edit(&mut won, |service| {
        service.deployments = vec![deployment(3, "PRIMARY", "COMPLETED", 2)];
    });
    let looks = [look(service(2)), won.clone(), won.clone(), won];
    assert!(
        matches!(lost(&looks), Loss::Superseded { .. }),
        "ours is gone from the list"
    );
}

#[test]
fn a_superseded_service_deployment_is_stopped_and_told_from_a_stop_by_hand() {
    let mut seen = look(service(2));
    seen.service_deployment = Some(service_deployment("STOPPED"));
    let by_hand = [seen.clone(), seen.clone(), seen.clone()];
    assert!(matches!(lost(&by_hand), Loss::Stopped { .. }));
    edit(&mut seen, |service| {
        service.deployments[0].status = DeploymentStatus::Active;
        service
            .deployments
            .insert(0, deployment(3, "PRIMARY", "IN_PROGRESS", 0));
    });
    assert!(matches!(lost(&[seen]), Loss::Superseded { .. }));
}

#[test]
fn a_deleted_service_is_gone() {
    for status in ["DRAINING", "INACTIVE"] {
        let mut seen = look(service(2));
        edit(&mut seen, |service| service.status = status.into());
        assert_eq!(
            lost(&[seen]),
            Loss::ServiceGone {
                status: status.to_owned()
            }
        );
    }
    let missing = Observation {
        service: Presence::Missing,
        ..look(service(2))
    };
    let twice = [
        missing.clone(),
        missing.clone(),
        look(service(2)),
        missing.clone(),
        missing.clone(),
    ];
    assert_eq!(waits(&twice), WaitingOn::SecondLook);
    let thrice = [missing.clone(), missing.clone(), missing];
    assert_eq!(
        lost(&thrice),
        Loss::ServiceGone {
            status: "MISSING".to_owned()
        }
    );
}

#[test]
fn a_look_that_is_denied_ends_the_watch_and_one_that_fails_does_not() {
    let blind = |why| Observation {
        service: Presence::Unseen,
        blind: vec![Blind {
            action: "ecs:DescribeServices".to_owned(),
            why,
        }],
        ..look(service(2))
    };
    assert!(matches!(
        lost(&[blind(BlindReason::Denied)]),
        Loss::CannotTell(Doubt::Denied { .. })
    ));
    let down = blind(BlindReason::Transient);
    assert!(matches!(
        waits(&[down.clone(), down.clone()]),
        WaitingOn::Sight { .. }
    ));
    let mut rollout = rollout(policy());
    assert!(matches!(
        rollout.judge(Duration::from_secs(900), &down),
        Verdict::Lost(Loss::CannotTell(Doubt::Blind { .. }))
    ));
}

/// Credentials are asked for anew with each look.
#[test]
fn credentials_that_fail_for_a_while_pass_and_end_the_watch_if_they_stay_away() {
    let keyless = Observation {
        service: Presence::Unseen,
        blind: vec![Blind {
            action: "ecs:DescribeServices".to_owned(),
            why: BlindReason::NoCredentials,
        }],
        ..look(service(2))
    };
    let gone = Verdict::Lost(Loss::CannotTell(Doubt::NoCredentials));
    let waits = Verdict::Wait(WaitingOn::Credentials {
        action: "ecs:DescribeServices".to_owned(),
    });
    let mut watch = rollout(policy());
    let mut judge = |at: u64, seen: &Observation| watch.judge(Duration::from_secs(at), seen);
    assert_eq!(judge(10, &keyless), waits);
    assert_eq!(judge(129, &keyless), waits);
    let _ = judge(129, &running(3, 2, "IN_PROGRESS"));
    assert_eq!(judge(130, &keyless), waits, "they came back between");
    assert_eq!(judge(249, &keyless), waits);
    assert_eq!(judge(250, &keyless), gone);
    assert_eq!(
        rollout(policy()).judge(Duration::from_secs(900), &keyless),
        gone,
        "at the deadline it is still the credentials"
    );
}

#[test]
fn tasks_that_may_not_be_listed_are_a_doubt() {
    let mut seen = running(2, 2, "COMPLETED");
    seen.tasks = None;
    assert_eq!(waits(&[seen.clone()]), WaitingOn::TasksListed);
    seen.blind.push(Blind {
        action: "ecs:ListTasks".to_owned(),
        why: BlindReason::Denied,
    });
    assert!(
        matches!(waits(&[seen.clone()]), WaitingOn::Digest { .. }),
        "our revision may prove it"
    );
    seen.blind.push(Blind {
        action: "ecs:DescribeServiceRevisions".to_owned(),
        why: BlindReason::Denied,
    });
    assert!(matches!(lost(&[seen]), Loss::CannotTell(Doubt::Denied { action }) if action == "ecs:ListTasks"));
}

#[test]
fn the_deadline_says_what_it_waited_for_and_whether_there_was_progress() {
    let late = Duration::from_secs(900);
    let judge = |seen: &Observation| rollout(policy()).judge(late, seen);
    let slow = running(3, 2, "IN_PROGRESS");
    let last = WaitingOn::TasksToStart {
        running: 2,
        desired: 3,
        failed: 0,
    };
    assert_eq!(judge(&slow), Verdict::Lost(Loss::Deadline { last }));
    let mut broken = slow;
    broken.tasks.as_mut().unwrap().push(exited("t9", 1));
    assert!(matches!(
        judge(&broken),
        Verdict::Lost(Loss::Stuck { failed: 1, .. })
    ));
    assert!(matches!(
        judge(&look(before(2))),
        Verdict::Lost(Loss::CannotTell(Doubt::Blind { .. }))
    ));
    assert_eq!(
        judge(&running(2, 2, "COMPLETED")),
        Verdict::Healthy,
        "a good look at the deadline is good"
    );
}

#[test]
fn the_same_start_failure_three_times_without_a_breaker_ends_the_wait() {
    let seen = |breaker, tasks: Vec<Task>| {
        let mut seen = look(service(2));
        edit(&mut seen, |service| service.breaker = breaker);
        seen.tasks = Some(tasks);
        seen
    };
    let pull = |id: &str, retries: u32| {
        let reason = format!(
            "CannotPullContainerError: pull image manifest has been retried {retries} time(s): failed to resolve ref x: not found"
        );
        stopped(id, "TaskFailedToStart", &reason)
    };
    let off = BreakerSetting::Off;
    let looks = [
        seen(off, vec![pull("t1", 5)]),
        seen(off, vec![pull("t1", 5), pull("t2", 7)]),
        seen(off, vec![pull("t2", 7), pull("t3", 5)]),
    ];
    let loss = lost(&looks);
    assert!(
        matches!(&loss, Loss::CannotStart { reason, times: 3 } if reason.contains("retried N time(s)")),
        "{loss:?}"
    );
    assert!(loss.leaves_new_revision());
    let crashes = vec![exited("t1", 1), exited("t2", 1), exited("t3", 1)];
    let Loss::CannotStart { reason, .. } = lost(&[seen(off, crashes.clone())]) else {
        panic!()
    };
    assert_eq!(reason, "container web exited with code 1");
    assert!(matches!(
        waits(&[seen(BreakerSetting::RollsBack, crashes)]),
        WaitingOn::FailingTasks { failed: 3, reason, .. } if reason == "container web exited with code 1"
    ));
    let differing = vec![exited("t1", 1), exited("t2", 2), pull("t3", 7)];
    assert!(matches!(
        waits(&[seen(off, differing)]),
        WaitingOn::FailingTasks { failed: 3, .. }
    ));
}

#[test]
fn a_normal_replacement_and_a_stop_by_hand_are_no_failures() {
    let mut seen = look(service(2));
    edit(&mut seen, |service| service.breaker = BreakerSetting::Off);
    let scaling = "Scaling activity initiated by (deployment ecs-svc/2)";
    seen.tasks = Some(
        (1..=3)
            .map(|number| stopped(&format!("t{number}"), "ServiceSchedulerInitiated", scaling))
            .chain(
                (4..=6).map(|number| stopped(&format!("t{number}"), "UserInitiated", "Task stopped by user")),
            )
            .collect(),
    );
    assert!(matches!(
        waits(&[seen]),
        WaitingOn::TasksToStart { failed: 0, .. }
    ));
}

#[test]
fn the_same_error_with_other_ids_is_the_same_failure() {
    use crate::ecs::rollout::signature;
    let of = |reason: &str| signature(&stopped("t1", "TaskFailedToStart", reason));
    assert_eq!(
        of("ResourceInitializationError: task 0123456789abcdef0123456789abcdef: no secret"),
        of("ResourceInitializationError: task fedcba9876543210fedcba9876543210: no secret"),
    );
    let mut killed = exited("t1", 137);
    killed.containers[0].reason = Some("OutOfMemoryError: Container killed due to memory usage".to_owned());
    assert_eq!(
        signature(&killed),
        "container web exited with code 137 (OutOfMemoryError: Container killed due to memory usage)"
    );
}

#[test]
fn a_deadline_without_an_answer_cannot_tell() {
    let mut rollout = rollout(policy());
    let _ = rollout.judge(Duration::from_secs(10), &look(service(2)));
    let verdict = rollout.judge(Duration::from_secs(10_000), &Observation::unanswered());
    assert!(
        matches!(verdict, Verdict::Lost(Loss::CannotTell(Doubt::Blind { .. }))),
        "{verdict:?}"
    );
}
