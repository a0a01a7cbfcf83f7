//! The way back, and what somebody else does on the way there: end to end against the sandbox on a virtual clock.

use crate::support::{Bench, CLUSTER, SERVICE, Setup, image, task_definition};
use serde_json::json;
use slipway::clock::Clock;
use slipway::config::settings::{OnFailure, OnFirstFailure};
use slipway::failure::{Failure, Kind};
use slipway::report::event::{Event, Tell};
use slipway::stage::Tools;
use slipway::stage::deploy::{DeployPlan, Deployed, deploy};
use std::time::Duration;

const NAMES: [&str; 3] = ["service-00", "service-01", "service-02"];

async fn bench(scenario: &str, names: &[&str], setup: impl Fn() -> Setup) -> (Bench, DeployPlan) {
    let services: Vec<(&str, Setup)> = names.iter().map(|name| (*name, setup())).collect();
    let bench = Bench::with_services(scenario, &services).await;
    let places: Vec<(&str, &str)> = names.iter().map(|name| (CLUSTER, *name)).collect();
    let plan = bench.version_two_of(&places);
    (bench, plan)
}

fn failed(outcome: Result<Vec<Deployed>, Failure>) -> (Failure, String) {
    let failure = outcome.unwrap_err();
    let text = Bench::rendered(&failure);
    assert!(text.lines().count() <= 40, "more than a screen:\n{text}");
    (failure, text)
}

fn without_breaker() -> Setup {
    Setup {
        breaker: false,
        ..Setup::default()
    }
}

/// The bench's tools, with a deed at every event beside the telling.
fn doing(bench: &Bench, deed: impl Fn(&Event) + Send + Sync + 'static) -> Tools {
    let told = bench.tools.tell.clone();
    Tools {
        tell: Tell::new(move |event| {
            deed(&event);
            told.tell(event);
        }),
        ..bench.tools.clone()
    }
}

/// Deploys while somebody else deploys another revision once this one is registered.
async fn overtaken(force: bool) -> (Bench, Result<Vec<Deployed>, Failure>) {
    let bench = Bench::with_service("", Setup::default()).await;
    let foreign = bench.register(&task_definition("somebody-else", &image(9))).await;
    let (send, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let tools = doing(&bench, move |event| {
        if matches!(event, Event::Registered { .. }) {
            let _ = send.send(());
        }
    });
    let mut plan = bench.version_two();
    plan.deploy.force = force;
    let somebody = async {
        heard.recv().await.unwrap();
        let update = json!({ "cluster": CLUSTER, "service": SERVICE, "taskDefinition": foreign });
        bench.ask("UpdateService", &update);
    };
    let (outcome, ()) = tokio::join!(deploy(&tools, &plan), somebody);
    (bench, outcome)
}

#[tokio::test]
async fn what_somebody_else_deployed_since_the_preparation_is_not_rolled_over() {
    let (bench, outcome) = overtaken(false).await;
    let (failure, text) = failed(outcome);
    assert_eq!(failure.kind, Kind::Refused, "{text}");
    assert!(
        text.contains("somebody else deployed to service `shop`"),
        "{text}"
    );
    assert!(
        text.contains("(`somebody-else:1`) was left alone, and the service was not changed"),
        "{text}"
    );
    assert!(text.contains("`shop:2` is registered and not used"), "{text}");
    assert!(text.contains("run the same command again"), "{text}");
    assert_eq!(bench.revision().await, "somebody-else:1");
}

#[tokio::test]
async fn it_is_rolled_over_when_that_is_forced() {
    let (bench, outcome) = overtaken(true).await;
    assert_eq!(outcome.unwrap()[0].revision, "shop:2");
    let told = bench.told();
    let warned = |event: &Event| {
        matches!(event, Event::Warning(text)
            if text.contains("(`somebody-else:1`) began since it was prepared, and is deployed over"))
    };
    assert!(told.iter().any(warned), "{told:#?}");
}

#[tokio::test]
async fn a_revision_whose_tasks_crash_again_is_not_called_back() {
    let scenario = "[[fate]]\nservice = \"service-00\"\nrevision = 1\ntasks = 2\n\
        [[fate]]\nservice = \"service-00\"\nrevision = 1\ncrash = { after-seconds = 20, exit-code = 9 }\n\
        [[fate]]\nservice = \"service-01\"\nrevision = 2\ncrash = { after-seconds = 1, exit-code = 3 }\n";
    let (bench, mut plan) = bench(scenario, &NAMES[..2], Setup::default).await;
    plan.deploy.on_failure = OnFailure::RollbackAll;
    let (failure, text) = failed(bench.deploy(&plan).await);
    assert_eq!(failure.kind, Kind::RolledBack, "{text}");
    let back = failure.others.join("\n");
    assert!(!back.contains("is back"), "{text}");
    assert!(
        back.contains("ECS was asked to bring `service-00:1` back and was still at it when last seen"),
        "{text}"
    );
    assert!(back.contains("tasks of `service-00:1` failed, too"), "{text}");
    let told = bench.told();
    let waits = |event: &&Event| matches!(event, Event::Waiting { what_for, .. } if what_for.starts_with("`service-00:1` to be back: "));
    assert!(told.iter().filter(waits).count() >= 3, "{told:#?}");
    let back_at = told
        .iter()
        .position(|event| matches!(event, Event::RollingBack { .. }));
    let events = told[back_at.unwrap()..].iter();
    let news = events.filter(
        |event| matches!(event, Event::ServiceEvent { service, .. } if service.as_str() == "service-00"),
    );
    assert!(news.count() >= 2, "what ECS says meanwhile is told: {told:#?}");
}

#[tokio::test]
async fn a_revision_that_cannot_start_any_more_ends_the_way_back() {
    let scenario = "[[fate]]\nfamily = \"shop\"\nrevision = 1\ntasks = 2\n\
        [[fate]]\nfamily = \"shop\"\nrevision = 1\ncrash = { after-seconds = 8, exit-code = 9 }\n\
        [[fate]]\nfamily = \"shop\"\nrevision = 2\ncrash = { after-seconds = 1, exit-code = 3 }\n";
    let setup = Setup {
        percent: Some((0, 100)),
        ..without_breaker()
    };
    let bench = Bench::with_service(scenario, setup).await;
    let (_, text) = failed(bench.deploy(&bench.version_two()).await);
    assert!(!text.contains("is back"), "{text}");
    assert!(text.contains("was still at it when last seen"), "{text}");
    assert!(text.contains("tasks of `shop:1` cannot start either ("), "{text}");
}

#[tokio::test]
async fn what_is_back_while_our_tasks_end_is_told_as_that() {
    let scenario =
        "[[fate]]\nfamily = \"service-01\"\nrevision = 2\ncrash = { after-seconds = 1, exit-code = 3 }\n";
    let (bench, mut plan) = bench(scenario, &NAMES[..2], Setup::default).await;
    plan.deploy.on_failure = OnFailure::RollbackAll;
    let (failure, text) = failed(bench.deploy(&plan).await);
    let back = failure.others.join("\n");
    assert!(
        back.contains("`service-00:1` is back; `service-00:1` runs 2 tasks"),
        "{text}"
    );
    let service = bench.primary(CLUSTER, "service-00");
    let ends = back.contains("(`service-00:2` is being stopped)");
    assert_eq!(ends, back.contains("`service-00:2` runs"), "{text}: {service:?}");
}

/// A service that only is slow reaches its deadline in the round in which another one fails for sure.
const LATE_AND_LOST: &str = "[[fate]]\nfamily = \"service-00\"\nrevision = 2\nnever-starts = true\n\
    [[fate]]\nfamily = \"service-01\"\nrevision = 2\ntasks = 1\ncrash = { after-seconds = 1, exit-code = 1 }\n\
    [[fate]]\nfamily = \"service-01\"\nrevision = 2\nnever-starts = true\n";

#[tokio::test]
async fn a_service_at_its_deadline_that_goes_back_with_the_others_is_told_once_and_has_no_token() {
    let (bench, mut plan) = bench(LATE_AND_LOST, &NAMES[..2], Setup::default).await;
    plan.deploy.on_failure = OnFailure::RollbackAll;
    plan.deploy.timeout = Duration::from_secs(200);
    let (failure, text) = failed(bench.deploy(&plan).await);
    assert!(
        failure.resume.is_empty() && !text.contains("ECS goes on"),
        "{text}"
    );
    assert_eq!(failure.kind, Kind::RolledBack, "{text}");
    assert!(
        text.lines().next().unwrap().contains("`service-00`"),
        "the first one decides: {text}"
    );
    assert!(
        failure.left.as_ref().unwrap().contains("`service-00:1` is back"),
        "{text}"
    );
    assert!(!failure.others.join("\n").contains("service-00"), "{text}");
    for name in &NAMES[..2] {
        assert_eq!(bench.primary(CLUSTER, name).0, format!("{name}:1"), "{text}");
    }
}

#[tokio::test]
async fn a_loss_that_is_certain_takes_the_others_back_wherever_it_stands_among_those_of_one_round() {
    let throttled = "[[fault]]\nservice = \"ecs\"\noperation = \"UpdateService\"\nfrom = 3\nto = 5\naction = \"throttle\"\n\
        [[fate]]\nfamily = \"service-02\"\nrevision = 2\nnever-starts = true\n";
    let (bench, mut plan) = bench(&format!("{LATE_AND_LOST}{throttled}"), &NAMES, Setup::default).await;
    plan.deploy.on_failure = OnFailure::RollbackAll;
    plan.deploy.on_first_failure = OnFirstFailure::FailFast;
    plan.deploy.timeout = Duration::from_secs(200);
    let (failure, text) = failed(bench.deploy(&plan).await);
    let others = failure.others.join("\n");
    assert!(
        others.contains("taken back: `service-02` was under way, and `service-02:1` is back"),
        "{text}"
    );
    assert!(!others.contains("unwatched"), "{text}");
}

#[tokio::test]
async fn a_stop_ends_the_diagnosis_of_what_was_not_changed() {
    let mut reads = Vec::new();
    for stop in [false, true] {
        let fault = "[[fault]]\nservice = \"ecs\"\noperation = \"DescribeTasks\"\naction = \"unknown-word\"\nmember = \"lastStatus\"\n";
        let (bench, mut plan) = bench(fault, &NAMES[..2], Setup::default).await;
        plan.deploy.source = bench
            .plan(&json!([{ "name": "web", "imageUri": image(1) }]).to_string())
            .deploy
            .source;
        plan.deploy.timeout = Duration::from_secs(60);
        let (hand, view) = slipway::shutdown::switch();
        let tools = doing(&bench, move |event| {
            if stop && matches!(event, Event::Lost { .. }) {
                hand.raise(Kind::Terminated);
            }
        });
        let tools = Tools {
            shutdown: view,
            ..tools
        };
        let (failure, text) = failed(deploy(&tools, &plan).await);
        assert_eq!(failure.kind, Kind::Unclear, "{text}");
        assert!(text.contains("nothing was changed"), "{text}");
        reads.push(bench.journal().len());
    }
    assert!(
        reads[1] < reads[0],
        "nothing is asked once a stop was asked for: {reads:?}"
    );
}

#[tokio::test]
async fn a_revision_that_is_registered_again_to_go_back_waits_for_its_turn() {
    let scenario = "[[fate]]\nfamily = \"shop\"\nrevision = 2\ncrash = { after-seconds = 1, exit-code = 3 }\n\
        [[fault]]\nservice = \"ecs\"\noperation = \"StopServiceDeployment\"\naction = \"access-denied\"\n\
        [[fault]]\nservice = \"ecs\"\noperation = \"RegisterTaskDefinition\"\nfrom = 3\nto = 5\naction = \"error\"\n\
        code = \"ClientException\"\nmessage = \"Too many concurrent attempts to create a new revision of the specified family.\"\n";
    let bench = Bench::with_service(scenario, without_breaker()).await;
    let (send, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let tools = doing(&bench, move |event| {
        if matches!(event, Event::DeploymentStarted { .. }) {
            let _ = send.send(());
        }
    });
    let somebody = async {
        heard.recv().await.unwrap();
        bench.ask("DeregisterTaskDefinition", &json!({ "taskDefinition": "shop:1" }));
    };
    let plan = bench.version_two();
    let (outcome, ()) = tokio::join!(deploy(&tools, &plan), somebody);
    let (failure, text) = failed(outcome);
    assert!(failure.left.unwrap().starts_with("`shop:3` is back"), "{text}");
}

/// A deploy that fails, and is asked to stop on its way back: as it says so, or once the journal shows so many of a call.
async fn stopped_on_the_way_back(
    scenario: &str,
    after: Option<(&str, usize)>,
    inactive: bool,
) -> (String, Duration) {
    let scenario = format!(
        "[[fate]]\nfamily = \"shop\"\nrevision = 2\ncrash = {{ after-seconds = 1, exit-code = 3 }}\n{scenario}"
    );
    let bench = Bench::with_service(&scenario, without_breaker()).await;
    let (hand, view) = slipway::shutdown::switch();
    let (send, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let tools = doing(&bench, move |event| {
        if matches!(event, Event::RollingBack { .. }) {
            let _ = send.send(());
        }
    });
    let tools = Tools {
        shutdown: view,
        ..tools
    };
    let plan = bench.version_two();
    let somebody = async {
        heard.recv().await.unwrap();
        if inactive {
            bench.ask("DeregisterTaskDefinition", &json!({ "taskDefinition": "shop:1" }));
        }
        if let Some((call, times)) = after {
            while bench.journal().iter().filter(|asked| *asked == call).count() < times {
                tokio::task::yield_now().await;
            }
        }
        hand.raise(Kind::Terminated);
        bench.tools.clock.now()
    };
    let (outcome, asked) = tokio::join!(deploy(&tools, &plan), somebody);
    let (_, text) = failed(outcome);
    (text, bench.tools.clock.now().saturating_sub(asked))
}

#[tokio::test]
async fn a_stop_ends_the_way_back_within_seconds_whatever_is_silent() {
    let fault = |operation: &str, rest: &str| {
        format!("[[fault]]\nservice = \"ecs\"\noperation = \"{operation}\"\n{rest}\n")
    };
    const SILENT: &str = "action = \"slow\"\nms = 9000000";
    let denied = fault("StopServiceDeployment", "action = \"access-denied\"");
    let unknown = "unknown whether the service wants `shop:2` still or `shop:1` again";
    let refused = "the rollback was refused, so the service still wants `shop:2`";
    for (scenario, after, inactive, says) in [
        (fault("StopServiceDeployment", SILENT), None, false, unknown),
        (
            format!(
                "{denied}{}",
                fault("DescribeTaskDefinition", &format!("from = 4\n{SILENT}"))
            ),
            Some(("ecs:UpdateService", 2)),
            true,
            refused,
        ),
        (
            format!(
                "{denied}{}",
                fault("RegisterTaskDefinition", &format!("from = 3\n{SILENT}"))
            ),
            Some(("ecs:UpdateService", 2)),
            true,
            refused,
        ),
    ] {
        let (text, took) = stopped_on_the_way_back(&scenario, after, inactive).await;
        assert!(text.contains(says), "{scenario}{text}");
        assert!(took < Duration::from_secs(60), "{took:?}: {scenario}{text}");
    }
}

#[tokio::test]
async fn the_last_look_of_the_way_back_is_not_cut_off_by_its_end() {
    let scenario = "[[fate]]\nfamily = \"shop\"\nrevision = 1\ntasks = 2\n\
        [[fate]]\nfamily = \"shop\"\nrevision = 1\ntasks = 1\ncrash = { after-seconds = 1, exit-code = 9 }\n\
        [[fate]]\nfamily = \"shop\"\nrevision = 1\nnever-starts = true\n\
        [[fate]]\nfamily = \"shop\"\nrevision = 2\ncrash = { after-seconds = 1, exit-code = 3 }\n";
    let setup = Setup {
        percent: Some((0, 100)),
        ..without_breaker()
    };
    let bench = Bench::with_service(scenario, setup).await;
    let Clock::Virtual(shared) = bench.tools.clock.clone() else {
        panic!("benches have virtual clocks");
    };
    let tools = doing(&bench, move |event| {
        if matches!(event, Event::RollingBack { .. }) {
            shared.be_punctual();
        }
    });
    let (_, text) = failed(deploy(&tools, &bench.version_two()).await);
    assert!(text.contains("was still at it when last seen"), "{text}");
    assert!(text.contains("tasks of `shop:1` failed, too"), "{text}");
}

#[tokio::test]
async fn a_forced_deployment_of_the_same_revision_has_nothing_else_to_go_back_to() {
    let scenario = "[[fate]]\nfamily = \"shop\"\nrevision = 1\ntasks = 2\n\
        [[fate]]\nfamily = \"shop\"\nrevision = 1\ncrash = { after-seconds = 1, exit-code = 9 }\n";
    let bench = Bench::with_service(scenario, without_breaker()).await;
    let mut plan = bench.plan(&json!([{ "name": "web", "imageUri": image(1) }]).to_string());
    plan.deploy.force = true;
    let (failure, text) = failed(bench.deploy(&plan).await);
    assert_eq!(failure.kind, Kind::RolloutFailed, "{text}");
    let left = failure.left.unwrap();
    assert!(left.contains("it had `shop:1` before, too"), "{text}");
    assert!(!left.contains("no revision completed before"), "{text}");
}

#[tokio::test]
async fn what_was_seen_since_the_update_is_left_when_nothing_answers_any_more() {
    let never = "[[fate]]\nfamily = \"shop\"\nrevision = 2\nnever-starts = true\n";
    let control = Bench::with_service(never, Setup::default()).await;
    let mut plan = control.version_two();
    plan.deploy.timeout = Duration::from_secs(60);
    failed(control.deploy(&plan).await);
    let journal = control.journal();
    let updated = journal
        .iter()
        .position(|call| call == "ecs:UpdateService")
        .unwrap();
    let described = journal[..updated]
        .iter()
        .filter(|call| *call == "ecs:DescribeServices");
    // One look after the update is answered.
    let from = described.count() + 2;
    let silent = format!(
        "{never}[[fault]]\nservice = \"ecs\"\noperation = \"DescribeServices\"\nfrom = {from}\nto = 9999\naction = \"http\"\nstatus = 503\n"
    );
    let bench = Bench::with_service(&silent, Setup::default()).await;
    let mut plan = bench.version_two();
    plan.deploy.timeout = Duration::from_secs(60);
    let (failure, text) = failed(bench.deploy(&plan).await);
    assert_eq!(failure.kind, Kind::Unclear, "{text}");
    let left = failure.left.unwrap();
    assert!(
        left.starts_with("unknown what serves now; when last seen, `shop:1` runs 2 tasks"),
        "{text}"
    );
}
