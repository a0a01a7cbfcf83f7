//! Tokens: what comes back from them, how long they are, and which are refused.

use super::{Before, Completed, Kept, LONGEST, Print, Resume, ResumeError, UnderWay, Wishes};
use crate::config::settings::{Place, Role};
use crate::ecs::observation::{BreakerSetting, RolloutState, ServiceEvent};
use crate::ecs::rollout::Baseline;
use crate::ecs::rollout::tests::build;
use crate::name::Digest;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn under_way(name: &str) -> UnderWay {
    let number = u64::from_str_radix(&Digest::of(name.as_bytes()).hex()[..15], 16).unwrap();
    let images = [("web".to_owned(), Some(Digest::of(name.as_bytes()).to_string()))];
    UnderWay {
        place: Place::default(),
        cluster: "production".to_owned(),
        service: name.to_owned(),
        deployment: format!("ecs-svc/{number:019}"),
        revision: format!("{name}:42"),
        started: 1_767_225_600,
        changed: true,
        proven: false,
        containers: BTreeSet::from(["web".to_owned()]),
        images: Print::of_images(&BTreeMap::from(images)),
        before: Before {
            deployment: Print::of(&format!("ecs-svc/{:019}", number / 3)),
            revision: Some(format!("{name}:41")),
            completed: None,
            done: true,
            event: Print::of(&format!("event of {name}")),
        },
        kept: Kept::of_seen(),
    }
}

fn run_of(names: impl Iterator<Item = String>) -> Resume {
    Resume {
        region: "eu-west-1".to_owned(),
        wishes: Wishes {
            steady: true,
            allow_zero: false,
            leave: false,
            all_back: true,
            fail_fast: false,
            timeout: 900,
        },
        written: 1_767_225_700,
        percent: 40,
        services: names.map(|name| under_way(&name)).collect(),
    }
}

/// A run of so many services.
pub fn run(services: usize) -> Resume {
    run_of((0..services).map(|at| format!("service-{at}")))
}

/// Names as an organisation gives them.
fn long_name(at: usize) -> String {
    const TEAMS: [&str; 7] = [
        "payments",
        "orders",
        "identity",
        "search",
        "shipping",
        "catalogue",
        "reporting",
    ];
    const PARTS: [&str; 5] = [
        "api",
        "worker",
        "scheduler",
        "notification-consumer",
        "admin-frontend",
    ];
    let (team, part) = (TEAMS[at % TEAMS.len()], PARTS[at / TEAMS.len() % PARTS.len()]);
    format!("acme-production-{team}-{part}-eu-west-1-{at}")
}

#[test]
fn a_run_comes_back_from_its_tokens() {
    for services in [1, 5, 10, 50, 300] {
        let run = run(services);
        let tokens = run.tokens();
        assert!(tokens.iter().all(|token| token.len() <= LONGEST));
        assert_eq!(Resume::read(&tokens).unwrap(), run);
    }
}

#[test]
fn fifty_services_with_long_names_fit_into_one_token() {
    let mut run = run_of((0..50).map(long_name));
    for (at, service) in run.services.iter_mut().enumerate() {
        service.started += at as u64 * 7;
        service.revision = format!("{}:{}", service.service, 17 + at * 31 % 400);
        service.before.revision = Some(format!("{}:{}", service.service, 16 + at * 31 % 400));
    }
    let token = run.token();
    assert!(token.len() <= LONGEST, "{} characters", token.len());
    assert_eq!(Resume::read(&[token]).unwrap(), run);
}

#[test]
fn about_fifty_services_in_their_worst_minute_fit_too() {
    // Begun together, as services with revisions of different age are, and in a state of which much is kept.
    let mut run = run_of((0..48).map(long_name));
    let mut service = build::before(2);
    service.breaker = BreakerSetting::RollsBack;
    for (at, one) in run.services.iter_mut().enumerate() {
        one.started += at.saturating_sub(20) as u64;
        let age = run.written - one.started;
        one.revision = format!("{}:{}", one.service, 17 + at * 31 % 400);
        one.before.revision = Some(format!("{}:{}", one.service, 16 + at * 31 % 400));
        one.kept = Kept::fullest(at as u64 * 7919, age, &service);
    }
    let token = run.token();
    assert!(token.len() <= LONGEST, "{} characters", token.len());
    assert_eq!(Resume::read(&[token]).unwrap(), run);
}

#[test]
fn the_longest_names_share_tokens_as_they_can() {
    // Names without any pattern: what an adversary would call services.
    let noise = |at: usize| {
        let part = |salt: usize| Digest::of(format!("{at} {salt}").as_bytes()).hex().to_owned();
        format!("s{}", (0..4).map(part).collect::<String>())[..255].to_owned()
    };
    let run = run_of((0..50).map(noise));
    let tokens = run.tokens();
    assert!(tokens.len() > 1 && tokens.iter().all(|token| token.len() <= LONGEST));
    assert_eq!(Resume::read(&tokens).unwrap(), run);
}

#[test]
fn what_differs_from_the_rule_comes_back_too() {
    let mut run = run(4);
    run.services[0].deployment = "ecs-svc/not-a-number".to_owned();
    run.services[1].revision = "another-family:3".to_owned();
    run.services[1].before.revision = None;
    run.services[1].before.completed = Some(Completed {
        deployment: Print::of("ecs-svc/7"),
        revision: "service-1:40".to_owned(),
    });
    run.services[2].cluster = "arn:aws:ecs:eu-west-1:000000000000:cluster/other".to_owned();
    run.services[2].kept = Kept::default();
    run.services[2].changed = false;
    run.services[1].proven = true;
    run.services[1].place.region = Some("us-east-1".to_owned());
    run.services[2].place.role = Some(Role {
        arn: "arn:aws:iam::000000000001:role/deploy".to_owned(),
        external_id: Some("shop=1".to_owned()),
    });
    run.services[3].before.done = false;
    run.services[2].containers = BTreeSet::from(["app".to_owned(), "proxy".to_owned()]);
    run.services[3].containers = BTreeSet::new();
    assert_eq!(Resume::read(&run.tokens()).unwrap(), run);
}

#[test]
fn a_token_of_somebody_else_or_of_another_time_is_told_from_a_damaged_one() {
    let token = run(1).tokens().remove(0);
    let newer = token.replacen("sw1", "sw2", 1);
    let cut = token[..token.len() - 20].to_owned();
    for (token, error) in [
        ("", ResumeError::Foreign),
        ("eyJhbGciOiJIUzI1NiJ9.e30.x", ResumeError::Foreign),
        ("swx.a.b", ResumeError::Foreign),
        (newer.as_str(), ResumeError::OtherVersion("sw2".to_owned())),
        (cut.as_str(), ResumeError::Damaged),
        ("sw1.e30", ResumeError::Damaged),
    ] {
        assert_eq!(Resume::read(&[token.to_owned()]), Err(error), "{token}");
    }
    assert_eq!(Resume::read(&[]), Err(ResumeError::Foreign));
    let mut elsewhere = run(1);
    elsewhere.region = "us-east-1".to_owned();
    let mixed = [token, elsewhere.tokens().remove(0)];
    assert_eq!(Resume::read(&mixed), Err(ResumeError::DifferentRuns));
}

#[test]
fn a_service_is_remembered_as_it_was() {
    let mut service = build::before(2);
    let event = |id: &str| ServiceEvent {
        id: id.to_owned(),
        message: "(service web) has reached a steady state.".to_owned(),
    };
    service.events = vec![event("b"), event("a")];
    let before = Before::of(&service);
    let mut now = build::service(2);
    now.events = vec![event("d"), event("c"), event("b"), event("a")];
    let again = before.service(&now);
    assert_eq!(Baseline::of(&again), Baseline::of(&service));
    assert_eq!(
        again.primary().unwrap().task_definition,
        service.deployments[0].task_definition
    );
    assert_eq!(Before::of(&again), before);
    // Ours replaced one that had not completed: a rollback brings the one before that back.
    service.deployments[0].rollout = Some(RolloutState::InProgress);
    service
        .deployments
        .push(build::deployment(8, "ACTIVE", "COMPLETED", 2));
    now.deployments.push(service.deployments[1].clone());
    let again = Before::of(&service).service(&now);
    assert_eq!(Baseline::of(&again), Baseline::of(&service));
    assert_eq!(
        Baseline::of(&again).elders,
        BTreeSet::from(["ecs-svc/8".to_owned()])
    );
    now.events = vec![event("a")];
    assert_eq!(before.service(&now).events.len(), 1, "an answer from before it");
    now.events = (0..100).map(|number| event(&number.to_string())).collect();
    assert!(before.service(&now).events.is_empty(), "all are news");
}

proptest! {
    #[test]
    fn no_text_is_taken_for_a_token_and_none_panics(text in "(sw1\\.)?[A-Za-z0-9._-]{0,200}") {
        prop_assert!(Resume::read(&[text]).is_err());
    }

    #[test]
    fn no_change_of_a_token_goes_unnoticed(at in 4_usize..150, by in 1_u8..60) {
        let token = run(1).tokens().remove(0);
        let mut bytes = token.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] = b'A' + (bytes[at] + by) % 26;
        let changed = String::from_utf8(bytes).unwrap();
        prop_assume!(changed != token);
        prop_assert!(Resume::read(&[changed]).is_err());
    }
}
