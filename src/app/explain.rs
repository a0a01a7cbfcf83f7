//! `slipway explain`: reads the capture or looks at live services, and says what came of it.

use super::verbs::{DEPLOY, Start, recorder, settle, tools};
use crate::cli::ExplainArgs;
use crate::config::layers;
use crate::ecs::capture::{Capture, CaptureError, Change, read};
use crate::failure::{Failure, Kind};
use crate::report::event::{Event, Tell};
use crate::report::reporter::Reporter;
use crate::stage::explain::{Explained, LivePlan, Standing, live, recorded};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::path::Path;

/// Explains, and returns one JSON object per service for stdout.
pub(super) async fn run(args: ExplainArgs, start: Start, reporter: &Reporter) -> Result<String, Failure> {
    let explained = match &args.file {
        Some(file) => of_file(file, &args.service, &start.tell)?,
        None => of_services(&args, &start).await?,
    };
    let mut data = String::new();
    for found in &explained {
        if args.timeline {
            timeline(found, &start.tell);
        }
        say(found, args.file.is_some(), &start.tell, reporter);
        data += &object(found, args.timeline).to_string();
        data.push('\n');
    }
    // A person at a terminal has read it all by now.
    Ok(if std::io::stdout().is_terminal() {
        String::new()
    } else {
        data
    })
}

fn of_file(file: &Path, services: &[String], tell: &Tell) -> Result<Vec<Explained>, Failure> {
    let place = || file.display().to_string();
    let bytes = layers::read_file(file).map_err(|error| {
        Failure::new(Kind::Input, "the capture cannot be read")
            .because(error)
            .place(place())
    })?;
    let capture = read(&bytes).map_err(|error| unreadable(error).place(place()))?;
    for warning in warnings(&capture) {
        tell.tell(Event::Warning(warning));
    }
    let explained = recorded(&capture, services)?;
    if explained.is_empty() && !capture.is_complete() {
        return Err(
            Failure::new(Kind::Input, "the capture holds nothing that could be explained")
                .place(place())
                .hint(
                    "the run was killed before its first look, or it waits still: look at the service itself",
                ),
        );
    }
    Ok(explained)
}

fn unreadable(error: CaptureError) -> Failure {
    let hint = match &error {
        CaptureError::Empty | CaptureError::Foreign => {
            "a capture is what `slipway deploy --record FILE` writes; a sandbox's journal is none"
        }
        CaptureError::Newer { .. } => "explain it with the slipway that wrote it, or a newer one",
        CaptureError::Damaged { .. } | CaptureError::Wrong { .. } => {
            "only the last line of a capture may be cut: was the file edited, or two files joined?"
        }
    };
    Failure::new(Kind::Input, "the capture cannot be used")
        .because(error)
        .hint(hint)
}

/// What a person must know of a capture before they trust it.
fn warnings(capture: &Capture) -> Vec<String> {
    let mut warnings = Vec::new();
    if !capture.is_complete() {
        let how = if capture.cut {
            "in the middle of a line"
        } else {
            "before the run did"
        };
        warnings.push(format!(
            "the capture ends {how}: the run was killed, or still goes on, or had no space left to write"
        ));
    }
    if capture.unknown > 0 {
        warnings.push(format!(
            "lines that this version does not know were passed over: {}; slipway {} wrote the capture",
            capture.unknown, capture.header.slipway
        ));
    }
    warnings
}

async fn of_services(args: &ExplainArgs, start: &Start) -> Result<Vec<Explained>, Failure> {
    const WHAT: &str = "name a capture, or give `--cluster` and `--service`";
    let settings = settle(start, None, DEPLOY).map_err(|failure| failure.hint(WHAT))?;
    let mut plans = Vec::new();
    for service in &settings.services {
        let own = service.cluster.as_ref().map(ToString::to_string);
        let cluster = own.or_else(|| settings.deploy.cluster.clone()).ok_or_else(|| {
            Failure::new(
                Kind::Usage,
                format!("no cluster is named for service `{}`", service.name),
            )
            .hint("give `--cluster`, or `cluster` in the `[deploy]` table of slipway.toml")
        })?;
        plans.push(LivePlan {
            cluster,
            service: service.name.clone(),
        });
    }
    if plans.is_empty() {
        return Err(Failure::new(Kind::Usage, "there is nothing to explain").hint(WHAT));
    }
    let tools = tools(start, &settings, recorder(args.record.as_deref(), &start.tell)?);
    Box::pin(live(&tools, &plans)).await
}

fn timeline(found: &Explained, tell: &Tell) {
    let Some(service) = &found.service else { return };
    for step in &found.steps {
        let what = match &step.change {
            Change::News(message) => format!("ECS: {message}"),
            Change::Waiting(on) => format!("waiting for {on}"),
            Change::Blind(what) => format!("could not look: {what}"),
        };
        tell.tell(Event::Retold {
            service: service.clone(),
            at: step.at,
            what,
        });
    }
}

/// Says for people how a deployment stands.
fn say(found: &Explained, is_capture: bool, tell: &Tell, reporter: &Reporter) {
    if let (Some(told), Some(now)) = (found.told, found.exit_code())
        && told != now
    {
        tell.tell(Event::Warning(format!(
            "the run ended with exit code {told}; by the same looks this version of slipway ends with {now}"
        )));
    }
    let note = |text: String| tell.tell(Event::Note(text));
    let name = found
        .service
        .as_ref()
        .map(|service| format!("{service}: "))
        .unwrap_or_default();
    let revision = found.revision.as_deref().filter(|revision| !revision.is_empty());
    let revision = revision.or(found.deployment.as_deref()).unwrap_or_default();
    match &found.standing {
        Standing::Healthy(proofs) => {
            for proof in proofs {
                if let Some(service) = &found.service {
                    tell.tell(Event::DigestProven {
                        service: service.clone(),
                        container: proof.container.clone(),
                        digest: proof.digest.clone(),
                        tasks: proof.tasks,
                    });
                }
            }
            match (&found.service, is_capture) {
                (Some(service), true) => tell.tell(Event::Healthy {
                    service: service.clone(),
                    revision: revision.to_owned(),
                    took: found.elapsed,
                }),
                _ => note(format!(
                    "{name}the last deployment is healthy: {revision}{}",
                    since(found)
                )),
            }
        }
        Standing::Lost(_, failure)
        | Standing::Ended(failure)
        | Standing::Waiting {
            trouble: Some(failure),
            ..
        } => reporter.show(failure),
        Standing::GivenUp(left) => note(format!(
            "{name}no verdict: the run gave it up because another service failed; {left}"
        )),
        Standing::Waiting {
            on,
            left,
            trouble: None,
        } => {
            let left = left.as_ref().map(|left| format!("; {left}")).unwrap_or_default();
            if is_capture {
                note(format!("{name}no verdict, it was waiting for {on}{left}"));
            } else {
                note(format!(
                    "{name}the deployment of {revision} goes on, waiting for {on}{left}"
                ));
            }
        }
    }
}

fn since(found: &Explained) -> String {
    found
        .since
        .as_ref()
        .map(|since| format!(", since {since}"))
        .unwrap_or_default()
}

/// Everything about a deployment for machines. Absent parts are `null` or empty, never missing.
fn object(found: &Explained, with_timeline: bool) -> Value {
    let failure = found.failure();
    let (waiting_for, left) = match &found.standing {
        Standing::Waiting { on, left, .. } => (Some(on), left.clone()),
        Standing::GivenUp(left) => (None, Some(left.clone())),
        _ => (None, failure.and_then(|failure| failure.left.clone())),
    };
    let proven: Vec<Value> = match &found.standing {
        Standing::Healthy(proofs) => proofs
            .iter()
            .map(|proof| {
                json!({ "container": proof.container.as_str(), "digest": proof.digest.as_str(), "tasks": proof.tasks })
            })
            .collect(),
        _ => Vec::new(),
    };
    let mut object = json!({
        "service": found.service.as_ref().map(ToString::to_string),
        "cluster": found.cluster,
        "deployment": found.deployment,
        "revision": found.revision,
        "verdict": found.verdict(),
        "kind": found.exit_code().and(failure).map(|failure| failure.kind.word()),
        "exit_code": found.exit_code(),
        "seconds": found.elapsed.as_secs(),
        "error": failure.map(|failure| &failure.what),
        "cause": failure.and_then(Failure::root_cause),
        "evidence": failure.map(|failure| failure.evidence.clone()).unwrap_or_default(),
        "where": failure.and_then(|failure| failure.place.clone()),
        "left": left,
        "hints": failure.map(|failure| failure.hints.clone()).unwrap_or_default(),
        "waiting_for": waiting_for,
        "proven": proven,
        "since": found.since,
        "run_exit_code": found.told,
    });
    if with_timeline {
        let step = |step: &crate::ecs::capture::Step| {
            let (kind, text) = match &step.change {
                Change::News(text) => ("event", text),
                Change::Waiting(text) => ("waiting", text),
                Change::Blind(text) => ("blind", text),
            };
            json!({ "seconds": step.at.as_secs_f64(), "what": kind, "text": text })
        };
        object["timeline"] = found.steps.iter().map(step).collect();
    }
    object
}
