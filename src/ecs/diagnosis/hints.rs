//! Advice for causes that are known.

/// One cause: all of `words` occur in its text.
struct Advice {
    words: &'static [&'static str],
    hint: &'static str,
}

/// Causes as ECS and its agent word them, the special ones before the general ones.
const ADVICE: &[Advice] = &[
    Advice {
        words: &["outofmemory"],
        hint: "the container used more memory than it may: raise `memory` in the task definition, or find the leak",
    },
    Advice {
        words: &["exited with code 137"],
        hint: "exit code 137 is a kill: out of memory (raise `memory`), or no end within `stopTimeout`",
    },
    Advice {
        words: &["exited with code 139"],
        hint: "exit code 139 is a segmentation fault: a native library may be built for another system",
    },
    Advice {
        words: &["exited with code 127"],
        hint: "exit code 127 means that the command was not found in the image: check `command`, `entryPoint` and PATH",
    },
    Advice {
        words: &["exec format error"],
        hint: "the image is built for another CPU: build with the `platform` that `runtimePlatform` names",
    },
    Advice {
        words: &["descriptor matching platform"],
        hint: "the image is built for another CPU: build with the `platform` that `runtimePlatform` names",
    },
    Advice {
        words: &["cannotpull", "not found"],
        hint: "the image is not in its repository: was it pushed, and is the digest or tag of this account and region?",
    },
    Advice {
        words: &["cannotpull", "timeout"],
        hint: "the task cannot reach the registry: a NAT gateway, or VPC endpoints for ecr.api, ecr.dkr and S3, is missing",
    },
    Advice {
        words: &["cannotpull", "denied"],
        hint: "the execution role may not pull: it needs ecr:GetAuthorizationToken, ecr:BatchGetImage and \
               ecr:GetDownloadUrlForLayer, and the repository's policy must allow the account",
    },
    Advice {
        words: &["cannotpull"],
        hint: "the image cannot be pulled: check the repository, the execution role and the route to the registry",
    },
    Advice {
        words: &["getauthorizationtoken"],
        hint: "the task cannot sign in to ECR: check the execution role and the route to ecr.api",
    },
    Advice {
        words: &["secret"],
        hint: "the execution role cannot read a secret: check its ARN, its policy (secretsmanager:GetSecretValue, \
               ssm:GetParameters, kms:Decrypt) and the route to it",
    },
    Advice {
        words: &["log group"],
        hint: "the log group is missing: create it, or set `awslogs-create-group` and allow logs:CreateLogGroup",
    },
    Advice {
        words: &["logger args"],
        hint: "the log driver cannot start: check the log group, its region and the route to CloudWatch Logs",
    },
    Advice {
        words: &["codes: [404]"],
        hint: "the health check path answers 404: check the target group's path and that the container serves it",
    },
    Advice {
        words: &["codes: [30"],
        hint: "the health check path redirects: point the target group at a path that answers 200",
    },
    Advice {
        words: &["codes: [5"],
        hint: "the application answers the health check with a server error: see its log",
    },
    Advice {
        words: &["request timed out"],
        hint: "nothing answers on the health check's port: does the application listen on 0.0.0.0 and the container port, \
               and does the security group allow the load balancer?",
    },
    Advice {
        words: &["targets of", "health checks failed"],
        hint: "the load balancer cannot reach the container: check port, path and `healthCheckGracePeriodSeconds`",
    },
    Advice {
        words: &["fails its health check"],
        hint: "run the health check's command inside the image; `startPeriod` gives a slow start time",
    },
    Advice {
        words: &["no container instance met"],
        hint: "the cluster has no room: add capacity, or lower `cpu` and `memory`",
    },
    Advice {
        words: &["insufficient"],
        hint: "the cluster has no room: add capacity, or lower `cpu` and `memory`",
    },
    Advice {
        words: &["service deployment configuration"],
        hint: "minimumHealthyPercent and maximumPercent leave no room to replace a task: lower the one or raise the other",
    },
];

/// The advice for a text; the first that fits.
pub(super) fn of(text: &str) -> Option<&'static str> {
    let text = text.to_lowercase();
    ADVICE
        .iter()
        .find(|advice| advice.words.iter().all(|word| text.contains(word)))
        .map(|advice| advice.hint)
}
