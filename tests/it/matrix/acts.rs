//! What somebody else does meanwhile, and services that cannot be deployed to.

use super::{Breaker, DONE, Row, SERVICE, Service, as_it_is, fails, minutes};
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
            ends: fails(Kind::Superseded, ""),
            others: "fabfuel, sil, aws wait: success; aws-actions: \"rolled back by the circuit breaker\"",
        },
        Row {
            name: "somebody else deploys the version from before",
            service: SERVICE,
            scenario: act!("act = \"update\"\ntask-definition = \"shop:1\""),
            plan: as_it_is,
            ends: fails(Kind::Superseded, ""),
            others: "fabfuel, sil, aws wait: success",
        },
        Row {
            name: "somebody else forces the same version once more",
            service: SERVICE,
            scenario: act!("act = \"update\"\nforce = true"),
            plan: as_it_is,
            ends: fails(Kind::Superseded, ""),
            others: "ecspresso: success, since the task definition is the same",
        },
        Row {
            name: "somebody stops the deployment",
            service: SERVICE,
            scenario: act!("act = \"stop-deployment\""),
            plan: as_it_is,
            ends: fails(Kind::RolledBack, "it was stopped"),
            others: "fabfuel, sil, aws wait: success",
        },
        Row {
            name: "the service scales out meanwhile",
            service: SERVICE,
            scenario: act!("act = \"scale\"\ndesired = 5"),
            plan: as_it_is,
            ends: DONE,
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
            ends: DONE,
            others: "right",
        },
        Row {
            name: "somebody scales the service to 0 meanwhile",
            service: SERVICE,
            scenario: act!("act = \"scale\"\ndesired = 0"),
            plan: |plan| plan.deploy.timeout = minutes(5),
            ends: fails(Kind::Unclear, ""),
            others: "all: success, though nothing ever ran",
        },
        Row {
            name: "somebody deletes the service meanwhile",
            service: SERVICE,
            scenario: act!("act = \"delete-service\""),
            plan: as_it_is,
            ends: fails(Kind::RolloutFailed, ""),
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
            ends: fails(Kind::RolledBack, "3"),
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
            ends: fails(Kind::Refused, ""),
            others: "all: success, and nothing ran",
        },
        Row {
            name: "a service of CodeDeploy",
            service: Service {
                controller: "CODE_DEPLOY",
                ..SERVICE
            },
            scenario: "",
            plan: as_it_is,
            ends: fails(Kind::Refused, ""),
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
            ends: fails(Kind::Refused, ""),
            others: "the same",
        },
    ]
}
