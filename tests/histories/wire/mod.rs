//! What the watcher gets to see: the world's answers, late, lost, denied, mangled, as the script says.

mod mangle;
mod past;

use mangle::{add_members, mangle};
use past::Snapshot;

use crate::place::{CLUSTER, Place, SERVICE, Truth, answer, brings};
use crate::runner::{DEPLOYED, PLATFORM};
use crate::script::{Call, Harm, Script};
use serde_json::{Value, json};
use slipway::ecs::answers::{
    Answer, DESCRIBE_SERVICE_DEPLOYMENTS, DESCRIBE_SERVICE_REVISIONS, DESCRIBE_SERVICES,
    DESCRIBE_TARGET_HEALTH, DESCRIBE_TASKS, LIST_SERVICE_DEPLOYMENTS, LIST_TASKS, Outcome, Sought, observe,
    revision_arn, service_deployment_arn,
};
use slipway::ecs::observation::{BlindReason, Observation};
use slipway::ecs::rollout::pace::Pace;
use std::rc::Rc;
use std::time::Duration;

/// Looks for which a harmed one may be felt.
const LATELY: u32 = 3;

/// The far ends as one watcher meets them.
pub struct Wire {
    script: Script,
    looks: u32,
    /// What stale answers are made of, the newest last; kept only if the script has any.
    past: Vec<Snapshot>,
    /// The look after the last one that such an answer can harm.
    past_until: u32,
    /// The newest event that an answer from the present showed.
    newest_event: Option<Value>,
    /// Answers in a row that did not find the service.
    missed: u32,
    service_deployment: Option<String>,
    service_deployments_work: bool,
    /// The instant of the oldest answer of the last look.
    pub oldest: Duration,
    /// Whether anything of the last look was not as the world is.
    pub harmed: bool,
    /// Whether any answer of the last look showed the digest that was deployed.
    pub proven: bool,
    /// The last look that was harmed.
    last_harmed: Option<u32>,
    /// Calls that were refused for good.
    pub refused: Vec<(&'static str, BlindReason)>,
    pub calls: u32,
    /// What was true when each call of the last look was answered, where calls take time.
    pub truths: Vec<Truth>,
}

impl Wire {
    /// What was before our update can be seen by stale looks.
    pub fn new(script: &Script, place: &mut Place) -> Self {
        let stale = script
            .troubles
            .iter()
            .filter(|trouble| matches!(trouble.what, Harm::Stale(_) | Harm::Past(_)));
        let past_until = stale.map(|trouble| trouble.from + trouble.looks).max();
        let mut wire = Self {
            script: script.clone(),
            looks: 0,
            past: Vec::new(),
            past_until: past_until.unwrap_or_default(),
            newest_event: None,
            missed: 0,
            service_deployment: None,
            service_deployments_work: true,
            oldest: place.now,
            harmed: false,
            proven: false,
            last_harmed: None,
            refused: Vec::new(),
            calls: 0,
            truths: Vec::new(),
        };
        if past_until.is_some() {
            let mut before = Snapshot::take(place);
            before.service = Rc::new(place.before.clone());
            before.listed.retain(|one| !brings(one, &place.ours));
            before.record = Value::Null;
            wire.past.push(before);
        }
        wire
    }

    /// One look, as the watch takes them. `service` is how the world describes the service now.
    pub fn look(&mut self, place: &mut Place, pace: &mut Pace) -> Observation {
        self.oldest = place.now;
        self.harmed = false;
        self.proven = false;
        if self.looks < self.past_until {
            let now = Snapshot::take(place);
            self.past.push(now);
        }
        let ours = place.ours.clone();
        let sought = Sought {
            cluster: CLUSTER,
            service: SERVICE,
            deployment: &ours,
        };
        let asked = json!({ "cluster": CLUSTER, "services": [SERVICE] });
        let mut answers = vec![
            self.answer(place, Call::Services, DESCRIBE_SERVICES, asked, |place| {
                answer("services", vec![Value::clone(&place.described())])
            }),
        ];
        let seen = observe(sought, &answers);
        if let Some(service) = seen.seen_service() {
            let closeness = pace.closely(&ours, service);
            if closeness.service_deployment {
                self.ask_service_deployment(place, &mut answers);
            }
            if closeness.revision
                && let Some(arn) = revision_arn(sought, &answers)
            {
                let asked = json!({ "serviceRevisionArns": [arn] });
                answers.push(self.answer(
                    place,
                    Call::Deployments,
                    DESCRIBE_SERVICE_REVISIONS,
                    asked,
                    |place| answer("serviceRevisions", place.revision(&arn)),
                ));
            }
            if closeness.tasks {
                self.ask_tasks(place, closeness.stopped, &mut answers);
                for attachment in &service.load_balancers {
                    let asked = json!({ "TargetGroupArn": attachment.target_group });
                    let said = self.answer(place, Call::Targets, DESCRIBE_TARGET_HEALTH, asked, |place| {
                        answer("TargetHealthDescriptions", place.targets())
                    });
                    answers.push(said);
                }
            }
        }
        self.looks += 1;
        observe(sought, &answers)
    }

    fn ask_service_deployment(&mut self, place: &mut Place, answers: &mut Vec<Answer>) {
        if !self.service_deployments_work {
            return;
        }
        if self.service_deployment.is_none() {
            let asked = json!({ "cluster": CLUSTER, "service": SERVICE });
            let listed = self.answer(
                place,
                Call::Deployments,
                LIST_SERVICE_DEPLOYMENTS,
                asked,
                |place| answer("serviceDeployments", place.service_deployments()),
            );
            if let Outcome::Said(said) = &listed.outcome {
                self.service_deployment = service_deployment_arn(said, &place.ours);
            }
            answers.push(listed);
        }
        if let Some(arn) = self.service_deployment.clone() {
            let asked = json!({ "serviceDeploymentArns": [arn] });
            let arn = json!(arn);
            answers.push(self.answer(
                place,
                Call::Deployments,
                DESCRIBE_SERVICE_DEPLOYMENTS,
                asked,
                |place| answer("serviceDeployments", place.records(&arn)),
            ));
        }
        self.service_deployments_work = !answers.iter().any(|answer| {
            let of_deployments =
                answer.action == LIST_SERVICE_DEPLOYMENTS || answer.action == DESCRIBE_SERVICE_DEPLOYMENTS;
            let passes = matches!(
                answer.outcome,
                Outcome::Said(_) | Outcome::Failed(BlindReason::Transient)
            );
            of_deployments && !passes
        });
    }

    fn ask_tasks(&mut self, place: &mut Place, stopped: bool, answers: &mut Vec<Answer>) {
        let statuses: &[&str] = if stopped {
            &["RUNNING", "STOPPED"]
        } else {
            &["RUNNING"]
        };
        let mut arns = Vec::new();
        for status in statuses {
            let asked = json!({ "cluster": CLUSTER, "serviceName": SERVICE });
            let listed = self.answer(place, Call::Tasks, LIST_TASKS, asked, |place| {
                answer("taskArns", place.listed(status))
            });
            // A stale list is of one kind, too.
            if let Outcome::Said(said) = &listed.outcome {
                arns.extend(said["taskArns"].as_array().into_iter().flatten().cloned());
            }
            answers.push(listed);
        }
        if !arns.is_empty() {
            let asked = json!({ "cluster": CLUSTER, "tasks": arns });
            answers.push(self.answer(place, Call::Tasks, DESCRIBE_TASKS, asked, |place| {
                answer("tasks", place.tasks(&arns))
            }));
        }
    }

    fn answer(
        &mut self,
        place: &mut Place,
        call: Call,
        action: &'static str,
        asked: Value,
        truth: impl FnOnce(&mut Place) -> Value,
    ) -> Answer {
        self.calls += 1;
        if self.script.latency_ms > 0 {
            place.pass(Duration::from_millis(self.script.latency_ms.into()));
            self.truths.push(place.truth());
        }
        let mut said = None;
        let mut failed = None;
        let harms = self.harms(call);
        for harm in &harms {
            match harm {
                Harm::Stale(by) => said = said.or_else(|| self.stale(action, &asked, *by)),
                Harm::Past(by) => said = said.or_else(|| self.long_past(action, *by)),
                Harm::Missing => said = said.or_else(|| self.missing(action)),
                Harm::Lost => failed = Some(BlindReason::Transient),
                Harm::Denied => failed = Some(BlindReason::Denied),
                Harm::NoCredentials => failed = Some(BlindReason::NoCredentials),
                Harm::Unsupported => failed = Some(BlindReason::Unsupported),
                Harm::Word(_) | Harm::Drop(_) | Harm::Null(_) => {}
            }
        }
        if !harms.is_empty() {
            self.harmed = true;
            self.last_harmed = Some(self.looks);
        }
        let outcome = match failed {
            Some(why) => {
                self.refused.push((action, why));
                Outcome::Failed(why)
            }
            None => {
                let present = said.is_none() && action == DESCRIBE_SERVICES;
                let mut said = said.unwrap_or_else(|| truth(place));
                for harm in &harms {
                    mangle(&mut said, *harm);
                }
                if self.script.extra_members {
                    add_members(&mut said);
                }
                if present {
                    self.missed = 0;
                    let events = said["services"][0]["events"].as_array();
                    let newest = events.and_then(|events| Some(events.first()?["id"].clone()));
                    self.newest_event = newest.or_else(|| self.newest_event.take());
                }
                self.proven |= action != DESCRIBE_SERVICES && shows_digest(&said);
                Outcome::Said(said)
            }
        };
        if !harms.is_empty() {
            place.say(|_| format!("the answer of {action} is harmed: {harms:?}"));
        }
        Answer {
            action: action.to_owned(),
            asked,
            outcome,
        }
    }

    /// Whether one of the last looks was harmed, so that the watch may still act on it.
    pub fn harmed_lately(&self) -> bool {
        self.last_harmed.is_some_and(|look| look + LATELY >= self.looks)
    }

    fn harms(&self, call: Call) -> Vec<Harm> {
        let now = self.looks;
        self.script
            .troubles
            .iter()
            .filter(|trouble| trouble.call == call || trouble.call == Call::Every)
            .filter(|trouble| trouble.from <= now && now < trouble.from.saturating_add(trouble.looks))
            .map(|trouble| trouble.what)
            .collect()
    }
}

/// Whether a member is the digest that was deployed, or its platform's.
fn shows_digest(value: &Value) -> bool {
    match value {
        Value::String(text) => text == DEPLOYED || text == PLATFORM,
        Value::Array(items) => items.iter().any(shows_digest),
        Value::Object(members) => members.values().any(shows_digest),
        _ => false,
    }
}
