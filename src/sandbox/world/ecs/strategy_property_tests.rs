//! Whatever goes wrong in a deployment with two revisions: traffic is always whole, and goes only where tasks run.

use super::timeline::Timeline;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Something that happens during a deployment, at a second of it.
#[derive(Debug, Clone, Copy)]
enum Act {
    Alarm,
    Stop,
    Update,
    StopTask,
}

#[derive(Debug, Clone)]
struct Story {
    configuration: Value,
    desired: u32,
    scenario: String,
    /// Whether the new revision can come up, or is given up at last.
    ends: bool,
    acts: Vec<(u64, Act)>,
}

fn story() -> impl Strategy<Value = Story> {
    let shift = prop_oneof![
        Just(json!({ "strategy": "BLUE_GREEN" })),
        (30_u32..=1000, 0_u32..3).prop_map(|(tenths, minutes)| {
            let step = json!({ "stepPercent": f64::from(tenths) / 10.0, "stepBakeTimeInMinutes": minutes });
            json!({ "strategy": "LINEAR", "linearConfiguration": step })
        }),
        (1_u32..=1000, 0_u32..3).prop_map(|(tenths, minutes)| {
            let canary =
                json!({ "canaryPercent": f64::from(tenths) / 10.0, "canaryBakeTimeInMinutes": minutes });
            json!({ "strategy": "CANARY", "canaryConfiguration": canary })
        }),
    ];
    let stages = prop::sample::select(vec![
        "PRE_SCALE_UP",
        "POST_SCALE_UP",
        "TEST_TRAFFIC_SHIFT",
        "PRE_PRODUCTION_TRAFFIC_SHIFT",
        "PRODUCTION_TRAFFIC_SHIFT",
        "POST_PRODUCTION_TRAFFIC_SHIFT",
    ]);
    let outcomes = prop::sample::select(vec!["succeeds", "fails", "hangs"]);
    let hook = prop::option::of((
        stages,
        outcomes,
        prop::sample::select(vec!["CONTINUE", "ROLLBACK"]),
    ));
    let act = prop_oneof![
        Just(Act::Alarm),
        Just(Act::Stop),
        Just(Act::Update),
        Just(Act::StopTask)
    ];
    let acts = prop::collection::vec((0_u64..90, act), 0..4);
    (shift, 0_u32..3, 1_u32..4, hook, 0_u8..4, any::<bool>(), acts).prop_map(
        |(mut configuration, bake, desired, hook, fate, breaker, acts)| {
            configuration["bakeTimeInMinutes"] = json!(bake);
            configuration["alarms"] = json!({ "alarmNames": ["a"], "enable": true, "rollback": true });
            configuration["deploymentCircuitBreaker"] = json!({ "enable": breaker, "rollback": true });
            let mut scenario = String::new();
            if let Some((stage, outcome, action)) = hook {
                configuration["lifecycleHooks"] = json!([{
                    "hookTargetArn": "arn:aws:lambda:eu-west-1:000000000000:function:f",
                    "roleArn": "arn:aws:iam::000000000000:role/r", "lifecycleStages": [stage],
                    "timeoutConfiguration": { "timeoutInMinutes": 2, "action": action },
                }]);
                scenario = format!("[[hook]]\noutcome = \"{outcome}\"\n");
            }
            let broken = fate == 0;
            if broken {
                scenario += "[[fate]]\nrevision = 2\ncrash = { after-seconds = 1 }\n";
            }
            Story {
                configuration,
                desired,
                scenario,
                ends: breaker || !broken,
                acts: acts.into_iter().map(|(tens, act)| (tens * 10, act)).collect(),
            }
        },
    )
}

/// The weights and running tasks of the revisions that the newest service deployment knows.
fn revisions(record: &Value) -> Vec<(f64, u64)> {
    let sources = record["sourceServiceRevisions"].as_array().unwrap().iter();
    sources
        .chain([&record["targetServiceRevision"]])
        .map(|one| {
            let weight = one["requestedProductionTrafficWeight"].as_f64().unwrap();
            (weight, one["runningTaskCount"].as_u64().unwrap())
        })
        .collect()
}

/// Plays a story and says what it came to.
fn play(story: &Story) -> Result<(), TestCaseError> {
    let mut first = story.configuration.clone();
    first.as_object_mut().unwrap().remove("lifecycleHooks");
    let mut timeline = Timeline::serving(
        &story.scenario,
        story.desired,
        json!({ "deploymentConfiguration": first }),
    );
    timeline.update(json!({ "deploymentConfiguration": story.configuration }));
    // A task that somebody stops is missing for a while.
    let mut missing_until = 0;
    for second in (0..7200_u64).step_by(10) {
        for (_, act) in story.acts.iter().filter(|(at, _)| *at == second) {
            match act {
                Act::Alarm => timeline.set_alarm("a", true),
                Act::Update => {
                    timeline.update(json!({}));
                }
                Act::Stop => {
                    let arn = timeline.service_deployment()["serviceDeploymentArn"].clone();
                    // One that is over can not be stopped.
                    let _ = timeline.ask("StopServiceDeployment", json!({ "serviceDeploymentArn": arn }));
                }
                Act::StopTask => {
                    let task = timeline.tasks()[0]["taskArn"].clone();
                    timeline.call("StopTask", json!({ "task": task }));
                    missing_until = second + 200;
                }
            }
        }
        let record = timeline.service_deployment();
        let revisions = revisions(&record);
        let sum: f64 = revisions.iter().map(|(weight, _)| weight).sum();
        prop_assert!(
            (sum - 100.0).abs() < 1e-6,
            "{second}: {revisions:?} of {record:#}"
        );
        for (weight, running) in revisions {
            let enough = running >= u64::from(story.desired) || second < missing_until;
            prop_assert!(
                weight < 0.05 || enough,
                "{second}: {weight} % to {running} tasks: {record:#}"
            );
        }
        let over = ["SUCCESSFUL", "ROLLBACK_SUCCESSFUL"].contains(&record["status"].as_str().unwrap());
        if record["status"] == "SUCCESSFUL" {
            let weight = &record["targetServiceRevision"]["requestedProductionTrafficWeight"];
            prop_assert_eq!(weight, 100.0);
        }
        if over && second > 1000.max(missing_until) {
            break;
        }
        timeline.pass(10);
    }
    let record = timeline.service_deployment();
    if story.ends {
        let status = record["status"].as_str().unwrap();
        let over = ["SUCCESSFUL", "ROLLBACK_SUCCESSFUL"].contains(&status);
        prop_assert!(over, "{record:#}\n{:#?}", timeline.events());
        prop_assert_eq!(&timeline.service()["runningCount"], story.desired);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn traffic_is_always_whole_and_goes_only_where_tasks_run(story in story()) {
        play(&story)?;
    }
}
