//! Builds and pushes with both builders.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

use crate::support::{
    Busybox, Images, Registry, Told, context, docker, engine, env, request, secret, sparse, turn, unique,
};
use slipway::config::settings::Builder;
use slipway::failure::Kind;
use slipway::image::daemon::{Engine, EngineError, RegistryAuth};
use slipway::image::endpoint::EngineEnv;
use slipway::image::files::ContextError;
use slipway::image::transcript::{BuildFailure, BuildFault, PushFault};
use slipway::name::ImageRef;
use slipway::report::event::{Event, StepState, Tell};
use slipway::secret::Secret;
use slipway::shutdown::{Shutdown, switch};
use std::path::Path;
use std::time::Duration;

const BOTH: [Builder; 2] = [Builder::BuildKit, Builder::Classic];

async fn failure(root: &Path, builder: Builder) -> BuildFailure {
    let built = engine()
        .await
        .build(&request(root, builder, &[]), &Tell::nobody(), &Shutdown::never())
        .await;
    match built {
        Err(EngineError::Build { failure, .. }) => *failure,
        other => panic!("{builder:?}: {other:?}"),
    }
}

fn inspected(image: &str, format: &str) -> String {
    docker(&["image", "inspect", "--format", format, image])
}

#[tokio::test]
async fn both_builders_build_from_scratch_with_everything_that_was_asked_for() {
    let _turn = turn().await;
    for builder in BOTH {
        let root = context(&[
            (
                "Dockerfile",
                "FROM scratch AS wanted\nARG VERSION\nLABEL version=$VERSION\nCOPY a /\nFROM scratch\nCOPY nope /\n",
            ),
            ("a", "content"),
        ]);
        let (first, second) = (
            format!("{}:1", unique(&format!("{builder:?}").to_lowercase())),
            format!("{}:2", unique(&format!("{builder:?}").to_lowercase())),
        );
        let _images = Images(vec![first.clone(), second.clone()]);
        let mut request = request(root.path(), builder, &[&first, &second]);
        request.image.target = Some("wanted".to_owned());
        request.image.platform = Some("linux/amd64".to_owned());
        request.image.args.insert("VERSION".to_owned(), "4.2".to_owned());
        request
            .labels
            .insert("org.opencontainers.image.revision".to_owned(), "abc".to_owned());
        let told = Told::default();
        let built = engine()
            .await
            .build(&request, &told.tell(), &Shutdown::never())
            .await
            .unwrap();
        assert_eq!(built.platform, "linux/amd64");
        assert!(built.id.starts_with("sha256:"), "{built:?}");
        for name in [&first, &second] {
            assert_eq!(inspected(name, "{{.Id}}"), built.id, "{builder:?}");
        }
        let labels = inspected(&first, "{{json .Config.Labels}}");
        assert!(
            labels.contains(r#""version":"4.2""#) && labels.contains(r#"image.revision":"abc""#),
            "{labels}"
        );
        let sent = told
            .events()
            .into_iter()
            .find(|event| matches!(event, Event::ContextSent { .. }));
        assert!(
            matches!(sent, Some(Event::ContextSent { entries: 2, .. })),
            "{sent:?}"
        );
        assert!(
            told.steps().iter().any(|(step, _)| step.contains("COPY a /")),
            "{:?}",
            told.steps()
        );
    }
}

#[tokio::test]
async fn a_failing_step_is_named_with_its_line_its_code_and_its_last_lines() {
    let _turn = turn().await;
    for builder in BOTH {
        let root = Busybox::new(
            "failing-step",
            "# why not\nRUN echo before; \\\n    for i in 1 2 3; do echo line $i; done; exit 7\n",
        );
        let failed = failure(root.path(), builder).await;
        assert_eq!(failed.fault, BuildFault::Step, "{builder:?} {failed:?}");
        assert_eq!(
            (failed.exit_code, failed.line),
            (Some(7), Some(6)),
            "{builder:?} {failed:?}"
        );
        assert!(failed.step.unwrap().contains("RUN echo before"));
        assert_eq!(
            failed.last_lines,
            ["before", "line 1", "line 2", "line 3"],
            "{builder:?}"
        );
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_dockerfile_is_told_apart() {
    let _turn = turn().await;
    for builder in BOTH {
        for (dockerfile, fault, line) in [
            ("FROM scratch\n\nRUNN x\n", BuildFault::Dockerfile, Some(3)),
            ("FROM scratch\nCOPY nope /\n", BuildFault::MissingFile, Some(2)),
            ("FROM 127.0.0.1:1/nope:1\n", BuildFault::BaseUnreachable, None),
            ("", BuildFault::Dockerfile, None),
        ] {
            let root = context(&[("Dockerfile", dockerfile)]);
            let failed = failure(root.path(), builder).await;
            assert_eq!(failed.fault, fault, "{builder:?} {dockerfile:?} {failed:?}");
            if line.is_some() {
                assert_eq!(failed.line, line, "{builder:?} {dockerfile:?} {failed:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_base_that_a_registry_lacks_is_not_found() {
    let registry = Registry::start().await;
    let _turn = turn().await;
    for builder in BOTH {
        let root = context(&[("Dockerfile", &format!("FROM {}/none:1\n", registry.host))]);
        let failed = failure(root.path(), builder).await;
        assert_eq!(failed.fault, BuildFault::BaseNotFound, "{builder:?} {failed:?}");
    }
}

#[tokio::test]
async fn a_secret_reaches_its_step_and_nothing_else() {
    let steps =
        "RUN --mount=type=secret,id=npm busybox wc -c < /run/secrets/npm && test ! -e /run/secrets/other\n";
    let root = Busybox::new("secret", steps);
    let name = format!("{}:1", unique("secret"));
    let _images = Images(vec![name.clone()]);
    let mut request = request(root.path(), Builder::Auto, &[&name]);
    request.image.no_cache = true;
    request.image.secrets = vec![secret("npm", "canary"), secret("other", "x")];
    let told = Told::default();
    let built = engine()
        .await
        .build(&request, &told.tell(), &Shutdown::never())
        .await
        .unwrap();
    assert_eq!(told.lines(), ["6"]);
    assert!(!format!("{request:?} {:?} {built:?}", told.events()).contains("canary"));
    assert!(!docker(&["history", "--no-trunc", &name]).contains("canary"));
}

#[tokio::test]
async fn a_secret_that_was_not_given_fails_the_step_that_requires_it() {
    let root = Busybox::new(
        "secret-missing",
        "RUN --mount=type=secret,id=npm,required=true cat /run/secrets/npm\n",
    );
    let failed = failure(root.path(), Builder::BuildKit).await;
    assert_eq!(failed.fault, BuildFault::MissingSecret, "{failed:?}");
    assert_eq!(failed.line, Some(5), "{failed:?}");
}

#[tokio::test]
async fn the_classic_builder_refuses_secrets_before_it_starts() {
    let root = context(&[("Dockerfile", "FROM scratch\n")]);
    let mut request = request(root.path(), Builder::Classic, &[]);
    request.image.secrets = vec![secret("npm", "canary")];
    let built = engine()
        .await
        .build(&request, &Tell::nobody(), &Shutdown::never())
        .await;
    assert!(
        matches!(built, Err(EngineError::SecretsNeedBuildKit { asked: true })),
        "{built:?}"
    );
}

#[tokio::test]
async fn ignored_files_do_not_reach_the_builder() {
    let _turn = turn().await;
    for builder in BOTH {
        let root = Busybox::new(
            "ignored",
            "COPY . /ctx/\nRUN cd /ctx && busybox find . -type f | busybox sort\n",
        );
        for (path, content) in [
            (".dockerignore", "busybox\n**/*.log\n!keep.log\nDockerfile"),
            ("a.log", ""),
            ("keep.log", ""),
            ("sub/b.log", ""),
            ("sub/c.txt", ""),
        ] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        // The busybox itself is needed by the first steps, so it is brought back.
        let ignore = root.path().join(".dockerignore");
        std::fs::write(&ignore, "**/*.log\n!keep.log\nDockerfile\n").unwrap();
        let mut request = request(root.path(), builder, &[]);
        request.image.no_cache = true;
        let told = Told::default();
        let built = engine()
            .await
            .build(&request, &told.tell(), &Shutdown::never())
            .await
            .unwrap();
        let _images = Images(vec![built.id]);
        let seen = told.lines();
        assert!(
            seen.contains(&"./sub/c.txt".to_owned()) && seen.contains(&"./keep.log".to_owned()),
            "{seen:?}"
        );
        assert!(
            !seen
                .iter()
                .any(|line| line.ends_with("a.log") || line.ends_with("b.log")),
            "{seen:?}"
        );
    }
}

#[tokio::test]
async fn a_dockerfile_outside_the_context_builds() {
    let _turn = turn().await;
    for builder in BOTH {
        let root = context(&[
            ("context/a", "x"),
            ("elsewhere/Dockerfile", "FROM scratch\nCOPY a /\n"),
        ]);
        let mut request = request(&root.path().join("context"), builder, &[]);
        request.image.dockerfile = root.path().join("elsewhere/Dockerfile");
        let built = engine()
            .await
            .build(&request, &Tell::nobody(), &Shutdown::never())
            .await
            .unwrap();
        let _images = Images(vec![built.id]);
    }
}

#[tokio::test]
async fn special_files_in_a_context_do_no_harm() {
    let _turn = turn().await;
    for builder in BOTH {
        let root = context(&[("Dockerfile", "FROM scratch\nCOPY a /\n"), ("a", "")]);
        std::os::unix::fs::symlink("loop", root.path().join("loop")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.path().join("socket")).unwrap();
        let fifo = root.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let request = request(root.path(), builder, &[]);
        let built = engine()
            .await
            .build(&request, &Tell::nobody(), &Shutdown::never())
            .await
            .unwrap();
        let _images = Images(vec![built.id]);
    }
}

#[tokio::test]
async fn a_context_that_breaks_off_is_the_cause_whatever_the_engine_says() {
    let _turn = turn().await;
    for builder in BOTH {
        let root = context(&[("Dockerfile", "FROM scratch\nCOPY a-big /\n")]);
        let big = sparse(root.path(), "a-big", 512 << 20);
        sparse(root.path(), "b", 1);
        let last = root.path().join("b");
        let (engine, request) = (engine().await, request(root.path(), builder, &[]));
        let (tell, never) = (Tell::nobody(), Shutdown::never());
        let build = engine.build(&request, &tell, &never);
        let shrink = async {
            // Shrinks while the big file is on its way: the survey is over as soon as the file is open.
            while !is_open(&big) {
                tokio::task::yield_now().await;
            }
            std::fs::remove_file(&last).unwrap();
            std::fs::File::options()
                .write(true)
                .open(&big)
                .unwrap()
                .set_len(1)
                .unwrap();
        };
        let (built, ()) = tokio::join!(build, shrink);
        assert!(
            matches!(
                &built,
                Err(EngineError::Context(
                    ContextError::Shrank(_) | ContextError::ReadEntry { .. }
                ))
            ),
            "{builder:?} {built:?}"
        );
    }
}

/// Whether this process has read some of the file.
fn is_open(path: &Path) -> bool {
    std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .flatten()
        .any(|entry| {
            let moved = std::fs::read_to_string(Path::new("/proc/self/fdinfo").join(entry.file_name()))
                .is_ok_and(|info| !info.starts_with("pos:\t0\n"));
            moved && std::fs::read_link(entry.path()).is_ok_and(|target| target == path)
        })
}

#[tokio::test]
async fn a_stopped_build_ends_in_the_engine_too() {
    let _turn = turn().await;
    for builder in BOTH {
        let marker = unique(&format!("{builder:?}"));
        let root = Busybox::new(
            "stopped",
            &format!("RUN echo started && busybox sleep 600 # {marker}\n"),
        );
        let mut request = request(root.path(), builder, &[]);
        request.image.no_cache = true;
        let (hand, view) = switch();
        let tell = Tell::new(move |event| {
            if matches!(&event, Event::BuildLine { line, .. } if line == "started") {
                hand.raise(Kind::Interrupted);
            }
        });
        let built = engine().await.build(&request, &tell, &view).await;
        assert!(
            matches!(
                built,
                Err(EngineError::Stopped {
                    during: "build",
                    by: Kind::Interrupted
                })
            ),
            "{builder:?} {built:?}"
        );
        let gone = tokio::time::timeout(Duration::from_secs(30), async {
            while is_running(&marker) {
                tokio::task::yield_now().await;
            }
        });
        assert!(gone.await.is_ok(), "{builder:?}: the step still runs");
    }
}

/// Whether a process has the marker among its arguments.
fn is_running(marker: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        std::fs::read(entry.path().join("cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(marker))
    })
}

#[tokio::test]
async fn a_pushed_name_has_the_digest_that_the_registry_tells() {
    let registry = Registry::start().await;
    let _turn = turn().await;
    for builder in BOTH {
        let root = context(&[("Dockerfile", "FROM scratch\nCOPY a /\n"), ("a", &unique("push"))]);
        let name: ImageRef = format!(
            "{}/shop/web:{}",
            registry.host,
            format!("{builder:?}").to_lowercase()
        )
        .parse()
        .unwrap();
        let _images = Images(vec![name.to_string()]);
        let engine = engine().await;
        let request = request(root.path(), builder, &[&name.to_string()]);
        let _built = engine
            .build(&request, &Tell::nobody(), &Shutdown::never())
            .await
            .unwrap();
        let told = Told::default();
        let pushed = engine
            .push("web", &name, None, &told.tell(), &Shutdown::never())
            .await
            .unwrap();
        assert_eq!(engine.registry_digest(&name, None).await.unwrap(), pushed);
        let layers = told.events();
        assert!(
            layers
                .iter()
                .any(|event| matches!(event, Event::LayerProgress { layer, .. } if layer.len() == 12)),
            "{layers:?}"
        );
    }
}

#[tokio::test]
async fn a_private_registry_is_used_with_credentials_and_refuses_without() {
    let registry = Registry::start_private().await;
    let engine = engine().await;
    let (tell, never) = (Tell::nobody(), Shutdown::never());
    let auth = |password: &str| RegistryAuth {
        username: "me".to_owned(),
        password: Secret::new(password.to_owned()),
        server: registry.host.clone(),
    };
    let _turn = turn().await;
    for builder in BOTH {
        let unique = unique(&format!("private-{builder:?}"));
        let name: ImageRef = format!("{}/base:{builder:?}", registry.host).parse().unwrap();
        let root = context(&[("Dockerfile", "FROM scratch\nCOPY a /\n"), ("a", &unique)]);
        let base = request(root.path(), builder, &[&name.to_string()]);
        let _built = engine.build(&base, &tell, &never).await.unwrap();
        for wrong in [None, Some(auth("wrong"))] {
            let pushed = engine.push("web", &name, wrong.as_ref(), &tell, &never).await;
            assert!(
                matches!(&pushed, Err(EngineError::Push { failure, .. }) if failure.fault == PushFault::Unauthorised),
                "{pushed:?}"
            );
        }
        let right = auth("canary");
        let digest = engine
            .push("web", &name, Some(&right), &tell, &never)
            .await
            .unwrap();
        assert_eq!(engine.registry_digest(&name, Some(&right)).await.unwrap(), digest);
        docker(&["rmi", "-f", &name.to_string()]);

        let _images = Images(vec![name.to_string(), format!("{}@{digest}", name.name())]);
        let dockerfile = format!("FROM {}@{digest}\nCOPY b /\n", name.name());
        let from = context(&[("Dockerfile", &dockerfile), ("b", "")]);
        let mut request = request(from.path(), builder, &[]);
        request.image.no_cache = true;
        request.image.pull = true;
        let refused = engine.build(&request, &tell, &never).await;
        assert!(
            matches!(&refused, Err(EngineError::Build { failure, .. }) if failure.fault == BuildFault::BaseDenied),
            "{builder:?} {refused:?}"
        );
        request.auth.insert(registry.host.clone(), right);
        let built = engine.build(&request, &tell, &never).await.unwrap();
        let _images = Images(vec![built.id]);
    }
}

#[tokio::test]
async fn a_push_that_fails_is_sorted() {
    let engine = engine().await;
    let root = context(&[("Dockerfile", "FROM scratch\nLABEL x=y\n")]);
    let unreachable: ImageRef = "127.0.0.1:1/shop/web:1".parse().unwrap();
    let _images = Images(vec![unreachable.to_string()]);
    let request = request(root.path(), Builder::Auto, &[&unreachable.to_string()]);
    let _built = engine
        .build(&request, &Tell::nobody(), &Shutdown::never())
        .await
        .unwrap();
    let absent: ImageRef = format!("127.0.0.1:1/{}:1", unique("absent")).parse().unwrap();
    for (name, fault) in [(unreachable, PushFault::Connection), (absent, PushFault::NoImage)] {
        let pushed = engine
            .push("web", &name, None, &Tell::nobody(), &Shutdown::never())
            .await;
        assert!(
            matches!(&pushed, Err(EngineError::Push { failure, .. }) if failure.fault == fault),
            "{name} {pushed:?}"
        );
    }
    let registry = Registry::start().await;
    let missing: ImageRef = format!("{}/none:1", registry.host).parse().unwrap();
    let told = engine.registry_digest(&missing, None).await;
    assert!(
        matches!(&told, Err(EngineError::RegistryDigest { .. })),
        "{told:?}"
    );
}

#[tokio::test]
async fn what_was_built_before_comes_from_the_cache() {
    let root = context(&[
        ("Dockerfile", "FROM scratch\nCOPY a /\n"),
        ("a", &unique("cached")),
    ]);
    let told = Told::default();
    let engine = engine().await;
    for _ in 0..2 {
        let request = request(root.path(), Builder::BuildKit, &[]);
        let built = engine
            .build(&request, &told.tell(), &Shutdown::never())
            .await
            .unwrap();
        let _images = Images(vec![built.id]);
    }
    let copies: Vec<StepState> = told
        .steps()
        .into_iter()
        .filter(|(step, _)| step.contains("COPY a /"))
        .map(|(_, state)| state)
        .collect();
    assert!(matches!(copies.last(), Some(StepState::Cached)), "{copies:?}");
}

#[tokio::test]
async fn without_an_engine_the_error_says_which_socket() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &Path| EngineEnv {
        host: Some(format!("unix://{}", path.display())),
        ..env()
    };
    let absent = folder.path().join("absent.sock");
    let error = Engine::connect(&at(&absent)).await.unwrap_err();
    assert!(
        matches!(&error, EngineError::NoSocket(path) if *path == absent),
        "{error:?}"
    );
    let dead = folder.path().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    let error = Engine::connect(&at(&dead)).await.unwrap_err();
    assert!(matches!(&error, EngineError::Unreachable { .. }), "{error:?}");
}
