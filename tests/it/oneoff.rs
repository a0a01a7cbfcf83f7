//! One-off tasks, end to end against the sandbox with simulated tasks on a virtual clock.

use crate::responder::{Answer, Asked, error, ok, respond};
use crate::support::{Bench, CLUSTER, SERVICE, Setup, image, task_definition};
use serde_json::{Value, json};
use slipway::clock::{Clock, VirtualClock};
use slipway::config::settings::{
    DefinitionsSource, DeploySettings, OnFailure, ServiceSettings, TaskSettings, Until,
};
use slipway::ecs::recorder::Recorder;
use slipway::failure::{Failure, Kind};
use slipway::image::endpoint::EngineEnv;
use slipway::name::Digest;
use slipway::report::event::{Event, Tell};
use slipway::stage::Tools;
use slipway::stage::deploy::{self, DeployPlan, Deployed};
use std::collections::BTreeMap;
use std::time::Duration;

/// A task that does its work in half a minute.
pub const WORKS: &str = r#"
[[fate]]
group = "task:migrate"
lines = ["applying 0003_orders", "applied 1 migration"]
crash = { after-seconds = 30, exit-code = 0 }
"#;

/// A task that fails, having said why.
pub const FAILS: &str = r#"
[[fate]]
group = "task:migrate"
lines = ["applying 0003_orders", "error: column \"total\" exists"]
crash = { after-seconds = 2, exit-code = 3 }
"#;

pub fn task(name: &str) -> TaskSettings {
    TaskSettings {
        name: name.parse().unwrap(),
        service: SERVICE.parse().unwrap(),
        container: None,
        command: vec!["./manage".to_owned(), name.to_owned()],
        task_definition: None,
        env: BTreeMap::new(),
        cpu: None,
        memory: None,
        timeout: Duration::from_secs(900),
    }
}

/// Version 2, after these tasks.
pub fn plan(bench: &Bench, tasks: &[&str]) -> DeployPlan {
    DeployPlan {
        tasks: tasks.iter().map(|name| task(name)).collect(),
        ..bench.version_two()
    }
}

async fn bench(scenario: &str) -> Bench {
    Bench::with_service(scenario, Setup::default()).await
}

/// The failure's kind and what a user reads.
fn failed(outcome: Result<Vec<Deployed>, Failure>) -> (Kind, String) {
    let failure = outcome.unwrap_err();
    let text = Bench::rendered(&failure);
    assert!(text.lines().count() <= 40, "more than a screen:\n{text}");
    (failure.kind, text)
}

/// The line of a rendered failure that begins with a label.
fn line<'a>(text: &'a str, label: &str) -> &'a str {
    let found = text
        .lines()
        .map(str::trim_start)
        .find_map(|line| line.strip_prefix(label));
    found.unwrap_or_else(|| panic!("no `{label}` in:\n{text}")).trim()
}

/// The tasks that stand alone, as the world knows them, in the order of their start.
pub fn alone(bench: &Bench) -> Vec<Value> {
    let mut tasks = Vec::new();
    for status in ["RUNNING", "STOPPED"] {
        let listed = bench.ask(
            "ListTasks",
            &json!({ "cluster": CLUSTER, "desiredStatus": status }),
        );
        if listed["taskArns"].as_array().unwrap().is_empty() {
            continue;
        }
        let described = bench.ask(
            "DescribeTasks",
            &json!({ "cluster": CLUSTER, "tasks": listed["taskArns"] }),
        );
        tasks.extend(described["tasks"].as_array().unwrap().clone());
    }
    tasks.retain(|task| task["group"].as_str().unwrap().starts_with("task:"));
    tasks.sort_by(|one, other| {
        let created = |task: &Value| task["createdAt"].as_f64().unwrap();
        created(one).total_cmp(&created(other))
    });
    tasks
}

fn asked(bench: &Bench, operation: &str) -> usize {
    let asked = bench.journal();
    asked
        .iter()
        .filter(|asked| **asked == format!("ecs:{operation}"))
        .count()
}

/// No service was changed, and the revision of the task is registered for nothing.
async fn untouched(bench: &Bench, text: &str) {
    assert_eq!(asked(bench, "UpdateService"), 0, "{text}");
    assert_eq!(asked(bench, "StopTask"), 0, "slipway stops no task");
    assert_eq!(bench.revision().await, "shop:1", "{text}");
    assert_eq!(bench.revisions().await, 2, "{text}");
    let left = line(text, "left:");
    assert!(
        left.contains("`shop:1` serves as before; revision `shop:2` is registered and not used"),
        "{text}"
    );
}

#[tokio::test]
async fn a_task_runs_with_the_revision_that_the_service_gets_and_before_it_gets_it() {
    let bench = bench(WORKS).await;
    let mut plan = plan(&bench, &["migrate"]);
    plan.tasks[0].cpu = Some(512);
    plan.tasks[0].memory = Some(1024);
    plan.tasks[0].env = BTreeMap::from([(
        "web".parse().unwrap(),
        BTreeMap::from([("RELEASE".to_owned(), "r2".to_owned().into())]),
    )]);
    let deployed = bench.deploy(&plan).await.unwrap();
    assert_eq!(deployed[0].revision, "shop:2");
    assert_eq!(bench.revisions().await, 2, "one revision for both");
    let asked = bench.journal();
    let at = |operation: &str| asked.iter().position(|asked| asked == operation).unwrap();
    assert!(at("ecs:RunTask") < at("ecs:UpdateService"), "{asked:?}");
    let [ran] = alone(&bench).try_into().unwrap();
    assert!(ran["taskDefinitionArn"].as_str().unwrap().ends_with("/shop:2"));
    assert_eq!(ran["startedBy"], "slipway/shop/migrate");
    assert_eq!(
        (&ran["group"], &ran["launchType"]),
        (&json!("task:migrate"), &json!("FARGATE"))
    );
    assert_eq!(
        ran["overrides"]["containerOverrides"][0],
        json!({ "name": "web", "command": ["./manage", "migrate"], "environment": [{ "name": "RELEASE", "value": "r2" }] })
    );
    assert_eq!(
        (&ran["overrides"]["cpu"], &ran["overrides"]["memory"]),
        (&json!("512"), &json!("1024"))
    );
    let told = bench.told();
    let lines: Vec<&str> = told
        .iter()
        .filter_map(|event| match event {
            Event::TaskLine { line, .. } => Some(line.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(lines, ["applying 0003_orders", "applied 1 migration"]);
    let digest = image(2).split_once('@').unwrap().1.parse().unwrap();
    let done =
        |event: &Event| matches!(event, Event::TaskDone { digest: Some(proven), .. } if *proven == digest);
    let started = |event: &Event| matches!(event, Event::DeploymentStarted { .. });
    assert!(told.iter().position(done).unwrap() < told.iter().position(started).unwrap());
}

#[tokio::test]
async fn a_task_that_fails_ends_the_deploy_with_its_own_words_and_no_service_changed() {
    let bench = bench(FAILS).await;
    let (kind, text) = failed(bench.deploy(&plan(&bench, &["migrate", "seed"])).await);
    assert_eq!(kind, Kind::Gate, "{text}");
    assert_eq!(
        line(&text, "error:"),
        "task `migrate` failed, so no service was updated"
    );
    assert_eq!(
        line(&text, "cause:"),
        "container web exited with code 3: \"error: column \"total\" exists\""
    );
    untouched(&bench, &text).await;
    assert_eq!(alone(&bench).len(), 1, "the second task is not run");
}

#[tokio::test]
async fn tasks_run_one_after_the_other_with_one_revision() {
    let scenario = format!("{WORKS}{}", WORKS.replace("migrate", "seed"));
    let bench = bench(&scenario).await;
    bench.deploy(&plan(&bench, &["migrate", "seed"])).await.unwrap();
    let [first, second] = alone(&bench).try_into().unwrap();
    assert_eq!(first["group"], "task:migrate");
    assert!(first["executionStoppedAt"].as_f64() <= second["createdAt"].as_f64());
    assert_eq!(first["taskDefinitionArn"], second["taskDefinitionArn"]);
    assert_eq!(bench.revisions().await, 2);

    let scenario = format!("{WORKS}{}", FAILS.replace("migrate", "seed"));
    let bench = self::bench(&scenario).await;
    let (kind, text) = failed(bench.deploy(&plan(&bench, &["migrate", "seed"])).await);
    assert_eq!(kind, Kind::Gate, "{text}");
    untouched(&bench, &text).await;
    assert!(
        line(&text, "left:").ends_with("task `migrate` has done its work, which is not undone"),
        "{text}"
    );
}

#[tokio::test]
async fn a_task_whose_image_cannot_be_pulled_or_that_cannot_start_has_failed() {
    let bench = bench(
        "[[fate]]\ngroup = \"task:migrate\"\npull-failure = \"CannotPullContainerError: failed to resolve ref: not found\"\n",
    )
    .await;
    let (kind, text) = failed(bench.deploy(&plan(&bench, &["migrate"])).await);
    assert_eq!(kind, Kind::Gate, "{text}");
    assert!(
        line(&text, "cause:").contains("CannotPullContainerError"),
        "{text}"
    );
    assert!(
        line(&text, "hint:").contains("is not there: was it pushed"),
        "{text}"
    );
    untouched(&bench, &text).await;
}

#[tokio::test]
async fn a_task_that_takes_too_long_goes_on_and_is_told_with_what_it_waited_for() {
    let never = "[[fate]]\ngroup = \"task:migrate\"\nnever-starts = true\n";
    for (scenario, waited_for) in [(never, "the task to start"), ("", "the task to end (it runs)")] {
        let bench = bench(scenario).await;
        let mut plan = plan(&bench, &["migrate"]);
        plan.tasks[0].timeout = Duration::from_secs(300);
        let began = bench.tools.clock.now();
        let (kind, text) = failed(bench.deploy(&plan).await);
        assert_eq!(kind, Kind::Deadline, "{text}");
        assert!(line(&text, "error:").contains(waited_for), "{text}");
        assert!(line(&text, "left:").starts_with("the task goes on; "), "{text}");
        let took = bench.tools.clock.now() - began;
        assert!((300..320).contains(&took.as_secs()), "{took:?}");
        let looks = asked(&bench, "DescribeTasks");
        assert!(looks <= 75, "{looks} looks in 300 s");
        untouched(&bench, &text).await;
        assert_eq!(alone(&bench)[0]["desiredStatus"], "RUNNING");
    }
}

#[tokio::test]
async fn a_stop_leaves_the_task_running_and_a_second_run_does_not_start_another() {
    let bench = bench("").await;
    let (hand, view) = slipway::shutdown::switch();
    let mut tools = bench.tools.clone();
    tools.shutdown = view;
    tools.tell = Tell::new(move |event| {
        if matches!(&event, Event::TaskWaiting { what_for, .. } if what_for.contains("it runs")) {
            hand.raise(Kind::Interrupted);
        }
    });
    let (kind, text) = failed(deploy::deploy(&tools, &plan(&bench, &["migrate"])).await);
    assert_eq!(kind, Kind::Interrupted, "{text}");
    let running = alone(&bench).remove(0);
    let id = running["taskArn"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(running["desiredStatus"], "RUNNING");
    assert!(line(&text, "where:").contains(&id), "{text}");
    assert!(
        line(&text, "hint:").contains(&format!("describe-tasks --cluster prod --tasks {id}")),
        "{text}"
    );
    untouched(&bench, &text).await;

    let (kind, text) = failed(bench.deploy(&plan(&bench, &["migrate"])).await);
    assert_eq!(kind, Kind::Gate, "{text}");
    assert_eq!(
        line(&text, "error:"),
        "task `migrate` of an earlier run still runs"
    );
    assert!(line(&text, "cause:").contains(&id), "{text}");
    assert_eq!(line(&text, "left:"), "nothing was changed");
    assert_eq!((asked(&bench, "RunTask"), bench.revisions().await), (1, 2));

    bench.ask("StopTask", &json!({ "cluster": CLUSTER, "task": id }));
    let mut again = plan(&bench, &["migrate"]);
    again.tasks[0].timeout = Duration::from_secs(60);
    let (kind, _) = failed(bench.deploy(&again).await);
    assert_eq!(
        (kind, asked(&bench, "RunTask")),
        (Kind::Deadline, 2),
        "once the first has ended"
    );
}

#[tokio::test]
async fn a_task_that_somebody_stops_has_not_done_its_work() {
    let bench = bench("").await;
    let (tell, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let mut tools = bench.tools.clone();
    tools.tell = Tell::new(move |event| {
        if matches!(&event, Event::TaskWaiting { what_for, .. } if what_for.contains("it runs")) {
            let _ = tell.send(());
        }
    });
    let plan = plan(&bench, &["migrate"]);
    let somebody = async {
        heard.recv().await.unwrap();
        let id = alone(&bench)[0]["taskArn"].clone();
        bench.ask(
            "StopTask",
            &json!({ "cluster": CLUSTER, "task": id, "reason": "lunch" }),
        );
    };
    let (outcome, ()) = tokio::join!(deploy::deploy(&tools, &plan), somebody);
    let (kind, text) = failed(outcome);
    assert_eq!(kind, Kind::Gate, "{text}");
    assert_eq!(
        line(&text, "error:"),
        "somebody stopped task `migrate`, so no service was updated"
    );
    assert_eq!(line(&text, "cause:"), "StopTask: lunch");
    untouched(&bench, &text).await;
}

#[tokio::test]
async fn throttling_and_passing_trouble_change_nothing_about_the_task() {
    for fault in [
        "operation = \"RunTask\"\nfrom = 1\nto = 8\naction = \"throttle\"",
        "operation = \"RunTask\"\nnth = 1\naction = \"http\"\nstatus = 502",
        "operation = \"DescribeTasks\"\nevery = 2\naction = \"throttle\"",
        "operation = \"DescribeTasks\"\nfrom = 2\nto = 8\naction = \"refuse\"",
    ] {
        let bench = bench(&format!("{WORKS}\n[[fault]]\nservice = \"ecs\"\n{fault}\n")).await;
        let deployed = bench.deploy(&plan(&bench, &["migrate"])).await;
        let deployed = deployed.unwrap_or_else(|failure| panic!("{fault}: {}", Bench::rendered(&failure)));
        assert_eq!(deployed[0].revision, "shop:2");
        assert_eq!(alone(&bench).len(), 1, "{fault}");
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_told_and_never_taken_for_done() {
    let denied = |operation: &str| {
        format!("{WORKS}\n[[fault]]\noperation = \"{operation}\"\naction = \"access-denied\"\n")
    };
    let bench = bench(&denied("DescribeTasks")).await;
    let (kind, text) = failed(bench.deploy(&plan(&bench, &["migrate"])).await);
    assert_eq!(kind, Kind::Unclear, "{text}");
    assert_eq!(line(&text, "cause:"), "`ecs:DescribeTasks` is denied");
    untouched(&bench, &text).await;

    let bench = self::bench(&denied("RunTask")).await;
    let (kind, text) = failed(bench.deploy(&plan(&bench, &["migrate"])).await);
    assert_eq!(kind, Kind::Refused, "{text}");
    assert_eq!(line(&text, "hint:"), "allow `ecs:RunTask` in the role's policy");
    untouched(&bench, &text).await;

    let ended =
        format!("{WORKS}\n[[fault]]\noperation = \"DescribeTasks\"\nfrom = 2\naction = \"expired-token\"\n");
    let bench = self::bench(&ended).await;
    let (kind, text) = failed(bench.deploy(&plan(&bench, &["migrate"])).await);
    assert_eq!(kind, Kind::Unclear, "{text}");
    assert!(line(&text, "cause:").contains("credentials ended"), "{text}");
    untouched(&bench, &text).await;
}

#[tokio::test]
async fn a_log_that_may_not_be_read_hides_no_verdict() {
    let denied =
        "\n[[fault]]\nservice = \"logs\"\noperation = \"GetLogEvents\"\naction = \"access-denied\"\n";
    let bench = bench(&format!("{WORKS}{denied}")).await;
    bench.deploy(&plan(&bench, &["migrate"])).await.unwrap();

    let bench = self::bench(&format!("{FAILS}{denied}")).await;
    let (kind, text) = failed(bench.deploy(&plan(&bench, &["migrate"])).await);
    assert_eq!(kind, Kind::Gate, "{text}");
    assert_eq!(line(&text, "cause:"), "container web exited with code 3");
    untouched(&bench, &text).await;
}

/// A task definition with a second essential container.
fn two_containers() -> Setup {
    let mut definition = task_definition("shop", &image(1));
    let mut proxy = definition["containerDefinitions"][0].clone();
    proxy["name"] = json!("proxy");
    proxy["image"] = json!("registry.example/shop/proxy:1");
    proxy["portMappings"] = json!([]);
    definition["containerDefinitions"]
        .as_array_mut()
        .unwrap()
        .push(proxy);
    Setup {
        task_definition: definition,
        ..Setup::default()
    }
}

#[tokio::test]
async fn another_essential_container_that_fails_takes_the_task_with_it() {
    let scenario = r#"
[[fate]]
group = "task:migrate"
container = "proxy"
lines = ["proxy: cannot bind"]
crash = { after-seconds = 1, exit-code = 1 }
"#;
    let bench = Bench::with_service(scenario, two_containers()).await;
    let mut plan = plan(&bench, &["migrate"]);
    let (kind, text) = failed(bench.deploy(&plan).await);
    assert_eq!(kind, Kind::Usage, "two containers, and none is named: {text}");
    assert!(
        line(&text, "cause:").contains("`web`, `proxy` are essential"),
        "{text}"
    );
    plan.tasks[0].container = Some("web".parse().unwrap());
    let (kind, text) = failed(bench.deploy(&plan).await);
    assert_eq!(kind, Kind::Gate, "{text}");
    assert!(
        line(&text, "cause:").starts_with("container proxy exited with code 1"),
        "{text}"
    );
    untouched(&bench, &text).await;

    let works = WORKS.replace("[[fate]]", "[[fate]]\ncontainer = \"web\"");
    let bench = Bench::with_service(&works, two_containers()).await;
    plan = self::plan(&bench, &["migrate"]);
    plan.tasks[0].container = Some("web".parse().unwrap());
    bench.deploy(&plan).await.unwrap();
}

#[tokio::test]
async fn where_nothing_differs_no_task_is_run_unless_it_is_forced() {
    let bench = bench(WORKS).await;
    let mut same = bench.plan(&json!([{ "name": "web", "imageUri": image(1) }]).to_string());
    same.tasks = vec![task("migrate")];
    bench.deploy(&same).await.unwrap();
    assert!(alone(&bench).is_empty());
    let note = "task `migrate`: not run, since nothing differs in service `shop`";
    assert!(bench.told().contains(&Event::Note(note.to_owned())));
    same.deploy.force = true;
    bench.deploy(&same).await.unwrap();
    bench.deploy(&same).await.unwrap();
    let ran = alone(&bench);
    assert_eq!(
        ran.len(),
        2,
        "the second forced run does not get the first one's task"
    );
    assert!(ran[0]["taskDefinitionArn"].as_str().unwrap().ends_with("/shop:1"));
    assert_eq!(bench.revisions().await, 1);
}

#[tokio::test]
async fn a_rollout_that_fails_after_a_task_says_that_its_work_stays() {
    let crash =
        "\n[[fate]]\nservice = \"shop\"\nrevision = 2\ncrash = { after-seconds = 1, exit-code = 1 }\n";
    let bench = bench(&format!("{WORKS}{crash}")).await;
    let (kind, text) = failed(bench.deploy(&plan(&bench, &["migrate"])).await);
    assert_eq!(kind, Kind::RolledBack, "{text}");
    assert!(
        line(&text, "left:").ends_with("; task `migrate` has done its work, which is not undone"),
        "{text}"
    );
}

#[tokio::test]
async fn a_task_with_a_definition_of_its_own_takes_the_services_network_and_the_new_image() {
    let bench = bench(&WORKS.replace("group", "family = \"migrate\"\ngroup")).await;
    let mut definition = task_definition("migrate", "nothing/yet");
    definition["containerDefinitions"][0]["name"] = json!("migrator");
    let file = bench.folder.path().join("migrate.json");
    std::fs::write(&file, definition.to_string()).unwrap();
    let images =
        json!([{ "name": "web", "imageUri": image(2) }, { "name": "migrator", "imageUri": image(2) }]);
    let mut plan = bench.plan(&images.to_string());
    plan.tasks = vec![TaskSettings {
        task_definition: Some(file),
        command: Vec::new(),
        ..task("migrate")
    }];
    bench.deploy(&plan).await.unwrap();
    let [ran] = alone(&bench).try_into().unwrap();
    assert!(ran["taskDefinitionArn"].as_str().unwrap().ends_with("/migrate:1"));
    assert_eq!(ran["containers"][0]["image"], image(2));
    assert!(bench.registered("migrate:1").await.contains("migrator"));

    // Nothing differs any more: the image that only the task takes is no stray one.
    let again = bench.deploy(&plan).await.unwrap();
    assert_eq!((&again[0].deployment, alone(&bench).len()), (&None, 1));
}

#[tokio::test]
async fn what_does_not_fit_is_told_before_anything_changes() {
    let bench = bench(WORKS).await;
    let with = |change: fn(&mut TaskSettings)| {
        let mut plan = plan(&bench, &["migrate"]);
        change(&mut plan.tasks[0]);
        plan
    };
    for (plan, cause) in [
        (
            with(|task| task.container = Some("api".parse().unwrap())),
            "its task definition has no container `api`, only `web`",
        ),
        (
            with(|task| task.env = BTreeMap::from([("api".parse().unwrap(), BTreeMap::new())])),
            "`env` names container `api`, which its task definition does not have, only `web`",
        ),
        (
            with(|task| task.command = vec!["x".repeat(9000)]),
            "its command and environment have 9",
        ),
        (
            with(|task| task.service = "other".parse().unwrap()),
            "service `other` is not deployed",
        ),
    ] {
        let (kind, text) = failed(bench.deploy(&plan).await);
        assert_eq!(kind, Kind::Usage, "{text}");
        assert!(line(&text, "cause:").starts_with(cause), "{text}");
        assert_eq!(line(&text, "where:"), "`[task.migrate]` of slipway.toml");
        assert_eq!(line(&text, "left:"), "nothing was changed");
    }
    let missing = with(|task| task.task_definition = Some("/nowhere/migrate.json".into()));
    let (kind, text) = failed(bench.deploy(&missing).await);
    assert_eq!(kind, Kind::Input, "{text}");
    assert_eq!(bench.revisions().await, 1);

    let mut setup = two_containers();
    setup.task_definition["containerDefinitions"][1]["essential"] = json!(false);
    let bench = Bench::with_service("", setup).await;
    let mut plan = plan(&bench, &["migrate"]);
    plan.tasks[0].container = Some("proxy".parse().unwrap());
    let (_, text) = failed(bench.deploy(&plan).await);
    assert!(
        line(&text, "cause:").contains("`proxy` is not essential"),
        "{text}"
    );
}

/// A play of one service and a task, as the deploy's own tests have it; `answer` goes before it.
async fn played(
    answer: impl Fn(&str, &Asked) -> Option<Answer> + Clone + Send + Sync + 'static,
) -> (Result<Vec<Deployed>, Failure>, Asked) {
    played_with(&image(2), answer).await
}

/// The same with an image to deploy; the task of the play runs the second version's.
async fn played_with(
    deployed: &str,
    answer: impl Fn(&str, &Asked) -> Option<Answer> + Clone + Send + Sync + 'static,
) -> (Result<Vec<Deployed>, Failure>, Asked) {
    const ARN: &str = "arn:aws:ecs:eu-west-1:000000000000:task-definition/shop:";
    let (aws, asked) = respond(move |operation: &str, _: &Value, asked: &Asked| {
        if let Some(answer) = answer(operation, asked) {
            return answer;
        }
        let deployment = json!({ "id": "ecs-svc/1", "status": "PRIMARY", "rolloutState": "COMPLETED",
            "desiredCount": 1, "runningCount": 1, "pendingCount": 0, "failedTasks": 0,
            "taskDefinition": format!("{ARN}1") });
        ok(match operation {
            "DescribeServices" => json!({ "services": [{
                "serviceName": SERVICE, "status": "ACTIVE", "desiredCount": 1, "runningCount": 1, "pendingCount": 0, "loadBalancers": [],
                "taskDefinition": format!("{ARN}1"), "deployments": [deployment], "events": [],
                "capacityProviderStrategy": [{ "capacityProvider": "FARGATE_SPOT", "weight": 1 }],
                "launchType": "FARGATE", "platformVersion": "1.4.0", "propagateTags": "TASK_DEFINITION",
                "networkConfiguration": { "awsvpcConfiguration": {
                    "subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "ENABLED" } },
            }] }),
            "DescribeTaskDefinition" => json!({ "taskDefinition": task_definition("shop", &image(1)) }),
            "RegisterTaskDefinition" => {
                json!({ "taskDefinition": { "taskDefinitionArn": format!("{ARN}2") } })
            }
            "RunTask" => json!({ "tasks": [{ "taskArn": "arn:x:task/prod/t1" }], "failures": [] }),
            "ListTasks" => json!({ "taskArns": [] }),
            "DescribeTasks" => json!({ "tasks": [ended(&image(2), "EssentialContainerExited", 0)] }),
            "GetLogEvents" => json!({ "events": [] }),
            "BatchGetImage" => json!({ "images": [], "failures": [] }),
            // Whatever comes after the tasks is not played.
            "UpdateService" => return error("ServiceNotActiveException", "not played"),
            other => panic!("{other}"),
        })
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("imagedefinitions.json");
    std::fs::write(
        &file,
        json!([{ "name": "web", "imageUri": deployed }]).to_string(),
    )
    .unwrap();
    let tools = Tools {
        aws: aws.into(),
        clock: Clock::Virtual(VirtualClock::starting_at(Duration::ZERO)),
        shutdown: slipway::shutdown::Shutdown::never(),
        tell: Tell::nobody(),
        engine: EngineEnv::default(),
        record: Recorder::default(),
    };
    let service = ServiceSettings {
        name: SERVICE.parse().unwrap(),
        cluster: None,
        place: slipway::config::settings::Place::default(),
        task_definition: None,
        env: BTreeMap::new(),
        containers: Vec::new(),
    };
    let plan = DeployPlan {
        deploy: DeploySettings {
            cluster: Some(CLUSTER.to_owned()),
            source: DefinitionsSource::File(file),
            timeout: Duration::from_secs(900),
            until: Until::Healthy,
            on_failure: OnFailure::Rollback,
            on_first_failure: slipway::config::settings::OnFirstFailure::KeepGoing,
            force: false,
            allow_zero: false,
        },
        services: vec![service],
        tasks: vec![task("migrate")],
    };
    (deploy::deploy(&tools, &plan).await, asked)
}

/// The task of a play that has stopped.
fn ended(image: &str, stop_code: &str, exit_code: i32) -> Value {
    let digest = image.split_once('@').unwrap().1;
    json!({ "taskArn": "arn:x:task/prod/t1", "lastStatus": "STOPPED", "desiredStatus": "STOPPED",
        "stopCode": stop_code, "stoppedReason": "why",
        "containers": [{ "name": "web", "imageDigest": digest, "exitCode": exit_code }] })
}

fn times(asked: &Asked, operation: &str) -> usize {
    asked.bodies(operation).len()
}

#[tokio::test]
async fn a_lost_answer_of_run_task_is_asked_for_again_with_the_same_token() {
    let (_, asked) = played(|operation, asked| {
        (operation == "RunTask" && asked.times("RunTask") < 8).then_some(Answer::Cut)
    })
    .await;
    let bodies: Vec<Value> = asked
        .bodies("RunTask")
        .iter()
        .map(|body| serde_json::from_slice(body).unwrap())
        .collect();
    assert_eq!(bodies.len(), 9, "more than the SDK repeats by itself");
    assert!(
        bodies.iter().all(|body| *body == bodies[0]),
        "one and the same request"
    );
    let token = bodies[0]["clientToken"].as_str().unwrap();
    assert!((1..=64).contains(&token.len()), "{token}");
    assert_eq!(times(&asked, "UpdateService"), 1, "the task was done");
}

#[tokio::test]
async fn a_task_goes_where_the_services_tasks_go() {
    let (_, asked) = played(|_, _| None).await;
    let body: Value = serde_json::from_slice(&asked.bodies("RunTask")[0]).unwrap();
    assert_eq!(
        body["networkConfiguration"]["awsvpcConfiguration"],
        json!({ "subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "ENABLED" })
    );
    assert_eq!(
        body["capacityProviderStrategy"][0]["capacityProvider"],
        "FARGATE_SPOT"
    );
    assert!(body.get("launchType").is_none(), "ECS takes one of the two");
    assert_eq!(
        (&body["platformVersion"], &body["propagateTags"]),
        (&json!("1.4.0"), &json!("TASK_DEFINITION"))
    );
    let first: Value = serde_json::from_slice(&asked.bodies("ListTasks")[0]).unwrap();
    assert_eq!(
        first,
        json!({ "cluster": "prod", "startedBy": "slipway/shop/migrate" })
    );
}

#[tokio::test]
async fn a_task_that_does_not_run_changes_nothing() {
    // Status 200 and a failure.
    let (outcome, asked) = played(|operation, _| {
        let failure =
            json!({ "arn": "arn:x:container-instance/1", "reason": "RESOURCE:MEMORY", "detail": "too much" });
        (operation == "RunTask").then(|| ok(json!({ "tasks": [], "failures": [failure] })))
    })
    .await;
    let (kind, text) = failed(outcome);
    assert_eq!(kind, Kind::Refused, "{text}");
    assert_eq!(
        line(&text, "cause:"),
        "RESOURCE:MEMORY (no container instance has enough memory free): too much"
    );
    assert!(line(&text, "hint:").contains("there is no room"), "{text}");
    assert_eq!((times(&asked, "RunTask"), times(&asked, "UpdateService")), (1, 0));

    // Never an answer: it may run.
    let (outcome, asked) = played(|operation, _| (operation == "RunTask").then_some(Answer::Cut)).await;
    let (kind, text) = failed(outcome);
    assert_eq!(kind, Kind::Unclear, "{text}");
    assert!(
        line(&text, "left:").starts_with("unknown whether the task runs; "),
        "{text}"
    );
    assert!(
        text.contains("--cluster prod --started-by slipway/shop/migrate"),
        "{text}"
    );
    assert_eq!(times(&asked, "UpdateService"), 0);
}

#[tokio::test]
async fn an_end_that_proves_nothing_updates_nothing() {
    for (task, kind, cause) in [
        (
            ended(&image(1), "EssentialContainerExited", 0),
            Kind::Unclear,
            "and the deployed image cannot be read to compare",
        ),
        (
            ended(&image(2), "Lunch", 0),
            Kind::Unclear,
            "`Lunch`, which slipway does not know",
        ),
        (ended(&image(2), "SpotInterruption", 0), Kind::Gate, "why"),
        (
            ended(&image(2), "EssentialContainerExited", 1),
            Kind::Gate,
            "container web exited with code 1",
        ),
    ] {
        let (outcome, asked) = played(move |operation, _| {
            (operation == "DescribeTasks").then(|| ok(json!({ "tasks": [task.clone()] })))
        })
        .await;
        let (got, text) = failed(outcome);
        assert_eq!(got, kind, "{text}");
        assert!(line(&text, "cause:").contains(cause), "{text}");
        assert_eq!(times(&asked, "UpdateService"), 0, "{text}");
    }
    let gone = json!({ "tasks": [], "failures": [{ "arn": "arn:x:task/prod/t1", "reason": "MISSING" }] });
    let (outcome, asked) =
        played(move |operation, _| (operation == "DescribeTasks").then(|| ok(gone.clone()))).await;
    let (kind, text) = failed(outcome);
    assert_eq!(kind, Kind::Unclear, "{text}");
    assert!(
        line(&text, "cause:").contains("ECS does not know the task"),
        "{text}"
    );
    assert_eq!(times(&asked, "UpdateService"), 0);
}

#[tokio::test]
async fn a_task_that_ran_another_image_is_told_although_its_work_was_done() {
    // A manifest that is no index: its digest is the one that must run.
    let manifest =
        json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json" }).to_string();
    let deployed = format!("registry.example/shop/web@{}", Digest::of(manifest.as_bytes()));
    let (outcome, asked) = played_with(&deployed, move |operation, _| match operation {
        "BatchGetImage" => Some(ok(
            json!({ "images": [{ "imageManifest": manifest }], "failures": [] }),
        )),
        _ => None,
    })
    .await;
    let (kind, text) = failed(outcome);
    assert_eq!(kind, Kind::Registry, "{text}");
    assert!(
        line(&text, "error:").contains("did not run the image that is deployed"),
        "{text}"
    );
    assert!(
        line(&text, "left:").starts_with("the task has done its work with that other image; "),
        "{text}"
    );
    assert_eq!(times(&asked, "UpdateService"), 0);
}

#[tokio::test]
async fn a_failure_says_of_every_service_what_stands() {
    let bench = bench(FAILS).await;
    let mut definition = task_definition("jobs", &image(1));
    definition["containerDefinitions"][0]["name"] = json!("jobs");
    let revision = bench.register(&definition).await;
    bench.create_service("jobs", &revision, &Setup::default()).await;
    let images = json!([{ "name": "web", "imageUri": image(2) }, { "name": "jobs", "imageUri": image(2) }]);
    let mut plan = bench.plan(&images.to_string());
    let mut jobs = plan.services[0].clone();
    jobs.name = "jobs".parse().unwrap();
    plan.services.push(jobs);
    plan.tasks = vec![task("migrate")];
    let (kind, text) = failed(bench.deploy(&plan).await);
    assert_eq!(kind, Kind::Gate, "{text}");
    assert_eq!(
        line(&text, "left:"),
        "`shop:1` serves as before; revision `shop:2` is registered and not used; `jobs:1` serves as before"
    );
    let again = bench.ask("ListTaskDefinitions", &json!({ "familyPrefix": "jobs" }));
    assert_eq!(again["taskDefinitionArns"].as_array().unwrap().len(), 1);
}
