//! Action types on the wire: what is asked of CodePipeline, and what is told when it says no.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use crate::cli::{Bench, with_keys};
use crate::responder::{Answer, Asked, error, ok, serve};
use crate::sandbox_support::{REGION, clients, start};
use crate::wire_pipeline::let_pass;
use serde_json::{Value, json};
use slipway::pipeline::action_type::{LogLink, Place, Standing, define, standing};
use slipway::pipeline::registration::ActionTypes;
use std::process::Output;
use std::sync::{Arc, Mutex};

/// What ListActionTypes shows of a type that was registered with `request`, as AWS does: more than was said.
fn listed(request: &Value) -> Value {
    let mut properties = request["configurationProperties"].as_array().unwrap().clone();
    properties.push(json!({"name": "JobList", "required": false, "key": false, "secret": false}));
    json!({
        "id": {
            "category": request["category"], "owner": "Custom",
            "provider": request["provider"], "version": request["version"],
        },
        "settings": request["settings"],
        "actionConfigurationProperties": properties,
        "inputArtifactDetails": request["inputArtifactDetails"],
        "outputArtifactDetails": request["outputArtifactDetails"],
    })
}

/// CodePipeline's action types, one a page.
#[derive(Clone, Default)]
struct Types(Arc<Mutex<Vec<Value>>>);

impl Types {
    fn answer(&self, operation: &str, input: &Value) -> Answer {
        let mut types = self.0.lock().unwrap();
        match operation {
            "ListActionTypes" => {
                assert_eq!(input["actionOwnerFilter"], "Custom");
                let at: usize = input["nextToken"]
                    .as_str()
                    .map_or(0, |token| token.parse().unwrap());
                let page: Vec<&Value> = types.iter().skip(at).take(1).collect();
                let next = (at + 1 < types.len()).then(|| (at + 1).to_string());
                let mut body = json!({"actionTypes": page});
                if let Some(next) = next {
                    body["nextToken"] = next.into();
                }
                ok(body)
            }
            "CreateCustomActionType" => {
                types.push(listed(input));
                ok(json!({"actionType": listed(input)}))
            }
            "DeleteCustomActionType" => {
                let is_it = |it: &Value| {
                    ["category", "provider", "version"]
                        .iter()
                        .all(|name| it["id"][name] == input[name])
                };
                types.retain(|it| !is_it(it));
                ok(json!({}))
            }
            other => panic!("{other}"),
        }
    }
}

async fn run(endpoint: &str, line: &'static str) -> Output {
    let bench = with_keys(Bench::new(), endpoint);
    tokio::task::spawn_blocking(move || bench.run(line))
        .await
        .unwrap()
}

fn texts(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

async fn serve_types(types: &Types) -> (String, Asked) {
    let types = types.clone();
    serve(move |operation, input, _| types.answer(operation, input)).await
}

#[tokio::test]
async fn both_types_are_registered_once_and_then_found() {
    let (endpoint, asked) = serve_types(&Types::default()).await;
    let names = "Build/Slipway/1\nDeploy/Slipway/1\n";
    let (code, out, err) = texts(&run(&endpoint, "action-type register").await);
    assert_eq!((code, out.as_str()), (0, names), "{err}");
    assert!(
        err.contains("registered Deploy/Slipway/1 in eu-west-1\n"),
        "{err}"
    );
    let (code, out, err) = texts(&run(&endpoint, "action-type register").await);
    assert_eq!((code, out.as_str()), (0, names), "{err}");
    assert!(err.contains("already, with the same definition"), "{err}");
    assert_eq!(asked.times("CreateCustomActionType"), 2);
    let (code, out, _) = texts(&run(&endpoint, "action-type list --log-group /other").await);
    let standings: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["standing"].clone())
        .collect();
    // The log of a build is elsewhere than it was registered; a deploy has none.
    assert_eq!((code, standings), (0, vec![json!("differs"), json!("same")]));
}

#[tokio::test]
async fn another_definition_is_never_touched_and_the_next_version_is_told() {
    let types = Types::default();
    let (endpoint, asked) = serve_types(&types).await;
    assert_eq!(
        run(&endpoint, "action-type register --category deploy --version 4")
            .await
            .status
            .code(),
        Some(0)
    );
    assert_eq!(
        run(&endpoint, "action-type register --category deploy")
            .await
            .status
            .code(),
        Some(0)
    );
    types.0.lock().unwrap()[1]["actionConfigurationProperties"][1]["required"] = json!(true);
    let (code, out, err) = texts(&run(&endpoint, "action-type register").await);
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    for said in [
        "the action type Deploy/Slipway/1 is registered with another definition",
        "| Deploy/Slipway/1: property `Path`: required: registered yes, wanted no",
        "`--version 5`",
        "left: nothing was registered",
    ] {
        assert!(err.contains(said), "{said}: {err}");
    }
    // Not even the other type, which would have been free.
    assert_eq!(asked.times("CreateCustomActionType"), 2);
}

#[tokio::test]
async fn an_answer_that_is_lost_is_looked_for_and_a_used_version_is_told() {
    let types = Types::default();
    let held = types.clone();
    let (endpoint, _) = serve(move |operation, input, _: &Asked| match operation {
        "CreateCustomActionType" if input["version"] == "1" => {
            held.answer(operation, input);
            // What AWS says of a second attempt of the SDK, whose first one had taken effect.
            error("InvalidActionDeclarationException", "the type exists")
        }
        "CreateCustomActionType" => error("ValidationException", "the version was used before"),
        _ => held.answer(operation, input),
    })
    .await;
    let (code, out, err) = texts(&run(&endpoint, "action-type register --category build").await);
    assert_eq!((code, out.as_str()), (0, "Build/Slipway/1\n"), "{err}");
    let (code, _, err) = texts(&run(&endpoint, "action-type register --category build --version 2").await);
    assert_eq!(code, 12, "{err}");
    for said in [
        "the version was used before",
        "is not listed",
        "`--version 3`",
        "left: nothing was registered",
    ] {
        assert!(err.contains(said), "{said}: {err}");
    }
}

#[tokio::test]
async fn a_denied_registration_names_the_permission() {
    let (endpoint, _) = serve(|operation, _, _: &Asked| match operation {
        "ListActionTypes" => ok(json!({"actionTypes": []})),
        _ => error("AccessDeniedException", "not authorized to perform"),
    })
    .await;
    let (code, _, err) = texts(&run(&endpoint, "action-type register").await);
    assert_eq!(code, 12, "{err}");
    assert!(
        err.contains("allow `codepipeline:CreateCustomActionType`"),
        "{err}"
    );
}

#[tokio::test]
async fn a_type_is_deleted_when_it_is_confirmed_and_there() {
    let types = Types::default();
    let (endpoint, asked) = serve_types(&types).await;
    let absent = run(&endpoint, "action-type delete Deploy/Slipway/1 --yes").await;
    let (code, _, err) = texts(&absent);
    assert_eq!(code, 2, "{err}");
    assert!(
        err.contains("Deploy/Slipway/1 is not registered in this region"),
        "{err}"
    );
    assert_eq!(
        run(&endpoint, "action-type register").await.status.code(),
        Some(0)
    );
    let unconfirmed = run(&endpoint, "action-type delete Deploy/Slipway/1").await;
    assert_eq!(
        (unconfirmed.status.code(), asked.times("DeleteCustomActionType")),
        (Some(2), 0)
    );
    let (code, _, err) = texts(&run(&endpoint, "action-type delete Deploy/Slipway/1 --yes").await);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("warning: deleted Deploy/Slipway/1"), "{err}");
    assert_eq!(types.0.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_sandbox_takes_both_types_and_never_another_definition_of_one() {
    let sandbox = start("").await;
    let types = ActionTypes::of(&clients(&sandbox).await);
    let place = Place::in_region(REGION);
    let of = |id: &str, log: &LogLink| define(id.parse().unwrap(), &place, log);
    for id in ["Build/Slipway/1", "Deploy/Slipway/1"] {
        let definition = of(id, &LogLink::default());
        assert_eq!(
            standing(&definition, &types.list().await.unwrap()),
            Standing::Absent
        );
        types.create(&definition).await.unwrap();
        assert_eq!(
            standing(&definition, &types.list().await.unwrap()),
            Standing::Same,
            "{id}"
        );
    }
    let other = of("Build/Slipway/1", &LogLink::Group("/elsewhere".to_owned()));
    assert!(types.create(&other).await.unwrap_err().is_refusal());
    let_pass(&sandbox, 60).await;
    types.delete(&other.id).await.unwrap();
    assert_eq!(standing(&other, &types.list().await.unwrap()), Standing::Absent);
    // Its version is used up, but for the very definition that it had.
    assert!(types.create(&other).await.unwrap_err().is_refusal());
    types
        .create(&of("Build/Slipway/1", &LogLink::default()))
        .await
        .unwrap();
}
