//! Whether the load balancers send traffic to our tasks.

use super::{Verdict, WaitingOn, count, unsighted};
use crate::ecs::answers::DESCRIBE_TARGET_HEALTH;
use crate::ecs::observation::{
    Attachment, BlindReason, Observation, Service, Target, TargetGroup, TargetState, Task,
};

/// What ECS vouches for: it looks at the same targets before it calls a rollout completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vouched {
    /// Nothing yet.
    No,
    /// A part of the tasks were healthy (early success criteria).
    Partly,
    /// All tasks were healthy.
    Fully,
}

/// The tasks of ours whose targets in one attachment are healthy, if they are enough; all where targets cannot be
/// matched with tasks.
pub(super) fn healthy<'a>(
    attachment: &Attachment,
    tasks: Vec<&'a Task>,
    service: &Service,
    seen: &Observation,
    vouched: Vouched,
) -> Result<Vec<&'a Task>, Verdict> {
    let groups = groups(attachment, seen);
    if groups.is_empty() {
        return unseen(seen, vouched).map(|()| tasks);
    }
    let states = || groups.iter().flat_map(|group| &group.targets);
    let waits = |healthy: u32, desired: u32| {
        Err(Verdict::Wait(WaitingOn::Targets {
            target_group: attachment.target_group.clone(),
            healthy,
            desired,
            reason: states().find_map(complaint),
        }))
    };
    if tasks.iter().all(|task| task.address.is_some()) {
        let serves = |task: &Task| {
            groups
                .iter()
                .any(|group| is_healthy_target(group, attachment, task))
        };
        let serving: Vec<&Task> = tasks.into_iter().filter(|task| serves(task)).collect();
        let healthy = count(serving.len());
        return if healthy < service.desired {
            waits(healthy, service.desired)
        } else {
            Ok(serving)
        };
    }
    // Targets of instances cannot be matched with tasks, and the group may be another service's, too. So ECS, which can
    // match them, must have said that all are healthy, and as many must be.
    let healthy = count(
        states()
            .filter(|target| target.state == TargetState::Healthy)
            .count(),
    );
    let desired = service.running.max(service.desired);
    let all = states().all(|target| {
        matches!(
            target.state,
            TargetState::Healthy | TargetState::Draining | TargetState::UnhealthyDraining
        )
    });
    match vouched {
        _ if healthy < desired => waits(healthy, desired),
        Vouched::No => Err(Verdict::Wait(WaitingOn::Completion { stage: None })),
        Vouched::Partly if !all => waits(healthy, desired),
        Vouched::Partly | Vouched::Fully => Ok(tasks),
    }
}

/// The groups of an attachment that were looked at: the production group, and the one that takes turns with it.
fn groups<'a>(attachment: &Attachment, seen: &'a Observation) -> Vec<&'a TargetGroup> {
    let ours = |group: &&TargetGroup| {
        group.arn == attachment.target_group || Some(&group.arn) == attachment.alternate.as_ref()
    };
    let found: Vec<&TargetGroup> = seen.target_groups.iter().filter(ours).collect();
    let wanted = 1 + usize::from(attachment.alternate.is_some());
    if found.len() < wanted { Vec::new() } else { found }
}

/// No targets were seen; where they may not be, ECS's word must do.
fn unseen(seen: &Observation, vouched: Vouched) -> Result<(), Verdict> {
    let blind = seen
        .blind
        .iter()
        .find(|blind| blind.action == DESCRIBE_TARGET_HEALTH);
    match (blind, vouched) {
        (Some(blind), Vouched::Fully)
            if matches!(blind.why, BlindReason::Denied | BlindReason::Unsupported) =>
        {
            Ok(())
        }
        (Some(blind), Vouched::No) if matches!(blind.why, BlindReason::Denied | BlindReason::Unsupported) => {
            Err(Verdict::Wait(WaitingOn::Completion { stage: None }))
        }
        (Some(blind), _) => Err(unsighted(blind)),
        (None, _) => Err(Verdict::Wait(WaitingOn::Sight {
            action: DESCRIBE_TARGET_HEALTH.to_owned(),
        })),
    }
}

/// Whether a load balancer calls a task's target healthy; none if it was not seen, is not checked, or says
/// nothing that is understood. A task is registered after it started, so one that is not listed may be yet.
pub(super) fn serves(attachment: &Attachment, task: &Task, seen: &Observation) -> Option<bool> {
    let groups = groups(attachment, seen);
    if groups.is_empty() || task.address.is_none() {
        return None;
    }
    let mut targets = groups.iter().flat_map(|group| &group.targets);
    // A group that takes no traffic, as before a blue/green shift, is not checked.
    let unknown = |target: &Target| {
        target.id.is_empty()
            || (task.address.as_ref() == Some(&target.id)
                && matches!(
                    target.state,
                    TargetState::Unused | TargetState::Unavailable | TargetState::Unrecognised(_)
                ))
    };
    if groups
        .iter()
        .any(|group| is_healthy_target(group, attachment, task))
    {
        Some(true)
    } else if targets.clone().any(unknown) {
        None
    } else {
        let listed = targets.any(|target| task.address.as_ref() == Some(&target.id));
        listed.then_some(false)
    }
}

/// Whether the load balancer sends traffic to this task.
fn is_healthy_target(group: &TargetGroup, attachment: &Attachment, task: &Task) -> bool {
    group.targets.iter().any(|target| {
        task.address.as_ref() == Some(&target.id)
            && (attachment.port.is_none() || attachment.port == target.port)
            && target.state == TargetState::Healthy
    })
}

fn complaint(target: &Target) -> Option<String> {
    if target.state != TargetState::Unhealthy {
        return None;
    }
    target.description.clone().or_else(|| target.reason.clone())
}
