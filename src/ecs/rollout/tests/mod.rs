//! Sequences of looks with the verdict that each must get. Our deployment is `ecs-svc/2`, the one before `ecs-svc/1`,
//! a stranger's `ecs-svc/3`.

use super::{
    Baseline, Doubt, Expected, Goal, Loss, Ours, Policy, RollbackCause, Rollout, STABLE_FOR, Verdict,
    WaitingOn,
};
use crate::ecs::observation::*;
use crate::name::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

mod crashes;
mod ends;
mod never;
mod orders;
mod success;
mod waits;
mod whose;

/// Builds looks.
pub(crate) mod build {
    use super::*;

    pub const GROUP: &str = "arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/web/0123";

    pub fn digest(of: &str) -> Digest {
        Digest::of(of.as_bytes())
    }

    pub fn deployment(number: u32, status: &str, rollout: &str, running: u32) -> Deployment {
        Deployment {
            id: format!("ecs-svc/{number}"),
            status: status.into(),
            rollout: Some(rollout.into()),
            reason: None,
            desired: running,
            running,
            pending: 0,
            failed: 0,
            task_definition: format!("arn:aws:ecs:eu-west-1:000000000000:task-definition/web:{number}"),
        }
    }

    /// A service right after UpdateService: ours wants nothing yet.
    pub fn service(desired: u32) -> Service {
        Service {
            status: ServiceStatus::Active,
            controller: Controller::Ecs,
            strategy: Strategy::Rolling,
            breaker: BreakerSetting::RollsBack,
            percent: (100, 200),
            desired,
            running: desired,
            pending: 0,
            task_definition: "arn:aws:ecs:eu-west-1:000000000000:task-definition/web:2".to_owned(),
            deployments: vec![
                deployment(2, "PRIMARY", "IN_PROGRESS", 0),
                deployment(1, "ACTIVE", "COMPLETED", desired),
            ],
            events: Vec::new(),
            current_service_deployment: None,
            load_balancers: Vec::new(),
            unseen_health: false,
            configuration: Configuration::default(),
        }
    }

    pub fn before(desired: u32) -> Service {
        Service {
            deployments: vec![deployment(1, "PRIMARY", "COMPLETED", desired)],
            ..service(desired)
        }
    }

    pub fn task(id: &str, status: &str) -> Task {
        Task {
            id: id.to_owned(),
            status: status.into(),
            stopping: false,
            ran_for: None,
            health: Health::Unknown,
            address: Some(format!("10.0.0.{}", id.trim_start_matches(char::is_alphabetic))),
            containers: vec![Container {
                name: "web".to_owned(),
                health: Health::Unknown,
                digest: Some(digest("image")),
                runtime_id: None,
                exit_code: None,
                reason: None,
            }],
            stop_code: None,
            stopped_reason: None,
        }
    }

    pub fn stopped(id: &str, code: &str, reason: &str) -> Task {
        let mut task = task(id, "STOPPED");
        task.stopping = true;
        task.stop_code = Some(code.into());
        task.stopped_reason = Some(reason.to_owned());
        task
    }

    pub fn exited(id: &str, code: i32) -> Task {
        let mut task = stopped(
            id,
            "EssentialContainerExited",
            "Essential container in task exited",
        );
        task.containers[0].exit_code = Some(code);
        task
    }

    pub fn target(id: &str, state: &str) -> Target {
        Target {
            id: format!("10.0.0.{id}"),
            port: Some(80),
            state: state.into(),
            reason: None,
            description: None,
        }
    }

    pub fn event(id: &str, message: &str) -> ServiceEvent {
        ServiceEvent {
            id: id.to_owned(),
            message: message.to_owned(),
        }
    }

    pub fn service_deployment(status: &str) -> ServiceDeployment {
        ServiceDeployment {
            arn: "arn:aws:ecs:eu-west-1:000000000000:service-deployment/c/web/ejGvqq2ilnbKT9qj0vLJe"
                .to_owned(),
            status: status.into(),
            reason: None,
            target: Some(RevisionCounts {
                arn: "arn:aws:ecs:eu-west-1:000000000000:service-revision/c/web/2".to_owned(),
                requested: Some(2),
                running: Some(0),
                pending: Some(0),
                production: None,
                test: None,
            }),
            rollback: None,
            breaker: None,
            alarms: None,
            triggered_alarms: Vec::new(),
            strategy: None,
            stage: None,
            hooks: Vec::new(),
        }
    }

    pub fn look(service: Service) -> Observation {
        Observation {
            service: Presence::Seen(Box::new(service)),
            service_deployment: None,
            revision: None,
            tasks: Some(Vec::new()),
            target_groups: Vec::new(),
            blind: Vec::new(),
        }
    }

    /// A look at ours with this many tasks running out of `desired`.
    pub fn running(desired: u32, running: u32, rollout: &str) -> Observation {
        let mut service = service(desired);
        service.deployments[0] = deployment(2, "PRIMARY", rollout, running);
        let mut look = look(service);
        look.tasks = Some(
            (1..=running)
                .map(|number| task(&format!("t{number}"), "RUNNING"))
                .collect(),
        );
        look
    }

    pub fn policy() -> Policy {
        let expected = Expected {
            deployed: digest("image"),
            platforms: BTreeSet::new(),
            resolved: true,
        };
        Policy {
            goal: Goal::Healthy,
            timeout: Duration::from_secs(900),
            checked: BTreeSet::new(),
            images: BTreeMap::from([("web".parse().unwrap(), expected)]),
            allow_zero: false,
        }
    }

    pub fn rollout(policy: Policy) -> Rollout {
        let ours = Ours {
            deployment: "ecs-svc/2".to_owned(),
        };
        // What the looks say of the breaker is theirs to say.
        let before = Service {
            breaker: BreakerSetting::Off,
            ..before(2)
        };
        Rollout::new(policy, ours, Baseline::of(&before))
    }
}

/// Judges looks ten seconds apart and returns the last verdict; every one before must be a wait.
fn last(policy: Policy, looks: &[Observation]) -> Verdict {
    let mut rollout = build::rollout(policy);
    let (end, before) = looks.split_last().unwrap();
    let mut elapsed = Duration::ZERO;
    for look in before {
        let verdict = rollout.judge(elapsed, look);
        assert!(matches!(verdict, Verdict::Wait(_)), "{verdict:?} at {elapsed:?}");
        elapsed += Duration::from_secs(10);
    }
    rollout.judge(elapsed, end)
}

fn edit(seen: &mut Observation, change: impl FnOnce(&mut Service)) {
    match &mut seen.service {
        Presence::Seen(service) => change(service),
        other => panic!("{other:?}"),
    }
}

fn lost(looks: &[Observation]) -> Loss {
    match last(build::policy(), looks) {
        Verdict::Lost(loss) => loss,
        other => panic!("{other:?}"),
    }
}

fn waits(looks: &[Observation]) -> WaitingOn {
    match last(build::policy(), looks) {
        Verdict::Wait(on) => on,
        other => panic!("{other:?}"),
    }
}
