//! Values of environments in every text of a run and of a live explanation, where ECS itself says them; and names that
//! are values as well, which stay as they are.

use crate::explain::{explain_live, only};
use crate::oneoff;
use crate::recorded::{assert_same, capture, recording, several, told};
use crate::support::{Bench, CLUSTER, SERVICE, Setup, image, task_definition};
use serde_json::json;
use slipway::config::settings::OnFirstFailure;
use slipway::report::event::Event;
use slipway::shutdown::Shutdown;
use slipway::stage::deploy::{self, DeployPlan};
use slipway::stage::explain::{Standing, recorded};
use std::collections::BTreeMap;
use std::time::Duration;

const REASON: &str = "container-failure = \"CannotStartContainerError: cannot use CANARYhunter here\"\n";

/// Variables for one container of every service of a plan.
fn give(plan: &mut DeployPlan, container: &str, variables: &[(&str, &str)]) {
    let variables: BTreeMap<_, _> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned().into()))
        .collect();
    for service in &mut plan.services {
        service.env = BTreeMap::from([(container.parse().unwrap(), variables.clone())]);
    }
}

#[tokio::test]
async fn no_event_shows_a_value_that_ecs_says() {
    let scenario = format!(
        "[[fate]]\nfamily = \"service-00\"\nrevision = 2\ntasks = 1\n{REASON}\
         [[fate]]\nfamily = \"service-00\"\nrevision = 2\nnever-starts = true\n\
         [[fate]]\nfamily = \"service-01\"\nrevision = 2\n{REASON}"
    );
    let is_lost: fn(&Event) -> bool = |event| matches!(event, Event::Lost { .. });
    let is_unwatched: fn(&Event) -> bool = |event| matches!(event, Event::Unwatched { .. });
    for (first, timeout, is_told) in [
        (OnFirstFailure::FailFast, 900, is_unwatched),
        (OnFirstFailure::KeepGoing, 200, is_lost),
    ] {
        let (bench, mut plan) = several(&scenario, 2).await;
        plan.deploy.on_first_failure = first;
        plan.deploy.timeout = Duration::from_secs(timeout);
        give(&mut plan, "web", &[("DB_PASSWORD", "CANARYhunter")]);
        let failure = bench.deploy(&plan).await.unwrap_err();
        assert!(told(&failure).contains("cannot use [secret] here"), "{failure:?}");
        let events = bench.told();
        let is_masked = |event: &Event| format!("{event:?}").contains("[secret]");
        let is_waiting = |event: &Event| matches!(event, Event::Waiting { .. });
        assert!(
            events.iter().any(|event| is_told(event) && is_masked(event)),
            "{events:#?}"
        );
        assert!(
            events.iter().any(|event| is_waiting(event) && is_masked(event)),
            "{events:#?}"
        );
        assert!(!format!("{events:?}").contains("CANARY"), "{events:#?}");
    }
}

#[tokio::test]
async fn a_live_explanation_shows_no_value_that_ecs_says() {
    let scenario = format!(
        "[[fate]]\nfamily = \"shop\"\nrevision = 2\ntasks = 1\n{REASON}fails-after-seconds = 1\n\
         [[fate]]\nfamily = \"shop\"\nrevision = 2\nnever-starts = true\n"
    );
    let bench = Bench::with_service(&scenario, Setup::default()).await;
    let mut definition = task_definition("shop", &image(2));
    definition["containerDefinitions"][0]["environment"] =
        json!([{ "name": "DB_PASSWORD", "value": "CANARYhunter" }]);
    bench.register(&definition).await;
    let update = bench.aws.ecs.update_service().cluster(CLUSTER).service(SERVICE);
    update.task_definition("shop:2").send().await.unwrap();
    let _ = bench
        .tools
        .clock
        .pause(Duration::from_secs(60), &Shutdown::never())
        .await;
    let explained = explain_live(&bench, &bench.tools).await.unwrap();
    let Standing::Waiting { on, .. } = &explained.standing else {
        panic!("{explained:?}")
    };
    assert!(on.contains("cannot use [secret] here"), "{on}");
    assert!(!format!("{explained:?}").contains("CANARY"), "{explained:?}");
}

/// Every name is the value of a variable, whole or a part of it.
const NAMES: [(&str, &str); 6] = [
    ("DB_PASSWORD", "backend-1"),
    ("DB_PASSPHRASE", "backend"),
    ("SHOP_SECRET", "migrate"),
    ("AUTH_REGION", "eu-west-1"),
    ("AUTH_IMAGE", "registry.example/shop/web"),
    ("API_KEY", "000000"),
];

#[tokio::test]
async fn names_that_are_values_as_well_are_shown_and_explained() {
    let crash = "lines = [\"no backend here, pin 000000\"]\ncrash = { after-seconds = 1, exit-code = 3 }\n";
    let service = format!("[[fate]]\nfamily = \"shop\"\nrevision = 2\n{crash}");
    let migrate = format!("[[fate]]\ngroup = \"task:migrate\"\n{crash}");
    for (scenario, tasks) in [
        (String::new(), &[][..]),
        (service, &[][..]),
        (migrate, &["migrate"][..]),
    ] {
        let mut definition = task_definition("shop", &image(1));
        definition["containerDefinitions"][0]["name"] = "backend-1".into();
        let setup = Setup {
            task_definition: definition,
            ..Setup::default()
        };
        let bench = Bench::with_service(&scenario, setup).await;
        let images = json!([{ "name": "backend-1", "imageUri": image(2) }]).to_string();
        let mut plan = DeployPlan {
            tasks: oneoff::plan(&bench, tasks).tasks,
            ..bench.plan(&images)
        };
        give(&mut plan, "backend-1", &NAMES);
        let (tools, path) = recording(&bench, "names.jsonl");
        let outcome = deploy::deploy(&tools, &plan).await;
        let explained = only(recorded(&capture(&path), &[]).unwrap());
        assert_same(&outcome, &explained);
        match &outcome {
            Ok(_) => assert_eq!((explained.verdict(), scenario.as_str()), ("healthy", "")),
            Err(failure) => {
                let text = told(failure);
                assert!(text.contains("container backend-1"), "{text}");
                assert!(text.contains("no backend here, pin [secret]"), "{text}");
                assert_eq!(text.contains("migrate"), !tasks.is_empty(), "{text}");
            }
        }
        let kept = std::fs::read_to_string(&path).unwrap();
        assert!(!tasks.is_empty() || kept.contains(":000000000000:"), "{kept}");
    }
}
