//! What became of an execution, held against the world itself: jobs, artifacts, images, revisions, services.

use super::place::{ARTIFACTS, CLUSTER, FIRST_IMAGE, REPOSITORY, s3};
use super::{Bench, place};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use slipway::sandbox::world::pipeline::{
    ExecutionStatus, ExecutionView, JobState, JobView, RunStatus, RunView,
};
use std::io::{Cursor, Read as _};

/// The tag by which a revision is known to be of an execution.
const EXECUTION_TAG: &str = "slipway:execution";

/// What became of an execution.
#[derive(Debug)]
pub struct Outcome {
    pub execution: ExecutionView,
    pub jobs: Vec<JobView>,
    /// What is in its output artifacts, as far as they are there: `Images/imagedefinitions.json`.
    pub artifact: Option<Value>,
    pub uploads: Vec<String>,
    pub services: Vec<ServiceView>,
}

/// A service when the execution was over.
#[derive(Debug)]
pub struct ServiceView {
    /// `family:revision` of the primary deployment.
    pub revision: String,
    /// Its image.
    pub image: String,
    /// The images of its running tasks that the primary deployment started.
    pub runs: Vec<String>,
    /// Revisions of its family with the execution's tag.
    pub of_execution: Vec<String>,
    /// How many revisions its family has.
    pub revisions: usize,
}

impl Outcome {
    pub fn run(&self, action: &str) -> Option<&RunView> {
        self.execution.runs.iter().rev().find(|run| run.action == action)
    }

    /// Why the last run of an action failed.
    pub fn message(&self, action: &str) -> String {
        let error = self.run(action).and_then(|run| run.error.clone());
        error
            .map(|(code, text)| format!("{code}: {text}"))
            .unwrap_or_default()
    }

    /// What holds after every execution whose jobs were left to workers, whatever went wrong; each broken rule in words.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut demand = |holds: bool, words: String| {
            if !holds {
                broken.push(words);
            }
        };
        let status = self.execution.status;
        demand(
            matches!(status, ExecutionStatus::Succeeded | ExecutionStatus::Failed),
            format!("the execution ended: {status:?}"),
        );
        for job in &self.jobs {
            let is_closed = matches!(job.state, JobState::Succeeded | JobState::Failed);
            demand(
                is_closed && job.closed == 1 && job.acknowledged == 1,
                format!("every job is acknowledged once and closed once: {job:?}"),
            );
        }
        demand(
            self.uploads.is_empty(),
            format!("no upload is left: {:?}", self.uploads),
        );
        for run in &self.execution.runs {
            if let Some((_, message)) = &run.error {
                demand(
                    message.contains("left:") || run.action == "Fetch",
                    format!("{}: a failure says what is left: {message}", run.action),
                );
            }
        }
        broken.extend(self.broken_build());
        for service in &self.services {
            broken.extend(self.broken_service(service));
        }
        broken
    }

    fn succeeded(&self, action: &str) -> bool {
        self.run(action)
            .is_some_and(|run| run.status == RunStatus::Succeeded)
    }

    fn broken_build(&self) -> Vec<String> {
        if !self.succeeded("Build") {
            return Vec::new();
        }
        match &self.artifact {
            Some(artifact) if self.images().len() == 1 => {
                if artifact["pushed"] == json!(true) {
                    Vec::new()
                } else {
                    vec![format!("the artifact names an image that was pushed: {artifact}")]
                }
            }
            other => vec![format!("a build that succeeded has its artifact: {other:?}")],
        }
    }

    /// The images of imagedefinitions.json.
    pub fn images(&self) -> Vec<String> {
        let definitions = self
            .artifact
            .iter()
            .flat_map(|artifact| artifact["definitions"].as_array());
        let images = definitions
            .flatten()
            .filter_map(|entry| entry["imageUri"].as_str());
        images.map(str::to_owned).collect()
    }

    fn broken_service(&self, service: &ServiceView) -> Vec<String> {
        let mut broken = Vec::new();
        let mut demand = |holds: bool, words: &str| {
            if !holds {
                broken.push(format!("{words}: {service:?}; {}", self.message("Deploy")));
            }
        };
        demand(
            service.of_execution.len() <= 1,
            "an execution registers one revision of a service",
        );
        let images = self.images();
        let is_old = service.image == FIRST_IMAGE;
        let is_new = images.contains(&service.image);
        demand(is_old || is_new, "a service is on the old or on the new revision");
        let message = self.message("Deploy");
        if self.succeeded("Deploy") {
            demand(is_new, "what succeeded is deployed");
            demand(
                !service.runs.is_empty() && service.runs.iter().all(|image| images.contains(image)),
                "what succeeded runs",
            );
        } else if self.run("Deploy").is_none() {
            demand(
                is_old && service.of_execution.is_empty(),
                "without a deploy nothing changes",
            );
        } else if is_new {
            demand(
                message.contains(&service.revision),
                "a failure names the new revision if the service is on it",
            );
        } else {
            let words = ["nothing was done", "nothing was changed", "serves as before"];
            demand(
                words.iter().any(|words| message.contains(words)) || message.contains(&service.revision),
                "a failure says that the service is on the old revision",
            );
        }
        broken
    }
}

impl Bench {
    /// Whether an execution is over.
    pub fn is_over(&self, execution: &str) -> bool {
        !matches!(
            self.execution(execution).status,
            ExecutionStatus::InProgress | ExecutionStatus::Stopping
        )
    }

    /// Waits until an execution is over, for so many seconds of the clock at the most, and says what became of it; an
    /// execution that hangs is not over.
    pub async fn outcome(&self, execution: &str, seconds: u64) -> Outcome {
        let _ = self.comes_true(seconds, || self.is_over(execution)).await;
        self.look(execution).await
    }

    /// What became of an execution, as it is now.
    pub async fn look(&self, execution: &str) -> Outcome {
        let view = self.execution(execution);
        let (jobs, uploads) = self.sandbox.world().visit(|world, _| {
            let mut jobs = world.pipeline.jobs();
            jobs.retain(|job| job.execution == execution);
            let uploads = world.s3.uploads(ARTIFACTS, "");
            let uploads: Vec<String> = uploads
                .into_iter()
                .map(|(_, upload)| upload.key.clone())
                .collect();
            (jobs, uploads)
        });
        let artifact = match view.runs.iter().rev().find(|run| run.action == "Build") {
            Some(build) => self.artifact(build).await,
            None => None,
        };
        let services = self.services.iter().map(|name| self.service(name, execution));
        Outcome {
            services: services.collect(),
            execution: view,
            jobs,
            artifact,
            uploads,
        }
    }

    /// The imagedefinitions.json of a build's output, and whether its images are in the registry.
    async fn artifact(&self, build: &RunView) -> Option<Value> {
        let (_, bucket, key) = build.outputs.first()?;
        let is_there = self.sandbox.world().visit(|world, _| {
            let bucket = world.s3.bucket(bucket)?;
            bucket.objects.get(key).map(|object| object.size)
        });
        is_there?;
        let bytes = s3(
            &self.sandbox,
            Method::GET,
            &format!("/{bucket}/{key}"),
            Bytes::new(),
        )
        .await;
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).ok()?;
        let mut text = String::new();
        zip.by_name("imagedefinitions.json")
            .ok()?
            .read_to_string(&mut text)
            .ok()?;
        let definitions: Value = serde_json::from_str(&text).ok()?;
        let pushed = definitions.as_array()?.iter().all(|entry| {
            let uri = entry["imageUri"].as_str().unwrap_or_default();
            let digest = uri.split_once('@').map(|(_, digest)| digest).unwrap_or_default();
            self.sandbox.world().visit(|world, _| {
                world
                    .ecr
                    .repository(REPOSITORY)
                    .is_ok_and(|it| it.find(digest).is_some())
            })
        });
        Some(json!({ "definitions": definitions, "pushed": pushed }))
    }

    fn service(&self, name: &str, execution: &str) -> ServiceView {
        let ask = |operation: &str, input: &Value| place::ecs(&self.sandbox, operation, input);
        let primary = self.primary(name);
        let arn = primary["taskDefinition"].as_str().unwrap();
        let described = ask("DescribeTaskDefinition", &json!({ "taskDefinition": arn }));
        let listed = ask("ListTaskDefinitions", &json!({ "familyPrefix": name }));
        let all: Vec<&str> = listed["taskDefinitionArns"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let tagged = all.iter().filter(|arn| {
            let input = json!({ "taskDefinition": arn, "include": ["TAGS"] });
            let tags = ask("DescribeTaskDefinition", &input)["tags"].clone();
            let ours = |tag: &Value| tag["key"] == EXECUTION_TAG && tag["value"] == execution;
            tags.as_array().is_some_and(|tags| tags.iter().any(ours))
        });
        let short = |arn: &str| arn.rsplit('/').next().unwrap_or_default().to_owned();
        let tasks = ask(
            "ListTasks",
            &json!({ "cluster": CLUSTER, "serviceName": name, "desiredStatus": "RUNNING" }),
        );
        let tasks = if tasks["taskArns"].as_array().is_none_or(Vec::is_empty) {
            Value::Null
        } else {
            let input = json!({ "cluster": CLUSTER, "tasks": tasks["taskArns"] });
            ask("DescribeTasks", &input)["tasks"].clone()
        };
        let ours = |task: &&Value| task["startedBy"] == primary["id"] && task["lastStatus"] == "RUNNING";
        let image = |task: &Value| {
            task["containers"][0]["image"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        ServiceView {
            revision: short(arn),
            image: text(&described["taskDefinition"]["containerDefinitions"][0]["image"]),
            runs: tasks
                .as_array()
                .into_iter()
                .flatten()
                .filter(ours)
                .map(image)
                .collect(),
            of_execution: tagged.map(|arn| short(arn)).collect(),
            revisions: all.len(),
        }
    }
}
