//! One look at a watched service: few calls, and every one that fails is written down instead of ending the watch.

use super::Ecs;
use super::ask::{self, Listed, TASKS_PER_CALL, answer};
use crate::aws::sort::CallError;
use crate::ecs::answers::{
    Answer, DESCRIBE_SERVICE_DEPLOYMENTS, DESCRIBE_SERVICE_REVISIONS, DESCRIBE_SERVICES,
    DESCRIBE_TARGET_HEALTH, DESCRIBE_TASKS, LIST_SERVICE_DEPLOYMENTS, LIST_TASKS, Outcome, Sought, observe,
    revision_arn, service_deployment_arn,
};
use crate::ecs::observation::{Blind, BlindReason, Observation, Task};
use crate::ecs::rollout::WaitingOn;
use crate::ecs::rollout::pace::{Closeness, Pace};
use serde_json::{Value, json};

/// A service under watch: our deployment, and what earlier looks found out.
#[derive(Debug, Clone)]
pub struct Watched {
    deployment: String,
    service_deployment: Option<String>,
    /// Why service deployments are not asked for any more.
    no_service_deployments: Option<Blind>,
    /// Decides how closely and how often to look.
    pub pace: Pace,
}

/// What a look saw, and the answers that it was read from.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// What it saw.
    pub seen: Observation,
    /// What the far ends said.
    pub answers: Vec<Answer>,
}

impl Watched {
    /// Watches a deployment.
    #[must_use]
    pub fn new(deployment: impl Into<String>) -> Self {
        Self {
            deployment: deployment.into(),
            service_deployment: None,
            no_service_deployments: None,
            pace: Pace::default(),
        }
    }

    /// The ARN of our service deployment, once it was found.
    #[must_use]
    pub fn service_deployment(&self) -> Option<&str> {
        self.service_deployment.as_deref()
    }
}

impl Ecs {
    /// Looks once. Never fails: what could not be seen is in [`Observation::blind`].
    pub async fn look(&self, watched: &mut Watched) -> Look {
        self.look_at(watched, None).await
    }

    /// A look at everything, for a diagnosis or a proof. What an earlier look could not see, and this one did not ask for
    /// again, is told again.
    pub async fn look_closely(&self, watched: &mut Watched) -> Look {
        let before = watched.no_service_deployments.clone();
        let mut look = self.look_at(watched, Some(Closeness::ALL)).await;
        look.seen.blind.extend(before);
        look
    }

    async fn look_at(&self, watched: &mut Watched, closeness: Option<Closeness>) -> Look {
        let mut answers = vec![self.describe_service().await];
        let seen = self.observe(watched, &answers);
        let Some(service) = seen.seen_service() else {
            return Look { seen, answers };
        };
        let closeness = closeness.unwrap_or_else(|| watched.pace.closely(&watched.deployment, service));
        if closeness.service_deployment {
            self.ask_service_deployment(watched, &mut answers).await;
        }
        if closeness.tasks {
            self.ask_tasks(closeness.stopped, &mut answers).await;
            for group in service.target_groups() {
                answers.push(self.ask_targets(group).await);
            }
        }
        if closeness.revision {
            self.ask_revision(watched, &mut answers).await;
        }
        let seen = self.observe(watched, &answers);
        Look { seen, answers }
    }

    fn observe(&self, watched: &Watched, answers: &[Answer]) -> Observation {
        observe(self.sought(watched), answers)
    }

    fn sought<'a>(&'a self, watched: &'a Watched) -> Sought<'a> {
        Sought {
            cluster: &self.cluster,
            service: &self.service,
            deployment: &watched.deployment,
        }
    }

    /// The digests that ECS resolved for our revision: a second proof, where tasks may not be seen or do not tell.
    async fn ask_revision(&self, watched: &Watched, answers: &mut Vec<Answer>) {
        if let Some(arn) = revision_arn(self.sought(watched), answers) {
            let arns = [arn];
            let said = ask::describe_service_revisions(&self.aws, &arns).await;
            let asked = json!({ "serviceRevisionArns": arns });
            answers.push(answer(DESCRIBE_SERVICE_REVISIONS, asked, said));
        }
    }

    async fn describe_service(&self) -> Answer {
        let services = [self.service.clone()];
        let said = ask::describe_services(&self.aws, &self.cluster, &services).await;
        let asked = json!({ "cluster": self.cluster, "services": services });
        answer(DESCRIBE_SERVICES, asked, said)
    }

    /// Whether a glance at what is waited for sees what the last look saw. One call; true where it fails, since the
    /// next look will tell. False where no single call shows it.
    pub async fn is_still(&self, waiting_on: &WaitingOn, watched: &Watched, last: &Look) -> bool {
        let seen = &last.seen;
        match waiting_on {
            WaitingOn::Targets { target_group, .. } => {
                let now = self.ask_targets(target_group).await;
                let same = |before: &Answer| before.asked == now.asked && before.outcome == now.outcome;
                matches!(now.outcome, Outcome::Failed(_)) || last.answers.iter().any(same)
            }
            WaitingOn::ContainerHealth { .. } => {
                let running = seen.tasks.iter().flatten().filter(|task| task.runs());
                let running: Vec<&Task> = running.take(TASKS_PER_CALL).collect();
                let ids: Vec<String> = running.iter().map(|task| task.id.clone()).collect();
                let now = vec![
                    answer(LIST_TASKS, self.of_service(), Ok(json!({ "taskArns": ids }))),
                    self.ask_described(&ids).await,
                ];
                let Some(tasks) = self.observe(watched, &now).tasks else {
                    return true;
                };
                tasks.len() == running.len() && running.into_iter().all(|task| tasks.contains(task))
            }
            _ => false,
        }
    }

    async fn ask_service_deployment(&self, watched: &mut Watched, answers: &mut Vec<Answer>) {
        if watched.no_service_deployments.is_some() {
            return;
        }
        if watched.service_deployment.is_none() {
            let said = ask::list_service_deployments(&self.aws, &self.cluster, &self.service).await;
            if let Ok(said) = &said {
                watched.service_deployment = service_deployment_arn(said, &watched.deployment);
            }
            let asked = json!({ "cluster": self.cluster, "service": self.service });
            answers.push(answer(LIST_SERVICE_DEPLOYMENTS, asked, said));
        }
        if let Some(arn) = &watched.service_deployment {
            let arns = [arn.clone()];
            let said = ask::describe_service_deployments(&self.aws, &arns).await;
            let asked = json!({ "serviceDeploymentArns": arns });
            answers.push(answer(DESCRIBE_SERVICE_DEPLOYMENTS, asked, said));
        }
        // Where access is denied DescribeServices tells enough; asking again would only cost calls.
        watched.no_service_deployments = answers.iter().find_map(|answer| match answer.outcome {
            Outcome::Failed(why)
                if why != BlindReason::Transient
                    && (answer.action == LIST_SERVICE_DEPLOYMENTS
                        || answer.action == DESCRIBE_SERVICE_DEPLOYMENTS) =>
            {
                Some(Blind {
                    action: answer.action.clone(),
                    why,
                })
            }
            Outcome::Failed(_) | Outcome::Said(_) => None,
        });
    }

    /// Every task that a deployment started and that runs, and the stopped ones if they are wanted.
    ///
    /// # Errors
    /// [`BlindReason`] when a call fails; a part of the tasks would be misleading.
    pub async fn our_tasks(&self, deployment: &str, stopped: bool) -> Result<Vec<Task>, BlindReason> {
        let mut answers = Vec::new();
        self.ask_tasks(stopped, &mut answers).await;
        let seen = self.observe(&Watched::new(deployment), &answers);
        let why = seen
            .blind
            .first()
            .map_or(BlindReason::Transient, |blind| blind.why);
        seen.tasks.ok_or(why)
    }

    async fn ask_tasks(&self, stopped: bool, answers: &mut Vec<Answer>) {
        let mut arns: Vec<String> = Vec::new();
        let lists: &[Listed] = if stopped {
            &[Listed::Running, Listed::Stopped]
        } else {
            &[Listed::Running]
        };
        for listed in lists {
            let said = ask::list_tasks(&self.aws, &self.cluster, &self.service, *listed).await;
            let found = said.as_ref().ok().and_then(|said| said["taskArns"].as_array());
            let found = found.into_iter().flatten().filter_map(Value::as_str);
            arns.extend(found.map(str::to_owned));
            answers.push(answer(LIST_TASKS, self.of_service(), said));
        }
        for part in arns.chunks(TASKS_PER_CALL) {
            answers.push(self.ask_described(part).await);
        }
    }

    fn of_service(&self) -> Value {
        json!({ "cluster": self.cluster, "serviceName": self.service })
    }

    async fn ask_described(&self, tasks: &[String]) -> Answer {
        let said: Result<Value, CallError> = ask::describe_tasks(&self.aws, &self.cluster, tasks).await;
        answer(
            DESCRIBE_TASKS,
            json!({ "cluster": self.cluster, "tasks": tasks }),
            said,
        )
    }

    async fn ask_targets(&self, group: &str) -> Answer {
        let said = ask::describe_target_health(&self.aws, group).await;
        answer(DESCRIBE_TARGET_HEALTH, json!({ "TargetGroupArn": group }), said)
    }
}
