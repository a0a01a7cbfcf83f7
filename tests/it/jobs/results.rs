//! Results that arrive whatever happens: to the network, to whoever waits for them, to the worker.

use super::{Bench, JOB, Script};
use slipway::failure::Kind;
use slipway::pipeline::claim::{Adopted, Closed, adopt};
use slipway::pipeline::client::JobOver;
use slipway::pipeline::journal::{Phase, State};
use slipway::pipeline::result::{Details, FailureReport, FailureType, Variables};
use slipway::report::event::Tell;
use std::collections::BTreeMap;
use std::time::Duration;

const SUCCESS: &str = "PutJobSuccessResult";
const FAILURE: &str = "PutJobFailureResult";

fn details() -> Details {
    Details {
        summary: Some("all is well".to_owned()),
        external: Some("clusters/prod/services/shop".to_owned()),
        percent: Some(100),
    }
}

fn variables() -> Variables {
    Variables(BTreeMap::from([("image".to_owned(), "x".to_owned())]))
}

async fn bench(steps: &[(&str, &[&'static str])]) -> Bench {
    Bench::new(Script::new(steps), State::none()).await
}

#[tokio::test]
async fn a_result_is_put_until_it_is_taken_or_the_job_is_over() {
    let accepted = Closed::Accepted;
    let over = |why| Closed::Over { why };
    for (answers, expected) in [
        (&["ok"][..], accepted),
        (&["ThrottlingException"; 12][..], accepted),
        (&["internal", "cut", "proxy", "ok"], accepted),
        (
            &["AccessDeniedException", "ExpiredTokenException", "ok"],
            accepted,
        ),
        (&["SomethingNewException", "ok"], accepted),
        (&["InvalidJobStateException"], over(JobOver::Ended)),
        (
            &["ThrottlingException", "InvalidJobStateException"],
            over(JobOver::Ended),
        ),
        (&["JobNotFoundException"], over(JobOver::Gone)),
        (&["cut", "InvalidJobStateException"], over(JobOver::Unclear)),
        (
            &["internal", "ThrottlingException", "JobNotFoundException"],
            over(JobOver::Unclear),
        ),
    ] {
        let mut answers = answers.to_vec();
        if expected == accepted && *answers.last().unwrap() != "ok" {
            answers.push("ok");
        }
        for operation in [SUCCESS, FAILURE] {
            let bench = bench(&[(operation, &answers)]).await;
            let job = bench.claimed().await;
            let closed = if operation == SUCCESS {
                job.succeed(details(), variables()).await
            } else {
                job.fail(FailureReport::new(FailureType::JobFailed, "it broke"))
                    .await
            };
            assert_eq!(
                (closed, bench.asked.times(operation)),
                (expected, answers.len()),
                "{answers:?}"
            );
            let (successes, failures) = bench.results();
            assert_eq!(successes + failures, answers.len(), "one kind of result only");
            assert!(bench.left().await.is_none());
        }
    }
}

#[tokio::test]
async fn a_text_that_is_refused_never_leaves_a_job_open() {
    let invalid = "ValidationException";
    let bench = bench(&[(SUCCESS, &[invalid, invalid, "ok"])]).await;
    assert_eq!(
        bench.claimed().await.succeed(details(), variables()).await,
        Closed::Accepted
    );
    let bodies = [0, 1, 2].map(|at| bench.body(SUCCESS, at));
    assert!(bodies[0]["executionDetails"].is_object() && bodies[1]["executionDetails"].is_null());
    assert!(bodies[1]["outputVariables"].is_object() && bodies[2]["outputVariables"].is_null());

    let bench = self::bench(&[(SUCCESS, &["OutputVariablesSizeExceededException", "ok"])]).await;
    assert_eq!(
        bench.claimed().await.succeed(details(), variables()).await,
        Closed::Accepted
    );
    let second = bench.body(SUCCESS, 1);
    assert!(second["executionDetails"].is_object() && second["outputVariables"].is_null());

    let bench = self::bench(&[(FAILURE, &[invalid, "ok"])]).await;
    let report = FailureReport::new(FailureType::PermissionError, "odd text").external(Some("x".to_owned()));
    assert_eq!(bench.claimed().await.fail(report).await, Closed::Accepted);
    let second = &bench.body(FAILURE, 1)["failureDetails"];
    assert_eq!(
        (&second["type"], &second["externalExecutionId"]),
        (&"PermissionError".into(), &().into())
    );
    assert!(!second["message"].as_str().unwrap().contains("odd"));

    let bench = self::bench(&[(SUCCESS, &[invalid])]).await;
    assert_eq!(
        bench.claimed().await.hand_back("odd".to_owned(), details()).await,
        Closed::Accepted
    );
    assert_eq!(
        bench.results(),
        (2, 1),
        "with details, without, and then a failure"
    );
}

#[tokio::test]
async fn a_token_that_does_not_fit_fails_the_job_and_is_never_cut() {
    for token in [String::new(), "t".repeat(2049)] {
        let bench = bench(&[]).await;
        assert_eq!(
            bench.claimed().await.hand_back(token, details()).await,
            Closed::Accepted
        );
        assert_eq!(bench.results(), (0, 1));
    }
    let bench = bench(&[]).await;
    let token = "t".repeat(2048);
    assert_eq!(
        bench.claimed().await.hand_back(token.clone(), details()).await,
        Closed::Accepted
    );
    assert_eq!(bench.body(SUCCESS, 0)["continuationToken"], token);
}

#[tokio::test]
async fn a_job_that_is_dropped_is_reported_failed() {
    let bench = bench(&[(FAILURE, &["internal", "ok"])]).await;
    drop(bench.claimed().await);
    bench.desk.reporters.finish().await;
    assert_eq!(bench.results(), (0, 2));
    let details = &bench.body(FAILURE, 1)["failureDetails"];
    let message = details["message"].as_str().unwrap();
    assert!(
        message.contains("slipway gave this job up without a result"),
        "{message}"
    );
    assert!(bench.left().await.is_none());
}

#[tokio::test]
async fn a_job_whose_story_panics_is_reported_failed() {
    let bench = bench(&[]).await;
    let job = bench.claimed().await;
    let story = tokio::spawn(async move {
        let empty: [u8; 0] = [];
        let first = empty.iter().copied().next().unwrap();
        job.fail(FailureReport::new(FailureType::JobFailed, format!("{first}")))
            .await
    });
    assert!(story.await.unwrap_err().is_panic());
    bench.desk.reporters.finish().await;
    assert_eq!(bench.results(), (0, 1));
    let message = bench.body(FAILURE, 0)["failureDetails"]["message"].to_string();
    assert!(message.contains("gave this job up"), "{message}");
}

#[tokio::test]
async fn a_result_that_nobody_waits_for_arrives_as_it_was_meant() {
    let bench = bench(&[(SUCCESS, &["internal", "ok"])]).await;
    let job = bench.claimed().await;
    tokio::select! {
        biased;
        closed = job.succeed(details(), variables()) => panic!("{closed:?}"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(bench.desk.reporters.count(), 1);
    bench.desk.reporters.finish().await;
    assert_eq!((bench.results(), bench.desk.reporters.count()), ((2, 0), 0));
    assert!(bench.left().await.is_none());
}

#[tokio::test]
async fn what_could_not_be_reported_is_reported_by_the_next_look() {
    let bench = bench(&[(FAILURE, &["internal"])]).await;
    let bench = bench.in_virtual_time(Duration::from_millis(40));
    let job = bench.claimed().await;
    let report = FailureReport::new(FailureType::JobFailed, "it broke");
    assert_eq!(job.fail(report.clone()).await, Closed::Unreported);
    let told = bench.told.lock().unwrap().clone();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[1].contains(JOB) && told[1].contains("the journal keeps it"),
        "{told:?}"
    );
    let left = bench.left().await.unwrap();
    assert!(matches!(&left.record().phase, Phase::Reporting(_)));
    let Adopted::Reported(closed) = adopt(&bench.desk, left).await else {
        panic!("its result is known")
    };
    assert_eq!(closed, Closed::Unreported);
    assert_eq!(bench.asked.times("GetJobDetails"), 0);
    assert!(bench.left().await.is_some());
}

#[tokio::test]
async fn a_result_outlives_its_worker() {
    let directory = tempfile::tempdir().unwrap();
    let open = || State::open(directory.path(), Tell::nobody()).unwrap();
    let dying = Bench::new(Script::new(&[(SUCCESS, &["internal"])]), open()).await;
    let dying = dying.in_virtual_time(Duration::from_millis(40));
    let job = dying.claimed().await;
    assert_eq!(
        job.hand_back("swj1.token".to_owned(), details()).await,
        Closed::Unreported
    );
    drop(dying);
    let next = Bench::new(Script::new(&[(SUCCESS, &["ThrottlingException", "ok"])]), open()).await;
    let left = next.left().await.unwrap();
    let Adopted::Reported(closed) = adopt(&next.desk, left).await else {
        panic!("its result is known")
    };
    assert_eq!((closed, next.results()), (Closed::Accepted, (2, 0)));
    assert_eq!(next.body(SUCCESS, 1)["continuationToken"], "swj1.token");
    assert_eq!(next.body(SUCCESS, 1)["executionDetails"]["percentComplete"], 100);
    assert!(next.left().await.is_none());
}

#[tokio::test]
async fn a_second_stop_shortens_the_time_of_a_result_and_does_not_take_it_away() {
    // Raised before: there still is an attempt.
    let bench = bench(&[(FAILURE, &["internal", "ok"])]).await;
    let bench = bench.in_virtual_time(Duration::from_secs(60));
    let job = bench.claimed().await;
    bench.switch.raise(Kind::Terminated);
    bench.switch.raise(Kind::Terminated);
    let report = FailureReport::new(FailureType::SystemUnavailable, "slipway was stopped");
    assert_eq!(job.fail(report.clone()).await, Closed::Accepted);
    assert_eq!(bench.results(), (0, 2));
    // Raised while a far end is silent, or down.
    for answer in ["hang", "internal"] {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(directory.path(), Tell::nobody()).unwrap();
        let bench = Bench::new(Script::new(&[(FAILURE, &[answer])]), state).await;
        let job = bench.claimed().await;
        let stopped = async {
            while bench.asked.times(FAILURE) == 0 {
                tokio::task::yield_now().await;
            }
            bench.switch.raise(Kind::Terminated);
            bench.switch.raise(Kind::Terminated);
        };
        let (closed, ()) = tokio::join!(job.fail(report.clone()), stopped);
        assert_eq!(closed, Closed::Unreported, "{answer}");
        bench.desk.reporters.finish().await;
        assert!(matches!(
            bench.left().await.unwrap().record().phase,
            Phase::Reporting(_)
        ));
    }
}

#[tokio::test]
async fn a_first_stop_takes_nothing_from_a_result() {
    let bench = bench(&[(SUCCESS, &["internal", "internal", "ok"])]).await;
    let job = bench.claimed().await;
    bench.switch.raise(Kind::Terminated);
    assert_eq!(job.succeed(details(), variables()).await, Closed::Accepted);
}
