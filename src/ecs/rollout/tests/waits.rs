//! What is healthy, and no success yet.

use super::*;
use build::*;

fn done() -> Observation {
    running(2, 2, "IN_PROGRESS")
}

/// Judges a rollout whose tasks have run for long enough.
fn settled(change: impl Fn(&mut Observation)) -> Verdict {
    let mut seen = done();
    change(&mut seen);
    let mut rollout = rollout(policy());
    let _ = rollout.judge(Duration::ZERO, &seen);
    rollout.judge(Duration::from_secs(100), &seen)
}

fn theirs(seen: &mut Observation, status: &str, change: impl FnOnce(&mut ServiceDeployment)) {
    let mut theirs = service_deployment(status);
    change(&mut theirs);
    seen.service_deployment = Some(theirs);
}

#[test]
fn tasks_are_no_success_while_alarms_are_watched() {
    let bake = |minutes_left| Verdict::Wait(WaitingOn::BakeTime { minutes_left });
    let alarmed = |seen: &mut Observation| edit(seen, |service| service.configuration.alarms.enabled = true);
    assert_eq!(settled(|_| {}), Verdict::Healthy);
    assert_eq!(settled(alarmed), bake(None));
    for (status, verdict) in [
        ("MONITORING", bake(None)),
        ("SOMETHING_NEW", bake(None)),
        ("MONITORING_COMPLETE", Verdict::Healthy),
        ("DISABLED", Verdict::Healthy),
    ] {
        let of = settled(|seen| {
            alarmed(seen);
            theirs(seen, "IN_PROGRESS", |theirs| theirs.alarms = Some(status.into()));
        });
        assert_eq!(of, verdict, "{status}");
    }
    let completed = settled(|seen| {
        alarmed(seen);
        edit(seen, |service| {
            service.deployments[0].rollout = Some(RolloutState::Completed);
        });
    });
    assert_eq!(completed, Verdict::Healthy);
    let baking = settled(|seen| {
        edit(seen, |service| {
            service.configuration.bake = Some(Duration::from_secs(600));
        });
    });
    assert_eq!(baking, bake(Some(10)), "it was first seen to be healthy now");
}

#[test]
fn the_bake_time_that_is_left_is_counted_down() {
    let mut seen = done();
    edit(&mut seen, |service| {
        service.strategy = Strategy::BlueGreen;
        service.configuration.bake = Some(Duration::from_secs(600));
    });
    theirs(&mut seen, "IN_PROGRESS", |theirs| {
        theirs.stage = Some(LifecycleStage::BakeTime);
    });
    let mut rollout = rollout(policy());
    for (at, left) in [(0, 10), (59, 10), (60, 9), (301, 5), (599, 1), (700, 0)] {
        assert_eq!(
            rollout.judge(Duration::from_secs(at), &seen),
            Verdict::Wait(WaitingOn::BakeTime {
                minutes_left: Some(left)
            }),
            "{at} s"
        );
    }
}

#[test]
fn a_hook_that_holds_the_deployment_up_is_named_with_how_to_go_on() {
    let hook = |target: HookTarget, status: &str| Hook {
        id: "h-1".to_owned(),
        target,
        target_arn: Some("arn:f".to_owned()),
        status: status.into(),
        on_timeout: Some(HookAction::Rollback),
    };
    let at = |hooks: Vec<Hook>| {
        settled(|seen| {
            theirs(seen, "IN_PROGRESS", |theirs| {
                theirs.stage = Some(LifecycleStage::PostScaleUp);
                theirs.hooks.clone_from(&hooks);
            });
        })
    };
    let pause = at(vec![
        hook(HookTarget::Lambda, "IN_PROGRESS"),
        hook(HookTarget::Pause, "AWAITING_ACTION"),
    ]);
    let Verdict::Wait(WaitingOn::Pause {
        stage,
        hook: id,
        on_timeout,
        ..
    }) = pause
    else {
        panic!("{pause:?}")
    };
    assert_eq!(
        (stage.as_deref(), id.as_str(), on_timeout.as_deref()),
        (Some("POST_SCALE_UP"), "h-1", Some("ROLLBACK"))
    );
    for status in ["IN_PROGRESS", "SOMETHING_NEW"] {
        assert!(
            matches!(
                at(vec![hook(HookTarget::Lambda, status)]),
                Verdict::Wait(WaitingOn::Hook { .. })
            ),
            "{status}"
        );
    }
    assert_eq!(at(vec![hook(HookTarget::Pause, "SUCCEEDED")]), Verdict::Healthy);
    let before_it = settled(|seen| {
        edit(seen, |service| {
            service.configuration.hooks = vec![HookSettings {
                pauses: true,
                stages: vec!["POST_SCALE_UP".to_owned()],
                timeout: Duration::from_secs(60),
            }];
        });
    });
    assert!(
        matches!(before_it, Verdict::Wait(WaitingOn::Completion { .. })),
        "a hook may still come, and say no"
    );
}

#[test]
fn traffic_must_have_moved_and_its_share_is_told() {
    let shifted = |status: &str, stage: LifecycleStage, percent: Option<f64>| {
        settled(|seen| {
            edit(seen, |service| {
                service.strategy = Strategy::Canary;
                service.deployments[0].rollout = Some(RolloutState::Completed);
            });
            super::success::attach(seen, &["healthy", "healthy"]);
            theirs(seen, status, |theirs| {
                theirs.stage = Some(stage.clone());
                theirs.target.as_mut().unwrap().production = percent.and_then(Share::of_percent);
            });
        })
    };
    let shift = |share| Verdict::Wait(WaitingOn::TrafficShift { share });
    use LifecycleStage::{CleanUp, ProductionTrafficShift};
    let five = Share::of_percent(5.0);
    assert_eq!(
        shifted("IN_PROGRESS", ProductionTrafficShift, Some(5.0)),
        shift(five)
    );
    assert_eq!(shifted("IN_PROGRESS", ProductionTrafficShift, None), shift(None));
    assert_eq!(
        shifted("SUCCESSFUL", CleanUp, Some(5.0)),
        shift(five),
        "it contradicts itself"
    );
    assert_eq!(shifted("SUCCESSFUL", CleanUp, Some(100.0)), Verdict::Healthy);
    assert!(
        matches!(
            shifted("IN_PROGRESS", CleanUp, Some(100.0)),
            Verdict::Wait(WaitingOn::Completion { .. })
        ),
        "only its own API says when a deployment in stages is over"
    );
}

#[test]
fn a_refusal_counts_though_the_service_of_its_look_is_from_the_past() {
    let at = |told: bool| {
        let mut seen = done();
        edit(&mut seen, |service| {
            service.strategy = Strategy::BlueGreen;
            service.events = vec![event(
                "e1",
                "(service web) has started 2 tasks: (task a) (task b).",
            )];
            service.deployments[0].rollout = Some(if told {
                RolloutState::InProgress
            } else {
                RolloutState::Completed
            });
        });
        if told {
            theirs(&mut seen, "IN_PROGRESS", |_| {});
        }
        seen
    };
    let mut refused = look(before(2));
    refused.blind.push(Blind {
        action: "ecs:ListServiceDeployments".to_owned(),
        why: BlindReason::Unsupported,
    });
    let looks = [at(true), refused, at(false)];
    assert_eq!(waits(&looks[..2]), WaitingOn::SecondLook);
    assert_eq!(
        last(policy(), &looks),
        Verdict::Healthy,
        "what cannot be asked again is not waited for"
    );
}

#[test]
fn a_strategy_that_only_the_service_deployment_knows_counts() {
    let of = settled(|seen| {
        theirs(seen, "IN_PROGRESS", |theirs| {
            theirs.strategy = Some(Strategy::BlueGreen);
        });
    });
    assert!(
        matches!(of, Verdict::Wait(WaitingOn::Completion { .. })),
        "{of:?}"
    );
}

#[test]
fn a_part_that_ecs_calls_completed_is_not_all() {
    let early = |healthy_percent| {
        move |seen: &mut Observation| {
            edit(seen, |service| {
                service.configuration.early_success = Some(EarlySuccess {
                    healthy_percent,
                    deferred_cleanup: true,
                });
                service.deployments[0].rollout = Some(RolloutState::Completed);
            });
        }
    };
    let first_look = |percent| {
        let mut seen = done();
        early(percent)(&mut seen);
        last(policy(), &[seen])
    };
    assert_eq!(first_look(100), Verdict::Healthy);
    assert!(
        matches!(first_look(50), Verdict::Wait(WaitingOn::TasksToStay { .. })),
        "ECS vouches for half of them"
    );
    let mut short = done();
    early(50)(&mut short);
    edit(&mut short, |service| service.desired = 3);
    assert!(matches!(
        waits(&[short]),
        WaitingOn::TasksToStart {
            running: 2,
            desired: 3,
            ..
        }
    ));
    let denied = |seen: &mut Observation| {
        early(50)(seen);
        super::success::attach(seen, &[]);
        seen.target_groups.clear();
        seen.blind.push(Blind {
            action: "elasticloadbalancing:DescribeTargetHealth".to_owned(),
            why: BlindReason::Denied,
        });
    };
    assert!(
        matches!(
            settled(denied),
            Verdict::Lost(Loss::CannotTell(Doubt::Denied { .. }))
        ),
        "nobody vouches for the other half"
    );
}

#[test]
fn health_that_cannot_be_seen_is_ecss_to_say() {
    let unseen = |rollout: &str| {
        settled(|seen| {
            edit(seen, |service| {
                service.unseen_health = true;
                service.deployments[0].rollout = Some(rollout.into());
            });
        })
    };
    assert!(matches!(
        unseen("IN_PROGRESS"),
        Verdict::Wait(WaitingOn::Completion { .. })
    ));
    assert_eq!(unseen("COMPLETED"), Verdict::Healthy);
}

#[test]
fn the_revisions_digests_prove_what_tasks_do_not_tell() {
    let revision = |number: u32, of: Option<&str>| Revision {
        arn: format!("arn:aws:ecs:r:0:service-revision/c/web/{number}"),
        task_definition: None,
        images: vec![RevisionImage {
            container: "web".to_owned(),
            digest: of.map(digest),
        }],
    };
    let silent = |revision: Option<Revision>| {
        settled(|seen| {
            seen.tasks.as_mut().unwrap()[1].containers[0].digest = None;
            seen.revision.clone_from(&revision);
        })
    };
    let digest_wanted = |verdict: Verdict| matches!(verdict, Verdict::Wait(on) if on.wants_revision());
    assert!(digest_wanted(silent(None)));
    assert!(digest_wanted(silent(Some(revision(2, None)))));
    assert!(
        digest_wanted(silent(Some(revision(3, Some("image"))))),
        "another revision"
    );
    assert_eq!(silent(Some(revision(2, Some("image")))), Verdict::Healthy);
    assert!(matches!(
        silent(Some(revision(2, Some("other")))),
        Verdict::Lost(Loss::WrongDigest { .. })
    ));

    let denied = |rollout: &str, of: Option<Revision>| {
        settled(|seen| {
            edit(seen, |service| {
                service.deployments[0].rollout = Some(rollout.into());
            });
            seen.tasks = None;
            seen.blind.push(Blind {
                action: "ecs:DescribeTasks".to_owned(),
                why: BlindReason::Denied,
            });
            seen.revision.clone_from(&of);
        })
    };
    let ours = || Some(revision(2, Some("image")));
    assert!(digest_wanted(denied("COMPLETED", None)));
    assert_eq!(denied("COMPLETED", ours()), Verdict::Healthy);
    assert!(
        matches!(
            denied("IN_PROGRESS", ours()),
            Verdict::Wait(WaitingOn::Completion { .. })
        ),
        "only ECS can say that they are healthy"
    );
}

#[test]
fn either_of_two_target_groups_that_take_turns_will_do() {
    let alternate = "arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/green/89ab";
    let of = |first: &[&str], second: Option<&[&str]>| {
        let mut seen = running(2, 2, "COMPLETED");
        super::success::attach(&mut seen, first);
        edit(&mut seen, |service| {
            service.load_balancers[0].alternate = Some(alternate.to_owned());
        });
        if let Some(states) = second {
            let targets = states.iter().zip(1..);
            seen.target_groups.push(TargetGroup {
                arn: alternate.to_owned(),
                targets: targets
                    .map(|(state, number)| target(&number.to_string(), state))
                    .collect(),
            });
        }
        last(policy(), &[seen])
    };
    let both = ["healthy", "healthy"];
    assert_eq!(of(&[], Some(&both)), Verdict::Healthy);
    assert_eq!(of(&both, Some(&[])), Verdict::Healthy);
    assert!(matches!(
        of(&[], Some(&["healthy", "initial"])),
        Verdict::Wait(WaitingOn::Targets { healthy: 1, .. })
    ));
    assert!(matches!(of(&both, None), Verdict::Wait(WaitingOn::Sight { .. })));
    assert!(
        matches!(
            of(&[], Some(&[])),
            Verdict::Wait(WaitingOn::Targets { healthy: 0, .. })
        ),
        "empty groups"
    );
}

#[test]
fn a_desired_count_that_somebody_sets_to_zero_ends_in_doubt_and_one_that_passes_does_not() {
    let zero = |rollout: &str| {
        let mut zero = running(0, 0, rollout);
        zero.tasks = Some(Vec::new());
        zero
    };
    let completed = zero("COMPLETED");
    let three = [completed.clone(), completed.clone(), completed.clone()];
    assert_eq!(lost(&three), Loss::CannotTell(Doubt::NoTasksWanted));
    let passing = [
        completed.clone(),
        completed.clone(),
        done(),
        completed.clone(),
        completed,
    ];
    assert_eq!(waits(&passing), WaitingOn::TasksWanted);
    assert_eq!(waits(&vec![zero("IN_PROGRESS"); 6]), WaitingOn::TasksWanted);
}

#[test]
fn a_task_that_ecs_did_not_vouch_for_must_stay() {
    let completed = running(2, 2, "COMPLETED");
    let mut fewer = completed.clone();
    edit(&mut fewer, |service| service.deployments[0].running = 1);
    fewer.tasks.as_mut().unwrap().pop();
    assert!(
        matches!(
            waits(&[fewer.clone(), completed.clone()]),
            WaitingOn::TasksToStay { .. }
        ),
        "one came after ECS had called it completed"
    );
    let mut looks = vec![fewer];
    looks.extend(vec![completed; 5]);
    assert_eq!(last(policy(), &looks), Verdict::Healthy);
}

#[test]
fn a_service_that_scales_during_the_roll_is_judged_by_what_it_wants_now() {
    let mut fewer = running(3, 2, "IN_PROGRESS");
    edit(&mut fewer, |service| service.desired = 2);
    assert!(matches!(waits(&[fewer]), WaitingOn::TasksToStay { .. }));
    let mut more = done();
    edit(&mut more, |service| service.desired = 4);
    assert!(matches!(
        waits(&[more]),
        WaitingOn::TasksToStart {
            running: 2,
            desired: 4,
            ..
        }
    ));
}

#[test]
fn where_neither_api_may_say_how_far_it_is_the_watch_ends_in_doubt() {
    let mut seen = done();
    edit(&mut seen, |service| service.deployments[0].rollout = None);
    seen.blind.push(Blind {
        action: "ecs:ListServiceDeployments".to_owned(),
        why: BlindReason::Denied,
    });
    assert!(matches!(lost(&[seen]), Loss::CannotTell(Doubt::Denied { .. })));
}

#[test]
fn an_answer_without_what_a_verdict_rests_on_is_waited_out() {
    let unreadable = Observation {
        service: Presence::Unreadable {
            member: "desiredCount",
        },
        ..done()
    };
    let on = waits(&[unreadable]);
    assert_eq!(on.to_string(), "desiredCount, which ECS does not report");
    assert!(on.is_blind());
}
