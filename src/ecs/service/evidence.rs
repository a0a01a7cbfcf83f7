//! What only a diagnosis asks for: the last lines of a container's log, and how target groups check. No call that fails
//! keeps it from its end: what could not be looked at is told.

use super::Ecs;
use super::ask::blind;
use crate::aws::sort::{CallError, Sorted};
use crate::ecs::diagnosis::{
    Comparison, Diagnosis, Gathered, LogStream, LogTail, checks_wanted, diagnose, log_wanted,
};
use crate::ecs::observation::{Blind, GroupCheck, Observation};
use crate::secret::Secret;
use aws_sdk_elasticloadbalancingv2::types as elb;
use std::collections::BTreeSet;

/// The most lines of a container's log that are asked for.
pub const LOG_LINES: u32 = 20;

/// Answers in a row that may be empty although the stream goes on (GetLogEvents).
const MOST_EMPTY_ANSWERS: usize = 3;

/// A failed rollout, as far as looks have shown it.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The last look that listed tasks.
    pub seen: &'a Observation,
    /// Events that were there before our update.
    pub baseline: &'a BTreeSet<String>,
    /// The revision that failed, and the one before.
    pub comparison: &'a Comparison,
    /// Values that no text may show.
    pub secrets: &'a [Secret<String>],
}

impl Ecs {
    /// Asks for what a look does not show, and finds the root cause: at most two calls, none where the log cannot be
    /// there and no target group complains.
    pub async fn diagnose(&self, case: Case<'_>) -> Diagnosis {
        let gathered = self.gather(case.seen, case.comparison).await;
        diagnose(gathered.known(case.seen, case.baseline, case.comparison, case.secrets))
    }

    /// The same calls, and nothing else.
    pub async fn gather(&self, seen: &Observation, comparison: &Comparison) -> Gathered {
        let mut blind = Vec::new();
        let shape = comparison.shape();
        let wanted = log_wanted(seen, shape);
        let stream = wanted.zip(shape).and_then(|(wanted, shape)| {
            let stream = wanted.stream(shape)?;
            Some((wanted, stream))
        });
        let mut logs = Vec::new();
        if let Some((wanted, stream)) = stream {
            match self.last_lines(&stream, LOG_LINES).await {
                Ok(lines) => logs.push(LogTail {
                    container: wanted.container,
                    task: wanted.task,
                    lines,
                }),
                Err(why) => blind.push(why),
            }
        }
        let groups = checks_wanted(seen);
        let mut checks = Vec::new();
        if !groups.is_empty() {
            match self.group_checks(groups).await {
                Ok(found) => checks = found,
                Err(why) => blind.push(why),
            }
        }
        Gathered { logs, checks, blind }
    }

    /// The last lines of a stream, oldest first; none if nothing was ever written to it.
    ///
    /// # Errors
    /// What could not be seen, and why: `logs:GetLogEvents`.
    pub async fn last_lines(&self, of: &LogStream, lines: u32) -> Result<Vec<String>, Blind> {
        let mut token = None;
        for _ in 0..MOST_EMPTY_ANSWERS {
            let call = self
                .aws
                .logs
                .get_log_events()
                .log_group_name(&of.group)
                .log_stream_name(&of.stream)
                .limit(i32::try_from(lines).unwrap_or(i32::MAX))
                .start_from_head(false)
                .set_next_token(token.clone())
                .customize();
            let call = match &of.region {
                Some(region) => {
                    let region = aws_sdk_cloudwatchlogs::config::Region::new(region.clone());
                    call.config_override(aws_sdk_cloudwatchlogs::config::Builder::new().region(region))
                }
                None => call,
            };
            let answer = match call.send().await.map_err(CallError::of("logs:GetLogEvents")) {
                Ok(answer) => answer,
                Err(error) if matches!(error.sorted, Sorted::Missing { .. }) => return Ok(Vec::new()),
                Err(error) => return Err(blind(&error)),
            };
            let events = answer.events.unwrap_or_default();
            // The end of a stream answers with the token that it was asked with.
            let ended = answer.next_backward_token.is_none() || answer.next_backward_token == token;
            if !events.is_empty() || ended {
                return Ok(events.into_iter().filter_map(|event| event.message).collect());
            }
            token = answer.next_backward_token;
        }
        Ok(Vec::new())
    }

    /// How these target groups check their targets.
    ///
    /// # Errors
    /// What could not be seen, and why: `elasticloadbalancing:DescribeTargetGroups`.
    pub async fn group_checks(&self, groups: Vec<String>) -> Result<Vec<GroupCheck>, Blind> {
        let call = self.aws.elb.describe_target_groups();
        let answer = call.set_target_group_arns(Some(groups)).send().await;
        let answer = answer
            .map_err(CallError::of("elasticloadbalancing:DescribeTargetGroups"))
            .map_err(|error| blind(&error))?;
        Ok(answer.target_groups().iter().map(group_check).collect())
    }
}

fn group_check(from: &elb::TargetGroup) -> GroupCheck {
    let matcher = from.matcher();
    GroupCheck {
        arn: from.target_group_arn().unwrap_or_default().to_owned(),
        protocol: from
            .health_check_protocol()
            .map(|protocol| protocol.as_str().to_owned()),
        port: from.health_check_port().map(str::to_owned),
        path: from.health_check_path().map(str::to_owned),
        codes: matcher
            .and_then(|matcher| matcher.http_code().or(matcher.grpc_code()))
            .map(str::to_owned),
        timeout: from
            .health_check_timeout_seconds()
            .and_then(|seconds| u32::try_from(seconds).ok()),
    }
}
