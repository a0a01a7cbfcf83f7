//! A pipeline to which nothing happens.

use crate::bench::workers::Plan;
use crate::bench::{Bench, Setup};
use slipway::sandbox::world::pipeline::ExecutionStatus;
use std::time::Duration;

/// With the keys of each job, and with the worker's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_goes_from_its_source_to_running_tasks() {
    for own_keys in [true, false] {
        go(own_keys).await;
    }
}

async fn go(own_keys: bool) {
    let bench = Bench::with_pipeline(&Setup {
        refereed: !own_keys,
        ..Setup::default()
    })
    .await;
    let worker = bench.worker(&Plan {
        own_keys,
        ..Plan::default()
    });
    let execution = bench.release("shop");
    let outcome = bench.outcome(&execution, 1800).await;
    let told = worker.stop().await;
    assert_eq!(
        outcome.broken(),
        Vec::<String>::new(),
        "{}\n{outcome:#?}",
        told.human()
    );
    assert_eq!(
        outcome.execution.status,
        ExecutionStatus::Succeeded,
        "{}\n{outcome:#?}",
        told.human()
    );
    let shop = &outcome.services[0];
    assert_eq!(shop.of_execution, ["shop:2"], "its mark is on its revision");
    let said = |action: &str, name: &str| {
        let run = outcome.run(action).unwrap();
        let mut named = run.variables.iter().filter(|(variable, _)| variable == name);
        named.next().map(|(_, value)| value.clone()).unwrap_or_default()
    };
    for name in ["uri", "web-uri"] {
        assert_eq!(said("Build", name), shop.image, "the image by its digest");
    }
    assert!(shop.image.ends_with(&said("Build", "digest")));
    assert_eq!(said("Deploy", "revision"), shop.revision);
    assert_eq!(said("Deploy", "images"), shop.image);
    assert!(said("Deploy", "deployment").starts_with("ecs-svc/"));
    let deploy = outcome.run("Deploy").unwrap();
    assert_eq!(deploy.external.as_deref(), Some("clusters/prod/services/shop"));
    assert_eq!(deploy.percent, Some(100));
    let requests = bench.engine.requests();
    let pushes = requests.iter().filter(|line| line.ends_with("/push"));
    assert_eq!(pushes.count(), 1, "{requests:?}");
    assert!(told.json().lines().all(|line| line.starts_with('{')));
}

/// A worker that polls hardly ever any more finds the deploy as soon as its own build is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_action_of_a_pipeline_is_not_kept_waiting() {
    let bench = Bench::with_pipeline(&Setup::default()).await;
    // Polls for deploys come after some 340 seconds then, and after some 690.
    bench.engine.build_takes(Duration::from_secs(450));
    let worker = bench.worker(&Plan {
        poll_idle: 3600,
        ..Plan::default()
    });
    bench.release("shop");
    let counts = |operation, least| bench.count("codepipeline", operation) >= least;
    bench
        .until("the build is done", 900, || counts("PutJobSuccessResult", 1))
        .await;
    bench
        .until("the deploy is taken", 100, || counts("AcknowledgeJob", 2))
        .await;
    worker.stop().await;
}
