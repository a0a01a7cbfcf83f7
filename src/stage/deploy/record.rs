//! What a capture says of a service beside its looks: what is asked of it, and what became of it.

use super::outcome::{Outcome, doing};
use super::prepare::Prepared;
use super::watch::Watch;
use crate::config::settings::DeploySettings;
use crate::ecs::capture::{Asked, Head, Told};
use crate::ecs::rollout::{Kept, Policy};
use crate::ecs::task_definition::TaskDefinition;
use crate::stage::Tools;
use serde_json::Value;
use std::collections::BTreeSet;

/// Records that the watch of a service begins.
pub(super) fn began(tools: &Tools, deploy: &DeploySettings, watch: &Watch<'_>) {
    if !tools.record.is_on() {
        return;
    }
    let prepared = watch.prepared;
    let baseline = if watch.changed {
        watch.begun.baseline()
    } else {
        prepared.baseline_of_unchanged()
    };
    let policy = Policy {
        timeout: watch.timeout(),
        ..prepared.policy(deploy)
    };
    // Without a deployment, what runs is what is told of.
    let (told_of, previous) = if watch.changed {
        (&prepared.wanted, Some(&prepared.running))
    } else {
        (&prepared.running, None)
    };
    let head = Head {
        name: prepared.name.to_string(),
        cluster: prepared.cluster.clone(),
        revision: watch.begun.revision.clone(),
        deployment: watch.begun.ours.deployment.clone(),
        previous: baseline.deployment.clone(),
        previous_arn: baseline.task_definition.clone(),
        elders: baseline.elders.clone(),
        taken_up: watch.kept.appeared,
        kept: (watch.kept != Kept::default()).then(|| watch.kept.clone()),
        prints: baseline.prints.iter().map(|print| print.digits()).collect(),
        previous_revision: previous.map(|_| prepared.revision().to_owned()),
        old_events: BTreeSet::new(),
        unchanged: !watch.changed,
        policy: Asked::of(&policy),
        before: Some(prepared.said.clone()),
        task_definition: document(told_of),
        previous_task_definition: previous.and_then(document),
    };
    tools.record.service(head, &baseline.events);
}

/// Records what became of a service. One that another's failure took with it has no exit code, whatever it was before.
pub(super) fn became(tools: &Tools, prepared: &Prepared, outcome: &Outcome) {
    let (cluster, service) = (prepared.cluster.as_str(), &prepared.name);
    tools.record.told(|| match outcome {
        Outcome::Proven(..) => Told::of(cluster, service, None),
        Outcome::Lost { failure, .. } => Told::of(cluster, service, Some(failure)),
        Outcome::HandedBack { waiting_on, .. } => Told::given_up(
            cluster,
            service,
            format!(
                "a later stretch goes on with it; it was {}",
                doing(waiting_on.as_ref())
            ),
        ),
        Outcome::Unwatched { doing, .. } => Told::given_up(
            cluster,
            service,
            format!("ECS goes on with it unwatched; it was {doing}"),
        ),
        Outcome::Back { aftermath, .. } => Told::given_up(cluster, service, format!("it {}", aftermath.left)),
        Outcome::Untouched(left) => Told::given_up(cluster, service, format!("it was not changed: {left}")),
    });
}

/// The whole document; what writes it leaves out the values of its environment.
pub(in crate::stage) fn document(definition: &TaskDefinition) -> Option<Value> {
    serde_json::from_slice(&definition.to_json()).ok()
}
