//! Jobs claimed and closed: against a responder that says what a test wants, and against the sandbox's job engine.

mod canaries;
mod claims;
mod flows;
mod keys;
mod reads;
mod results;

use crate::responder::{Answer, Asked, error, ok, respond};
use serde_json::{Value, json};
use slipway::aws::Aws;
use slipway::clock::{Clock, VirtualClock};
use slipway::pipeline::claim::{Claim, ClaimedJob, Desk, NotOurs, Patience, Reporters, claim};
use slipway::pipeline::client::Pipeline;
use slipway::pipeline::job::{ActionTypeId, Offer};
use slipway::pipeline::journal::{Entry, State, Taking};
use slipway::report::event::{Event, Tell};
use slipway::shutdown::{self, ShutdownSwitch};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const JOB: &str = "00000000-0000-4000-8000-000000000001";

/// As a test wants it: short pauses of the machine's clock.
pub const BRISK: Patience = Patience {
    first: Duration::from_millis(1),
    longest: Duration::from_millis(4),
    whole: Duration::from_secs(20),
    last_words: Duration::from_millis(60),
};

pub fn deploys() -> ActionTypeId {
    "Deploy/Slipway/1".parse().unwrap()
}

/// A job's data, with a secret in every place that may hold one.
pub fn data() -> Value {
    let artifact = |name: &str| {
        json!({ "name": name, "revision": "r1", "location": { "type": "S3",
            "s3Location": { "bucketName": "artifacts", "objectKey": format!("shop/{name}/abc") } } })
    };
    json!({
        "actionTypeId": { "category": "Deploy", "owner": "Custom", "provider": "Slipway", "version": "1" },
        "actionConfiguration": { "configuration": { "Fleet": "blue", "Secrets": "canary-secret-property" } },
        "pipelineContext": {
            "pipelineName": "shop", "pipelineArn": "arn:aws:codepipeline:eu-west-1:000000000000:shop",
            "stage": { "name": "Release" }, "pipelineExecutionId": "execution-1",
            "action": { "name": "Ship", "actionExecutionId": "action-1" },
        },
        "inputArtifacts": [artifact("Images")],
        "outputArtifacts": [artifact("Report")],
        "artifactCredentials": keys(1),
        "continuationToken": "canary-continuation",
        "encryptionKey": { "id": "alias/pipeline", "type": "KMS" },
    })
}

pub fn keys(number: usize) -> Value {
    json!({
        "accessKeyId": format!("canary-id-{number}"),
        "secretAccessKey": "canary-secret-key",
        "sessionToken": "canary-session",
    })
}

pub fn polled() -> Answer {
    ok(json!({ "jobs": [{ "id": JOB, "nonce": "3", "accountId": "000000000000", "data": data() }] }))
}

/// What a test has the far end answer to each operation, attempt by attempt; the last answer stays.
#[derive(Clone, Default)]
pub struct Script(BTreeMap<String, Vec<&'static str>>);

impl Script {
    pub fn new(steps: &[(&str, &[&'static str])]) -> Self {
        let steps = steps
            .iter()
            .map(|(operation, answers)| ((*operation).to_owned(), answers.to_vec()));
        Self(steps.collect())
    }

    fn answer(&self, operation: &str, asked: &Asked) -> Answer {
        let answers = self.0.get(operation).map(Vec::as_slice).unwrap_or_default();
        let at = asked.times(operation).min(answers.len().saturating_sub(1));
        let word = answers.get(at).copied().unwrap_or("ok");
        match (word, operation) {
            ("ok", "PollForJobs") => polled(),
            ("ok", "GetJobDetails") => {
                ok(json!({ "jobDetails": { "id": JOB, "accountId": "0", "data": data() } }))
            }
            ("ok", "AcknowledgeJob") => ok(json!({ "status": "InProgress" })),
            ("ok", _) => ok(json!({})),
            ("cut", _) => Answer::Cut,
            ("hang", _) => Answer::Hang,
            ("proxy", _) => Answer::Raw(502, b"<html>bad gateway</html>"),
            ("internal", _) => Answer::Json(500, json!({ "__type": "InternalFailure" })),
            (status, "AcknowledgeJob") if !status.ends_with("Exception") => ok(json!({ "status": status })),
            (code, _) => error(code, "no"),
        }
    }
}

/// A worker's desk, and what it tells.
pub struct Bench {
    pub aws: Aws,
    pub asked: Asked,
    pub desk: Desk,
    pub switch: ShutdownSwitch,
    pub told: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    pub async fn new(script: Script, state: State) -> Self {
        let (aws, asked) = respond(move |operation, _, asked| script.answer(operation, asked)).await;
        Self::of(aws, asked, state, Clock::System)
    }

    pub fn of(aws: Aws, asked: Asked, state: State, clock: Clock) -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let hear = Arc::clone(&told);
        let tell = Tell::new(move |event| {
            let event = match event {
                Event::OfJob { event, .. } => *event,
                event => event,
            };
            if let Event::Warning(text) = event {
                hear.lock().unwrap().push(text);
            }
        });
        let (switch, shutdown) = shutdown::switch();
        let desk = Desk {
            client: Pipeline::new(&aws, tell.clone()),
            clock,
            state,
            reporters: Reporters::new(tokio::runtime::Handle::current()),
            shutdown,
            tell,
            patience: BRISK,
        };
        Self {
            aws,
            asked,
            desk,
            switch,
            told,
        }
    }

    /// Time passes by pauses only, so that a busy machine cuts no attempt off; `whole` is for all of them.
    pub fn in_virtual_time(mut self, whole: Duration) -> Self {
        self.desk.clock = Clock::Virtual(VirtualClock::starting_at(Duration::ZERO));
        self.desk.patience.whole = whole;
        self
    }

    pub async fn offer(&self) -> Offer {
        let offers = self
            .desk
            .client
            .poll(&deploys(), Some(("Fleet", "blue")), 1)
            .await;
        offers.unwrap().remove(0)
    }

    pub async fn claimed(&self) -> Box<ClaimedJob> {
        match claim(&self.desk, self.offer().await).await {
            Claim::Ours(job) => job,
            Claim::NotOurs(not) => panic!("{not:?}"),
        }
    }

    pub async fn not_claimed(&self) -> NotOurs {
        match claim(&self.desk, self.offer().await).await {
            Claim::Ours(job) => panic!("{job:?}"),
            Claim::NotOurs(not) => not,
        }
    }

    /// The one entry that was left.
    pub async fn left(&self) -> Option<Entry> {
        let mut left = self.desk.state.look(Box::new(|_| Taking::Now)).await.taken;
        assert!(left.len() <= 1, "{left:?}");
        left.pop()
    }

    pub fn results(&self) -> (usize, usize) {
        (
            self.asked.times("PutJobSuccessResult"),
            self.asked.times("PutJobFailureResult"),
        )
    }

    pub fn body(&self, operation: &str, at: usize) -> Value {
        serde_json::from_slice(&self.asked.bodies(operation)[at]).unwrap()
    }
}
