//! Versions that do not work.

use super::{BALANCED, Breaker, Row, SERVICE, SILENT, Service, as_it_is, fails, minutes};
use slipway::config::settings::OnFailure;
use slipway::failure::Kind;

const NO_BREAKER: Service = Service {
    breaker: Breaker::Off,
    ..SERVICE
};

macro_rules! pull {
    () => {
        "[[fate]]\nfamily = \"shop\"\nrevision = 2\n\
         pull-failure = \"CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref \
         registry.example/shop/web: not found\"\n"
    };
}

const PULL: &str = pull!();

const NO_IMAGE: &str = "CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref \
    registry.example/shop/web: not found";

const CRASHED: &str = "container web exited with code 3: \"shop: no DATABASE_URL\"";

const CRASH: &str = "[[fate]]\nfamily = \"shop\"\nrevision = 2\nlines = [\"shop: no DATABASE_URL\"]\n\
    crash = { after-seconds = 1, exit-code = 3 }\n";

/// Every task of version 2 has this fate.
macro_rules! fate {
    ($text:literal) => {
        concat!("[[fate]]\nfamily = \"shop\"\nrevision = 2\n", $text, "\n")
    };
}

pub fn rows() -> Vec<Row> {
    let mut rows = of_starts();
    rows.extend(of_checks());
    rows.extend(of_breakers());
    rows
}

fn of_starts() -> Vec<Row> {
    vec![
        Row {
            name: "the image is not there, the breaker rolls back after twelve minutes",
            service: SERVICE,
            scenario: PULL,
            plan: |plan| plan.deploy.timeout = minutes(30),
            ends: fails(Kind::RolledBack, NO_IMAGE),
            others: "fabfuel, sil, aws wait: success; CodePipeline: in progress for 60 min",
        },
        Row {
            name: "the image is not there, no breaker",
            service: NO_BREAKER,
            scenario: PULL,
            plan: |plan| plan.deploy.timeout = minutes(30),
            ends: fails(Kind::RolledBack, NO_IMAGE),
            others: "all time out after 90 s to 60 min, without the reason",
        },
        Row {
            name: "the image is not there, and the breaker never trips: ECS stops trying",
            service: SERVICE,
            scenario: concat!("[ecs]\nstalls-after = 2\n", pull!()),
            plan: |plan| plan.deploy.timeout = minutes(20),
            ends: fails(Kind::RolledBack, NO_IMAGE),
            others: "all time out; CodePipeline: in progress for 60 min",
        },
        Row {
            name: "no manifest for the platform",
            service: NO_BREAKER,
            scenario: fate!(
                "pull-failure = \"CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/amd64'\""
            ),
            plan: |plan| plan.deploy.timeout = minutes(30),
            ends: fails(
                Kind::RolledBack,
                "CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/amd64'",
            ),
            others: "all time out",
        },
        Row {
            name: "crash at start, the breaker rolls back",
            service: SERVICE,
            scenario: CRASH,
            plan: as_it_is,
            ends: fails(Kind::RolledBack, CRASHED),
            others: "fabfuel: success, and deregisters what runs; sil, aws wait: success; ecspresso, aws-actions: late",
        },
        Row {
            name: "crash at start, no breaker",
            service: NO_BREAKER,
            scenario: CRASH,
            plan: as_it_is,
            ends: fails(Kind::RolledBack, CRASHED),
            others: "all time out: 90 s (sil) to 60 min (CodePipeline)",
        },
        Row {
            name: "crash at start, no breaker, and it is to be left",
            service: NO_BREAKER,
            scenario: CRASH,
            plan: |plan| plan.deploy.on_failure = OnFailure::Leave,
            ends: fails(Kind::RolloutFailed, CRASHED),
            others: "all time out",
        },
        Row {
            name: "crash half a minute after the start",
            service: SERVICE,
            scenario: fate!("crash = { after-seconds = 30, exit-code = 1 }"),
            plan: as_it_is,
            ends: fails(
                Kind::RolledBack,
                "container web exited with code 1 after 30 s, and wrote nothing to its log",
            ),
            others: "sil: success at the first running task",
        },
        Row {
            name: "out of memory",
            service: SERVICE,
            scenario: fate!("crash = { after-seconds = 2, out-of-memory = true }"),
            plan: as_it_is,
            ends: fails(
                Kind::RolledBack,
                "container web ran out of memory: killed with exit code 137 (OutOfMemoryError: Container killed due to memory usage)",
            ),
            others: "nobody says why",
        },
        Row {
            name: "a secret cannot be read",
            service: SERVICE,
            scenario: fate!(
                "start-failure = \"ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: AccessDeniedException\"\nfails-after-seconds = 20"
            ),
            plan: |plan| plan.deploy.timeout = minutes(40),
            ends: fails(
                Kind::RolledBack,
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: AccessDeniedException",
            ),
            others: "aws-actions: half an hour, then \"not in the state servicesStable\"",
        },
        Row {
            name: "the log group does not exist",
            service: NO_BREAKER,
            scenario: fate!(
                "start-failure = \"ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: ResourceNotFoundException: The specified log group does not exist.\"\nfails-after-seconds = 20"
            ),
            plan: |plan| plan.deploy.timeout = minutes(40),
            ends: fails(
                Kind::RolledBack,
                "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: ResourceNotFoundException: The specified log group does not exist.",
            ),
            others: "aws-actions#215: 30 min without a reason",
        },
        Row {
            name: "built for another processor",
            service: NO_BREAKER,
            scenario: fate!(
                "container-failure = \"CannotStartContainerError: Error response from daemon: exec /app: exec format error\"\nfails-after-seconds = 5"
            ),
            plan: |plan| plan.deploy.timeout = minutes(40),
            ends: fails(
                Kind::RolledBack,
                "CannotStartContainerError: Error response from daemon: exec /app: exec format error",
            ),
            others: "all time out",
        },
        Row {
            name: "no task ever starts",
            service: SERVICE,
            scenario: fate!("never-starts = true"),
            plan: |plan| plan.deploy.timeout = minutes(5),
            ends: fails(
                Kind::Deadline,
                "no task failed: 2 tasks are still ACTIVATING, container web has not started",
            ),
            others: "slow and broken look the same: \"Max attempts exceeded\"",
        },
        Row {
            name: "there is no room anywhere",
            service: NO_BREAKER,
            scenario: "[[placement]]\nservice = \"shop\"\nrevision = 2\n\
                       message = \"because no container instance met all of its requirements\"\n",
            plan: |plan| plan.deploy.timeout = minutes(5),
            ends: fails(
                Kind::Deadline,
                "ECS was unable to place a task because no container instance met all of its requirements",
            ),
            others: "fabfuel fails at the first event, the others time out without a reason",
        },
    ]
}

fn of_checks() -> Vec<Row> {
    vec![
        Row {
            name: "the container health check fails",
            service: Service {
                check: Some(10),
                ..SERVICE
            },
            scenario: fate!("health = \"fails\""),
            plan: |plan| plan.deploy.timeout = minutes(30),
            ends: fails(Kind::RolledBack, "container web fails its health check"),
            others: "fabfuel, sil, aws wait: success after the rollback",
        },
        Row {
            name: "targets answer 404",
            service: BALANCED,
            scenario: fate!("target = 404"),
            plan: |plan| plan.deploy.timeout = minutes(30),
            ends: fails(
                Kind::RolledBack,
                "targets of web are unhealthy: Health checks failed with these codes: [404]",
            ),
            others: "nobody says 404; aws wait: success after the rollback",
        },
        Row {
            name: "targets do not answer in time",
            service: BALANCED,
            scenario: fate!("target = \"timeout\""),
            plan: |plan| plan.deploy.timeout = minutes(30),
            ends: fails(
                Kind::RolledBack,
                "targets of web are unhealthy: Request timed out",
            ),
            others: "nobody says why",
        },
        Row {
            name: "targets refuse connections, no breaker",
            service: Service {
                breaker: Breaker::Off,
                ..BALANCED
            },
            scenario: fate!("target = \"refused\""),
            plan: |plan| plan.deploy.timeout = minutes(30),
            ends: fails(
                Kind::RolledBack,
                "targets of web are unhealthy: Health checks failed (Target.FailedHealthChecks)",
            ),
            others: "all time out",
        },
    ]
}

fn of_breakers() -> Vec<Row> {
    vec![
        Row {
            name: "the breaker fails the deployment and nothing is rolled back",
            service: Service {
                breaker: Breaker::Fails,
                ..SERVICE
            },
            scenario: CRASH,
            plan: |plan| plan.deploy.on_failure = OnFailure::Leave,
            ends: fails(Kind::RolloutFailed, CRASHED),
            others: "aws wait, aws-actions, sil and CodePipeline time out",
        },
        Row {
            name: "the breaker counts all failures, healthy tasks between them or not",
            service: Service {
                configuration: "{\"deploymentCircuitBreaker\":{\"enable\":true,\"rollback\":true,\"resetOnHealthyTask\":false}}",
                ..SERVICE
            },
            scenario: CRASH,
            plan: as_it_is,
            ends: fails(Kind::RolledBack, CRASHED),
            others: "as with every rollback",
        },
        Row {
            name: "the rollback gets an id of its own",
            service: SERVICE,
            scenario: concat!(
                "[ecs]\nrollback-mints-id = true\n",
                "[[fate]]\nfamily = \"shop\"\nrevision = 2\ncrash = { after-seconds = 1, exit-code = 3 }\n"
            ),
            plan: as_it_is,
            ends: fails(Kind::RolledBack, SILENT),
            others: "aws-actions cannot tell it from somebody else's deployment",
        },
        Row {
            name: "the failed deployment shows as DRAINING, its reason without a dot",
            service: SERVICE,
            scenario: concat!(
                "[ecs]\ndraining-status = true\nreason-without-dot = true\n",
                "[[fate]]\nfamily = \"shop\"\nrevision = 2\ncrash = { after-seconds = 1, exit-code = 3 }\n"
            ),
            plan: as_it_is,
            ends: fails(Kind::RolledBack, SILENT),
            others: "as with every rollback",
        },
        Row {
            name: "nothing completed before, so there is nothing to roll back to",
            service: Service {
                proven: false,
                ..SERVICE
            },
            scenario: "[[fate]]\nfamily = \"shop\"\ncrash = { after-seconds = 1, exit-code = 3 }\n",
            plan: as_it_is,
            ends: fails(Kind::RolloutFailed, SILENT),
            others: "all time out",
        },
    ]
}
