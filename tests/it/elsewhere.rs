//! Services in other accounts and regions: each is asked with its own role, and everything else with the run's own keys.

use crate::support::{Bench, CLUSTER, Setup};
use serde_json::Value;
use slipway::aws::{AwsOnDemand, AwsSettings, StaticKeys};
use slipway::config::settings::{Place, Role};
use slipway::ecs::resume::Resume;
use slipway::failure::{Kind, Nature};
use slipway::secret::Secret;
use slipway::stage::Tools;
use slipway::stage::deploy::{DeployPlan, ENDLESS, Stretch, carry_on, start};
use std::time::Duration;

const ROLE: &str = "arn:aws:iam::111122223333:role/deploy";
const STRICT: &str = "[[role]]\narn = \"arn:aws:iam::111122223333:role/deploy\"\nexternal-id = \"shop-1\"\n";

fn role(external_id: Option<&str>) -> Place {
    Place {
        region: None,
        role: Some(Role {
            arn: ROLE.to_owned(),
            external_id: external_id.map(str::to_owned),
        }),
    }
}

/// Two services, the first of which is deployed with a role.
async fn bench(scenario: &str, place: Place) -> (Bench, DeployPlan) {
    let services = [("api", Setup::default()), ("web", Setup::default())];
    let bench = Bench::with_services(scenario, &services).await;
    let mut plan = bench.version_two_of(&[(CLUSTER, "api"), (CLUSTER, "web")]);
    plan.services[0].place = place;
    (bench, plan)
}

/// Every request since `from`: its operation, whose it was, and its body.
fn requests(bench: &Bench, from: usize) -> Vec<(String, String, String)> {
    let text = bench.journal_text();
    let of = |line: &str| {
        let entry: Value = serde_json::from_str(line).unwrap();
        let text = |member: &str| entry[member].as_str().unwrap_or_default().to_owned();
        (
            text("operation"),
            text("principal"),
            entry["request"]["body"].to_string() + &entry["body"].to_string(),
        )
    };
    text.lines().skip(from).map(of).collect()
}

#[tokio::test]
async fn a_service_is_asked_with_its_role_and_the_token_knows_it() {
    let (bench, plan) = bench(STRICT, role(Some("shop-1"))).await;
    let from = bench.journal().len();
    let Stretch::UnderWay(progress) = start(&bench.tools, &plan, None, Duration::ZERO).await.unwrap() else {
        unreachable!("it was only begun");
    };
    let token = progress.resume.one_token().unwrap();
    assert!(token.len() < 500, "{token}");
    let resume = Resume::read(&[token]).unwrap();
    assert_eq!(resume.services[0].place, role(Some("shop-1")));
    assert_eq!(resume.services[1].place, Place::default());
    let ended = carry_on(&bench.tools, &resume, ENDLESS).await.unwrap();
    assert!(matches!(ended, Stretch::Done(deployed) if deployed.len() == 2));
    let theirs = "arn:aws:sts::111122223333:assumed-role/deploy/slipway";
    let asked = requests(&bench, from);
    for operation in [
        "UpdateService",
        "RegisterTaskDefinition",
        "DescribeServices",
        "ListTasks",
    ] {
        let by: Vec<&str> = asked
            .iter()
            .filter(|(asked, ..)| asked == operation)
            .map(|(_, by, _)| by.as_str())
            .collect();
        assert!(
            by.contains(&theirs) && by.contains(&"account"),
            "{operation}: {by:?}"
        );
    }
    for (operation, by, _) in &asked {
        assert!(
            operation != "AssumeRole" || by == "account",
            "{operation} by {by}"
        );
    }
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_is_named_and_nothing_is_changed() {
    for external_id in [None, Some("shop-2")] {
        let (bench, plan) = bench(STRICT, role(external_id)).await;
        let failure = bench.deploy(&plan).await.unwrap_err();
        let text = Bench::rendered(&failure);
        assert_eq!(failure.kind, Kind::Refused, "{text}");
        assert!(
            matches!(&failure.nature, Nature::Denied(denial) if denial.action == "sts:AssumeRole" && denial.role.is_none()),
            "{text}"
        );
        assert!(
            text.contains(&format!("role `{ROLE}` could not be assumed")),
            "{text}"
        );
        assert!(text.contains("trust policy"), "{text}");
        assert_eq!(failure.left.as_deref(), Some("nothing was changed"));
        assert_eq!(bench.primary(CLUSTER, "web").0, "web:1");
    }
}

#[tokio::test]
async fn a_denial_says_whose_role_it_was() {
    let denied = format!(
        "{STRICT}[[fault]]\nservice = \"ecs\"\noperation = \"UpdateService\"\nnth = 1\naction = \"access-denied\"\n"
    );
    let (bench, mut plan) = bench(&denied, role(Some("shop-1"))).await;
    plan.services.truncate(1);
    let failure = bench.deploy(&plan).await.unwrap_err();
    let text = Bench::rendered(&failure);
    assert!(
        text.contains(&format!("the role that may not is `{ROLE}`")),
        "{text}"
    );
}

/// What ended too early is no reason to fail: there are new keys for the asking.
#[tokio::test]
async fn a_call_whose_keys_have_expired_is_made_once_more_also_one_that_is_not_repeated_otherwise() {
    for operation in [
        "DescribeServices",
        "RegisterTaskDefinition",
        "UpdateService",
        "ListTasks",
    ] {
        // The services of the bench were registered before.
        let first = if operation == "RegisterTaskDefinition" {
            3
        } else {
            1
        };
        let expired = |times: u32| {
            format!(
                "{STRICT}[[fault]]\nservice = \"ecs\"\noperation = \"{operation}\"\nfrom = {first}\nto = {}\naction = \
                 \"expired-token\"\n",
                first + times - 1
            )
        };
        let asked = |bench: &Bench, from: usize| {
            let asked = requests(bench, from);
            asked.iter().filter(|(asked, ..)| asked == operation).count()
        };
        let (bench, mut plan) = self::bench(&expired(1), role(Some("shop-1"))).await;
        plan.services.truncate(1);
        let from = bench.journal().len();
        bench
            .deploy(&plan)
            .await
            .unwrap_or_else(|failure| panic!("{operation}: {}", Bench::rendered(&failure)));
        if operation == "UpdateService" || operation == "RegisterTaskDefinition" {
            assert_eq!(asked(&bench, from), 2, "{operation}");
            let (bench, mut plan) = self::bench(&expired(6), role(Some("shop-1"))).await;
            plan.services.truncate(1);
            let from = bench.journal().len();
            let failure = bench.deploy(&plan).await.unwrap_err();
            assert_eq!(failure.nature, Nature::Credentials, "{operation}");
            assert_eq!(asked(&bench, from), 2, "{operation}");
        }
    }
}

fn on_demand(bench: &Bench) -> AwsOnDemand {
    AwsOnDemand::new(AwsSettings {
        region: Some("eu-west-1".to_owned()),
        endpoint: Some(bench.sandbox.endpoint().to_owned()),
        credentials: Some(StaticKeys {
            access_key_id: Secret::new("sandbox".to_owned()),
            secret_access_key: Secret::new("sandbox".to_owned()),
            session_token: None,
        }),
    })
}

#[tokio::test]
async fn clients_of_a_place_are_made_once_for_all_clones_and_sessions_are_named() {
    let bench = Bench::empty("", None).await;
    let aws = on_demand(&bench).in_session("3137f7cb");
    let places = [role(None), role(None), Place::default()];
    let mut made = Vec::new();
    for place in &places {
        made.push(aws.clone().at(place).await.unwrap());
    }
    let assumed = bench
        .journal()
        .iter()
        .filter(|one| *one == "sts:AssumeRole")
        .count();
    assert_eq!(assumed, 1);
    let who = |aws: &slipway::aws::Aws| aws.sts.get_caller_identity().send();
    assert_eq!(
        who(&made[0]).await.unwrap().arn().unwrap(),
        "arn:aws:sts::111122223333:assumed-role/deploy/slipway-3137f7cb"
    );
    assert!(
        !who(&made[2])
            .await
            .unwrap()
            .arn()
            .unwrap()
            .contains("assumed-role")
    );
    let there = Place {
        region: Some("us-east-1".to_owned()),
        role: None,
    };
    assert_eq!(aws.at(&there).await.unwrap().region(), "us-east-1");
    assert_eq!(aws.get().await.unwrap().region(), "eu-west-1");
}

#[tokio::test]
async fn paced_calls_of_many_runs_wait_instead_of_being_throttled() {
    let bench = Bench::empty("", None).await;
    bench.add_service("shop", &Setup::default()).await;
    bench.let_pass(Duration::from_secs(180)).await;
    let aws = on_demand(&bench).paced_by(bench.tools.clock.clone());
    let tools = Tools {
        aws,
        ..bench.tools.clone()
    };
    let one = tools.aws.clone().at(&Place::default()).await.unwrap();
    let other = tools.aws.clone().at(&Place::default()).await.unwrap();
    let ask = |aws: slipway::aws::Aws| async move {
        let ecs = slipway::ecs::service::Ecs::new(aws, CLUSTER, "shop");
        for _ in 0..80 {
            ecs.describe().await.unwrap();
        }
    };
    let began = bench.tools.clock.now();
    tokio::join!(ask(one), ask(other));
    let took = bench.tools.clock.now() - began;
    assert_eq!(
        took,
        Duration::from_secs(3),
        "60 of 160 calls wait for a place, 20 a second"
    );
}
