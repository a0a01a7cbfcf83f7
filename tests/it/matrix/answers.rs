//! Answers that are late, lost, denied, or not what anybody knows.

use super::{BALANCED, DONE, Row, SERVICE, SILENT, TWO, as_it_is, done_within, fails, minutes};
use slipway::failure::Kind;

pub fn rows() -> Vec<Row> {
    let mut rows = that_pass();
    rows.extend(that_stay());
    rows
}

fn that_pass() -> Vec<Row> {
    vec![
        Row {
            name: "every object has members that nobody knows",
            service: BALANCED,
            scenario: "[[fault]]\naction = \"extra-members\"\n",
            plan: as_it_is,
            ends: DONE,
            others: "right",
        },
        Row {
            name: "throttling now and then",
            service: SERVICE,
            scenario: "[[fault]]\nservice = \"ecs\"\noperation = \"Describe*\"\nevery = 5\naction = \"throttle\"\n",
            plan: as_it_is,
            ends: DONE,
            others: "fabfuel (60 calls a minute and more) is throttled by itself",
        },
        Row {
            name: "a server error now and then",
            service: SERVICE,
            scenario: "[[fault]]\nservice = \"ecs\"\noperation = \"*\"\nevery = 4\naction = \"http\"\nstatus = 503\n",
            plan: as_it_is,
            ends: DONE,
            others: "right, as far as the SDK repeats",
        },
        Row {
            name: "a body that is cut now and then",
            service: SERVICE,
            scenario: "[[fault]]\nservice = \"ecs\"\noperation = \"Describe*\"\nevery = 6\naction = \"cut-body\"\n",
            plan: as_it_is,
            ends: DONE,
            others: "right, as far as the SDK repeats",
        },
        Row {
            name: "stale answers now and then",
            service: SERVICE,
            scenario: "[[fault]]\nservice = \"ecs\"\noperation = \"DescribeServices\"\nevery = 3\naction = \"stale\"\n",
            plan: as_it_is,
            ends: done_within(60, 300, TWO),
            others: "sil, fabfuel: success from before the update",
        },
        Row {
            name: "the answer to UpdateService is lost",
            service: SERVICE,
            scenario: "[[fault]]\nservice = \"ecs\"\noperation = \"UpdateService\"\nnth = 1\naction = \"lost-answer\"\n",
            plan: as_it_is,
            ends: DONE,
            others: "a repeated update is a second deployment (ecspresso#929)",
        },
        Row {
            name: "the service deployment API is denied",
            service: SERVICE,
            scenario: "[[fault]]\nservice = \"ecs\"\noperation = \"*ServiceDeployments\"\naction = \"access-denied\"\n",
            plan: as_it_is,
            ends: DONE,
            others: "ecspresso cannot go on",
        },
        Row {
            name: "the service deployment API does not exist",
            service: SERVICE,
            scenario: "[[fault]]\nservice = \"ecs\"\noperation = \"*ServiceDeployments\"\naction = \"error\"\n\
                       code = \"UnknownOperationException\"\nmessage = \"unknown\"\nstatus = 400\n",
            plan: as_it_is,
            ends: DONE,
            others: "ecspresso cannot go on",
        },
        Row {
            name: "the service deployment API is denied, and the breaker rolls back",
            service: SERVICE,
            scenario: concat!(
                "[[fault]]\nservice = \"ecs\"\noperation = \"*ServiceDeployments\"\naction = \"access-denied\"\n",
                "[[fate]]\nfamily = \"shop\"\nrevision = 2\ncrash = { after-seconds = 1, exit-code = 3 }\n"
            ),
            plan: as_it_is,
            ends: fails(Kind::RolledBack, SILENT),
            others: "as with every rollback",
        },
    ]
}

fn that_stay() -> Vec<Row> {
    vec![
        Row {
            name: "UpdateService is denied",
            service: SERVICE,
            scenario: "[[fault]]\nservice = \"ecs\"\noperation = \"UpdateService\"\naction = \"access-denied\"\n",
            plan: as_it_is,
            ends: fails(
                Kind::Refused,
                "call `ecs:UpdateService` (request …): AccessDeniedException: User: … is not authorized to perform: ecs:UpdateService because no identity-based policy allows the ecs:UpdateService action",
            ),
            others: "right",
        },
        Row {
            name: "ListTasks is denied",
            service: SERVICE,
            scenario: "[[fault]]\nservice = \"ecs\"\noperation = \"ListTasks\"\naction = \"access-denied\"\n",
            plan: as_it_is,
            // ECS's word for the deployment, and the digests of its revision, are proof enough.
            ends: done_within(100, 300, TWO),
            others: "aws wait and aws-actions: success without any proof of the image",
        },
        Row {
            name: "the credentials end during the watch",
            service: SERVICE,
            scenario: "[[fault]]\nservice = \"ecs\"\nfrom = 14\naction = \"expired-token\"\n",
            plan: as_it_is,
            ends: fails(Kind::Unclear, "the AWS credentials ended during the watch"),
            others: "aws-actions#527: \"failed\" after an hour",
        },
        Row {
            name: "a rollout state that nobody knows",
            service: SERVICE,
            scenario: "[[fault]]\nservice = \"ecs\"\noperation = \"DescribeServices\"\nfrom = 3\naction = \"unknown-word\"\n\
                       member = \"rolloutState\"\n",
            plan: |plan| plan.deploy.timeout = minutes(5),
            ends: fails(
                Kind::Unclear,
                "ECS says rollout state `WORD_OF_TOMORROW`, which this version of slipway does not know",
            ),
            others: "aws wait does not look at it: success",
        },
        Row {
            name: "a task state that nobody knows",
            service: SERVICE,
            scenario: "[[fault]]\nservice = \"ecs\"\noperation = \"DescribeTasks\"\naction = \"unknown-word\"\n\
                       member = \"lastStatus\"\n",
            plan: |plan| plan.deploy.timeout = minutes(5),
            ends: fails(
                Kind::Unclear,
                "ECS says task status `WORD_OF_TOMORROW`, which this version of slipway does not know",
            ),
            others: "aws wait does not look at tasks: success",
        },
        Row {
            name: "the count of wanted tasks is missing",
            service: SERVICE,
            scenario: "[[fault]]\nservice = \"ecs\"\noperation = \"DescribeServices\"\nfrom = 3\naction = \"drop-member\"\n\
                       member = \"services.desiredCount\"\n",
            plan: |plan| plan.deploy.timeout = minutes(5),
            ends: fails(
                Kind::Unclear,
                "still waiting for desiredCount, which ECS does not report",
            ),
            others: "a client that reads a missing number as 0 says success",
        },
        Row {
            name: "no digest is ever reported",
            service: SERVICE,
            scenario: "[[fault]]\nservice = \"ecs\"\noperation = \"Describe*\"\naction = \"drop-member\"\n\
                       member = \"imageDigest\"\n",
            plan: |plan| plan.deploy.timeout = minutes(5),
            ends: fails(
                Kind::Unclear,
                "still waiting for container `web` to report its image's digest",
            ),
            others: "nobody proves which image runs",
        },
    ]
}
