//! The build stage: images built side by side, pushed to a registry, and the files that tell of them.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

use crate::support::{Busybox, Images, Registry, Told, context, env, request, unique};
use slipway::artifact::imagedefinitions::Definitions;
use slipway::artifact::store::read_definitions;
use slipway::aws::{AwsOnDemand, AwsSettings, StaticKeys};
use slipway::clock::Clock;
use slipway::config::settings::{
    ArtifactTarget, Builder, DefinitionsSource, ImageSettings, Outputs, RepositoryTarget,
};
use slipway::ecs::recorder::Recorder;
use slipway::failure::Kind;
use slipway::image::endpoint::EngineEnv;
use slipway::report::event::Event;
use slipway::sandbox::scenario::Scenario;
use slipway::sandbox::server::{Options, Sandbox, Tasks};
use slipway::sandbox::world::ecs::Timings;
use slipway::shutdown::{Shutdown, switch};
use slipway::stage::Tools;
use slipway::stage::build::{BuildPlan, build};
use std::fs;
use std::path::Path;

/// Tools whose AWS must not be asked: nothing listens there.
async fn tools(told: &Told, shutdown: Shutdown) -> Tools {
    tools_at("http://127.0.0.1:9", told, shutdown)
}

fn tools_at(endpoint: &str, told: &Told, shutdown: Shutdown) -> Tools {
    let keys = StaticKeys {
        access_key_id: "AKID".to_owned().into(),
        secret_access_key: "secret".to_owned().into(),
        session_token: None,
    };
    let settings = AwsSettings {
        region: Some("eu-west-1".to_owned()),
        endpoint: Some(endpoint.to_owned()),
        credentials: Some(keys),
    };
    Tools {
        aws: AwsOnDemand::new(settings),
        clock: Clock::System,
        shutdown,
        tell: told.tell(),
        engine: env(),
        record: Recorder::default(),
    }
}

fn image(name: &str, root: &Path, repository: &str) -> ImageSettings {
    let mut image = request(root, Builder::Auto, &[]).image;
    image.name = name.to_owned();
    image.repository = RepositoryTarget::Full(repository.parse().unwrap());
    image.containers = vec![name.parse().unwrap()];
    image.tags = vec!["v1".parse().unwrap(), "latest".parse().unwrap()];
    image
}

fn outputs(folder: &Path) -> Outputs {
    Outputs {
        imagedefinitions: folder.join("imagedefinitions.json"),
        image_detail: None,
        metadata: Some(folder.join("metadata.json")),
        env_file: Some(folder.join("slipway.env")),
        artifact: None,
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The plan for `web` and `worker`, and what removes their images.
fn plan(web: &Busybox, worker: &Busybox, host: &str, out: &Path, test: &str) -> (BuildPlan, Images) {
    let repository = |name: &str| format!("{host}/{}/{name}", unique(test));
    let images = vec![
        image("web", web.path(), &repository("web")),
        image("worker", worker.path(), &repository("worker")),
    ];
    let names = ["web", "worker"]
        .iter()
        .flat_map(|name| ["v1", "latest"].map(|tag| format!("{}:{tag}", repository(name))))
        .collect();
    let outputs = outputs(out);
    (BuildPlan { images, outputs }, Images(names))
}

#[tokio::test]
async fn images_are_built_pushed_and_told_of_and_an_unchanged_rebuild_has_the_same_digest() {
    let registry = Registry::start().await;
    let out = tempfile::tempdir().unwrap();
    let web = Busybox::new("stage-web", "RUN echo web > /web\n");
    let worker = Busybox::new("stage-worker", "RUN echo worker > /worker\n");
    let (plan, _images) = plan(&web, &worker, &registry.host, out.path(), "stage");
    let told = Told::default();
    let tools = tools(&told, Shutdown::never()).await;
    let built = build(&tools, &plan).await.unwrap();
    assert_eq!(
        names_in(out.path()),
        ["imagedefinitions.json", "metadata.json", "slipway.env"]
    );
    assert_eq!(
        built.written.last(),
        Some(&plan.outputs.imagedefinitions),
        "the very last"
    );
    let text = fs::read(&plan.outputs.imagedefinitions).unwrap();
    let definitions = Definitions::parse(&text).unwrap();
    for (entry, image) in definitions.entries().iter().zip(&built.images) {
        assert_eq!(
            (entry.name.as_str(), &entry.image),
            (image.image.as_str(), &image.reference)
        );
        assert_eq!(entry.image.digest.as_ref(), Some(&image.digest));
    }
    let pushed = told
        .events()
        .into_iter()
        .filter(|event| matches!(event, Event::Pushed { .. }));
    assert_eq!((definitions.entries().len(), pushed.count()), (2, 2));
    let again = build(&tools, &plan).await.unwrap();
    assert_eq!(again.images, built.images);
}

#[tokio::test]
async fn one_image_that_fails_leaves_no_file_of_this_run_or_the_last_and_nothing_pushed() {
    let registry = Registry::start().await;
    let out = tempfile::tempdir().unwrap();
    let web = Busybox::new("stage-good", "RUN echo web > /web\n");
    let worker = Busybox::new("stage-bad", "RUN echo root cause && exit 7\n");
    let (plan, _images) = plan(&web, &worker, &registry.host, out.path(), "stage-bad");
    fs::write(&plan.outputs.imagedefinitions, "[]").unwrap();
    let told = Told::default();
    let tools = tools(&told, Shutdown::never()).await;
    let failure = build(&tools, &plan).await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.what.as_str()),
        (Kind::Build, "the image `worker` did not build")
    );
    assert!(
        failure
            .cause
            .as_ref()
            .unwrap()
            .ends_with("ended with exit code 7"),
        "{:?}",
        failure.cause
    );
    assert!(
        failure.evidence.iter().any(|line| line.contains("root cause")),
        "{:?}",
        failure.evidence
    );
    assert_eq!(
        failure.left.as_deref(),
        Some("nothing was pushed, and no output was written")
    );
    assert!(names_in(out.path()).is_empty());
    assert!(
        !told
            .events()
            .iter()
            .any(|event| matches!(event, Event::LayerProgress { .. }))
    );
}

#[tokio::test]
async fn a_signal_before_the_build_leaves_and_says_what_was_left() {
    let registry = Registry::start().await;
    let out = tempfile::tempdir().unwrap();
    let web = Busybox::new("stage-stop", "");
    let (mut plan, _images) = plan(&web, &web, &registry.host, out.path(), "stage-stop");
    plan.images.truncate(1);
    let (hand, shutdown) = switch();
    hand.raise(Kind::Interrupted);
    let failure = build(&tools(&Told::default(), shutdown).await, &plan)
        .await
        .unwrap_err();
    assert_eq!(
        (failure.kind, failure.left.as_deref()),
        (Kind::Interrupted, Some("nothing was built"))
    );
    assert!(names_in(out.path()).is_empty());
}

#[tokio::test]
async fn no_engine_is_a_far_end_that_is_down() {
    let out = tempfile::tempdir().unwrap();
    let web = Busybox::new("stage-none", "");
    let (mut plan, _images) = plan(&web, &web, "127.0.0.1:9", out.path(), "stage-none");
    plan.images.truncate(1);
    let mut tools = tools(&Told::default(), Shutdown::never()).await;
    tools.engine = EngineEnv {
        host: Some("unix:///nonexistent/docker.sock".to_owned()),
        ..EngineEnv::default()
    };
    let failure = build(&tools, &plan).await.unwrap_err();
    assert_eq!(failure.kind, Kind::FarEnd);
    assert!(
        failure.hints.iter().any(|hint| hint.contains("privileged mode")),
        "{:?}",
        failure.hints
    );
}

#[tokio::test]
async fn a_registry_that_does_not_exist_fails_the_push_after_a_few_tries() {
    let out = tempfile::tempdir().unwrap();
    let web = Busybox::new("stage-gone", "");
    let (mut plan, _images) = plan(&web, &web, "127.0.0.1:9", out.path(), "stage-gone");
    plan.images.truncate(1);
    let told = Told::default();
    let mut tools = tools(&told, Shutdown::never()).await;
    tools.clock = Clock::Virtual(slipway::clock::VirtualClock::starting_at(
        std::time::Duration::ZERO,
    ));
    let failure = build(&tools, &plan).await.unwrap_err();
    assert_eq!(failure.kind, Kind::FarEnd, "{failure:?}");
    let tries = told
        .events()
        .into_iter()
        .filter(|event| matches!(event, Event::Warning(_)));
    assert_eq!(tries.count(), 3, "three more tries were told");
    assert_eq!(
        failure.left.as_deref(),
        Some("no image was pushed whole, and no output was written")
    );
    assert!(names_in(out.path()).is_empty());
}

/// ECR and S3, and no tasks.
async fn sandbox() -> Sandbox {
    Sandbox::start(Options {
        port: 0,
        journal: None,
        scenario: Scenario::default(),
        region: "eu-west-1".to_owned(),
        tasks: Tasks::Simulated,
        timings: Timings::default(),
        clock: Clock::System,
        docker_host: None,
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_repository_of_ecr_is_created_only_when_asked_and_its_tags_stay_what_they_are() {
    let sandbox = sandbox().await;
    let root = context(&[("Dockerfile", "FROM scratch\nCOPY file /\n"), ("file", "one")]);
    let out = tempfile::tempdir().unwrap();
    let host = sandbox.endpoint().trim_start_matches("http://").to_owned();
    let _images = Images(vec![format!("{host}/shop/web:v1")]);
    let mut web = image("web", root.path(), "unused.invalid/web");
    web.repository = RepositoryTarget::Ecr("shop/web".parse().unwrap());
    web.tags = vec!["v1".parse().unwrap()];
    let mut plan = BuildPlan {
        images: vec![web],
        outputs: outputs(out.path()),
    };
    let tools = tools_at(sandbox.endpoint(), &Told::default(), Shutdown::never());
    let missing = build(&tools, &plan).await.unwrap_err();
    assert_eq!(
        (missing.kind, missing.what.as_str(), missing.left.as_deref()),
        (
            Kind::Registry,
            "the ECR repository `shop/web` does not exist",
            Some("nothing was built")
        )
    );

    plan.images[0].create_repository = true;
    let first = build(&tools, &plan).await.unwrap();
    let again = build(&tools, &plan).await.unwrap();
    assert_eq!(
        first.images, again.images,
        "the same image under its tag is no failure"
    );

    fs::write(root.path().join("file"), "two").unwrap();
    let taken = build(&tools, &plan).await.unwrap_err();
    assert_eq!(taken.kind, Kind::Registry);
    assert!(
        taken.what.ends_with("is immutable and is another image already"),
        "{taken:?}"
    );
    assert!(names_in(out.path()).is_empty());
    sandbox.stop().await;
}

#[tokio::test]
async fn an_artifact_is_stored_whole_or_no_file_is_left_that_says_so() {
    let sandbox = sandbox().await;
    let root = context(&[
        ("Dockerfile", "FROM scratch\nCOPY file /\n"),
        ("file", "artifact"),
    ]);
    let out = tempfile::tempdir().unwrap();
    let host = sandbox.endpoint().trim_start_matches("http://").to_owned();
    let _images = Images(vec![format!("{host}/shop/stored:v1")]);
    let mut web = image("web", root.path(), "unused.invalid/web");
    web.repository = RepositoryTarget::Ecr("shop/stored".parse().unwrap());
    web.tags = vec!["v1".parse().unwrap()];
    web.create_repository = true;
    let mut outputs = outputs(out.path());
    outputs.artifact = Some(ArtifactTarget {
        bucket: "artifacts".to_owned(),
        key: "web/build.zip".to_owned(),
        kms_key: Some("11111111-2222-3333-4444-555555555555".to_owned()),
    });
    let plan = BuildPlan {
        images: vec![web],
        outputs,
    };
    let told = Told::default();
    let tools = tools_at(sandbox.endpoint(), &told, Shutdown::never());
    let refused = build(&tools, &plan).await.unwrap_err();
    assert_eq!(
        (refused.kind, refused.what.as_str()),
        (
            Kind::Refused,
            "the bucket of `s3://artifacts/web/build.zip` does not exist"
        )
    );
    let cause = refused.root_cause().unwrap();
    assert!(
        cause.ends_with("NoSuchBucket: The specified bucket does not exist"),
        "{cause}"
    );
    let left = refused.left.unwrap();
    assert!(
        left.starts_with("pushed and kept: ") && left.ends_with("; no output was written"),
        "{left}"
    );
    assert!(names_in(out.path()).is_empty());

    let s3 = &tools.aws.get().await.unwrap().s3;
    s3.create_bucket().bucket("artifacts").send().await.unwrap();
    let built = build(&tools, &plan).await.unwrap();
    let source = DefinitionsSource::S3 {
        bucket: "artifacts".to_owned(),
        key: "web/build.zip".to_owned(),
    };
    let stored = read_definitions(s3, &source).await.unwrap();
    assert_eq!(stored.entries()[0].image, built.images[0].reference);
    sandbox.stop().await;
}
