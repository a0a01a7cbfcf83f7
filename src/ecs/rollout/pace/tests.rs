//! Tests of the pace.

use super::{AFTER_FAILURES, Closeness, ON_ALERT, Pace};
use crate::ecs::observation::{BreakerSetting, Deployment, RolloutState, Service};
use crate::ecs::rollout::tests::build;
use std::time::Duration;

#[test]
fn looks_slow_down_while_nothing_changes_and_speed_up_when_something_does() {
    let mut pace = Pace::default();
    let far = Duration::from_secs(900);
    let mut service = build::service(2);
    let mut pauses = Vec::new();
    for _ in 0..8 {
        pace.closely("ecs-svc/2", &service);
        pauses.push(pace.pause(far).as_secs());
    }
    assert_eq!(pauses, [5, 8, 10, 10, 10, 10, 10, 10]);
    service.running += 1;
    pace.closely("ecs-svc/2", &service);
    assert_eq!(pace.pause(far), Duration::from_secs(5));
    assert_eq!(pace.pause(Duration::from_secs(1)), Duration::from_secs(1));
}

#[test]
fn tasks_are_listed_when_they_can_decide_or_something_failed() {
    let mut pace = Pace::default();
    let mut service = build::service(2);
    let lists: Vec<usize> = (0..20)
        .filter(|_| pace.closely("ecs-svc/2", &service).tasks)
        .collect();
    assert_eq!(lists, [14], "overdue");
    service.deployments[0].running = 2;
    let enough = pace.closely("ecs-svc/2", &service);
    assert!(enough.tasks && !enough.stopped, "every look may be the last one");
    assert!(pace.closely("ecs-svc/2", &service).tasks);
    pace.settling(true);
    assert!(!pace.closely("ecs-svc/2", &service).tasks, "nothing changed");
    service.deployments[0].running = 1;
    assert_eq!(
        pace.closely("ecs-svc/2", &service),
        Closeness::ALL,
        "a task is gone"
    );
    service.deployments[0].failed = 1;
    assert!(pace.closely("ecs-svc/2", &service).stopped);
    assert!(!pace.closely("ecs-svc/2", &service).stopped, "the same failure");
}

#[test]
fn pauses_are_short_while_the_next_sign_could_be_the_rollback() {
    let longest = |change: &dyn Fn(&mut Service)| {
        let mut pace = Pace::default();
        let mut service = build::service(2);
        change(&mut service);
        for _ in 0..8 {
            pace.closely("ecs-svc/2", &service);
        }
        pace.pause(Duration::from_secs(900))
    };
    let ours =
        |change: fn(&mut Deployment)| longest(&|service: &mut Service| change(&mut service.deployments[0]));
    assert_eq!(longest(&|_| {}), Duration::from_secs(10));
    assert_eq!(
        ours(|ours| ours.running = 2),
        Duration::from_secs(10),
        "two failures do not trip a breaker of three"
    );
    assert_eq!(ours(|ours| ours.failed = 1), AFTER_FAILURES);
    for alert in [
        |ours: &mut Deployment| ours.failed = 2,
        |ours: &mut Deployment| (ours.failed, ours.pending) = (1, 2),
        |ours: &mut Deployment| ours.running = 3,
        |ours: &mut Deployment| ours.status = "DRAINING".into(),
        |ours: &mut Deployment| ours.rollout = Some(RolloutState::Failed),
    ] {
        assert_eq!(ours(alert), ON_ALERT);
    }
    let off = |service: &mut Service| {
        service.breaker = BreakerSetting::Off;
        service.deployments[0].failed = 2;
    };
    assert_eq!(longest(&off), AFTER_FAILURES, "nothing rolls back");
    let alarms = |service: &mut Service| {
        service.configuration.alarms.enabled = true;
        service.deployments[0].running = 1;
    };
    assert_eq!(longest(&alarms), ON_ALERT);
    assert_eq!(longest(&|service| service.deployments.truncate(0)), ON_ALERT);
}

#[test]
fn many_services_are_looked_at_less_often() {
    for (services, alert, peek, lists) in [
        (1, 4500, 35_000, 14),
        (10, 4500, 15_000, 14),
        (50, 10_000, 15_000, 70),
    ] {
        let mut pace = Pace::default();
        let mut service = build::service(2);
        service.deployments[0].failed = 2;
        pace.among(services);
        pace.closely("ecs-svc/2", &service);
        let far = Duration::from_secs(900);
        assert_eq!(pace.pause(far), Duration::from_millis(alert), "{services}");
        assert_eq!(pace.peek_after(), Duration::from_millis(alert), "{services}");
        service.deployments[0].failed = 0;
        pace.closely("ecs-svc/2", &service);
        assert_eq!(pace.peek_after(), Duration::from_millis(peek), "{services}");
        let quiet = (0..200)
            .take_while(|_| !pace.closely("ecs-svc/2", &service).tasks)
            .count();
        assert!(quiet.abs_diff(lists) <= 2, "{services}: {quiet}");
    }
}

#[test]
fn glances_grow_rarer_with_the_time_that_they_wait() {
    let after = |seconds| super::glance_after(Duration::from_secs(seconds)).as_secs();
    assert_eq!([0, 10, 20, 32, 60, 900].map(after), [5, 5, 5, 8, 10, 10]);
}

#[test]
fn a_replaced_task_is_noticed_although_the_counts_are_what_they_were() {
    let mut pace = Pace::default();
    let mut service = build::service(2);
    let mut starts = |id: &str, tasks: &str| {
        let message = format!("(service web) has started 1 tasks: {tasks}.");
        service.events.insert(0, build::event(id, &message));
        pace.closely("ecs-svc/2", &service).stopped
    };
    assert!(!starts("e1", "(task a)"), "before our first look");
    assert!(!starts("e2", "(task b) (task c)"), "as many as are wanted");
    assert!(starts("e3", "(task d)"));
}

#[test]
fn the_service_deployment_is_asked_for_now_and_then_and_whenever_it_says_more() {
    let mut pace = Pace::default();
    let mut service = build::service(2);
    let asks: Vec<usize> = (0..14)
        .filter(|_| pace.closely("ecs-svc/2", &service).service_deployment)
        .collect();
    assert_eq!(asks, [10]);
    service.strategy = "CANARY".into();
    assert!(pace.closely("ecs-svc/2", &service).service_deployment);
    service = build::service(2);
    service.deployments[0].rollout = None;
    assert!(pace.closely("ecs-svc/2", &service).service_deployment);
    service.deployments.remove(0);
    assert!(pace.closely("ecs-svc/2", &service).service_deployment);
}
