//! Rollouts that succeed, some of them late, or after trouble that passes.

use super::{BALANCED, Balancer, DONE, Row, SERVICE, Service, TWO, as_it_is, done, done_within};
use slipway::config::settings::Until;

pub fn rows() -> Vec<Row> {
    vec![
        Row {
            name: "one task, no checks",
            service: Service {
                desired: 1,
                ..SERVICE
            },
            scenario: "",
            plan: as_it_is,
            ends: done("container web: 1 task proven to run sha256:22222222…; healthy: shop:2 after …"),
            others: "right; aws-actions may come up to 10 min late (back-off of its waiter)",
        },
        Row {
            name: "two tasks behind a load balancer",
            service: BALANCED,
            scenario: "",
            plan: as_it_is,
            ends: DONE,
            others: "right, and all wait for the drain; aws wait looks every 15 s",
        },
        Row {
            name: "four tasks",
            service: Service {
                desired: 4,
                ..BALANCED
            },
            scenario: "",
            plan: as_it_is,
            ends: done("container web: 4 tasks proven to run sha256:22222222…; healthy: shop:2 after …"),
            others: "right; sil says done with the first running task",
        },
        Row {
            name: "the new deployment wants no tasks at first",
            service: SERVICE,
            scenario: "",
            plan: as_it_is,
            ends: done_within(60, 300, TWO),
            others: "a tool that compares running with the new deployment's own desired count succeeds at once",
        },
        Row {
            name: "the first looks are stale",
            service: SERVICE,
            scenario: "[ecs]\nstale-describes = 4\n",
            plan: as_it_is,
            ends: done_within(60, 300, TWO),
            others: "fabfuel, sil and aws wait: false success possible; aws-actions: fails with \"not found\"",
        },
        Row {
            name: "old tasks drain for five minutes",
            service: Service {
                balancer: Some(Balancer { drain: 300 }),
                ..SERVICE
            },
            scenario: "",
            plan: as_it_is,
            ends: done_within(30, 150, TWO),
            others: "fabfuel and sil time out, aws wait exits 255 at 10 min, CodePipeline waits",
        },
        Row {
            name: "old tasks drain for five minutes, and steady is wanted",
            service: Service {
                balancer: Some(Balancer { drain: 300 }),
                ..SERVICE
            },
            scenario: "",
            plan: |plan| plan.deploy.until = Until::Steady,
            ends: done_within(300, 600, TWO),
            others: "fabfuel and sil time out",
        },
        Row {
            name: "a container health check",
            service: Service {
                check: Some(10),
                ..SERVICE
            },
            scenario: "",
            plan: as_it_is,
            ends: DONE,
            others: "only sil looks at it, at the first container alone",
        },
        Row {
            name: "a slow start",
            service: SERVICE,
            scenario: "[[fate]]\nfamily = \"shop\"\nrevision = 2\nstarts-after-seconds = 120\n",
            plan: as_it_is,
            ends: done_within(120, 400, TWO),
            others: "sil times out at 90 s and rolls a good version back",
        },
        Row {
            name: "two tasks crash, then all is well",
            service: SERVICE,
            scenario: "[[fate]]\nfamily = \"shop\"\nrevision = 2\ntasks = 2\ncrash = { after-seconds = 1 }\n",
            plan: as_it_is,
            ends: DONE,
            others: "right",
        },
        Row {
            name: "no place for a while",
            service: SERVICE,
            scenario: "[[placement]]\nservice = \"shop\"\nrevision = 2\ntimes = 3\n\
                       message = \"because no container instance met all of its requirements\"\n",
            plan: as_it_is,
            ends: DONE,
            others: "fabfuel: false failure, because an event says \"unable\"",
        },
        Row {
            name: "targets answer 503 for a moment",
            service: BALANCED,
            scenario: "[[fate]]\nfamily = \"shop\"\nrevision = 2\n\
                       target = { first = 503, for-seconds = 5, then = 200 }\n",
            plan: as_it_is,
            ends: DONE,
            others: "no tool looks at targets: aws wait and fabfuel may succeed in between",
        },
        Row {
            name: "a spot interruption during the roll",
            service: SERVICE,
            scenario: "[[fate]]\nfamily = \"shop\"\nrevision = 2\ntasks = 1\n\
                       interrupted = { after-seconds = 5, by = \"spot\" }\n",
            plan: as_it_is,
            ends: DONE,
            others: "right",
        },
        Row {
            name: "the same revision once more, by force",
            service: SERVICE,
            scenario: "",
            plan: |plan| {
                let same = crate::support::image(1);
                let text = format!("[{{\"name\":\"web\",\"imageUri\":\"{same}\"}}]");
                if let slipway::config::settings::DefinitionsSource::File(path) = &plan.deploy.source {
                    std::fs::write(path, text).unwrap();
                }
                plan.deploy.force = true;
            },
            ends: done_within(
                60,
                300,
                "container web: 2 tasks proven to run sha256:11111111…; healthy: shop:1 after …",
            ),
            others: "ecspresso cannot tell it from its rollback",
        },
        Row {
            name: "120 tasks: more than a page of the list",
            service: Service {
                desired: 120,
                ..SERVICE
            },
            scenario: "[quotas]\nenforce = false\n",
            plan: as_it_is,
            ends: done("container web: 120 tasks proven to run sha256:22222222…; healthy: shop:2 after …"),
            others: "fabfuel reads one page of 100, and can never succeed",
        },
        Row {
            name: "desired count 0, and that is allowed",
            service: Service {
                desired: 0,
                ..SERVICE
            },
            scenario: "",
            plan: |plan| plan.deploy.allow_zero = true,
            ends: done("healthy: shop:2 after …"),
            others: "all say success without being asked whether that is meant",
        },
        Row {
            name: "ECS calls it completed when half of the tasks are healthy",
            service: Service {
                desired: 4,
                configuration: "{\"minimumHealthyPercent\":50,\"earlySuccessCriteria\":{\"enable\":true,\"healthyPercent\":50,\
                                \"sourceServiceRevisionCleanup\":\"DEFERRED\"}}",
                ..SERVICE
            },
            scenario: "[[fate]]\nfamily = \"shop\"\nrevision = 2\ntasks = 2\nstarts-after-seconds = 200\n",
            plan: as_it_is,
            ends: done_within(
                230,
                600,
                "container web: 4 tasks proven to run sha256:22222222…; healthy: shop:2 after …",
            ),
            others: "ecspresso and aws-actions: success at half of the tasks",
        },
        Row {
            name: "old tasks ignore SIGTERM",
            service: SERVICE,
            scenario: "[[fate]]\nfamily = \"shop\"\nrevision = 1\nhangs-at-stop = true\n",
            plan: as_it_is,
            ends: DONE,
            others: "right, later",
        },
    ]
}
