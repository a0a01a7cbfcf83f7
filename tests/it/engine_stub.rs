//! The Engine client against a stub that answers as Engines do when something is wrong: no BuildKit, streams that
//! are cut or end without a result.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends at the first thing that is not as it should be"
)]

use slipway::config::settings::{BuildSecret, Builder, ImageSettings, RepositoryTarget};
use slipway::image::daemon::{BuildRequest, BuiltImage, Engine, EngineError};
use slipway::image::endpoint::EngineEnv;
use slipway::image::transcript::{BuildFault, PushFault};
use slipway::name::ImageRef;
use slipway::report::event::{Event, StepState, Tell};
use slipway::secret::Secret;
use slipway::shutdown::Shutdown;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

const VERSION: &str = r#"{"ApiVersion":"1.43","Version":"24.0.0"}"#;

/// What the stub answers to a path, without the version before it; a body that is not marked whole is cut off.
#[derive(Clone)]
struct Answers {
    session: u16,
    build: (u16, &'static str, bool),
    push: (u16, &'static str),
}

const REFUSED: Answers = Answers {
    session: 404,
    build: (200, "", true),
    push: (200, ""),
};

/// An Engine on a socket in the folder.
fn serve(folder: &Path, answers: Answers) -> EngineEnv {
    let socket = folder.join("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, answers.clone()));
        }
    });
    EngineEnv {
        host: Some(format!("unix://{}", socket.display())),
        ..EngineEnv::default()
    }
}

async fn answer(mut stream: UnixStream, answers: Answers) {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read_exact(&mut byte).await.is_err() {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap();
    let path = path.strip_prefix("/v1.43").unwrap_or(path);
    let (status, body, whole) = match path {
        "/_ping" => (200, "OK", true),
        "/version" => (200, VERSION, true),
        "/session" => (answers.session, r#"{"message":"page not found"}"#, true),
        _ if path.starts_with("/build?") => {
            // The whole context is read first, as by the classic builder; a chunked body ends with an empty chunk.
            let mut read = Vec::new();
            while !read.ends_with(b"0\r\n\r\n") {
                let mut buffer = vec![0; 4096];
                let count = stream.read(&mut buffer).await.unwrap();
                read.extend_from_slice(&buffer[..count]);
            }
            answers.build
        }
        _ if path.starts_with("/images/") && path.contains("/push?") => {
            (answers.push.0, answers.push.1, true)
        }
        _ if path.starts_with("/images/") => (
            200,
            r#"{"Id":"sha256:1","Os":"linux","Architecture":"arm64","Variant":"v8","Size":7}"#,
            true,
        ),
        other => panic!("the stub knows no {other}"),
    };
    let length = body.len() + usize::from(!whole);
    let head = format!("HTTP/1.1 {status} X\r\nBuilder-Version: 2\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    // A client that had enough goes away.
    let _ = stream.write_all(body.as_bytes()).await;
}

fn request(folder: &Path, builder: Builder) -> BuildRequest {
    std::fs::write(folder.join("Dockerfile"), "FROM scratch\nRUN x\n").unwrap();
    let repository: ImageRef = "registry.invalid/test".parse().unwrap();
    BuildRequest {
        image: ImageSettings {
            name: "web".to_owned(),
            context: folder.to_owned(),
            dockerfile: folder.join("Dockerfile"),
            repository: RepositoryTarget::Full(repository),
            containers: Vec::new(),
            target: None,
            platform: None,
            args: BTreeMap::new(),
            secret_args: BTreeSet::new(),
            labels: BTreeMap::new(),
            secrets: Vec::new(),
            tags: Vec::new(),
            no_cache: false,
            pull: false,
            builder,
            create_repository: false,
        },
        labels: BTreeMap::new(),
        names: Vec::new(),
        auth: BTreeMap::new(),
    }
}

async fn built(answers: Answers, builder: Builder) -> (Result<BuiltImage, EngineError>, Vec<Event>) {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::connect(&serve(folder.path(), answers)).await.unwrap();
    let context = tempfile::tempdir().unwrap();
    let told: Arc<Mutex<Vec<Event>>> = Arc::default();
    let events = told.clone();
    let tell = Tell::new(move |event| events.lock().unwrap().push(event));
    let built = engine
        .build(&request(context.path(), builder), &tell, &Shutdown::never())
        .await;
    let told = told.lock().unwrap().clone();
    (built, told)
}

#[tokio::test]
async fn an_engine_without_buildkit_builds_with_its_classic_builder() {
    let answers = Answers {
        build: (
            200,
            "{\"stream\":\"Step 1/1 : FROM scratch\\n\"}\n{\"aux\":{\"ID\":\"sha256:1\"}}\n",
            true,
        ),
        ..REFUSED
    };
    let (built, told) = built(answers.clone(), Builder::Auto).await;
    let built = built.unwrap();
    let image = BuiltImage {
        id: "sha256:1".to_owned(),
        source: built.source.clone(),
        platform: "linux/arm64/v8".to_owned(),
        size: 7,
    };
    assert_eq!(built, image);
    assert!(
        told.iter().any(|event| matches!(event, Event::Note(_))),
        "{told:?}"
    );
    let (refused, _) = self::built(answers, Builder::BuildKit).await;
    assert!(matches!(refused, Err(EngineError::NoBuildKit)), "{refused:?}");
}

#[tokio::test]
async fn secrets_are_refused_where_there_is_no_buildkit() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::connect(&serve(folder.path(), REFUSED)).await.unwrap();
    let mut request = request(folder.path(), Builder::Auto);
    request.image.secrets.push(BuildSecret {
        id: "npm".to_owned(),
        value: Secret::new(b"canary".to_vec()),
    });
    // The socket in the context is left out of it.
    let built = engine.build(&request, &Tell::nobody(), &Shutdown::never()).await;
    assert!(
        matches!(built, Err(EngineError::SecretsNeedBuildKit { asked: false })),
        "{built:?}"
    );
}

#[tokio::test]
async fn a_stream_that_is_cut_is_an_engine_that_went_away() {
    let answers = Answers {
        build: (
            200,
            "{\"stream\":\"Step 1/2 : FROM scratch\\n\"}\n{\"stream\":\"Ste",
            false,
        ),
        ..REFUSED
    };
    let (built, told) = built(answers, Builder::Classic).await;
    assert!(
        matches!(built, Err(EngineError::Gone { during: "build", .. })),
        "{built:?}"
    );
    let ended =
        |event: &Event| matches!(event, Event::BuildStep { state, .. } if *state != StepState::Started);
    assert!(!told.iter().any(ended), "nobody knows how it ended: {told:?}");
}

#[tokio::test]
async fn a_message_that_is_none_is_told_as_such() {
    let answers = Answers {
        build: (200, "{\"stream\":7}\n", true),
        push: (200, "<html>\n"),
        ..REFUSED
    };
    let (built, _) = built(answers.clone(), Builder::Classic).await;
    assert!(
        matches!(built, Err(EngineError::Garbled { during: "build", .. })),
        "{built:?}"
    );
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::connect(&serve(folder.path(), answers)).await.unwrap();
    let name: ImageRef = "registry.invalid/test:v1".parse().unwrap();
    let pushed = engine
        .push("web", &name, None, &Tell::nobody(), &Shutdown::never())
        .await;
    assert!(
        matches!(pushed, Err(EngineError::Garbled { during: "push", .. })),
        "{pushed:?}"
    );
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_kept_in_memory() {
    let endless: &str = "x".repeat(4 * 1024 * 1024).leak();
    let name: ImageRef = "registry.invalid/test:v1".parse().unwrap();
    for status in [200, 500] {
        let folder = tempfile::tempdir().unwrap();
        let answers = Answers {
            push: (status, endless),
            ..REFUSED
        };
        let engine = Engine::connect(&serve(folder.path(), answers)).await.unwrap();
        let pushed = engine
            .push("web", &name, None, &Tell::nobody(), &Shutdown::never())
            .await;
        match pushed {
            Err(EngineError::Garbled {
                during: "push",
                source,
            }) if status == 200 => {
                assert_eq!(source.to_string(), "a message has more than 1048576 bytes");
            }
            Err(EngineError::Push { failure, .. }) if status == 500 => {
                assert_eq!(failure.text.len(), 1024 * 1024);
            }
            other => panic!("{status}: {:?}", other.err().map(|error| error.to_string())),
        }
    }
}

#[tokio::test]
async fn a_200_without_an_image_is_no_success() {
    for (body, fault) in [
        ("", BuildFault::NoImage),
        (
            "{\"stream\":\"Step 1/1 : FROM scratch\\n\"}\n",
            BuildFault::NoImage,
        ),
        (
            "{\"aux\":{\"ID\":\"sha256:1\"}}\n{\"errorDetail\":{\"code\":1}}\n",
            BuildFault::Other,
        ),
        (
            "{\"errorDetail\":{\"message\":\"x returned a non-zero code: 1\"}}\n",
            BuildFault::Step,
        ),
    ] {
        let answers = Answers {
            build: (200, body, true),
            ..REFUSED
        };
        let (built, _) = built(answers, Builder::Classic).await;
        assert!(
            matches!(&built, Err(EngineError::Build { failure, .. }) if failure.fault == fault),
            "{body} {built:?}"
        );
    }
}

#[tokio::test]
async fn a_refused_build_is_a_failed_build_with_the_engines_words() {
    let answers = Answers {
        build: (
            400,
            r#"{"message":"dockerfile parse error line 2: unknown instruction: RUNN"}"#,
            true,
        ),
        ..REFUSED
    };
    let (built, _) = built(answers, Builder::Classic).await;
    assert!(
        matches!(&built, Err(EngineError::Build { failure, .. })
            if failure.fault == BuildFault::Dockerfile && failure.line == Some(2)),
        "{built:?}"
    );
}

#[tokio::test]
async fn a_push_without_a_digest_is_no_success() {
    for (status, body, fault) in [
        (200, "", PushFault::NoDigest),
        (
            200,
            "{\"status\":\"v1: digest: sha256:short size: 1\"}\n",
            PushFault::NoDigest,
        ),
        (200, "{\"errorDetail\":{}}\n", PushFault::Other),
        (200, "{\"error\":\"denied: no\"}\n", PushFault::Denied),
        (
            500,
            r#"{"message":"received unexpected HTTP status: 503 Service Unavailable"}"#,
            PushFault::Server,
        ),
        (
            404,
            r#"{"message":"An image does not exist locally with the tag: x"}"#,
            PushFault::NoImage,
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let answers = Answers {
            push: (status, body),
            ..REFUSED
        };
        let engine = Engine::connect(&serve(folder.path(), answers)).await.unwrap();
        let name: ImageRef = "registry.invalid/test:v1".parse().unwrap();
        let pushed = engine
            .push("web", &name, None, &Tell::nobody(), &Shutdown::never())
            .await;
        assert!(
            matches!(&pushed, Err(EngineError::Push { failure, .. }) if failure.fault == fault),
            "{body} {pushed:?}"
        );
    }
}
