//! A whole pipeline on the sandbox, its actions done by a job worker that speaks with the official SDK.

use crate::sandbox_support::{REGION, config, config_of, start};
use aws_config::SdkConfig;
use aws_sdk_codepipeline::Client;
use aws_sdk_codepipeline::error::ProvideErrorMetadata;
use aws_sdk_codepipeline::types::{
    ActionCategory, ActionConfigurationProperty, ActionDeclaration, ActionExecutionFilter,
    ActionExecutionStatus, ActionOwner, ActionTypeId, ArtifactDetails, ArtifactStore, ArtifactStoreType,
    EncryptionKey, EncryptionKeyType, ExecutionDetails, InputArtifact, Job, JobStatus, OutputArtifact,
    PipelineDeclaration, PipelineExecutionStatus, StageDeclaration, StageExecutionStatus,
};
use slipway::sandbox::server::Sandbox;
use slipway::sandbox::world::pipeline::JobState;
use slipway::sandbox::world::sessions::Keys;
use slipway::shutdown::Shutdown;
use std::time::Duration;

const KEY: &str = "arn:aws:kms:eu-west-1:000000000000:key/00000000-0000-4000-8000-000000000001";

fn type_id(category: ActionCategory, owner: ActionOwner, provider: &str) -> ActionTypeId {
    ActionTypeId::builder()
        .category(category)
        .owner(owner)
        .provider(provider)
        .version("1")
        .build()
        .unwrap()
}

async fn register(client: &Client, category: ActionCategory, outputs: i32) {
    let counts = |least, most| {
        ArtifactDetails::builder()
            .minimum_count(least)
            .maximum_count(most)
            .build()
    };
    let property = |name: &str, secret: bool| {
        ActionConfigurationProperty::builder()
            .name(name)
            .required(!secret)
            .key(false)
            .secret(secret)
            .queryable(name == "Fleet")
            .build()
            .unwrap()
    };
    client
        .create_custom_action_type()
        .category(category)
        .provider("Slipway")
        .version("1")
        .input_artifact_details(counts(1, 5))
        .output_artifact_details(counts(0, outputs))
        .configuration_properties(property("Fleet", false))
        .configuration_properties(property("Secrets", true))
        .configuration_properties(
            ActionConfigurationProperty::builder()
                .name("Commit")
                .required(false)
                .key(false)
                .secret(false)
                .build()
                .unwrap(),
        )
        .send()
        .await
        .unwrap();
}

fn action(
    name: &str,
    category: ActionCategory,
) -> aws_sdk_codepipeline::types::builders::ActionDeclarationBuilder {
    ActionDeclaration::builder()
        .name(name)
        .action_type_id(type_id(category, ActionOwner::Custom, "Slipway"))
        .configuration("Fleet", "blue")
        .configuration("Secrets", "{\"TOKEN\":\"canary\"}")
}

fn pipeline() -> PipelineDeclaration {
    let output = |name: &str| OutputArtifact::builder().name(name).build().unwrap();
    let input = |name: &str| InputArtifact::builder().name(name).build().unwrap();
    let source = ActionDeclaration::builder()
        .name("Fetch")
        .action_type_id(type_id(ActionCategory::Source, ActionOwner::Aws, "S3"))
        .configuration("S3Bucket", "sources")
        .configuration("S3ObjectKey", "shop.zip")
        .output_artifacts(output("SourceOutput"))
        .namespace("Source");
    let build = action("Build", ActionCategory::Build)
        .configuration("Commit", "#{Source.ETag}")
        .input_artifacts(input("SourceOutput"))
        .output_artifacts(output("Images"))
        .namespace("Build");
    let deploy = action("Deploy", ActionCategory::Deploy)
        .configuration("Commit", "#{Build.digest}")
        .input_artifacts(input("Images"));
    let stage = |name: &str, action: ActionDeclaration| {
        StageDeclaration::builder()
            .name(name)
            .actions(action)
            .build()
            .unwrap()
    };
    let key = EncryptionKey::builder()
        .id(KEY)
        .r#type(EncryptionKeyType::Kms)
        .build()
        .unwrap();
    let store = ArtifactStore::builder()
        .r#type(ArtifactStoreType::S3)
        .location("artifacts")
        .encryption_key(key)
        .build()
        .unwrap();
    PipelineDeclaration::builder()
        .name("shop")
        .role_arn("arn:aws:iam::000000000000:role/pipeline")
        .artifact_store(store)
        .stages(stage("Source", source.build().unwrap()))
        .stages(stage("Build", build.build().unwrap()))
        .stages(stage("Deploy", deploy.build().unwrap()))
        .build()
        .unwrap()
}

pub async fn let_pass(sandbox: &Sandbox, seconds: u64) {
    let clock = sandbox.world().clock().clone();
    let _ = clock
        .pause(Duration::from_secs(seconds), &Shutdown::never())
        .await;
}

async fn poll(client: &Client, category: ActionCategory) -> Vec<Job> {
    let answer = client
        .poll_for_jobs()
        .action_type_id(type_id(category, ActionOwner::Custom, "Slipway"))
        .max_batch_size(10)
        .query_param("Fleet", "blue")
        .send()
        .await
        .unwrap();
    answer.jobs().to_vec()
}

fn bucket_client(config: &SdkConfig) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(config).force_path_style(true);
    aws_sdk_s3::Client::from_conf(config.build())
}

/// A pipeline whose source has just been copied, and its first execution.
pub async fn started(sandbox: &Sandbox, config: &SdkConfig) -> (Client, String) {
    let s3 = bucket_client(config);
    for bucket in ["sources", "artifacts"] {
        s3.create_bucket().bucket(bucket).send().await.unwrap();
    }
    let put = s3.put_object().bucket("sources").key("shop.zip");
    put.body(b"PK the source".to_vec().into()).send().await.unwrap();
    let client = Client::new(config);
    register(&client, ActionCategory::Build, 1).await;
    register(&client, ActionCategory::Deploy, 0).await;
    let made = client
        .create_pipeline()
        .pipeline(pipeline())
        .send()
        .await
        .unwrap();
    assert_eq!(made.pipeline().unwrap().version(), Some(1));
    let executions = client
        .list_pipeline_executions()
        .pipeline_name("shop")
        .send()
        .await
        .unwrap();
    let execution = &executions.pipeline_execution_summaries()[0];
    assert_eq!(execution.status(), Some(&PipelineExecutionStatus::InProgress));
    let id = execution.pipeline_execution_id().unwrap().to_owned();
    assert!(poll(&client, ActionCategory::Build).await.is_empty());
    let_pass(sandbox, 3).await;
    (client, id)
}

async fn acknowledge(client: &Client, job: &Job) -> JobStatus {
    let answer = client
        .acknowledge_job()
        .job_id(job.id().unwrap())
        .nonce(job.nonce().unwrap())
        .send()
        .await
        .unwrap();
    answer.status().unwrap().clone()
}

#[tokio::test]
async fn a_worker_takes_a_pipeline_from_its_source_to_its_deployment() {
    let sandbox = start("").await;
    let config = config(&sandbox, REGION);
    let (client, execution) = started(&sandbox, &config).await;

    let jobs = poll(&client, ActionCategory::Build).await;
    let [job] = &jobs[..] else {
        panic!("{} jobs", jobs.len())
    };
    let data = job.data().unwrap();
    let context = data.pipeline_context().unwrap();
    assert_eq!(context.pipeline_execution_id(), Some(execution.as_str()));
    let configuration = data.action_configuration().unwrap().configuration().unwrap();
    assert_eq!(configuration["Secrets"], "{\"TOKEN\":\"canary\"}");
    assert_eq!(configuration["Commit"].len(), 32, "the ETag of the source");
    assert_eq!(data.encryption_key().unwrap().id(), KEY);
    let credentials = data.artifact_credentials().unwrap();
    assert!(credentials.access_key_id().starts_with("ASIA"));

    let input = data.input_artifacts()[0]
        .location()
        .unwrap()
        .s3_location()
        .unwrap();
    assert!(
        input.object_key().starts_with("shop/SourceOutp/"),
        "{}",
        input.object_key()
    );
    let s3 = bucket_client(&config);
    // What replaces the source is not in the artifact.
    let put = s3.put_object().bucket("sources").key("shop.zip");
    put.body(b"another".to_vec().into()).send().await.unwrap();
    let artifact = s3
        .get_object()
        .bucket(input.bucket_name())
        .key(input.object_key())
        .send()
        .await
        .unwrap();
    assert_eq!(artifact.ssekms_key_id(), Some(KEY));
    assert_eq!(artifact.body.collect().await.unwrap().to_vec(), b"PK the source");

    // Nobody else is offered it now, and one acknowledgement is all that its nonce is good for.
    assert!(poll(&client, ActionCategory::Build).await.is_empty());
    assert_eq!(acknowledge(&client, job).await, JobStatus::InProgress);
    let again = client
        .acknowledge_job()
        .job_id(job.id().unwrap())
        .nonce(job.nonce().unwrap())
        .send()
        .await
        .unwrap_err();
    assert_eq!(again.code(), Some("InvalidNonceException"));

    // Handed back, it comes again as another job of the same action execution.
    let details = ExecutionDetails::builder()
        .summary("half done")
        .percent_complete(50)
        .external_execution_id("elsewhere")
        .build();
    client
        .put_job_success_result()
        .job_id(job.id().unwrap())
        .continuation_token("{\"step\":2}")
        .execution_details(details)
        .send()
        .await
        .unwrap();
    assert!(poll(&client, ActionCategory::Build).await.is_empty());
    let_pass(&sandbox, 30).await;
    let next = poll(&client, ActionCategory::Build).await.remove(0);
    assert_ne!(next.id(), job.id());
    let data = next.data().unwrap();
    assert_eq!(data.continuation_token(), Some("{\"step\":2}"));
    assert_eq!(
        data.pipeline_context()
            .unwrap()
            .action()
            .unwrap()
            .action_execution_id(),
        context.action().unwrap().action_execution_id()
    );
    assert_eq!(acknowledge(&client, &next).await, JobStatus::InProgress);
    client
        .put_job_success_result()
        .job_id(next.id().unwrap())
        .output_variables("digest", "sha256:1")
        .send()
        .await
        .unwrap();

    let deploy = poll(&client, ActionCategory::Deploy).await.remove(0);
    let configuration = deploy.data().unwrap().action_configuration().unwrap();
    assert_eq!(configuration.configuration().unwrap()["Commit"], "sha256:1");
    assert_eq!(acknowledge(&client, &deploy).await, JobStatus::InProgress);
    client
        .put_job_success_result()
        .job_id(deploy.id().unwrap())
        .send()
        .await
        .unwrap();

    let state = client.get_pipeline_state().name("shop").send().await.unwrap();
    for stage in state.stage_states() {
        let latest = stage.latest_execution().unwrap();
        assert_eq!(latest.status(), &StageExecutionStatus::Succeeded);
        assert_eq!(latest.pipeline_execution_id(), execution);
    }
    let runs = client
        .list_action_executions()
        .pipeline_name("shop")
        .filter(
            ActionExecutionFilter::builder()
                .pipeline_execution_id(&execution)
                .build(),
        )
        .send()
        .await
        .unwrap();
    let names: Vec<_> = runs
        .action_execution_details()
        .iter()
        .filter_map(|run| run.action_name())
        .collect();
    assert_eq!(names, ["Deploy", "Build", "Fetch"]);
    let build = &runs.action_execution_details()[1];
    assert_eq!(build.status(), Some(&ActionExecutionStatus::Succeeded));
    let shown = build.input().unwrap().resolved_configuration().unwrap();
    assert_eq!(shown["Secrets"], "*****");
    let output = build.output().unwrap();
    assert_eq!(output.output_variables().unwrap()["digest"], "sha256:1");
    assert_eq!(
        output.execution_result().unwrap().external_execution_id(),
        Some("elsewhere")
    );
    let closed: Vec<_> = sandbox.world().visit(|world, _| {
        let jobs = world.pipeline.jobs();
        jobs.into_iter().map(|job| (job.state, job.closed)).collect()
    });
    assert_eq!(closed, [(JobState::Succeeded, 1); 3]);
    sandbox.stop().await;
}

#[tokio::test]
async fn the_keys_of_a_job_open_its_artifacts_for_a_quarter_of_an_hour() {
    let sandbox = start("").await;
    let (client, _) = started(&sandbox, &config(&sandbox, REGION)).await;
    let job = poll(&client, ActionCategory::Build).await.remove(0);
    acknowledge(&client, &job).await;
    let bucket = |job: &aws_sdk_codepipeline::types::JobData| {
        let keys = job.artifact_credentials().unwrap();
        let keys = Keys {
            access_key_id: keys.access_key_id().into(),
            secret_access_key: keys.secret_access_key().into(),
            session_token: keys.session_token().into(),
        };
        bucket_client(&config_of(&sandbox, REGION, &keys))
    };
    let data = job.data().unwrap();
    let key = |artifacts: &[aws_sdk_codepipeline::types::Artifact]| {
        let location = artifacts[0].location().unwrap().s3_location().unwrap();
        location.object_key().to_owned()
    };
    let (input, output) = (key(data.input_artifacts()), key(data.output_artifacts()));
    let s3 = bucket(data);
    let get =
        |s3: &aws_sdk_s3::Client, bucket: &str, key: &str| s3.get_object().bucket(bucket).key(key).send();
    assert!(get(&s3, "artifacts", &input).await.is_ok());
    let put = s3
        .put_object()
        .bucket("artifacts")
        .key(&output)
        .server_side_encryption(aws_sdk_s3::types::ServerSideEncryption::AwsKms)
        .ssekms_key_id(KEY)
        .body(b"PK".to_vec().into());
    put.send().await.unwrap();
    let denied = get(&s3, "sources", "shop.zip").await.unwrap_err();
    assert_eq!(denied.code(), Some("AccessDenied"));

    let_pass(&sandbox, 15 * 60).await;
    let expired = get(&s3, "artifacts", &input).await.unwrap_err();
    assert_eq!(expired.code(), Some("ExpiredToken"));
    let details = client.get_job_details().job_id(job.id().unwrap()).send().await;
    let fresh = bucket(details.unwrap().job_details().unwrap().data().unwrap());
    assert!(get(&fresh, "artifacts", &input).await.is_ok());
    sandbox.stop().await;
}

#[tokio::test]
async fn the_start_of_an_action_is_told_to_the_queues_of_the_scenario() {
    let sandbox = start("[[wake]]\nqueue = \"wake\"\nstates = [\"STARTED\"]").await;
    let config = config(&sandbox, REGION);
    let (_, execution) = started(&sandbox, &config).await;
    let sqs = aws_sdk_sqs::Client::new(&config);
    let url = sqs.get_queue_url().queue_name("wake").send().await.unwrap();
    let receive = sqs.receive_message().queue_url(url.queue_url().unwrap());
    let received = receive.max_number_of_messages(10).send().await.unwrap();
    let told: Vec<_> = received
        .messages()
        .iter()
        .map(|message| {
            let event: serde_json::Value = serde_json::from_str(message.body().unwrap()).unwrap();
            assert_eq!(event["detail"]["execution-id"], execution);
            event["detail"]["type"]["provider"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(told, ["S3", "Slipway"]);
    sandbox.stop().await;
}

#[tokio::test]
async fn the_scenario_sets_what_aws_does_not_publish() {
    let scenario = "[codepipeline]\nredispatch-seconds = 5\nacknowledge-again = true\n\
                    [[fault]]\nservice = \"codepipeline\"\noperation = \"AcknowledgeJob\"\nnth = 1\n\
                    action = \"lost-answer\"";
    let sandbox = start(scenario).await;
    let (client, _) = started(&sandbox, &config(&sandbox, REGION)).await;
    assert_eq!(poll(&client, ActionCategory::Build).await.len(), 1);
    let_pass(&sandbox, 5).await;
    let job = poll(&client, ActionCategory::Build).await.remove(0);
    assert_eq!(job.nonce(), Some("2"));
    let lost = client
        .acknowledge_job()
        .job_id(job.id().unwrap())
        .nonce("2")
        .send()
        .await
        .unwrap_err();
    assert_eq!(lost.code(), None, "no answer came");
    assert_eq!(acknowledge(&client, &job).await, JobStatus::InProgress);
    let acknowledged = sandbox
        .world()
        .visit(|world, _| world.pipeline.job(job.id().unwrap()).unwrap().acknowledged);
    assert_eq!(acknowledged, 1);
    sandbox.stop().await;
}
