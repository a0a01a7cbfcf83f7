//! What became of our deployment: still the primary one, failed, replaced, or out of sight.

use super::{LOOKS_TO_VANISH, Loss, RollbackCause, Rollout, Verdict, WaitingOn, unknown};
use crate::ecs::observation::{
    BreakerSetting, Deployment, DeploymentStatus, MonitorStatus, Observation, RolloutState, Service,
    ServiceDeployment, ServiceDeploymentStatus,
};

impl Rollout {
    /// A verdict if our deployment is not the primary one any more, or not in a state that can become healthy.
    pub(super) fn fate(&mut self, service: &Service, seen: &Observation) -> Option<Verdict> {
        let ours = service.deployment(&self.ours.deployment);
        self.memory.appeared |= ours.is_some();
        if let Some(deployment) = self.our_service_deployment(seen)
            && let Some(verdict) = self.of_service_deployment(deployment, service)
        {
            return Some(verdict);
        }
        match ours {
            Some(ours) => self.of_ours(ours, service),
            None => Some(self.of_absence(service)),
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
            ServiceDeploymentStatus::Pending
            | ServiceDeploymentStatus::InProgress
            | ServiceDeploymentStatus::Successful => return None,
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
        match cause(deployment) {
            RollbackCause::Breaker { reason, .. } => return Verdict::Lost(Loss::Failed { reason }),
            RollbackCause::Alarms(names) => {
                return Verdict::Lost(Loss::Failed {
                    reason: Some(format!("alarms fired: {}", names.join(", "))),
                });
            }
            RollbackCause::Other(_) => {}
        }
        match service.primary() {
            Some(primary) if self.is_stranger(primary) => superseded(primary),
            // DescribeServices may lag behind: a newer deployment shows at one of the next looks.
            _ => self.after_looks(Loss::Stopped {
                reason: deployment.reason.clone(),
            }),
        }
    }

    fn of_ours(&mut self, ours: &Deployment, service: &Service) -> Option<Verdict> {
        match &ours.rollout {
            Some(RolloutState::Failed) => return Some(self.of_failure(ours, service)),
            Some(RolloutState::Unrecognised(value)) => return Some(unknown("rollout state", Some(value))),
            Some(RolloutState::InProgress | RolloutState::Completed) | None => {}
        }
        match &ours.status {
            DeploymentStatus::Primary => {
                self.memory.vanished = 0;
                None
            }
            DeploymentStatus::Active | DeploymentStatus::Inactive | DeploymentStatus::Draining => {
                Some(self.of_replacement(service))
            }
            DeploymentStatus::Unrecognised(value) => Some(unknown("deployment status", Some(value))),
        }
    }

    /// ECS says `FAILED`. Whether it rolls back is in the reason, in the service's settings, or in who is primary.
    fn of_failure(&mut self, ours: &Deployment, service: &Service) -> Verdict {
        let rolling = Loss::RollingBack {
            why: RollbackCause::Breaker {
                failures: None,
                reason: ours.reason.clone(),
            },
        };
        let failed = Loss::Failed {
            reason: ours.reason.clone(),
        };
        if ours.reason.as_deref().is_some_and(says_rolling_back) || self.rollback_event(service) {
            return Verdict::Lost(rolling);
        }
        match (service.primary(), service.breaker) {
            (Some(primary), _) if self.baseline.deployment.as_ref() == Some(&primary.id) => {
                Verdict::Lost(rolling)
            }
            (Some(primary), BreakerSetting::RollsBack) if primary.id != ours.id => Verdict::Lost(rolling),
            (Some(primary), _) if self.is_stranger(primary) => superseded(primary),
            (_, BreakerSetting::RollsBack) => {
                self.memory.announced += 1;
                if self.memory.announced < LOOKS_TO_VANISH {
                    return Verdict::Wait(WaitingOn::RollbackToShow);
                }
                // Announced and never begun: there is no completed deployment to go back to.
                Verdict::Lost(failed)
            }
            (_, BreakerSetting::Off | BreakerSetting::On) => Verdict::Lost(failed),
        }
    }

    /// Ours is listed, and not the primary one.
    fn of_replacement(&mut self, service: &Service) -> Verdict {
        match service.primary() {
            None => Verdict::Wait(WaitingOn::SecondLook),
            Some(primary) if self.is_stranger(primary) && !self.failure_event(service) => superseded(primary),
            Some(primary) => self.of_return(primary, service),
        }
    }

    /// Ours is not listed.
    fn of_absence(&mut self, service: &Service) -> Verdict {
        let Some(primary) = service.primary() else {
            return Verdict::Wait(WaitingOn::SecondLook);
        };
        let failed = self.failure_event(service);
        if self.is_stranger(primary) && !failed {
            return self.after_looks(Loss::Superseded {
                by: primary.id.clone(),
                task_definition: primary.task_definition.clone(),
            });
        }
        if self.memory.appeared || failed {
            return self.of_return(primary, service);
        }
        // The answer from before UpdateService looks just like this.
        Verdict::Wait(WaitingOn::DeploymentToAppear)
    }

    /// The deployment from before is the primary one again. A stale answer looks the same, so it takes an event that
    /// names our deployment, or several looks.
    fn of_return(&mut self, primary: &Deployment, service: &Service) -> Verdict {
        let why = RollbackCause::Other(primary.reason.clone());
        let loss = if primary.rollout == Some(RolloutState::Completed) {
            Loss::RolledBack { why }
        } else {
            Loss::RollingBack { why }
        };
        if self.failure_event(service) || self.rollback_event(service) {
            return Verdict::Lost(loss);
        }
        self.after_looks(loss)
    }

    fn after_looks(&mut self, loss: Loss) -> Verdict {
        self.memory.vanished += 1;
        if self.memory.vanished < LOOKS_TO_VANISH {
            return Verdict::Wait(WaitingOn::SecondLook);
        }
        Verdict::Lost(loss)
    }

    /// Neither ours nor the one from before.
    fn is_stranger(&self, deployment: &Deployment) -> bool {
        deployment.id != self.ours.deployment && self.baseline.deployment.as_ref() != Some(&deployment.id)
    }

    /// Whether an event since our update says that our deployment failed.
    fn failure_event(&self, service: &Service) -> bool {
        self.event(
            service,
            &format!("(deployment {}) deployment failed", self.ours.deployment),
        )
    }

    /// Whether an event since our update says that the service rolls back.
    fn rollback_event(&self, service: &Service) -> bool {
        self.event(service, ") rolling back to deployment")
    }

    fn event(&self, service: &Service, text: &str) -> bool {
        service
            .events
            .iter()
            .any(|event| !self.baseline.events.contains(&event.id) && event.message.contains(text))
    }
}

fn superseded(by: &Deployment) -> Verdict {
    Verdict::Lost(Loss::Superseded {
        by: by.id.clone(),
        task_definition: by.task_definition.clone(),
    })
}

/// `ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/...`, with or without a period.
fn says_rolling_back(reason: &str) -> bool {
    reason.contains("rolling back to")
}

fn cause(deployment: &ServiceDeployment) -> RollbackCause {
    let reason = deployment
        .rollback
        .as_ref()
        .and_then(|rollback| rollback.reason.clone())
        .or_else(|| deployment.reason.clone());
    if !deployment.triggered_alarms.is_empty() {
        return RollbackCause::Alarms(deployment.triggered_alarms.clone());
    }
    let tripped = deployment
        .breaker
        .as_ref()
        .filter(|breaker| breaker.status == MonitorStatus::Triggered);
    let named = reason
        .as_deref()
        .is_some_and(|reason| reason.contains("circuit breaker"));
    if tripped.is_some() || named {
        let failures = tripped.map(|breaker| (breaker.failures, breaker.threshold));
        return RollbackCause::Breaker { failures, reason };
    }
    RollbackCause::Other(reason)
}
