//! Whatever people and job workers do in whatever order: no job is lost, and none is closed twice.

use super::tests::{Bench, action, claim, failure, pipeline};
use super::{ExecutionStatus, JobState, RunStatus};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What happens next; numbers choose among what there is.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Start,
    Pass(u64),
    Poll(bool),
    Acknowledge(usize),
    Succeed(usize),
    HandBack(usize),
    Fail(usize),
    Stop(usize, bool),
    Retry(usize, usize, bool),
    RollBack(usize),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let one = prop_oneof![
        2 => Just(Deed::Start),
        4 => (0_u64..40).prop_map(Deed::Pass),
        6 => any::<bool>().prop_map(Deed::Poll),
        6 => any::<usize>().prop_map(Deed::Acknowledge),
        4 => any::<usize>().prop_map(Deed::Succeed),
        3 => any::<usize>().prop_map(Deed::HandBack),
        2 => any::<usize>().prop_map(Deed::Fail),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(at, abandon)| Deed::Stop(at, abandon)),
        2 => (any::<usize>(), 0_usize..3, any::<bool>()).prop_map(|(at, stage, all)| Deed::Retry(at, stage, all)),
        1 => any::<usize>().prop_map(Deed::RollBack),
    ];
    prop::collection::vec(one, 0..80)
}

fn bench(mode: &str) -> Bench {
    let mut bench = Bench::bare();
    bench.register();
    let mut declared = pipeline(mode);
    declared["stages"][1]["actions"] = json!([
        action("First", "Build", &["SourceOutput"], &["Images"]),
        action("Second", "Build", &["SourceOutput"], &["Two"]),
    ]);
    bench.good("CreatePipeline", &json!({ "pipeline": declared }));
    bench
}

/// A job worker that forgets nothing, and people at the same time.
struct Play {
    bench: Bench,
    offers: Vec<Value>,
}

impl Play {
    /// One of the offers, also of those that are over.
    fn offer(&self, at: usize) -> Option<Value> {
        let count = self.offers.len().max(1);
        self.offers.get(at % count).cloned()
    }

    fn execution(&self, at: usize) -> Option<String> {
        let all = self.bench.engine.executions("shop");
        all.get(at % all.len().max(1)).map(|one| one.id.clone())
    }

    /// Does a deed; what AWS would refuse is refused in its own words, and changes nothing.
    fn act(&mut self, deed: Deed) {
        let (operation, input) = match deed {
            Deed::Pass(seconds) => return self.bench.pass(seconds),
            Deed::Poll(build) => {
                let category = if build { "Build" } else { "Deploy" };
                let offers = self.bench.poll(category);
                return self.offers.extend(offers);
            }
            Deed::Start => ("StartPipelineExecution", Some(json!({ "name": "shop" }))),
            Deed::Acknowledge(at) => ("AcknowledgeJob", self.offer(at).map(|job| claim(&job))),
            Deed::Succeed(at) => (
                "PutJobSuccessResult",
                self.offer(at).map(|job| json!({ "jobId": job["id"] })),
            ),
            Deed::HandBack(at) => (
                "PutJobSuccessResult",
                self.offer(at)
                    .map(|job| json!({ "jobId": job["id"], "continuationToken": "on" })),
            ),
            Deed::Fail(at) => ("PutJobFailureResult", self.offer(at).map(|job| failure(&job, "x"))),
            Deed::Stop(at, abandon) => (
                "StopPipelineExecution",
                self.execution(at)
                    .map(|id| json!({ "pipelineName": "shop", "pipelineExecutionId": id, "abandon": abandon })),
            ),
            Deed::Retry(at, stage, all) => {
                let stage = ["Source", "Build", "Deploy"][stage];
                let mode = if all { "ALL_ACTIONS" } else { "FAILED_ACTIONS" };
                let input = self.execution(at).map(|id| {
                    json!({
                        "pipelineName": "shop", "stageName": stage, "pipelineExecutionId": id, "retryMode": mode,
                    })
                });
                ("RetryStageExecution", input)
            }
            Deed::RollBack(at) => (
                "RollbackStage",
                self.execution(at).map(|id| {
                    json!({ "pipelineName": "shop", "stageName": "Deploy", "targetPipelineExecutionId": id })
                }),
            ),
        };
        if let Some(input) = input
            && let Err(error) = self.bench.call(operation, &input)
        {
            assert!(EXPECTED.contains(&error.code.as_str()), "{operation}: {error}");
        }
    }

    /// What holds at every moment.
    fn check(&self, parallel: bool) {
        let mut open: BTreeMap<String, usize> = BTreeMap::new();
        for job in self.bench.engine.jobs() {
            assert!(job.acknowledged <= 1 && job.closed <= 1, "{job:?}");
            assert_eq!(job.over.is_some(), job.state.is_over(), "{job:?}");
            let reported = matches!(job.state, JobState::Succeeded | JobState::Failed);
            assert_eq!(job.closed == 1, reported, "{job:?}");
            if !job.state.is_over() {
                *open.entry(job.action_execution.clone()).or_default() += 1;
            }
        }
        let mut inside: BTreeMap<String, usize> = BTreeMap::new();
        for execution in self.bench.engine.executions("shop") {
            let mut stages = Vec::new();
            for run in &execution.runs {
                let custom = run.stage != "Source";
                let going = run.status == RunStatus::InProgress;
                let jobs = open.get(&run.id).copied().unwrap_or_default();
                assert_eq!(jobs, usize::from(custom && going), "{run:?}");
                if going && !stages.contains(&run.stage) {
                    stages.push(run.stage.clone());
                }
            }
            let ended = matches!(
                execution.status,
                ExecutionStatus::Succeeded | ExecutionStatus::Superseded | ExecutionStatus::Stopped
            );
            assert!(!ended || stages.is_empty(), "{execution:?}");
            assert!(stages.len() <= 1, "{execution:?}");
            for stage in stages {
                *inside.entry(stage).or_default() += 1;
            }
        }
        let alone = inside.values().all(|count| *count == 1);
        assert!(parallel || alone, "{inside:?}");
    }
}

/// The refusals that a deed can meet.
const EXPECTED: &[&str] = &[
    "ConcurrentPipelineExecutionsLimitExceededException",
    "DuplicatedStopRequestException",
    "InvalidJobStateException",
    "InvalidNonceException",
    "NotLatestPipelineExecutionException",
    "PipelineExecutionNotStoppableException",
    "StageNotRetryableException",
    "UnableToRollbackStageException",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn no_job_is_lost_and_none_is_closed_twice(
        mode in prop::sample::select(vec!["SUPERSEDED", "QUEUED", "PARALLEL"]),
        deeds in deeds(),
    ) {
        let mut play = Play { bench: bench(mode), offers: Vec::new() };
        for deed in deeds {
            play.act(deed);
            play.check(mode == "PARALLEL");
        }
        // A worker that takes whatever comes brings every execution to its end, but for jobs that another one holds.
        for job in play.bench.engine.jobs() {
            if job.state == JobState::InProgress {
                play.bench.good("PutJobSuccessResult", &json!({ "jobId": job.id }));
            }
        }
        for _ in 0..200 {
            play.bench.pass(30);
            for category in ["Build", "Deploy"] {
                for job in play.bench.poll(category) {
                    play.bench.good("AcknowledgeJob", &claim(&job));
                    play.bench.good("PutJobSuccessResult", &json!({ "jobId": job["id"] }));
                }
            }
            play.check(mode == "PARALLEL");
            if play.bench.engine.next_change().is_none() {
                break;
            }
        }
        for execution in play.bench.engine.executions("shop") {
            let over = !matches!(
                execution.status,
                ExecutionStatus::InProgress | ExecutionStatus::Stopping
            );
            prop_assert!(over, "{execution:?}");
        }
    }
}
