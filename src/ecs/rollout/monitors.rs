//! Which monitor found a failure, and whether it brings back what was there.

use super::RollbackCause;
use crate::ecs::observation::{BreakerSetting, MonitorStatus, Service, ServiceDeployment};

/// The cause in the words of `rolloutStateReason`, or of an event: `tasks failed to start`, `alarm detected`.
pub(super) fn failed_because(reason: Option<&str>) -> RollbackCause {
    let owned = reason.map(str::to_owned);
    match reason {
        Some(reason) if reason.contains("alarm") => RollbackCause::Other(owned),
        _ => RollbackCause::Breaker {
            failures: None,
            reason: owned,
        },
    }
}

/// The monitor that has found a failure, if one has.
pub(super) fn found_failure(deployment: &ServiceDeployment) -> Option<RollbackCause> {
    let breaker = deployment.breaker.as_ref();
    let tripped = breaker.is_some_and(|breaker| breaker.status == MonitorStatus::Triggered);
    let alarmed =
        deployment.alarms == Some(MonitorStatus::Triggered) || !deployment.triggered_alarms.is_empty();
    (tripped || alarmed).then(|| cause(deployment))
}

/// Whether the monitor that found the failure brings back what was there, by the service's settings. None where nothing
/// says which one it was, and they differ.
pub(super) fn goes_back(service: &Service, why: &RollbackCause) -> Option<bool> {
    let alarms = &service.configuration.alarms;
    let breaker = service.breaker == BreakerSetting::RollsBack;
    let reason = match why {
        RollbackCause::Alarms(_) => return Some(alarms.rolls_back),
        RollbackCause::Breaker {
            failures: Some(_), ..
        } => return Some(breaker),
        RollbackCause::Breaker { reason, .. } | RollbackCause::Other(reason) => {
            reason.as_deref().unwrap_or_default()
        }
    };
    if reason.contains("alarm") {
        return Some(alarms.rolls_back);
    }
    if reason.contains("circuit breaker") || reason.contains("failed to start") {
        return Some(breaker);
    }
    match (service.breaker, alarms.enabled) {
        (BreakerSetting::Off, _) => Some(alarms.rolls_back),
        (_, false) => Some(breaker),
        (BreakerSetting::On | BreakerSetting::RollsBack, true) => {
            (breaker == alarms.rolls_back).then_some(breaker)
        }
    }
}

pub(super) fn cause(deployment: &ServiceDeployment) -> RollbackCause {
    let reason = deployment
        .rollback
        .as_ref()
        .and_then(|rollback| rollback.reason.clone())
        .or_else(|| deployment.reason.clone());
    if !deployment.triggered_alarms.is_empty() {
        return RollbackCause::Alarms(deployment.triggered_alarms.clone());
    }
    if deployment.alarms == Some(MonitorStatus::Triggered) {
        let reason = reason.filter(|reason| reason.contains("alarm"));
        return RollbackCause::Other(reason.or_else(|| Some("an alarm fired".to_owned())));
    }
    let tripped = deployment
        .breaker
        .as_ref()
        .filter(|breaker| breaker.status == MonitorStatus::Triggered);
    let named = reason
        .as_deref()
        .is_some_and(|reason| reason.contains("circuit breaker"));
    if tripped.is_some() || named {
        let counted = tripped.filter(|breaker| breaker.threshold > 0);
        let failures = counted.map(|breaker| (breaker.failures, breaker.threshold));
        return RollbackCause::Breaker { failures, reason };
    }
    RollbackCause::Other(reason)
}

/// The cause of a failure without a rollback.
pub(super) fn in_words(why: RollbackCause) -> Option<String> {
    match why {
        RollbackCause::Alarms(names) => Some(format!("alarms fired: {}", names.join(", "))),
        RollbackCause::Breaker {
            failures: Some((failures, threshold)),
            reason: None,
        } => Some(format!(
            "the circuit breaker tripped after {failures} of {threshold} failures"
        )),
        RollbackCause::Breaker { reason, .. } | RollbackCause::Other(reason) => reason,
    }
}
