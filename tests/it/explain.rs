//! Captures of whole deploys, judged again; and live services, explained without changing anything.

use crate::rolls::{CRASH, NEVER_STARTS, NO_PULL};
use crate::support::{Bench, CLUSTER, SERVICE, Setup, image, task_definition};
use serde_json::json;
use slipway::config::settings::OnFailure;
use slipway::ecs::capture::{Capture, read};
use slipway::ecs::recorder::Recorder;
use slipway::failure::{Failure, Kind};
use slipway::report::event::{Event, Tell};
use slipway::stage::Tools;
use slipway::stage::deploy::{DeployPlan, Deployed, deploy};
use slipway::stage::explain::{Explained, LivePlan, live, recorded};
use std::path::PathBuf;
use std::time::Duration;

/// The operation is refused from the nth time on.
fn denied(operation: &str, nth: u32) -> String {
    format!(
        "[[fault]]\nservice = \"ecs\"\noperation = \"{operation}\"\nfrom = {nth}\nto = 9999\naction = \"access-denied\"\n"
    )
}

fn recording(bench: &Bench) -> (Tools, PathBuf) {
    let path = bench.folder.path().join("capture.jsonl");
    let tools = Tools {
        record: Recorder::create(&path, bench.tools.tell.clone()).unwrap(),
        ..bench.tools.clone()
    };
    (tools, path)
}

fn capture(path: &PathBuf) -> Capture {
    read(&std::fs::read(path).unwrap()).unwrap()
}

pub fn only(explained: Vec<Explained>) -> Explained {
    let [one] = <[Explained; 1]>::try_from(explained).unwrap();
    one
}

/// What a run told, and what its capture tells: verdict and failure must be equal to the letter.
async fn told_twice(bench: &Bench, plan: &DeployPlan) -> (Result<Vec<Deployed>, Failure>, Explained) {
    let (tools, path) = recording(bench);
    let told = deploy(&tools, plan).await;
    let capture = capture(&path);
    assert!(capture.is_complete());
    let explained = only(recorded(&capture, &[]).unwrap());
    let code = told.as_ref().err().map_or(0, |failure| failure.kind.exit_code());
    assert_eq!(explained.exit_code(), Some(code), "{explained:?}");
    assert_eq!(explained.told, Some(code));
    assert_eq!(
        explained.failure().map(Bench::rendered),
        told.as_ref().err().map(crate::recorded::told)
    );
    (told, explained)
}

#[tokio::test]
async fn a_capture_is_explained_as_the_run_told_it() {
    let no_breaker = || Setup {
        breaker: false,
        ..Setup::default()
    };
    for (scenario, setup, until, verdict) in [
        ("", Setup::default(), 900, "healthy"),
        ("[ecs]\nstale-describes = 3\n", Setup::default(), 900, "healthy"),
        (CRASH, Setup::default(), 900, "rolling-back"),
        (CRASH, no_breaker(), 900, "cannot-start"),
        (NO_PULL, Setup::default(), 3600, "rolling-back"),
        (NEVER_STARTS, Setup::default(), 300, "deadline"),
        // ECS's own word for our revision proves it.
        (&denied("ListTasks", 1), Setup::default(), 900, "healthy"),
        (
            &format!(
                "{}{}",
                denied("ListTasks", 1),
                denied("DescribeServiceRevisions", 1)
            ),
            Setup::default(),
            900,
            "cannot-tell",
        ),
        (
            &denied("*ServiceDeployments", 1),
            Setup::default(),
            900,
            "healthy",
        ),
    ] {
        let bench = Bench::with_service(scenario, setup).await;
        let mut plan = bench.version_two();
        plan.deploy.timeout = Duration::from_secs(until);
        let (told, explained) = told_twice(&bench, &plan).await;
        assert_eq!(explained.verdict(), verdict, "{scenario}: {told:?}");
    }
}

#[tokio::test]
async fn a_rollback_of_slipways_own_is_explained_as_it_went() {
    let setup = || Setup {
        breaker: false,
        ..Setup::default()
    };
    let bench = Bench::with_service(CRASH, setup()).await;
    let (told, explained) = told_twice(&bench, &bench.version_two()).await;
    assert_eq!(told.unwrap_err().kind, Kind::RolledBack);
    let left = explained.failure().unwrap().left.clone().unwrap();
    assert!(left.contains("`shop:1` is back"), "{left}");

    let bench = Bench::with_service(CRASH, setup()).await;
    let mut leave = bench.version_two();
    leave.deploy.on_failure = OnFailure::Leave;
    let (told, _) = told_twice(&bench, &leave).await;
    assert_eq!(told.unwrap_err().kind, Kind::RolloutFailed);
}

#[tokio::test]
async fn a_service_that_is_proven_without_a_deployment_is_explained_too() {
    let bench = Bench::with_service("", Setup::default()).await;
    let same = bench.plan(&json!([{ "name": "web", "imageUri": image(1) }]).to_string());
    let (_, explained) = told_twice(&bench, &same).await;
    assert_eq!(
        (explained.verdict(), explained.revision.as_deref()),
        ("healthy", Some("shop:1"))
    );
}

#[tokio::test]
async fn a_run_that_is_refused_or_stopped_is_explained_in_its_own_words() {
    let refused = "[[fault]]\nservice = \"ecs\"\noperation = \"UpdateService\"\naction = \"access-denied\"\n";
    let bench = Bench::with_service(refused, Setup::default()).await;
    let (_, explained) = told_twice(&bench, &bench.version_two()).await;
    assert_eq!((explained.verdict(), explained.deployment), ("refused", None));

    let bench = Bench::with_service("", Setup::default()).await;
    let mut nowhere = bench.version_two();
    nowhere.services[0].name = "checkout".parse().unwrap();
    let (_, explained) = told_twice(&bench, &nowhere).await;
    assert_eq!(explained.service, None, "no service was begun");

    let bench = Bench::with_service("", Setup::default()).await;
    let (mut tools, path) = recording(&bench);
    let (hand, view) = slipway::shutdown::switch();
    tools.shutdown = view;
    tools.tell = Tell::new(move |event| {
        if matches!(event, Event::Waiting { .. }) {
            hand.raise(Kind::Terminated);
        }
    });
    let told = deploy(&tools, &bench.version_two()).await.unwrap_err();
    let explained = only(recorded(&capture(&path), &[]).unwrap());
    assert_eq!(
        explained.failure().map(Bench::rendered),
        Some(crate::recorded::told(&told))
    );
    assert_eq!(explained.exit_code(), Some(143));
}

#[tokio::test]
async fn a_capture_that_is_cut_at_any_byte_never_claims_success() {
    let bench = Bench::with_service("", Setup::default()).await;
    let (tools, path) = recording(&bench);
    deploy(&tools, &bench.version_two()).await.unwrap();
    let whole = std::fs::read(&path).unwrap();
    // Every line's end and its neighbours, and a sample of what is between.
    let ends: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').collect();
    let near = ends.iter().flat_map(|end| [end.saturating_sub(1), *end, end + 1]);
    for length in near.chain((0..whole.len()).step_by(997)) {
        let Ok(capture) = read(&whole[..length.min(whole.len())]) else {
            continue;
        };
        for explained in recorded(&capture, &[]).unwrap() {
            let success = explained.exit_code() == Some(0);
            assert_eq!(
                success,
                length == whole.len(),
                "cut at {length} of {}",
                whole.len()
            );
        }
    }
}

/// Explains the live service; nothing but reads may be asked for.
pub async fn explain_live(bench: &Bench, tools: &Tools) -> Result<Explained, Failure> {
    let before = bench.journal().len();
    let plan = LivePlan {
        cluster: CLUSTER.to_owned(),
        service: SERVICE.parse().unwrap(),
    };
    let explained = live(tools, &[plan]).await.map(only);
    for call in &bench.journal()[before..] {
        let (_, operation) = call.split_once(':').unwrap();
        let reads = ["Describe", "List", "Get", "BatchGet"];
        assert!(reads.iter().any(|read| operation.starts_with(read)), "{call}");
    }
    explained
}

#[tokio::test]
async fn a_live_service_that_is_fine_is_said_to_be_fine() {
    let bench = Bench::with_service("", Setup::default()).await;
    bench.deploy(&bench.version_two()).await.unwrap();
    bench.wait_until_steady().await;
    let explained = explain_live(&bench, &bench.tools).await.unwrap();
    assert_eq!(
        (explained.verdict(), explained.revision.as_deref()),
        ("healthy", Some("shop:2"))
    );
    let since = explained.since.unwrap();
    assert!(since.starts_with("2026-01-01T00:"), "{since}");
    let slipway::stage::explain::Standing::Healthy(proofs) = explained.standing else {
        panic!("not healthy")
    };
    assert_eq!(
        (proofs[0].tasks, proofs[0].digest.to_string()),
        (2, image(2).split_once('@').unwrap().1.to_owned())
    );
}

#[tokio::test]
async fn a_live_service_that_was_rolled_back_is_explained_by_the_deployment_that_failed() {
    for scenario in [
        CRASH.to_owned(),
        format!("{CRASH}{}", denied("ListServiceDeployments", 1)),
    ] {
        let bench = Bench::with_service(&scenario, Setup::default()).await;
        let told = bench.deploy(&bench.version_two()).await.unwrap_err();
        assert_eq!(told.kind, Kind::RolledBack);
        bench.wait_until_steady().await;
        let (tools, path) = recording(&bench);
        let explained = explain_live(&bench, &tools).await.unwrap();
        let failure = explained.failure().unwrap();
        let text = Bench::rendered(failure);
        assert_eq!(
            (explained.verdict(), explained.exit_code()),
            ("rolled-back", Some(14)),
            "{text}"
        );
        assert!(
            failure.left.as_ref().unwrap().contains("`shop:1` runs 2 tasks"),
            "{text}"
        );
        assert!(text.contains("exited with code 1"), "{text}");

        let again = only(recorded(&capture(&path), &[]).unwrap());
        assert_eq!(
            again.failure().map(Bench::rendered),
            Some(text),
            "a capture of it tells the same"
        );
    }
}

#[tokio::test]
async fn a_live_deployment_that_goes_on_has_no_verdict_and_one_that_cannot_start_has() {
    let bench = Bench::with_service("", Setup::default()).await;
    bench.register(&task_definition("shop", &image(2))).await;
    let update = bench.aws.ecs.update_service().cluster(CLUSTER).service(SERVICE);
    update.task_definition("shop:2").send().await.unwrap();
    let explained = explain_live(&bench, &bench.tools).await.unwrap();
    assert_eq!((explained.verdict(), explained.exit_code()), ("waiting", None));
    assert!(
        explained.failure().is_none(),
        "nothing went wrong so far: {explained:?}"
    );

    let setup = Setup {
        breaker: false,
        ..Setup::default()
    };
    let bench = Bench::with_service(CRASH, setup).await;
    let mut leave = bench.version_two();
    leave.deploy.on_failure = OnFailure::Leave;
    bench.deploy(&leave).await.unwrap_err();
    let explained = explain_live(&bench, &bench.tools).await.unwrap();
    assert_eq!(
        (explained.verdict(), explained.exit_code()),
        ("cannot-start", Some(13))
    );
    let cause = explained.failure().unwrap().cause.clone().unwrap();
    assert!(cause.contains("DATABASE_URL is missing"), "{cause}");
}

#[tokio::test]
async fn a_capture_of_a_killed_run_tells_what_had_gone_wrong_so_far() {
    let bench = Bench::with_service(CRASH, Setup::default()).await;
    let (tools, path) = recording(&bench);
    deploy(&tools, &bench.version_two()).await.unwrap_err();
    let text = std::fs::read_to_string(&path).unwrap();
    let looks = text.lines().filter(|line| line.starts_with("{\"look\"")).count();
    let mut seen = 0;
    let killed: String = text
        .split_inclusive('\n')
        .take_while(|line| {
            seen += usize::from(line.starts_with("{\"look\""));
            seen < looks
        })
        .collect();
    let explained = only(recorded(&read(killed.as_bytes()).unwrap(), &[]).unwrap());
    assert_eq!(
        (explained.verdict(), explained.exit_code(), explained.told),
        ("waiting", None, None)
    );
    let slipway::stage::explain::Standing::Waiting { on, left, .. } = explained.standing else {
        panic!("not waiting")
    };
    assert!(on.contains("container web exited with code 1"), "{on}");
    assert!(left.unwrap().contains("`shop:1` runs 2 tasks"));
}

#[tokio::test]
async fn a_live_service_that_may_not_be_looked_at_names_the_permission() {
    // The set-up describes the service too: its own looks come first.
    let bench = Bench::with_service(&denied("ListTasks", 1), Setup::default()).await;
    let explained = explain_live(&bench, &bench.tools).await.unwrap();
    assert_eq!(
        explained.verdict(),
        "healthy",
        "ECS's own word for the revision proves it"
    );

    let nothing = format!(
        "{}{}",
        denied("ListTasks", 1),
        denied("DescribeServiceRevisions", 1)
    );
    let bench = Bench::with_service(&nothing, Setup::default()).await;
    let explained = explain_live(&bench, &bench.tools).await.unwrap();
    assert_eq!(
        (explained.verdict(), explained.exit_code()),
        ("cannot-tell", Some(17)),
        "{explained:?}"
    );
    let text = Bench::rendered(explained.failure().unwrap());
    assert!(text.contains("`ecs:ListTasks` is denied"), "{text}");

    let bench = Bench::with_service(&denied("DescribeTaskDefinition", 1), Setup::default()).await;
    let explained = explain_live(&bench, &bench.tools).await.unwrap();
    assert_eq!(explained.verdict(), "healthy");
    let warned =
        |event: &Event| matches!(event, Event::Warning(text) if text.contains("ecs:DescribeTaskDefinition"));
    assert!(bench.told().iter().any(warned), "{:?}", bench.told());
}

#[tokio::test]
async fn a_live_service_that_does_not_exist_cannot_be_explained() {
    let bench = Bench::with_service("", Setup::default()).await;
    for (cluster, service, says) in [
        (CLUSTER, "checkout", "`checkout` does not exist"),
        ("nowhere", SERVICE, "the cluster of service"),
    ] {
        let plan = LivePlan {
            cluster: cluster.to_owned(),
            service: service.parse().unwrap(),
        };
        let failure = live(&bench.tools, &[plan]).await.unwrap_err();
        assert_eq!(failure.kind, Kind::Input);
        assert!(failure.what.contains(says), "{failure:?}");
    }
}

#[tokio::test]
async fn the_service_of_a_capture_can_be_chosen() {
    let bench = Bench::with_service("", Setup::default()).await;
    let (tools, path) = recording(&bench);
    deploy(&tools, &bench.version_two()).await.unwrap();
    let capture = capture(&path);
    assert_eq!(recorded(&capture, &[SERVICE.to_owned()]).unwrap().len(), 1);
    let failure = recorded(&capture, &["api".to_owned()]).unwrap_err();
    assert_eq!(
        (failure.kind, failure.hints[0].as_str()),
        (Kind::Usage, "it has `shop`")
    );
}

#[tokio::test]
async fn a_capture_holds_no_value_of_an_environment_not_even_in_a_log_line() {
    let mut definition = task_definition("shop", &image(1));
    definition["containerDefinitions"][0]["environment"] = json!([
        { "name": "DB_PASSWORD", "value": "canary-password" },
        { "name": "GREETING", "value": "canary-greeting" },
    ]);
    let scenario = CRASH.replace("starting", "connecting as shop:canary-password");
    let setup = Setup {
        task_definition: definition,
        ..Setup::default()
    };
    let bench = Bench::with_service(&scenario, setup).await;
    let (tools, path) = recording(&bench);
    deploy(&tools, &bench.version_two()).await.unwrap_err();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("canary"), "{text}");
    assert!(
        text.contains(r#"{"name":"GREETING","value":"[removed]"}"#),
        "{text}"
    );
    assert!(text.contains("connecting as shop:[secret]"), "{text}");
}

/// The real binary on a live service, as a user sees it; its own keys sign the requests.
#[tokio::test(flavor = "multi_thread")]
async fn a_live_service_is_explained_by_the_real_binary() {
    for (name, scenario) in [("explain-live-healthy", ""), ("explain-live-rolled-back", CRASH)] {
        let bench = Bench::with_service(scenario, Setup::default()).await;
        let _ = bench.deploy(&bench.version_two()).await;
        bench.wait_until_steady().await;
        let endpoint = bench.sandbox.endpoint().to_owned();
        let shown = move || {
            let user = crate::cli::Bench::new()
                .variable("AWS_ENDPOINT_URL", &endpoint)
                .variable("AWS_REGION", "eu-west-1")
                .variable("AWS_ACCESS_KEY_ID", "AKID")
                .variable("AWS_SECRET_ACCESS_KEY", "secret");
            user.golden(name, "explain --cluster prod --service shop");
        };
        tokio::task::spawn_blocking(shown).await.unwrap();
    }
}
