//! Watchers that a careless engineer might write. A referee that objects to none of them is none.

use crate::play::{Watcher, play_as};
use crate::script::{Call, Harm, Trouble};
use crate::{HISTORIES, SEED, draw, referee};
use slipway::ecs::observation::{
    BlindReason, Health, Observation, Presence, RolloutState, Service, TargetState,
};
use slipway::ecs::rollout::{Loss, RollbackCause, Verdict, WaitingOn};

/// Takes other looks, or other words for what they mean.
fn seeing(see: fn(&mut Observation)) -> Watcher {
    Watcher {
        see,
        ..Watcher::default()
    }
}

fn saying(say: fn(&Observation, Verdict) -> Verdict) -> Watcher {
    Watcher {
        say,
        ..Watcher::default()
    }
}

fn edit(seen: &mut Observation, change: impl FnOnce(&mut Service)) {
    if let Presence::Seen(service) = &mut seen.service {
        change(service);
    }
}

fn failed() -> Verdict {
    Verdict::Lost(Loss::Failed { reason: None })
}

fn watchers() -> Vec<(&'static str, Watcher)> {
    vec![
        (
            "skips the digest",
            Watcher {
                ask: |policy| policy.images.clear(),
                ..Watcher::default()
            },
        ),
        (
            "skips container health checks",
            Watcher {
                ask: |policy| policy.checked.clear(),
                ..Watcher::default()
            },
        ),
        (
            "skips target health",
            seeing(|seen| edit(seen, |service| service.load_balancers.clear())),
        ),
        (
            "is content with all tasks but one",
            seeing(|seen| {
                edit(seen, |service| {
                    service.desired = service.desired.saturating_sub(1);
                });
            }),
        ),
        (
            "takes a health that it does not know for healthy",
            seeing(|seen| {
                for group in &mut seen.target_groups {
                    for target in &mut group.targets {
                        if matches!(target.state, TargetState::Unrecognised(_)) {
                            target.state = TargetState::Healthy;
                        }
                    }
                }
                let tasks = seen.tasks.iter_mut().flatten();
                for container in tasks.flat_map(|task| &mut task.containers) {
                    if matches!(container.health, Health::Unrecognised(_)) {
                        container.health = Health::Healthy;
                    }
                }
            }),
        ),
        (
            "takes a stable service for ours",
            saying(|seen, verdict| match seen.seen_service() {
                Some(service) if service.deployments.len() == 1 && service.running == service.desired => {
                    Verdict::Healthy
                }
                _ => verdict,
            }),
        ),
        (
            "believes whoever is completed",
            saying(|seen, verdict| {
                let primary = seen.seen_service().and_then(Service::primary);
                match primary.and_then(|primary| primary.rollout.as_ref()) {
                    Some(RolloutState::Completed) => Verdict::Healthy,
                    _ => verdict,
                }
            }),
        ),
        (
            "takes a rollback that went well for success",
            saying(|_, verdict| match verdict {
                Verdict::Lost(Loss::RolledBack { .. }) => Verdict::Healthy,
                other => other,
            }),
        ),
        (
            "takes another's deployment for a rollback",
            saying(|_, verdict| match verdict {
                Verdict::Lost(Loss::Superseded { .. }) => Verdict::Lost(Loss::RollingBack {
                    why: RollbackCause::Other(None),
                }),
                other => other,
            }),
        ),
        (
            "does not wait for tasks to stay",
            saying(|_, verdict| match verdict {
                Verdict::Wait(WaitingOn::TasksToStay { .. }) => Verdict::Healthy,
                other => other,
            }),
        ),
        (
            "does not wait for the bake time",
            saying(|_, verdict| match verdict {
                Verdict::Wait(WaitingOn::BakeTime { .. }) => Verdict::Healthy,
                other => other,
            }),
        ),
        (
            "gives up at the first task that fails",
            saying(|_, verdict| match verdict {
                Verdict::Wait(WaitingOn::FailingTasks { .. }) => failed(),
                other => other,
            }),
        ),
        (
            "gives up where tasks find no place",
            saying(|_, verdict| match verdict {
                Verdict::Wait(WaitingOn::TasksToPlace { .. }) => failed(),
                other => other,
            }),
        ),
        (
            "gives up at the first answer that is lost",
            seeing(|seen| {
                for blind in &mut seen.blind {
                    if blind.why == BlindReason::Transient {
                        blind.why = BlindReason::NoCredentials;
                    }
                }
            }),
        ),
        (
            "gives up at the first answer without the service",
            saying(|seen, verdict| match seen.service {
                Presence::Missing => Verdict::Lost(Loss::ServiceGone {
                    status: "MISSING".to_owned(),
                }),
                _ => verdict,
            }),
        ),
        (
            "waits for ECS where it need not",
            saying(|seen, verdict| match (seen.seen_service(), verdict) {
                (Some(service), Verdict::Healthy) if service.deployments.len() > 1 => {
                    Verdict::Wait(WaitingOn::Completion { stage: None })
                }
                (_, verdict) => verdict,
            }),
        ),
    ]
}

#[test]
fn the_referee_objects_to_every_careless_watcher() {
    let mut unnoticed = Vec::new();
    for (what, watcher) in watchers() {
        let noticed = (0..HISTORIES).find(|number| {
            let mut script = draw(SEED, *number);
            // Unknown words seldom come just when they would mislead.
            if what.contains("does not know") {
                script.troubles.push(Trouble {
                    from: 0,
                    looks: u32::MAX,
                    call: Call::Tasks,
                    what: Harm::Word("healthStatus"),
                });
            }
            referee::object(&script, &mut play_as(&script, false, &watcher)).is_err()
        });
        match noticed {
            Some(number) => println!("{number:>8}  histories until one that {what}"),
            None => unnoticed.push(what),
        }
    }
    assert!(unnoticed.is_empty(), "nobody notices one that {unnoticed:?}");
}
