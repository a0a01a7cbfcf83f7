//! The ways in which a rollout fails, and what must be said of each.

use super::{CANARIES, version_two};
use crate::support::{Bench, CLUSTER, SERVICE, Setup, image, task_definition};
use serde_json::{Value, json};
use slipway::failure::{Failure, Kind};
use slipway::stage::deploy::DeployPlan;
use std::time::Duration;

/// What one failure is, and what must be said of it.
pub struct Case {
    pub name: &'static str,
    /// The members of the `[[fate]]` of version 2; healthy for ever if there are none.
    fate: &'static str,
    /// What else goes wrong, as a scenario file.
    scenario: &'static str,
    /// How it ends.
    pub kind: Kind,
    /// What is different in the service's settings.
    setup: fn(&mut Setup),
    /// The service's `deploymentConfiguration`, as JSON; the setup's if empty.
    configuration: &'static str,
    /// What is different in the plan.
    plan: fn(&mut DeployPlan),
    /// What is different in version 1's and version 2's definition.
    definition: fn(&mut Value),
    /// Each stands in the `cause:` line.
    pub cause: &'static [&'static str],
    /// Each stands anywhere in the failure.
    pub says: &'static [&'static str],
}

pub const fn case(name: &'static str, fate: &'static str, cause: &'static [&'static str]) -> Case {
    Case {
        name,
        fate,
        scenario: "",
        kind: Kind::RolledBack,
        setup: |_| {},
        configuration: "",
        plan: |_| {},
        definition: |_| {},
        cause,
        says: &[],
    }
}

impl Case {
    pub const fn with(mut self, definition: fn(&mut Value)) -> Self {
        self.definition = definition;
        self
    }

    const fn balanced(mut self) -> Self {
        self.setup = |setup| setup.balanced = true;
        self
    }

    const fn set(mut self, setup: fn(&mut Setup)) -> Self {
        self.setup = setup;
        self
    }

    const fn deployed_by(mut self, configuration: &'static str) -> Self {
        self.configuration = configuration;
        self
    }

    const fn amid(mut self, scenario: &'static str) -> Self {
        self.scenario = scenario;
        self
    }

    const fn ends(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    const fn within(mut self, plan: fn(&mut DeployPlan)) -> Self {
        self.plan = plan;
        self
    }

    const fn says(mut self, says: &'static [&'static str]) -> Self {
        self.says = says;
        self
    }

    fn scenario(&self) -> String {
        let fate = match self.fate {
            "" => String::new(),
            fate => format!("[[fate]]\nfamily = \"shop\"\nrevision = 2\n{fate}\n"),
        };
        format!("{fate}{}", self.scenario)
    }

    /// Deploys version 2, which fails.
    pub async fn fail(&self, bench: &Bench) -> Failure {
        let mut plan = version_two(bench);
        (self.plan)(&mut plan);
        bench.deploy(&plan).await.unwrap_err()
    }

    pub async fn bench(&self, more: &str) -> Bench {
        let mut definition = task_definition("shop", &image(1));
        let web = &mut definition["containerDefinitions"][0];
        web["environment"] = json!([
            { "name": "MODE", "value": CANARIES[0] },
            { "name": "API_TOKEN", "value": CANARIES[1] },
        ]);
        (self.definition)(&mut definition);
        let mut setup = Setup {
            task_definition: definition,
            refereed: false,
            ..Setup::default()
        };
        (self.setup)(&mut setup);
        let bench = Bench::with_service(&format!("{}{more}", self.scenario()), setup).await;
        if !self.configuration.is_empty() {
            // Set afterwards: alarms and hooks are about our deployment, not about the service's creation.
            let configuration: Value = serde_json::from_str(self.configuration).unwrap();
            bench.ask(
                "UpdateService",
                &json!({ "cluster": CLUSTER, "service": SERVICE, "deploymentConfiguration": configuration }),
            );
        }
        bench
    }
}

/// Every failing fate; a new one is a line here.
pub const CASES: &[Case] = &[
    case(
        "a crash",
        r#"lines = ["starting", "panic: DATABASE_URL is missing"]
crash = { after-seconds = 1, exit-code = 3 }"#,
        &["container web exited with code 3", "panic: DATABASE_URL is missing"],
    )
    .says(&["(EssentialContainerExited)", "last lines of container web", "circuit breaker:", "`shop:1` runs 2 tasks"]),
    case(
        "a crash that prints a token",
        r#"lines = ["error: canary-token is wrong", "GET https://me:canary-argument@db/ failed"]
crash = { after-seconds = 1, exit-code = 3 }"#,
        &["exited with code 3", "https://[secret]@db/ failed"],
    )
    .says(&["error: [secret] is wrong"]),
    case("a silent crash", "crash = { after-seconds = 1, exit-code = 139 }", &["container web exited with code 139"])
        .says(&["hint: exit code 139 is a segmentation fault", "wrote nothing to its log"]),
    case("an end that is well", "crash = { after-seconds = 1, exit-code = 0 }", &["container web exited with code 0"])
        .says(&["an essential container must not end"]),
    case(
        "an image for another CPU",
        r#"lines = ["exec /app: exec format error"]
crash = { exit-code = 255 }"#,
        &["exec format error"],
    )
    .says(&["`shop:2` runs on LINUX/X86_64", "`platform = \"linux/amd64\"`"]),
    case("too little memory", "crash = { after-seconds = 1, out-of-memory = true }", &["ran out of memory", "OutOfMemoryError"])
        .with(|definition| definition["containerDefinitions"][0]["memory"] = json!(256))
        .says(&["its hard limit is 256 MiB", "`web` may use 256 MiB in `shop:2`, as in `shop:1`"]),
    case(
        "a log that goes elsewhere",
        "crash = { after-seconds = 1, exit-code = 3 }",
        &["container web exited with code 3"],
    )
    .with(|definition| {
        definition["containerDefinitions"][0]["logConfiguration"] =
            json!({ "logDriver": "splunk", "options": { "splunk-token": "canary-argument" } });
    })
    .says(&["the log of container web goes to `splunk`: look there"]),
    case(
        "no log at all",
        "crash = { after-seconds = 1, exit-code = 3 }",
        &["container web exited with code 3"],
    )
    .with(|definition| {
        definition["containerDefinitions"][0].as_object_mut().unwrap().shift_remove("logConfiguration");
    })
    .says(&["container web has no `logConfiguration`"]),
    case(
        "an image that is not there",
        r#"pull-failure = "CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref registry.example/shop/web: not found""#,
        &["CannotPullContainerError: pull image manifest has been retried 7 time(s)", "not found"],
    )
    .says(&["(TaskFailedToStart)", "was it pushed"]),
    case(
        "a registry that cannot be reached",
        r#"pull-failure = "CannotPullContainerError: dial tcp 10.0.0.7:443: i/o timeout""#,
        &["dial tcp 10.0.0.7:443: i/o timeout"],
    )
    .says(&["a NAT gateway"]),
    case(
        "a registry that says no",
        r#"pull-failure = "CannotPullContainerError: 403 Forbidden""#,
        &["403 Forbidden"],
    )
    .says(&["the execution role `ecsTaskExecutionRole` may not pull"]),
    case(
        "an image without our platform",
        r#"pull-failure = "CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/amd64'""#,
        &["descriptor matching platform 'linux/amd64'"],
    )
    .says(&["built for another CPU"]),
    case(
        "a secret that may not be read",
        r#"pull-failure = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: AccessDeniedException""#,
        &["unable to retrieve secret from asm: AccessDeniedException"],
    )
    .with(|definition| {
        definition["containerDefinitions"][0]["secrets"] =
            json!([{ "name": "DB", "valueFrom": "arn:aws:secretsmanager:eu-west-1:000000000000:secret:db" }]);
    })
    .says(&["secretsmanager:GetSecretValue", "secret:db` (variable `DB`)"]),
    case("a container check that fails", r#"health = "fails"
lines = ["listening"]"#, &["container web fails its health check"])
        .with(|definition| {
            definition["containerDefinitions"][0]["healthCheck"] =
                json!({ "command": ["CMD-SHELL", "curl -H 'X-Key: canary-argument' localhost"], "interval": 5, "retries": 2 });
        })
        .says(&["is `curl` in the image of `web`", "Task failed container health checks", "listening"]),
    case(
        "a target that answers 404",
        r#"target = 404
lines = ["listening on 8080"]"#,
        &["targets of shop-web are unhealthy", "Health checks failed with these codes: [404]"],
    )
    .balanced()
    .says(&["`/healthz` on port 8080 of `web` answers 404 (it wants 200)", "ELB health checks"]),
    case(
        "a target that answers 503 and says why",
        r#"target = 503
lines = ["listening", "error: database is unreachable"]"#,
        &["container web said \"error: database is unreachable\"", "[503]"],
    )
    .balanced()
    .says(&["see its log"]),
    case("a target that does not answer", r#"target = "timeout""#, &["Request timed out"])
        .balanced()
        .says(&["nothing answers on port 8080 of `web` within 2 s", "security group"]),
    case("a target that refuses", r#"target = "refused""#, &["Health checks failed"])
        .balanced()
        .says(&["cannot connect to port 8080 of `web`"]),
    case(
        "a container that cannot be started",
        r#"container-failure = "CannotStartContainerError: Error response from daemon: exec /app: exec format error""#,
        &["CannotStartContainerError", "exec /app: exec format error"],
    )
    .set(|setup| setup.breaker = false)
    .says(&["(TaskFailedToStart)", "built for another CPU", "switch the deployment circuit breaker on", "`shop:1` is back"]),
    case(
        "a log group that does not exist",
        r#"start-failure = "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: ResourceNotFoundException: The specified log group does not exist.""#,
        &["The specified log group does not exist"],
    )
    .says(&["create the log group `/ecs/shop` in eu-west-1"]),
    case("Spot capacity that is taken back", r#"interrupted = { after-seconds = 5, by = "spot" }"#, &["Your Spot Task was interrupted"])
        .within(|plan| plan.deploy.timeout = Duration::from_secs(300))
        .ends(Kind::Deadline)
        .says(&["(SpotInterruption)", "no fault of the image"]),
    case("no capacity", "", &["ECS was unable to place a task because no container instance met all of its requirements"])
        .amid(NO_ROOM)
        .within(|plan| plan.deploy.timeout = Duration::from_secs(300))
        .ends(Kind::Deadline)
        .says(&["the cluster has no room: add capacity", "ECS goes on", "`shop:1` runs 2 tasks"]),
    case("no room to replace a task", "", &["minimumHealthyPercent 100 and maximumPercent 100 leave no room to replace a task of 2"])
        .set(|setup| setup.percent = Some((100, 100)))
        .ends(Kind::Refused)
        .says(&["nothing was changed; `shop:1` serves as before", "raise maximumPercent"]),
    case("tasks that do not start", "never-starts = true", &["no task failed: 2 tasks are still ACTIVATING, container web has not started"])
        .within(|plan| plan.deploy.timeout = Duration::from_secs(300))
        .ends(Kind::Deadline)
        .says(&["`dependsOn`", "(0/2 running)"]),
    case("an alarm", r#"lines = ["GET /orders 500"]"#, &["alarm `errors` fired"])
        .deployed_by(r#"{"alarms":{"alarmNames":["errors"],"enable":true,"rollback":true}}"#)
        .amid(ALARM)
        .says(&["alarms that fired: errors", "what the alarm measured", "GET /orders 500"]),
    case("a crash that sets off an alarm", r#"lines = ["panic: no DATABASE_URL"]
crash = { after-seconds = 20, exit-code = 3 }"#, &["container web exited with code 3: \"panic: no DATABASE_URL\""])
        .deployed_by(r#"{"alarms":{"alarmNames":["errors"],"enable":true,"rollback":true}}"#)
        .amid(LATE_ALARM)
        .says(&["alarms that fired: errors"]),
    case("a hook that says no", "", &["Lifecycle hook target arn:aws:lambda:eu-west-1:000000000000:function:smoke-test returned FAILED status"])
        .deployed_by(HOOKED)
        .amid("[[hook]]\ntarget = \"smoke-test\"\noutcome = \"fails\"\n")
        .says(&["the log of the hook's function says why: `/aws/lambda/smoke-test`"]),
    case("somebody who stops it", "", &["Service deployment rolled back because it was stopped"])
        .amid("[[act]]\nservice = \"shop\"\nafter-seconds = 30\nact = \"stop-deployment\"\n")
        .says(&["CloudTrail says who called ecs:StopServiceDeployment"]),
    case("somebody who deletes the service", "", &["somebody deleted it", "DRAINING"])
        .amid("[[act]]\nservice = \"shop\"\nafter-seconds = 30\nact = \"delete-service\"\n")
        .ends(Kind::RolloutFailed)
        .says(&["CloudTrail says who called ecs:DeleteService"]),
];

const NO_ROOM: &str = "[[placement]]\nservice = \"shop\"\nrevision = 2\n\
    message = \"because no container instance met all of its requirements\"\n";

const ALARM: &str = "[[act]]\nservice = \"shop\"\nafter-seconds = 45\nact = \"alarm\"\nname = \"errors\"\nstate = \"alarm\"\n";

const LATE_ALARM: &str = "[[act]]\nservice = \"shop\"\nafter-seconds = 80\nact = \"alarm\"\nname = \"errors\"\nstate = \"alarm\"\n";

const HOOKED: &str = r#"{"strategy":"BLUE_GREEN","bakeTimeInMinutes":1,"lifecycleHooks":[{
    "hookTargetArn":"arn:aws:lambda:eu-west-1:000000000000:function:smoke-test",
    "roleArn":"arn:aws:iam::000000000000:role/hooks","lifecycleStages":["POST_SCALE_UP"]}]}"#;
