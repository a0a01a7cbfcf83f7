//! Lifecycle hooks: Lambda functions that a scenario answers for, and pauses that somebody must end.

use super::Timings;
use super::ids::Ids;
use super::request::{list, set, stamp, text, texts};
use super::stages::{LifecycleStage, minutes};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// DeploymentLifecycleHookTimeoutConfiguration: "Default: 1440 (24 hours)".
const USUAL_MINUTES: u32 = 1440;

/// What a Lambda function behind a hook comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HookOutcome {
    /// It returns SUCCEEDED.
    #[default]
    Succeeds,
    /// It returns FAILED.
    Fails,
    /// It returns something without a `hookStatus`, or crashes.
    Breaks,
    /// It returns IN_PROGRESS for ever.
    Hangs,
}

/// One scripted answer: which invocations of Lambda hooks it is for, as far as it says, and the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HookRule {
    /// The service's name.
    pub service: Option<String>,
    /// The end of the function's ARN, such as its name.
    pub target: Option<String>,
    /// The lifecycle stage, such as `POST_SCALE_UP`.
    pub stage: Option<String>,
    /// How many invocations it answers, at most.
    pub times: Option<u32>,
    /// The answer.
    pub outcome: HookOutcome,
    /// From the invocation to the answer; the usual time when not given.
    pub after: Option<Duration>,
}

/// What Lambda functions answer: the first rule that matches decides, and SUCCEEDED is the answer without one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HookScript {
    /// The rules.
    pub rules: Vec<HookRule>,
    /// How many invocations each of them answered.
    used: Vec<u32>,
}

impl HookScript {
    /// A script of these rules.
    #[must_use]
    pub fn new(rules: Vec<HookRule>) -> Self {
        let used = vec![0; rules.len()];
        Self { rules, used }
    }

    /// The answer to one invocation: what it is, and how long it takes.
    fn answer(&mut self, service: &str, target: &str, stage: LifecycleStage, usual: Duration) -> Answer {
        let fits = |rule: &HookRule| {
            rule.service.as_deref().is_none_or(|wanted| wanted == service)
                && rule
                    .target
                    .as_deref()
                    .is_none_or(|wanted| target.ends_with(wanted))
                && rule
                    .stage
                    .as_deref()
                    .is_none_or(|wanted| wanted == stage.as_str())
        };
        for (rule, used) in self.rules.iter().zip(&mut self.used) {
            if fits(rule) && rule.times.is_none_or(|most| *used < most) {
                *used += 1;
                return (rule.outcome, rule.after.unwrap_or(usual));
            }
        }
        (HookOutcome::Succeeds, usual)
    }
}

type Answer = (HookOutcome, Duration);

/// Where a hook is (DeploymentLifecycleHookStatus).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookStatus {
    /// A pause that nobody ended.
    AwaitingAction,
    /// A function that has not answered.
    InProgress,
    /// It lets the deployment go on.
    Succeeded,
    /// It wants a rollback.
    Failed,
    /// Nobody answered in time.
    TimedOut,
}

impl HookStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingAction => "AWAITING_ACTION",
            Self::InProgress => "IN_PROGRESS",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
        }
    }
}

/// One invocation of a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// `ecs-pause-...` or `ecs-lambda-...`.
    pub id: String,
    /// Where it is.
    pub status: HookStatus,
    /// The function's ARN and its coming answer; `None` for a pause.
    function: Option<(String, HookOutcome, Duration)>,
    expires: Duration,
    goes_on_at_timeout: bool,
}

impl Hook {
    /// Invokes the hooks that a deployment configuration has for a stage.
    pub fn invoke(
        now: Duration,
        configuration: &Value,
        stage: LifecycleStage,
        service: &str,
        (ids, script, timings): (&mut Ids, &mut HookScript, &Timings),
    ) -> Vec<Self> {
        let of_stage = list(configuration, "lifecycleHooks")
            .iter()
            .filter(|hook| texts(hook, "lifecycleStages").contains(&stage.as_str()));
        of_stage
            .map(|hook| {
                let timeout = &hook["timeoutConfiguration"];
                let limit = match &timeout["timeoutInMinutes"] {
                    Value::Null => timings.minute * USUAL_MINUTES,
                    given => minutes(given, timings.minute),
                };
                let pauses = text(hook, "targetType") == Some("PAUSE");
                let function = (!pauses).then(|| {
                    let target = text(hook, "hookTargetArn").unwrap_or_default();
                    let (outcome, after) = script.answer(service, target, stage, timings.hook);
                    (target.to_owned(), outcome, now + after)
                });
                Self {
                    id: ids.hook(if pauses { "pause" } else { "lambda" }),
                    status: if pauses {
                        HookStatus::AwaitingAction
                    } else {
                        HookStatus::InProgress
                    },
                    function,
                    expires: now + limit,
                    goes_on_at_timeout: text(timeout, "action") == Some("CONTINUE"),
                }
            })
            .collect()
    }

    /// The next instant at which it changes by itself.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        match (self.status, &self.function) {
            (HookStatus::InProgress, Some((_, outcome, at))) if *outcome != HookOutcome::Hangs => {
                Some(self.expires.min(*at))
            }
            (HookStatus::AwaitingAction | HookStatus::InProgress, _) => Some(self.expires),
            (HookStatus::Succeeded | HookStatus::Failed | HookStatus::TimedOut, _) => None,
        }
    }

    /// Takes the answer that is due, or runs out of time.
    pub fn settle(&mut self, now: Duration) {
        if self.due().is_none_or(|due| due > now) {
            return;
        }
        self.status = match &self.function {
            Some((_, HookOutcome::Succeeds, at)) if *at <= self.expires => HookStatus::Succeeded,
            Some((_, HookOutcome::Fails | HookOutcome::Breaks, at)) if *at <= self.expires => {
                HookStatus::Failed
            }
            Some(_) | None => HookStatus::TimedOut,
        };
    }

    /// Whether the deployment still waits for it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.status, HookStatus::AwaitingAction | HookStatus::InProgress)
    }

    /// Why the deployment must go back because of it (the wording of `statusReason`), if it must.
    #[must_use]
    pub fn complaint(&self, stage: LifecycleStage) -> Option<String> {
        let stage = stage.as_str();
        let rolled_back = format!("Service deployment rolled back because {stage}");
        let failed = format!("{rolled_back} lifecycle hook(s) failed.");
        match (self.status, &self.function) {
            (HookStatus::Failed, Some((target, HookOutcome::Breaks, _))) => Some(format!(
                "{failed} ECS was unable to parse the response from {target} due to HookStatus must not be null"
            )),
            (HookStatus::Failed, Some((target, ..))) => Some(format!(
                "{failed} Lifecycle hook target {target} returned FAILED status."
            )),
            (HookStatus::Failed, None) => Some(format!("{rolled_back} pause hook was rolled back.")),
            (HookStatus::TimedOut, _) if self.goes_on_at_timeout => None,
            (HookStatus::TimedOut, None) => Some(format!("{rolled_back} pause hook timed out.")),
            (HookStatus::TimedOut, Some((target, ..))) => {
                Some(format!("{failed} Lifecycle hook target {target} timed out."))
            }
            (HookStatus::AwaitingAction | HookStatus::InProgress | HookStatus::Succeeded, _) => None,
        }
    }

    /// As `lifecycleHookDetails` shows it.
    #[must_use]
    pub fn shape(&self) -> Value {
        let mut shape = Map::new();
        shape.insert("hookId".into(), json!(self.id));
        let kind = if self.function.is_some() {
            "AWS_LAMBDA"
        } else {
            "PAUSE"
        };
        shape.insert("targetType".into(), json!(kind));
        let target = self.function.as_ref().map(|(target, ..)| json!(target));
        set(&mut shape, "targetArn", target);
        shape.insert("status".into(), json!(self.status.as_str()));
        shape.insert("expiresAt".into(), stamp(self.expires));
        let action = if self.goes_on_at_timeout {
            "CONTINUE"
        } else {
            "ROLLBACK"
        };
        shape.insert("timeoutAction".into(), json!(action));
        Value::Object(shape)
    }
}
