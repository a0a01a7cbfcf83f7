//! Tasks whose images are in the sandbox's own registry: pulled by digest, pinned, proven, missing.

use super::timeline::{Timeline, definition, service};
use serde_json::{Value, json};

/// A registration of `web` with an image of the sandbox's registry.
fn of_registry(reference: &str) -> Value {
    let mut given = definition();
    given["executionRoleArn"] = json!("arn:aws:iam::000000000000:role/execution");
    given["containerDefinitions"][0]["image"] = json!(format!("127.0.0.1:4566/web{reference}"));
    given
}

fn digests(timeline: &mut Timeline) -> Vec<Value> {
    let running = |task: &Value| task["lastStatus"] == "RUNNING";
    let tasks = timeline.tasks();
    tasks
        .iter()
        .filter(|task| running(task))
        .map(|task| task["containers"][0]["imageDigest"].clone())
        .collect()
}

#[test]
fn an_image_of_the_registry_needs_an_execution_role_on_fargate() {
    let mut bare = of_registry(":1");
    bare.as_object_mut().unwrap().remove("executionRoleArn");
    let error = Timeline::new("").ask("RegisterTaskDefinition", bare).unwrap_err();
    assert_eq!(
        error.message,
        "Fargate requires task definition to have execution role ARN to support ECR images."
    );
}

#[test]
fn all_tasks_of_a_revision_run_the_digest_of_its_first_one() {
    let mut timeline = Timeline::new("");
    let first = timeline.put_image("one", "1");
    timeline.call("RegisterTaskDefinition", of_registry(":1"));
    timeline.call("CreateService", service(1, json!({})));
    timeline.pass(300);
    let second = timeline.put_image("two", "1");
    timeline.call("UpdateService", json!({ "service": "web", "desiredCount": 2 }));
    timeline.pass(300);
    assert_eq!(digests(&mut timeline), [first.clone(), first]);
    timeline.call(
        "UpdateService",
        json!({ "service": "web", "forceNewDeployment": true }),
    );
    timeline.pass(300);
    assert_eq!(digests(&mut timeline), [second.clone(), second]);
}

#[test]
fn an_index_and_its_platforms_manifest_are_told_apart() {
    for (scenario, platform) in [("", false), ("[ecs]\nplatform-digest = true", true)] {
        let mut timeline = Timeline::new(scenario);
        let child = timeline.put_image("one", "child");
        let architecture = if cfg!(target_arch = "aarch64") {
            "arm64"
        } else {
            "amd64"
        };
        let index = timeline.put_manifest(
            &json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.index.v1+json",
                "manifests": [{
                    "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": child, "size": 300,
                    "platform": { "os": "linux", "architecture": architecture },
                }],
            }),
            "1",
        );
        assert_ne!(index, child);
        timeline.call("RegisterTaskDefinition", of_registry(":1"));
        timeline.call("CreateService", service(1, json!({})));
        timeline.pass(300);
        assert_eq!(digests(&mut timeline), [if platform { child } else { index }]);
    }
}

#[test]
fn an_image_that_the_registry_lacks_is_told_of_in_the_agents_words() {
    let mut timeline = Timeline::serving("", 1, json!({}));
    timeline.call("RegisterTaskDefinition", of_registry(":gone"));
    timeline.call(
        "UpdateService",
        json!({ "service": "web", "taskDefinition": "web" }),
    );
    let words = "CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref \
                 127.0.0.1:4566/web:gone: 127.0.0.1:4566/web:gone: not found";
    assert_eq!(timeline.pass_until(words), 151);
    let failed = timeline
        .tasks()
        .into_iter()
        .find(|task| task["stopCode"] == "TaskFailedToStart")
        .unwrap();
    assert_eq!(failed["stoppedReason"], words);
    assert_eq!(failed["containers"][0]["reason"], words);
}
