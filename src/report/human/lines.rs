//! One line per event, for logs and for the part of a terminal that scrolls. The failure of a job has several.

use super::text::{Style, clean, count, duration, size};
use super::{render, short};
use crate::report::event::{Event, JobScope, Phase, StepState};
use std::time::Duration;

/// The lines of an event: one, or none where only bars show it, or all that is to be said of a job that failed. Each line
/// of a job names it, since the lines of many jobs stand in one log.
#[must_use]
pub fn lines(event: &Event, style: Style) -> Vec<String> {
    match event {
        Event::OfJob { scope, event } => {
            let prefix = style.label(&format!("{}:", of_job(scope)));
            let lines = lines(event, style).into_iter();
            lines.map(|line| format!("{prefix} {line}")).collect()
        }
        Event::JobFailed(failure) => render(failure, None, style).lines().map(str::to_owned).collect(),
        event => line(event, style).into_iter().collect(),
    }
}

/// `shop-pipeline/Deploy 7c3f19e2`: a job as people tell it from others.
fn of_job(scope: &JobScope) -> String {
    let job: String = scope.job.chars().take(8).collect();
    let action = format!("{}/{}", clean(&scope.pipeline), clean(&scope.action));
    match (scope.pipeline.is_empty(), job.is_empty()) {
        // Of a damaged entry nothing else is known.
        (true, _) => format!("job {}", clean(&job)),
        (false, true) => action,
        (false, false) => format!("{action} {}", clean(&job)),
    }
}

/// The line of an event that has at most one; none for events that only bars show.
#[must_use]
pub fn line(event: &Event, style: Style) -> Option<String> {
    let line = match event {
        Event::Note(text) => clean(text),
        Event::Warning(text) => format!("{} {}", style.odd("warning:"), clean(text)),
        Event::PhaseStarted { phase, of } => format!("{of}: {} started", phase.word()),
        Event::PhaseFinished {
            phase: phase @ (Phase::Build | Phase::Push),
            of,
            took,
        } => {
            format!("{of}: {} done in {}", phase.word(), duration(*took))
        }
        Event::ContextSent {
            image,
            bytes,
            entries,
        } => {
            format!(
                "{image}: context sent: {} in {}",
                size(*bytes),
                count(*entries, "entry", "entries")
            )
        }
        Event::BuildStep { image, step, state } => {
            format!("{image}: {}", step_line(&clean(step), state, style))
        }
        Event::BuildLine { image, line } => {
            format!("{image}: {}", style.faint(&format!("| {}", clean(line))))
        }
        // Of a deploy, "healthy" says it, with the time; the last two have lines of their own.
        Event::LayerProgress { .. }
        | Event::PhaseFinished {
            phase: Phase::Deploy, ..
        }
        | Event::OfJob { .. }
        | Event::JobFailed(_) => return None,
        Event::Pushed {
            image,
            reference,
            tags,
        } => {
            let tags = if tags.is_empty() {
                String::new()
            } else {
                format!(" (tags: {})", tags.join(", "))
            };
            format!("{image}: pushed {}{tags}", short::ids(&reference.to_string()))
        }
        Event::Reused {
            image,
            tag,
            reference,
        } => format!(
            "{image}: tag {tag} was built from this very source earlier; {} is reused",
            short::ids(&reference.to_string())
        ),
        Event::Wrote { what, place } if what == place || place.ends_with(what.as_str()) => {
            format!("wrote {place}")
        }
        Event::Wrote { what, place } => format!("wrote {what} to {place}"),
        Event::ImageChange {
            service,
            container,
            from,
            to,
        } => format!(
            "{service}: container {container}: {}",
            short::change(&clean(from), &to.to_string())
        ),
        Event::Registered { service, revision } => {
            format!("{service}: registered task definition {revision}")
        }
        Event::TaskStarted {
            task,
            service,
            id,
            revision,
        } => format!(
            "{task}: task {} started, with {revision} of service {service}",
            short::ids(id)
        ),
        Event::TaskWaiting {
            task,
            elapsed,
            what_for,
        } => format!("{task}: waiting for {}{}", clean(what_for), so_far(*elapsed)),
        Event::TaskLine { task, line } => {
            format!("{task}: {}", style.faint(&format!("| {}", clean(line))))
        }
        Event::TaskDone {
            task,
            container,
            digest,
            took,
        } => {
            let proven = digest
                .as_ref()
                .map(|digest| format!(", proven to run {}", short::ids(digest.as_str())));
            format!(
                "{task}: {} container {container} ended with exit code 0 after {}{}",
                style.good("done:"),
                duration(*took),
                proven.unwrap_or_default()
            )
        }
        Event::DeploymentStarted { service, deployment } => {
            format!("{service}: deployment {deployment} started")
        }
        Event::Waiting {
            service,
            elapsed,
            what_for,
        } => format!("{service}: waiting for {}{}", clean(what_for), so_far(*elapsed)),
        Event::ServiceEvent { service, message } => {
            let message = clean(message);
            let news = short::event(&message, service.as_str());
            format!("{service}: ECS: {}", short::ids(news))
        }
        Event::DigestProven {
            service,
            container,
            digest,
            tasks,
        } => format!(
            "{service}: container {container}: {} proven to run {}",
            count(*tasks, "task", "tasks"),
            short::ids(digest.as_str())
        ),
        Event::Healthy {
            service,
            revision,
            took,
        } => format!(
            "{service}: {} {revision} after {}",
            style.good("healthy:"),
            duration(*took)
        ),
        Event::Lost { service, what } => format!("{service}: {} {}", style.bad("lost:"), clean(what)),
        Event::RollingBack { service, revision } => format!("{service}: going back to {revision}"),
        Event::Unwatched { service, doing } => {
            format!(
                "{service}: not watched any more, {}; ECS goes on with it",
                clean(doing)
            )
        }
        Event::Retold { service, what, .. } => {
            let what = clean(what);
            let told = match what.strip_prefix("ECS: ") {
                Some(message) => format!("ECS: {}", short::ids(short::event(message, service.as_str()))),
                None => what,
            };
            format!("{service}: {told}")
        }
        Event::Unchanged { service, revision } => {
            format!("{service}: nothing differs from {revision}, which runs: not deployed")
        }
        Event::JobClaimed { continued: false } => "claimed".to_owned(),
        Event::JobClaimed { continued: true } => {
            "claimed, and goes on from where it was handed back".to_owned()
        }
        Event::JobHandedBack { percent, summary } => {
            let percent = percent
                .map(|percent| format!(" at {percent} %"))
                .unwrap_or_default();
            format!("handed back{percent}: {}", clean(summary))
        }
        Event::JobDone { summary, took } => format!(
            "{} {} after {}",
            style.good("done:"),
            clean(summary),
            duration(*took)
        ),
    };
    Some(line)
}

/// `, 1m05s so far`; nothing where it has only begun.
fn so_far(elapsed: Duration) -> String {
    match elapsed.as_secs() {
        0 => String::new(),
        _ => format!(", {} so far", duration(elapsed)),
    }
}

fn step_line(step: &str, state: &StepState, style: Style) -> String {
    match state {
        StepState::Started => step.to_owned(),
        StepState::Done { took: Some(took) } => {
            style.faint(&format!("{} done in {}", short(step), duration(*took)))
        }
        StepState::Done { took: None } => style.faint(&format!("{} done", short(step))),
        StepState::Cached => format!("{step} {}", style.faint("(cached)")),
        StepState::Failed { error } => format!("{step}: {} {}", style.bad("failed:"), clean(error)),
    }
}

/// `[2/4]` of `[2/4] RUN make`, or the whole name of a step without a number.
fn short(step: &str) -> &str {
    match step.find(']') {
        Some(at) if step.starts_with('[') => step.get(..=at).unwrap_or(step),
        Some(_) | None => step,
    }
}

#[cfg(test)]
mod tests {
    use super::{Style, line, lines};
    use crate::failure::{Failure, Kind};
    use crate::name::Digest;
    use crate::report::event::{Event, JobScope, Phase, StepState};
    use std::time::Duration;

    fn step(state: StepState) -> Event {
        Event::BuildStep {
            image: "web".to_owned(),
            step: "[2/4] RUN make".to_owned(),
            state,
        }
    }

    #[test]
    fn every_event_has_its_line() {
        let service = || "shop".parse().unwrap();
        let container = || "web".parse().unwrap();
        let task = || "migrate".parse().unwrap();
        let digest = Digest::of(b"");
        let reference: crate::name::ImageRef = format!("localhost:5000/web@{digest}").parse().unwrap();
        let took = Duration::from_secs(65);
        let web = || "web".to_owned();
        for (event, text) in [
            (Event::Note("a\u{1b}[2Jb".to_owned()), "ab".to_owned()),
            (Event::Warning("odd".to_owned()), "warning: odd".to_owned()),
            (
                Event::PhaseStarted {
                    phase: Phase::Build,
                    of: web(),
                },
                "web: build started".to_owned(),
            ),
            (
                Event::PhaseFinished {
                    phase: Phase::Push,
                    of: web(),
                    took,
                },
                "web: push done in 1m05s".to_owned(),
            ),
            (
                Event::ContextSent {
                    image: web(),
                    bytes: 1500,
                    entries: 1,
                },
                "web: context sent: 1.5 kB in 1 entry".to_owned(),
            ),
            (
                Event::ContextSent {
                    image: web(),
                    bytes: 0,
                    entries: 0,
                },
                "web: context sent: 0 B in 0 entries".to_owned(),
            ),
            (step(StepState::Started), "web: [2/4] RUN make".to_owned()),
            (
                step(StepState::Done { took: Some(took) }),
                "web: [2/4] done in 1m05s".to_owned(),
            ),
            (step(StepState::Done { took: None }), "web: [2/4] done".to_owned()),
            (step(StepState::Cached), "web: [2/4] RUN make (cached)".to_owned()),
            (
                step(StepState::Failed {
                    error: "exit 2".to_owned(),
                }),
                "web: [2/4] RUN make: failed: exit 2".to_owned(),
            ),
            (
                Event::BuildLine {
                    image: web(),
                    line: "ok\r\n".to_owned(),
                },
                "web: | ok".to_owned(),
            ),
            (
                Event::Pushed {
                    image: web(),
                    reference: reference.clone(),
                    tags: vec!["a".to_owned(), "b".to_owned()],
                },
                "web: pushed localhost:5000/web@sha256:e3b0c44298fc (tags: a, b)".to_owned(),
            ),
            (
                Event::Reused {
                    image: web(),
                    tag: "a".to_owned(),
                    reference: reference.clone(),
                },
                "web: tag a was built from this very source earlier; localhost:5000/web@sha256:e3b0c44298fc is reused"
                    .to_owned(),
            ),
            (
                Event::Wrote {
                    what: "x.json".to_owned(),
                    place: "/a/x.json".to_owned(),
                },
                "wrote /a/x.json".to_owned(),
            ),
            (
                Event::Wrote {
                    what: "artifact".to_owned(),
                    place: "s3://b/k".to_owned(),
                },
                "wrote artifact to s3://b/k".to_owned(),
            ),
            (
                Event::ImageChange {
                    service: service(),
                    container: container(),
                    from: "old".to_owned(),
                    to: reference.clone(),
                },
                "shop: container web: old -> localhost:5000/web@sha256:e3b0c44298fc".to_owned(),
            ),
            (
                Event::Registered {
                    service: service(),
                    revision: "shop:2".to_owned(),
                },
                "shop: registered task definition shop:2".to_owned(),
            ),
            (
                Event::TaskStarted {
                    task: task(),
                    service: service(),
                    id: "3a41c6b074a0770e0fb6822ed252c69a".to_owned(),
                    revision: "shop:2".to_owned(),
                },
                "migrate: task 3a41c6b074a0 started, with shop:2 of service shop".to_owned(),
            ),
            (
                Event::TaskWaiting {
                    task: task(),
                    elapsed: took,
                    what_for: "the task to end (it runs)".to_owned(),
                },
                "migrate: waiting for the task to end (it runs), 1m05s so far".to_owned(),
            ),
            (
                Event::TaskLine {
                    task: task(),
                    line: "0003 applied\u{1b}[0m".to_owned(),
                },
                "migrate: | 0003 applied".to_owned(),
            ),
            (
                Event::TaskDone {
                    task: task(),
                    container: container(),
                    digest: Some(digest.clone()),
                    took,
                },
                "migrate: done: container web ended with exit code 0 after 1m05s, proven to run sha256:e3b0c44298fc"
                    .to_owned(),
            ),
            (
                Event::TaskDone {
                    task: task(),
                    container: container(),
                    digest: None,
                    took,
                },
                "migrate: done: container web ended with exit code 0 after 1m05s".to_owned(),
            ),
            (
                Event::DeploymentStarted {
                    service: service(),
                    deployment: "ecs-svc/1".to_owned(),
                },
                "shop: deployment ecs-svc/1 started".to_owned(),
            ),
            (
                Event::Retold {
                    service: service(),
                    at: took,
                    what: "ECS: (service shop) has reached a steady state.".to_owned(),
                },
                "shop: ECS: has reached a steady state.".to_owned(),
            ),
            (
                Event::Waiting {
                    service: service(),
                    elapsed: took,
                    what_for: "tasks to start (1/3 running)".to_owned(),
                },
                "shop: waiting for tasks to start (1/3 running), 1m05s so far".to_owned(),
            ),
            (
                Event::ServiceEvent {
                    service: service(),
                    message: "(service shop) is unhappy".to_owned(),
                },
                "shop: ECS: is unhappy".to_owned(),
            ),
            (
                Event::DigestProven {
                    service: service(),
                    container: container(),
                    digest: digest.clone(),
                    tasks: 2,
                },
                "shop: container web: 2 tasks proven to run sha256:e3b0c44298fc".to_owned(),
            ),
            (
                Event::Healthy {
                    service: service(),
                    revision: "shop:2".to_owned(),
                    took,
                },
                "shop: healthy: shop:2 after 1m05s".to_owned(),
            ),
            (
                Event::Unchanged {
                    service: service(),
                    revision: "shop:2".to_owned(),
                },
                "shop: nothing differs from shop:2, which runs: not deployed".to_owned(),
            ),
            (
                Event::Lost {
                    service: service(),
                    what: "tasks cannot start".to_owned(),
                },
                "shop: lost: tasks cannot start".to_owned(),
            ),
            (
                Event::RollingBack {
                    service: service(),
                    revision: "shop:1".to_owned(),
                },
                "shop: going back to shop:1".to_owned(),
            ),
            (
                Event::Unwatched {
                    service: service(),
                    doing: "waiting for tasks to start".to_owned(),
                },
                "shop: not watched any more, waiting for tasks to start; ECS goes on with it".to_owned(),
            ),
        ] {
            assert_eq!(line(&event, Style::default()), Some(text));
        }
        let progress = Event::LayerProgress {
            image: web(),
            layer: "l".to_owned(),
            status: "Pushing".to_owned(),
            bytes: None,
        };
        let deployed = Event::PhaseFinished {
            phase: Phase::Deploy,
            of: "shop".to_owned(),
            took,
        };
        for silent in [progress, deployed] {
            assert_eq!(line(&silent, Style::default()), None);
        }
    }

    #[test]
    fn each_line_of_a_job_names_it_and_its_failure_is_told_in_full() {
        let scope = std::sync::Arc::new(JobScope {
            job: "7c3f19e2-5b0d-4c5e-9d9e-0f2f0c1f7f11".to_owned(),
            pipeline: "shop".to_owned(),
            action: "Deploy".to_owned(),
            ..JobScope::default()
        });
        let told = |event: Event| {
            let event = Event::OfJob {
                scope: scope.clone(),
                event: Box::new(event),
            };
            lines(&event, Style::default())
        };
        let failure = Failure::new(Kind::RolledBack, "service `web` was rolled back")
            .cause("container `web` exited with code 137")
            .hint("look");
        for (event, expected) in [
            (Event::JobClaimed { continued: false }, vec!["claimed"]),
            (
                Event::JobHandedBack {
                    percent: Some(40),
                    summary: "web: 1 of 3 tasks run".to_owned(),
                },
                vec!["handed back at 40 %: web: 1 of 3 tasks run"],
            ),
            (
                Event::JobDone {
                    summary: "web runs web:3".to_owned(),
                    took: Duration::from_secs(65),
                },
                vec!["done: web runs web:3 after 1m05s"],
            ),
            (
                Event::JobFailed(failure.into()),
                vec![
                    "error: service `web` was rolled back",
                    "  cause: container `web` exited with code 137",
                    "   hint: look",
                ],
            ),
            (
                Event::LayerProgress {
                    image: "web".to_owned(),
                    layer: "l".to_owned(),
                    status: "Pushing".to_owned(),
                    bytes: None,
                },
                vec![],
            ),
        ] {
            let expected: Vec<String> = expected
                .iter()
                .map(|line| format!("shop/Deploy 7c3f19e2: {line}"))
                .collect();
            assert_eq!(told(event), expected);
        }
    }

    #[test]
    fn colours_appear_only_where_they_are_understood() {
        let warning = Event::Warning("odd".to_owned());
        let coloured = line(&warning, Style { colour: true }).unwrap();
        assert_eq!(coloured, "\u{1b}[1;33mwarning:\u{1b}[0m odd");
    }
}
