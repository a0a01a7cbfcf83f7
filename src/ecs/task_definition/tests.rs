use super::{Diff, ImageChange, READ_ONLY, TaskDefinition, TaskDefinitionError};
use crate::name::{ContainerName, ImageRef};
use crate::secret::Secret;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn parse(value: &Value) -> TaskDefinition {
    TaskDefinition::parse(value.to_string().as_bytes()).unwrap()
}

fn images(pairs: &[(&str, &str)]) -> BTreeMap<ContainerName, ImageRef> {
    pairs
        .iter()
        .map(|(name, image)| (name.parse().unwrap(), image.parse().unwrap()))
        .collect()
}

fn described() -> Value {
    json!({
        "taskDefinition": {
            "taskDefinitionArn": "arn:aws:ecs:eu-west-1:000000000000:task-definition/web:7",
            "family": "web",
            "revision": 7,
            "status": "ACTIVE",
            "containerDefinitions": [
                {"name": "web", "image": "shop/web:1", "essential": true, "command": [], "cpu": 0,
                 "environment": [{"name": "EMPTY", "value": ""}, {"name": "DB", "value": "hunter2"}],
                 "healthCheck": {"command": ["CMD", "/ok"]},
                 "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/g", "awslogs-stream-prefix": "p", "splunk-tag": ""}}},
                {"name": "proxy", "image": "shop/proxy:3", "essential": false, "aFieldOf2031": {"x": [null, 1.50]}}
            ],
            "requiresAttributes": [], "compatibilities": ["EC2"], "registeredAt": 1.0, "registeredBy": "x",
            "deregisteredAt": 2.0, "deleteRequestedAt": 3.0,
            "volumes": []
        },
        "tags": [{"key": "team", "value": ""}]
    })
}

#[test]
fn only_read_only_keys_go_and_tags_join() {
    let definition = parse(&described());
    let mut expected = described()["taskDefinition"].clone();
    for key in READ_ONLY {
        expected.as_object_mut().unwrap().remove(key);
    }
    expected["tags"] = json!([{"key": "team", "value": ""}]);
    assert_eq!(
        serde_json::from_slice::<Value>(&definition.to_json()).unwrap(),
        expected
    );
}

#[test]
fn order_and_number_text_survive() {
    let text = r#"{"zebra":1.50,"family":"web","alpha":12345678901234567890123,"containerDefinitions":[{"name":"web","image":"a"}]}"#;
    assert_eq!(
        TaskDefinition::parse(text.as_bytes()).unwrap().to_json(),
        text.as_bytes()
    );
}

#[test]
fn images_are_replaced_by_container_name_and_the_diff_says_so() {
    let before = parse(&described());
    let pinned = format!("localhost:5000/shop/web@{DIGEST}");
    let after = before.clone().with_images(&images(&[("web", &pinned)])).unwrap();
    assert_eq!(
        (after.image("web"), after.image("proxy")),
        (Some(pinned.as_str()), Some("shop/proxy:3"))
    );
    let change = ImageChange {
        container: "web".to_owned(),
        from: Some("shop/web:1".to_owned()),
        to: Some(pinned),
    };
    assert_eq!(
        before.diff(&after),
        Diff {
            images: vec![change],
            paths: Vec::new()
        }
    );
}

#[test]
fn the_environment_is_set_in_place_and_its_values_show_nowhere() {
    let before = parse(&described());
    let variables = BTreeMap::from([
        ("DB".to_owned(), Secret::new("canary-1".to_owned())),
        ("RELEASE".to_owned(), Secret::new("canary-2".to_owned())),
    ]);
    let after = before
        .clone()
        .with_environment(&BTreeMap::from([("web".parse().unwrap(), variables)]))
        .unwrap();
    let json: Value = serde_json::from_slice(&after.to_json()).unwrap();
    assert_eq!(
        json["containerDefinitions"][0]["environment"],
        json!([{"name": "EMPTY", "value": ""}, {"name": "DB", "value": "canary-1"}, {"name": "RELEASE", "value": "canary-2"}])
    );
    let diff = before.diff(&after);
    assert_eq!(
        diff.paths,
        [
            "containerDefinitions[web].environment[DB].value",
            "containerDefinitions[web].environment[RELEASE]"
        ]
    );
    assert!(!format!("{diff:?} {after:?}").contains("canary"));
}

#[test]
fn a_file_that_leaves_empty_things_out_is_no_change() {
    let described = parse(&described());
    let file = parse(&json!({
        "family": "web",
        "containerDefinitions": [
            {"image": "shop/proxy:3", "name": "proxy", "essential": false, "aFieldOf2031": {"x": [null, 1.50]}},
            {"name": "web", "image": "shop/web:1", "essential": true, "cpu": 0, "volumesFrom": [],
             "environment": [{"name": "DB", "value": "hunter2"}, {"name": "EMPTY", "value": ""}],
             "healthCheck": {"command": ["CMD", "/ok"]},
             "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/g", "awslogs-stream-prefix": "p", "splunk-tag": ""}}}
        ]
    }))
    .with_tags_of(&described);
    assert!(described.diff(&file).is_empty(), "{:?}", described.diff(&file));
}

#[test]
fn an_empty_text_is_not_nothing() {
    let with = parse(&json!({"containerDefinitions": [{"name": "web", "user": ""}]}));
    let without = parse(&json!({"containerDefinitions": [{"name": "web"}]}));
    assert_eq!(with.diff(&without).paths, ["containerDefinitions[web].user"]);
}

#[test]
fn bad_documents_and_unknown_containers_are_told_apart() {
    let error = |text: &str| TaskDefinition::parse(text.as_bytes()).unwrap_err();
    assert!(matches!(error("{"), TaskDefinitionError::Parse(_)));
    assert!(matches!(error("[]"), TaskDefinitionError::NotAnObject));
    assert!(matches!(
        error(r#"{"taskDefinition": 1}"#),
        TaskDefinitionError::NotAnObject
    ));
    assert!(matches!(
        error(r#"{"family": "web"}"#),
        TaskDefinitionError::NoContainers
    ));
    let unknown = parse(&described())
        .with_images(&images(&[("wep", "a/b")]))
        .unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "the task definition has no container `wep`, only `web`, `proxy`"
    );
    let nothing = parse(&described()).with_images(&BTreeMap::new()).unwrap_err();
    assert!(matches!(nothing, TaskDefinitionError::NothingReplaced));
}

#[test]
fn health_checks_and_essentials_are_read() {
    let definition = parse(&described());
    assert_eq!(
        (
            definition.has_health_check("web"),
            definition.has_health_check("proxy")
        ),
        (true, false)
    );
    assert_eq!(
        (definition.is_essential("web"), definition.is_essential("proxy")),
        (true, false)
    );
}

/// Any JSON, empty values and odd names included.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|number| json!(number)),
        ".{0,6}".prop_map(Value::String),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map("[a-zA-Z0-9 ]{0,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_object() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map("[a-zA-Z]{1,8}", any_json(), 0..5).prop_map(|map| map.into_iter().collect())
}

proptest! {
    #[test]
    fn any_task_definition_comes_back_equal_but_for_images_and_read_only_keys(
        mut outer in any_object(),
        containers in prop::collection::vec(any_object(), 1..4),
        wrapped in any::<bool>(),
    ) {
        outer.remove("taskDefinition");
        let mut list: Vec<Value> = Vec::new();
        for (at, mut container) in containers.into_iter().enumerate() {
            container.insert("name".to_owned(), json!(format!("c{at}")));
            container.insert("image".to_owned(), json!("old"));
            list.push(Value::Object(container));
        }
        outer.insert("containerDefinitions".to_owned(), Value::Array(list));
        let mut described = outer.clone();
        for key in READ_ONLY {
            outer.remove(key);
            described.insert(key.to_owned(), json!([key]));
        }
        let document = if wrapped { json!({"taskDefinition": described}) } else { Value::Object(described) };
        let image = format!("shop/web@{DIGEST}");
        let sent = parse(&document).with_images(&images(&[("c0", &image)])).unwrap().to_json();
        outer["containerDefinitions"][0]["image"] = json!(image);
        prop_assert_eq!(serde_json::from_slice::<Value>(&sent).unwrap(), Value::Object(outer));
    }
}
