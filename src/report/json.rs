//! One JSON object per line for machines, with field names that stay: `event` says which, `elapsed_ms` when.

use super::event::{Event, JobScope, StepState};
use super::human::time_of_day;
use crate::failure::Failure;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The object of an event. One of a job has the job's names and ids as members of its own.
#[must_use]
pub fn event(event: &Event, elapsed: Duration) -> Value {
    let (name, fields) = match event {
        Event::OfJob { scope, event } => return of_job(scope, self::event(event, elapsed)),
        Event::JobClaimed { continued } => ("job-claimed", json!({ "continued": continued })),
        Event::JobHandedBack { percent, summary } => (
            "job-handed-back",
            json!({ "percent": percent, "summary": summary }),
        ),
        Event::JobDone { summary, took } => (
            "job-done",
            json!({ "summary": summary, "took_ms": millis(*took) }),
        ),
        Event::JobFailed(failure) => ("job-failed", fields_of(failure)),
        Event::Note(text) => ("note", json!({ "text": text })),
        Event::Warning(text) => ("warning", json!({ "text": text })),
        Event::PhaseStarted { phase, of } => ("phase-started", json!({ "phase": phase.word(), "of": of })),
        Event::PhaseFinished { phase, of, took } => {
            let fields = json!({ "phase": phase.word(), "of": of, "took_ms": millis(*took) });
            ("phase-finished", fields)
        }
        Event::ContextSent {
            image,
            bytes,
            entries,
        } => (
            "context-sent",
            json!({ "image": image, "bytes": bytes, "entries": entries }),
        ),
        Event::BuildStep { image, step, state } => ("build-step", build_step(image, step, state)),
        Event::BuildLine { image, line } => ("build-line", json!({ "image": image, "line": line })),
        Event::LayerProgress {
            image,
            layer,
            status,
            bytes,
        } => {
            let (done, total) = (bytes.map(|it| it.0), bytes.map(|it| it.1));
            let fields =
                json!({ "image": image, "layer": layer, "status": status, "bytes": done, "of_bytes": total });
            ("layer-progress", fields)
        }
        Event::Pushed {
            image,
            reference,
            tags,
        } => (
            "pushed",
            json!({ "image": image, "reference": reference.to_string(), "tags": tags }),
        ),
        Event::Reused {
            image,
            tag,
            reference,
        } => (
            "reused",
            json!({ "image": image, "tag": tag, "reference": reference.to_string() }),
        ),
        Event::Wrote { what, place } => ("wrote", json!({ "what": what, "place": place })),
        Event::ImageChange {
            service,
            container,
            from,
            to,
        } => {
            let (service, container) = (service.as_str(), container.as_str());
            let fields =
                json!({ "service": service, "container": container, "from": from, "to": to.to_string() });
            ("image-change", fields)
        }
        Event::Registered { service, revision } => (
            "registered",
            json!({ "service": service.as_str(), "revision": revision }),
        ),
        Event::TaskStarted {
            task,
            service,
            id,
            revision,
        } => {
            let (task, service) = (task.as_str(), service.as_str());
            let fields = json!({ "task": task, "service": service, "id": id, "revision": revision });
            ("task-started", fields)
        }
        Event::TaskWaiting {
            task,
            elapsed,
            what_for,
        } => {
            let fields = json!({ "task": task.as_str(), "task_ms": millis(*elapsed), "for": what_for });
            ("task-waiting", fields)
        }
        Event::TaskLine { task, line } => ("task-line", json!({ "task": task.as_str(), "line": line })),
        Event::TaskDone {
            task,
            container,
            digest,
            took,
        } => {
            let (task, container) = (task.as_str(), container.as_str());
            let digest = digest.as_ref().map(crate::name::Digest::as_str);
            let fields =
                json!({ "task": task, "container": container, "digest": digest, "took_ms": millis(*took) });
            ("task-done", fields)
        }
        Event::DeploymentStarted { service, deployment } => (
            "deployment-started",
            json!({ "service": service.as_str(), "deployment": deployment }),
        ),
        Event::Waiting {
            service,
            elapsed,
            what_for,
        } => {
            let fields =
                json!({ "service": service.as_str(), "rollout_ms": millis(*elapsed), "for": what_for });
            ("waiting", fields)
        }
        Event::ServiceEvent { service, message } => (
            "service-event",
            json!({ "service": service.as_str(), "message": message }),
        ),
        Event::DigestProven {
            service,
            container,
            digest,
            tasks,
        } => {
            let (service, container) = (service.as_str(), container.as_str());
            let digest = digest.as_str();
            let fields =
                json!({ "service": service, "container": container, "digest": digest, "tasks": tasks });
            ("digest-proven", fields)
        }
        Event::Healthy {
            service,
            revision,
            took,
        } => {
            let fields =
                json!({ "service": service.as_str(), "revision": revision, "took_ms": millis(*took) });
            ("healthy", fields)
        }
        Event::Lost { service, what } => ("lost", json!({ "service": service.as_str(), "error": what })),
        Event::RollingBack { service, revision } => (
            "rolling-back",
            json!({ "service": service.as_str(), "revision": revision }),
        ),
        Event::Unwatched { service, doing } => (
            "unwatched",
            json!({ "service": service.as_str(), "doing": doing }),
        ),
        Event::Retold { service, at, what } => (
            "retold",
            json!({ "service": service.as_str(), "rollout_ms": millis(*at), "what": what }),
        ),
        Event::Unchanged { service, revision } => (
            "unchanged",
            json!({ "service": service.as_str(), "revision": revision }),
        ),
    };
    object(name, elapsed, fields)
}

/// The last object of a run that failed. Absent parts are `null` or empty, never missing.
#[must_use]
pub fn failure(failure: &Failure, elapsed: Duration) -> Value {
    object("failure", elapsed, fields_of(failure))
}

fn fields_of(failure: &Failure) -> Value {
    json!({
        "kind": failure.kind.word(),
        "exit_code": failure.kind.exit_code(),
        "error": failure.what,
        "cause": failure.root_cause(),
        "evidence": failure.evidence,
        "where": failure.place,
        "left": failure.left,
        "others": failure.others,
        "hints": failure.hints,
        "resume": failure.resume,
    })
}

/// The object with a job's names and ids behind what every object begins with.
fn of_job(scope: &JobScope, object: Value) -> Value {
    let Value::Object(mut object) = object else {
        return object;
    };
    let members = [
        ("job", &scope.job),
        ("pipeline", &scope.pipeline),
        ("stage", &scope.stage),
        ("action", &scope.action),
        ("execution", &scope.execution),
        ("action_execution", &scope.action_execution),
    ];
    let after = COMMON.iter().filter(|name| object.contains_key(**name)).count();
    for (at, (name, value)) in members.into_iter().enumerate() {
        object.shift_insert(after + at, name.to_owned(), json!(value));
    }
    Value::Object(object)
}

/// The object with the time of day before all else, for a log that outlives its beginning: RFC 3339, to the millisecond.
#[must_use]
pub fn timed(object: Value, now: Duration) -> Value {
    let Value::Object(mut object) = object else {
        return object;
    };
    object.shift_insert(0, "time".to_owned(), json!(time_of_day(now)));
    Value::Object(object)
}

/// The last object of a run that did what it was asked to.
#[must_use]
pub fn done(elapsed: Duration) -> Value {
    object("done", elapsed, json!({ "exit_code": 0 }))
}

/// What every object begins with.
const COMMON: [&str; 2] = ["event", "elapsed_ms"];

fn object(name: &str, elapsed: Duration, fields: Value) -> Value {
    let mut object = Map::new();
    let [of_event, of_time] = COMMON;
    object.insert(of_event.to_owned(), json!(name));
    object.insert(of_time.to_owned(), json!(millis(elapsed)));
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    Value::Object(object)
}

fn build_step(image: &str, step: &str, state: &StepState) -> Value {
    let (word, took, error) = match state {
        StepState::Started => ("started", None, None),
        StepState::Done { took } => ("done", took.map(millis), None),
        StepState::Cached => ("cached", None, None),
        StepState::Failed { error } => ("failed", None, Some(error)),
    };
    json!({ "image": image, "step": step, "state": word, "took_ms": took, "error": error })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{done, event, failure, timed};
    use crate::failure::{Failure, Kind};
    use crate::report::event::{Event, JobScope, StepState, Tell};
    use std::time::Duration;

    const ELAPSED: Duration = Duration::from_millis(1500);

    #[test]
    fn an_object_begins_with_its_name_and_time() {
        let step = Event::BuildStep {
            image: "web".to_owned(),
            step: "[1/2] FROM scratch".to_owned(),
            state: StepState::Done {
                took: Some(Duration::from_secs(2)),
            },
        };
        assert_eq!(
            event(&step, ELAPSED).to_string(),
            r#"{"event":"build-step","elapsed_ms":1500,"image":"web","step":"[1/2] FROM scratch","state":"done","took_ms":2000,"error":null}"#
        );
        assert_eq!(
            done(ELAPSED).to_string(),
            r#"{"event":"done","elapsed_ms":1500,"exit_code":0}"#
        );
    }

    #[test]
    fn a_failure_carries_its_kind_and_exit_code() {
        let lost = Failure::new(Kind::RolledBack, "lost")
            .because(std::io::Error::other("why"))
            .hint("look");
        let lost = Failure {
            others: vec!["proven: `api` runs `api:3`".to_owned()],
            resume: vec!["sw1.x.y".to_owned()],
            ..lost
        };
        assert_eq!(
            failure(&lost, ELAPSED).to_string(),
            r#"{"event":"failure","elapsed_ms":1500,"kind":"rolled-back","exit_code":14,"error":"lost","cause":"why","evidence":[],"where":null,"left":null,"others":["proven: `api` runs `api:3`"],"hints":["look"],"resume":["sw1.x.y"]}"#
        );
    }

    #[test]
    fn what_happens_in_a_job_names_it_and_the_time_comes_first() {
        let (told, heard) = std::sync::mpsc::channel();
        let tell = Tell::new(move |event| told.send(event).unwrap()).of_job(JobScope {
            job: "7c3f19e2-5b0d".to_owned(),
            pipeline: "shop".to_owned(),
            stage: "Production".to_owned(),
            action: "Deploy".to_owned(),
            execution: "e1".to_owned(),
            action_execution: "a1".to_owned(),
        });
        let lost = Failure::new(Kind::RolledBack, "lost").hint("look");
        tell.tell(Event::JobClaimed { continued: true });
        tell.tell(Event::JobFailed(lost.into()));
        let scope = r#""job":"7c3f19e2-5b0d","pipeline":"shop","stage":"Production","action":"Deploy","execution":"e1","action_execution":"a1""#;
        let told: Vec<String> = heard
            .try_iter()
            .map(|it| timed(event(&it, ELAPSED), Duration::from_millis(1_754_000_000_250)).to_string())
            .collect();
        let claimed = format!(
            r#"{{"time":"2025-07-31T22:13:20.250Z","event":"job-claimed","elapsed_ms":1500,{scope},"continued":true}}"#
        );
        assert_eq!(told[0], claimed);
        assert!(
            told[1].contains(&format!(
                r#""event":"job-failed","elapsed_ms":1500,{scope},"kind":"rolled-back","exit_code":14,"error":"lost""#
            )),
            "{}",
            told[1]
        );
    }

    #[test]
    fn a_line_break_in_a_text_does_not_break_the_line() {
        assert!(
            !event(&Event::Note("a\nb".to_owned()), ELAPSED)
                .to_string()
                .contains('\n')
        );
    }
}
