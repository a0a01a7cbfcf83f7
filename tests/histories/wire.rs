//! What the watcher gets to see: the world's answers, late, lost, denied, mangled, as the script says.

use crate::place::{CLUSTER, Place, SERVICE, answer};
use crate::script::{Call, Harm, Script};
use serde_json::{Value, json};
use slipway::ecs::answers::{
    Answer, DESCRIBE_SERVICE_DEPLOYMENTS, DESCRIBE_SERVICE_REVISIONS, DESCRIBE_SERVICES,
    DESCRIBE_TARGET_HEALTH, DESCRIBE_TASKS, LIST_SERVICE_DEPLOYMENTS, LIST_TASKS, Outcome, Sought, observe,
    revision_arn, service_deployment_arn,
};
use slipway::ecs::observation::{BlindReason, Observation};
use slipway::ecs::rollout::pace::Pace;
use std::time::Duration;

/// Looks for which a harmed one may be felt.
const LATELY: u32 = 3;

/// Everything that a look may ask for, at one instant.
#[derive(Debug, Clone)]
struct Snapshot {
    at: Duration,
    service: Value,
    record: Value,
    running: Vec<Value>,
    stopped: Vec<Value>,
    tasks: Vec<Value>,
    targets: Vec<Value>,
}

impl Snapshot {
    fn take(place: &mut Place) -> Self {
        let running = place.listed("RUNNING");
        let stopped = place.listed("STOPPED");
        let all: Vec<Value> = running.iter().chain(&stopped).cloned().collect();
        Self {
            at: place.now,
            service: place.described(),
            record: place.our_record(),
            tasks: place.tasks(&all),
            targets: place.targets(),
            running,
            stopped,
        }
    }
}

/// The far ends as one watcher meets them.
pub struct Wire {
    script: Script,
    looks: u32,
    /// What stale answers are made of, the newest last; kept only if the script has any.
    past: Vec<Snapshot>,
    service_deployment: Option<String>,
    service_deployments_work: bool,
    /// The instant of the oldest answer of the last look.
    pub oldest: Duration,
    /// Whether anything of the last look was not as the world is.
    pub harmed: bool,
    /// The last look that was harmed.
    last_harmed: Option<u32>,
    /// Calls that were refused for good.
    pub refused: Vec<(&'static str, BlindReason)>,
    pub calls: u32,
}

impl Wire {
    /// What was before our update can be seen by stale looks.
    pub fn new(script: &Script, place: &mut Place) -> Self {
        let stale = |harm: &Harm| matches!(harm, Harm::Stale(_));
        let mut wire = Self {
            script: script.clone(),
            looks: 0,
            past: Vec::new(),
            service_deployment: None,
            service_deployments_work: true,
            oldest: place.now,
            harmed: false,
            last_harmed: None,
            refused: Vec::new(),
            calls: 0,
        };
        if script.troubles.iter().any(|trouble| stale(&trouble.what)) {
            let mut before = Snapshot::take(place);
            before.service = place.before.clone();
            before.record = Value::Null;
            wire.past.push(before);
        }
        wire
    }

    /// One look, as the watch takes them. `service` is how the world describes the service now.
    pub fn look(&mut self, place: &mut Place, pace: &mut Pace) -> Observation {
        self.oldest = place.now;
        self.harmed = false;
        if !self.past.is_empty() {
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
                answer("services", vec![place.described()])
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
                |place| {
                    let mut record = place.our_record();
                    if record.is_null() {
                        return json!({ "serviceDeployments": [] });
                    }
                    record["targetServiceRevisionArn"] = record["targetServiceRevision"]["arn"].clone();
                    answer("serviceDeployments", vec![record])
                },
            );
            if let Outcome::Said(said) = &listed.outcome {
                self.service_deployment = service_deployment_arn(said, &place.ours);
            }
            answers.push(listed);
        }
        if let Some(arn) = self.service_deployment.clone() {
            let asked = json!({ "serviceDeploymentArns": [arn] });
            answers.push(self.answer(
                place,
                Call::Deployments,
                DESCRIBE_SERVICE_DEPLOYMENTS,
                asked,
                |place| answer("serviceDeployments", vec![place.our_record()]),
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
        }
        let mut said = None;
        let mut failed = None;
        let harms = self.harms(call);
        for harm in &harms {
            match harm {
                Harm::Stale(by) => said = said.or_else(|| self.stale(action, &asked, *by)),
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
                let mut said = said.unwrap_or_else(|| truth(place));
                for harm in &harms {
                    mangle(&mut said, *harm);
                }
                if self.script.extra_members {
                    add_members(&mut said);
                }
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

    /// What this operation answered so many looks ago.
    fn stale(&mut self, action: &str, asked: &Value, by: u32) -> Option<Value> {
        let last = self.past.len().checked_sub(1)?;
        let then = &self.past[last.saturating_sub(by as usize)];
        let said = match action {
            DESCRIBE_SERVICES => json!({ "services": [then.service], "failures": [] }),
            LIST_SERVICE_DEPLOYMENTS | DESCRIBE_SERVICE_DEPLOYMENTS if then.record.is_null() => {
                json!({ "serviceDeployments": [], "failures": [] })
            }
            LIST_SERVICE_DEPLOYMENTS => {
                let mut record = then.record.clone();
                record["targetServiceRevisionArn"] = record["targetServiceRevision"]["arn"].clone();
                json!({ "serviceDeployments": [record] })
            }
            DESCRIBE_SERVICE_DEPLOYMENTS => json!({ "serviceDeployments": [then.record] }),
            LIST_TASKS => {
                let all: Vec<&Value> = then.running.iter().chain(&then.stopped).collect();
                json!({ "taskArns": all })
            }
            DESCRIBE_TASKS => {
                let asked = asked["tasks"].as_array().unwrap();
                let known = |task: &&Value| asked.contains(&task["taskArn"]);
                json!({ "tasks": then.tasks.iter().filter(known).collect::<Vec<_>>() })
            }
            // A revision does not change, but for digests that are known later.
            DESCRIBE_SERVICE_REVISIONS => return None,
            DESCRIBE_TARGET_HEALTH => json!({ "TargetHealthDescriptions": then.targets }),
            other => panic!("no stale answer of {other}"),
        };
        self.oldest = self.oldest.min(then.at);
        Some(said)
    }
}

/// Changes every member of that name, at any depth.
fn mangle(value: &mut Value, harm: Harm) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| mangle(item, harm)),
        Value::Object(members) => {
            match harm {
                Harm::Word(name) => {
                    if let Some(word @ Value::String(_)) = members.get_mut(name) {
                        *word = json!("HALF_WAY");
                    }
                }
                Harm::Drop(name) => {
                    members.shift_remove(name);
                }
                Harm::Null(name) => {
                    if let Some(member) = members.get_mut(name) {
                        *member = Value::Null;
                    }
                }
                Harm::Stale(_) | Harm::Lost | Harm::Denied | Harm::NoCredentials | Harm::Unsupported => {
                    return;
                }
            }
            members.values_mut().for_each(|member| mangle(member, harm));
        }
        _ => {}
    }
}

/// Adds members that nobody knows to every object.
fn add_members(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(add_members),
        Value::Object(members) => {
            members.values_mut().for_each(add_members);
            members.insert(
                "statusOfTomorrow".to_owned(),
                json!({ "state": "COMPLETED", "count": 7 }),
            );
        }
        _ => {}
    }
}
