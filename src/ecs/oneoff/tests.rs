//! One look at a time: what is success, what never is, and when to look again.

use super::{Doubt, Loss, Oneoff, Policy, Sight, Verdict, WaitingOn};
use crate::ecs::observation::{Blind, BlindReason, Container, Health, StopCode, Task, TaskStatus};
use crate::ecs::rollout::Expected;
use crate::name::Digest;
use std::collections::BTreeSet;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn digest(of: &str) -> Digest {
    Digest::of(of.as_bytes())
}

fn judge() -> Oneoff {
    Oneoff::new(Policy {
        container: "web".parse().unwrap(),
        essential: vec!["proxy".parse().unwrap()],
        expected: Some(Expected {
            deployed: digest("index"),
            platforms: BTreeSet::from([digest("linux/amd64")]),
            resolved: true,
        }),
        timeout: 15 * MINUTE,
    })
}

fn container(name: &str, exit_code: Option<i32>) -> Container {
    Container {
        name: name.to_owned(),
        health: Health::Unknown,
        digest: (name == "web").then(|| digest("linux/amd64")),
        exit_code,
        reason: None,
        runtime_id: None,
    }
}

/// A task whose containers `web` and `proxy` ended with these codes.
fn task(status: &str, stop_code: Option<&str>, codes: (Option<i32>, Option<i32>)) -> Task {
    Task {
        id: "t1".to_owned(),
        status: status.into(),
        stopping: stop_code.is_some(),
        ran_for: None,
        health: Health::Unknown,
        address: None,
        containers: vec![
            container("web", codes.0),
            container("proxy", codes.1),
            container("sidecar", Some(1)),
        ],
        stop_code: stop_code.map(StopCode::from),
        stopped_reason: stop_code.map(|_| "why".to_owned()),
    }
}

fn look(task: Task) -> Sight {
    Sight::Seen(Box::new(task))
}

const EXITED: Option<&str> = Some("EssentialContainerExited");

#[test]
fn only_an_end_by_itself_with_0_of_the_container_that_does_the_work_is_done() {
    let wait = |on| Verdict::Wait(on);
    let lost = |loss| Verdict::Lost(loss);
    let unknown = |word: &str| {
        lost(Loss::CannotTell(Doubt::UnknownEnd {
            word: word.to_owned(),
        }))
    };
    for (status, stop_code, codes, verdict) in [
        (
            "PENDING",
            None,
            (None, None),
            wait(WaitingOn::TaskToStart {
                status: TaskStatus::Pending,
            }),
        ),
        ("RUNNING", None, (None, None), wait(WaitingOn::TaskToEnd)),
        (
            "DEPROVISIONING",
            EXITED,
            (Some(1), None),
            wait(WaitingOn::TaskToStop),
        ),
        // The work is done; the rest of the task need not be waited for.
        ("RUNNING", None, (Some(0), None), Verdict::Done),
        ("STOPPING", EXITED, (Some(0), None), Verdict::Done),
        ("STOPPED", EXITED, (Some(0), Some(143)), Verdict::Done),
        ("STOPPED", EXITED, (Some(0), Some(0)), Verdict::Done),
        ("STOPPED", EXITED, (Some(0), None), Verdict::Done),
        // Another essential container may have ended first, and taken the one that worked with it.
        (
            "STOPPING",
            EXITED,
            (Some(0), Some(1)),
            wait(WaitingOn::TaskToStop),
        ),
        (
            "STOPPED",
            EXITED,
            (Some(0), Some(1)),
            lost(Loss::Failed { worked: true }),
        ),
        (
            "STOPPED",
            EXITED,
            (Some(1), Some(143)),
            lost(Loss::Failed { worked: false }),
        ),
        (
            "STOPPED",
            EXITED,
            (Some(143), Some(0)),
            lost(Loss::Failed { worked: false }),
        ),
        (
            "STOPPED",
            EXITED,
            (None, None),
            lost(Loss::Failed { worked: false }),
        ),
        (
            "STOPPED",
            Some("TaskFailedToStart"),
            (None, None),
            lost(Loss::Failed { worked: false }),
        ),
        (
            "STOPPED",
            Some("SpotInterruption"),
            (Some(143), None),
            lost(Loss::Failed { worked: false }),
        ),
        // A process may well end with 0 when it is told to end.
        (
            "STOPPED",
            Some("SpotInterruption"),
            (Some(0), None),
            lost(Loss::Failed { worked: true }),
        ),
        (
            "STOPPED",
            Some("UserInitiated"),
            (Some(0), Some(0)),
            lost(Loss::Stopped {
                reason: Some("why".to_owned()),
            }),
        ),
        (
            "STOPPING",
            Some("UserInitiated"),
            (Some(0), None),
            wait(WaitingOn::TaskToStop),
        ),
        // Words that nobody knows.
        ("STOPPED", Some("Lunch"), (Some(0), None), unknown("Lunch")),
        ("STOPPED", None, (Some(0), Some(0)), unknown("")),
        (
            "RESTING",
            None,
            (None, None),
            wait(WaitingOn::KnownStatus {
                word: "RESTING".to_owned(),
            }),
        ),
        (
            "RESTING",
            EXITED,
            (Some(0), None),
            wait(WaitingOn::KnownStatus {
                word: "RESTING".to_owned(),
            }),
        ),
    ] {
        let said = judge().judge(MINUTE, look(task(status, stop_code, codes)));
        assert_eq!(said, verdict, "{status} {stop_code:?} {codes:?}");
    }
}

#[test]
fn once_the_work_was_seen_to_end_first_the_others_may_end_as_they_like() {
    let mut judge = judge();
    let mut young = task("RUNNING", None, (Some(0), None));
    young.containers[0].digest = None;
    assert_eq!(
        judge.judge(MINUTE, look(young)),
        Verdict::Wait(WaitingOn::Digest {
            container: "web".parse().unwrap()
        })
    );
    assert_eq!(
        judge.judge(MINUTE, look(task("STOPPED", EXITED, (Some(0), Some(1))))),
        Verdict::Done
    );
}

#[test]
fn the_image_that_ran_must_be_the_one_that_is_deployed() {
    let end = |digest: Option<Digest>| {
        let mut task = task("STOPPED", EXITED, (Some(0), None));
        task.containers[0].digest = digest;
        look(task)
    };
    let web = || "web".parse().unwrap();
    assert_eq!(judge().judge(MINUTE, end(Some(digest("index")))), Verdict::Done);
    let other = || Some(digest("other"));
    assert_eq!(
        judge().judge(MINUTE, end(other())),
        Verdict::Lost(Loss::WrongDigest {
            container: web(),
            expected: digest("index"),
            found: digest("other"),
        })
    );
    assert_eq!(
        judge().judge(MINUTE, end(None)),
        Verdict::Lost(Loss::CannotTell(Doubt::NoDigest { container: web() }))
    );
    let mut unreadable = judge();
    if let Some(expected) = &mut unreadable.policy.expected {
        expected.resolved = false;
    }
    assert_eq!(
        unreadable.judge(MINUTE, end(other())),
        Verdict::Lost(Loss::CannotTell(Doubt::UnreadableIndex {
            container: web(),
            found: digest("other"),
        }))
    );
    let mut unproven = judge();
    unproven.policy.expected = None;
    assert_eq!(unproven.judge(MINUTE, end(other())), Verdict::Done);
}

#[test]
fn a_task_that_is_not_found_is_waited_for_a_while_and_never_called_done() {
    let mut judge = judge();
    for _ in 0..5 {
        assert_eq!(
            judge.judge(MINUTE, Sight::Missing),
            Verdict::Wait(WaitingOn::TaskToAppear)
        );
    }
    judge.judge(MINUTE, look(task("RUNNING", None, (None, None))));
    for _ in 0..5 {
        assert!(matches!(judge.judge(MINUTE, Sight::Missing), Verdict::Wait(_)));
    }
    assert_eq!(
        judge.judge(MINUTE, Sight::Missing),
        Verdict::Lost(Loss::CannotTell(Doubt::Vanished { seen: true }))
    );
}

#[test]
fn what_cannot_be_seen_is_a_doubt() {
    let blind = |why| {
        Sight::Unseen(Blind {
            action: "ecs:DescribeTasks".to_owned(),
            why,
        })
    };
    let action = || "ecs:DescribeTasks".to_owned();
    let sight = WaitingOn::Sight { action: action() };
    assert_eq!(
        judge().judge(MINUTE, blind(BlindReason::Transient)),
        Verdict::Wait(sight.clone())
    );
    for (why, doubt) in [
        (BlindReason::Denied, Doubt::Denied { action: action() }),
        (BlindReason::Unsupported, Doubt::Denied { action: action() }),
    ] {
        assert_eq!(
            judge().judge(MINUTE, blind(why)),
            Verdict::Lost(Loss::CannotTell(doubt))
        );
    }
    assert_eq!(
        judge().judge(15 * MINUTE, blind(BlindReason::Transient)),
        Verdict::Lost(Loss::CannotTell(Doubt::Blind { last: sight }))
    );
}

#[test]
fn credentials_that_fail_for_a_while_pass_and_end_the_watch_if_they_stay_away() {
    let action = || "ecs:DescribeTasks".to_owned();
    let keyless = || {
        Sight::Unseen(Blind {
            action: action(),
            why: BlindReason::NoCredentials,
        })
    };
    let (waits, gone) = (
        Verdict::Wait(WaitingOn::Credentials { action: action() }),
        Verdict::Lost(Loss::CannotTell(Doubt::NoCredentials)),
    );
    let mut watch = judge();
    assert_eq!(watch.judge(MINUTE, keyless()), waits);
    let _ = watch.judge(MINUTE, look(task("RUNNING", None, (None, None))));
    assert_eq!(watch.judge(2 * MINUTE, keyless()), waits);
    assert_eq!(watch.judge(3 * MINUTE, keyless()), waits);
    assert_eq!(watch.judge(4 * MINUTE, keyless()), gone);
    assert_eq!(judge().judge(15 * MINUTE, keyless()), gone);
}

#[test]
fn at_the_deadline_the_last_look_counts() {
    let running = || look(task("RUNNING", None, (None, None)));
    assert_eq!(
        judge().judge(15 * MINUTE, running()),
        Verdict::Lost(Loss::Deadline {
            last: WaitingOn::TaskToEnd
        })
    );
    let ended = look(task("STOPPED", EXITED, (Some(0), None)));
    assert_eq!(judge().judge(16 * MINUTE, ended), Verdict::Done);
}

#[test]
fn a_short_task_is_looked_at_often_and_a_long_one_seldom() {
    let mut judge = judge();
    let seconds = Duration::from_secs;
    judge.judge(seconds(0), look(task("PROVISIONING", None, (None, None))));
    assert_eq!(judge.pause(seconds(0)), seconds(4));
    for (at, pause) in [(30, 2), (60, 3), (130, 10), (600, 15), (895, 5)] {
        judge.judge(seconds(at), look(task("RUNNING", None, (None, None))));
        assert_eq!(judge.pause(seconds(at)), seconds(pause), "{at}");
    }
    judge.judge(seconds(610), look(task("STOPPING", EXITED, (Some(1), None))));
    assert_eq!(judge.pause(seconds(610)), seconds(4));
    let calls_in_ten_minutes = {
        let (mut at, mut calls) = (30, 0);
        let mut judge = self::judge();
        while at < 630 {
            judge.judge(seconds(at), look(task("RUNNING", None, (None, None))));
            at += judge.pause(seconds(at)).as_secs();
            calls += 1;
        }
        calls
    };
    assert!(calls_in_ten_minutes <= 120, "{calls_in_ten_minutes}");
}

#[test]
fn the_blame_is_on_what_failed_and_not_on_what_ecs_stopped_then() {
    let blamed = |stop_code, codes| -> Vec<String> {
        let mut judge = judge();
        judge.judge(MINUTE, look(task("STOPPED", stop_code, codes)));
        let task = judge.to_blame().unwrap();
        task.containers
            .into_iter()
            .map(|container| container.name)
            .collect()
    };
    assert_eq!(blamed(EXITED, (Some(3), Some(143))), ["web"]);
    assert_eq!(blamed(EXITED, (Some(143), Some(1))), ["proxy"]);
    assert_eq!(blamed(EXITED, (Some(0), Some(1))), ["proxy"]);
    let everything = ["web", "proxy", "sidecar"];
    assert_eq!(blamed(EXITED, (Some(137), Some(143))), everything);
    assert_eq!(blamed(Some("TaskFailedToStart"), (None, None)), everything);
    let mut judge = judge();
    assert!(judge.to_blame().is_none());
    let mut killed = task("STOPPED", EXITED, (Some(137), Some(143)));
    killed.containers[0].reason = Some("OutOfMemoryError: Container killed due to memory usage".to_owned());
    judge.judge(MINUTE, look(killed));
    assert_eq!(judge.to_blame().unwrap().containers.len(), 1);
}

mod histories {
    use super::{container, digest, judge, look};
    use crate::ecs::observation::{Blind, BlindReason, Health, StopCode, Task};
    use crate::ecs::oneoff::{Sight, Verdict};
    use proptest::prelude::*;
    use std::time::Duration;

    const STATUSES: [&str; 10] = [
        "PROVISIONING",
        "PENDING",
        "ACTIVATING",
        "RUNNING",
        "DEACTIVATING",
        "STOPPING",
        "DEPROVISIONING",
        "STOPPED",
        "DELETED",
        "RESTING",
    ];
    const STOP_CODES: [&str; 6] = [
        "EssentialContainerExited",
        "TaskFailedToStart",
        "UserInitiated",
        "SpotInterruption",
        "InfrastructureHealth",
        "Lunch",
    ];
    const IMAGES: [Option<&str>; 4] = [Some("index"), Some("linux/amd64"), Some("other"), None];

    fn code() -> impl Strategy<Value = Option<i32>> {
        prop::option::of(prop::sample::select(vec![0, 1, 137, 143]))
    }

    prop_compose! {
        fn task()(
            status in prop::sample::select(STATUSES.to_vec()),
            stop in prop::option::of(prop::sample::select(STOP_CODES.to_vec())),
            stopping in any::<bool>(),
            codes in (code(), code()),
            image in prop::sample::select(IMAGES.to_vec()),
        ) -> Task {
            let mut web = container("web", codes.0);
            web.digest = image.map(digest);
            Task {
                id: "t1".to_owned(),
                status: status.into(),
                stopping,
                ran_for: None,
                health: Health::Unknown,
                address: None,
                containers: vec![web, container("proxy", codes.1)],
                stop_code: stop.map(StopCode::from),
                stopped_reason: None,
            }
        }
    }

    fn sight() -> impl Strategy<Value = Sight> {
        let reasons = [
            BlindReason::Transient,
            BlindReason::Denied,
            BlindReason::NoCredentials,
        ];
        let blind = prop::sample::select(reasons.to_vec()).prop_map(|why| {
            Sight::Unseen(Blind {
                action: "ecs:DescribeTasks".to_owned(),
                why,
            })
        });
        prop_oneof![6 => task().prop_map(look), 1 => Just(Sight::Missing), 1 => blind]
    }

    /// What a task must have shown at some look, written without the judge: the work ended with 0 when nobody had told
    /// the task to end, and what ran is what is deployed.
    fn may_be_done(seen: &[Sight]) -> bool {
        let tasks = || {
            seen.iter().filter_map(|sight| match sight {
                Sight::Seen(task) => Some(task),
                Sight::Missing | Sight::Unseen(_) => None,
            })
        };
        let told = |task: &Task| match &task.stop_code {
            None => task.stopping,
            Some(code) => code.to_string() != "EssentialContainerExited",
        };
        let ended = tasks().any(|task| task.containers[0].exit_code == Some(0) && !told(task));
        let right = [Some(digest("index")), Some(digest("linux/amd64"))];
        ended && tasks().any(|task| right.contains(&task.containers[0].digest))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn no_history_without_an_end_by_itself_and_the_right_image_is_done(
            seen in prop::collection::vec(sight(), 1..12)
        ) {
            let mut judge = judge();
            for (nth, one) in seen.iter().enumerate() {
                let elapsed = Duration::from_secs(10 * nth as u64);
                match judge.judge(elapsed, one.clone()) {
                    Verdict::Done => {
                        prop_assert!(may_be_done(&seen[..=nth]));
                        break;
                    }
                    Verdict::Lost(_) => break,
                    Verdict::Wait(_) => prop_assert!(judge.pause(elapsed) >= Duration::from_secs(2)),
                }
            }
        }
    }
}
