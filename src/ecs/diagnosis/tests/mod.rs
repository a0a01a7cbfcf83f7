use super::{Comparison, Diagnosis, Known, LogTail, Revision, diagnose, log_wanted};
use crate::ecs::observation::{
    Attachment, Blind, BlindReason, GroupCheck, Observation, Presence, Target, TargetGroup, Task,
};
use crate::ecs::rollout::tests::build::*;
use crate::ecs::task_definition::TaskDefinition;
use crate::failure::room::{INDENT_OF_EVIDENCE, rows};
use crate::secret::Secret;
use serde_json::{Value, json};
use std::collections::BTreeSet;

mod evidence;
mod hints;
mod precedence;

/// Everything that a diagnosis may know, with nothing in it.
#[derive(Clone)]
struct World {
    seen: Observation,
    baseline: BTreeSet<String>,
    /// What the container whose log is wanted wrote; none if its log was not read.
    log: Option<Vec<String>>,
    comparison: Comparison,
    checks: Vec<GroupCheck>,
    blind: Vec<Blind>,
    secrets: Vec<Secret<String>>,
}

impl World {
    fn of(tasks: Vec<Task>) -> Self {
        let mut seen = look(service(2));
        seen.tasks = Some(tasks);
        Self {
            seen,
            baseline: BTreeSet::new(),
            log: None,
            comparison: Comparison::default(),
            checks: Vec::new(),
            blind: Vec::new(),
            secrets: Vec::new(),
        }
    }

    /// Service events, oldest first; ECS lists the newest first.
    fn events(mut self, events: &[&str]) -> Self {
        let Presence::Seen(service) = &mut self.seen.service else {
            return self;
        };
        service.events = events
            .iter()
            .enumerate()
            .map(|(at, text)| event(&at.to_string(), text))
            .rev()
            .collect();
        self
    }

    fn log(mut self, lines: &[&str]) -> Self {
        self.log = Some(lines.iter().map(|line| (*line).to_owned()).collect());
        self
    }

    /// The container `web` is behind the target group `web`, on port 8080.
    fn behind(mut self, targets: Vec<Target>) -> Self {
        if let Presence::Seen(service) = &mut self.seen.service {
            service.load_balancers = vec![Attachment {
                target_group: GROUP.to_owned(),
                container: "web".to_owned(),
                port: Some(8080),
                alternate: None,
            }];
        }
        self.seen.target_groups = vec![TargetGroup {
            arn: GROUP.to_owned(),
            targets,
        }];
        self
    }

    /// Ours is `web:2`, and `web:1` was before.
    fn compared(mut self, ours: Value, previous: Value) -> Self {
        let revision = |name: &str, mut document: Value| {
            document["family"] = json!("web");
            let definition = TaskDefinition::parse(document.to_string().as_bytes()).unwrap();
            Some(Revision {
                name: name.to_owned(),
                shape: definition.shape(),
            })
        };
        self.comparison = Comparison {
            ours: revision("web:2", ours),
            previous: revision("web:1", previous),
        };
        self
    }

    fn found(&self) -> Diagnosis {
        let wanted = log_wanted(&self.seen, self.comparison.shape());
        let logs: Vec<LogTail> = wanted
            .zip(self.log.clone())
            .map(|(wanted, lines)| LogTail {
                container: wanted.container,
                task: wanted.task,
                lines,
            })
            .into_iter()
            .collect();
        diagnose(Known {
            seen: &self.seen,
            baseline: &self.baseline,
            logs: &logs,
            comparison: &self.comparison,
            checks: &self.checks,
            blind: &self.blind,
            secrets: &self.secrets,
        })
    }

    fn cause(&self) -> String {
        self.found().cause.unwrap_or_default()
    }

    fn evidence(&self) -> Vec<String> {
        self.found().evidence(30)
    }
}

/// One container `web` with these members, in a task definition.
fn with_web(members: Value) -> Value {
    let mut web = json!({ "name": "web" });
    let Value::Object(members) = members else {
        panic!("{members} are no members");
    };
    for (key, value) in members {
        web[key] = value;
    }
    json!({ "containerDefinitions": [web] })
}

fn failed_elb(id: &str) -> Task {
    let reason = format!("Task failed ELB health checks in (target-group {GROUP})");
    stopped(id, "ServiceSchedulerInitiated", &reason)
}

fn unhealthy(id: &str, reason: &str, description: &str) -> Target {
    let mut target = target(id, "unhealthy");
    target.reason = Some(reason.to_owned());
    target.description = Some(description.to_owned());
    target
}

fn out_of_memory(id: &str) -> Task {
    let mut task = exited(id, 137);
    task.containers[0].reason = Some("OutOfMemoryError: Container killed due to memory usage".to_owned());
    task
}

fn denied(action: &str) -> Blind {
    Blind {
        action: action.to_owned(),
        why: BlindReason::Denied,
    }
}
