//! The words of the APIs as enums, each with an arm for words that this version does not know.

use std::fmt;

/// Defines an enum over the words of an API, with an arm for words that this version does not know.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$arm_doc:meta])* $arm:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$arm_doc])* $arm,)*
            /// A word that this version does not know.
            Unrecognised(String),
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$arm,)*
                    other => Self::Unrecognised(other.to_owned()),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$arm => $word,)*
                    Self::Unrecognised(word) => word,
                })
            }
        }
    };
}

words! {
    /// `services[].status`.
    ServiceStatus {
        /// It serves.
        Active = "ACTIVE",
        /// It was deleted and its tasks are going.
        Draining = "DRAINING",
        /// It was deleted.
        Inactive = "INACTIVE",
    }
}
words! {
    /// `services[].deploymentController.type`.
    Controller {
        /// ECS's own deployments.
        Ecs = "ECS",
        /// AWS CodeDeploy moves task sets.
        CodeDeploy = "CODE_DEPLOY",
        /// A third party moves task sets.
        External = "EXTERNAL",
    }
}
words! {
    /// `deploymentConfiguration.strategy`.
    Strategy {
        /// New tasks replace old ones.
        Rolling = "ROLLING",
        /// Two revisions side by side, then a shift of traffic.
        BlueGreen = "BLUE_GREEN",
        /// Traffic shifts in equal steps.
        Linear = "LINEAR",
        /// A little traffic first.
        Canary = "CANARY",
    }
}
words! {
    /// `services[].deployments[].status`; ECS declares it as an open string.
    DeploymentStatus {
        /// The newest.
        Primary = "PRIMARY",
        /// It still has tasks, and is being replaced.
        Active = "ACTIVE",
        /// Fully replaced.
        Inactive = "INACTIVE",
        /// Not documented, seen on a failed deployment after its rollback began.
        Draining = "DRAINING",
    }
}
words! {
    /// `services[].deployments[].rolloutState`.
    RolloutState {
        /// Under way.
        InProgress = "IN_PROGRESS",
        /// Done.
        Completed = "COMPLETED",
        /// The circuit breaker or an alarm ended it.
        Failed = "FAILED",
    }
}
words! {
    /// `serviceDeployments[].status`.
    ServiceDeploymentStatus {
        /// Not started yet.
        Pending = "PENDING",
        /// Under way.
        InProgress = "IN_PROGRESS",
        /// Somebody asked for a stop.
        StopRequested = "STOP_REQUESTED",
        /// Stopped, or failed without a rollback.
        Stopped = "STOPPED",
        /// Done.
        Successful = "SUCCESSFUL",
        /// A rollback will begin.
        RollbackRequested = "ROLLBACK_REQUESTED",
        /// A rollback is under way.
        RollbackInProgress = "ROLLBACK_IN_PROGRESS",
        /// Rolled back.
        RollbackSuccessful = "ROLLBACK_SUCCESSFUL",
        /// The rollback failed too.
        RollbackFailed = "ROLLBACK_FAILED",
    }
}
words! {
    /// The state of a circuit breaker or of the deployment's alarms.
    MonitorStatus {
        /// It found a failure.
        Triggered = "TRIGGERED",
        /// It watches.
        Monitoring = "MONITORING",
        /// It found nothing.
        Complete = "MONITORING_COMPLETE",
        /// It is off.
        Disabled = "DISABLED",
    }
}
words! {
    /// `serviceDeployments[].lifecycleStage`.
    LifecycleStage {
        /// More than one revision was there at the start.
        ReconcileService = "RECONCILE_SERVICE",
        /// Nothing of the new revision runs.
        PreScaleUp = "PRE_SCALE_UP",
        /// The new revision's tasks start, without traffic.
        ScaleUp = "SCALE_UP",
        /// The new revision's tasks run, without traffic.
        PostScaleUp = "POST_SCALE_UP",
        /// Test traffic moves.
        TestTrafficShift = "TEST_TRAFFIC_SHIFT",
        /// Test traffic has moved.
        PostTestTrafficShift = "POST_TEST_TRAFFIC_SHIFT",
        /// Before each step of production traffic.
        PreProductionTrafficShift = "PRE_PRODUCTION_TRAFFIC_SHIFT",
        /// Production traffic moves.
        ProductionTrafficShift = "PRODUCTION_TRAFFIC_SHIFT",
        /// Production traffic has moved.
        PostProductionTrafficShift = "POST_PRODUCTION_TRAFFIC_SHIFT",
        /// Both revisions run, and ECS may still roll back.
        BakeTime = "BAKE_TIME",
        /// The old revision's tasks end.
        CleanUp = "CLEAN_UP",
    }
}
words! {
    /// `lifecycleHookDetails[].targetType`.
    HookTarget {
        /// A function.
        Lambda = "AWS_LAMBDA",
        /// Somebody's word, by ContinueServiceDeployment.
        Pause = "PAUSE",
    }
}
words! {
    /// `lifecycleHookDetails[].status`.
    HookStatus {
        /// Somebody must say whether to go on.
        AwaitingAction = "AWAITING_ACTION",
        /// It runs.
        InProgress = "IN_PROGRESS",
        /// It passed.
        Succeeded = "SUCCEEDED",
        /// It failed.
        Failed = "FAILED",
        /// Its time was over.
        TimedOut = "TIMED_OUT",
    }
}
words! {
    /// What ECS does when a hook's time is over.
    HookAction {
        /// It rolls back.
        Rollback = "ROLLBACK",
        /// It goes on.
        Continue = "CONTINUE",
    }
}
words! {
    /// `tasks[].lastStatus`.
    TaskStatus {
        /// Its network interface is being made.
        Provisioning = "PROVISIONING",
        /// It waits for resources.
        Pending = "PENDING",
        /// Images are pulled, containers made, targets registered.
        Activating = "ACTIVATING",
        /// It runs.
        Running = "RUNNING",
        /// It leaves its load balancer.
        Deactivating = "DEACTIVATING",
        /// Its containers are being stopped.
        Stopping = "STOPPING",
        /// Its network interface is being removed.
        Deprovisioning = "DEPROVISIONING",
        /// It ended.
        Stopped = "STOPPED",
        /// It is about to be forgotten.
        Deleted = "DELETED",
    }
}
words! {
    /// The health of a task or container by its container health check.
    Health {
        /// The check passes.
        Healthy = "HEALTHY",
        /// The check fails.
        Unhealthy = "UNHEALTHY",
        /// No check, or no result yet.
        Unknown = "UNKNOWN",
    }
}
words! {
    /// `tasks[].stopCode`.
    StopCode {
        /// It never ran.
        TaskFailedToStart = "TaskFailedToStart",
        /// An essential container ended.
        EssentialContainerExited = "EssentialContainerExited",
        /// Somebody stopped it.
        UserInitiated = "UserInitiated",
        /// The service's scheduler stopped it: a failed health check, or a normal replacement.
        ServiceSchedulerInitiated = "ServiceSchedulerInitiated",
        /// Spot capacity was taken back.
        SpotInterruption = "SpotInterruption",
        /// The host goes away.
        TerminationNotice = "TerminationNotice",
        /// The host is unhealthy.
        InfrastructureHealth = "InfrastructureHealth",
    }
}
words! {
    /// The state of a load balancer's target.
    TargetState {
        /// It is being registered, or its first checks run.
        Initial = "initial",
        /// It gets traffic.
        Healthy = "healthy",
        /// Its checks fail.
        Unhealthy = "unhealthy",
        /// Its checks fail while it drains.
        UnhealthyDraining = "unhealthy.draining",
        /// No listener uses it.
        Unused = "unused",
        /// It finishes its requests.
        Draining = "draining",
        /// Its health checks are off.
        Unavailable = "unavailable",
    }
}

#[cfg(test)]
mod tests {
    use super::{RolloutState, TargetState, TaskStatus};

    #[test]
    fn a_word_that_is_not_known_keeps_its_text_and_is_no_other_word() {
        assert_eq!(RolloutState::from("COMPLETED"), RolloutState::Completed);
        let unknown = RolloutState::from("COMPLETED_WITH_CARE");
        assert_eq!(
            unknown,
            RolloutState::Unrecognised("COMPLETED_WITH_CARE".to_owned())
        );
        assert_eq!(unknown.to_string(), "COMPLETED_WITH_CARE");
        assert_eq!(
            TargetState::from("unhealthy.draining").to_string(),
            "unhealthy.draining"
        );
        assert_ne!(TaskStatus::from("running"), TaskStatus::Running);
    }
}
