//! What a scenario can script, seen through the wire: acts of somebody else, answers gone wrong, quotas.

use crate::support::{Bench, CLUSTER, SERVICE, Setup, image, task_definition};
use aws_sdk_ecs::types::{AwsVpcConfiguration, LaunchType, NetworkConfiguration};
use slipway::failure::Kind;
use std::time::Duration;

#[tokio::test]
async fn somebody_elses_update_supersedes_ours_and_no_request_shows_it() {
    let act = "[[act]]\nservice = \"shop\"\nafter-seconds = 30\nact = \"update\"\ntask-definition = \"shop:1\"\nforce = true";
    let bench = Bench::with_service(act, Setup::default()).await;
    let failure = bench.deploy(&bench.version_two()).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Superseded, "{}", Bench::rendered(&failure));
    assert_eq!(bench.revision().await, "shop:1");
    let asked = bench.journal();
    let updates = asked.iter().filter(|one| *one == "ecs:UpdateService").count();
    assert_eq!(updates, 1, "{asked:?}");
}

#[tokio::test]
async fn a_service_deployment_that_somebody_stops_is_no_success() {
    let act = "[[act]]\nservice = \"shop\"\nafter-seconds = 30\nact = \"stop-deployment\"";
    let bench = Bench::with_service(act, Setup::default()).await;
    let failure = bench.deploy(&bench.version_two()).await.unwrap_err();
    assert_eq!(failure.kind, Kind::RolledBack, "{}", Bench::rendered(&failure));
    assert_eq!(bench.revision().await, "shop:1");
}

#[tokio::test]
async fn members_that_no_client_knows_are_no_reason_to_fail() {
    let fault = "[[fault]]\naction = \"extra-members\"";
    let bench = Bench::with_service(fault, Setup::default()).await;
    let deployed = bench.deploy(&bench.version_two()).await.unwrap();
    assert_eq!(deployed[0].revision, "shop:2");
    let described = bench.registered(&bench.revision().await).await;
    assert!(
        described.contains("memberOfTomorrow"),
        "the answers had more members: {described}"
    );
}

#[tokio::test]
async fn a_word_that_nobody_knows_is_never_a_success() {
    for (member, operation) in [
        ("deployments.rolloutState", "DescribeServices"),
        ("deployments.status", "DescribeServices"),
        ("tasks.lastStatus", "DescribeTasks"),
    ] {
        let scenario = format!(
            "[[fault]]\nservice = \"ecs\"\noperation = \"{operation}\"\naction = \"unknown-word\"\nmember = \"{member}\"\nfrom = 40"
        );
        let bench = Bench::with_service(&scenario, Setup::default()).await;
        while operations(&bench, operation) < 40 {
            let call = bench
                .aws
                .ecs
                .describe_services()
                .cluster(CLUSTER)
                .services(SERVICE);
            call.send().await.unwrap();
            if operation == "DescribeTasks" {
                let call = bench
                    .aws
                    .ecs
                    .describe_tasks()
                    .cluster(CLUSTER)
                    .tasks("1".repeat(32));
                call.send().await.unwrap();
            }
        }
        let mut plan = bench.version_two();
        plan.deploy.timeout = Duration::from_secs(240);
        let outcome = bench.deploy(&plan).await;
        assert!(outcome.is_err(), "{member}: {outcome:?}");
    }
}

fn operations(bench: &Bench, operation: &str) -> usize {
    let asked = bench.journal();
    asked.iter().filter(|one| one.ends_with(operation)).count()
}

#[tokio::test]
async fn a_body_that_is_cut_is_an_error_of_the_connection_and_not_an_empty_answer() {
    let fault = "[[fault]]\nservice = \"ecs\"\noperation = \"ListClusters\"\nnth = 1\naction = \"cut-body\"\n\
                 [[fault]]\nservice = \"s3\"\noperation = \"GetObject\"\nnth = 1\naction = \"cut-body\"";
    let sandbox = crate::sandbox_support::start(fault).await;
    let config = crate::sandbox_support::config(&sandbox, crate::sandbox_support::REGION);
    let ecs = aws_sdk_ecs::Client::new(&config);
    ecs.create_cluster().cluster_name("prod").send().await.unwrap();
    let error = ecs.list_clusters().send().await.unwrap_err();
    assert!(error.as_service_error().is_none(), "{error:?}");
    assert_eq!(ecs.list_clusters().send().await.unwrap().cluster_arns().len(), 1);

    let s3 = aws_sdk_s3::Client::from_conf(
        aws_sdk_s3::config::Builder::from(&config)
            .force_path_style(true)
            .build(),
    );
    s3.create_bucket()
        .bucket("artifacts")
        .create_bucket_configuration(
            aws_sdk_s3::types::CreateBucketConfiguration::builder()
                .location_constraint("eu-west-1".into())
                .build(),
        )
        .send()
        .await
        .unwrap();
    let bytes = vec![7_u8; 200_000];
    let put = s3
        .put_object()
        .bucket("artifacts")
        .key("a")
        .body(bytes.clone().into());
    put.send().await.unwrap();
    let get = || s3.get_object().bucket("artifacts").key("a").send();
    assert!(get().await.unwrap().body.collect().await.is_err());
    assert_eq!(get().await.unwrap().body.collect().await.unwrap().to_vec(), bytes);
    sandbox.stop().await;
}

/// Registers families until the sandbox refuses; gives how many it took, and the refusal's code, text and status.
async fn registered_until_refused(scenario: &str, most: usize) -> (usize, Option<(String, String, u16)>) {
    let sandbox = crate::sandbox_support::start(scenario).await;
    let config = crate::sandbox_support::config(&sandbox, crate::sandbox_support::REGION);
    let ecs = aws_sdk_ecs::Client::new(&config);
    let container = aws_sdk_ecs::types::ContainerDefinition::builder()
        .name("web")
        .image("example.com/web:1")
        .memory(64)
        .build();
    let mut taken = 0;
    let mut refusal = None;
    while taken < most && refusal.is_none() {
        let call = ecs
            .register_task_definition()
            .family("web")
            .container_definitions(container.clone());
        match call.send().await {
            Ok(_) => taken += 1,
            Err(error) => {
                let status = error.raw_response().unwrap().status().as_u16();
                let meta = aws_sdk_ecs::error::ProvideErrorMetadata::meta(&error);
                let (code, text) = (meta.code().unwrap(), meta.message().unwrap());
                refusal = Some((code.to_owned(), text.to_owned(), status));
            }
        }
    }
    sandbox.stop().await;
    (taken, refusal)
}

#[tokio::test]
async fn a_client_that_asks_too_often_is_refused_unless_the_scenario_lifts_the_quotas() {
    let refusal = ("ThrottlingException".to_owned(), "Rate exceeded".to_owned(), 400);
    assert_eq!(registered_until_refused("", 30).await, (20, Some(refusal)));
    assert_eq!(
        registered_until_refused("[quotas]\nenforce = false", 30).await,
        (30, None)
    );
}

#[tokio::test]
async fn a_roll_copes_with_tasks_that_find_no_place_at_first() {
    let trouble = "[[placement]]\nservice = \"shop\"\nrevision = 2\ntimes = 3";
    let bench = Bench::with_service(trouble, Setup::default()).await;
    let deployed = bench.deploy(&bench.version_two()).await.unwrap();
    assert_eq!(deployed[0].revision, "shop:2");
}

#[tokio::test]
async fn a_task_that_never_got_its_secrets_is_no_success() {
    let fate = "[[fate]]\nfamily = \"shop\"\nrevision = 2\nfails-after-seconds = 10\n\
                start-failure = \"ResourceInitializationError: unable to pull secrets or registry auth: access denied\"";
    let bench = Bench::with_service(fate, Setup::default()).await;
    let failure = bench.deploy(&bench.version_two()).await.unwrap_err();
    assert_eq!(failure.kind, Kind::RolledBack, "{}", Bench::rendered(&failure));
    assert!(
        Bench::rendered(&failure).contains("unable to pull secrets"),
        "{}",
        Bench::rendered(&failure)
    );
}

#[test]
fn a_dry_run_takes_more_services_than_one_description_names() {
    let definitions = r#"[{"name":"web","imageUri":"registry.example/web@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]"#;
    let services: String = (1..=12).map(|n| format!("[service.shop-{n}]\n")).collect();
    let bench = crate::cli::Bench::new()
        .file("imagedefinitions.json", definitions)
        .file(
            "slipway.toml",
            &format!("[deploy]\ncluster = \"prod\"\n{services}"),
        );
    let output = bench.run("dry-run deploy --simulated");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(
        told.contains("version 1 of service `shop-12` is in place"),
        "{told}"
    );
}

#[tokio::test]
async fn a_one_off_task_is_run_once_per_token_and_ends_with_its_exit_code() {
    let scenario = "[[placement]]\nfamily = \"migrate\"\ntimes = 1\nreason = \"RESOURCE:MEMORY\"\n\
                    [[fate]]\nfamily = \"migrate\"\nruns = { for-seconds = 20, exit-code = 3 }";
    let bench = Bench::with_service(scenario, Setup::default()).await;
    let revision = bench.register(&task_definition("migrate", &image(1))).await;
    let vpc = AwsVpcConfiguration::builder()
        .subnets("subnet-1")
        .build()
        .unwrap();
    let network = NetworkConfiguration::builder().awsvpc_configuration(vpc).build();
    let run = |token: &str| {
        let call = bench
            .aws
            .ecs
            .run_task()
            .cluster(CLUSTER)
            .task_definition(&revision);
        call.launch_type(LaunchType::Fargate)
            .network_configuration(network.clone())
            .client_token(token)
            .started_by("slipway")
            .send()
    };
    let refused = run("first").await.unwrap();
    assert!(refused.tasks().is_empty());
    assert_eq!(refused.failures()[0].reason(), Some("RESOURCE:MEMORY"));
    let made = run("second").await.unwrap().tasks()[0]
        .task_arn()
        .unwrap()
        .to_owned();
    let again = run("second").await.unwrap();
    assert_eq!(again.tasks()[0].task_arn(), Some(made.as_str()));
    let listed = bench
        .aws
        .ecs
        .list_tasks()
        .cluster(CLUSTER)
        .started_by("slipway")
        .send()
        .await
        .unwrap();
    assert_eq!(listed.task_arns(), std::slice::from_ref(&made));
    let clock = &bench.tools.clock;
    assert_eq!(
        clock
            .pause(Duration::from_secs(120), &slipway::shutdown::Shutdown::never())
            .await,
        slipway::clock::Pause::Passed
    );
    let described = bench
        .aws
        .ecs
        .describe_tasks()
        .cluster(CLUSTER)
        .tasks(made)
        .send()
        .await
        .unwrap();
    let task = &described.tasks()[0];
    assert_eq!(task.last_status(), Some("STOPPED"));
    assert_eq!(task.containers()[0].exit_code(), Some(3));
}
