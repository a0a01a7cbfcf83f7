//! Nothing of a job's secrets gets out: not by what is told, shown, written down, sent, or said in an error.

use super::{Bench, Script};
use slipway::failure::{Failure, Kind, chain};
use slipway::pipeline::claim::Closed;
use slipway::pipeline::journal::State;
use slipway::pipeline::result::{Details, FailureReport, Whose};
use slipway::report::event::Tell;
use std::time::Duration;

/// What the answers of `super::data` hide, the access key's id apart, which every signed request shows.
const CANARIES: [&str; 4] = [
    "canary-secret-property",
    "canary-secret-key",
    "canary-session",
    "canary-continuation",
];

#[tokio::test]
async fn a_job_that_meets_every_trouble_shows_none_of_its_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let state = State::open(directory.path(), Tell::nobody()).unwrap();
    let script = Script::new(&[
        ("AcknowledgeJob", &["internal", "cut", "InvalidNonceException"]),
        ("GetJobDetails", &["AccessDeniedException"]),
        ("PutJobFailureResult", &["ValidationException", "internal"]),
    ]);
    let bench = Bench::new(script, state).await;
    let bench = bench.in_virtual_time(Duration::from_millis(50));
    let offer = bench.offer().await;
    let job = bench.claimed().await;
    let mut shown = format!(
        "{offer:?} {offer:#?} {job:?} {:?} {:?} {:?}",
        job.job(),
        job.record(),
        bench.desk
    );
    job.credentials().forget();
    let error = job.credentials().keys().await.unwrap_err();
    shown += &format!("{error:?} {}", chain(&error));
    let secrets = vec![job.job().configuration["Secrets"].clone()];
    let failure = Failure::new(Kind::Build, "step failed: canary-secret-property").because(error);
    let report = FailureReport::of(&failure, Whose::Worker, &secrets);
    assert_eq!(job.fail(report).await, Closed::Unreported);
    let left = bench.left().await.unwrap();
    shown += &format!("{left:?} {:?}", left.record());
    shown += &bench.told.lock().unwrap().join("\n");
    for body in [
        "AcknowledgeJob",
        "PutJobFailureResult",
        "PollForJobs",
        "GetJobDetails",
    ] {
        for body in bench.asked.bodies(body) {
            shown += &String::from_utf8_lossy(&body);
        }
    }
    for folder in std::fs::read_dir(directory.path()).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            shown += &std::fs::read_to_string(file.unwrap().path()).unwrap();
        }
    }
    assert!(
        shown.contains("reporting") && shown.contains("[secret]"),
        "{shown}"
    );
    for canary in CANARIES {
        assert!(!shown.contains(canary), "{canary}: {shown}");
    }
}

#[tokio::test]
async fn a_token_is_sent_and_written_down_and_not_shown() {
    let bench = Bench::new(
        Script::new(&[("PutJobSuccessResult", &["ValidationException", "ok"])]),
        State::none(),
    )
    .await;
    let job = bench.claimed().await;
    let details = Details {
        percent: Some(10),
        ..Details::default()
    };
    assert_eq!(
        job.hand_back("swj1.mark".to_owned(), details).await,
        Closed::Accepted
    );
    assert_eq!(
        bench.body("PutJobSuccessResult", 1)["continuationToken"],
        "swj1.mark"
    );
    assert!(!bench.told.lock().unwrap().join("\n").contains("swj1.mark"));
}
