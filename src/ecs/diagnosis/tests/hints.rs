//! What to do: a hint for every cause that is known, with what to compare.

use super::*;
use crate::ecs::diagnosis::hint_of_reason;

fn hints(world: &World) -> Vec<String> {
    world.found().hints
}

fn first(world: &World) -> String {
    let found = world.found();
    found
        .hints
        .first()
        .cloned()
        .unwrap_or_else(|| panic!("no hint: {found:?}"))
}

fn failed(reason: &str) -> World {
    World::of(vec![stopped("t1", "TaskFailedToStart", reason)])
}

#[test]
fn every_known_cause_has_its_advice() {
    let event = |text: &str| World::of(Vec::new()).events(&[&format!("(service web) {text}")]);
    let check = |code: &str, text: &str| {
        World::of(vec![task("t1", "RUNNING")]).behind(vec![unhealthy("1", code, text)])
    };
    for (world, says) in [
        (World::of(vec![out_of_memory("t1")]), "raise `memory`"),
        (World::of(vec![exited("t1", 137)]), "exit code 137 is a kill"),
        (World::of(vec![exited("t1", 139)]), "segmentation fault"),
        (World::of(vec![exited("t1", 127)]), "was not found in the image"),
        (World::of(vec![exited("t1", 126)]), "cannot be executed"),
        (
            World::of(vec![exited("t1", 0)]),
            "an essential container must not end",
        ),
        (
            World::of(vec![exited("t1", 255)]).log(&["exec /app: exec format error"]),
            "built for another CPU",
        ),
        (
            failed("CannotStartContainerError: exec /app: exec format error"),
            "built for another CPU",
        ),
        (
            failed(
                "CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/amd64'",
            ),
            "built for another CPU",
        ),
        (
            failed("CannotPullContainerError: failed to resolve ref x: not found"),
            "was it pushed",
        ),
        (
            failed("CannotPullContainerError: repository x does not exist"),
            "was it pushed",
        ),
        (
            failed("CannotPullContainerError: dial tcp: i/o timeout"),
            "NAT gateway",
        ),
        (
            failed("CannotPullContainerError: context deadline exceeded"),
            "NAT gateway",
        ),
        (
            failed("CannotPullContainerError: 403 Forbidden"),
            "ecr:BatchGetImage",
        ),
        (
            failed("CannotPullContainerError: no basic auth credentials"),
            "ecr:BatchGetImage",
        ),
        (
            failed("CannotPullContainerError: toomanyrequests: limit"),
            "limits pulls",
        ),
        (
            failed("CannotPullContainerError: no space left on device"),
            "ephemeralStorage",
        ),
        (
            failed("CannotPullContainerError: something else"),
            "cannot be pulled",
        ),
        (
            failed(
                "ResourceInitializationError: unable to pull secrets or registry auth: GetAuthorizationToken: i/o timeout",
            ),
            "cannot reach ECR",
        ),
        (
            failed("ResourceInitializationError: unable to retrieve secret from asm: AccessDeniedException"),
            "secretsmanager:GetSecretValue",
        ),
        (
            failed(
                "ResourceInitializationError: unable to retrieve secret from asm: ResourceNotFoundException",
            ),
            "does not exist there",
        ),
        (
            failed(
                "ResourceInitializationError: retrieved secret from Secrets Manager did not contain json key x",
            ),
            "has no such key",
        ),
        (
            failed("ResourceInitializationError: unable to retrieve secret from asm: i/o timeout"),
            "cannot reach a secret",
        ),
        (
            failed(
                "ResourceInitializationError: failed to validate logger args: The specified log group does not exist.",
            ),
            "awslogs-create-group",
        ),
        (
            failed("ResourceInitializationError: failed to validate logger args: : signal: killed"),
            "the log driver cannot start",
        ),
        (
            failed("ResourceInitializationError: failed to invoke EFS utils commands: mount failed"),
            "port 2049",
        ),
        (
            check(
                "Target.ResponseCodeMismatch",
                "Health checks failed with these codes: [404]",
            ),
            "answers 404",
        ),
        (
            check(
                "Target.ResponseCodeMismatch",
                "Health checks failed with these codes: [301]",
            ),
            "redirects",
        ),
        (
            check(
                "Target.ResponseCodeMismatch",
                "Health checks failed with these codes: [401]",
            ),
            "wants a login",
        ),
        (
            check(
                "Target.ResponseCodeMismatch",
                "Health checks failed with these codes: [403]",
            ),
            "is forbidden",
        ),
        (
            check(
                "Target.ResponseCodeMismatch",
                "Health checks failed with these codes: [503]",
            ),
            "a server error",
        ),
        (check("Target.Timeout", "Request timed out"), "security group"),
        (
            check("Target.FailedHealthChecks", "Health checks failed"),
            "cannot connect",
        ),
        (
            World::of(vec![stopped(
                "t1",
                "ServiceSchedulerInitiated",
                "Task failed container health checks",
            )]),
            "`startPeriod` gives",
        ),
        (
            event("was unable to place a task. Reason: Capacity is unavailable at this time."),
            "Fargate has no room",
        ),
        (
            event("was unable to place a task. Reason: You've reached the limit on vCPUs."),
            "Service Quotas",
        ),
        (
            event("was unable to place a task because no container instance met all of its requirements."),
            "add capacity",
        ),
        (
            event("operations are being throttled. Will try again later."),
            "request rate",
        ),
        (
            event(
                "was unable to stop or start tasks during a deployment because of the service deployment configuration.",
            ),
            "minimumHealthyPercent 100 and maximumPercent 200",
        ),
        (
            World::of(vec![stopped(
                "t1",
                "SpotInterruption",
                "Your Spot Task was interrupted.",
            )]),
            "Spot capacity",
        ),
        (
            World::of(vec![stopped("t1", "UserInitiated", "x")]),
            "ecs:StopTask",
        ),
    ] {
        let hint = first(&world);
        assert!(hint.contains(says), "`{says}` is not in `{hint}`");
    }
    assert_eq!(
        hints(&World::of(vec![exited("t1", 3)])),
        [""; 0],
        "an unknown cause has no advice"
    );
}

#[test]
fn alarms_have_their_advice_however_many_fired() {
    for alarms in [&["errors"][..], &["errors", "latency"]] {
        let mut world = World::of(Vec::new());
        let mut found = service_deployment("ROLLBACK_IN_PROGRESS");
        found.triggered_alarms = alarms.iter().map(|alarm| (*alarm).to_owned()).collect();
        world.seen.service_deployment = Some(found);
        assert!(
            first(&world).contains("what the alarm measured"),
            "{}",
            world.cause()
        );
    }
}

#[test]
fn what_ecs_says_of_a_deployment_that_no_task_ended_has_its_advice() {
    for (reason, says) in [
        (
            "Service deployment rolled back because POST_SCALE_UP pause hook timed out.",
            "in time",
        ),
        (
            "Service deployment rolled back because POST_SCALE_UP pause hook was rolled back.",
            "with ROLLBACK",
        ),
        (
            "Service deployment rolled back because PRE_SCALE_UP lifecycle hook(s) failed. Lifecycle hook target x returned \
             FAILED status.",
            "the log of the hook's function",
        ),
        (
            "Service deployment rolled back because it was stopped.",
            "ecs:StopServiceDeployment",
        ),
        (
            "Service deployment rolled back by user request.",
            "ecs:StopServiceDeployment",
        ),
        (
            "Service deployment rolled back because of invalid networking configuration. It is wrong.",
            "subnets and security groups",
        ),
        (
            "No rollback candidate was found to run the rollback.",
            "has completed yet",
        ),
    ] {
        let hint = hint_of_reason(reason).unwrap();
        assert!(hint.contains(says), "{reason}: {hint}");
    }
    let hint = hint_of_reason(
        "Service deployment rolled back because X lifecycle hook(s) failed. Lifecycle hook target \
         arn:aws:lambda:eu-west-1:1:function:smoke:7 returned FAILED status.",
    );
    assert!(hint.unwrap().ends_with("`/aws/lambda/smoke`"));
    assert_eq!(hint_of_reason("something new"), None);
}

#[test]
fn tasks_that_do_not_start_say_what_they_may_wait_for() {
    for (status, says) in [
        ("PROVISIONING", "free addresses"),
        ("PENDING", "fetch the image"),
        ("ACTIVATING", "`dependsOn`"),
    ] {
        let hint = first(&World::of(vec![task("t1", status)]));
        assert!(hint.contains(says), "{status}: {hint}");
    }
}

#[test]
fn what_a_container_says_in_its_own_words_is_not_taken_for_ecs() {
    for line in [
        "error: no secret is set",
        "ALARM: insufficient prefs",
        "error: request timed out",
        "cannotpull: not found",
    ] {
        let world = World::of(vec![exited("t1", 3)]).log(&[line]);
        assert_eq!(hints(&world), [""; 0], "{line}");
    }
}

#[test]
fn memory_of_the_two_revisions_is_compared() {
    let hint =
        |ours: Value, previous: Value| first(&World::of(vec![out_of_memory("t1")]).compared(ours, previous));
    let web = |memory: u32| with_web(json!({ "memory": memory }));
    assert_eq!(
        hint(web(256), web(512)),
        "`web` may use 256 MiB in `web:2`, and had 512 MiB in `web:1`: raise `memory`, or find what uses more than before"
    );
    assert!(hint(web(256), web(256)).starts_with("`web` may use 256 MiB in `web:2`, as in `web:1`"));
    let mut task = with_web(json!({}));
    task["memory"] = json!("1024");
    assert!(
        hint(task, web(512))
            .starts_with("`web` may use 1024 MiB of the whole task in `web:2`, and had 512 MiB")
    );
}

#[test]
fn the_platform_is_named_as_docker_names_it() {
    let of = |cpu: &str| {
        let mut document = with_web(json!({}));
        document["runtimePlatform"] = json!({ "cpuArchitecture": cpu, "operatingSystemFamily": "LINUX" });
        document
    };
    let world =
        failed("CannotStartContainerError: exec format error").compared(of("ARM64"), with_web(json!({})));
    assert_eq!(
        first(&world),
        "the image is built for another CPU: `web:2` runs on LINUX/ARM64 (`web:1` ran on LINUX/X86_64); build with \
         `platform = \"linux/arm64\"`, or change `runtimePlatform`"
    );
    let world = failed("CannotStartContainerError: exec format error").compared(of("X86_64"), of("X86_64"));
    assert!(first(&world).contains("`platform = \"linux/amd64\"`") && !first(&world).contains("ran on"));
}

#[test]
fn images_log_groups_secrets_and_roles_are_named() {
    let ours = json!({
        "executionRoleArn": "arn:aws:iam::000000000000:role/pull",
        "containerDefinitions": [{
            "name": "web", "image": "shop/web@sha256:0123",
            "logConfiguration": { "logDriver": "awslogs", "options": {
                "awslogs-group": "/ecs/web", "awslogs-region": "us-east-1" } },
            "secrets": [
                { "name": "OLD", "valueFrom": "arn:aws:secretsmanager:eu-west-1:0:secret:old-a:key::" },
                { "name": "DB", "valueFrom": "arn:aws:secretsmanager:eu-west-1:0:secret:db-b:password::" },
            ],
        }],
    });
    let mut before = ours.clone();
    before["containerDefinitions"][0]["secrets"]
        .as_array_mut()
        .unwrap()
        .pop();
    let hint = |reason: &str| first(&failed(reason).compared(ours.clone(), before.clone()));
    assert!(
        hint("CannotPullContainerError: x: not found").starts_with("`shop/web@sha256:0123` is not there")
    );
    assert!(hint("CannotPullContainerError: 403").starts_with("the execution role `pull` may not pull"));
    assert_eq!(
        hint(
            "ResourceInitializationError: failed to validate logger args: The specified log group does not exist."
        ),
        "create the log group `/ecs/web` in us-east-1, or set `awslogs-create-group` and allow logs:CreateLogGroup to the \
         execution role `pull`"
    );
    let asm = "ResourceInitializationError: unable to retrieve secret from asm:";
    let db = "secret `arn:aws:secretsmanager:eu-west-1:0:secret:db-b:password::` (variable `DB`)";
    assert!(
        hint(&format!("{asm} AccessDeniedException")).contains(db),
        "the new one, if none is named"
    );
    let old = format!("{asm} AccessDeniedException: on arn:aws:secretsmanager:eu-west-1:0:secret:old-a");
    assert!(hint(&old).contains("(variable `OLD`)"), "{}", hint(&old));
}

#[test]
fn a_failed_target_check_names_path_and_ports() {
    let web = with_web(json!({ "portMappings": [{ "containerPort": 3000 }] }));
    let mut world = World::of(vec![task("t1", "RUNNING")])
        .behind(vec![unhealthy(
            "1",
            "Target.ResponseCodeMismatch",
            "Health checks failed with these codes: [404]",
        )])
        .compared(web.clone(), web);
    world.checks = vec![GroupCheck {
        arn: GROUP.to_owned(),
        protocol: Some("HTTP".to_owned()),
        port: Some("traffic-port".to_owned()),
        path: Some("/healthz".to_owned()),
        codes: Some("200".to_owned()),
        timeout: Some(5),
    }];
    assert_eq!(
        first(&world),
        "`/healthz` on port 8080 of `web` answers 404 (it wants 200): does the container serve that path there? The check \
         asks port 8080, and the task definition maps 3000."
    );
    world.seen.target_groups[0].targets = vec![unhealthy("1", "Target.Timeout", "Request timed out")];
    world.checks[0].port = Some("3000".to_owned());
    assert_eq!(
        first(&world),
        "nothing answers on port 3000 of `web` within 5 s: does the task's security group let the load balancer in, and \
         does the application listen on 0.0.0.0 there?"
    );
}

#[test]
fn a_container_check_names_its_program() {
    let web = with_web(json!({
        "healthCheck": { "command": ["CMD-SHELL", "curl -f localhost"], "interval": 10, "startPeriod": 5 },
    }));
    let world = World::of(vec![stopped(
        "t1",
        "ServiceSchedulerInitiated",
        "Task failed container health checks",
    )])
    .compared(web.clone(), web);
    assert_eq!(
        first(&world),
        "is `curl` in the image of `web`, and is it ready in time? The check fails after 3 tries, 10 s apart, with a \
         `startPeriod` of 5 s"
    );
}

#[test]
fn hints_are_few_and_each_is_given_once() {
    let tasks = [137, 139, 127, 126, 0, 137]
        .iter()
        .enumerate()
        .map(|(at, code)| exited(&format!("t{at}"), *code))
        .collect();
    let hints = hints(&World::of(tasks));
    assert_eq!(hints.len(), 3, "{hints:?}");
}
