//! Advice for causes that are known, with what to compare.

mod compare;

use super::Known;
use compare::{
    checked_path, container_check, log_group, memory, mismatch, no_pull_right, no_room, no_route, not_found,
    platform, port_and_patience, role, secret, sizes,
};

/// What a hint may name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    /// The container to blame.
    pub container: Option<&'a str>,
    pub known: Known<'a>,
}

/// One cause: all of `words` occur in its text.
struct Advice {
    words: &'static [&'static str],
    hint: fn(&str, &Facts<'_>) -> String,
}

const fn of_words(words: &'static [&'static str], hint: fn(&str, &Facts<'_>) -> String) -> Advice {
    Advice { words, hint }
}

macro_rules! fixed {
    ($words:expr, $hint:expr) => {
        of_words($words, |_, _| $hint.to_owned())
    };
}

/// Causes as ECS, its agent and the shells of images word them, the special ones before the general ones.
const ADVICE: &[Advice] = &[
    of_words(&["exec format error"], platform),
    of_words(&["descriptor matching platform"], platform),
    of_words(&["no match for platform"], platform),
    of_words(&["out of memory"], memory),
    of_words(&["outofmemory"], memory),
    of_words(&["exited with code 137"], |_, facts| {
        format!(
            "exit code 137 is a kill: out of memory ({}), or no end within `stopTimeout`",
            sizes(facts).unwrap_or_else(|| "see `memory` in the task definition".to_owned())
        )
    }),
    fixed!(
        &["exited with code 139"],
        "exit code 139 is a segmentation fault: a native library may be built for another system"
    ),
    fixed!(
        &["exited with code 127"],
        "exit code 127 means that the command was not found in the image: check `command`, `entryPoint` and PATH"
    ),
    fixed!(
        &["exited with code 126"],
        "exit code 126 means that the command cannot be executed: is the file executable, and no folder?"
    ),
    fixed!(
        &["exited with code 0"],
        "an essential container must not end: keep its process in the foreground, set `essential` to false, or run it \
         as a one-off task"
    ),
    of_words(&["wrote nothing to its log"], |_, facts| {
        format!(
            "run the image of `{}` with the same command and environment, and see; what is to be read here goes to stdout \
             or stderr, and is flushed before the end",
            facts.container.unwrap_or("the container")
        )
    }),
    fixed!(
        &["cannotpull", "toomanyrequests"],
        "the registry limits pulls: keep a copy of the image in ECR, or use a pull-through cache"
    ),
    of_words(&["cannotpull", "not found"], not_found),
    of_words(&["cannotpull", "does not exist"], not_found),
    of_words(&["cannotpull", "manifest unknown"], not_found),
    of_words(&["cannotpull", "timeout"], no_route),
    of_words(&["cannotpull", "timed out"], no_route),
    of_words(&["cannotpull", "deadline exceeded"], no_route),
    of_words(&["cannotpull", "no such host"], no_route),
    of_words(&["cannotpull", "denied"], no_pull_right),
    of_words(&["cannotpull", "not authorized"], no_pull_right),
    of_words(&["cannotpull", "no basic auth"], no_pull_right),
    of_words(&["cannotpull", "403"], no_pull_right),
    fixed!(
        &["cannotpull", "no space left"],
        "the image does not fit on the task's disk: make it smaller, or raise `ephemeralStorage`"
    ),
    fixed!(
        &["cannotpull"],
        "the image cannot be pulled: check the repository, the execution role and the route to the registry"
    ),
    of_words(&["getauthorizationtoken", "denied"], no_pull_right),
    of_words(&["getauthorizationtoken", "not authorized"], no_pull_right),
    fixed!(
        &["getauthorizationtoken"],
        "the task cannot reach ECR to sign in: a NAT gateway, or a VPC endpoint for ecr.api, is missing, or its \
         security group does not let the task in"
    ),
    of_words(&["log group", "not exist"], log_group),
    of_words(&["cloudwatch log", "resourcenotfound"], log_group),
    of_words(&["cloudwatch log", "denied"], |_, facts| {
        format!(
            "{} may not write logs: it needs logs:CreateLogStream and logs:PutLogEvents",
            role(facts)
        )
    }),
    of_words(&["logger args"], log_group),
    of_words(&["resourceinitialization", "secret"], secret),
    of_words(&["resourceinitialization", "ssm"], secret),
    of_words(&["resourceinitialization", "invalid parameters"], secret),
    fixed!(
        &["efs utils"],
        "the file system cannot be mounted: check its mount targets, and that its security group lets the task in on \
         port 2049"
    ),
    of_words(&["codes: [404]"], |text, facts| {
        checked_path(
            text,
            facts,
            "answers 404",
            "does the container serve that path there?",
        )
    }),
    of_words(&["codes: [30"], |text, facts| {
        checked_path(
            text,
            facts,
            "redirects",
            "point the check at a path that answers directly",
        )
    }),
    of_words(&["codes: [401]"], |text, facts| {
        checked_path(
            text,
            facts,
            "wants a login",
            "point the check at a path that answers without one",
        )
    }),
    of_words(&["codes: [403]"], |text, facts| {
        checked_path(
            text,
            facts,
            "is forbidden",
            "point the check at a path that answers without a login",
        )
    }),
    of_words(&["codes: [5"], |text, facts| {
        checked_path(
            text,
            facts,
            "answers with a server error",
            "the application fails: see its log",
        )
    }),
    of_words(&["request timed out"], |text, facts| {
        let (port, seconds) = port_and_patience(text, facts);
        format!(
            "nothing answers on {port}{seconds}: does the task's security group let the load balancer in, and does the \
             application listen on 0.0.0.0 there?{}",
            mismatch(text, facts)
        )
    }),
    of_words(&["targets of", "target.notinuse"], |_, _| {
        "no listener forwards to the target group: add a listener rule, or its availability zone to the load balancer"
            .to_owned()
    }),
    of_words(&["targets of", "health checks"], |text, facts| {
        let (port, _) = port_and_patience(text, facts);
        format!(
            "the load balancer cannot connect to {port}: does the application listen on 0.0.0.0 there, and early enough \
             for `healthCheckGracePeriodSeconds`?{}",
            mismatch(text, facts)
        )
    }),
    of_words(&["fails its health check"], container_check),
    fixed!(
        &["capacity is unavailable"],
        "Fargate has no room there at the moment: deploy again later, or add subnets of other availability zones"
    ),
    fixed!(
        &["you've reached the limit"],
        "a quota of the account is used up: raise it in Service Quotas, or stop tasks that are not needed"
    ),
    fixed!(
        &["no container instance met"],
        "the cluster has no room: add capacity, or lower `cpu` and `memory`"
    ),
    fixed!(
        &["insufficientfreeaddresses"],
        "the subnet has no free address: use a larger one, or more of them"
    ),
    fixed!(
        &["no free ip"],
        "the subnet has no free address: use a larger one, or more of them"
    ),
    fixed!(
        &["insufficient", "available"],
        "the cluster has no room: add capacity, or lower `cpu` and `memory`"
    ),
    of_words(&["service deployment configuration"], no_room),
    fixed!(
        &["being throttled"],
        "other work in the account uses up ECS's request rate: deploy again when it is calmer"
    ),
    fixed!(
        &["spot task"],
        "Spot capacity was taken back, which is no fault of the image: deploy again, or add FARGATE to the capacity \
         provider strategy"
    ),
    fixed!(
        &["alarm", "` fired"],
        "see in CloudWatch what the alarm measured since the new tasks took traffic"
    ),
    fixed!(&["somebody stopped"], "CloudTrail says who called ecs:StopTask"),
    fixed!(
        &["still provisioning"],
        "the task has no host or no network interface yet: check the capacity provider and the subnets' free addresses"
    ),
    fixed!(
        &["still pending"],
        "a host must still fetch the image: is it large, or the way to the registry slow?"
    ),
    fixed!(
        &["still activating"],
        "containers wait for their image, or for another container (`dependsOn`)"
    ),
];

/// What ECS says of deployments that no task and no alarm ended.
const OF_DEPLOYMENTS: &[(&[&str], &str)] = &[
    (
        &["pause hook", "timed out"],
        "nobody called ecs:ContinueServiceDeployment in time: deploy again and let it go on, or raise the hook's \
         `timeoutConfiguration`",
    ),
    (
        &["pause hook", "was rolled back"],
        "CloudTrail says who called ecs:ContinueServiceDeployment with ROLLBACK",
    ),
    (&["lifecycle hook"], "the log of the hook's function says why"),
    (&["was stopped"], STOPPED),
    (&["user request"], STOPPED),
    (
        &["networking configuration"],
        "compare the subnets and security groups of `networkConfiguration` with those that exist",
    ),
    (
        &["no rollback candidate"],
        "no deployment of the service has completed yet: mend the image and deploy again",
    ),
];

const STOPPED: &str = "CloudTrail says who called ecs:StopServiceDeployment; deploy again if ours should win";

/// The advice for what a container said. Its words are its own, and most mean there what only its authors know; these
/// come from the kernel, by way of whoever tried to start a program.
pub(super) fn of_said(said: &str, facts: &Facts<'_>) -> Option<String> {
    said.to_lowercase()
        .contains("exec format error")
        .then(|| platform(said, facts))
}

/// The advice for what ECS says of a deployment that it ended itself.
pub(super) fn of_reason(reason: &str) -> Option<String> {
    let lower = reason.to_lowercase();
    let fits = |(words, _): &&(&[&str], &str)| words.iter().all(|word| lower.contains(word));
    let (_, hint) = OF_DEPLOYMENTS.iter().find(fits)?;
    // Where a Lambda function writes: `arn:aws:lambda:REGION:ACCOUNT:function:NAME`, perhaps with a version.
    let function = reason.split_once(":function:").map(|(_, rest)| rest);
    let name = function.and_then(|rest| rest.split([' ', ':']).next());
    Some(name.map_or_else(
        || (*hint).to_owned(),
        |name| format!("{hint}: `/aws/lambda/{name}`"),
    ))
}

/// The advice for a text of ECS or a load balancer; the first that fits.
pub(super) fn of(text: &str, facts: &Facts<'_>) -> Option<String> {
    let lower = text.to_lowercase();
    let fits = |advice: &&Advice| advice.words.iter().all(|word| lower.contains(word));
    ADVICE.iter().find(fits).map(|advice| (advice.hint)(text, facts))
}
