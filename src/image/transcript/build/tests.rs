//! Streams of both builders, as Engines send them.

use super::{BuildFailure, BuildFault, BuildMessage, BuildTranscript, Log, Vertex};
use crate::report::event::{Event, StepState};
use crate::secret::redact::secret_arguments;
use std::time::Duration;

const DOCKERFILE: &str = "FROM busybox\n# a comment\nRUN echo hello && \\\n    exit 7\n";

fn told(messages: Vec<BuildMessage>) -> (Vec<Event>, Result<String, BuildFailure>) {
    let mut transcript = BuildTranscript::new("web", DOCKERFILE);
    let mut events: Vec<Event> = messages
        .into_iter()
        .flat_map(|one| transcript.fold(one))
        .collect();
    events.extend(transcript.close());
    (events, transcript.finish())
}

fn text(text: &str) -> BuildMessage {
    BuildMessage::Text(text.to_owned())
}

fn step(step: &str, state: StepState) -> Event {
    Event::BuildStep {
        image: "web".to_owned(),
        step: step.to_owned(),
        state,
    }
}

fn line(line: &str) -> Event {
    Event::BuildLine {
        image: "web".to_owned(),
        line: line.to_owned(),
    }
}

fn vertex(name: &str, started: u64, completed: Option<u64>, error: &str) -> BuildMessage {
    BuildMessage::Vertex(Vertex {
        digest: format!("sha256:{name}"),
        name: name.to_owned(),
        cached: false,
        started: Some(Duration::from_secs(started)),
        completed: completed.map(Duration::from_secs),
        error: error.to_owned(),
    })
}

fn log(name: &str, bytes: &[u8]) -> BuildMessage {
    BuildMessage::Log(Log {
        vertex: format!("sha256:{name}"),
        bytes: bytes.to_vec(),
    })
}

#[test]
fn secret_arguments_are_hidden_in_the_builders_words_and_not_in_what_a_step_prints() {
    let arguments = [
        ("NPM_TOKEN", "canary"),
        ("npm_token_file", "canary-file"),
        ("VERSION", "hello"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let hidden = secret_arguments(&arguments.into());
    assert!(!format!("{hidden:?}").contains("canary"));
    let mut transcript = BuildTranscript::new("web", DOCKERFILE).hiding(hidden);
    let name = "[2/2] RUN echo hello canary-file canary";
    let error =
        "process \"/bin/sh -c echo hello canary-file canary\" did not complete successfully: exit code: 7";
    let mut told: Vec<Event> = Vec::new();
    for message in [
        vertex(name, 1, None, ""),
        log(name, b"printed: canary\n"),
        vertex(name, 1, Some(2), error),
        BuildMessage::Warning("canary".to_owned()),
        BuildMessage::Error(error.to_owned()),
    ] {
        told.extend(transcript.fold(message));
    }
    let printed = told
        .iter()
        .position(|event| *event == line("printed: canary"))
        .unwrap();
    told.remove(printed);
    let failure = transcript.finish().unwrap_err();
    let shown = format!("{told:?} {:?} {}", failure.step, failure.error);
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains("RUN echo hello [secret] [secret]"), "{shown}");
    assert_eq!(failure.exit_code, Some(7));
}

#[test]
fn unpacking_the_context_is_told_only_when_it_fails() {
    let unpack = "copy /context /";
    let (events, _) = told(vec![vertex(unpack, 1, None, ""), vertex(unpack, 1, Some(2), "")]);
    assert!(events.is_empty(), "{events:?}");
    let (events, built) = told(vec![vertex(unpack, 1, Some(2), "no space left on device")]);
    assert_eq!(
        (events.len(), built.unwrap_err().step.as_deref()),
        (1, Some(unpack))
    );
}

const RUN: &str = "[2/2] RUN echo hello &&     exit 7";

#[test]
fn a_classic_build_that_succeeds_gives_its_id() {
    let done = || StepState::Done { took: None };
    let (events, outcome) = told(vec![
        text("Step 1/2 : FROM busybox"),
        text("\n"),
        text(" ---> 0123456789ab\n"),
        text("Step 2/2 : RUN true\n"),
        text(" ---> Using cache\n ---> 1123456789ab\n"),
        BuildMessage::ImageId("sha256:id".to_owned()),
        text("Successfully built 1123456789ab\nSuccessfully tagged web:1\n"),
    ]);
    assert_eq!(
        events,
        [
            step("Step 1/2 : FROM busybox", StepState::Started),
            step("Step 1/2 : FROM busybox", done()),
            step("Step 2/2 : RUN true", StepState::Started),
            step("Step 2/2 : RUN true", StepState::Cached),
        ]
    );
    assert_eq!(outcome, Ok("sha256:id".to_owned()));
}

#[test]
fn a_classic_step_that_fails_is_named_with_its_line_and_output() {
    let run = "Step 2/2 : RUN echo hello &&     exit 7";
    let (events, outcome) = told(vec![
        text("Step 1/2 : FROM busybox\n ---> 01\n"),
        text(&format!("{run}\n ---> Running in 02\n")),
        text("hello\n"),
        BuildMessage::Error("The command '/bin/sh -c x' returned a non-zero code: 7".to_owned()),
    ]);
    let error = "The command '/bin/sh -c x' returned a non-zero code: 7".to_owned();
    assert_eq!(
        events.last(),
        Some(&step(run, StepState::Failed { error: error.clone() }))
    );
    assert_eq!(
        outcome.unwrap_err(),
        BuildFailure {
            fault: BuildFault::Step,
            error,
            step: Some(run.to_owned()),
            line: Some(3),
            exit_code: Some(7),
            last_lines: vec!["hello".to_owned()],
        }
    );
}

#[test]
fn buildkit_steps_are_told_once_each_with_their_time() {
    let (events, outcome) = told(vec![
        vertex("[internal] load build definition from Dockerfile", 0, Some(1), ""),
        vertex(RUN, 1, None, ""),
        log(RUN, b"hel"),
        log(RUN, b"lo\nworld"),
        vertex(RUN, 1, Some(3), ""),
        vertex(RUN, 1, Some(3), ""),
        BuildMessage::Warning("JSON arguments recommended".to_owned()),
        BuildMessage::ImageId("sha256:id".to_owned()),
    ]);
    let took = Some(Duration::from_secs(2));
    assert_eq!(
        events,
        [
            step(RUN, StepState::Started),
            line("hello"),
            line("world"),
            step(RUN, StepState::Done { took }),
            Event::Warning("JSON arguments recommended".to_owned()),
        ]
    );
    assert_eq!(outcome, Ok("sha256:id".to_owned()));
}

#[test]
fn a_buildkit_step_that_fails_is_the_cause_and_cancelled_ones_are_not() {
    let error = "executor failed running [/bin/sh -c x]: exit code: 7";
    let (_, outcome) = told(vec![
        vertex("[other 2/2] RUN sleep 9", 1, None, ""),
        vertex(RUN, 1, None, ""),
        log(RUN, b"hello\nworld"),
        vertex("[other 2/2] RUN sleep 9", 1, Some(2), "context canceled"),
        vertex(RUN, 1, Some(2), error),
        BuildMessage::Error(format!(
            "failed to solve: rpc error: code = Unknown desc = {error}"
        )),
    ]);
    assert_eq!(
        outcome.unwrap_err(),
        BuildFailure {
            fault: BuildFault::Step,
            error: error.to_owned(),
            step: Some(RUN.to_owned()),
            line: Some(3),
            exit_code: Some(7),
            last_lines: vec!["hello".to_owned(), "world".to_owned()],
        }
    );
}

#[test]
fn a_cached_step_is_told_as_cached() {
    let cached = BuildMessage::Vertex(Vertex {
        digest: "d".to_owned(),
        name: RUN.to_owned(),
        cached: true,
        started: Some(Duration::ZERO),
        completed: Some(Duration::ZERO),
        error: String::new(),
    });
    let (events, _) = told(vec![cached]);
    assert_eq!(events, [step(RUN, StepState::Cached)]);
}

#[test]
fn without_an_image_there_is_no_success() {
    for (messages, fault) in [
        (vec![], BuildFault::NoImage),
        (vec![text("Step 1/1 : FROM scratch\n")], BuildFault::NoImage),
        (vec![BuildMessage::Error(String::new())], BuildFault::Other),
        (
            vec![
                BuildMessage::ImageId("sha256:id".to_owned()),
                BuildMessage::Error(String::new()),
            ],
            BuildFault::Other,
        ),
        (
            vec![
                vertex(RUN, 1, Some(2), "boom"),
                BuildMessage::ImageId("sha256:id".to_owned()),
            ],
            BuildFault::Other,
        ),
    ] {
        assert_eq!(told(messages.clone()).1.unwrap_err().fault, fault, "{messages:?}");
    }
}

#[test]
fn a_dockerfile_that_does_not_parse_names_its_line() {
    let (_, outcome) = told(vec![BuildMessage::Error(
        "dockerfile parse error line 2: unknown instruction: RUNN".to_owned(),
    )]);
    let failure = outcome.unwrap_err();
    assert_eq!((failure.fault, failure.line), (BuildFault::Dockerfile, Some(2)));
}
