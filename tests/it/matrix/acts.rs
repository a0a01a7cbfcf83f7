//! What somebody else does meanwhile, and services that cannot be deployed to.

use super::{Breaker, DONE, Row, SERVICE, SILENT, Service, as_it_is, done, fails, minutes};
use slipway::failure::Kind;

/// Half a minute after our update somebody does this.
macro_rules! act {
    ($text:literal) => {
        concat!("[[act]]\nservice = \"shop\"\nafter-seconds = 30\n", $text, "\n")
    };
}

pub fn rows() -> Vec<Row> {
    let mut rows = of_others();
    rows.extend(of_services());
    rows
}

fn of_others() -> Vec<Row> {
    vec![
        Row {
            name: "somebody else deploys another version meanwhile",
            service: SERVICE,
            scenario: act!("act = \"update\"\ntask-definition = \"somebody-else:1\""),
            plan: as_it_is,
            ends: fails(Kind::Superseded, "deployment ecs-svc/… brings `somebody-else:1`"),
            others: "fabfuel, sil, aws wait: success; aws-actions: \"rolled back by the circuit breaker\"",
        },
        Row {
            name: "somebody else deploys the version from before",
            service: SERVICE,
            scenario: act!("act = \"update\"\ntask-definition = \"shop:1\""),
            plan: as_it_is,
            ends: fails(Kind::Superseded, "deployment ecs-svc/… brings `shop:1`"),
            others: "fabfuel, sil, aws wait: success",
        },
        Row {
            name: "somebody else forces the same version once more",
            service: SERVICE,
            scenario: act!("act = \"update\"\nforce = true"),
            plan: as_it_is,
            ends: fails(Kind::Superseded, "deployment ecs-svc/… brings `shop:2`"),
            others: "ecspresso: success, since the task definition is the same",
        },
        Row {
            name: "somebody stops the deployment",
            service: SERVICE,
            scenario: act!("act = \"stop-deployment\""),
            plan: as_it_is,
            ends: fails(
                Kind::RolledBack,
                "Service deployment rolled back because it was stopped.",
            ),
            others: "fabfuel, sil, aws wait: success",
        },
        Row {
            name: "the service scales out meanwhile",
            service: SERVICE,
            scenario: act!("act = \"scale\"\ndesired = 5"),
            plan: as_it_is,
            ends: done("container web: 5 tasks proven to run sha256:22222222…; healthy: shop:2 after …"),
            others: "right",
        },
        Row {
            name: "the service scales in meanwhile",
            service: Service {
                desired: 4,
                ..SERVICE
            },
            scenario: act!("act = \"scale\"\ndesired = 1"),
            plan: as_it_is,
            ends: done("container web: 1 task proven to run sha256:22222222…; healthy: shop:2 after …"),
            others: "right",
        },
        Row {
            name: "somebody scales the service to 0 meanwhile",
            service: SERVICE,
            scenario: act!("act = \"scale\"\ndesired = 0"),
            plan: |plan| plan.deploy.timeout = minutes(5),
            ends: fails(
                Kind::Unclear,
                "its desired count is 0: ECS calls the deployment completed, and no task ran that could prove it; a proof takes a desired count above 0",
            ),
            others: "all: success, though nothing ever ran",
        },
        Row {
            name: "somebody deletes the service meanwhile",
            service: SERVICE,
            scenario: act!("act = \"delete-service\""),
            plan: as_it_is,
            ends: fails(
                Kind::RolloutFailed,
                "somebody deleted it: ECS says that its status is DRAINING",
            ),
            others: "only aws wait notices",
        },
        Row {
            name: "somebody stops tasks of ours",
            service: SERVICE,
            scenario: "[[act]]\nservice = \"shop\"\nafter-seconds = 60\nact = \"stop-tasks\"\ncount = 4\n",
            plan: as_it_is,
            ends: DONE,
            others: "right",
        },
        Row {
            name: "somebody deregisters the version from before, and ours crashes without a breaker",
            service: Service {
                breaker: Breaker::Off,
                ..SERVICE
            },
            scenario: concat!(
                "[[act]]\nservice = \"shop\"\nafter-seconds = 30\nact = \"deregister\"\ntask-definition = \"shop:1\"\n",
                "[[fate]]\nfamily = \"shop\"\nrevision = 2\ncrash = { after-seconds = 1, exit-code = 3 }\n"
            ),
            plan: as_it_is,
            ends: fails(Kind::RolledBack, SILENT),
            others: "a rollback by UpdateService is refused: TaskDefinition is inactive",
        },
    ]
}

fn of_services() -> Vec<Row> {
    vec![
        Row {
            name: "desired count 0",
            service: Service {
                desired: 0,
                ..SERVICE
            },
            scenario: "",
            plan: as_it_is,
            ends: fails(Kind::Refused, "its desired count is 0: no task would run"),
            others: "all: success, and nothing ran",
        },
        Row {
            name: "minimum and maximum of healthy tasks are 100 %",
            service: Service {
                configuration: "{\"minimumHealthyPercent\":100,\"maximumPercent\":100}",
                ..SERVICE
            },
            scenario: "",
            plan: as_it_is,
            ends: fails(
                Kind::Refused,
                "minimumHealthyPercent 100 and maximumPercent 100 leave no room to replace a task of 2",
            ),
            others: "all time out: ECS may neither start a task nor stop one",
        },
        Row {
            name: "a service of CodeDeploy",
            service: Service {
                controller: "CODE_DEPLOY",
                ..SERVICE
            },
            scenario: "",
            plan: as_it_is,
            ends: fails(
                Kind::Refused,
                "CodeDeploy deploys it (deployment controller CODE_DEPLOY)",
            ),
            others: "aws wait never succeeds: the list of deployments stays empty",
        },
        Row {
            name: "a service of an external controller",
            service: Service {
                controller: "EXTERNAL",
                ..SERVICE
            },
            scenario: "",
            plan: as_it_is,
            ends: fails(Kind::Refused, "it has the deployment controller EXTERNAL"),
            others: "the same",
        },
    ]
}
