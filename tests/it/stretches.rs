//! Runs that are watched in stretches: what each hands back, when it ends, and what a stop makes of it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use crate::support::{Bench, CLUSTER, Setup, image};
use serde_json::json;
use slipway::config::settings::{OnFailure, OnFirstFailure};
use slipway::ecs::resume::{LONGEST, Resume};
use slipway::failure::{Failure, Kind};
use slipway::report::event::{Event, Tell};
use slipway::shutdown;
use slipway::stage::Tools;
use slipway::stage::deploy::{DeployPlan, Deployed, ENDLESS, Progress, Stretch, carry_on, start};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// A rollout of this service that no task of it ends.
fn never_starts(service: &str) -> String {
    format!("[[fate]]\nfamily = \"{service}\"\nrevision = 2\nnever-starts = true\n")
}

fn crashes(service: &str) -> String {
    format!(
        "[[fate]]\nfamily = \"{service}\"\nrevision = 2\ncrash = {{ after-seconds = 1, exit-code = 3 }}\n"
    )
}

fn under_way(stretch: Result<Stretch, Failure>) -> Progress {
    match stretch.unwrap() {
        Stretch::UnderWay(progress) => progress,
        over => panic!("{over:?}"),
    }
}

/// The run as the next process knows it.
fn handed_on(progress: &Progress) -> Resume {
    Resume::read(&[progress.resume.one_token().unwrap()]).unwrap()
}

/// Stretches until the verdict, half a minute apart; also how many there were.
async fn to_the_end(
    bench: &Bench,
    plan: &DeployPlan,
    stretch: Duration,
) -> (Result<Vec<Deployed>, Failure>, Vec<Progress>) {
    let mut handed_back = Vec::new();
    let mut ended = start(&bench.tools, plan, None, stretch).await;
    loop {
        let progress = match ended {
            Ok(Stretch::UnderWay(progress)) => progress,
            Ok(Stretch::Done(deployed)) => return (Ok(deployed), handed_back),
            Ok(Stretch::AtTask(summary)) => panic!("{summary}"),
            Err(failure) => return (Err(failure), handed_back),
        };
        bench.let_pass(MINUTE / 2).await;
        ended = carry_on(&bench.tools, &handed_on(&progress), stretch).await;
        handed_back.push(progress);
    }
}

fn updates(bench: &Bench) -> usize {
    let asked = bench.journal();
    asked
        .iter()
        .filter(|operation| *operation == "ecs:UpdateService")
        .count()
}

#[tokio::test]
async fn a_stretch_of_no_time_ends_with_the_last_update() {
    let names = ["api", "shop", "web"];
    let services: Vec<(&str, Setup)> = names.iter().map(|name| (*name, Setup::default())).collect();
    let bench = Bench::with_services("", &services).await;
    let plan = bench.version_two_of(&names.map(|name| (CLUSTER, name)));
    let progress = under_way(start(&bench.tools, &plan, None, Duration::ZERO).await);
    assert_eq!(updates(&bench), 3);
    assert_eq!(bench.journal().last().unwrap(), "ecs:UpdateService");
    assert_eq!(progress.resume.services.len(), 3);
    assert!((1..20).contains(&progress.percent), "{progress:?}");
    assert_eq!(
        progress.summary,
        "api: just begun, 0s so far; shop: just begun, 0s so far; web: just begun, 0s so far"
    );
    let token = progress.resume.one_token().unwrap();
    assert!(token.len() < 500, "{} characters of {LONGEST}", token.len());
}

#[tokio::test]
async fn a_stretch_says_what_is_waited_for_and_how_much_is_done() {
    let bench = Bench::with_service("", Setup::default()).await;
    let (deployed, progress) = to_the_end(&bench, &bench.version_two(), MINUTE / 3).await;
    assert_eq!(deployed.unwrap()[0].images, [image(2)]);
    assert!(progress.len() >= 2, "{progress:?}");
    let percents: Vec<u8> = progress.iter().map(|progress| progress.percent).collect();
    assert!(
        percents.is_sorted() && percents.last() < Some(&100),
        "{percents:?}"
    );
    let first = &progress[0].summary;
    assert!(
        first.starts_with("shop: waiting for tasks to start (0/2 running), ") && first.ends_with("s so far"),
        "{first}"
    );
    assert_eq!(updates(&bench), 1);
}

#[tokio::test]
async fn an_endless_stretch_is_a_whole_deploy() {
    let bench = Bench::with_service("", Setup::default()).await;
    let Stretch::Done(deployed) = start(&bench.tools, &bench.version_two(), None, ENDLESS)
        .await
        .unwrap()
    else {
        panic!("it has no end but its verdict");
    };
    assert_eq!(deployed[0].revision, "shop:2");
}

#[tokio::test]
async fn what_was_proven_stays_proven_and_is_told_once() {
    let slow = "[[fate]]\nfamily = \"web\"\nrevision = 2\nstarts-after-seconds = 240\n";
    let services = [("api", Setup::default()), ("web", Setup::default())];
    let bench = Bench::with_services(slow, &services).await;
    let plan = bench.version_two_of(&[(CLUSTER, "api"), (CLUSTER, "web")]);
    let (deployed, progress) = to_the_end(&bench, &plan, MINUTE).await;
    let deployed = deployed.unwrap();
    let revisions: Vec<&str> = deployed.iter().map(|one| one.revision.as_str()).collect();
    assert_eq!(revisions, ["api:2", "web:2"]);
    assert!(
        deployed.iter().all(|one| one.images == [image(2)]),
        "{deployed:?}"
    );
    let last = progress.last().unwrap();
    assert!(
        last.summary
            .starts_with("1 of 2 services are healthy; web: waiting for "),
        "{last:?}"
    );
    assert!(last.resume.services.iter().any(|one| one.proven));
    let healthy =
        |event: &&Event| matches!(event, Event::Healthy { service, .. } if service.as_str() == "api");
    assert_eq!(bench.told().iter().filter(healthy).count(), 1);
}

#[tokio::test]
async fn a_loss_is_finished_in_the_stretch_that_saw_it() {
    let scenario = format!("{}{}", crashes("web"), never_starts("api"));
    let services = [("api", Setup::default()), ("web", Setup::default())];
    let bench = Bench::with_services(&scenario, &services).await;
    let mut plan = bench.version_two_of(&[(CLUSTER, "api"), (CLUSTER, "web")]);
    plan.deploy.timeout = 12 * MINUTE;
    let began = bench.tools.clock.now();
    let (failure, progress) = to_the_end(&bench, &plan, MINUTE).await;
    let failure = failure.unwrap_err();
    assert_eq!(failure.kind, Kind::RolledBack, "{}", Bench::rendered(&failure));
    let text = Bench::rendered(&failure);
    assert!(
        text.contains("also failed: service `api` is not healthy"),
        "{text}"
    );
    let lost_at = MINUTE * 3 / 2 * u32::try_from(progress.len()).unwrap();
    assert!(
        bench.tools.clock.now() - began > lost_at + 2 * MINUTE,
        "the other one was watched on: {progress:?}"
    );
}

#[tokio::test]
async fn one_failure_takes_back_what_an_earlier_stretch_proved() {
    let late = "[[fate]]\nfamily = \"web\"\nrevision = 2\nstarts-after-seconds = 150\ncrash = { after-seconds = 1, exit-code = 3 }\n";
    let services = [("api", Setup::default()), ("web", Setup::default())];
    let bench = Bench::with_services(late, &services).await;
    let mut plan = bench.version_two_of(&[(CLUSTER, "api"), (CLUSTER, "web")]);
    plan.deploy.on_failure = OnFailure::RollbackAll;
    plan.deploy.on_first_failure = OnFirstFailure::KeepGoing;
    plan.deploy.timeout = 20 * MINUTE;
    let (failure, progress) = to_the_end(&bench, &plan, MINUTE).await;
    assert!(
        progress
            .iter()
            .any(|one| one.resume.services.iter().any(|one| one.proven))
    );
    let failure = failure.unwrap_err();
    let text = Bench::rendered(&failure);
    assert!(
        text.contains("taken back: `api` was healthy, and `api:1` is back"),
        "{text}"
    );
    assert_eq!(bench.primary(CLUSTER, "api").0, "api:1");
}

#[tokio::test]
async fn no_hand_back_moves_the_deadline() {
    let bench = Bench::with_service(&never_starts("shop"), Setup::default()).await;
    for stretch in [0, 20, 60, 100] {
        let mut plan = bench.version_two();
        plan.deploy.force = true;
        plan.deploy.timeout = Duration::from_secs(300);
        let began = bench.tools.clock.now();
        let (failure, progress) = to_the_end(&bench, &plan, Duration::from_secs(stretch)).await;
        let failure = failure.unwrap_err();
        assert_eq!(failure.kind, Kind::Deadline, "{}", Bench::rendered(&failure));
        assert!(progress.len() >= 2);
        let took = bench.tools.clock.now() - began;
        assert!((300..310).contains(&took.as_secs()), "{stretch}: {took:?}");
        assert!(!failure.resume.is_empty(), "somebody may give it more time");
    }
}

/// Tools that a stop is asked of as soon as an event comes.
fn stopped_at(bench: &Bench, when: impl Fn(&Event) -> bool + Send + Sync + 'static) -> Tools {
    let (hand, view) = shutdown::switch();
    let tell = bench.tools.tell.clone();
    Tools {
        shutdown: view,
        tell: Tell::new(move |event| {
            if when(&event) {
                hand.raise(Kind::Terminated);
            }
            tell.tell(event);
        }),
        ..bench.tools.clone()
    }
}

#[tokio::test]
async fn a_stop_hands_a_run_back_at_once_and_without_a_change_it_says_so() {
    let bench = Bench::with_service("", Setup::default()).await;
    let tools = stopped_at(&bench, |event| matches!(event, Event::ImageChange { .. }));
    let failure = start(&tools, &bench.version_two(), None, MINUTE)
        .await
        .unwrap_err();
    assert_eq!(failure.kind, Kind::Terminated);
    assert_eq!(updates(&bench), 0);

    let tools = stopped_at(&bench, |event| matches!(event, Event::Waiting { .. }));
    let began = bench.tools.clock.now();
    let progress = under_way(start(&tools, &bench.version_two(), None, 30 * MINUTE).await);
    assert!(bench.tools.clock.now() - began < MINUTE);
    let tools = stopped_at(&bench, |event| matches!(event, Event::Waiting { .. }));
    let progress = under_way(carry_on(&tools, &handed_on(&progress), 30 * MINUTE).await);
    // Asked for before anything was looked at.
    let (hand, view) = shutdown::switch();
    hand.raise(Kind::Interrupted);
    let tools = Tools {
        shutdown: view,
        ..bench.tools.clone()
    };
    let again = under_way(carry_on(&tools, &handed_on(&progress), MINUTE).await);
    assert_eq!(
        (&again.resume, again.percent),
        (&progress.resume, progress.percent)
    );
    let ended = carry_on(&bench.tools, &handed_on(&again), ENDLESS).await.unwrap();
    assert!(matches!(ended, Stretch::Done(_)));
    assert_eq!(updates(&bench), 1);
}

#[tokio::test]
async fn a_stop_while_services_are_begun_is_no_hand_back_but_a_beginning() {
    let services = [("api", Setup::default()), ("web", Setup::default())];
    let bench = Bench::with_services("", &services).await;
    let plan = bench.version_two_of(&[(CLUSTER, "api"), (CLUSTER, "web")]);
    let first = |event: &Event| matches!(event, Event::DeploymentStarted { service, .. } if service.as_str() == "api");
    let failure = start(&stopped_at(&bench, first), &plan, None, MINUTE).await;
    match failure {
        Err(failure) => assert_eq!(failure.kind, Kind::Terminated, "{}", Bench::rendered(&failure)),
        // Both were updated before the stop was heard.
        Ok(Stretch::UnderWay(progress)) => assert_eq!(progress.resume.services.len(), 2),
        Ok(over) => panic!("{over:?}"),
    }
}

#[tokio::test]
async fn a_far_end_that_is_silent_between_two_stretches_is_asked_by_the_next() {
    // What is answered later is not AWS's, so no referee reads it.
    let setup = Setup {
        refereed: false,
        ..Setup::default()
    };
    let bench = Bench::with_service("", setup).await;
    let progress = under_way(start(&bench.tools, &bench.version_two(), None, Duration::ZERO).await);
    let silent =
        "[[fault]]\nservice = \"ecs\"\noperation = \"DescribeServices\"\naction = \"http\"\nstatus = 503\n";
    bench.sandbox.set_faults(
        slipway::sandbox::scenario::Scenario::parse(silent)
            .unwrap()
            .faults,
    );
    let again = under_way(carry_on(&bench.tools, &handed_on(&progress), MINUTE / 3).await);
    assert_eq!(again.resume, progress.resume);
    assert!(again.summary.contains("shop"), "{again:?}");
    bench
        .sandbox
        .set_faults(slipway::sandbox::scenario::Scenario::parse("").unwrap().faults);
    let ended = carry_on(&bench.tools, &handed_on(&again), ENDLESS).await.unwrap();
    assert!(matches!(ended, Stretch::Done(_)));
}

#[tokio::test]
async fn one_service_that_may_not_be_seen_any_more_ends_the_run_and_the_others_are_watched() {
    let services = [("api", Setup::default()), ("web", Setup::default())];
    let bench = Bench::with_services("", &services).await;
    let plan = bench.version_two_of(&[(CLUSTER, "api"), (CLUSTER, "web")]);
    let progress = under_way(start(&bench.tools, &plan, None, Duration::ZERO).await);
    bench.ask(
        "DeleteService",
        &json!({ "cluster": CLUSTER, "service": "api", "force": true }),
    );
    bench.let_pass(30 * MINUTE).await;
    let failure = carry_on(&bench.tools, &handed_on(&progress), MINUTE)
        .await
        .unwrap_err();
    let text = Bench::rendered(&failure);
    assert_eq!(failure.kind, Kind::RolloutFailed, "{text}");
    assert!(text.contains("proven: `web` runs `web:2`"), "{text}");
}

#[tokio::test]
async fn more_services_than_a_token_holds_are_refused_before_anything_is_changed() {
    // Names without any pattern: what an adversary would call services.
    let name = |at: u64| {
        let noise = |part: u64| format!("{:x}", (at + 7).pow(9).wrapping_mul(2 * part + 3));
        let noise: String = (0..20).map(noise).collect();
        format!("s{at}-{}", noise.chars().take(100).collect::<String>())
    };
    let bench = Bench::empty("[quotas]\nenforce = false\n", None).await;
    let names: Vec<String> = (0..40).map(name).collect();
    for name in &names {
        bench.add_service(name, &Setup::default()).await;
    }
    bench.let_pass(3 * MINUTE).await;
    let places: Vec<(&str, &str)> = names.iter().map(|name| (CLUSTER, name.as_str())).collect();
    let plan = bench.version_two_of(&places);
    let failure = start(&bench.tools, &plan, None, MINUTE).await.unwrap_err();
    let text = Bench::rendered(&failure);
    assert_eq!(failure.kind, Kind::Usage, "{text}");
    assert!(text.contains("40 services are too many for one action"), "{text}");
    assert_eq!(failure.left.as_deref(), Some("nothing was changed"));
    assert_eq!(updates(&bench), 0);
}
