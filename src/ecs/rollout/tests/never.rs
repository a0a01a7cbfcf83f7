//! Over any sequence of looks: what must hold when the judge says that a rollout is healthy.

use super::*;
use build::*;
use proptest::prelude::*;
use proptest::strategy::Strategy;

/// Mostly the first word: a look has few oddities at a time, or none would be healthy.
fn word(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop_oneof![12 => Just(words[0]), 1 => prop::sample::select(words)]
}

fn rarely() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.08)
}

/// What one task of ours may look like.
fn any_task(number: u32) -> impl Strategy<Value = Task> {
    (
        word(&["RUNNING", "PENDING", "STOPPED", "RUNNING_WELL"]),
        rarely(),
        word(&["HEALTHY", "UNHEALTHY", "UNKNOWN", "FINE"]),
        word(&["image", "other", ""]),
    )
        .prop_map(move |(status, stopping, health, runs)| {
            let mut task = task(&format!("t{number}"), status);
            task.stopping = stopping;
            task.containers[0].health = health.into();
            task.containers[0].digest = (!runs.is_empty()).then(|| digest(runs));
            task
        })
}

/// What our service deployment may look like; its revision may be another's.
fn any_service_deployment() -> impl Strategy<Value = ServiceDeployment> {
    let stages = &["", "BAKE_TIME", "PRODUCTION_TRAFFIC_SHIFT", "CLEAN_UP", "PARADE"];
    (
        word(&[
            "SUCCESSFUL",
            "PENDING",
            "IN_PROGRESS",
            "STOPPED",
            "ROLLBACK_SUCCESSFUL",
            "FINE",
        ]),
        word(&["2", "1", "3"]),
        word(&[
            "",
            "MONITORING",
            "MONITORING_COMPLETE",
            "DISABLED",
            "TRIGGERED",
            "DOZING",
        ]),
        word(&["", "AWAITING_ACTION", "IN_PROGRESS", "SUCCEEDED", "PONDERING"]),
        word(stages),
        word(&["", "ROLLING", "BLUE_GREEN"]),
    )
        .prop_map(|(status, number, alarms, hook, stage, strategy)| {
            let mut theirs = service_deployment(status);
            theirs.target.as_mut().unwrap().arn = format!("arn:x:service-revision/c/web/{number}");
            theirs.alarms = (!alarms.is_empty()).then(|| alarms.into());
            theirs.stage = (!stage.is_empty()).then(|| stage.into());
            theirs.strategy = (!strategy.is_empty()).then(|| strategy.into());
            theirs.hooks = (!hook.is_empty())
                .then(|| Hook {
                    id: "h".to_owned(),
                    target: HookTarget::Pause,
                    target_arn: None,
                    status: hook.into(),
                    on_timeout: None,
                })
                .into_iter()
                .collect();
            theirs
        })
}

/// A look at any state of our deployment: right words, wrong ones and unknown ones.
fn any_look() -> impl Strategy<Value = Observation> {
    let ours = (
        word(&["PRIMARY", "ACTIVE", "INACTIVE", "DRAINING", "SECONDARY"]),
        word(&["COMPLETED", "IN_PROGRESS", "FAILED", "DONE", ""]),
        0..4u32,
        rarely(),
        rarely(),
    );
    let around = (
        0..4u32,
        word(&["ACTIVE", "DRAINING", "RETIRED"]),
        word(&["ROLLING", "BLUE_GREEN", "TURQUOISE"]),
        (rarely(), rarely(), rarely(), rarely(), rarely()),
    );
    let tasks = (
        (any_task(1), any_task(2), any_task(3)),
        0..4usize,
        word(&["healthy", "initial", "unhealthy", "draining", "lovely"]),
        prop::option::weighted(0.1, word(&["ecs:DescribeTasks", "ecs:ListTasks"])),
    );
    let theirs = prop::option::of(any_service_deployment());
    let revision = prop::option::of((word(&["2", "3"]), word(&["image", "other", ""])));
    let oddity = prop_oneof![
        20 => Just(None),
        1 => Just(Some(Presence::Missing)),
        1 => Just(Some(Presence::Unseen)),
        1 => Just(Some(Presence::Unreadable { member: "desiredCount" })),
    ];
    (ours, around, tasks, theirs, revision, oddity).prop_map(|(ours, of, tasks, theirs, revision, oddity)| {
        let (place, rollout, running, unlisted, failed) = ours;
        let (desired, status, strategy, (alarms, bake, early, unseen, hooks)) = of;
        let ((first, second, third), listed, target_state, denied) = tasks;
        let mut seen = service(desired);
        seen.status = status.into();
        seen.strategy = strategy.into();
        seen.unseen_health = unseen;
        seen.configuration.alarms.enabled = alarms;
        seen.configuration.bake = bake.then(|| Duration::from_secs(60));
        seen.configuration.early_success = early.then_some(EarlySuccess {
            healthy_percent: 50,
            deferred_cleanup: true,
        });
        if hooks {
            seen.configuration.hooks = vec![HookSettings {
                pauses: true,
                stages: Vec::new(),
                timeout: Duration::from_secs(60),
            }];
        }
        seen.deployments[0] = deployment(2, place, rollout, running);
        if rollout.is_empty() {
            seen.deployments[0].rollout = None;
        }
        if unlisted {
            seen.deployments.remove(0);
        }
        if failed {
            let message = "(service web) (deployment ecs-svc/2) deployment failed: tasks failed to start.";
            seen.events = vec![event("e", message)];
        }
        let mut look = look(seen);
        super::success::attach(&mut look, &["healthy", target_state, "healthy"]);
        look.service_deployment = theirs;
        look.revision = revision.map(|(number, of)| Revision {
            arn: format!("arn:x:service-revision/c/web/{number}"),
            task_definition: None,
            images: vec![RevisionImage {
                container: "web".to_owned(),
                digest: (!of.is_empty()).then(|| digest(of)),
            }],
        });
        look.tasks = Some([first, second, third].into_iter().take(listed).collect());
        if let Some(action) = denied {
            look.tasks = None;
            look.blind.push(Blind {
                action: action.to_owned(),
                why: BlindReason::Denied,
            });
        }
        if let Some(oddity) = oddity {
            look.service = oddity;
        }
        look
    })
}

/// What a success must be true of, in words of its own.
fn what_is_wrong(look: &Observation) -> Result<(), String> {
    let must = |good: bool, what: &str| if good { Ok(()) } else { Err(what.to_owned()) };
    let Presence::Seen(service) = &look.service else {
        return Err("the service was not seen".to_owned());
    };
    let ours = service
        .deployments
        .iter()
        .find(|deployment| deployment.id == "ecs-svc/2")
        .ok_or("our deployment is not there")?;
    let theirs = look.service_deployment.as_ref().filter(|theirs| {
        theirs
            .target
            .as_ref()
            .is_some_and(|target| target.arn.ends_with("/2"))
    });
    let word = |word: &dyn ToString| word.to_string();
    must(word(&service.status) == "ACTIVE", "the service's status")?;
    must(word(&ours.status) == "PRIMARY", "it is not the primary one")?;
    must(service.events.is_empty(), "an event says that it failed")?;
    let state = ours.rollout.as_ref().map(ToString::to_string);
    let known = |state: &String| state == "IN_PROGRESS" || state == "COMPLETED";
    must(state.as_ref().is_none_or(known), "its rollout state")?;
    must(state.is_some() || theirs.is_some(), "nobody says how far it is")?;
    let status = theirs.map(|theirs| theirs.status.to_string());
    let goes = |status: &String| ["PENDING", "IN_PROGRESS", "SUCCESSFUL"].contains(&status.as_str());
    must(
        status.as_ref().is_none_or(goes),
        "its service deployment's status",
    )?;
    let over = status.as_deref() == Some("SUCCESSFUL");
    let completed = over || state.as_deref() == Some("COMPLETED");
    if !over {
        let monitor = theirs.and_then(|theirs| theirs.alarms.as_ref().map(ToString::to_string));
        must(monitor.as_deref() != Some("TRIGGERED"), "an alarm fired")?;
        if !completed {
            let quiet = matches!(monitor.as_deref(), Some("MONITORING_COMPLETE" | "DISABLED"));
            must(
                quiet || !service.configuration.alarms.enabled,
                "alarms are watched",
            )?;
            must(
                quiet || monitor.is_none(),
                "alarms are watched, says its service deployment",
            )?;
            must(service.configuration.bake.is_none(), "it bakes")?;
            must(service.configuration.hooks.is_empty(), "a hook may come")?;
            let held = theirs.is_some_and(|theirs| {
                theirs
                    .hooks
                    .iter()
                    .any(|hook| hook.status.to_string() != "SUCCEEDED")
            });
            must(!held, "a hook holds it")?;
            must(word(&service.strategy) == "ROLLING", "traffic has not moved")?;
            must(!service.unseen_health, "a load balancer that cannot be seen")?;
        }
        let aside = word(&service.strategy) != "ROLLING"
            || theirs.is_some_and(|theirs| {
                theirs
                    .strategy
                    .as_ref()
                    .is_some_and(|strategy| strategy.to_string() != "ROLLING")
            });
        must(
            !aside || theirs.is_none(),
            "its own API does not say that it is over",
        )?;
    }
    must(service.desired > 0, "nothing is wanted")?;
    let early = service.configuration.early_success.is_some();
    must(!(early && service.unseen_health), "ECS vouches for a part")?;
    let resolved = look
        .revision
        .as_ref()
        .filter(|revision| revision.arn.ends_with("/2"))
        .and_then(|revision| revision.images[0].digest.clone());
    must(
        resolved
            .as_ref()
            .is_none_or(|resolved| *resolved == digest("image")),
        "its revision has another image",
    )?;
    let Some(tasks) = &look.tasks else {
        must(completed && !early, "nobody says that all are healthy")?;
        return must(resolved.is_some(), "nothing proves the image");
    };
    let good = tasks.iter().zip(0usize..).filter(|(task, index)| {
        let container = &task.containers[0];
        task.status.to_string() == "RUNNING"
            && !task.stopping
            && container.health.to_string() == "HEALTHY"
            && match &container.digest {
                Some(runs) => *runs == digest("image"),
                None => resolved.is_some(),
            }
            && look.target_groups[0].targets[*index].state.to_string() == "healthy"
    });
    must(
        good.count() >= service.desired as usize,
        "fewer good tasks than are wanted",
    )
}

fn checked() -> Policy {
    let mut policy = policy();
    policy.checked.insert("web".parse().unwrap());
    policy
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn healthy_is_only_said_of_what_is_healthy_by_another_definition(
        looks in prop::collection::vec(any_look(), 1..12),
    ) {
        let mut rollout = rollout(checked());
        for (look, at) in looks.iter().zip(0u64..) {
            match rollout.judge(Duration::from_secs(at * 25), look) {
                Verdict::Healthy => {
                    prop_assert_eq!(what_is_wrong(look), Ok(()));
                    break;
                }
                Verdict::Wait(_) => {}
                Verdict::Lost(_) => break,
            }
        }
    }
}

/// The property above would hold of a judge that never says healthy, too.
#[test]
fn among_arbitrary_looks_some_are_healthy() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let healthy = (0..3000).filter(|_| {
        let look = any_look().new_tree(&mut runner).unwrap().current();
        rollout(checked()).judge(Duration::from_secs(10), &look) == Verdict::Healthy
    });
    assert!(healthy.count() > 100);
}
