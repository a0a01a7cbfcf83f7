//! A service deployment, and a service revision.

use super::{list, number, optional, text, word};
use crate::ecs::observation::{
    Breaker, Hook, Revision, RevisionCounts, RevisionImage, Rollback, ServiceDeployment, Share,
};
use serde_json::Value;

/// An element of `serviceDeployments` (DescribeServiceDeployments).
#[must_use]
pub fn service_deployment(from: &Value) -> ServiceDeployment {
    let there = |value: &Value| value.is_object();
    let target = &from["targetServiceRevision"];
    let rollback = &from["rollback"];
    let breaker = &from["deploymentCircuitBreaker"];
    ServiceDeployment {
        arn: word(&from["serviceDeploymentArn"]).to_owned(),
        status: word(&from["status"]).into(),
        reason: text(&from["statusReason"]),
        target: there(target).then(|| counts(target)),
        rollback: there(rollback).then(|| Rollback {
            reason: text(&rollback["reason"]),
            revision: text(&rollback["serviceRevisionArn"]),
        }),
        breaker: there(breaker).then(|| Breaker {
            status: word(&breaker["status"]).into(),
            failures: number(&breaker["failureCount"]).unwrap_or_default(),
            threshold: number(&breaker["threshold"]).unwrap_or_default(),
        }),
        alarms: optional(&from["alarms"]["status"]),
        triggered_alarms: list(&from["alarms"]["triggeredAlarmNames"])
            .iter()
            .filter_map(text)
            .collect(),
        strategy: optional(&from["deploymentConfiguration"]["strategy"]),
        stage: optional(&from["lifecycleStage"]),
        hooks: list(&from["lifecycleHookDetails"]).iter().map(hook).collect(),
    }
}

fn counts(from: &Value) -> RevisionCounts {
    let share = |value: &Value| value.as_f64().and_then(Share::of_percent);
    RevisionCounts {
        arn: word(&from["arn"]).to_owned(),
        requested: number(&from["requestedTaskCount"]),
        running: number(&from["runningTaskCount"]),
        pending: number(&from["pendingTaskCount"]),
        production: share(&from["requestedProductionTrafficWeight"]),
        test: share(&from["requestedTestTrafficWeight"]),
    }
}

fn hook(from: &Value) -> Hook {
    Hook {
        id: word(&from["hookId"]).to_owned(),
        target: word(&from["targetType"]).into(),
        target_arn: text(&from["targetArn"]),
        status: word(&from["status"]).into(),
        on_timeout: optional(&from["timeoutAction"]),
    }
}

/// An element of `serviceRevisions` (DescribeServiceRevisions).
#[must_use]
pub fn revision(from: &Value) -> Revision {
    Revision {
        arn: word(&from["serviceRevisionArn"]).to_owned(),
        task_definition: text(&from["taskDefinition"]),
        images: list(&from["containerImages"])
            .iter()
            .map(|image| RevisionImage {
                container: word(&image["containerName"]).to_owned(),
                digest: image["imageDigest"]
                    .as_str()
                    .and_then(|digest| digest.parse().ok()),
            })
            .collect(),
    }
}
