//! Blue/green, linear and canary deployments, lifecycle hooks, alarms.

use super::{Breaker, DONE, Row, SERVICE, Service, TWO, as_it_is, done_within, fails, minutes};
use slipway::failure::Kind;

/// A service with this `deploymentConfiguration`.
const fn with(configuration: &'static str) -> Service {
    Service {
        configuration,
        breaker: Breaker::Off,
        ..SERVICE
    }
}

const BLUE_GREEN: &str = "{\"strategy\":\"BLUE_GREEN\",\"bakeTimeInMinutes\":5}";
const PAUSE: &str = "{\"strategy\":\"BLUE_GREEN\",\"bakeTimeInMinutes\":1,\"lifecycleHooks\":[{\"targetType\":\"PAUSE\",\
    \"lifecycleStages\":[\"POST_SCALE_UP\"],\"timeoutConfiguration\":{\"timeoutInMinutes\":10,\"action\":\"ROLLBACK\"}}]}";
const LAMBDA: &str = "{\"strategy\":\"BLUE_GREEN\",\"bakeTimeInMinutes\":1,\"lifecycleHooks\":[{\
    \"hookTargetArn\":\"arn:aws:lambda:eu-west-1:000000000000:function:smoke-test\",\
    \"roleArn\":\"arn:aws:iam::000000000000:role/hooks\",\"lifecycleStages\":[\"POST_SCALE_UP\"]}]}";
const ALARMS: &str = "{\"alarms\":{\"alarmNames\":[\"errors\"],\"enable\":true,\"rollback\":true}}";

pub fn rows() -> Vec<Row> {
    let mut rows = that_succeed();
    rows.extend(that_fail());
    rows
}

fn that_succeed() -> Vec<Row> {
    vec![
        Row {
            name: "blue/green with five minutes of bake time",
            service: with(BLUE_GREEN),
            scenario: "",
            plan: |plan| plan.deploy.timeout = minutes(20),
            ends: done_within(300, 1200, TWO),
            others: "sil: success before any traffic; aws wait times out when it bakes for longer than 10 min",
        },
        Row {
            name: "linear",
            service: with(
                "{\"strategy\":\"LINEAR\",\"linearConfiguration\":{\"stepPercent\":50.0,\"stepBakeTimeInMinutes\":2}}",
            ),
            scenario: "",
            plan: |plan| plan.deploy.timeout = minutes(20),
            ends: done_within(120, 1200, TWO),
            others: "sil: success at the first running task",
        },
        Row {
            name: "canary",
            service: with(
                "{\"strategy\":\"CANARY\",\"canaryConfiguration\":{\"canaryPercent\":10.0,\"canaryBakeTimeInMinutes\":3}}",
            ),
            scenario: "",
            plan: |plan| plan.deploy.timeout = minutes(20),
            ends: done_within(180, 1200, TWO),
            others: "sil: success at the first running task",
        },
        Row {
            name: "a pause that somebody continues",
            service: with(PAUSE),
            scenario: "[[act]]\nservice = \"shop\"\nafter-seconds = 240\nact = \"continue-deployment\"\naction = \"continue\"\n",
            plan: |plan| plan.deploy.timeout = minutes(20),
            ends: done_within(240, 1200, TWO),
            others: "ecspresso#1055 panicked; the others know no pause",
        },
        Row {
            name: "an alarm that had gone off before",
            service: with(ALARMS),
            scenario: "[[act]]\nsince = \"start\"\nafter-seconds = 1\nact = \"alarm\"\nname = \"errors\"\nstate = \"alarm\"\n",
            plan: |plan| plan.deploy.timeout = minutes(20),
            ends: DONE,
            others: "right",
        },
    ]
}

fn that_fail() -> Vec<Row> {
    vec![
        Row {
            name: "a pause that nobody continues",
            service: with(PAUSE),
            scenario: "",
            plan: |plan| plan.deploy.timeout = minutes(30),
            ends: fails(
                Kind::RolledBack,
                "Service deployment rolled back because POST_SCALE_UP pause hook timed out.",
            ),
            others: "aws wait: success after the rollback",
        },
        Row {
            name: "a pause that lasts longer than the deadline",
            service: with(PAUSE),
            scenario: "",
            plan: |plan| plan.deploy.timeout = minutes(5),
            ends: fails(
                Kind::Deadline,
                "a pause hook holds the deployment in stage POST_SCALE_UP until somebody lets it go on, or its time is up (ROLLBACK)",
            ),
            others: "\"Max attempts exceeded\"",
        },
        Row {
            name: "a pause that somebody rolls back",
            service: with(PAUSE),
            scenario: "[[act]]\nservice = \"shop\"\nafter-seconds = 240\nact = \"continue-deployment\"\naction = \"rollback\"\n",
            plan: |plan| plan.deploy.timeout = minutes(20),
            ends: fails(
                Kind::RolledBack,
                "Service deployment rolled back because POST_SCALE_UP pause hook was rolled back.",
            ),
            others: "fabfuel, sil, aws wait: success",
        },
        Row {
            name: "a hook that fails",
            service: with(LAMBDA),
            scenario: "[[hook]]\ntarget = \"smoke-test\"\noutcome = \"fails\"\nafter-seconds = 10\n",
            plan: |plan| plan.deploy.timeout = minutes(20),
            ends: fails(
                Kind::RolledBack,
                "Service deployment rolled back because POST_SCALE_UP lifecycle hook(s) failed. Lifecycle hook target …:function:smoke-test returned FAILED status.",
            ),
            others: "fabfuel, sil, aws wait: success",
        },
        Row {
            name: "an alarm goes off while the new tasks start",
            service: with(ALARMS),
            scenario: "[[act]]\nservice = \"shop\"\nafter-seconds = 45\nact = \"alarm\"\nname = \"errors\"\nstate = \"alarm\"\n",
            plan: as_it_is,
            ends: fails(Kind::RolledBack, "alarm `errors` fired"),
            others: "fabfuel, sil, aws wait: success",
        },
        Row {
            name: "an alarm goes off in the bake time",
            service: with(
                "{\"strategy\":\"BLUE_GREEN\",\"bakeTimeInMinutes\":10,\"alarms\":{\"alarmNames\":[\"errors\"],\"enable\":true,\"rollback\":true}}",
            ),
            scenario: "[[act]]\nservice = \"shop\"\nafter-seconds = 300\nact = \"alarm\"\nname = \"errors\"\nstate = \"alarm\"\n",
            plan: |plan| plan.deploy.timeout = minutes(30),
            ends: fails(Kind::RolledBack, "alarm `errors` fired"),
            others: "sil: success before the traffic, long before the alarm",
        },
    ]
}
