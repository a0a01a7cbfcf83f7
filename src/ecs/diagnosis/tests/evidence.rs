//! The lines that prove a cause: grouped, counted, masked, and few.

use super::*;
use crate::ecs::observation::{Breaker, MonitorStatus};

#[test]
fn stopped_tasks_are_grouped_and_the_log_ends_the_evidence() {
    let world = World::of(vec![
        exited("t1", 1),
        exited("t2", 1),
        stopped("t3", "TaskFailedToStart", "x"),
    ])
    .events(&["(service web) (deployment ecs-svc/2) deployment failed: tasks failed to start."])
    .log(&["starting", "panic: config missing", "goodbye", ""]);
    assert_eq!(
        world.evidence(),
        [
            "1 task stopped (TaskFailedToStart): x (task t3)",
            "2 tasks stopped (EssentialContainerExited): container web exited with code 1 (task t1)",
            "event: (deployment ecs-svc/2) deployment failed: tasks failed to start.",
            "last lines of container web (task t1):",
            "  starting",
            "  panic: config missing",
            "  goodbye",
            "  ",
        ]
    );
}

#[test]
fn somebody_who_stops_tasks_is_told_and_a_normal_replacement_is_not() {
    let world = World::of(vec![
        stopped("t1", "UserInitiated", "Task stopped by user"),
        stopped("t2", "UserInitiated", "Task stopped by user"),
        stopped(
            "t3",
            "ServiceSchedulerInitiated",
            "Scaling activity initiated by (deployment ecs-svc/2)",
        ),
    ]);
    assert_eq!(
        world.evidence(),
        ["2 tasks stopped by somebody: Task stopped by user (task t1)"]
    );
}

#[test]
fn events_are_told_once_counted_and_not_of_other_tasks_or_from_before() {
    let unhealthy = |task: &str| {
        format!(
            "(service web) (task {task}) (port 80) is unhealthy in (target-group g) due to (reason timeout)"
        )
    };
    let failed = "(service web) (deployment ecs-svc/2) deployment failed: tasks failed to start.";
    let (first, second, other) = (unhealthy("t1"), unhealthy("t2"), unhealthy("theirs"));
    let mut world = World::of(vec![task("t1", "RUNNING"), task("t2", "RUNNING")]).events(&[
        "(service web) was unable to place a task. Reason: old.",
        &first,
        &second,
        &other,
        failed,
        failed,
    ]);
    world.baseline = BTreeSet::from(["0".to_owned()]);
    let told = [
        "event: (2 tasks) (port 80) is unhealthy in (target-group g) due to (reason timeout)",
        "event: (deployment ecs-svc/2) deployment failed: tasks failed to start.",
    ];
    assert_eq!(world.evidence(), told);
    world.seen.tasks = None;
    let told = world.evidence();
    assert!(
        told[0].starts_with("event: (3 tasks)"),
        "without a list, nothing tells whose: {told:?}"
    );
}

#[test]
fn an_event_with_the_reason_of_stopped_tasks_is_not_told_again() {
    let event = "(service web) was unable to place a task. Reason: CannotPullContainerError: not found.";
    let pull = stopped("t1", "TaskFailedToStart", "CannotPullContainerError: not found");
    assert_eq!(World::of(vec![pull]).events(&[event]).evidence().len(), 1);
    assert_eq!(
        World::of(vec![exited("t1", 1)]).events(&[event]).evidence().len(),
        2
    );
}

#[test]
fn an_event_that_only_repeats_what_ecs_says_of_the_deployment_is_not_told_again() {
    const REASON: &str = "Service deployment rolled back because POST_SCALE_UP pause hook timed out.";
    let event = format!("(service web) (deployment ecs-svc/2) deployment failed: {REASON}");
    let mut world = World::of(Vec::new()).events(&[&event]);
    assert_eq!(world.evidence().len(), 1);
    let mut found = service_deployment("ROLLBACK_IN_PROGRESS");
    found.reason = Some(REASON.to_owned());
    world.seen.service_deployment = Some(found);
    assert_eq!(world.evidence(), [""; 0]);
}

#[test]
fn a_rollback_that_failed_says_why_and_a_breaker_that_is_off_says_nothing() {
    let mut world = World::of(vec![exited("t1", 3)]);
    let mut found = service_deployment("ROLLBACK_FAILED");
    found.reason = Some("No rollback candidate was found to run the rollback.".to_owned());
    found.breaker = Some(Breaker {
        status: MonitorStatus::Disabled,
        failures: 2,
        threshold: 0,
    });
    world.seen.service_deployment = Some(found);
    assert_eq!(
        world.evidence()[1..],
        ["ECS: No rollback candidate was found to run the rollback."]
    );
}

#[test]
fn a_log_of_a_container_that_is_well_is_told_only_where_it_says_something() {
    let told = |world: World| world.evidence().iter().any(|line| line.contains("wrote nothing"));
    assert!(!told(World::of(vec![task("t1", "RUNNING")]).log(&[])));
    assert!(told(
        World::of(vec![task("t1", "RUNNING")])
            .log(&[])
            .behind(vec![unhealthy("1", "Target.Timeout", "Request timed out")])
    ));
    assert!(!told(
        World::of(vec![stopped(
            "t1",
            "SpotInterruption",
            "Your Spot Task was interrupted."
        )])
        .log(&[])
    ));
    assert!(told(World::of(vec![failed_elb("t1")]).log(&[])));
    assert!(
        !told(World::of(vec![exited("t1", 3)]).log(&[])),
        "its cause says so"
    );
    let line = World::of(vec![task("t1", "RUNNING")])
        .log(&["error: 500"])
        .evidence();
    assert!(line.iter().any(|line| line.contains("error: 500")), "{line:?}");
}

#[test]
fn a_log_that_is_elsewhere_is_named_and_one_that_cannot_be_is_not_asked_for() {
    let said = |logs: Value| {
        let ours = with_web(json!({ "logConfiguration": logs }));
        let world = World::of(vec![exited("t1", 1)]).compared(ours.clone(), ours);
        world.evidence().last().unwrap().clone()
    };
    for driver in ["splunk", "awsfirelens"] {
        assert_eq!(
            said(json!({ "logDriver": driver })),
            format!("the log of container web goes to `{driver}`: look there")
        );
    }
    assert_eq!(
        said(Value::Null),
        "container web has no `logConfiguration`: what it wrote is on its host, if anywhere"
    );
    let world = World::of(vec![failed_elb("t1")]).log(&[]);
    assert_eq!(
        world.evidence().last().unwrap(),
        "container web wrote nothing to its log (task t1)"
    );
    let pull = World::of(vec![stopped(
        "t1",
        "TaskFailedToStart",
        "CannotPullContainerError: not found",
    )]);
    assert_eq!(log_wanted(&pull.seen, None), None);
    let ours = with_web(json!({ "logConfiguration": { "logDriver": "splunk" } }));
    assert_eq!(
        pull.compared(ours.clone(), ours).evidence().len(),
        1,
        "it never ran"
    );
}

#[test]
fn a_log_is_where_its_driver_writes_it() {
    let seen = {
        let mut task = exited("t1", 1);
        task.containers[0].runtime_id = Some("t1-77".to_owned());
        World::of(vec![task]).seen
    };
    let stream = |options: Value| {
        let ours = with_web(json!({ "logConfiguration": { "logDriver": "awslogs", "options": options } }));
        let world = World::of(Vec::new()).compared(ours.clone(), ours);
        let shape = world.comparison.shape().unwrap();
        log_wanted(&seen, Some(shape)).unwrap().stream(shape).unwrap()
    };
    let found = stream(json!({
        "awslogs-group": "/g", "awslogs-stream-prefix": "ecs", "awslogs-region": "us-east-1",
    }));
    assert_eq!(
        (
            found.group.as_str(),
            found.stream.as_str(),
            found.region.as_deref()
        ),
        ("/g", "ecs/web/t1", Some("us-east-1"))
    );
    let found = stream(json!({ "awslogs-group": "/g" }));
    assert_eq!((found.stream.as_str(), found.region), ("t1-77", None));
}

#[test]
fn with_no_failed_task_the_log_of_one_that_is_not_well_is_wanted() {
    let mut sick = task("t2", "RUNNING");
    sick.containers[0].health = crate::ecs::observation::Health::Unhealthy;
    let world = World::of(vec![task("t1", "RUNNING"), sick]);
    assert_eq!(log_wanted(&world.seen, None).unwrap().task, "t2");
    assert_eq!(log_wanted(&World::of(Vec::new()).seen, None), None);
}

#[test]
fn what_could_not_be_looked_at_is_named_once() {
    let mut world = World::of(Vec::new());
    world.seen.blind = vec![denied("ecs:ListTasks"), denied("ecs:ListTasks")];
    world.blind = vec![
        denied("logs:GetLogEvents"),
        Blind {
            action: "elasticloadbalancing:DescribeTargetGroups".to_owned(),
            why: BlindReason::Transient,
        },
    ];
    assert_eq!(
        world.evidence(),
        [
            "could not look: ecs:ListTasks is denied",
            "could not look: logs:GetLogEvents is denied",
            "could not look: elasticloadbalancing:DescribeTargetGroups did not answer",
        ]
    );
}

#[test]
fn no_text_shows_a_credential_or_the_value_of_a_secret_variable() {
    let signed = "CannotPullContainerError: Get \"https://layers.s3.example/x?X-Amz-Security-Token=canary&X-Amz-Signature=\
                  canary\": dial tcp: i/o timeout";
    let mut world = World::of(vec![stopped("t1", "TaskFailedToStart", signed), exited("t2", 1)])
        .events(&["(service web) was unable to place a task. Reason: password is hunter2-canary."])
        .log(&[
            "GET https://me:canary@db.example/ failed",
            "error: token hunter2-canary is wrong",
        ]);
    world.secrets = vec![Secret::new("hunter2-canary".to_owned())];
    let found = world.found();
    let all = format!("{:?} {:?} {:?}", found.cause, found.evidence(100), found.hints);
    assert!(!all.contains("canary"), "{all}");
    assert!(
        all.contains("i/o timeout") && all.contains("error: token [secret] is wrong"),
        "{all}"
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
    let log: Vec<String> = (0..20).map(|number| format!("line {number}")).collect();
    let mut world = World::of(tasks)
        .events(&events)
        .log(&log.iter().map(String::as_str).collect::<Vec<_>>());
    let mut theirs = service_deployment("IN_PROGRESS");
    theirs.breaker = Some(Breaker {
        status: MonitorStatus::Monitoring,
        failures: 2,
        threshold: 3,
    });
    theirs.triggered_alarms = vec!["errors".to_owned(), "latency".to_owned()];
    world.seen.service_deployment = Some(theirs);
    for room in [0, 5, 12, 30] {
        let shown = world.found().evidence(room);
        let rows: usize = shown.iter().map(|line| rows(line, INDENT_OF_EVIDENCE)).sum();
        assert!(rows <= room, "{rows} of {room}: {shown:#?}");
    }
    let shown = world.evidence();
    for line in [
        "circuit breaker: 2 failures, threshold 3 (MONITORING)",
        "alarms that fired: errors, latency",
        "  line 19",
    ] {
        assert!(shown.iter().any(|shown| shown == line), "{line}: {shown:#?}");
    }
}

#[test]
fn a_cause_that_is_too_long_keeps_its_beginning_and_its_end() {
    let reason = format!("CannotPullContainerError: ref {} not found", "x".repeat(900));
    let cause = World::of(vec![stopped("t1", "TaskFailedToStart", &reason)]).cause();
    assert!(cause.chars().count() <= 540, "{cause}");
    assert!(
        cause.starts_with("CannotPullContainerError: ref x") && cause.ends_with("x not found"),
        "{cause}"
    );
}
