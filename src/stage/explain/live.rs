//! A live service's last deployment: looked at with read-only calls, recorded, and judged as any capture.

use super::{Explained, From, Standing, explain};
use crate::ecs::answers::last::{Last, last};
use crate::ecs::capture::{Asked, Capture, Change, Closing, End, Head, Header, Recorded, Step, Told, replay};
use crate::ecs::diagnosis::could_not_look;
use crate::ecs::observation::revision_name;
use crate::ecs::rollout::{Goal, Policy, Verdict, WaitingOn};
use crate::ecs::service::{Ecs, ServiceError, Watched};
use crate::ecs::task_definition::TaskDefinition;
use crate::failure::{Failure, Kind};
use crate::name::{ImageRef, ServiceName};
use crate::report::event::Event;
use crate::secret::Secret;
use crate::secret::redact::{mask, unless_public};
use crate::shutdown::Urgency;
use crate::stage::Tools;
use crate::stage::deploy::hidden::{masked, names, texts};
use crate::stage::deploy::prepare::cannot_ask;
use crate::stage::deploy::record::document;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Looks at most; where one contradicts what is known of the service, it takes more than one to tell a stale answer.
const MOST_LOOKS: usize = 4;

/// Between two of them.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

/// A live service.
#[derive(Debug, Clone)]
pub struct LivePlan {
    /// Its cluster: a short name or an ARN.
    pub cluster: String,
    /// Its name.
    pub service: ServiceName,
}

/// Explains the last deployment of live services, one after the other.
///
/// # Errors
/// A service cannot be described, or a stop was asked for.
pub async fn live(tools: &Tools, plans: &[LivePlan]) -> Result<Vec<Explained>, Failure> {
    let look = async {
        let mut explained = Vec::new();
        for plan in plans {
            explained.extend(one(tools, plan).await?);
        }
        Ok(explained)
    };
    let outcome = tokio::select! {
        outcome = look => outcome,
        kind = tools.shutdown.reached(Urgency::WindDown) => {
            Err(Failure::new(kind, "stopped while looking").left("nothing was changed"))
        }
    };
    tools.record.end(|| End::of(outcome.as_ref().err()));
    outcome
}

async fn one(tools: &Tools, plan: &LivePlan) -> Result<Vec<Explained>, Failure> {
    let (recorded, hidden) = look(tools, plan).await?;
    let capture = Capture {
        header: Header::current(),
        services: vec![recorded],
        unwatched: Vec::new(),
        // What was looked at was looked at whole.
        end: Some(End::of(None)),
        expect: None,
        cut: false,
        unknown: 0,
    };
    let explained: Vec<Explained> = explain(&capture, &[], From::Live)?
        .into_iter()
        .map(|found| without(found, &hidden))
        .collect();
    for found in &explained {
        if let Some(exit_code) = found.exit_code() {
            tools.record.told(|| Told {
                exit_code: Some(exit_code),
                ..Told::of(&plan.cluster, &plan.service, found.failure())
            });
        }
    }
    Ok(explained)
}

/// What is told without the values of the environment.
fn without(found: Explained, values: &[Secret<String>]) -> Explained {
    let standing = match found.standing {
        Standing::Lost(word, failure) => Standing::Lost(word, masked(failure, values)),
        Standing::Waiting { on, trouble, left } => Standing::Waiting {
            on: mask(&on, values),
            trouble: trouble.map(|failure| masked(failure, values)),
            left: left.map(|left| mask(&left, values)),
        },
        Standing::Ended(failure) => Standing::Ended(masked(failure, values)),
        Standing::GivenUp(left) => Standing::GivenUp(mask(&left, values)),
        Standing::Healthy(proofs) => Standing::Healthy(proofs),
    };
    let step = |step: Step| Step {
        change: match step.change {
            Change::News(text) => Change::News(mask(&text, values)),
            Change::Waiting(text) => Change::Waiting(mask(&text, values)),
            Change::Blind(text) => Change::Blind(mask(&text, values)),
        },
        ..step
    };
    Explained {
        standing,
        steps: found.steps.into_iter().map(step).collect(),
        ..found
    }
}

/// What was seen of a service, and the values that no text may show.
async fn look(tools: &Tools, plan: &LivePlan) -> Result<(Recorded, Vec<Secret<String>>), Failure> {
    let aws = tools.aws.get().await?;
    let name = &plan.service;
    let ecs = Ecs::new(aws.clone(), &plan.cluster, name.as_str());
    let unseen = |error: ServiceError| {
        let failure = cannot_ask(error, name, aws.region());
        let kind = match failure.kind {
            Kind::Refused => Kind::Input,
            kind => kind,
        };
        Failure { kind, ..failure }
            .place(format!(
                "service `{name}` in cluster `{}`, region {}",
                plan.cluster,
                aws.region()
            ))
            .left("nothing was changed")
    };
    let surveyed = ecs.survey().await;
    let Some(last) = last(&plan.cluster, name.as_str(), &surveyed) else {
        // Asked once more for AWS's own words.
        let again = ecs.describe().await;
        return Err(match again {
            Err(error) => unseen(error),
            Ok(_) => unseen(ServiceError::Incomplete {
                action: "ecs:DescribeServices",
                lacks: "deployment",
            }),
        });
    };
    let definition = definition(tools, &ecs, name, &last).await;
    let head = head(plan, &last, definition.as_ref(), &ecs).await;
    let values = definition
        .iter()
        .flat_map(|(_, one)| one.secret_values())
        .collect();
    let named = Head {
        task_definition: None,
        ..head.clone()
    };
    let mut public = texts(&serde_json::to_value(&named).unwrap_or_default());
    if let Some((arn, definition)) = &definition {
        public.push(arn.clone());
        public.extend(names(definition));
        let images = definition
            .containers()
            .filter_map(|container| definition.image(container));
        public.extend(images.map(str::to_owned));
    }
    let hidden = unless_public(values, &public);
    tools.record.hide(hidden.clone());
    tools.record.service(head.clone(), &last.old_events);
    let mut recorded = Recorded {
        head: Head {
            old_events: last.old_events.clone(),
            ..head
        },
        looks: Vec::new(),
        closing: None,
        aftermath: None,
        told: None,
    };
    let mut watched = Watched::new(&last.deployment);
    let start = tools.clock.now();
    loop {
        let look = ecs.look_closely(&mut watched).await;
        let at = tools.clock.now().saturating_sub(start);
        tools
            .record
            .look(&[(plan.cluster.as_str(), name, at)], &look.answers);
        recorded.looks.push((at, look.answers));
        let so_far = replay(&recorded);
        let unsure = matches!(
            so_far.verdict,
            Verdict::Wait(WaitingOn::SecondLook | WaitingOn::RollbackToShow | WaitingOn::Digest { .. })
        );
        if let Verdict::Wait(on) = &so_far.verdict {
            // A digest that tasks do not tell is asked for elsewhere.
            watched.pace.waits_for(on);
        }
        if !unsure || recorded.looks.len() >= MOST_LOOKS {
            if so_far.verdict != Verdict::Healthy {
                let gathered = ecs.gather(&look.seen, &recorded.head.comparison()).await;
                tools.record.closing(&plan.cluster, name, &[], &gathered);
                recorded.closing = Some(Closing {
                    service: name.to_string(),
                    cluster: Some(plan.cluster.clone()),
                    answers: Vec::new(),
                    gathered,
                });
            }
            return Ok((recorded, hidden));
        }
        let _ = tools.clock.pause(BETWEEN_LOOKS, &tools.shutdown).await;
    }
}

/// The task definition that the deployment brings, and its ARN; a warning says why there is none.
async fn definition(
    tools: &Tools,
    ecs: &Ecs,
    service: &ServiceName,
    last: &Last,
) -> Option<(String, TaskDefinition)> {
    let warn = |what: &str| {
        tools.tell.tell(Event::Warning(format!(
            "service `{service}`: {what}, so health checks, images and logs of the deployment are not known"
        )));
    };
    let arn = match (&last.task_definition, &last.revision) {
        (Some(arn), _) => Some(arn.clone()),
        (None, Some(revision)) => match ecs.task_definition_of(revision).await {
            Ok(arn) => arn,
            Err(blind) => {
                warn(&could_not_look(&blind.action, blind.why));
                return None;
            }
        },
        (None, None) => None,
    };
    let Some(arn) = arn else {
        warn("ECS does not show any more which task definition it had");
        return None;
    };
    match ecs.task_definition(&arn).await {
        Ok(definition) => Some((arn, definition)),
        Err(error) => {
            warn(&crate::failure::chain(&error));
            None
        }
    }
}

async fn head(
    plan: &LivePlan,
    last: &Last,
    definition: Option<&(String, TaskDefinition)>,
    ecs: &Ecs,
) -> Head {
    let mut images = BTreeMap::new();
    let mut checked = BTreeSet::new();
    if let Some((_, definition)) = definition {
        for container in definition.containers() {
            let Ok(name) = container.parse() else { continue };
            if definition.is_essential(container) && definition.has_health_check(container) {
                checked.insert(container.to_owned());
            }
            let image = definition
                .image(container)
                .and_then(|image| image.parse::<ImageRef>().ok());
            if let Some(image) = image
                && let Some(expected) = ecs.expected(&image).await
            {
                images.insert(name, expected);
            }
        }
    }
    let policy = Policy {
        goal: Goal::Healthy,
        timeout: Duration::MAX,
        checked: checked.iter().filter_map(|name| name.parse().ok()).collect(),
        images,
        // Whoever set the desired count to 0 knows; it is told.
        allow_zero: true,
    };
    Head {
        name: plan.service.to_string(),
        cluster: plan.cluster.clone(),
        revision: definition.map_or_else(String::new, |(arn, _)| revision_name(arn).to_owned()),
        deployment: last.deployment.clone(),
        previous: last.previous.clone(),
        previous_arn: last.previous_task_definition.clone(),
        elders: BTreeSet::new(),
        taken_up: false,
        kept: None,
        prints: BTreeSet::new(),
        previous_revision: last
            .previous_task_definition
            .as_deref()
            .map(|arn| revision_name(arn).to_owned()),
        old_events: BTreeSet::new(),
        unchanged: false,
        policy: Asked::of(&policy),
        before: None,
        task_definition: definition.and_then(|(_, definition)| document(definition)),
        previous_task_definition: None,
    }
}
