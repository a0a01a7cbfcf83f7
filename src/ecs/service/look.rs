//! What a watch keeps of a service between its looks, and looks at one service alone.

use super::Ecs;
use super::fleet::{Asks, Member, Sharing, round};
use crate::ecs::answers::{Answer, DESCRIBE_SERVICE_DEPLOYMENTS, LIST_SERVICE_DEPLOYMENTS, Sought, observe};
use crate::ecs::observation::{Blind, BlindReason, Observation, Task};
use crate::ecs::rollout::pace::Pace;
use serde_json::Value;

/// A service under watch: our deployment, and what earlier looks found out.
#[derive(Debug, Clone)]
pub struct Watched {
    pub(super) deployment: String,
    pub(super) service_deployment: Option<String>,
    /// The service deployment that ECS named last, and that is not ours.
    pub(super) not_ours: Option<String>,
    /// Why service deployments are not described any more.
    pub(super) no_service_deployments: Option<Blind>,
    /// Why they are not listed any more. That is another permission: one that ECS names can be described all the same.
    pub(super) no_list: Option<Blind>,
    /// Decides how closely and how often to look.
    pub pace: Pace,
    /// What DescribeServices said a moment ago, for the first look.
    pub(super) shown: Option<Value>,
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
            not_ours: None,
            no_service_deployments: None,
            no_list: None,
            pace: Pace::default(),
            shown: None,
        }
    }

    /// Takes what DescribeServices said a moment ago of the service for its first look.
    pub fn show(&mut self, whole: Value) {
        self.shown = Some(whole);
    }

    /// Watches a deployment that comes back, by its service alone: the service deployment that once brought it says
    /// nothing of its return.
    #[must_use]
    pub fn by_service(deployment: impl Into<String>) -> Self {
        let blind = |action: &str| Blind {
            action: action.to_owned(),
            why: BlindReason::Unsupported,
        };
        Self {
            no_service_deployments: Some(blind(DESCRIBE_SERVICE_DEPLOYMENTS)),
            no_list: Some(blind(LIST_SERVICE_DEPLOYMENTS)),
            ..Self::new(deployment)
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
        self.look_alone(watched, Asks::Look).await
    }

    /// A look at everything, for a diagnosis or a proof. What an earlier look could not see, and this one did not ask for
    /// again, is told again.
    pub async fn look_closely(&self, watched: &mut Watched) -> Look {
        let before = [&watched.no_service_deployments, &watched.no_list];
        let before: Vec<Blind> = before.into_iter().flatten().cloned().collect();
        let mut look = self.look_alone(watched, Asks::Everything).await;
        look.seen.blind.extend(before);
        look
    }

    async fn look_alone(&self, watched: &mut Watched, asks: Asks<'_>) -> Look {
        let member = Member {
            ecs: self,
            watched,
            asks,
        };
        let mut round = round(&mut Sharing::default(), &mut [member]).await;
        let seen = round.seen.pop().flatten();
        Look {
            seen: seen.unwrap_or_else(Observation::unanswered),
            answers: round.answers,
        }
    }

    /// Every task that a deployment started and that runs, and the stopped ones if they are wanted.
    ///
    /// # Errors
    /// [`BlindReason`] when a call fails; a part of the tasks would be misleading.
    pub async fn our_tasks(&self, deployment: &str, stopped: bool) -> Result<Vec<Task>, BlindReason> {
        let answers = self.ask_tasks(stopped).await;
        let seen = observe(self.sought(deployment), &answers);
        let why = seen
            .blind
            .first()
            .map_or(BlindReason::Transient, |blind| blind.why);
        seen.tasks.ok_or(why)
    }

    pub(super) fn sought<'a>(&'a self, deployment: &'a str) -> Sought<'a> {
        Sought {
            cluster: &self.cluster,
            service: &self.service,
            deployment,
        }
    }
}
