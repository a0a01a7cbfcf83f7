//! Custom action types: what may be declared, listed, deleted and restored.

use super::tests::{Bench, action_type, type_id};
use serde_json::{Value, json};

/// An action type with one member changed, by its JSON pointer.
fn changed(pointer: &str, value: Value) -> Value {
    let mut input = action_type("Build", 1);
    *input.pointer_mut(pointer).unwrap() = value;
    input
}

#[test]
fn an_action_type_is_what_was_declared_and_nothing_more() {
    let mut bench = Bench::bare();
    let answer = bench.good("CreateCustomActionType", &action_type("Build", 1));
    let mut expected = action_type("Build", 1);
    let properties = expected["configurationProperties"].as_array_mut().unwrap();
    for property in properties.iter_mut().skip(1) {
        property["queryable"] = json!(false);
    }
    let made = &answer["actionType"];
    assert_eq!(made["id"], type_id("Build"));
    assert_eq!(
        made["actionConfigurationProperties"],
        expected["configurationProperties"]
    );
    for member in ["settings", "inputArtifactDetails", "outputArtifactDetails"] {
        assert_eq!(made[member], expected[member], "{member}");
    }
    assert_eq!(made.as_object().unwrap().len(), 5);
    assert!(answer.get("tags").is_none());
}

#[test]
fn what_is_no_action_type_is_refused() {
    let property = |name: &str, required: bool, secret: bool, queryable: bool| json!({ "name": name, "required": required, "key": false, "secret": secret, "queryable": queryable });
    let many: Vec<Value> = (0..11)
        .map(|n| property(&format!("P{n}"), false, false, false))
        .collect();
    let none = json!({ "minimumCount": 1, "maximumCount": 0 });
    for (input, says) in [
        (changed("/category", json!("Bild")), "'Bild' at 'category'"),
        (changed("/provider", json!("Slip way")), "pattern: [0-9A-Za-z_-]+"),
        (
            changed("/provider", json!("x".repeat(36))),
            "length less than or equal to 35",
        ),
        (
            changed("/version", json!("1234567890")),
            "length less than or equal to 9",
        ),
        (
            changed("/settings/entityUrlTemplate", json!("")),
            "'settings.entityUrlTemplate'",
        ),
        (
            changed("/configurationProperties", json!(many)),
            "length less than or equal to 10",
        ),
        (
            changed("/configurationProperties/0/name", json!("x".repeat(51))),
            "'configurationProperties.1.member.name'",
        ),
        (
            changed("/configurationProperties/0/required", json!(null)),
            "Value null at 'configurationProperties.1.member.required'",
        ),
        (
            changed("/configurationProperties/2/type", json!("Text")),
            "enum value set: [String, Number, Boolean]",
        ),
        (
            changed(
                "/configurationProperties/0",
                property("Fleet", false, false, true),
            ),
            "must be required and must not be secret",
        ),
        (
            changed("/configurationProperties/0", property("Fleet", true, true, true)),
            "must be required and must not be secret",
        ),
        (
            changed("/configurationProperties/1", property("Team", true, false, true)),
            "at most one queryable",
        ),
        (
            changed(
                "/configurationProperties/1",
                property("Fleet", true, false, false),
            ),
            "more than once",
        ),
        (
            changed("/settings/entityUrlTemplate", json!("https://x/{Config:Secrets}")),
            "'Secrets' is not a configuration property that is required and not secret",
        ),
        (
            changed("/settings/entityUrlTemplate", json!("https://x/{Id}")),
            "'{Id}' is not known",
        ),
        (
            changed("/settings/entityUrlTemplate", json!("https://x/{")),
            "not closed",
        ),
        (
            changed("/inputArtifactDetails/maximumCount", json!(6)),
            "less than or equal to 5",
        ),
        (
            changed("/inputArtifactDetails", json!(null)),
            "Value null at 'inputArtifactDetails'",
        ),
        (
            changed("/outputArtifactDetails", none),
            "greater than the maximum count",
        ),
    ] {
        let refused = Bench::bare().refused("CreateCustomActionType", &input);
        let validation = refused.starts_with("ValidationException: ");
        assert!(validation && refused.contains(says), "{says}: {refused}");
    }
}

#[test]
fn tags_are_shown_once_and_checked() {
    let mut input = action_type("Build", 1);
    input["tags"] = json!([{ "key": "team", "value": "shop" }]);
    let answer = Bench::bare().good("CreateCustomActionType", &input);
    assert_eq!(answer["tags"], input["tags"]);
    let many: Vec<Value> = (0..51)
        .map(|n| json!({ "key": format!("k{n}"), "value": "" }))
        .collect();
    for (tags, code) in [
        (json!(many), "TooManyTagsException"),
        (json!([{ "key": "aws:x", "value": "" }]), "InvalidTagsException"),
        (
            json!([{ "key": "x", "value": "" }, { "key": "x", "value": "1" }]),
            "InvalidTagsException",
        ),
        (json!([{ "value": "" }]), "ValidationException"),
    ] {
        input["tags"] = tags;
        assert_eq!(Bench::bare().code("CreateCustomActionType", &input), code);
    }
}

#[test]
fn a_version_is_used_once_and_restored_only_as_it_was() {
    let mut bench = Bench::bare();
    let same = action_type("Build", 1);
    bench.good("CreateCustomActionType", &same);
    assert_eq!(bench.code("CreateCustomActionType", &same), "ValidationException");

    let id = json!({ "category": "Build", "provider": "Slipway", "version": "1" });
    bench.good("DeleteCustomActionType", &id);
    let poll = json!({ "actionTypeId": type_id("Build"), "queryParam": { "Fleet": "blue" } });
    assert_eq!(
        bench.refused("PollForJobs", &poll),
        "ActionTypeNotFoundException: ActionType (Category: 'Build', Owner: 'Custom', Provider: 'Slipway', Version: '1') \
         is not available"
    );
    assert_eq!(bench.code("DeleteCustomActionType", &id), "ValidationException");
    assert_eq!(
        bench.good("ListActionTypes", &json!({ "actionOwnerFilter": "Custom" }))["actionTypes"],
        json!([])
    );

    let other = changed("/outputArtifactDetails/maximumCount", json!(2));
    assert!(
        bench
            .refused("CreateCustomActionType", &other)
            .contains("has never been used")
    );
    bench.good("CreateCustomActionType", &same);
    assert_eq!(bench.good("PollForJobs", &poll)["jobs"], json!([]));
}

#[test]
fn an_account_has_fifty_custom_action_types() {
    let mut bench = Bench::bare();
    let version = |n: usize| changed("/version", json!(n.to_string()));
    for n in 0..50 {
        bench.good("CreateCustomActionType", &version(n));
    }
    assert_eq!(
        bench.code("CreateCustomActionType", &version(50)),
        "LimitExceededException"
    );
    let id = json!({ "category": "Build", "provider": "Slipway", "version": "7" });
    bench.good("DeleteCustomActionType", &id);
    bench.good("CreateCustomActionType", &version(50));
}

#[test]
fn a_listing_is_filtered_by_owner_and_region_and_comes_in_pages() {
    let mut bench = Bench::bare();
    for n in 0..25 {
        bench.good(
            "CreateCustomActionType",
            &changed("/version", json!(n.to_string())),
        );
    }
    let mut count = |filter: Value| {
        let (mut input, mut found) = (filter, 0);
        loop {
            let answer = bench.good("ListActionTypes", &input);
            found += answer["actionTypes"].as_array().unwrap().len();
            match answer.get("nextToken") {
                None => return found,
                Some(token) => input["nextToken"] = token.clone(),
            }
        }
    };
    assert_eq!(count(json!({})), 26);
    assert_eq!(count(json!({ "actionOwnerFilter": "Custom" })), 25);
    assert_eq!(count(json!({ "actionOwnerFilter": "AWS" })), 1);
    assert_eq!(count(json!({ "regionFilter": "eu-west-1" })), 26);
    assert_eq!(count(json!({ "regionFilter": "us-east-1" })), 1);
    let first = bench.good("ListActionTypes", &json!({}));
    assert_eq!(first["actionTypes"].as_array().unwrap().len(), 20);
    assert_eq!(
        bench.code("ListActionTypes", &json!({ "nextToken": "%" })),
        "InvalidNextTokenException"
    );
}
