//! Pipelines: what may be declared, and how a declaration is shown.

use super::tests::{Bench, action, action_type, pipeline, source};
use serde_json::{Value, json};

fn create(pipeline: &Value) -> Result<Value, String> {
    let mut bench = Bench::bare();
    bench.register();
    bench
        .call("CreatePipeline", &json!({ "pipeline": pipeline }))
        .map_err(|error| error.to_string())
}

/// The pipeline with one member changed or added, by its JSON pointer.
fn changed(pointer: &str, value: Value) -> Value {
    let mut changed = pipeline("SUPERSEDED");
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match changed.pointer_mut(parent).unwrap() {
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
        object => object[name] = value,
    }
    changed
}

#[test]
fn a_declaration_comes_back_with_its_defaults_and_without_its_secrets() {
    let shown = create(&pipeline("QUEUED")).unwrap();
    let shown = &shown["pipeline"];
    assert_eq!(
        (&shown["version"], &shown["executionMode"], &shown["pipelineType"]),
        (&json!(1), &json!("QUEUED"), &json!("V2"))
    );
    let build = &shown["stages"][1]["actions"][0];
    assert_eq!(build["runOrder"], json!(1));
    assert_eq!(build["configuration"]["Secrets"], json!("*****"));
    assert_eq!(build["configuration"]["Fleet"], json!("blue"));
    assert!(
        build["configuration"]["Commit"]
            .as_str()
            .unwrap()
            .starts_with("#{Source.ETag}")
    );
    assert_eq!(build["namespace"], json!("Build"));
    assert_eq!(shown["artifactStore"], pipeline("QUEUED")["artifactStore"]);

    let mut least = pipeline("SUPERSEDED");
    for member in ["executionMode", "pipelineType"] {
        least.as_object_mut().unwrap().remove(member);
    }
    let shown = create(&least).unwrap();
    assert_eq!(
        (
            &shown["pipeline"]["executionMode"],
            &shown["pipeline"]["pipelineType"]
        ),
        (&json!("SUPERSEDED"), &json!("V1"))
    );
}

#[test]
fn an_artifact_store_is_one_or_one_per_region() {
    let store = json!({ "type": "S3", "location": "artifacts" });
    let mut regional = pipeline("SUPERSEDED");
    regional.as_object_mut().unwrap().remove("artifactStore");
    assert!(create(&regional).unwrap_err().contains("exactly one of"));
    regional["artifactStores"] = json!({ "us-east-1": store });
    assert!(create(&regional).unwrap_err().contains("exactly one of"));
    regional["artifactStores"] = json!({ "eu-west-1": store });
    let shown = create(&regional).unwrap();
    assert_eq!(shown["pipeline"]["artifactStores"]["eu-west-1"], store);
    regional["artifactStore"] = store;
    assert!(create(&regional).unwrap_err().contains("exactly one of"));
}

#[test]
fn what_is_no_pipeline_is_refused() {
    let invalid = "ValidationException: ";
    let structure = "InvalidStructureException: ";
    let of_stage = "InvalidStageDeclarationException: ";
    let of_action = "InvalidActionDeclarationException: ";
    let build = |inputs: &[&str], outputs: &[&str]| action("Again", "Build", inputs, outputs);
    let with = |action: Value| {
        let mut changed = pipeline("SUPERSEDED");
        changed["stages"][1]["actions"]
            .as_array_mut()
            .unwrap()
            .push(action);
        changed
    };
    let configured = |name: &str, value: &str| {
        let mut action = build(&["SourceOutput"], &[]);
        action["configuration"][name] = json!(value);
        with(action)
    };
    let extended = |name: &str, value: Value| {
        let mut action = build(&["SourceOutput"], &[]);
        action[name] = value;
        with(action)
    };
    let mut unqueried = build(&["SourceOutput"], &[]);
    unqueried["configuration"]
        .as_object_mut()
        .unwrap()
        .remove("Fleet");
    let mut elsewhere = build(&["SourceOutput"], &[]);
    elsewhere["actionTypeId"]["version"] = json!("2");
    let mut old = pipeline("PARALLEL");
    old["pipelineType"] = json!("V1");
    let mut variable = pipeline("SUPERSEDED");
    variable["pipelineType"] = json!("V1");
    variable["variables"] = json!([{ "name": "a" }]);
    let many: Vec<Value> = (0..51)
        .map(|n| {
            let mut action = build(&["SourceOutput"], &[]);
            action["name"] = json!(format!("a{n}"));
            action
        })
        .collect();
    let same = json!({ "name": "Source", "actions": [build(&["SourceOutput"], &[])] });
    for (pipeline, code, says) in [
        (
            changed("/name", json!("my pipeline")),
            invalid,
            "'my pipeline' at 'pipeline.name'",
        ),
        (changed("/roleArn", json!("role")), invalid, "'pipeline.roleArn'"),
        (
            changed("/artifactStore/location", json!("x")),
            invalid,
            "greater than or equal to 3",
        ),
        (
            changed("/executionMode", json!("FIFO")),
            invalid,
            "[QUEUED, SUPERSEDED, PARALLEL]",
        ),
        (
            changed("/stages/1/actions/0/runOrder", json!(0)),
            invalid,
            "runOrder",
        ),
        (
            configured("Commit", ""),
            invalid,
            "Value at 'pipeline.stages.2.member.actions.2.member.configuration.Commit.member'",
        ),
        (
            configured("Commit", &"x".repeat(1001)),
            invalid,
            "less than or equal to 1000",
        ),
        (
            changed("/stages/1/onFailure", json!({ "result": "ROLLBACK" })),
            invalid,
            "does not imitate `onFailure`",
        ),
        (
            changed(
                "/stages/0/actions/0/configuration/PollForSourceChanges",
                json!("true"),
            ),
            invalid,
            "does not imitate `PollForSourceChanges`",
        ),
        (
            changed("/triggers", json!([])),
            invalid,
            "does not imitate `triggers`",
        ),
        (
            changed("/stages", json!([{ "name": "Source", "actions": [source()] }])),
            structure,
            "only 1 stage(s)",
        ),
        (
            changed("/stages/0/actions/0", build(&[], &[])),
            structure,
            "should start with a stage that only contains source",
        ),
        (
            changed("/stages/1/actions/0", source()),
            structure,
            "only be in the first stage",
        ),
        (changed("/stages/2", same), of_stage, "Stage names must be unique"),
        (changed("/stages/2/actions", json!([])), of_stage, "has 0 actions"),
        (
            changed("/stages/2/actions", json!(many)),
            of_stage,
            "has 51 actions",
        ),
        (
            with(action("Build", "Build", &["SourceOutput"], &[])),
            of_stage,
            "Action names must be unique",
        ),
        (
            with(elsewhere),
            of_action,
            "Version: '2') in action 'Again' is not available in region 'EU_WEST_1'",
        ),
        (
            with(build(&[], &[])),
            of_action,
            "Action Again declares 0 input artifacts which is less than the minimum count (1)",
        ),
        (
            with(build(&["SourceOutput"], &["A", "B"])),
            of_action,
            "2 output artifacts which is more than the maximum count (1)",
        ),
        (
            with(build(&["Nothing"], &[])),
            of_action,
            "Input Artifact Bundle Nothing in action Again is not declared",
        ),
        // An action of the same order does not precede.
        (
            with(build(&["Images"], &[])),
            of_action,
            "Input Artifact Bundle Images in action Again is not declared",
        ),
        (
            with(build(&["SourceOutput"], &["Images"])),
            structure,
            "Images has been used more than once",
        ),
        (
            with(unqueried),
            of_action,
            "is missing required configuration 'Fleet'",
        ),
        (
            configured("Colour", "red"),
            of_action,
            "contains unknown configuration 'Colour'",
        ),
        (
            configured("Fleet", "a b"),
            of_action,
            "queryable configuration 'Fleet'",
        ),
        (
            configured("Commit", "#{Nobody.CommitId}"),
            of_action,
            "namespace 'Nobody'",
        ),
        (
            configured("Commit", "#{Build.digest}"),
            of_action,
            "namespace 'Build'",
        ),
        (
            extended("roleArn", json!("arn:aws:iam::000000000000:role/x")),
            of_action,
            "does not support a role",
        ),
        (
            extended("region", json!("us-east-1")),
            of_action,
            "another region",
        ),
        (
            extended("namespace", json!("Source")),
            of_action,
            "already used or reserved",
        ),
        (
            extended("namespace", json!("codepipeline")),
            of_action,
            "already used or reserved",
        ),
        (
            old,
            structure,
            "type V1 do not support the execution mode PARALLEL",
        ),
        (variable, structure, "type V1 do not support variables"),
    ] {
        let refused = create(&pipeline).unwrap_err();
        assert!(
            refused.starts_with(code) && refused.contains(says),
            "{code}{says}: {refused}"
        );
        assert!(!refused.contains("canary"), "{refused}");
    }
    let refused = Bench::bare().refused("CreatePipeline", &json!({}));
    assert!(refused.contains("Value null at 'pipeline'"), "{refused}");
}

#[test]
fn a_later_action_of_the_stage_knows_the_outputs_and_variables_of_an_earlier_one() {
    let mut declared = pipeline("SUPERSEDED");
    let mut check = action("Check", "Build", &["Images"], &[]);
    check["runOrder"] = json!(2);
    check["configuration"]["Commit"] = json!("#{Build.digest}");
    let actions = declared["stages"][1]["actions"].as_array_mut().unwrap();
    // The order counts, and not the place in the list.
    actions.insert(0, check);
    assert!(create(&declared).is_ok());
}

#[test]
fn a_pipeline_has_a_name_of_its_own_until_it_is_deleted() {
    let (mut bench, execution) = Bench::with_job();
    let again = json!({ "pipeline": pipeline("SUPERSEDED") });
    assert_eq!(bench.code("CreatePipeline", &again), "PipelineNameInUseException");
    let named = json!({ "name": "shop" });
    let shown = bench.good("GetPipeline", &named);
    assert_eq!(
        shown["metadata"]["pipelineArn"],
        json!("arn:aws:codepipeline:eu-west-1:000000000000:shop")
    );
    assert!(!shown.to_string().contains("canary"));
    assert_eq!(
        bench.code("GetPipeline", &json!({ "name": "shop", "version": 2 })),
        "PipelineVersionNotFoundException"
    );
    let listed = bench.good("ListPipelines", &json!({}));
    assert_eq!(listed["pipelines"][0]["name"], json!("shop"));

    let job = bench.take("Build");
    bench.good("DeletePipeline", &named);
    bench.good("DeletePipeline", &named);
    let id = json!({ "jobId": job["id"] });
    for operation in ["GetJobDetails", "PutJobSuccessResult"] {
        assert_eq!(bench.code(operation, &id), "JobNotFoundException");
    }
    assert!(bench.poll("Build").is_empty());
    for (operation, input) in [
        ("GetPipeline", named.clone()),
        ("GetPipelineState", named.clone()),
        ("StartPipelineExecution", named),
        ("ListPipelineExecutions", json!({ "pipelineName": "shop" })),
        ("ListActionExecutions", json!({ "pipelineName": "shop" })),
        (
            "GetPipelineExecution",
            json!({ "pipelineName": "shop", "pipelineExecutionId": execution }),
        ),
    ] {
        assert_eq!(
            bench.code(operation, &input),
            "PipelineNotFoundException",
            "{operation}"
        );
    }
    bench.good("CreatePipeline", &again);
}

#[test]
fn only_a_source_of_aws_cannot_be_told_to_look_for_changes() {
    let mut pipeline = pipeline("SUPERSEDED");
    let configuration = pipeline
        .pointer_mut("/stages/0/actions/0/configuration")
        .and_then(Value::as_object_mut);
    configuration.unwrap().remove("PollForSourceChanges");
    create(&pipeline).unwrap();

    let mut own = action_type("Source", 1);
    own["inputArtifactDetails"] = json!({ "minimumCount": 0, "maximumCount": 0 });
    own["configurationProperties"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "name": "PollForSourceChanges", "required": false, "key": false, "secret": false }));
    let mut bench = Bench::bare();
    bench.register();
    bench.good("CreateCustomActionType", &own);
    let fetch = &mut pipeline["stages"][0]["actions"][0];
    fetch["actionTypeId"] =
        json!({ "category": "Source", "owner": "Custom", "provider": "Slipway", "version": "1" });
    fetch["configuration"] = json!({ "Fleet": "blue", "PollForSourceChanges": "true" });
    let shown = bench.good("CreatePipeline", &json!({ "pipeline": pipeline }));
    assert_eq!(
        shown["pipeline"]["stages"][0]["actions"][0]["configuration"]["PollForSourceChanges"],
        "true"
    );
}
