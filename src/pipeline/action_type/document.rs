//! Action types as AWS's own tools read them.

use super::definition::{Counts, Definition, Property};
use serde_json::{Map, Value, json};

/// The input of CreateCustomActionType: `aws codepipeline create-custom-action-type --cli-input-json` takes it.
#[must_use]
pub fn request(definition: &Definition) -> Value {
    let Definition { id, shape } = definition;
    let mut request = json!({
        "category": id.category.word(),
        "provider": id.provider,
        "version": id.version,
    });
    let settings = settings(definition, str::to_owned, Value::String);
    if !settings.is_empty() {
        request["settings"] = settings.into();
    }
    let property = |property: &Property| {
        let mut object = json!({
            "name": property.name,
            "required": property.required,
            "key": property.key,
            "secret": property.secret,
            "queryable": property.queryable,
        });
        if let Some(description) = &property.description {
            object["description"] = json!(description);
        }
        object["type"] = json!(property.kind.word());
        object
    };
    request["configurationProperties"] = shape.properties.iter().map(property).collect();
    let counts = |counts: Counts| json!({ "minimumCount": counts.least, "maximumCount": counts.most });
    request["inputArtifactDetails"] = counts(shape.inputs);
    request["outputArtifactDetails"] = counts(shape.outputs);
    request
}

/// A CloudFormation template with one `AWS::CodePipeline::CustomActionType` for each type.
///
/// The resources are kept when the stack goes: a version that was deleted can never be registered again with another
/// definition.
#[must_use]
pub fn cloudformation(definitions: &[Definition]) -> Value {
    let mut resources = Map::new();
    for definition in definitions {
        let name = format!("Slipway{}", definition.id.category.word());
        resources.insert(name, resource(definition));
    }
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "The custom actions that Slipway's workers do, in this region.",
        "Resources": resources,
    })
}

fn resource(definition: &Definition) -> Value {
    let Definition { id, shape } = definition;
    let mut properties = json!({
        "Category": id.category.word(),
        "Provider": id.provider,
        "Version": id.version,
    });
    let settings = settings(definition, capitalised, |url| {
        if url.contains("${AWS::Region}") {
            json!({ "Fn::Sub": url })
        } else {
            json!(url)
        }
    });
    if !settings.is_empty() {
        properties["Settings"] = settings.into();
    }
    let property = |property: &Property| {
        let mut object = json!({
            "Name": property.name,
            "Required": property.required,
            "Key": property.key,
            "Secret": property.secret,
            "Queryable": property.queryable,
        });
        if let Some(description) = &property.description {
            object["Description"] = json!(description);
        }
        object["Type"] = json!(property.kind.word());
        object
    };
    properties["ConfigurationProperties"] = shape.properties.iter().map(property).collect();
    let counts = |counts: Counts| json!({ "MinimumCount": counts.least, "MaximumCount": counts.most });
    properties["InputArtifactDetails"] = counts(shape.inputs);
    properties["OutputArtifactDetails"] = counts(shape.outputs);
    json!({
        "Type": "AWS::CodePipeline::CustomActionType",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": properties,
    })
}

fn settings(
    definition: &Definition,
    name: impl Fn(&str) -> String,
    value: impl Fn(String) -> Value,
) -> Map<String, Value> {
    let urls = &definition.shape.urls;
    let named = [
        ("thirdPartyConfigurationUrl", &urls.third_party),
        ("entityUrlTemplate", &urls.entity),
        ("executionUrlTemplate", &urls.execution),
        ("revisionUrlTemplate", &urls.revision),
    ];
    named
        .into_iter()
        .filter_map(|(of, url)| Some((name(of), value(url.clone()?))))
        .collect()
}

fn capitalised(name: &str) -> String {
    let mut chars = name.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{cloudformation, request};
    use crate::pipeline::action_type::{LogLink, Place, define};

    #[test]
    fn a_request_has_the_members_of_the_api() {
        let id = "Deploy/Slipway/3".parse().unwrap();
        let request = request(&define(id, &Place::in_region("eu-west-1"), &LogLink::default()));
        assert_eq!(
            (&request["category"], &request["version"]),
            (&"Deploy".into(), &"3".into())
        );
        let url = request["settings"]["executionUrlTemplate"].as_str().unwrap();
        assert!(url.starts_with("https://eu-west-1.console.aws.amazon.com/ecs/v2/{ExternalExecutionId}/"));
        assert_eq!(
            request["configurationProperties"][0].to_string(),
            "{\"name\":\"Fleet\",\"required\":true,\"key\":true,\"secret\":false,\"queryable\":true,\"description\":\
             \"Which workers take the job: those that were started with --fleet and this value, such as default.\",\
             \"type\":\"String\"}"
        );
        assert_eq!(
            request["inputArtifactDetails"].to_string(),
            "{\"minimumCount\":1,\"maximumCount\":5}"
        );
    }

    #[test]
    fn a_template_without_a_region_leaves_it_to_the_stack() {
        let definitions = ["Build/Slipway/1", "Deploy/Slipway/1"]
            .map(|id| define(id.parse().unwrap(), &Place::of_the_stack(), &LogLink::default()));
        let template = cloudformation(&definitions);
        let deploy = &template["Resources"]["SlipwayDeploy"];
        assert_eq!(deploy["Type"], "AWS::CodePipeline::CustomActionType");
        let url = &deploy["Properties"]["Settings"]["ExecutionUrlTemplate"]["Fn::Sub"];
        assert!(url.as_str().unwrap().contains("?region=${AWS::Region}"), "{url}");
        let fixed = cloudformation(&[define(
            "Build/Slipway/1".parse().unwrap(),
            &Place::in_region("eu-west-1"),
            &LogLink::default(),
        )]);
        assert!(!fixed.to_string().contains("Fn::Sub"));
    }
}
