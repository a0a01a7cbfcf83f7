//! Superseded or rolled back: every order of partial information, and answers that go back in time.

use super::*;
use build::*;

const FAILED: &str = "(service web) (deployment ecs-svc/2) deployment failed: tasks failed to start.";
const BACK: &str = "(service web) rolling back to deployment ecs-svc/1.";

/// What DescribeServices may show of a rollout that ECS rolled back, in the order of time.
fn rolled_back() -> Vec<Observation> {
    let mut young = look(service(2));
    events(
        &mut young,
        &["(service web) has started 2 tasks: (task a) (task b)."],
    );
    let mut failing = young.clone();
    edit(&mut failing, |service| service.deployments[0].failed = 2);
    let mut failed = failing.clone();
    edit(&mut failed, |service| {
        let ours = &mut service.deployments[0];
        ours.rollout = Some(RolloutState::Failed);
        ours.status = DeploymentStatus::Active;
        service.deployments[1].status = DeploymentStatus::Primary;
        service.deployments[1].rollout = Some(RolloutState::InProgress);
    });
    events(&mut failed, &[FAILED, BACK]);
    let mut back = look(before(2));
    edit(&mut back, |service| {
        service.events.clone_from(&failed.seen_service().unwrap().events);
    });
    vec![young, failing, failed, back]
}

/// The same for one that somebody else's deployment replaced.
fn superseded() -> Vec<Observation> {
    let mut young = look(service(2));
    events(
        &mut young,
        &["(service web) has started 2 tasks: (task a) (task b)."],
    );
    let mut replaced = young.clone();
    edit(&mut replaced, |service| {
        service.deployments[0].status = DeploymentStatus::Active;
        service
            .deployments
            .insert(0, deployment(3, "PRIMARY", "IN_PROGRESS", 0));
    });
    let mut gone = young.clone();
    edit(&mut gone, |service| {
        service.deployments = vec![deployment(3, "PRIMARY", "COMPLETED", 2)];
    });
    events(
        &mut gone,
        &["(service web) (deployment ecs-svc/3) deployment completed."],
    );
    vec![young, replaced, gone]
}

/// Adds events, oldest first.
fn events(seen: &mut Observation, messages: &[&str]) {
    edit(seen, |service| {
        for message in messages {
            let id = format!("e{}", service.events.len() + 1);
            service.events.insert(0, event(&id, message));
        }
    });
}

/// The verdict on looks that come in any order and more than once; the last one is looked at until it is judged.
fn judged(looks: &[&Observation]) -> Verdict {
    let mut rollout = rollout(policy());
    let mut verdict = Verdict::Wait(WaitingOn::SecondLook);
    let end = std::iter::repeat_n(*looks.last().unwrap(), 12);
    for (look, at) in looks.iter().copied().chain(end).zip(1u64..) {
        verdict = rollout.judge(Duration::from_secs(at * 5), look);
        if !matches!(verdict, Verdict::Wait(_)) {
            break;
        }
    }
    verdict
}

/// Every sequence of up to `longest` looks among these.
fn sequences(looks: &[Observation], longest: usize) -> Vec<Vec<&Observation>> {
    let mut all: Vec<Vec<&Observation>> = vec![Vec::new()];
    let mut grown = all.clone();
    for _ in 0..longest {
        grown = grown
            .iter()
            .flat_map(|sequence| {
                looks.iter().map(|look| {
                    let mut longer = sequence.clone();
                    longer.push(look);
                    longer
                })
            })
            .collect();
        all.extend(grown.iter().cloned());
    }
    all
}

#[test]
fn a_rollback_is_never_called_anything_else_whatever_is_seen_of_it_in_which_order() {
    let mut looks = rolled_back();
    looks.push(look(before(2)));
    for mut sequence in sequences(&looks, 4) {
        sequence.push(&looks[3]);
        let verdict = judged(&sequence);
        assert!(
            matches!(
                verdict,
                Verdict::Lost(Loss::RollingBack { .. } | Loss::RolledBack { .. })
            ),
            "{verdict:?} after {sequence:#?}"
        );
    }
}

#[test]
fn a_supersession_is_never_called_a_rollback_whatever_is_seen_of_it_in_which_order() {
    let mut looks = superseded();
    looks.push(look(before(2)));
    for mut sequence in sequences(&looks, 4) {
        // Three looks in a row at the service as it was before are a rollback without any sign of it.
        let stale = sequence.windows(3).any(|three| {
            three
                .iter()
                .all(|look| look.seen_service() == looks[3].seen_service())
        });
        if stale {
            continue;
        }
        sequence.push(&looks[2]);
        let verdict = judged(&sequence);
        assert!(
            matches!(&verdict, Verdict::Lost(Loss::Superseded { by, .. }) if by == "ecs-svc/3"),
            "{verdict:?} after {sequence:#?}"
        );
    }
}

#[test]
fn answers_from_the_past_never_become_a_rollback() {
    let mut young = look(service(2));
    events(
        &mut young,
        &["(service web) has started 2 tasks: (task a) (task b)."],
    );
    let stale = look(before(2));
    let mut looks = vec![young.clone()];
    looks.extend(std::iter::repeat_n(stale, 9));
    assert_eq!(waits(&looks), WaitingOn::SecondLook, "nine polls of the past");
    looks.push(young);
    assert!(matches!(waits(&looks), WaitingOn::TasksToStart { .. }));
}

#[test]
fn a_rollback_that_somebody_elses_failure_began_is_not_ours() {
    let mut seen = look(service(2));
    let mut old = event("e0", "(service web) (deployment ecs-svc/0) deployment failed: x.");
    edit(&mut seen, |service| service.events = vec![old.clone()]);
    events(&mut seen, &[BACK]);
    assert!(matches!(waits(&[seen.clone()]), WaitingOn::TasksToStart { .. }));
    old.message = FAILED.to_owned();
    edit(&mut seen, |service| service.events[1] = old);
    assert!(matches!(lost(&[seen]), Loss::RollingBack { .. }));
}

#[test]
fn the_deployment_that_ours_replaced_is_no_stranger() {
    let mut first = look(service(2));
    edit(&mut first, |service| {
        service.deployments.push(deployment(7, "ACTIVE", "COMPLETED", 2));
    });
    let mut back = look(before(2));
    edit(&mut back, |service| {
        service.deployments = vec![deployment(7, "PRIMARY", "COMPLETED", 2)];
    });
    let looks = [first, back.clone(), back.clone(), back];
    assert!(matches!(lost(&looks), Loss::RolledBack { .. }));
}

#[test]
fn somebodys_deployment_of_the_old_revision_is_told_after_a_second_thought() {
    let mut seen = look(service(2));
    edit(&mut seen, |service| {
        service.deployments[0].status = DeploymentStatus::Active;
        let mut by_hand = deployment(9, "PRIMARY", "IN_PROGRESS", 0);
        by_hand.task_definition = deployment(1, "", "", 0).task_definition;
        service.deployments.insert(0, by_hand);
    });
    let three = [look(service(2)), seen.clone(), seen.clone(), seen.clone()];
    assert!(matches!(lost(&three), Loss::Superseded { .. }));
    let mut failed = seen.clone();
    events(&mut failed, &[FAILED]);
    assert!(
        matches!(lost(&[seen, failed]), Loss::RollingBack { .. }),
        "a rollback that got a new id"
    );
}

#[test]
fn a_monitor_that_has_found_a_failure_is_the_first_sign() {
    let judge = |breaker: MonitorStatus,
                 alarms: Option<MonitorStatus>,
                 setting: BreakerSetting,
                 alarms_back: bool| {
        let mut seen = look(service(2));
        edit(&mut seen, |service| {
            service.breaker = setting;
            service.configuration.alarms.enabled = alarms.is_some();
            service.configuration.alarms.rolls_back = alarms_back;
        });
        let mut theirs = service_deployment("IN_PROGRESS");
        theirs.breaker = Some(Breaker {
            status: breaker,
            failures: 3,
            threshold: 3,
        });
        theirs.alarms = alarms;
        seen.service_deployment = Some(theirs);
        last(policy(), &[seen])
    };
    let of = |breaker, alarms, setting| judge(breaker, alarms, setting, setting == BreakerSetting::RollsBack);
    use MonitorStatus::{Monitoring, Triggered};
    for (breaker, alarms, setting, alarms_back, goes_back) in [
        (Triggered, Monitoring, BreakerSetting::RollsBack, false, true),
        (Triggered, Monitoring, BreakerSetting::On, true, false),
        (Monitoring, Triggered, BreakerSetting::RollsBack, false, false),
        (Monitoring, Triggered, BreakerSetting::On, true, true),
        (Monitoring, Triggered, BreakerSetting::Off, true, true),
    ] {
        let verdict = judge(breaker.clone(), Some(alarms.clone()), setting, alarms_back);
        let case = format!("{breaker:?} {alarms:?} {setting:?} {alarms_back}: {verdict:?}");
        match verdict {
            Verdict::Lost(Loss::RollingBack { .. }) => assert!(goes_back, "{case}"),
            Verdict::Lost(Loss::Failed { .. }) => assert!(!goes_back, "{case}"),
            other => panic!("{other:?}, {case}"),
        }
    }
    assert!(matches!(
        of(Triggered, None, BreakerSetting::RollsBack),
        Verdict::Lost(Loss::RollingBack {
            why: RollbackCause::Breaker {
                failures: Some((3, 3)),
                ..
            }
        })
    ));
    assert!(matches!(
        of(Monitoring, Some(Triggered), BreakerSetting::RollsBack),
        Verdict::Lost(Loss::RollingBack {
            why: RollbackCause::Other(Some(_))
        })
    ));
    assert!(matches!(
        of(Triggered, None, BreakerSetting::On),
        Verdict::Lost(Loss::Failed { reason: Some(_) })
    ));
    assert!(matches!(
        of(Monitoring, Some(Monitoring), BreakerSetting::RollsBack),
        Verdict::Wait(_)
    ));
}

#[test]
fn a_loss_that_one_api_is_sure_of_counts_whatever_the_other_says() {
    let mut seen = rolled_back().remove(2);
    for status in ["FANCY_NEW_STATE", "IN_PROGRESS", "SUCCESSFUL"] {
        seen.service_deployment = Some(service_deployment(status));
        assert!(
            matches!(lost(&[seen.clone()]), Loss::RollingBack { .. }),
            "{status}"
        );
    }
}
