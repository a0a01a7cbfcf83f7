//! What somebody else does: updates, stops, scaling and alarms that no client of the sandbox asked for.
//!
//! Each is carried out once, at its instant, by the world's own operations; the journal, which is of clients' requests,
//! does not show it.

use super::ecr::Ecr;
use super::ecs::Ecs;
use super::elb::Elb;
use super::error::ApiError;
use serde_json::{Value, json};
use std::time::Duration;

/// One act: what is done, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// From when its time is counted.
    pub since: Since,
    /// How long after that it is done.
    pub after_seconds: u32,
    /// What is done.
    pub deed: Deed,
}

/// From when an act's time is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// The sandbox's start.
    Start,
    /// A client's UpdateService that was accepted.
    Update {
        /// The service's name, in whatever cluster.
        service: String,
        /// Which of its updates, counted from 1.
        nth: usize,
    },
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// UpdateService.
    Update {
        /// The service's name.
        service: String,
        /// The task definition to go to.
        task_definition: Option<String>,
        /// Whether a deployment is forced.
        force: bool,
        /// The desired count to go to.
        desired: Option<u32>,
    },
    /// StopServiceDeployment of the service's newest service deployment, with a rollback.
    StopDeployment {
        /// The service's name.
        service: String,
    },
    /// ContinueServiceDeployment of the hook that the service's newest service deployment waits for.
    ContinueDeployment {
        /// The service's name.
        service: String,
        /// `CONTINUE` or `ROLLBACK`.
        action: String,
    },
    /// DeleteService, by force.
    DeleteService {
        /// The service's name.
        service: String,
    },
    /// StopTask of the service's oldest tasks.
    StopTasks {
        /// The service's name.
        service: String,
        /// How many.
        count: usize,
        /// StopTask's `reason`.
        reason: Option<String>,
    },
    /// DeregisterTaskDefinition.
    Deregister {
        /// `family:revision`.
        task_definition: String,
    },
    /// A CloudWatch alarm changes its state.
    Alarm {
        /// Its name.
        name: String,
        /// Whether it is in ALARM.
        in_alarm: bool,
    },
    /// Somebody else registers revisions of a family all the time, so that nobody else can.
    ThrottleFamily {
        /// The family.
        family: String,
        /// For how many seconds.
        seconds: u32,
    },
}

/// The acts that are not done yet.
#[derive(Debug, Default)]
pub struct Acts {
    waiting: Vec<Act>,
    start: Duration,
    second: Duration,
}

impl Acts {
    /// Acts of a sandbox that starts at `start`; `second` is how long a second takes.
    #[must_use]
    pub fn new(acts: Vec<Act>, start: Duration, second: Duration) -> Self {
        Self {
            waiting: acts,
            start,
            second,
        }
    }

    /// When an act is due; `None` while what it waits for has not happened.
    fn due(&self, act: &Act, ecs: &Ecs) -> Option<Duration> {
        let since = match &act.since {
            Since::Start => self.start,
            Since::Update { service, nth } => ecs.updated(service, *nth)?,
        };
        since.checked_add(self.second * act.after_seconds)
    }

    /// The instant of the next act.
    #[must_use]
    pub fn next_change(&self, ecs: &Ecs) -> Option<Duration> {
        self.waiting.iter().filter_map(|act| self.due(act, ecs)).min()
    }

    /// Takes the acts that are due at `now`, earliest first, then in the scenario's order.
    pub fn take_due(&mut self, now: Duration, ecs: &Ecs) -> Vec<Deed> {
        let mut due = Vec::new();
        for act in std::mem::take(&mut self.waiting) {
            match self.due(&act, ecs).filter(|at| *at <= now) {
                Some(at) => due.push((at, act.deed)),
                None => self.waiting.push(act),
            }
        }
        due.sort_by_key(|(at, _)| *at);
        due.into_iter().map(|(_, deed)| deed).collect()
    }
}

impl Deed {
    /// Does it.
    ///
    /// # Errors
    /// Those of the operations that it needs; nothing is tried again.
    pub fn carry_out(&self, now: Duration, ecs: &mut Ecs, elb: &mut Elb, ecr: &Ecr) -> Result<(), ApiError> {
        let mut hand = Hand { now, ecs, elb, ecr };
        match self {
            Self::Update {
                service,
                task_definition,
                force,
                desired,
            } => {
                let mut input = hand.naming(service, "service")?;
                input["forceNewDeployment"] = json!(force);
                input["taskDefinition"] = json!(task_definition);
                input["desiredCount"] = json!(desired);
                hand.ask("UpdateService", &input)?;
            }
            Self::StopDeployment { service } => {
                let arn = hand.newest_deployment(service)?;
                let input = json!({ "serviceDeploymentArn": arn, "stopType": "ROLLBACK" });
                hand.ask("StopServiceDeployment", &input)?;
            }
            Self::ContinueDeployment { service, action } => {
                let arn = hand.newest_deployment(service)?;
                let described = hand.ask(
                    "DescribeServiceDeployments",
                    &json!({ "serviceDeploymentArns": [arn] }),
                )?;
                let hooks = described["serviceDeployments"][0]["lifecycleHookDetails"].as_array();
                let waits = hooks
                    .into_iter()
                    .flatten()
                    .find(|hook| hook["status"] == "AWAITING_ACTION");
                let Some(hook) = waits else {
                    return Err(ApiError::new(
                        "InvalidParameterException",
                        "no lifecycle hook of the service deployment awaits an action",
                    ));
                };
                let input =
                    json!({ "serviceDeploymentArn": arn, "hookId": hook["hookId"], "action": action });
                hand.ask("ContinueServiceDeployment", &input)?;
            }
            Self::DeleteService { service } => {
                let mut input = hand.naming(service, "service")?;
                input["force"] = json!(true);
                hand.ask("DeleteService", &input)?;
            }
            Self::StopTasks {
                service,
                count,
                reason,
            } => {
                let input = hand.naming(service, "serviceName")?;
                let listed = hand.ask("ListTasks", &input)?;
                let arns = listed["taskArns"].as_array().cloned().unwrap_or_default();
                for arn in arns.into_iter().take(*count) {
                    let input = json!({ "cluster": input["cluster"], "task": arn, "reason": reason });
                    hand.ask("StopTask", &input)?;
                }
            }
            Self::Deregister { task_definition } => {
                hand.ask(
                    "DeregisterTaskDefinition",
                    &json!({ "taskDefinition": task_definition }),
                )?;
            }
            Self::Alarm { name, in_alarm } => hand.ecs.set_alarm(now, name, *in_alarm),
            Self::ThrottleFamily { family, seconds } => hand.ecs.crowd_family(now, family, *seconds),
        }
        Ok(())
    }
}

/// Somebody with a hand on the world.
struct Hand<'a> {
    now: Duration,
    ecs: &'a mut Ecs,
    elb: &'a mut Elb,
    ecr: &'a Ecr,
}

impl Hand<'_> {
    fn ask(&mut self, operation: &str, input: &Value) -> Result<Value, ApiError> {
        self.ecs.perform(self.now, operation, input, self.elb, self.ecr)
    }

    /// An input that names a service, by `key`, and the cluster that has it.
    fn naming(&self, service: &str, key: &str) -> Result<Value, ApiError> {
        match self.ecs.cluster_with(service) {
            Some(cluster) => Ok(json!({ "cluster": cluster, key: service })),
            None => Err(ApiError::new("ServiceNotFoundException", "Service not found.")),
        }
    }

    /// The ARN of the newest service deployment of a service.
    fn newest_deployment(&mut self, service: &str) -> Result<Value, ApiError> {
        let input = self.naming(service, "service")?;
        let listed = self.ask("ListServiceDeployments", &input)?;
        Ok(listed["serviceDeployments"][0]["serviceDeploymentArn"].clone())
    }
}
