//! A job engine of its own for each test, with a pipeline whose source lies in a bucket.

use super::{CodePipeline, JobView, Quirks};
use crate::sandbox::world::WorldConfig;
use crate::sandbox::world::ecs::Timings;
use crate::sandbox::world::error::ApiError;
use crate::sandbox::world::s3::{Object, S3, Traits};
use crate::sandbox::world::sessions::{Session, Sessions};
use serde_json::{Value, json};
use std::time::Duration;

/// The instant at which every test begins.
pub const NOW: Duration = Duration::from_secs(1_767_225_600);

/// An id that no job and no execution has.
pub const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

pub struct Bench {
    pub engine: CodePipeline,
    pub s3: S3,
    pub sessions: Sessions,
    pub now: Duration,
}

impl Bench {
    /// Without action types and pipelines; a pipeline starts when it is told to.
    pub fn bare() -> Self {
        Self::with(Quirks {
            start_when_created: false,
            ..Quirks::default()
        })
    }

    pub fn with(quirks: Quirks) -> Self {
        let config = WorldConfig {
            region: "eu-west-1".to_owned(),
            registry_host: "127.0.0.1:4566".to_owned(),
            timings: Timings::default(),
        };
        let mut engine = CodePipeline::new(&config);
        engine.quirks = quirks;
        let mut s3 = S3::new();
        for bucket in ["sources", "artifacts"] {
            s3.create(NOW, bucket);
        }
        let object = Object {
            file: "body".to_owned(),
            size: 4,
            etag: "0123456789abcdef0123456789abcdef".to_owned(),
            modified: NOW,
            traits: Traits::default(),
            checksum: None,
            parts: None,
        };
        let sources = s3.bucket_mut("sources").unwrap();
        sources.objects.insert("shop.zip".to_owned(), object);
        Self {
            engine,
            s3,
            sessions: Sessions::default(),
            now: NOW,
        }
    }

    /// With action types for Build and Deploy, and pipelines of this mode: `shop`, and whatever a test creates.
    pub fn of_mode(mode: &str) -> Self {
        let mut bench = Self::bare();
        bench.register();
        bench.good("CreatePipeline", &json!({ "pipeline": pipeline(mode) }));
        bench
    }

    /// The same in SUPERSEDED mode, with a build job that waits for a worker; the execution's id.
    pub fn with_job() -> (Self, String) {
        let mut bench = Self::of_mode("SUPERSEDED");
        let execution = bench.start();
        bench.pass(3);
        (bench, execution)
    }

    pub fn register(&mut self) {
        for (category, outputs) in [("Build", 1), ("Deploy", 0)] {
            self.good("CreateCustomActionType", &action_type(category, outputs));
        }
    }

    pub fn call(&mut self, operation: &str, input: &Value) -> Result<Value, ApiError> {
        self.engine.advance(self.now, &mut self.s3);
        self.engine
            .call(self.now, operation, input, &mut self.s3, &mut self.sessions)
    }

    pub fn good(&mut self, operation: &str, input: &Value) -> Value {
        let answer = self.call(operation, input);
        answer.unwrap_or_else(|error| panic!("{operation} {input}: {error}"))
    }

    /// Code and text of the refusal.
    pub fn refused(&mut self, operation: &str, input: &Value) -> String {
        match self.call(operation, input) {
            Ok(answer) => panic!("{operation} {input}: {answer}"),
            Err(error) => error.to_string(),
        }
    }

    /// The code alone.
    pub fn code(&mut self, operation: &str, input: &Value) -> String {
        let refused = self.refused(operation, input);
        refused.split(':').next().unwrap().to_owned()
    }

    /// Lets seconds pass, everything in between happening in order.
    pub fn pass(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(due) = self.engine.next_change().filter(|due| *due <= end) {
            self.engine.advance(due, &mut self.s3);
        }
        self.now = end;
    }

    pub fn start(&mut self) -> String {
        let answer = self.good("StartPipelineExecution", &json!({ "name": "shop" }));
        answer["pipelineExecutionId"].as_str().unwrap().to_owned()
    }

    pub fn poll(&mut self, category: &str) -> Vec<Value> {
        let input = json!({
            "actionTypeId": type_id(category), "maxBatchSize": 100, "queryParam": { "Fleet": "blue" },
        });
        let answer = self.good("PollForJobs", &input);
        answer["jobs"].as_array().unwrap().clone()
    }

    /// Takes the next job; gives it.
    pub fn take(&mut self, category: &str) -> Value {
        let job = self.poll(category).into_iter().next().expect("a job");
        let answer = self.good("AcknowledgeJob", &claim(&job));
        assert_eq!(answer["status"], "InProgress");
        job
    }

    /// Takes the next job and reports a success; gives it.
    pub fn succeed(&mut self, category: &str) -> Value {
        let job = self.take(category);
        self.good("PutJobSuccessResult", &json!({ "jobId": job["id"] }));
        job
    }

    /// Takes the next job and reports a failure; gives it.
    pub fn fail(&mut self, category: &str) -> Value {
        let job = self.take(category);
        self.good("PutJobFailureResult", &failure(&job, "it broke"));
        job
    }

    /// The session of an access key.
    pub fn session(&self, key: &str) -> Session {
        self.sessions.of_key(key).expect("a session").clone()
    }

    pub fn view(&self, job: &Value) -> JobView {
        self.engine.job(job["id"].as_str().unwrap()).unwrap()
    }

    /// The statuses of the executions, the oldest first.
    pub fn executions(&self) -> Vec<&'static str> {
        let all = self.engine.executions("shop");
        all.iter().map(|execution| execution.status.word()).collect()
    }

    /// `Action: Status` of each run of an execution, in the order of their starts.
    pub fn runs(&self, execution: &str) -> Vec<String> {
        let all = self.engine.executions("shop");
        let one = all.iter().find(|one| one.id == execution).unwrap();
        one.runs
            .iter()
            .map(|run| format!("{}: {}", run.action, run.status.word()))
            .collect()
    }
}

pub fn type_id(category: &str) -> Value {
    json!({ "category": category, "owner": "Custom", "provider": "Slipway", "version": "1" })
}

pub fn claim(job: &Value) -> Value {
    json!({ "jobId": job["id"], "nonce": job["nonce"] })
}

pub fn failure(job: &Value, message: &str) -> Value {
    json!({ "jobId": job["id"], "failureDetails": { "type": "JobFailed", "message": message } })
}

pub fn action_type(category: &str, outputs: u32) -> Value {
    json!({
        "category": category,
        "provider": "Slipway",
        "version": "1",
        "settings": {
            "entityUrlTemplate": "https://example.com/{Config:Fleet}",
            "executionUrlTemplate": "https://example.com/{Config:Fleet}/{ExternalExecutionId}",
        },
        "configurationProperties": [
            { "name": "Fleet", "required": true, "key": true, "secret": false, "queryable": true },
            { "name": "Secrets", "required": false, "key": false, "secret": true },
            { "name": "Commit", "required": false, "key": false, "secret": false, "type": "String" },
        ],
        "inputArtifactDetails": { "minimumCount": 1, "maximumCount": 5 },
        "outputArtifactDetails": { "minimumCount": 0, "maximumCount": outputs },
    })
}

pub fn action(name: &str, category: &str, inputs: &[&str], outputs: &[&str]) -> Value {
    let named = |names: &[&str]| -> Value { names.iter().map(|name| json!({ "name": name })).collect() };
    json!({
        "name": name,
        "actionTypeId": type_id(category),
        "configuration": { "Fleet": "blue", "Secrets": "canary" },
        "inputArtifacts": named(inputs),
        "outputArtifacts": named(outputs),
    })
}

/// Source, Build and Deploy, each with one action.
pub fn pipeline(mode: &str) -> Value {
    let mut build = action("Build", "Build", &["SourceOutput"], &["Images"]);
    build["namespace"] = json!("Build");
    build["configuration"]["Commit"] = json!("#{Source.ETag}-#{codepipeline.PipelineExecutionId}");
    json!({
        "name": "shop",
        "roleArn": "arn:aws:iam::000000000000:role/service/pipeline",
        "artifactStore": { "type": "S3", "location": "artifacts", "encryptionKey": { "id": "alias/shop", "type": "KMS" } },
        "executionMode": mode,
        "pipelineType": "V2",
        "stages": [
            { "name": "Source", "actions": [source()] },
            { "name": "Build", "actions": [build] },
            { "name": "Deploy", "actions": [action("Deploy", "Deploy", &["Images"], &[])] },
        ],
    })
}

pub fn source() -> Value {
    json!({
        "name": "Fetch",
        "actionTypeId": { "category": "Source", "owner": "AWS", "provider": "S3", "version": "1" },
        "configuration": { "S3Bucket": "sources", "S3ObjectKey": "shop.zip", "PollForSourceChanges": "false" },
        "outputArtifacts": [{ "name": "SourceOutput" }],
        "namespace": "Source",
    })
}
