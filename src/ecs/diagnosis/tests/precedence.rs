//! Which of several causes is the root: one case for every row of the tables of stop codes, target reasons, the circuit
//! breaker, alarms and service events.

use super::*;
use crate::ecs::observation::{Breaker, Health, MonitorStatus};

const PULL: &str = "CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref \
                    shop/web:2: not found";
const TRIPPED: &str = "(service web) (deployment ecs-svc/2) deployment failed: tasks failed to start.";

/// Ranks 1 to 10 in one world each, and what the cause must say. Every one must beat all that follow it.
fn ladder() -> Vec<(World, &'static str)> {
    let none = || World::of(Vec::new());
    let mut failing = task("t6", "RUNNING");
    failing.containers[0].health = Health::Unhealthy;
    let mut alarm = none();
    let mut found = service_deployment("IN_PROGRESS");
    found.triggered_alarms = vec!["errors".to_owned()];
    alarm.seen.service_deployment = Some(found);
    let mut breaker = none();
    let mut found = service_deployment("IN_PROGRESS");
    found.breaker = Some(Breaker {
        status: MonitorStatus::Triggered,
        failures: 3,
        threshold: 3,
    });
    breaker.seen.service_deployment = Some(found);
    vec![
        (
            World::of(vec![exited("t1", 3)]).log(&["panic: no database"]),
            "container web exited with code 3: \"panic: no database\"",
        ),
        (World::of(vec![stopped("t2", "TaskFailedToStart", PULL)]), PULL),
        (
            World::of(vec![out_of_memory("t3")]),
            "container web ran out of memory: killed with exit code 137 (OutOfMemoryError: Container killed due to \
             memory usage)",
        ),
        (
            World::of(vec![exited("t4", 3)]),
            "container web exited with code 3",
        ),
        (World::of(vec![failing]), "container web fails its health check"),
        (alarm, "alarm `errors` fired"),
        (
            World::of(vec![stopped(
                "t7",
                "SpotInterruption",
                "Your Spot Task was interrupted.",
            )]),
            "Your Spot Task was interrupted.",
        ),
        (
            none().events(&["(service web) was unable to place a task. Reason: Internal error."]),
            "ECS was unable to place a task: Internal error",
        ),
        (
            World::of(vec![stopped("t9", "UserInitiated", "Task stopped by user")]),
            "somebody stopped tasks of the new revision: Task stopped by user",
        ),
        (
            breaker,
            "the circuit breaker tripped after 3 failures (threshold 3)",
        ),
        (
            World::of(vec![task("t8", "PENDING")]),
            "no task failed: 1 task is still PENDING, container web has not started",
        ),
    ]
}

#[test]
fn each_rung_alone_is_the_cause() {
    for (world, cause) in ladder() {
        assert_eq!(world.cause(), cause);
    }
}

#[test]
fn each_rung_beats_every_later_one() {
    let rungs = ladder();
    for (at, (upper, cause)) in rungs.iter().enumerate() {
        for (lower, symptom) in &rungs[at + 1..] {
            let mut both = upper.clone();
            // The later one comes first in every list, so that only its rank puts it behind.
            let mut tasks = lower.seen.tasks.clone().unwrap();
            tasks.extend(upper.seen.tasks.clone().unwrap());
            both.seen.tasks = Some(tasks);
            let found = upper.seen.service_deployment.clone();
            both.seen.service_deployment = match (found, lower.seen.service_deployment.clone()) {
                (Some(mut found), Some(other)) => {
                    found.breaker = other.breaker;
                    Some(found)
                }
                (found, other) => found.or(other),
            };
            if upper.seen.seen_service().unwrap().events.is_empty() {
                both.seen.service = lower.seen.service.clone();
            }
            assert_eq!(both.cause(), *cause, "against {symptom}");
        }
    }
}

#[test]
fn one_odd_failure_does_not_explain_ten_others() {
    let mut tasks = vec![stopped("t0", "TaskFailedToStart", PULL)];
    tasks.extend((1..=10).map(|number| exited(&format!("t{number}"), 3)));
    let mut world = World::of(tasks);
    assert_eq!(world.cause(), "container web exited with code 3");
    world.seen.tasks.as_mut().unwrap().truncate(3);
    assert_eq!(world.cause(), PULL, "of three, it may well be");
}

#[test]
fn every_stop_code_of_ecs_has_its_cause() {
    let words = |code: &str, reason: &str| World::of(vec![stopped("t1", code, reason)]).cause();
    for (code, reason) in [
        ("TaskFailedToStart", PULL),
        (
            "TaskFailedToStart",
            "ResourceInitializationError: unable to pull secrets or registry auth: operation error ECR: \
             GetAuthorizationToken, exceeded maximum number of attempts, 3: i/o timeout",
        ),
        (
            "TaskFailedToStart",
            "ResourceInitializationError: execution resource retrieval failed: unable to retrieve secret from asm",
        ),
        (
            "TaskFailedToStart",
            "ResourceInitializationError: failed to validate logger args: : signal: killed",
        ),
        ("SpotInterruption", "Your Spot Task was interrupted."),
        ("TerminationNotice", "The host is going away."),
        ("InfrastructureHealth", "The host is unhealthy."),
        ("NewerThanUs", "something new"),
    ] {
        assert_eq!(words(code, reason), reason, "{code}");
    }
    assert_eq!(
        words("ServiceSchedulerInitiated", "Task failed container health checks"),
        "container web fails its health check"
    );
    assert_eq!(
        words(
            "ServiceSchedulerInitiated",
            &format!("Task failed ELB health checks in (target-group {GROUP})")
        ),
        "targets of web failed the load balancer's health checks"
    );
    assert_eq!(
        words(
            "ServiceSchedulerInitiated",
            "Scaling activity initiated by (deployment ecs-svc/2)"
        ),
        "",
        "a normal replacement is no failure"
    );
    assert_eq!(
        World::of(vec![exited("t1", 0)]).cause(),
        "container web exited with code 0"
    );
    let mut bare = stopped("t1", "TaskFailedToStart", "");
    bare.containers[0].reason = Some("CannotStartContainerError: exec format error".to_owned());
    assert_eq!(
        World::of(vec![bare.clone()]).cause(),
        "container web: CannotStartContainerError: exec format error",
        "the container says more than the task"
    );
    bare.stopped_reason = Some("Task failed to start".to_owned());
    assert!(
        World::of(vec![bare.clone()])
            .cause()
            .contains("exec format error")
    );
    bare.containers[0].reason = None;
    bare.stopped_reason = None;
    assert_eq!(World::of(vec![bare]).cause(), "ECS gives no reason");
}

#[test]
fn every_reason_of_a_target_is_told_with_its_code() {
    for (reason, description) in [
        (
            "Target.ResponseCodeMismatch",
            "Health checks failed with these codes: [404]",
        ),
        ("Target.Timeout", "Request timed out"),
        ("Target.FailedHealthChecks", "Health checks failed"),
        ("Target.IpUnusable", "The IP address is in use by a load balancer"),
        (
            "Elb.InternalError",
            "Health checks failed due to an internal error",
        ),
    ] {
        let world = World::of(vec![task("t1", "RUNNING")]).behind(vec![unhealthy("1", reason, description)]);
        assert_eq!(
            world.cause(),
            format!("targets of web are unhealthy: {description} ({reason})")
        );
        assert_eq!(
            world.evidence()[0],
            format!("targets of web: 1 unhealthy: {description} ({reason})")
        );
    }
    let mut unused = target("1", "unused");
    unused.reason = Some("Target.NotInUse".to_owned());
    let world = World::of(vec![task("t1", "RUNNING")]).behind(vec![unused]);
    assert_eq!(world.cause(), "targets of web are unused: Target.NotInUse");
    for state in ["initial", "healthy", "draining", "unavailable", "newer"] {
        let world = World::of(vec![task("t1", "RUNNING")]).behind(vec![target("1", state)]);
        assert_eq!(world.cause(), "", "{state} is no failure by itself");
    }
}

#[test]
fn targets_of_other_tasks_are_not_ours() {
    let other = unhealthy("9", "Target.Timeout", "Request timed out");
    let world = World::of(vec![task("t1", "RUNNING")]).behind(vec![other.clone(), target("1", "healthy")]);
    assert_eq!(world.cause(), "");
    assert_eq!(world.evidence(), ["targets of web: 1 healthy"]);
    let mut blind = World::of(Vec::new()).behind(vec![other]);
    blind.seen.tasks = None;
    assert!(
        blind.cause().contains("Request timed out"),
        "unless nothing tells whose they are"
    );
}

#[test]
fn every_event_of_trouble_is_a_cause_where_no_task_tells() {
    for (event, cause) in [
        (
            "was unable to place a task. Reason: CannotPullContainerError: not found.",
            "CannotPullContainerError: not found",
        ),
        (
            "was unable to place a task. Reason: You've reached the limit on the number of vCPUs.",
            "ECS was unable to place a task: You've reached the limit on the number of vCPUs",
        ),
        (
            "was unable to place a task. Reason: Capacity is unavailable at this time.",
            "ECS was unable to place a task: Capacity is unavailable at this time",
        ),
        (
            "was unable to place a task because no container instance met all of its requirements.",
            "ECS was unable to place a task because no container instance met all of its requirements",
        ),
        (
            "is unable to consistently start tasks successfully.",
            "ECS is unable to consistently start tasks successfully",
        ),
        (
            "operations are being throttled. Will try again later.",
            "ECS operations are being throttled. Will try again later",
        ),
        (
            "failed to launch a task with (error ECS was unable to assume the role).",
            "ECS failed to launch a task with (error ECS was unable to assume the role)",
        ),
        (
            "failed to register targets in (target-group g) with (error full)",
            "ECS failed to register targets in (target-group g) with (error full)",
        ),
        (
            "was unable to stop or start tasks during a deployment because of the service deployment configuration.",
            "ECS was unable to stop or start tasks during a deployment because of the service deployment configuration",
        ),
        (
            "(task t1) (port 80) is unhealthy in (target-group arn:x:targetgroup/web/0) due to (reason Request timed out).",
            "targets of web are unhealthy: Request timed out",
        ),
        (
            "(instance i-1) (port 80) is unhealthy in (target-group arn:x:targetgroup/web/0) due to (reason Health checks \
             failed with these codes: [404]).",
            "targets of web are unhealthy: Health checks failed with these codes: [404]",
        ),
    ] {
        let world = World::of(Vec::new()).events(&[&format!("(service web) {event}")]);
        assert_eq!(world.cause(), cause);
        assert_eq!(world.evidence().len(), 1, "{event}");
    }
    for normal in [
        "has started 2 tasks: (task a) (task b).",
        "registered 2 targets in (target-group g)",
        "deregistered 2 targets in (target-group g)",
        "has stopped 2 running tasks: (task a).",
        "(deployment ecs-svc/2) deployment completed.",
        "has reached a steady state.",
    ] {
        let world = World::of(Vec::new()).events(&[&format!("(service web) {normal}")]);
        assert_eq!(world.found(), Diagnosis::default(), "{normal}");
    }
    let world = World::of(Vec::new()).events(&[
        "(service web) was unable to place a task. Reason: CannotPullContainerError: not found.",
        "(service web) is unable to consistently start tasks successfully.",
    ]);
    assert_eq!(
        world.cause(),
        "CannotPullContainerError: not found",
        "the reason, not what follows from it"
    );
    let world = World::of(Vec::new()).events(&[TRIPPED]);
    assert_eq!(world.cause(), "", "that it failed is what happened, and not why");
}

#[test]
fn what_an_application_says_explains_its_failed_checks() {
    let world = World::of(vec![failed_elb("t1")])
        .behind(vec![unhealthy(
            "1",
            "Target.ResponseCodeMismatch",
            "Health checks failed with these codes: [503]",
        )])
        .log(&[
            "listening",
            "check: database \"orders\" is unreachable",
            "SIGTERM: shutting down, error",
        ]);
    assert_eq!(
        world.cause(),
        "container web said \"check: database \"orders\" is unreachable\"; targets of web are unhealthy: Health checks \
         failed with these codes: [503] (Target.ResponseCodeMismatch)"
    );
    let world = World::of(vec![stopped(
        "t1",
        "ServiceSchedulerInitiated",
        "Task failed container health checks",
    )])
    .log(&["listening", "error: no database"]);
    assert_eq!(
        world.cause(),
        "container web fails its health check; it said \"error: no database\""
    );
}

#[test]
fn a_rust_panic_is_joined_from_its_two_lines_and_the_last_line_stands_for_none() {
    let world = World::of(vec![exited("t1", 101)]).log(&[
        "thread 'main' panicked at src/main.rs:3:5:",
        "no DATABASE_URL",
        "note: run with `RUST_BACKTRACE=1` to display",
    ]);
    assert_eq!(
        world.cause(),
        "container web exited with code 101: \"thread 'main' panicked at src/main.rs:3:5: no DATABASE_URL\""
    );
    let world = World::of(vec![exited("t1", 1)]).log(&["starting", "bye", ""]);
    assert_eq!(world.cause(), "container web exited with code 1: \"bye\"");
}

#[test]
fn an_end_without_a_word_says_so_and_when() {
    let mut silent = exited("t1", 3);
    silent.ran_for = Some(std::time::Duration::from_secs(7));
    let world = World::of(vec![silent]);
    assert_eq!(
        world.cause(),
        "container web exited with code 3",
        "nobody read its log"
    );
    let world = world.log(&[]);
    assert_eq!(
        world.cause(),
        "container web exited with code 3 after 7 s, and wrote nothing to its log"
    );
    assert!(world.found().hints[0].starts_with("run the image of `web`"));
}

#[test]
fn a_kill_for_memory_names_the_limit_and_what_was_said_of_memory_only() {
    let world = World::of(vec![out_of_memory("t1")]).compared(
        with_web(json!({ "memory": 256 })),
        with_web(json!({ "memory": 512 })),
    );
    let killed = "container web ran out of memory: killed with exit code 137 (OutOfMemoryError: Container killed due to \
                  memory usage); its hard limit is 256 MiB";
    assert_eq!(world.clone().log(&["error: cache miss"]).cause(), killed);
    assert_eq!(
        world.log(&["error: cannot allocate 1 GiB"]).cause(),
        format!("{killed}; it said \"error: cannot allocate 1 GiB\"")
    );
}

#[test]
fn the_container_that_failed_by_itself_is_to_blame() {
    let mut task = exited("t1", 143);
    task.containers[0].name = "proxy".to_owned();
    let mut web = task.containers[0].clone();
    web.name = "web".to_owned();
    web.exit_code = Some(3);
    task.containers.push(web);
    assert_eq!(
        World::of(vec![task.clone()]).cause(),
        "container web exited with code 3"
    );
    // An essential container that ends well ends the task, too.
    task.containers[1].exit_code = Some(0);
    let shape =
        json!({ "containerDefinitions": [{ "name": "proxy", "essential": false }, { "name": "web" }] });
    let world = World::of(vec![task]).compared(shape.clone(), shape);
    assert_eq!(world.cause(), "container web exited with code 0");
}
