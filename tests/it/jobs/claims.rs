//! Whose a job is, by every answer that an acknowledgement may have.

use super::{Bench, JOB, Script};
use slipway::clock::Clock;
use slipway::failure::Kind;
use slipway::pipeline::claim::{Adopted, Certainty, Claim, Closed, NotOurs, adopt, claim};
use slipway::pipeline::client::{JobOver, JobStatus};
use slipway::pipeline::journal::{Phase, State, Taking};
use slipway::pipeline::result::{Details, FailureReport, FailureType, Variables};
use slipway::report::event::Tell;
use std::path::Path;
use std::time::Duration;

fn state(directory: &Path) -> State {
    State::open(directory, Tell::nobody()).unwrap()
}

fn failed() -> FailureReport {
    FailureReport::new(FailureType::JobFailed, "it broke")
}

async fn acknowledging(answers: &[&'static str], state: State) -> Bench {
    Bench::new(Script::new(&[("AcknowledgeJob", answers)]), state).await
}

#[tokio::test]
async fn only_in_progress_is_a_claim_and_a_lost_answer_may_be_one() {
    for (answers, certainty) in [
        (&["InProgress"][..], Certainty::Sure),
        (
            &["ThrottlingException", "ThrottlingException", "InProgress"],
            Certainty::Sure,
        ),
        (&["internal", "InProgress"], Certainty::Sure),
        (&["cut", "InvalidNonceException"], Certainty::Maybe),
        (
            &[
                "internal",
                "proxy",
                "ThrottlingException",
                "InvalidNonceException",
            ],
            Certainty::Maybe,
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let bench = acknowledging(answers, state(directory.path())).await;
        let job = bench.claimed().await;
        assert_eq!(job.certainty(), certainty, "{answers:?}");
        assert_eq!(bench.asked.times("AcknowledgeJob"), answers.len(), "{answers:?}");
        assert_eq!((job.job().id.as_str(), job.record().attempts), (JOB, 0));
        assert_eq!(job.fail(failed()).await, Closed::Accepted);
        assert_eq!(bench.results(), (0, 1));
        assert!(bench.left().await.is_none());
    }
}

#[tokio::test]
async fn what_is_not_ours_is_dropped_without_a_result() {
    let status = |status| format!("{:?}", NotOurs::Status(status));
    for (answers, expected) in [
        (&["InvalidNonceException"][..], "Taken".to_owned()),
        (
            &["ThrottlingException", "InvalidNonceException"],
            "Taken".to_owned(),
        ),
        (&["JobNotFoundException"], "Gone".to_owned()),
        (&["cut", "JobNotFoundException"], "Gone".to_owned()),
        (&["Queued"], status(JobStatus::Queued)),
        (&["Succeeded"], status(JobStatus::Succeeded)),
        (&["Zombie"], status(JobStatus::Unrecognised("Zombie".to_owned()))),
        (&["AccessDeniedException"], "Refused".to_owned()),
        (&["ValidationException"], "Refused".to_owned()),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let bench = acknowledging(answers, state(directory.path())).await;
        let not = bench.not_claimed().await;
        let shown = format!("{not:?}");
        assert!(shown.starts_with(&expected), "{answers:?}: {shown}");
        assert!(!not.words().is_empty());
        bench.desk.reporters.finish().await;
        assert_eq!(
            (bench.results(), bench.asked.times("AcknowledgeJob")),
            ((0, 0), answers.len())
        );
        assert!(bench.left().await.is_none(), "{answers:?}");
    }
}

#[tokio::test]
async fn an_acknowledgement_in_doubt_is_kept_and_taken_up_again() {
    let directory = tempfile::tempdir().unwrap();
    let bench = acknowledging(
        &["cut", "AccessDeniedException", "InProgress"],
        state(directory.path()),
    )
    .await;
    let not = bench.not_claimed().await;
    assert!(matches!(not, NotOurs::InDoubt(_)), "{not:?}");
    let left = bench.left().await.unwrap();
    assert_eq!(
        (left.record().phase.clone(), left.record().attempts),
        (Phase::Acknowledging, 0)
    );
    let Adopted::Ours(job) = adopt(&bench.desk, left).await else {
        panic!("it is ours")
    };
    assert_eq!(job.certainty(), Certainty::Sure);
    assert_eq!(bench.body("AcknowledgeJob", 2)["nonce"], "3");
    assert_eq!(job.fail(failed()).await, Closed::Accepted);
}

#[tokio::test]
async fn a_job_in_doubt_that_is_offered_again_stays_in_doubt() {
    let directory = tempfile::tempdir().unwrap();
    let answers = ["cut", "AccessDeniedException", "InvalidNonceException"];
    let bench = acknowledging(&answers, state(directory.path())).await;
    assert!(matches!(bench.not_claimed().await, NotOurs::InDoubt(_)));
    let job = bench.claimed().await;
    assert_eq!(
        job.certainty(),
        Certainty::Maybe,
        "it may have been ours the first time"
    );
    assert_eq!(job.fail(failed()).await, Closed::Accepted);
}

#[tokio::test]
async fn a_job_in_doubt_that_another_worker_does_is_left_to_it() {
    for (working, is_left) in [(true, true), (false, false)] {
        let directory = tempfile::tempdir().unwrap();
        let other = acknowledging(&["InProgress"], state(directory.path())).await;
        let offer = other.offer().await;
        let mut held = other
            .desk
            .state
            .begin(&offer, other.desk.clock.now())
            .await
            .unwrap();
        if working {
            held.working().await.unwrap();
        }
        let bench = acknowledging(&["cut", "InvalidNonceException"], state(directory.path())).await;
        let claim = claim(&bench.desk, bench.offer().await).await;
        let was_left = matches!(claim, Claim::NotOurs(NotOurs::Taken));
        assert_eq!(was_left, is_left, "{claim:?}");
        drop(held);
    }
}

#[tokio::test]
async fn an_acknowledgement_is_not_tried_for_ever() {
    for (answer, in_doubt) in [("ThrottlingException", false), ("internal", true)] {
        let bench = acknowledging(&[answer], State::none()).await;
        let bench = bench.in_virtual_time(Duration::from_millis(30));
        let not = bench.not_claimed().await;
        assert_eq!(matches!(not, NotOurs::InDoubt(_)), in_doubt, "{not:?}");
        assert_eq!(bench.left().await.is_some(), in_doubt);
        assert!(bench.asked.times("AcknowledgeJob") > 2);
    }
}

#[tokio::test]
async fn a_stop_ends_a_claim_that_is_not_made_and_leaves_one_in_doubt_to_the_journal() {
    let directory = tempfile::tempdir().unwrap();
    let bench = acknowledging(&["internal"], state(directory.path())).await;
    let offer = bench.offer().await;
    let first = claim(&bench.desk, offer.clone());
    let stopped = async {
        while bench.asked.times("AcknowledgeJob") == 0 {
            tokio::task::yield_now().await;
        }
        bench.switch.raise(Kind::Terminated);
    };
    let (first, ()) = tokio::join!(first, stopped);
    assert!(matches!(first, Claim::NotOurs(NotOurs::InDoubt(_))), "{first:?}");
    let asked = bench.asked.times("AcknowledgeJob");
    let second = claim(&bench.desk, offer).await;
    assert!(matches!(second, Claim::NotOurs(NotOurs::Stopping)), "{second:?}");
    assert_eq!(bench.asked.times("AcknowledgeJob"), asked);
    assert!(bench.left().await.is_some());
}

#[tokio::test]
async fn a_second_stop_does_not_wait_for_an_answer_that_does_not_come() {
    let bench = acknowledging(&["hang"], State::none()).await;
    let stopped = async {
        while bench.asked.times("AcknowledgeJob") == 0 {
            tokio::task::yield_now().await;
        }
        bench.switch.raise(Kind::Terminated);
        bench.switch.raise(Kind::Terminated);
    };
    let (not, ()) = tokio::join!(bench.not_claimed(), stopped);
    assert!(matches!(not, NotOurs::InDoubt(_)), "{not:?}");
}

#[tokio::test]
async fn without_a_journal_there_is_no_acknowledgement() {
    let directory = tempfile::tempdir().unwrap();
    let bench = acknowledging(&["InProgress"], state(directory.path())).await;
    std::fs::remove_dir_all(directory.path()).unwrap();
    let not = bench.not_claimed().await;
    assert!(matches!(not, NotOurs::Journal(_)), "{not:?}");
    assert_eq!(bench.asked.times("AcknowledgeJob"), 0);
}

#[tokio::test]
async fn a_job_that_is_held_is_not_acknowledged_again() {
    let bench = acknowledging(&["InProgress"], State::none()).await;
    let job = bench.claimed().await;
    assert!(matches!(bench.not_claimed().await, NotOurs::Held));
    assert_eq!(bench.asked.times("AcknowledgeJob"), 1);
    assert_eq!(
        job.succeed(Details::default(), Variables::default()).await,
        Closed::Accepted
    );
    let again = bench.claimed().await;
    assert_eq!(again.fail(failed()).await, Closed::Accepted);
}

/// Leaves a job as a worker that dies does, in one of its phases.
async fn left_by_a_dead_worker(directory: &Path, working: bool) {
    let dead = acknowledging(&["InProgress"], state(directory)).await;
    let mut entry = dead
        .desk
        .state
        .begin(&dead.offer().await, dead.desk.clock.now())
        .await
        .unwrap();
    if working {
        entry.working().await.unwrap();
    }
}

async fn healing(steps: &[(&str, &[&'static str])], directory: &Path, working: bool) -> (Bench, Adopted) {
    left_by_a_dead_worker(directory, working).await;
    let bench = Bench::new(Script::new(steps), state(directory)).await;
    let left = bench.left().await.unwrap();
    assert_eq!(left.record().attempts, 1);
    let adopted = adopt(&bench.desk, left).await;
    (bench, adopted)
}

#[tokio::test]
async fn what_a_dead_worker_left_is_ours_or_over() {
    for (steps, working, expected) in [
        (&[][..], true, "Ours Sure"),
        (&[][..], false, "Ours Sure"),
        (
            &[("AcknowledgeJob", &["InvalidNonceException"][..])][..],
            false,
            "Ours Maybe",
        ),
        (&[("AcknowledgeJob", &["JobNotFoundException"])], false, "Gone"),
        (&[("AcknowledgeJob", &["Failed"])], false, "Status"),
        (&[("GetJobDetails", &["JobNotFoundException"])], true, "Gone"),
        (&[("GetJobDetails", &["AccessDeniedException"])], true, "NotYet"),
        (
            &[("AcknowledgeJob", &["cut", "ValidationException"])],
            false,
            "NotYet",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (bench, adopted) = healing(steps, directory.path(), working).await;
        let shown = match &adopted {
            Adopted::Ours(job) => format!("Ours {:?}", job.certainty()),
            Adopted::NotOurs(not) => format!("{not:?}"),
            other => format!("{other:?}"),
        };
        assert!(shown.starts_with(expected), "{steps:?} {working}: {shown}");
        assert_eq!(bench.asked.times("AcknowledgeJob") > 0, !working, "{steps:?}");
        let ours = match adopted {
            Adopted::Ours(job) => {
                assert_eq!(job.record().attempts, 1);
                assert_eq!(job.job().continuation.as_deref(), Some("canary-continuation"));
                assert_eq!(job.fail(failed()).await, Closed::Accepted);
                true
            }
            Adopted::NotOurs(_)
            | Adopted::NotYet(_)
            | Adopted::Reported(_)
            | Adopted::TooOld
            | Adopted::Abandoned { .. } => false,
        };
        assert_eq!(bench.results(), (0, usize::from(ours)));
        assert_eq!(bench.left().await.is_some(), expected == "NotYet", "{steps:?}");
    }
}

#[tokio::test]
async fn a_job_that_another_live_worker_has_written_down_is_its() {
    let directory = tempfile::tempdir().unwrap();
    left_by_a_dead_worker(directory.path(), false).await;
    let other = acknowledging(&["InProgress"], state(directory.path())).await;
    let job = other.claimed().await;
    let healer = acknowledging(&["InvalidNonceException"], state(directory.path())).await;
    let left = healer.left().await.unwrap();
    let adopted = adopt(&healer.desk, left).await;
    assert!(matches!(adopted, Adopted::NotOurs(NotOurs::Taken)), "{adopted:?}");
    assert!(healer.left().await.is_none());
    assert_eq!(job.fail(failed()).await, Closed::Accepted);
}

#[tokio::test]
async fn the_work_of_an_abandoned_action_is_given_to_whoever_calls_it_off() {
    use crate::responder::{ok, respond};
    use serde_json::json;
    let directory = tempfile::tempdir().unwrap();
    left_by_a_dead_worker(directory.path(), true).await;
    let (aws, asked) = respond(|operation, _, _| match operation {
        "ListActionExecutions" => ok(json!({ "actionExecutionDetails": [
            { "actionExecutionId": "action-1", "status": "Abandoned" }] })),
        _ => ok(json!({ "jobDetails": { "id": JOB, "data": super::data() } })),
    })
    .await;
    let bench = Bench::of(aws, asked, state(directory.path()), Clock::System);
    let adopted = adopt(&bench.desk, bench.left().await.unwrap()).await;
    let Adopted::Abandoned { job, entry } = adopted else {
        panic!("{adopted:?}")
    };
    assert_eq!(job.continuation.as_deref(), Some("canary-continuation"));
    drop(entry);
    let left = bench.left().await;
    let entry = left.expect("the journal keeps it until somebody has seen to it");
    entry.forget().await;
    assert!(bench.left().await.is_none());
}

#[tokio::test]
async fn what_may_be_somebody_elses_says_nothing_when_it_is_over() {
    let over = &["InvalidJobStateException"][..];
    let maybe = &["cut", "InvalidNonceException"][..];
    for (acknowledge, why) in [(&["InProgress"][..], JobOver::Ended), (maybe, JobOver::Unclear)] {
        let script = Script::new(&[("AcknowledgeJob", acknowledge), ("PutJobFailureResult", over)]);
        let bench = Bench::new(script, State::none()).await;
        let job = bench.claimed().await;
        assert_eq!(job.fail(failed()).await, Closed::Over { why });
    }
    let directory = tempfile::tempdir().unwrap();
    let (_bench, adopted) = healing(&[("PutJobFailureResult", over)], directory.path(), true).await;
    let Adopted::Ours(job) = adopted else {
        panic!("it is ours")
    };
    assert_eq!(
        job.fail(failed()).await,
        Closed::Over {
            why: JobOver::Unclear
        }
    );
}

#[tokio::test]
async fn claims_and_results_move_between_threads() {
    const fn sendable<T: Send>(future: T) -> T {
        future
    }
    let bench = acknowledging(&["InProgress"], State::none()).await;
    let offer = bench.offer().await;
    let desk = bench.desk.clone();
    let spawned = tokio::spawn(async move {
        let Claim::Ours(job) = claim(&desk, offer).await else {
            panic!("it is ours")
        };
        sendable(job.hand_back("token".to_owned(), Details::default())).await
    });
    assert_eq!(spawned.await.unwrap(), Closed::Accepted);
    let desk = bench.desk.clone();
    let looked = tokio::spawn(async move {
        for left in desk.state.look(Box::new(|_| Taking::Now)).await.taken {
            drop(sendable(adopt(&desk, left)).await);
        }
    });
    looked.await.unwrap();
}
