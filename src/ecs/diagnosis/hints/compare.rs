//! What a hint compares and names: sizes, platforms, images, roles, log groups, secrets, ports.

use super::super::targets::{Checked, checked};
use super::super::{Comparison, Revision};
use super::Facts;
use crate::ecs::observation::revision_name;
use crate::ecs::task_definition::{LogRoute, Shape};

fn ours<'a>(facts: &Facts<'a>) -> Option<&'a Revision> {
    facts.known.comparison.ours.as_ref()
}

fn shape<'a>(facts: &Facts<'a>) -> Option<&'a Shape> {
    facts.known.comparison.shape()
}

/// The execution role by its name.
pub(super) fn role(facts: &Facts<'_>) -> String {
    let role = shape(facts).and_then(|shape| shape.execution_role.as_deref());
    match role {
        Some(arn) => format!("the execution role `{}`", revision_name(arn)),
        None => "the execution role".to_owned(),
    }
}

/// What a container may use, and in which unit: its own hard limit, or the task's memory.
fn limit(revision: &Revision, container: Option<&str>) -> Option<String> {
    let own = container.and_then(|name| revision.shape.container(name)?.memory);
    match own {
        Some(memory) => Some(format!("{memory} MiB")),
        None => revision
            .shape
            .memory
            .as_ref()
            .map(|memory| format!("{memory} MiB of the whole task")),
    }
}

/// `` `web` may use 256 MiB in `shop:42`, and 512 MiB in `shop:41` ``.
pub(super) fn sizes(facts: &Facts<'_>) -> Option<String> {
    let Comparison { ours, previous } = facts.known.comparison;
    let ours = ours.as_ref()?;
    let now = limit(ours, facts.container)?;
    let container = facts
        .container
        .map_or("a container".to_owned(), |name| format!("`{name}`"));
    let before = previous
        .as_ref()
        .and_then(|revision| Some((revision, limit(revision, facts.container)?)));
    Some(match before {
        Some((revision, before)) if before == now => {
            format!(
                "{container} may use {now} in `{}`, as in `{}`",
                ours.name, revision.name
            )
        }
        Some((revision, before)) => {
            format!(
                "{container} may use {now} in `{}`, and had {before} in `{}`",
                ours.name, revision.name
            )
        }
        None => format!("{container} may use {now} in `{}`", ours.name),
    })
}

pub(super) fn memory(_: &str, facts: &Facts<'_>) -> String {
    match sizes(facts) {
        Some(sizes) => format!("{sizes}: raise `memory`, or find what uses more than before"),
        None => "raise `memory` in the task definition, or find what uses more than before".to_owned(),
    }
}

pub(super) fn platform(_: &str, facts: &Facts<'_>) -> String {
    let wanted = |revision: &Revision| {
        let platform = revision.shape.platform.as_deref();
        platform.unwrap_or("LINUX/X86_64").to_owned()
    };
    let Some(ours) = ours(facts) else {
        return "the image is built for another CPU: build it with the `platform` that `runtimePlatform` names".to_owned();
    };
    let platform = wanted(ours);
    let docker = platform.to_lowercase().replace("x86_64", "amd64");
    let before = facts.known.comparison.previous.as_ref();
    let before = before.filter(|before| wanted(before) != platform);
    let before = before.map(|before| format!(" (`{}` ran on {})", before.name, wanted(before)));
    format!(
        "the image is built for another CPU: `{}` runs on {platform}{}; build with `platform = \"{docker}\"`, or change \
         `runtimePlatform`",
        ours.name,
        before.unwrap_or_default()
    )
}

pub(super) fn not_found(_: &str, facts: &Facts<'_>) -> String {
    let image = shape(facts).and_then(|shape| shape.container(facts.container?)?.image.as_deref());
    match image {
        Some(image) => format!(
            "`{image}` is not there: was it pushed to that account and region, and not removed by a lifecycle rule?"
        ),
        None => "the image is not in its repository: was it pushed to that account and region, and not removed by a \
                 lifecycle rule?"
            .to_owned(),
    }
}

pub(super) fn no_route(_: &str, _: &Facts<'_>) -> String {
    "the task cannot reach the registry: a NAT gateway (or a public address), or VPC endpoints for ecr.api, ecr.dkr and \
     S3, is missing, or a security group is closed"
        .to_owned()
}

pub(super) fn no_pull_right(_: &str, facts: &Facts<'_>) -> String {
    format!(
        "{} may not pull: it needs ecr:GetAuthorizationToken, ecr:BatchGetImage and ecr:GetDownloadUrlForLayer, and the \
         repository's policy must allow the account",
        role(facts)
    )
}

pub(super) fn log_group(text: &str, facts: &Facts<'_>) -> String {
    let groups: Vec<String> = shape(facts)
        .iter()
        .flat_map(|shape| &shape.containers)
        .filter_map(|container| match &container.logs {
            LogRoute::CloudWatch { group, region, .. } => {
                let region = region.as_ref().map(|region| format!(" in {region}"));
                Some(format!("`{group}`{}", region.unwrap_or_default()))
            }
            LogRoute::Driver(_) | LogRoute::Nowhere => None,
        })
        .collect();
    let mut groups = groups;
    groups.dedup();
    let groups = if groups.is_empty() {
        "the log group".to_owned()
    } else {
        format!("the log group {}", groups.join(" or "))
    };
    if text.to_lowercase().contains("exist") {
        format!(
            "create {groups}, or set `awslogs-create-group` and allow logs:CreateLogGroup to {}",
            role(facts)
        )
    } else {
        format!(
            "the log driver cannot start: check {groups}, {} and the route to CloudWatch Logs",
            role(facts)
        )
    }
}

pub(super) fn secret(text: &str, facts: &Facts<'_>) -> String {
    let all: Vec<&(String, String)> = shape(facts)
        .iter()
        .flat_map(|shape| &shape.containers)
        .flat_map(|container| &container.secrets)
        .collect();
    // A reference may go on behind the ARN: the key in a JSON secret, its version.
    let named = |secret: &&&(String, String)| {
        let arn: Vec<&str> = secret.1.splitn(8, ':').take(7).collect();
        text.contains(&secret.1) || (arn.len() == 7 && text.contains(&arn.join(":")))
    };
    let new = |secret: &&&(String, String)| {
        let before = facts.known.comparison.previous.as_ref();
        let mut before = before.iter().flat_map(|before| &before.shape.containers);
        !before.any(|container| container.secrets.contains(*secret))
    };
    let found = all.iter().find(named).or_else(|| all.iter().find(new));
    let found = found.or_else(|| all.first().filter(|_| all.len() == 1));
    let which = found.map_or_else(
        || "a secret".to_owned(),
        |(name, from)| format!("secret `{from}` (variable `{name}`)"),
    );
    let lower = text.to_lowercase();
    if lower.contains("notfound") || lower.contains("can't find") || lower.contains("invalid parameters") {
        return format!(
            "{which} does not exist there: check its name, account and region, and that it was not deleted"
        );
    }
    if lower.contains("json key") {
        return format!("{which} has no such key: compare its JSON with the reference");
    }
    if lower.contains("timeout") || lower.contains("deadline exceeded") {
        return format!(
            "the task cannot reach {which}: a NAT gateway, or a VPC endpoint for secretsmanager or ssm, is missing"
        );
    }
    format!(
        "{} cannot read {which}: it needs secretsmanager:GetSecretValue or ssm:GetParameters, and kms:Decrypt for a key \
         of your own",
        role(facts)
    )
}

pub(super) fn checked_path(text: &str, facts: &Facts<'_>, answers: &str, advice: &str) -> String {
    let Some(checked) = checked(&facts.known, text) else {
        return format!("the health check's path {answers}: {advice}");
    };
    let codes = checked.check.and_then(|check| check.codes.as_deref());
    let codes = codes.map(|codes| format!(" (it wants {codes})"));
    format!(
        "{} of {} {answers}{}: {advice}{}",
        checked.target(),
        checked
            .container
            .map_or_else(|| "the container".to_owned(), |name| format!("`{name}`")),
        codes.unwrap_or_default(),
        mapped(&checked)
    )
}

/// ` its port mappings name 3000`, where the port that is checked is not among them.
fn mapped(checked: &Checked<'_>) -> String {
    let Some(port) = checked.misses() else {
        return String::new();
    };
    let ports: Vec<String> = checked.mapped.iter().map(ToString::to_string).collect();
    format!(
        " The check asks port {port}, and the task definition maps {}.",
        ports.join(", ")
    )
}

pub(super) fn mismatch(text: &str, facts: &Facts<'_>) -> String {
    checked(&facts.known, text).map_or_else(String::new, |checked| mapped(&checked))
}

/// `` port 8080 of `web` ``, and ` within 5 s`.
pub(super) fn port_and_patience(text: &str, facts: &Facts<'_>) -> (String, String) {
    let Some(checked) = checked(&facts.known, text) else {
        return ("the health check's port".to_owned(), String::new());
    };
    let container = checked
        .container
        .map_or_else(|| "the container".to_owned(), |name| format!("`{name}`"));
    let port = match checked.port() {
        Some(port) => format!("port {port} of {container}"),
        None => format!("the port of {container}"),
    };
    let seconds = checked.check.and_then(|check| check.timeout);
    (
        port,
        seconds
            .map(|seconds| format!(" within {seconds} s"))
            .unwrap_or_default(),
    )
}

pub(super) fn container_check(_: &str, facts: &Facts<'_>) -> String {
    let container = shape(facts).and_then(|shape| shape.container(facts.container?));
    let check = container.and_then(|container| Some((container, container.check.as_ref()?)));
    let Some((container, check)) = check else {
        return "run the health check's command inside the image; `startPeriod` gives a slow start time"
            .to_owned();
    };
    let program = match &check.program {
        Some(program) => format!("is `{program}` in the image of `{}`", container.name),
        None => format!(
            "does the check's command work in the image of `{}`",
            container.name
        ),
    };
    format!(
        "{program}, and is it ready in time? The check fails after {} tries, {} s apart, with a `startPeriod` of {} s",
        check.retries, check.interval, check.start_period
    )
}

pub(super) fn no_room(_: &str, facts: &Facts<'_>) -> String {
    match facts.known.seen.seen_service() {
        Some(service) => format!(
            "minimumHealthyPercent {} and maximumPercent {} leave no room to replace a task of {}: lower the one or raise \
             the other",
            service.percent.0, service.percent.1, service.desired
        ),
        None => "minimumHealthyPercent and maximumPercent leave no room to replace a task: lower the one or raise the \
                 other"
            .to_owned(),
    }
}
