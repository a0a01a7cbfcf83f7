//! The ECS adapter through the real SDK and a socket, against a responder that answers what each test says.

use crate::responder::{Answer, Asked, error, ok};
use serde_json::{Value, json};
use slipway::aws::sort::{CallError, Sorted};
use slipway::ecs::diagnosis::LogStream;
use slipway::ecs::mark::{Mark, Marking};
use slipway::ecs::observation::{BlindReason, Presence};
use slipway::ecs::resume::{Before, Print};
use slipway::ecs::service::{Ecs, ServiceError, Watched};
use slipway::ecs::task_definition::TaskDefinition;

async fn respond(
    answer: impl Fn(&str, &Value, &Asked) -> Answer + Clone + Send + Sync + 'static,
) -> (Ecs, Asked) {
    let (aws, asked) = crate::responder::respond(answer).await;
    (Ecs::new(aws, "prod", "web"), asked)
}

#[tokio::test]
async fn fields_that_the_sdk_does_not_know_travel_both_ways() {
    let (ecs, asked) = respond(|operation, _, _| {
        ok(match operation {
            "DescribeTaskDefinition" => json!({
                "taskDefinition": {
                    "family": "web", "revision": 7, "taskDefinitionArn": "arn:x/web:7",
                    "fieldOf2031": {"deep": [1.50, "", null, {}]},
                    "containerDefinitions": [
                        {"name": "web", "image": "a", "unknown": "", "environment": [{"name": "E", "value": ""}]}
                    ],
                },
                "tags": [{"key": "team", "value": "", "tagFieldOf2031": 1}],
            }),
            _ => json!({"taskDefinition": {"taskDefinitionArn": "arn:x/web:8"}}),
        })
    })
    .await;
    let described = ecs.task_definition("web:7").await.unwrap();
    assert_eq!(ecs.register(&described).await.unwrap(), "arn:x/web:8");
    let sent = &asked.bodies("RegisterTaskDefinition")[0];
    let expected = r#"{"family":"web","fieldOf2031":{"deep":[1.5,"",null,{}]},"containerDefinitions":[{"name":"web","image":"a","unknown":"","environment":[{"name":"E","value":""}]}],"tags":[{"key":"team","value":"","tagFieldOf2031":1}]}"#;
    assert_eq!(std::str::from_utf8(sent).unwrap(), expected);
}

#[tokio::test]
async fn a_hundred_tasks_are_described_per_call_and_all_pages_are_read() {
    let (ecs, asked) = respond(|operation, input, _| {
        let arn = |number: u64| format!("arn:aws:ecs:r:0:task/prod/{number:032x}");
        ok(match operation {
            "ListTasks" if input["desiredStatus"] == "STOPPED" => json!({"taskArns": [arn(999)]}),
            "ListTasks" => {
                let from: u64 = input["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
                let page: Vec<String> = (from..from + 100).map(arn).collect();
                if from < 200 {
                    json!({"taskArns": page, "nextToken": (from + 100).to_string()})
                } else {
                    json!({"taskArns": page[..50]})
                }
            }
            "DescribeTasks" => {
                let tasks = input["tasks"].as_array().unwrap();
                assert!(tasks.len() <= 100);
                let task = |arn: &Value| {
                    // One task of another deployment.
                    let stranger = arn.as_str().unwrap().ends_with("007");
                    let by = if stranger { "ecs-svc/9" } else { "ecs-svc/2" };
                    json!({"taskArn": arn, "startedBy": by, "lastStatus": "RUNNING", "desiredStatus": "RUNNING"})
                };
                json!({"tasks": tasks.iter().map(task).collect::<Vec<_>>()})
            }
            other => panic!("{other}"),
        })
    })
    .await;
    let tasks = ecs.our_tasks("ecs-svc/2", true).await.unwrap();
    assert_eq!(tasks.len(), 250);
    assert_eq!((asked.times("ListTasks"), asked.times("DescribeTasks")), (4, 3));
    for body in asked.bodies("ListTasks") {
        let input: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (&input["serviceName"], &input["startedBy"]),
            (&json!("web"), &Value::Null)
        );
    }
}

/// Who deletes revisions leaves gaps; a second registration of ours must not come of it.
#[tokio::test]
async fn a_marked_revision_is_found_behind_revisions_that_were_deleted() {
    let marking = Marking {
        mark: Mark {
            execution: "e1".to_owned(),
            place: "shop/Deploy/Services".to_owned(),
            attempt: "a1".to_owned(),
        },
        service: Print::of("prod/web"),
        before: Before {
            deployment: Print::of("ecs-svc/1"),
            revision: Some("web:1".to_owned()),
            completed: None,
            done: true,
            event: Print::of("event"),
        },
    };
    let definition = r#"{"family":"web","containerDefinitions":[{"name":"web"}]}"#;
    let definition = TaskDefinition::parse(definition.as_bytes()).unwrap();
    for (ours, found) in [(48, true), (41, true), (39, false)] {
        let tags: Vec<Value> = marking
            .tags("web")
            .iter()
            .map(|(key, value)| json!({ "key": key, "value": value }))
            .collect();
        let (ecs, asked) = respond(move |_, input, _| {
            let number = match input["taskDefinition"].as_str().unwrap() {
                "web" => 50,
                name => name.rsplit(':').next().unwrap().parse().unwrap(),
            };
            if number != 50 && number != ours {
                return error("ClientException", "Unable to describe task definition.");
            }
            let tags = if number == ours { tags.clone() } else { Vec::new() };
            ok(json!({
                "taskDefinition": {
                    "family": "web", "revision": number, "status": "ACTIVE",
                    "taskDefinitionArn": format!("arn:x/web:{number}"), "containerDefinitions": [{"name": "web"}],
                },
                "tags": tags,
            }))
        })
        .await;
        let marked = ecs.find_marked(&definition, &marking).await.unwrap();
        let arn = marked.map(|marked| marked.arn);
        assert_eq!(arn, found.then(|| format!("arn:x/web:{ours}")), "{ours}");
        assert!(asked.all() <= 11, "{}", asked.all());
    }
}

fn service(deployment: &Value) -> Value {
    let mut deployment = deployment.clone();
    for count in ["desiredCount", "runningCount", "pendingCount"] {
        deployment[count] = json!(0);
    }
    json!({
        "serviceName": "web", "status": "ACTIVE", "desiredCount": 1, "runningCount": 0, "pendingCount": 0,
        "loadBalancers": [], "deployments": [deployment],
    })
}

#[tokio::test]
async fn an_update_is_sent_once_and_a_lost_answer_is_looked_up() {
    let (ecs, asked) = respond(|operation, _, _| match operation {
        "UpdateService" => Answer::Cut,
        _ => {
            let ours = json!({"id": "ecs-svc/2", "status": "PRIMARY", "taskDefinition": "arn:x/web:8"});
            ok(json!({"services": [service(&ours)]}))
        }
    })
    .await;
    assert!(ecs.update("arn:x/web:8", true).await.unwrap_err().is_in_doubt());
    let begun = ecs.begun_already("arn:x/web:8", Some("ecs-svc/1")).await.unwrap();
    assert_eq!(begun.unwrap().deployment, "ecs-svc/2");
    assert!(
        ecs.begun_already("arn:x/web:8", Some("ecs-svc/2"))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        ecs.begun_already("arn:x/web:9", Some("ecs-svc/1"))
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(asked.times("UpdateService"), 1);
}

#[tokio::test]
async fn a_service_whose_counts_are_missing_is_not_believed() {
    let (ecs, _) = respond(|_, _, _| {
        let mut service = service(&json!({"id": "ecs-svc/1", "status": "PRIMARY"}));
        service["desiredCount"] = Value::Null;
        ok(json!({"services": [service]}))
    })
    .await;
    let error = ecs.describe().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the answer of `ecs:DescribeServices` has no desiredCount"
    );
}

#[tokio::test]
async fn an_answer_that_names_another_revision_is_no_beginning() {
    let (ecs, _) = respond(|_, _, _| {
        let old = json!({"id": "ecs-svc/1", "status": "PRIMARY", "taskDefinition": "arn:x/web:7"});
        ok(json!({"service": service(&old)}))
    })
    .await;
    let error = ecs.update("arn:x/web:8", false).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the answer of `ecs:UpdateService` has no deployment of the new revision"
    );
    assert!(error.is_in_doubt());
}

#[tokio::test]
async fn refusals_are_sorted_and_a_registration_race_is_known() {
    let (ecs, _) = respond(|operation, _, _| match operation {
        "RegisterTaskDefinition" => error(
            "ClientException",
            "Too many concurrent attempts to create a new revision of the specified family.",
        ),
        "DescribeServices" => error("ClusterNotFoundException", "Cluster not found."),
        _ => error("AccessDeniedException", "not authorized"),
    })
    .await;
    let definition = TaskDefinition::parse(br#"{"family": "web", "containerDefinitions": []}"#).unwrap();
    let race = ecs.register(&definition).await.unwrap_err();
    assert!(race.is_registration_race() && !race.is_in_doubt());
    let missing = ecs.describe().await.unwrap_err();
    let code = "ClusterNotFoundException".to_owned();
    assert!(
        matches!(missing, ServiceError::Call(CallError { sorted: Sorted::Missing { code: found }, .. }) if found == code)
    );
    let denied = ecs.update("arn:x/web:8", false).await.unwrap_err();
    assert!(matches!(
        denied,
        ServiceError::Call(CallError {
            sorted: Sorted::Denied,
            action: "ecs:UpdateService",
            ..
        })
    ));
}

#[tokio::test]
async fn a_service_that_is_missing_is_told_from_one_that_cannot_be_seen() {
    let (ecs, _) = respond(|_, _, _| {
        ok(json!({"services": [], "failures": [{"arn": "arn:aws:ecs:r:0:service/prod/web", "reason": "MISSING"}]}))
    })
    .await;
    assert!(matches!(ecs.describe().await, Err(ServiceError::NoService)));
    assert_eq!(
        ecs.look(&mut Watched::new("ecs-svc/2")).await.seen.service,
        Presence::Missing
    );
}

#[tokio::test]
async fn service_deployments_that_are_denied_are_asked_for_once() {
    let (ecs, asked) = respond(|operation, _, _| match operation {
        "DescribeServices" => {
            let ours = json!({"id": "ecs-svc/2", "status": "PRIMARY", "rolloutState": "IN_PROGRESS"});
            ok(json!({"services": [service(&ours)]}))
        }
        "ListTasks" => ok(json!({"taskArns": []})),
        _ => error("AccessDeniedException", "not authorized"),
    })
    .await;
    let mut watched = Watched::new("ecs-svc/2");
    let first = ecs.look_closely(&mut watched).await.seen;
    assert_eq!((first.blind.len(), first.blind[0].why), (1, BlindReason::Denied));
    assert!(first.tasks.is_some() && first.seen_service().is_some());
    let second = ecs.look_closely(&mut watched).await.seen;
    assert_eq!(
        second.blind, first.blind,
        "and told again, since nothing was seen of them"
    );
    assert!(ecs.look(&mut watched).await.seen.blind.is_empty());
    assert_eq!(asked.times("ListServiceDeployments"), 1);
}

#[tokio::test]
async fn a_list_that_is_denied_hides_no_service_deployment_that_ecs_names() {
    const ARN: &str = "arn:aws:ecs:r:0:service-deployment/prod/web/abc";
    let (ecs, asked) = respond(|operation, _, asked| match operation {
        "DescribeServices" => {
            let ours = json!({"id": "ecs-svc/2", "status": "PRIMARY", "rolloutState": "IN_PROGRESS"});
            let mut service = service(&ours);
            // ECS names the current one a moment after the update.
            if asked.times("DescribeServices") > 0 {
                service["currentServiceDeployment"] = json!(ARN);
            }
            ok(json!({"services": [service]}))
        }
        "DescribeServiceDeployments" => ok(json!({"serviceDeployments": [{
            "serviceDeploymentArn": ARN, "status": "IN_PROGRESS",
            "targetServiceRevision": {"arn": "arn:aws:ecs:r:0:service-revision/prod/web/2"},
        }], "failures": []})),
        "ListTasks" => ok(json!({"taskArns": []})),
        _ => error("AccessDeniedException", "not authorized"),
    })
    .await;
    let mut watched = Watched::new("ecs-svc/2");
    let first = ecs.look_closely(&mut watched).await.seen;
    assert_eq!(first.blind[0].action, "ecs:ListServiceDeployments");
    assert!(first.service_deployment.is_none());
    let second = ecs.look_closely(&mut watched).await.seen;
    assert_eq!(second.service_deployment.unwrap().arn, ARN);
    assert_eq!(watched.service_deployment(), Some(ARN));
    assert_eq!(asked.times("ListServiceDeployments"), 1, "given up by itself");
}

fn stream(region: Option<&str>) -> LogStream {
    LogStream {
        group: "/web".to_owned(),
        stream: "ecs/web/t1".to_owned(),
        region: region.map(str::to_owned),
    }
}

#[tokio::test]
async fn a_log_is_read_in_its_own_region_and_past_empty_answers() {
    let (ecs, asked) = respond(|_, input, _| {
        assert_eq!(
            (&input["logGroupName"], &input["logStreamName"], &input["limit"]),
            (&json!("/web"), &json!("ecs/web/t1"), &json!(20))
        );
        ok(match input["nextToken"].as_str() {
            None => json!({"events": [], "nextBackwardToken": "b/1"}),
            Some("b/1") => {
                json!({"events": [{"message": "one"}, {"message": "two"}], "nextBackwardToken": "b/2"})
            }
            Some(other) => panic!("{other}"),
        })
    })
    .await;
    let lines = ecs.last_lines(&stream(Some("us-east-1")), 20).await.unwrap();
    assert_eq!(lines, ["one", "two"]);
    assert_eq!(asked.regions("GetLogEvents"), ["us-east-1", "us-east-1"]);
    ecs.last_lines(&stream(None), 20).await.unwrap();
    assert_eq!(asked.regions("GetLogEvents")[2], "eu-west-1");
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_empty_and_one_that_may_not_be_read_is_told() {
    let (ecs, _) = respond(|_, _, _| {
        error(
            "ResourceNotFoundException",
            "The specified log stream does not exist.",
        )
    })
    .await;
    assert_eq!(ecs.last_lines(&stream(None), 20).await, Ok(Vec::new()));
    let (ecs, _) = respond(|_, _, _| error("AccessDeniedException", "no")).await;
    let blind = ecs.last_lines(&stream(None), 20).await.unwrap_err();
    assert_eq!(
        (blind.action.as_str(), blind.why),
        ("logs:GetLogEvents", BlindReason::Denied)
    );
    let (ecs, asked) = respond(|_, _, _| ok(json!({"events": [], "nextBackwardToken": "b/1"}))).await;
    assert_eq!(ecs.last_lines(&stream(None), 20).await, Ok(Vec::new()));
    assert_eq!(
        asked.times("GetLogEvents"),
        2,
        "the end answers with the token that it was asked with"
    );
}
