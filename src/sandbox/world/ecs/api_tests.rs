//! The operations' answers: what is kept, listed, paged, tagged, refused.

use super::timeline::{Timeline, definition, service};
use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Map, Value, json};

#[test]
fn clusters_are_made_described_listed_and_deleted() {
    let mut timeline = Timeline::new("");
    let made = timeline.call(
        "CreateCluster",
        json!({ "clusterName": "prod", "tags": [{ "key": "a", "value": "b" }] }),
    );
    assert_eq!(made["cluster"]["status"], "ACTIVE");
    let described = timeline.call(
        "DescribeClusters",
        json!({ "clusters": ["prod", "gone"], "include": ["TAGS"] }),
    );
    assert_eq!(
        described["clusters"][0]["tags"],
        json!([{ "key": "a", "value": "b" }])
    );
    assert_eq!(described["failures"][0]["reason"], "MISSING");
    assert_eq!(
        timeline.call("ListClusters", json!({}))["clusterArns"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    timeline.call("CreateService", service(1, json!({})));
    let busy = timeline
        .ask("DeleteCluster", json!({ "cluster": "default" }))
        .unwrap_err();
    assert_eq!(busy.code, "ClusterContainsServicesException");
    assert_eq!(
        timeline.call("DeleteCluster", json!({ "cluster": "prod" }))["cluster"]["status"],
        "INACTIVE"
    );
    for operation in ["ListServices", "ListTasks", "DescribeServices", "DescribeTasks"] {
        let error = timeline.ask(operation, json!({ "cluster": "prod" })).unwrap_err();
        assert_eq!(error.code, "ClusterNotFoundException", "{operation}");
    }
}

#[test]
fn task_definitions_count_up_and_their_latest_active_revision_has_the_familys_name() {
    let mut timeline = Timeline::new("");
    timeline.call("RegisterTaskDefinition", definition());
    let gone = timeline.call("DeregisterTaskDefinition", json!({ "taskDefinition": "web:2" }));
    assert_eq!(gone["taskDefinition"]["status"], "INACTIVE");
    let latest = timeline.call("DescribeTaskDefinition", json!({ "taskDefinition": "web" }));
    assert_eq!(latest["taskDefinition"]["revision"], 1);
    let third = timeline.call("RegisterTaskDefinition", definition());
    assert_eq!(third["taskDefinition"]["revision"], 3);
    let arns = |timeline: &mut Timeline, input: Value| -> Vec<String> {
        let answer = timeline.call("ListTaskDefinitions", input);
        let arns = answer["taskDefinitionArns"].as_array().unwrap().clone();
        arns.iter()
            .map(|arn| arn.as_str().unwrap().rsplit('/').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        arns(&mut timeline, json!({ "familyPrefix": "web", "sort": "DESC" })),
        ["web:3", "web:1"]
    );
    assert_eq!(arns(&mut timeline, json!({ "status": "INACTIVE" })), ["web:2"]);
    let families = timeline.call("ListTaskDefinitionFamilies", json!({ "familyPrefix": "we" }));
    assert_eq!(families["families"], json!(["web"]));
    let missing = timeline
        .ask("DescribeTaskDefinition", json!({ "taskDefinition": "web:9" }))
        .unwrap_err();
    assert_eq!(missing.message, "Unable to describe task definition.");
}

#[test]
fn a_task_definition_gets_the_keys_and_defaults_of_ecs() {
    let mut timeline = Timeline::new("");
    let mut given = definition();
    given["cpu"] = json!(".25 vCPU");
    given["memory"] = json!("1 GB");
    given["tags"] = json!([{ "key": "team", "value": "shop" }]);
    timeline.call("RegisterTaskDefinition", given);
    let input = json!({ "taskDefinition": "web:2", "include": ["TAGS"] });
    let described = timeline.call("DescribeTaskDefinition", input);
    assert_eq!(described["tags"], json!([{ "key": "team", "value": "shop" }]));
    let definition = &described["taskDefinition"];
    assert!(definition.get("tags").is_none());
    assert_eq!(
        (&definition["cpu"], &definition["memory"]),
        (&json!("256"), &json!("1024"))
    );
    assert_eq!(definition["compatibilities"], json!(["EC2", "FARGATE"]));
    let container = &definition["containerDefinitions"][0];
    assert_eq!(container["essential"], true);
    assert_eq!(
        container["portMappings"],
        json!([{ "containerPort": 80, "protocol": "tcp", "hostPort": 80 }])
    );
    assert_eq!(definition["status"], "ACTIVE");
}

#[test]
fn tags_come_and_go() {
    let mut timeline = Timeline::serving("", 1, json!({}));
    let arn = timeline.service()["serviceArn"].clone();
    timeline.call(
        "TagResource",
        json!({ "resourceArn": arn, "tags": [{ "key": "a", "value": "1" }, { "key": "b", "value": "2" }] }),
    );
    timeline.call(
        "TagResource",
        json!({ "resourceArn": arn, "tags": [{ "key": "a", "value": "3" }] }),
    );
    timeline.call("UntagResource", json!({ "resourceArn": arn, "tagKeys": ["b"] }));
    let tags = timeline.call("ListTagsForResource", json!({ "resourceArn": arn }));
    assert_eq!(tags, json!({ "tags": [{ "key": "a", "value": "3" }] }));
    let described = timeline.call(
        "DescribeServices",
        json!({ "services": ["web"], "include": ["TAGS"] }),
    );
    assert_eq!(described["services"][0]["tags"], tags["tags"]);
    let reserved = json!({ "resourceArn": arn, "tags": [{ "key": "aws:x", "value": "" }] });
    assert_eq!(
        timeline.ask("TagResource", reserved).unwrap_err().code,
        "InvalidParameterException"
    );
    let absent =
        json!({ "resourceArn": "arn:aws:ecs:eu-west-1:000000000000:service/default/gone", "tags": [] });
    assert_eq!(
        timeline.ask("TagResource", absent).unwrap_err().code,
        "ResourceNotFoundException"
    );
}

#[test]
fn more_than_a_hundred_tasks_take_more_than_one_page_and_one_description() {
    let mut timeline = Timeline::serving("", 130, json!({}));
    let first = timeline.call("ListTasks", json!({ "serviceName": "web" }));
    assert_eq!(first["taskArns"].as_array().unwrap().len(), 100);
    let second = timeline.call(
        "ListTasks",
        json!({ "serviceName": "web", "nextToken": first["nextToken"] }),
    );
    assert_eq!(second["taskArns"].as_array().unwrap().len(), 30);
    assert!(second.get("nextToken").is_none());
    let mut all = first["taskArns"].as_array().unwrap().clone();
    all.extend(second["taskArns"].as_array().unwrap().clone());
    let error = timeline
        .ask("DescribeTasks", json!({ "tasks": all }))
        .unwrap_err();
    assert_eq!(error.code, "InvalidParameterException");
    let mixed = timeline
        .ask("ListTasks", json!({ "serviceName": "web", "startedBy": "me" }))
        .unwrap_err();
    assert_eq!(mixed.code, "InvalidParameterException");
    let pending = timeline.call(
        "ListTasks",
        json!({ "serviceName": "web", "desiredStatus": "PENDING" }),
    );
    assert_eq!(pending["taskArns"], json!([]));
}

#[test]
fn services_are_described_ten_at_a_time_and_missing_ones_are_named() {
    let mut timeline = Timeline::serving("", 1, json!({}));
    let answer = timeline.call("DescribeServices", json!({ "services": ["web", "gone"] }));
    assert_eq!(answer["services"].as_array().unwrap().len(), 1);
    assert_eq!(
        answer["failures"],
        json!([{ "arn": "arn:aws:ecs:eu-west-1:000000000000:service/default/gone", "reason": "MISSING" }])
    );
    let eleven = vec!["web"; 11];
    let error = timeline
        .ask("DescribeServices", json!({ "services": eleven }))
        .unwrap_err();
    assert_eq!(error.code, "InvalidParameterException");
    let again = timeline.ask("CreateService", service(1, json!({}))).unwrap_err();
    assert_eq!(again.message, "Creation of service was not idempotent.");
    let missing = timeline
        .ask("UpdateService", json!({ "service": "gone" }))
        .unwrap_err();
    assert_eq!(missing.code, "ServiceNotFoundException");
}

#[test]
fn an_arn_of_another_cluster_is_refused() {
    let mut timeline = Timeline::serving("", 1, json!({}));
    timeline.call("CreateCluster", json!({ "clusterName": "prod" }));
    let task = timeline.call("ListTasks", json!({}))["taskArns"][0].clone();
    let service = "arn:aws:ecs:eu-west-1:000000000000:service/default/web";
    let says = "Invalid identifier: Identifier is for cluster default. Your cluster is prod";
    for (operation, key, arn) in [
        ("DescribeServices", "services", json!([service])),
        ("UpdateService", "service", json!(service)),
        ("ListTasks", "serviceName", json!(service)),
        ("DescribeTasks", "tasks", json!([task])),
        ("StopTask", "task", task.clone()),
    ] {
        let error = timeline
            .ask(operation, json!({ "cluster": "prod", key: arn }))
            .unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.message.as_str()),
            ("InvalidParameterException", says),
            "{operation}"
        );
        timeline.call(operation, json!({ "cluster": "default", key: arn }));
    }
    for (key, arn, says) in [
        ("services", json!([task]), "Unsupported resource type: task"),
        (
            "cluster",
            json!("arn:aws:ecs:eu-north-1:000000000000:cluster/prod"),
            "Cluster not found.",
        ),
    ] {
        let mut input = json!({ "services": ["web"] });
        input[key] = arn;
        let error = timeline.ask("DescribeServices", input).unwrap_err();
        assert_eq!(error.message, says);
    }
}

#[test]
fn a_replica_service_needs_a_desired_count() {
    let mut timeline = Timeline::new("");
    let mut input = service(1, json!({}));
    input["desiredCount"] = json!(null);
    let error = timeline.ask("CreateService", input).unwrap_err();
    assert_eq!(error.code, "InvalidParameterException");
}

#[test]
fn a_service_of_another_controller_has_no_deployments_and_takes_no_task_definition() {
    for kind in ["CODE_DEPLOY", "EXTERNAL"] {
        let mut timeline = Timeline::new("");
        timeline.call(
            "CreateService",
            service(1, json!({ "deploymentController": { "type": kind } })),
        );
        timeline.pass(600);
        assert_eq!(timeline.service()["deployments"], json!([]));
        assert_eq!(timeline.service()["deploymentController"]["type"], kind);
        let error = timeline
            .ask(
                "UpdateService",
                json!({ "service": "web", "taskDefinition": "web" }),
            )
            .unwrap_err();
        assert_eq!(error.code, "InvalidParameterException");
        assert!(error.message.contains(kind), "{error}");
    }
}

#[test]
fn awsvpc_needs_a_network() {
    let mut timeline = Timeline::new("");
    let bare = json!({ "serviceName": "web", "taskDefinition": "web", "launchType": "FARGATE" });
    let error = timeline.ask("CreateService", bare).unwrap_err();
    assert_eq!(
        error.message,
        "Network Configuration must be provided when networkMode 'awsvpc' is specified."
    );
}

#[test]
fn a_revision_proves_the_digest_that_its_tasks_run() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let mut timeline = Timeline::new("");
    let mut pinned = definition();
    pinned["containerDefinitions"][0]["image"] = json!(format!("example.com/web@{digest}"));
    timeline.call("RegisterTaskDefinition", pinned);
    timeline.call("CreateService", service(1, json!({})));
    timeline.pass(300);
    let current = timeline.service()["currentServiceRevisions"][0].clone();
    assert_eq!(current["runningTaskCount"], 1);
    let input = json!({ "serviceRevisionArns": [current["arn"], "gone"] });
    let described = timeline.call("DescribeServiceRevisions", input);
    assert_eq!(
        described["serviceRevisions"][0]["containerImages"][0]["imageDigest"],
        digest.as_str()
    );
    assert_eq!(described["failures"][0]["arn"], "gone");
    assert_eq!(
        timeline.tasks()[0]["containers"][0]["imageDigest"],
        digest.as_str()
    );
    let id = timeline.service()["deployments"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let number = id.strip_prefix("ecs-svc/").unwrap();
    assert!(
        current["arn"]
            .as_str()
            .unwrap()
            .ends_with(&format!("service-revision/default/web/{number}"))
    );
    assert_eq!(timeline.tasks()[0]["startedBy"], id.as_str());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever else a registration says comes back as it was.
    #[test]
    fn a_registration_loses_nothing(extra in unknown(), in_container in unknown()) {
        let mut timeline = Timeline::new("");
        let mut given = definition();
        given["somethingNewer"] = extra;
        given["containerDefinitions"][0]["somethingNewer"] = in_container;
        let answer = timeline.call("RegisterTaskDefinition", given.clone());
        let kept = &answer["taskDefinition"];
        for (key, value) in given.as_object().unwrap() {
            if key != "containerDefinitions" {
                prop_assert_eq!(&kept[key], value);
            }
        }
        for (key, value) in given["containerDefinitions"][0].as_object().unwrap() {
            if key != "portMappings" {
                prop_assert_eq!(&kept["containerDefinitions"][0][key], value);
            }
        }
    }
}

/// Any JSON, with empty texts, lists and objects among it.
fn unknown() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((".{0,6}", inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<String, Value>>())),
        ]
    })
}
