//! Tasks that find no place: a scenario's trouble with capacity.

use super::Ecs;
use super::service::Service;
use serde_json::{Value, json};
use std::time::Duration;

/// Trouble with placing tasks: which ones, how often, and in which words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The task definition's family.
    pub family: Option<String>,
    /// The task definition's revision.
    pub revision: Option<String>,
    /// The service's name; tasks of RunTask have none.
    pub service: Option<String>,
    /// How many attempts fail; then there is room.
    pub times: u32,
    /// What follows `was unable to place a task` in the service's event, up to the full stop.
    pub message: String,
    /// `failures[].reason` of RunTask.
    pub reason: String,
    /// Whether an attempt counts as a failed task of the deployment.
    pub counted: bool,
}

impl Trouble {
    fn is_of(&self, revision: &str, service: Option<&str>) -> bool {
        let (family, number) = revision.split_once(':').unwrap_or((revision, ""));
        self.times > 0
            && self.family.as_deref().is_none_or(|wanted| wanted == family)
            && self.revision.as_deref().is_none_or(|wanted| wanted == number)
            && self
                .service
                .as_deref()
                .is_none_or(|wanted| service == Some(wanted))
    }
}

impl Ecs {
    /// Takes one failed attempt out of the first trouble that is of this task.
    fn meet_trouble(&mut self, revision: &str, service: Option<&str>) -> Option<Trouble> {
        let trouble = self
            .troubles
            .iter_mut()
            .find(|one| one.is_of(revision, service))?;
        trouble.times -= 1;
        Some(trouble.clone())
    }

    /// Whether a service's task finds no place now; the service tells of it.
    pub(super) fn is_unplaced(
        &mut self,
        service: &mut Service,
        now: Duration,
        number: &str,
        revision: &str,
    ) -> bool {
        let name = service.key.name.clone();
        let Some(trouble) = self.meet_trouble(revision, Some(&name)) else {
            return false;
        };
        if trouble.counted
            && let Some(deployment) = service.deployments.iter_mut().find(|one| one.number == number)
        {
            deployment.failed_tasks += 1;
            if let Some(record) = service.current().filter(|record| record.target == number) {
                record.failures.0 += 1;
            }
        }
        let text = super::events::nowhere(&name, &trouble.message);
        self.tell_once(service, now, text);
        true
    }

    /// What RunTask says of a task that finds no place.
    pub(super) fn run_failure(&mut self, revision: &str) -> Option<Value> {
        let trouble = self.meet_trouble(revision, None)?;
        let mut failure = json!({ "reason": trouble.reason });
        if trouble.reason.starts_with("RESOURCE:")
            || trouble.reason == "AGENT"
            || trouble.reason == "ATTRIBUTE"
        {
            let instance = format!("container-instance/{}", self.ids.uuid().replace('-', ""));
            failure["arn"] = json!(self.place.arn(&instance));
        }
        Some(failure)
    }
}
