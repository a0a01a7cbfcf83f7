//! A lost rollout: looked at once more, undone if that is wanted and needed, and told.

use super::account::{Account, merge};
use super::begin::Beginning;
use super::prepare::Prepared;
use super::roll::Run;
use super::undo::{Undone, undo};
use super::watch::{Lost, running};
use crate::config::settings::OnFailure;
use crate::ecs::capture::{Aftermath, Line};
use crate::ecs::diagnosis::{Comparison, Gathered};
use crate::ecs::observation::Observation;
use crate::ecs::rollout::{Doubt, Loss};
use crate::ecs::service::ServiceError;
use crate::failure::{Failure, chain};
use crate::shutdown::Urgency;
use crate::stage::Tools;
use std::collections::BTreeSet;

impl Lost {
    /// Finds out why, rolls back if that is wanted and needed, and says all of it.
    pub(super) async fn into_failure(
        mut self: Box<Self>,
        run: &Run<'_>,
        prepared: &Prepared,
        begun: &Beginning,
    ) -> Failure {
        let tools = run.tools;
        let comparison = prepared.comparison(Some(&begun.revision));
        let gathered = self.look_closer(tools, prepared, &comparison).await;
        let deployed = Some((begun.ours.deployment.as_str(), begun.revision.as_str()));
        let old_events = begun.baseline().events;
        let account = Account {
            deployed,
            service_deployment: self.watched.service_deployment(),
            gathered: gathered.as_ref(),
            ..self.account(prepared, &comparison, &old_events)
        };
        if run.deploy.on_failure == OnFailure::Leave || !self.loss.leaves_new_revision() {
            return account.failure(None);
        }
        let undone = undo(run, prepared, &self, begun).await;
        let aftermath = aftermath(prepared, account.left(), undone, &begun.revision);
        tools.record.line(|| Line::Rollback(aftermath.clone()));
        account.failure(Some(aftermath))
    }

    /// The service runs what was asked for, and is not healthy; nothing was changed.
    pub(super) async fn into_failure_of_unchanged(
        mut self: Box<Self>,
        tools: &Tools,
        prepared: &Prepared,
        begun: &Beginning,
    ) -> Failure {
        let comparison = prepared.comparison(None);
        let gathered = self.look_closer(tools, prepared, &comparison).await;
        let old_events = begun.baseline().events;
        let account = Account {
            gathered: gathered.as_ref(),
            ..self.account(prepared, &comparison, &old_events)
        };
        account.failure(None)
    }

    /// What is known without asking further, of a service that was not changed.
    fn account<'a>(
        &'a self,
        prepared: &'a Prepared,
        comparison: &'a Comparison,
        old_events: &'a BTreeSet<String>,
    ) -> Account<'a> {
        Account {
            loss: &self.loss,
            service: &prepared.name,
            cluster: &prepared.cluster,
            deployed: None,
            service_deployment: None,
            elapsed: self.elapsed,
            seen: &self.seen,
            last_seen: self.last_seen.as_ref(),
            old_events,
            comparison,
            secrets: prepared.hidden.values(),
            gathered: None,
        }
    }

    /// Looks closer, unless a stop is asked for meanwhile.
    async fn look_closer(
        &mut self,
        tools: &Tools,
        prepared: &Prepared,
        comparison: &Comparison,
    ) -> Option<Gathered> {
        tokio::select! {
            gathered = self.gather(tools, prepared, comparison) => gathered,
            _ = tools.shutdown.reached(Urgency::WindDown) => None,
        }
    }

    /// One more look at everything, and what only a diagnosis asks for. Without credentials, or without the service,
    /// there is nothing to look at.
    async fn gather(
        &mut self,
        tools: &Tools,
        prepared: &Prepared,
        comparison: &Comparison,
    ) -> Option<Gathered> {
        if matches!(
            self.loss,
            Loss::CannotTell(Doubt::NoCredentials) | Loss::ServiceGone { .. }
        ) {
            return None;
        }
        let look = prepared.ecs.look_closely(&mut self.watched).await;
        if let Some(service) = look.seen.seen_service() {
            self.last_seen = Some(service.clone());
        }
        let before = std::mem::replace(&mut self.seen, Observation::unanswered());
        self.seen = merge(look.seen, before);
        let gathered = prepared.ecs.gather(&self.seen, comparison).await;
        let (cluster, name) = (prepared.cluster.as_str(), &prepared.name);
        tools.record.closing(cluster, name, &look.answers, &gathered);
        Some(gathered)
    }
}

/// What came of a rollback that slipway asked for; `revision` is ours, `left` what served before it.
fn aftermath(prepared: &Prepared, left: String, undone: Undone, revision: &str) -> Aftermath {
    let refusal = |error: Option<ServiceError>| error.map(|error| format!("rollback: {}", chain(&error)));
    let after = |rolled_back, left| Aftermath {
        service: prepared.name.to_string(),
        cluster: Some(prepared.cluster.clone()),
        rolled_back,
        left,
        evidence: Vec::new(),
        hints: Vec::new(),
    };
    match undone {
        Undone::Back { revision, left } => after(true, format!("`{revision}` is back; {left}")),
        Undone::UnderWay {
            revision,
            service,
            failures,
        } => {
            let left = service.as_deref().map_or(left, running);
            let left = format!(
                "{left}; ECS was asked to bring `{revision}` back and was still at it when last seen"
            );
            let hint = "look at the service before you act: the rollback was not seen to end";
            Aftermath {
                evidence: failures.into_iter().collect(),
                hints: vec![hint.to_owned()],
                ..after(true, left)
            }
        }
        Undone::NothingBefore => after(
            false,
            format!("{left}; no revision completed before, so there is nothing to go back to"),
        ),
        Undone::SameBefore => after(
            false,
            format!("{left}; it had `{revision}` before, too, so there is nothing else to go back to"),
        ),
        Undone::NotOurs(by) => after(
            false,
            format!("{left}; deployment {by} has replaced ours, so nothing was rolled back"),
        ),
        Undone::Refused(error) => Aftermath {
            evidence: refusal(error).into_iter().collect(),
            ..after(
                false,
                format!("{left}; the rollback was refused, so the service still wants `{revision}`"),
            )
        },
        Undone::Unknown(previous, error) => Aftermath {
            evidence: refusal(error).into_iter().collect(),
            ..after(
                false,
                format!(
                    "{left}; unknown whether the service wants `{revision}` still or `{previous}` again: the answer to \
                     the rollback was lost"
                ),
            )
        },
    }
}
