//! What became of our deployment: still the primary one, failed, replaced, or out of sight.

use super::monitors::{cause, failed_because, found_failure, goes_back, in_words};
use super::{Loss, Print, RollbackCause, Rollout, Verdict, WaitingOn, signs, unknown};
use crate::ecs::observation::{
    Blind, BlindReason, Deployment, DeploymentStatus, Observation, Rollback, RolloutState, Service,
    ServiceDeployment, ServiceDeploymentStatus,
};

/// Looks in a row that must show a thing that earlier ones contradict; ECS's answers are eventually consistent.
pub const LOOKS_TO_VANISH: u32 = 3;

/// The same, where our service deployment says otherwise or ours was never seen.
const LOOKS_AGAINST_DOUBT: u32 = 8;

impl Rollout {
    /// A verdict if our deployment is not the primary one any more, or not in a state that can become healthy.
    pub(super) fn fate(&mut self, service: &Service, seen: &Observation) -> Option<Verdict> {
        let ours = service.deployment(&self.ours.deployment);
        self.note(ours, service, seen);
        let theirs = self.our_service_deployment(seen);
        let told = theirs.and_then(|theirs| self.of_service_deployment(theirs, service));
        if let Some(Verdict::Lost(_)) = told {
            return told;
        }
        let shown = match ours {
            Some(ours) => self.of_ours(ours, service),
            None => Some(self.of_absence(service, theirs)),
        };
        match shown {
            // A loss that one of the two APIs is sure of counts, whatever else is not understood.
            Some(Verdict::Lost(_)) => shown,
            _ => told.or(shown),
        }
    }

    /// Remembers that service deployments may not be seen, also of a look whose service is from the past. Refused for
    /// good, they are not asked for again: what they said once must not be waited for.
    pub(super) fn note_refusal(&mut self, seen: &Observation) {
        let refused = |blind: &Blind| {
            blind.action.ends_with("ServiceDeployments")
                && matches!(blind.why, BlindReason::Denied | BlindReason::Unsupported)
        };
        if seen.blind.iter().any(refused) {
            self.memory.service_deployments_seen = false;
        }
    }

    /// Remembers what later looks may miss.
    fn note(&mut self, ours: Option<&Deployment>, service: &Service, seen: &Observation) {
        self.memory.appeared |= ours.is_some();
        self.memory.service_deployments_seen |= self.our_service_deployment(seen).is_some();
        self.note_refusal(seen);
        if ours.is_some_and(|ours| ours.status == DeploymentStatus::Primary) {
            self.memory.vanished = 0;
            let others = service.deployments.iter().map(|other| &other.id);
            let elders = others.filter(|id| **id != self.ours.deployment).cloned();
            self.memory.elders.extend(elders);
        }
    }

    /// The look's service deployment, if its target revision has the number of our deployment.
    pub(super) fn our_service_deployment<'a>(&self, seen: &'a Observation) -> Option<&'a ServiceDeployment> {
        let number = self.ours.deployment.rsplit('/').next()?;
        seen.service_deployment.as_ref().filter(|found| {
            found
                .target
                .as_ref()
                .is_some_and(|target| target.arn.rsplit('/').next() == Some(number))
        })
    }

    fn of_service_deployment(
        &mut self,
        deployment: &ServiceDeployment,
        service: &Service,
    ) -> Option<Verdict> {
        let loss = match &deployment.status {
            ServiceDeploymentStatus::Pending | ServiceDeploymentStatus::InProgress => {
                // A monitor that has found its failure ends the deployment next.
                let why = found_failure(deployment)?;
                if goes_back(service, &why) == Some(true) {
                    Loss::RollingBack { why }
                } else {
                    Loss::Failed {
                        reason: in_words(why),
                    }
                }
            }
            ServiceDeploymentStatus::Successful => return None,
            ServiceDeploymentStatus::RollbackRequested | ServiceDeploymentStatus::RollbackInProgress => {
                Loss::RollingBack {
                    why: cause(deployment),
                }
            }
            ServiceDeploymentStatus::RollbackSuccessful => Loss::RolledBack {
                why: cause(deployment),
            },
            ServiceDeploymentStatus::RollbackFailed => Loss::RollbackFailed {
                reason: deployment.reason.clone(),
            },
            ServiceDeploymentStatus::StopRequested | ServiceDeploymentStatus::Stopped => {
                return Some(self.of_stop(deployment, service));
            }
            ServiceDeploymentStatus::Unrecognised(value) => {
                return Some(unknown("service deployment status", Some(value)));
            }
        };
        Some(Verdict::Lost(loss))
    }

    /// `STOPPED` has three causes: a breaker or alarm without rollback, a newer deployment, or somebody's request.
    fn of_stop(&mut self, deployment: &ServiceDeployment, service: &Service) -> Verdict {
        if let Some(rollback) = &deployment.rollback {
            return self.of_stopped_rollback(deployment, rollback, service);
        }
        let why = cause(deployment);
        if found_failure(deployment).is_some() || !matches!(why, RollbackCause::Other(_)) {
            return Verdict::Lost(Loss::Failed {
                reason: in_words(why),
            });
        }
        match service.primary() {
            Some(primary) if self.is_stranger(primary) => superseded(primary),
            // DescribeServices may lag behind: a newer deployment, or a failure, shows at one of the next looks.
            _ => {
                self.memory.stopped += 1;
                if self.memory.stopped < LOOKS_TO_VANISH {
                    return Verdict::Wait(WaitingOn::SecondLook);
                }
                Verdict::Lost(Loss::Stopped {
                    reason: deployment.reason.clone(),
                })
            }
        }
    }

    /// It was going back when a newer deployment stopped that. A rollback may have a deployment of its own, which is no
    /// newer one.
    fn of_stopped_rollback(
        &self,
        deployment: &ServiceDeployment,
        rollback: &Rollback,
        service: &Service,
    ) -> Verdict {
        let number = |text: &str| text.rsplit('/').next().map(str::to_owned);
        match service.primary() {
            Some(primary)
                if self.is_stranger(primary)
                    && rollback.revision.as_deref().and_then(number) != number(&primary.id) =>
            {
                superseded(primary)
            }
            _ => Verdict::Lost(Loss::RollingBack {
                why: cause(deployment),
            }),
        }
    }

    fn of_ours(&mut self, ours: &Deployment, service: &Service) -> Option<Verdict> {
        if ours.rollout == Some(RolloutState::Failed) {
            return Some(self.of_failure(ours.reason.as_deref(), service));
        }
        let primary = ours.status == DeploymentStatus::Primary;
        if let Some(why) = self.failure_event(service).map(str::to_owned) {
            return Some(self.of_failure(Some(&why), service));
        }
        if !primary && let DeploymentStatus::Unrecognised(value) = &ours.status {
            return Some(unknown("deployment status", Some(value)));
        }
        if !primary {
            return Some(self.of_replacement(service));
        }
        match &ours.rollout {
            Some(RolloutState::Unrecognised(value)) => Some(unknown("rollout state", Some(value))),
            Some(RolloutState::InProgress | RolloutState::Completed | RolloutState::Failed) | None => None,
        }
    }

    /// ECS says that ours failed. Whether it rolls back is in its words, in the service's settings, or in who is
    /// primary.
    fn of_failure(&mut self, reason: Option<&str>, service: &Service) -> Verdict {
        let why = failed_because(reason);
        let failed = Loss::Failed {
            reason: reason.map(str::to_owned),
        };
        let primary = service.primary();
        let goes_back = goes_back(service, &why);
        let announced = signs::rolls_back_to(service, &self.baseline.events, &self.ours.deployment);
        if let Some(primary) = primary
            && self.is_stranger(primary)
            && !self.brings_back(primary)
            && announced != Some(primary.id.as_str())
            && !(goes_back != Some(false) && self.baseline.task_definition.is_none())
        {
            return superseded(primary);
        }
        let returned = primary.filter(|primary| primary.id != self.ours.deployment);
        if let Some(returned) = returned {
            return Verdict::Lost(self.came_back(returned, service, why));
        }
        if reason.is_some_and(says_rolling_back) || announced.is_some() {
            return Verdict::Lost(Loss::RollingBack { why });
        }
        match goes_back {
            Some(false) => return Verdict::Lost(failed),
            None => return self.unless_announced(failed),
            Some(true) => {}
        }
        let candidate = |other: &Deployment| {
            other.id != self.ours.deployment && other.rollout == Some(RolloutState::Completed)
        };
        if service.deployments.iter().any(candidate) {
            return Verdict::Lost(Loss::RollingBack { why });
        }
        // Announced and never begun: there is no completed deployment to go back to.
        self.unless_announced(failed)
    }

    /// Failed, unless one of the next looks shows a rollback.
    fn unless_announced(&mut self, failed: Loss) -> Verdict {
        self.memory.announced += 1;
        if self.memory.announced < LOOKS_TO_VANISH {
            return Verdict::Wait(WaitingOn::RollbackToShow);
        }
        Verdict::Lost(failed)
    }

    /// Ours is listed, not the primary one, and nothing says that it failed.
    fn of_replacement(&mut self, service: &Service) -> Verdict {
        match service.primary() {
            None => Verdict::Wait(WaitingOn::SecondLook),
            // Somebody's deployment of the old revision, or a rollback whose other signs follow.
            Some(primary) if self.is_stranger(primary) && self.brings_back(primary) => {
                self.after_looks(LOOKS_TO_VANISH, supersession(primary))
            }
            Some(primary) if self.is_stranger(primary) => superseded(primary),
            Some(primary) => self.of_return(primary, service, LOOKS_TO_VANISH),
        }
    }

    /// Ours is not listed.
    fn of_absence(&mut self, service: &Service, theirs: Option<&ServiceDeployment>) -> Verdict {
        let Some(primary) = service.primary() else {
            return Verdict::Wait(WaitingOn::SecondLook);
        };
        let failed = self.failure_event(service).map(str::to_owned);
        let stranger = self.is_stranger(primary);
        if let Some(why) = failed {
            return self.of_failure(Some(&why), service);
        }
        // The answer from before UpdateService looks just like this.
        if !self.memory.appeared && !stranger {
            return Verdict::Wait(WaitingOn::DeploymentToAppear);
        }
        let goes_on = theirs.is_some_and(|theirs| {
            matches!(
                theirs.status,
                ServiceDeploymentStatus::Pending
                    | ServiceDeploymentStatus::InProgress
                    | ServiceDeploymentStatus::Successful
            )
        });
        let looks = if goes_on || !self.memory.appeared {
            LOOKS_AGAINST_DOUBT
        } else {
            LOOKS_TO_VANISH
        };
        if stranger {
            return self.after_looks(looks, supersession(primary));
        }
        self.of_return(primary, service, looks)
    }

    /// A deployment from before is the primary one again. A stale answer looks the same, so it takes an event that says
    /// so, or several looks.
    fn of_return(&mut self, primary: &Deployment, service: &Service, looks: u32) -> Verdict {
        let loss = self.came_back(primary, service, RollbackCause::Other(primary.reason.clone()));
        if signs::rolls_back_to(service, &self.baseline.events, &self.ours.deployment).is_some() {
            return Verdict::Lost(loss);
        }
        self.after_looks(looks, loss)
    }

    fn after_looks(&mut self, looks: u32, loss: Loss) -> Verdict {
        self.memory.vanished += 1;
        if self.memory.vanished < looks {
            return Verdict::Wait(WaitingOn::SecondLook);
        }
        Verdict::Lost(loss)
    }

    /// A deployment from before is the primary one again: the rollback is over when it is completed and nothing of ours
    /// is left.
    fn came_back(&self, primary: &Deployment, service: &Service, why: RollbackCause) -> Loss {
        let left = service.deployment(&self.ours.deployment).is_some();
        if !left && primary.rollout == Some(RolloutState::Completed) {
            Loss::RolledBack { why }
        } else {
            Loss::RollingBack { why }
        }
    }

    /// Neither ours nor one that ours replaced.
    fn is_stranger(&self, deployment: &Deployment) -> bool {
        deployment.id != self.ours.deployment
            && self.baseline.deployment.as_ref() != Some(&deployment.id)
            && !self.memory.elders.contains(&deployment.id)
            && !self.baseline.prints.contains(&Print::of(&deployment.id))
    }

    /// Whether a deployment brings what was there before ours.
    fn brings_back(&self, deployment: &Deployment) -> bool {
        self.baseline.task_definition.as_ref() == Some(&deployment.task_definition)
    }

    /// Why an event since our update says that our deployment failed.
    fn failure_event<'a>(&self, service: &'a Service) -> Option<&'a str> {
        signs::failure(service, &self.baseline.events, &self.ours.deployment)
    }
}

fn supersession(by: &Deployment) -> Loss {
    Loss::Superseded {
        by: by.id.clone(),
        task_definition: by.task_definition.clone(),
    }
}

fn superseded(by: &Deployment) -> Verdict {
    Verdict::Lost(supersession(by))
}

/// `ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/...`, with or without a period.
fn says_rolling_back(reason: &str) -> bool {
    reason.contains("rolling back to")
}
