//! The pipeline of a dry run: an S3 source, a build and a deploy by slipway's own action types, in the sandbox.

use super::super::seed::{SeedError, call};
use crate::artifact::archive::Entry;
use crate::artifact::store::StoreError;
use crate::artifact::transfer::{Bucket, store};
use crate::aws::Aws;
use crate::config::settings::ArtifactTarget;
use crate::pipeline::action_type::{LogLink, PROVIDER, Place, VERSION, define, properties};
use crate::pipeline::job::{ActionTypeId, Category};
use crate::pipeline::registration::{ActionTypes, RegistrationError};
use aws_sdk_codepipeline::error::BuildError;
use aws_sdk_codepipeline::types::{
    ActionCategory, ActionDeclaration, ActionOwner, ActionTypeId as SdkType, ArtifactStore,
    ArtifactStoreType, InputArtifact, OutputArtifact, PipelineDeclaration, StageDeclaration,
};
use serde_json::json;
use std::collections::BTreeMap;

/// Where artifacts are.
const ARTIFACTS: &str = "slipway-artifacts";
/// Where the source is.
const SOURCES: &str = "slipway-sources";
/// The source's key.
const KEY: &str = "source.zip";

/// The fleet of the one worker.
pub(super) const FLEET: &str = "default";

/// Why there is no pipeline in the sandbox.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeclareError {
    /// An operation said no.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The source could not be stored.
    #[error("store the source")]
    Source(#[source] StoreError),
    /// The action types could not be registered.
    #[error("register the action types")]
    Types(#[source] RegistrationError),
    /// A part of the pipeline's declaration is missing.
    #[error("declare the pipeline")]
    Declare(#[from] BuildError),
}

/// The action types of a dry run.
pub(super) fn types() -> Vec<ActionTypeId> {
    [Category::Build, Category::Deploy]
        .map(|category| ActionTypeId {
            category,
            provider: PROVIDER.to_owned(),
            version: VERSION.to_owned(),
        })
        .to_vec()
}

/// Stores the source where the pipeline's source action looks for it, in buckets like those of a pipeline.
pub(super) async fn put_source(aws: &Aws, entries: Vec<Entry>) -> Result<u64, DeclareError> {
    for bucket in [ARTIFACTS, SOURCES] {
        let made = aws.s3.create_bucket().bucket(bucket).send().await;
        made.map_err(call("CreateBucket"))?;
    }
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "DenyUnEncryptedObjectUploads",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": format!("arn:aws:s3:::{ARTIFACTS}/*"),
            "Condition": { "StringNotEquals": { "s3:x-amz-server-side-encryption": "aws:kms" } },
        }],
    });
    let put = aws
        .s3
        .put_bucket_policy()
        .bucket(ARTIFACTS)
        .policy(policy.to_string());
    put.send().await.map_err(call("PutBucketPolicy"))?;
    let target = ArtifactTarget {
        bucket: SOURCES.to_owned(),
        key: KEY.to_owned(),
        kms_key: None,
    };
    let stored = store(&Bucket::new(&aws.s3), &target, entries)
        .await
        .map_err(DeclareError::Source)?;
    Ok(stored.bytes)
}

/// Registers the action types, as `slipway action-type register` does.
pub(super) async fn register(aws: &Aws) -> Result<(), DeclareError> {
    let registry = ActionTypes::of(aws);
    for id in types() {
        let logs = LogLink::Group("/slipway/worker".to_owned());
        let definition = define(id, &Place::in_region(aws.region()), &logs);
        registry.create(&definition).await.map_err(DeclareError::Types)?;
    }
    Ok(())
}

/// Creates the pipeline; `configuration` is what both actions are told besides their fleet.
pub(super) async fn create(
    aws: &Aws,
    name: &str,
    configuration: &BTreeMap<&'static str, String>,
) -> Result<(), DeclareError> {
    let source = ActionDeclaration::builder()
        .name("Source")
        .namespace("Source")
        .action_type_id(action_type(ActionCategory::Source, ActionOwner::Aws, "S3")?)
        .configuration("S3Bucket", SOURCES)
        .configuration("S3ObjectKey", KEY)
        .configuration("PollForSourceChanges", "false")
        .output_artifacts(OutputArtifact::builder().name("Source").build()?)
        .build()?;
    let custom = |name: &str, category, input: &str| -> Result<_, BuildError> {
        let mut action = ActionDeclaration::builder()
            .name(name)
            .namespace(name)
            .action_type_id(action_type(category, ActionOwner::Custom, PROVIDER)?)
            .configuration(properties::FLEET, FLEET)
            .input_artifacts(InputArtifact::builder().name(input).build()?);
        for (key, value) in configuration {
            action = action.configuration(*key, value);
        }
        Ok(action)
    };
    let build = custom("Build", ActionCategory::Build, "Source")?
        .output_artifacts(OutputArtifact::builder().name("Build").build()?)
        .build()?;
    let deploy = custom("Deploy", ActionCategory::Deploy, "Build")?.build()?;
    let stage = |name: &str, action| StageDeclaration::builder().name(name).actions(action).build();
    let store = ArtifactStore::builder()
        .r#type(ArtifactStoreType::S3)
        .location(ARTIFACTS)
        .build()?;
    let pipeline = PipelineDeclaration::builder()
        .name(name)
        .role_arn("arn:aws:iam::000000000000:role/pipeline")
        .artifact_store(store)
        .stages(stage("Source", source)?)
        .stages(stage("Build", build)?)
        .stages(stage("Deploy", deploy)?)
        .build()?;
    let created = aws.codepipeline.create_pipeline().pipeline(pipeline).send().await;
    created.map_err(call("CreatePipeline"))?;
    Ok(())
}

fn action_type(category: ActionCategory, owner: ActionOwner, provider: &str) -> Result<SdkType, BuildError> {
    SdkType::builder()
        .category(category)
        .owner(owner)
        .provider(provider)
        .version(VERSION)
        .build()
}

/// The execution that CodePipeline started when the pipeline was created.
pub(super) async fn started(aws: &Aws, name: &str) -> Result<String, DeclareError> {
    let listed = aws
        .codepipeline
        .list_pipeline_executions()
        .pipeline_name(name)
        .send()
        .await;
    let listed = listed.map_err(call("ListPipelineExecutions"))?;
    let first = listed.pipeline_execution_summaries().first();
    let missing = SeedError::Answer {
        operation: "ListPipelineExecutions",
        member: "pipelineExecutionId",
    };
    let id = first.and_then(|first| first.pipeline_execution_id.clone());
    Ok(id.ok_or(missing)?)
}
