use super::{Diagnosis, Known, LogTail, diagnose, log_wanted};
use crate::ecs::observation::{Breaker, Health, MonitorStatus, Observation, Presence, Task};
use crate::ecs::rollout::tests::build::*;
use std::collections::BTreeSet;

fn seen(tasks: Vec<Task>, events: &[&str]) -> Observation {
    let mut seen = look(service(2));
    if let Presence::Seen(service) = &mut seen.service {
        service.events = events
            .iter()
            .enumerate()
            .map(|(at, text)| event(&at.to_string(), text))
            .rev()
            .collect();
    }
    seen.tasks = Some(tasks);
    seen
}

fn find(seen: &Observation, log: &[&str]) -> Diagnosis {
    let logs: Vec<LogTail> = log_wanted(seen)
        .map(|(task, container)| LogTail {
            container,
            task,
            lines: log.iter().map(|line| (*line).to_owned()).collect(),
        })
        .into_iter()
        .collect();
    diagnose(Known {
        seen,
        baseline: &BTreeSet::new(),
        logs: &logs,
    })
}

#[test]
fn what_the_container_said_goes_before_how_it_ended() {
    let seen = seen(
        vec![exited("t1", 1), exited("t2", 1)],
        &["(service web) (deployment ecs-svc/2) deployment failed: tasks failed to start."],
    );
    let found = find(&seen, &["starting", "panic: config missing", "goodbye", ""]);
    assert_eq!(
        found.cause.as_deref(),
        Some("container web exited with code 1: \"panic: config missing\"")
    );
    assert_eq!(
        found.evidence,
        [
            "2 tasks stopped (EssentialContainerExited): container web exited with code 1 (task t1)",
            "event: (deployment ecs-svc/2) deployment failed: tasks failed to start.",
            "last lines of container web (task t1):",
            "  | starting",
            "  | panic: config missing",
            "  | goodbye",
            "  | ",
        ]
    );
    assert_eq!(
        find(&seen, &[]).cause.as_deref(),
        Some("container web exited with code 1"),
        "without a log, its end"
    );
}

#[test]
fn a_rust_panic_is_joined_from_its_two_lines() {
    let found = find(
        &seen(vec![exited("t1", 101)], &[]),
        &[
            "thread 'main' panicked at src/main.rs:3:5:",
            "no DATABASE_URL",
            "note: run with `RUST_BACKTRACE=1` to display",
        ],
    );
    assert_eq!(
        found.cause.as_deref(),
        Some(
            "container web exited with code 101: \"thread 'main' panicked at src/main.rs:3:5: no DATABASE_URL\""
        )
    );
}

#[test]
fn known_causes_have_their_advice() {
    let failed = |reason: &str| seen(vec![stopped("t1", "TaskFailedToStart", reason)], &[]);
    let mut killed = exited("t1", 137);
    killed.containers[0].reason = Some("OutOfMemoryError: Container killed due to memory usage".to_owned());
    for (seen, cause, hint) in [
        (seen(vec![killed], &[]), "exited with code 137", "raise `memory`"),
        (
            seen(vec![exited("t1", 137)], &[]),
            "exited with code 137",
            "out of memory",
        ),
        (
            failed("CannotPullContainerError: failed to resolve ref x: not found"),
            "CannotPull",
            "was it pushed",
        ),
        (
            failed("CannotPullContainerError: dial tcp: i/o timeout"),
            "CannotPull",
            "NAT gateway",
        ),
        (
            failed("CannotPullContainerError: 403 denied"),
            "CannotPull",
            "ecr:BatchGetImage",
        ),
        (
            failed(
                "CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/amd64'",
            ),
            "platform",
            "another CPU",
        ),
        (
            failed("CannotStartContainerError: exec /app: exec format error"),
            "exec format",
            "another CPU",
        ),
        (
            failed("ResourceInitializationError: unable to retrieve secret from asm: AccessDenied"),
            "secret",
            "secretsmanager:GetSecretValue",
        ),
        (
            failed("ResourceInitializationError: failed to validate logger args: log group does not exist"),
            "log group",
            "awslogs-create-group",
        ),
    ] {
        let found = find(&seen, &[]);
        assert!(found.cause.as_deref().unwrap().contains(cause), "{found:?}");
        assert!(found.hints[0].contains(hint), "{found:?}");
    }
}

#[test]
fn a_failed_load_balancer_check_is_traced_to_what_the_target_answers() {
    let reason = "Task failed ELB health checks in (target-group arn:aws:elasticloadbalancing:r:0:targetgroup/web/0123)";
    let stopped = vec![stopped("t1", "ServiceSchedulerInitiated", reason)];
    let event = "(service web) (task t1) (port 80) is unhealthy in (target-group \
                 arn:aws:elasticloadbalancing:r:0:targetgroup/web/0123) due to (reason Health checks failed with these \
                 codes: [404]).";
    let found = find(&seen(stopped.clone(), &[event]), &[]);
    assert_eq!(
        found.cause.as_deref(),
        Some("targets of web are unhealthy: Health checks failed with these codes: [404]")
    );
    assert!(found.hints[0].contains("path answers 404"), "{found:?}");
    let log = [
        "listening",
        "check: database \"orders\" is unreachable",
        "asked to stop",
    ];
    assert_eq!(
        find(&seen(stopped.clone(), &[event]), &log).cause.as_deref(),
        Some(
            "container web said \"check: database \"orders\" is unreachable\"; targets of web are unhealthy: Health \
             checks failed with these codes: [404]"
        ),
        "what the application says goes first"
    );
    let mut with_targets = seen(stopped, &[]);
    let mut target = target("1", "unhealthy");
    target.description = Some("Request timed out".to_owned());
    with_targets.target_groups = vec![crate::ecs::observation::TargetGroup {
        arn: GROUP.to_owned(),
        targets: vec![target],
    }];
    let found = find(&with_targets, &[]);
    assert_eq!(
        found.cause.as_deref(),
        Some("targets of web are unhealthy: Request timed out")
    );
}

#[test]
fn a_failed_container_check_is_traced_to_the_container() {
    let failed = stopped(
        "t1",
        "ServiceSchedulerInitiated",
        "Task failed container health checks",
    );
    let found = find(&seen(vec![failed], &[]), &["listening", "error: no database"]);
    assert_eq!(
        found.cause.as_deref(),
        Some("container web fails its health check; it said \"error: no database\"")
    );
    let mut running = task("t1", "RUNNING");
    running.containers[0].health = Health::Unhealthy;
    let found = find(&seen(vec![running], &[]), &[]);
    assert_eq!(
        found.cause.as_deref(),
        Some("container web fails its health check"),
        "before ECS stops it"
    );
}

#[test]
fn an_event_is_the_cause_where_no_task_tells() {
    let events = [
        "(service web) has started 1 tasks: (task t1).",
        "(service web) was unable to place a task. Reason: CannotPullContainerError: failed to resolve ref x: not found.",
        "(service web) was unable to place a task. Reason: CannotPullContainerError: failed to resolve ref x: not found.",
    ];
    let found = find(&seen(Vec::new(), &events), &[]);
    assert_eq!(
        found.cause.as_deref(),
        Some("CannotPullContainerError: failed to resolve ref x: not found")
    );
    assert_eq!(found.evidence.len(), 1, "told once: {found:?}");
}

#[test]
fn events_that_say_the_same_of_several_tasks_are_counted() {
    let events = [
        "(service web) (task t1) (port 80) is unhealthy in (target-group g) due to (reason timeout)",
        "(service web) (task t2) (port 80) is unhealthy in (target-group g) due to (reason timeout)",
        "(service web) (deployment ecs-svc/2) deployment failed: tasks failed to start.",
    ];
    assert_eq!(
        find(&seen(Vec::new(), &events), &[]).evidence,
        [
            "event: (2 tasks) (port 80) is unhealthy in (target-group g) due to (reason timeout)",
            "event: (deployment ecs-svc/2) deployment failed: tasks failed to start.",
        ]
    );
}

#[test]
fn events_from_before_our_update_prove_nothing() {
    let seen = seen(
        Vec::new(),
        &["(service web) was unable to place a task. Reason: old."],
    );
    let baseline = BTreeSet::from(["0".to_owned()]);
    assert_eq!(
        diagnose(Known {
            seen: &seen,
            baseline: &baseline,
            logs: &[]
        }),
        Diagnosis::default()
    );
}

#[test]
fn the_breaker_is_counted_and_all_of_it_stays_short() {
    let tasks = (0..60)
        .map(|number| exited(&format!("t{number}"), number % 9))
        .collect();
    let events: Vec<String> = (0..50)
        .map(|number| format!("(service web) unable to {number} {}", "x".repeat(500)))
        .collect();
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let mut seen = seen(tasks, &events);
    let mut theirs = service_deployment("IN_PROGRESS");
    theirs.breaker = Some(Breaker {
        status: MonitorStatus::Monitoring,
        failures: 2,
        threshold: 3,
    });
    seen.service_deployment = Some(theirs);
    let log: Vec<String> = (0..30).map(|number| format!("line {number}")).collect();
    let found = find(&seen, &log.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(
        found
            .evidence
            .contains(&"circuit breaker: 2 failures, threshold 3 (MONITORING)".to_owned())
    );
    assert!(
        found.evidence.len() + found.hints.len() + 6 <= 40,
        "{}",
        found.evidence.len()
    );
    assert!(found.evidence.iter().all(|line| line.chars().count() <= 241));
}
