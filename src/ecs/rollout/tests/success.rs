//! What is healthy, and everything that only looks like it.

use super::*;
use build::*;

#[test]
fn all_tasks_running_with_targets_and_digest_are_healthy() {
    let mut done = running(2, 2, "IN_PROGRESS");
    attach(&mut done, &["healthy", "healthy"]);
    let looks = [look(service(2)), running(2, 1, "IN_PROGRESS"), done];
    assert_eq!(last(policy(), &looks), Verdict::Healthy);
}

#[test]
fn the_young_deployment_whose_desired_count_is_0_is_not_done() {
    let on = waits(&[look(service(2))]);
    assert_eq!(
        on,
        WaitingOn::TasksToStart {
            running: 0,
            desired: 2,
            failed: 0
        }
    );
}

#[test]
fn the_answer_from_before_the_update_is_waited_out() {
    let stale = look(before(2));
    assert_eq!(
        waits(&[stale.clone(), stale.clone(), stale.clone()]),
        WaitingOn::DeploymentToAppear
    );
    let mut done = running(2, 2, "IN_PROGRESS");
    attach(&mut done, &["healthy", "healthy"]);
    assert_eq!(last(policy(), &[stale.clone(), stale, done]), Verdict::Healthy);
}

#[test]
fn one_stale_look_in_the_middle_is_no_rollback() {
    let stale = look(before(2));
    let seen = look(service(2));
    assert_eq!(
        waits(&[
            seen.clone(),
            stale.clone(),
            stale.clone(),
            seen,
            stale.clone(),
            stale
        ]),
        WaitingOn::SecondLook
    );
}

#[test]
fn tasks_without_any_check_must_stay_or_be_completed() {
    let young = running(2, 2, "IN_PROGRESS");
    assert!(matches!(
        waits(std::slice::from_ref(&young)),
        WaitingOn::TasksToStay { .. }
    ));
    let five = vec![young.clone(); 5];
    assert_eq!(
        last(policy(), &five),
        Verdict::Healthy,
        "40 s after the first of five looks"
    );
    assert_eq!(last(policy(), &[running(2, 2, "COMPLETED")]), Verdict::Healthy);
    let mut crashing = vec![young.clone(), young.clone(), young];
    let mut replaced = running(2, 2, "IN_PROGRESS");
    replaced.tasks = Some(vec![task("t1", "RUNNING"), task("t3", "RUNNING")]);
    crashing.extend([replaced.clone(), replaced]);
    assert!(
        matches!(waits(&crashing), WaitingOn::TasksToStay { .. }),
        "a replaced task starts its 40 s again"
    );
}

#[test]
fn container_checks_must_pass_in_every_task() {
    let mut checked = policy();
    checked.checked.insert("web".parse().unwrap());
    let mut seen = running(2, 2, "IN_PROGRESS");
    let tasks = seen.tasks.as_mut().unwrap();
    tasks[0].containers[0].health = Health::Healthy;
    for bad in [
        Health::Unknown,
        Health::Unhealthy,
        Health::Unrecognised("FINE".to_owned()),
    ] {
        seen.tasks.as_mut().unwrap()[1].containers[0].health = bad;
        assert_eq!(
            last(checked.clone(), &[seen.clone()]),
            Verdict::Wait(WaitingOn::ContainerHealth {
                healthy: 1,
                desired: 2
            })
        );
    }
    seen.tasks.as_mut().unwrap()[1].containers[0].health = Health::Healthy;
    assert_eq!(last(checked, &[seen]), Verdict::Healthy);
}

/// Registers targets for the tasks, one state each.
pub(super) fn attach(seen: &mut Observation, states: &[&str]) {
    if let Presence::Seen(service) = &mut seen.service {
        service.load_balancers = vec![Attachment {
            target_group: GROUP.to_owned(),
            alternate: None,
            container: "web".to_owned(),
            port: Some(80),
        }];
    }
    let targets = states
        .iter()
        .zip(1..)
        .map(|(state, number)| target(&number.to_string(), state))
        .collect();
    seen.target_groups = vec![TargetGroup {
        arn: GROUP.to_owned(),
        targets,
    }];
}

#[test]
fn every_target_must_be_healthy_and_be_one_of_our_tasks() {
    for state in [
        "initial",
        "unhealthy",
        "unhealthy.draining",
        "unused",
        "draining",
        "unavailable",
        "lovely",
    ] {
        let mut seen = running(2, 2, "COMPLETED");
        attach(&mut seen, &["healthy", state]);
        assert!(
            matches!(
                waits(&[seen]),
                WaitingOn::Targets {
                    healthy: 1,
                    desired: 2,
                    ..
                }
            ),
            "{state}"
        );
    }
    let mut others = running(2, 2, "COMPLETED");
    attach(&mut others, &[]);
    others.target_groups[0].targets = vec![target("8", "healthy"), target("9", "healthy")];
    assert!(
        matches!(waits(&[others]), WaitingOn::Targets { healthy: 0, .. }),
        "the old tasks' targets"
    );
}

#[test]
fn a_second_target_group_counts_too() {
    let mut seen = running(2, 2, "COMPLETED");
    attach(&mut seen, &["healthy", "healthy"]);
    let second = "arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/admin/4567";
    if let Presence::Seen(service) = &mut seen.service {
        let attachment = service.load_balancers[0].clone();
        service.load_balancers.push(Attachment {
            target_group: second.to_owned(),
            ..attachment
        });
    }
    assert!(matches!(waits(&[seen.clone()]), WaitingOn::Sight { .. }));
    seen.target_groups.push(TargetGroup {
        arn: second.to_owned(),
        targets: vec![target("1", "healthy")],
    });
    assert!(matches!(waits(&[seen]), WaitingOn::Targets { healthy: 1, .. }));
}

#[test]
fn targets_that_may_not_be_seen_leave_the_word_to_ecs() {
    let blind = |why| Blind {
        action: "elasticloadbalancing:DescribeTargetHealth".to_owned(),
        why,
    };
    let look = |rollout: &str, why| {
        let mut seen = running(2, 2, rollout);
        attach(&mut seen, &[]);
        seen.target_groups.clear();
        seen.blind.push(blind(why));
        seen
    };
    assert!(matches!(
        waits(&[look("IN_PROGRESS", BlindReason::Denied)]),
        WaitingOn::Completion { .. }
    ));
    assert_eq!(
        last(policy(), &[look("COMPLETED", BlindReason::Denied)]),
        Verdict::Healthy
    );
    assert!(matches!(
        waits(&[look("COMPLETED", BlindReason::Transient)]),
        WaitingOn::Sight { .. }
    ));
}

#[test]
fn instance_targets_must_all_be_healthy_and_ecs_must_say_so() {
    let look = |rollout: &str, states: &[&str]| {
        let mut seen = running(2, 2, rollout);
        for task in seen.tasks.as_mut().unwrap() {
            task.address = None;
        }
        attach(&mut seen, states);
        seen
    };
    assert!(matches!(
        waits(&[look("COMPLETED", &["healthy", "initial"])]),
        WaitingOn::Targets {
            healthy: 1,
            desired: 2,
            ..
        }
    ));
    assert!(
        matches!(
            waits(&[look("IN_PROGRESS", &["healthy", "healthy", "healthy"])]),
            WaitingOn::Completion { .. }
        ),
        "they may be those of old tasks, or of another service"
    );
    assert_eq!(
        last(policy(), &[look("COMPLETED", &["healthy", "healthy"])]),
        Verdict::Healthy
    );
}

#[test]
fn the_digest_must_be_reported_and_right() {
    let mut silent = running(1, 1, "COMPLETED");
    silent.tasks.as_mut().unwrap()[0].containers[0].digest = None;
    assert!(matches!(waits(&[silent]), WaitingOn::Digest { .. }));

    let mut other = running(1, 1, "COMPLETED");
    other.tasks.as_mut().unwrap()[0].containers[0].digest = Some(digest("other"));
    assert!(matches!(lost(&[other.clone()]), Loss::WrongDigest { .. }));

    let expect = |platforms: &[&str], resolved| {
        let mut policy = policy();
        let platforms = platforms.iter().map(|of| digest(of)).collect();
        let expected = Expected {
            deployed: digest("image"),
            platforms,
            resolved,
        };
        policy.images.insert("web".parse().unwrap(), expected);
        policy
    };
    assert_eq!(
        last(expect(&["other", "arm"], true), &[other.clone()]),
        Verdict::Healthy,
        "a platform of the index"
    );
    assert!(matches!(
        last(expect(&[], false), &[other]),
        Verdict::Lost(Loss::CannotTell(Doubt::UnreadableIndex { .. }))
    ));
}

#[test]
fn desired_count_0_proves_nothing_unless_it_is_allowed() {
    let mut zero = running(0, 0, "COMPLETED");
    zero.tasks = Some(Vec::new());
    assert_eq!(waits(&[zero.clone()]), WaitingOn::TasksWanted);
    let allowed = Policy {
        allow_zero: true,
        ..policy()
    };
    assert_eq!(last(allowed, &[zero]), Verdict::Healthy);
}

#[test]
fn unknown_words_and_missing_fields_are_never_success() {
    let of = |verdict: WaitingOn| match verdict {
        WaitingOn::KnownState { of, .. } => of,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        of(waits(&[running(1, 1, "COMPLETED_WITH_CARE")])),
        "rollout state"
    );
    let mut missing = running(1, 1, "COMPLETED");
    edit(&mut missing, |service| service.deployments[0].rollout = None);
    assert_eq!(of(waits(&[missing.clone()])), "rollout state");
    missing.service_deployment = Some(service_deployment("SUCCESSFUL"));
    assert_eq!(
        last(policy(), &[missing]),
        Verdict::Healthy,
        "the service deployment says it"
    );
    let mut status = running(1, 1, "COMPLETED");
    edit(&mut status, |service| {
        service.deployments[0].status = "SECONDARY".into();
    });
    assert_eq!(of(waits(&[status])), "deployment status");
    let mut gone = running(1, 1, "COMPLETED");
    edit(&mut gone, |service| service.status = "SLEEPING".into());
    assert_eq!(of(waits(&[gone])), "service status");
    let mut theirs = running(1, 1, "COMPLETED");
    theirs.service_deployment = Some(service_deployment("SUCCESSFUL_ENOUGH"));
    assert_eq!(of(waits(&[theirs])), "service deployment status");
    let mut task_word = running(1, 1, "COMPLETED");
    task_word.tasks.as_mut().unwrap()[0].status = "RUNNING_WELL".into();
    assert_eq!(of(waits(&[task_word])), "task status");
}

#[test]
fn a_service_deployment_of_another_revision_is_not_ours() {
    let mut seen = running(1, 1, "IN_PROGRESS");
    let mut other = service_deployment("SUCCESSFUL");
    other.target.as_mut().unwrap().arn = "arn:aws:ecs:r:0:service-revision/c/web/7".to_owned();
    seen.service_deployment = Some(other);
    assert!(matches!(waits(&[seen]), WaitingOn::TasksToStay { .. }));
}

#[test]
fn beside_a_rolling_update_only_completion_counts() {
    for strategy in ["BLUE_GREEN", "LINEAR", "CANARY", "TURQUOISE"] {
        let mut seen = running(2, 2, "IN_PROGRESS");
        edit(&mut seen, |service| service.strategy = strategy.into());
        let mut theirs = service_deployment("IN_PROGRESS");
        theirs.stage = Some(LifecycleStage::BakeTime);
        seen.service_deployment = Some(theirs);
        assert_eq!(waits(&[seen.clone()]), WaitingOn::BakeTime { minutes_left: None });
        seen.service_deployment = Some(service_deployment("SUCCESSFUL"));
        assert_eq!(last(policy(), &[seen]), Verdict::Healthy);
    }
}

#[test]
fn steady_waits_for_completion_and_the_old_tasks() {
    let steady = Policy {
        goal: Goal::Steady,
        ..policy()
    };
    let done = running(2, 2, "COMPLETED");
    assert_eq!(
        last(steady.clone(), std::slice::from_ref(&done)),
        Verdict::Wait(WaitingOn::OldTasksToDrain { remaining: 2 }),
        "COMPLETED with early success criteria, old tasks still there"
    );
    let mut drained = done;
    edit(&mut drained, |service| drop(service.deployments.pop()));
    assert_eq!(last(steady.clone(), &[drained.clone()]), Verdict::Healthy);
    attach(&mut drained, &["healthy", "healthy", "draining"]);
    assert_eq!(
        last(steady, &[drained]),
        Verdict::Wait(WaitingOn::OldTasksToDrain { remaining: 1 })
    );
}

#[test]
fn a_scale_out_during_the_rollout_raises_what_is_wanted() {
    let mut seen = running(2, 2, "COMPLETED");
    edit(&mut seen, |service| service.desired = 3);
    assert_eq!(
        waits(&[seen]),
        WaitingOn::TasksToStart {
            running: 2,
            desired: 3,
            failed: 0
        }
    );
}

#[test]
fn events_are_news_once_and_by_id() {
    let mut old = before(1);
    old.events = vec![event("b", "second"), event("a", "first")];
    let ours = Ours {
        deployment: "ecs-svc/2".to_owned(),
    };
    let mut rollout = Rollout::new(policy(), ours, Baseline::of(&old));
    let mut seen = look(service(1));
    edit(&mut seen, |service| {
        service.events = vec![event("d", "fourth"), event("c", "third"), event("b", "second")];
    });
    let news: Vec<&str> = rollout
        .news(&seen)
        .into_iter()
        .map(|event| event.message.as_str())
        .collect();
    assert_eq!(news, ["third", "fourth"]);
    assert!(rollout.news(&seen).is_empty());
}
