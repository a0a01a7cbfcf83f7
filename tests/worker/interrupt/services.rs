//! A deploy of two services behind a one-off task, whose worker dies, or whose answer is lost, at every request that
//! changes something: what is done is taken up, and nothing is done twice.

use super::points::Point;
use super::{AT_ONCE, Verdict, at_once, common, until_it_happens};
use crate::bench::place::{self, CLUSTER};
use crate::bench::source::Source;
use crate::bench::workers::Plan;
use crate::bench::{Bench, Setup};
use serde_json::{Value, json};
use slipway::sandbox::scenario::faults::Faults;
use slipway::sandbox::world::pipeline::ExecutionStatus;

/// The first task of the revision is the one-off, whose container does its work.
const MIGRATES: &str =
    "[[fate]]\nfamily = \"shop\"\nrevision = 2\ntasks = 1\ncrash = { after-seconds = 5, exit-code = 0 }\n";

async fn bench() -> Bench {
    let bench = Bench::with_pipeline(&Setup {
        scenario: MIGRATES.to_owned(),
        services: vec!["shop".to_owned(), "api".to_owned()],
        ..Setup::default()
    })
    .await;
    let task = "[task.migrate]\nservice = \"shop\"\ncommand = [\"./migrate\"]\n";
    let source = Source::of(&bench.services, "2", task);
    bench.commit("shop", &source).await;
    bench
}

async fn interrupted(point: Point, way: &str) -> Verdict {
    let name = format!("{way} at {point} of two services and a task");
    let bench = bench().await;
    bench.set_fault(&point.fault(&format!("action = \"{way}\""), 1));
    let mut worker = bench.process(&Plan::default());
    let execution = bench.release("shop");
    let happened = bench.strikes(&execution, 3600).await;
    let mut told = String::new();
    if way.starts_with("hold") {
        bench.sandbox.set_faults(Faults::default());
        worker.kill();
        told = worker.log();
        worker = bench.process(&Plan::default());
    }
    let outcome = bench.outcome(&execution, 3600).await;
    let mut broken = outcome.broken();
    broken.extend(bench.left_in_journal().await);
    told.push_str(&worker.log());
    let succeeded = outcome.execution.status == ExecutionStatus::Succeeded;
    if !succeeded {
        broken.push(format!(
            "what passes fails no pipeline: {}",
            outcome.message("Deploy")
        ));
    }
    for service in &outcome.services {
        if service.revisions != 2 {
            broken.push(format!("one revision is registered: {service:?}"));
        }
    }
    let tasks = bench.tasks_of("migrate");
    if tasks != 1 {
        broken.push(format!("the task runs once: {tasks}"));
    }
    Verdict {
        name,
        happened,
        succeeded,
        broken,
        told,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_services_and_a_task_nothing_is_done_twice() {
    let points = common(bench).await;
    let changes = ["RegisterTaskDefinition", "UpdateService", "RunTask"];
    let points = points
        .into_iter()
        .filter(|point| changes.contains(&point.operation.as_str()));
    let points: Vec<Point> = points.collect();
    assert_eq!(
        points.len(),
        5,
        "two revisions, two updates, one task: {points:?}"
    );
    let runs = points.into_iter().flat_map(|point| {
        ["hold", "hold-answer", "lost-answer"].map(|way| {
            let point = point.clone();
            Box::pin(async move { until_it_happens(|| Box::pin(interrupted(point.clone(), way))).await })
        })
    });
    at_once(AT_ONCE, runs.collect()).await;
}

impl Bench {
    /// How many tasks were started of a one-off task.
    fn tasks_of(&self, task: &str) -> usize {
        let of = |status: &str| {
            let input = json!({ "cluster": CLUSTER, "desiredStatus": status });
            let listed = place::ecs(&self.sandbox, "ListTasks", &input);
            let arns = listed["taskArns"].as_array().cloned().unwrap_or_default();
            if arns.is_empty() {
                return 0;
            }
            let input = json!({ "cluster": CLUSTER, "tasks": arns });
            let described = place::ecs(&self.sandbox, "DescribeTasks", &input);
            let tasks = described["tasks"].as_array().cloned().unwrap_or_default();
            let group = format!("task:{task}");
            let ours = |one: &&Value| one["group"].as_str().is_some_and(|it| it.starts_with(&group));
            tasks.iter().filter(ours).count()
        };
        of("RUNNING") + of("STOPPED")
    }
}
