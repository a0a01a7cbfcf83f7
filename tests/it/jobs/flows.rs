//! Jobs of the sandbox's own pipelines, whose engine never is kinder than AWS.

use super::{BRISK, Bench};
use crate::responder::Asked;
use crate::sandbox_support::{REGION, config, start};
use crate::wire_pipeline::{let_pass, started};
use slipway::aws::{Aws, AwsSettings, StaticKeys};
use slipway::pipeline::claim::{Adopted, Certainty, Claim, Closed, adopt, claim};
use slipway::pipeline::client::{ActionStatus, JobOver};
use slipway::pipeline::job::{ActionTypeId, Offer};
use slipway::pipeline::journal::State;
use slipway::pipeline::result::{Details, FailureReport, FailureType, Variables};
use slipway::pipeline::token::{Continuation, Step};
use slipway::report::event::Tell;
use slipway::sandbox::server::Sandbox;
use slipway::sandbox::world::pipeline::JobState;
use std::collections::BTreeMap;
use std::path::Path;

/// A worker on a sandbox's clock.
async fn worker(sandbox: &Sandbox, directory: &Path) -> Bench {
    let keys = StaticKeys {
        access_key_id: "sandbox".to_owned().into(),
        secret_access_key: "sandbox".to_owned().into(),
        session_token: None,
    };
    let aws = Aws::connect(AwsSettings {
        region: Some(REGION.to_owned()),
        endpoint: Some(sandbox.endpoint().to_owned()),
        credentials: Some(keys),
    })
    .await
    .unwrap();
    let state = State::open(directory, Tell::nobody()).unwrap();
    let mut bench = Bench::of(aws, Asked::default(), state, sandbox.world().clock().clone());
    bench.desk.patience = BRISK;
    bench
}

fn builds() -> ActionTypeId {
    "Build/Slipway/1".parse().unwrap()
}

async fn polled(bench: &Bench, action_type: &ActionTypeId) -> Vec<Offer> {
    bench
        .desk
        .client
        .poll(action_type, Some(("Fleet", "blue")), 10)
        .await
        .unwrap()
}

/// The state of every job, and how many results each had.
fn jobs(sandbox: &Sandbox) -> Vec<(JobState, u32, u32)> {
    sandbox.world().visit(|world, _| {
        let jobs = world.pipeline.jobs();
        jobs.into_iter()
            .map(|job| (job.state, job.closed, job.refused))
            .collect()
    })
}

fn broken() -> FailureReport {
    FailureReport::new(FailureType::JobFailed, "error: it broke")
}

#[tokio::test]
async fn a_pipeline_is_brought_through_by_claims_and_a_token() {
    let sandbox = start("").await;
    started(&sandbox, &config(&sandbox, REGION)).await;
    let directory = tempfile::tempdir().unwrap();
    let worker = worker(&sandbox, directory.path()).await;
    let offer = polled(&worker, &builds()).await.remove(0);
    let Claim::Ours(build) = claim(&worker.desk, offer.clone()).await else {
        panic!("nobody else is there")
    };
    let context = build.job().context.clone();
    assert_eq!(
        (context.pipeline.as_str(), context.action.as_str()),
        ("shop", "Build")
    );
    assert_eq!(
        worker.desk.client.action_status(&context).await,
        ActionStatus::Running
    );
    // Whoever else had the same offer is late.
    let other = tempfile::tempdir().unwrap();
    let late = self::worker(&sandbox, other.path()).await;
    let not = claim(&late.desk, offer).await;
    assert!(
        matches!(&not, Claim::NotOurs(not) if not.words() == "another worker has it"),
        "{not:?}"
    );

    let token = Continuation::first(build.record().claimed, Step::Begin)
        .token()
        .unwrap();
    let details = Details {
        summary: Some("half done".to_owned()),
        percent: Some(50),
        ..Details::default()
    };
    assert_eq!(build.hand_back(token.clone(), details).await, Closed::Accepted);
    assert!(polled(&worker, &builds()).await.is_empty());
    let_pass(&sandbox, 30).await;
    let Claim::Ours(build) = claim(&late.desk, polled(&late, &builds()).await.remove(0)).await else {
        panic!("nobody else is there")
    };
    assert_eq!(build.job().context, context);
    assert_eq!(build.job().continuation.as_deref(), Some(token.as_str()));
    let read = Continuation::read(build.job().continuation.as_deref().unwrap()).unwrap();
    assert_eq!(read.step, Step::Begin);
    let image = "0.dkr.ecr.eu-west-1.amazonaws.com/shop@sha256:1";
    let variables = Variables(BTreeMap::from([("digest".to_owned(), image.to_owned())]));
    assert_eq!(
        build.succeed(Details::default(), variables).await,
        Closed::Accepted
    );
    assert_eq!(
        worker.desk.client.action_status(&context).await,
        ActionStatus::Ended
    );

    let deploy = polled(&worker, &super::deploys()).await.remove(0);
    assert_eq!(deploy.job.configuration["Commit"].expose(), image);
    let Claim::Ours(deploy) = claim(&worker.desk, deploy).await else {
        panic!("nobody else is there")
    };
    assert_eq!(deploy.fail(broken()).await, Closed::Accepted);
    let (done, failed) = ((JobState::Succeeded, 1, 0), (JobState::Failed, 1, 0));
    assert_eq!(jobs(&sandbox), [done, done, failed]);
    assert!(worker.left().await.is_none() && late.left().await.is_none());
    sandbox.stop().await;
}

#[tokio::test]
async fn a_worker_that_dies_around_its_acknowledgement_loses_no_job() {
    // Whether the request got through, and what the next worker is sure of.
    for (got_through, certainty) in [(false, Certainty::Sure), (true, Certainty::Maybe)] {
        let sandbox = start("").await;
        started(&sandbox, &config(&sandbox, REGION)).await;
        let directory = tempfile::tempdir().unwrap();
        let dead = worker(&sandbox, directory.path()).await;
        let offer = polled(&dead, &builds()).await.remove(0);
        let entry = dead
            .desk
            .state
            .begin(&offer, dead.desk.clock.now())
            .await
            .unwrap();
        if got_through {
            dead.desk
                .client
                .acknowledge(&offer.job.id, &offer.nonce)
                .await
                .unwrap();
        }
        drop(entry);
        drop(dead);
        let next = worker(&sandbox, directory.path()).await;
        let adopted = adopt(&next.desk, next.left().await.unwrap()).await;
        let Adopted::Ours(job) = adopted else {
            panic!("{adopted:?}")
        };
        assert_eq!((job.certainty(), job.record().attempts), (certainty, 1));
        assert_eq!(job.job().configuration["Fleet"].expose(), "blue");
        assert_eq!(job.fail(broken()).await, Closed::Accepted);
        assert_eq!(jobs(&sandbox), [(JobState::Failed, 1, 0)]);
        sandbox.stop().await;
    }
}

#[tokio::test]
async fn a_worker_that_dies_after_its_result_leaves_one_that_is_over() {
    let sandbox = start("").await;
    started(&sandbox, &config(&sandbox, REGION)).await;
    let directory = tempfile::tempdir().unwrap();
    let dead = worker(&sandbox, directory.path()).await;
    let offer = polled(&dead, &builds()).await.remove(0);
    let mut entry = dead
        .desk
        .state
        .begin(&offer, dead.desk.clock.now())
        .await
        .unwrap();
    dead.desk
        .client
        .acknowledge(&offer.job.id, &offer.nonce)
        .await
        .unwrap();
    entry
        .reporting(slipway::pipeline::result::Ending::Failure(broken()))
        .await
        .unwrap();
    dead.desk
        .client
        .put_failure(&offer.job.id, &broken())
        .await
        .unwrap();
    drop(entry);
    drop(dead);
    let next = worker(&sandbox, directory.path()).await;
    let adopted = adopt(&next.desk, next.left().await.unwrap()).await;
    assert!(
        matches!(
            adopted,
            Adopted::Reported(Closed::Over {
                why: JobOver::Unclear
            })
        ),
        "{adopted:?}"
    );
    assert_eq!(jobs(&sandbox), [(JobState::Failed, 1, 1)]);
    assert!(next.left().await.is_none());
    sandbox.stop().await;
}

#[tokio::test]
async fn lost_answers_of_the_engine_close_a_job_once() {
    let fault = |operation: &str, action: &str| {
        format!(
            "[[fault]]\nservice = \"codepipeline\"\noperation = \"{operation}\"\nnth = 1\naction = \"{action}\"\n"
        )
    };
    for (operation, action, certainty, closed) in [
        (
            "AcknowledgeJob",
            "lost-answer",
            Certainty::Maybe,
            Closed::Accepted,
        ),
        ("AcknowledgeJob", "refuse", Certainty::Sure, Closed::Accepted),
        ("AcknowledgeJob", "throttle", Certainty::Sure, Closed::Accepted),
        (
            "PutJobFailureResult",
            "lost-answer",
            Certainty::Sure,
            Closed::Over {
                why: JobOver::Unclear,
            },
        ),
        ("PutJobFailureResult", "refuse", Certainty::Sure, Closed::Accepted),
        (
            "PutJobFailureResult",
            "throttle",
            Certainty::Sure,
            Closed::Accepted,
        ),
    ] {
        let sandbox = start(&fault(operation, action)).await;
        started(&sandbox, &config(&sandbox, REGION)).await;
        let directory = tempfile::tempdir().unwrap();
        let worker = worker(&sandbox, directory.path()).await;
        let claimed = claim(&worker.desk, polled(&worker, &builds()).await.remove(0)).await;
        let Claim::Ours(job) = claimed else {
            panic!("{claimed:?}")
        };
        assert_eq!(job.certainty(), certainty, "{operation} {action}");
        assert_eq!(job.fail(broken()).await, closed, "{operation} {action}");
        let jobs = jobs(&sandbox);
        assert_eq!(
            (jobs.len(), jobs[0].0, jobs[0].1),
            (1, JobState::Failed, 1),
            "{operation} {action}"
        );
        assert!(worker.left().await.is_none());
        sandbox.stop().await;
    }
}
