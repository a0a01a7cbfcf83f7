//! What a build tells when it fails: errors of the Engine and of ECR as failures with a kind and a way out.

use super::destination::Destination;
use crate::artifact::outputs::ImageRecord;
use crate::artifact::store::StoreError;
use crate::artifact::write::WriteError;
use crate::config::settings::ImageSettings;
use crate::failure::{Failure, Kind, Nature};
use crate::image::daemon::EngineError;
use crate::image::endpoint::EndpointError;
use crate::image::files::ContextError;
use crate::image::transcript::{BuildFailure, BuildFault, PushFailure, PushFault};
use crate::name::{Digest, ImageRef};
use crate::registry::ecr::EcrError;

/// What is left when a build fails or is stopped.
pub(super) const NOTHING_PUSHED: &str = "nothing was pushed, and no output was written";

/// What is left once images were pushed.
pub(super) fn left_pushed(done: &[ImageRecord]) -> String {
    let pushed: Vec<String> = done
        .iter()
        .map(|record| record.pushed.reference.to_string())
        .collect();
    if pushed.is_empty() {
        return "no image was pushed whole, and no output was written".to_owned();
    }
    format!("pushed and kept: {}; no output was written", pushed.join(", "))
}

/// We were asked to stop.
pub(super) fn stopped(signal: Kind) -> Failure {
    Failure::new(signal, "the build was stopped")
}

/// The registry has another digest than the push gave.
pub(super) fn other_digest(repository: &ImageRef, pushed: &Digest, held: &Digest) -> Failure {
    Failure::new(
        Kind::Registry,
        format!("`{repository}` does not have the digest that was pushed"),
    )
    .cause(format!("the push gave `{pushed}`, and the registry has `{held}`"))
    .hint("somebody else pushed the same tag meanwhile: give each build a tag of its own")
}

/// The registry never listed the digest.
pub(super) fn not_confirmed(repository: &ImageRef, digest: &Digest) -> Failure {
    Failure::new(
        Kind::Registry,
        format!("the registry does not confirm what was pushed to `{repository}`"),
    )
    .cause(format!("it does not list `{digest}`"))
    .hint("run again: an image that is there is not pushed twice")
}

/// An output could not be written.
pub(super) fn of_write(what: &str, error: WriteError) -> Failure {
    let hint = match &error {
        WriteError::NoSpace { .. } => {
            "free some space, and run again: nothing needs to be built or pushed twice"
        }
        WriteError::NoFileName { .. }
        | WriteError::IsFolder { .. }
        | WriteError::NoFolder { .. }
        | WriteError::CreateIn { .. }
        | WriteError::Write { .. }
        | WriteError::Remove { .. } => "correct the path or its permissions, and run again",
    };
    // Not a usage error, of which nothing was done: the images are pushed.
    Failure::new(Kind::Unclear, format!("{what} cannot be written"))
        .because(error)
        .hint(hint)
}

/// The artifact was not stored after the images were pushed, so a bucket's wrong name is no longer a usage error, of
/// which nothing was done.
pub(super) fn of_artifact(error: StoreError, left: &str) -> Failure {
    let maybe_there = error.may_be_there();
    let mut failure = error.into_failure();
    if failure.kind == Kind::Usage {
        failure.kind = Kind::Refused;
    }
    if maybe_there {
        failure.left(format!("{left}; the artifact may be in S3"))
    } else {
        failure.left(left)
    }
}

/// Docker's configuration could not be used.
pub(super) fn of_endpoint(error: EndpointError) -> Failure {
    Failure::new(Kind::Usage, "the credentials for the registry cannot be read").because(error)
}

/// ECR did not do what was asked.
pub(super) fn of_ecr(error: EcrError) -> Failure {
    let what = error.to_string();
    match error {
        EcrError::NoRepository { repository } => {
            let create = format!("`aws ecr create-repository --repository-name {repository}`");
            Failure::new(Kind::Registry, what).hint(format!(
                "create it with {create}, or let slipway create it: `--create-repository`"
            ))
        }
        EcrError::Authorize(source)
        | EcrError::FindRepository { source, .. }
        | EcrError::CreateRepository { source, .. }
        | EcrError::ReadTag { source, .. }
        | EcrError::ReadManifest { source, .. }
        | EcrError::FindConfig { source, .. }
        | EcrError::PutTag { source, .. }
        | EcrError::Confirm { source, .. } => {
            let mut failure = source.into_failure(format!("cannot {what}"));
            if failure.kind == Kind::Refused {
                failure.kind = Kind::Registry;
            }
            failure
        }
        EcrError::ReadConfig { source, .. } => {
            Failure::new(Kind::Registry, format!("cannot {what}")).because(source)
        }
        EcrError::Token(source) => Failure::new(Kind::Registry, format!("cannot {what}")).because(source),
        EcrError::Address { source, .. } => Failure::new(Kind::Registry, what).because(source),
        EcrError::ImageFailure { .. } | EcrError::NoDigest { .. } => Failure::new(Kind::Registry, what),
    }
}

/// A push failed for good.
pub(super) fn of_push(error: EngineError, to: &Destination<'_>) -> Failure {
    of_engine(error).place(format!(
        "image `{}`, repository `{}`",
        to.image.name, to.repository
    ))
}

/// An image was not built.
pub(super) fn of_image(error: EngineError, image: &ImageSettings) -> Failure {
    let failure = of_engine(error);
    if failure.place.is_some() {
        return failure;
    }
    failure.place(format!("image `{}`", image.name))
}

/// The Engine did not do what was asked.
pub(super) fn of_engine(error: EngineError) -> Failure {
    let what = error.to_string();
    match error {
        EngineError::Locate(source) => Failure::new(Kind::Usage, what)
            .because(source)
            .hint("check DOCKER_HOST, DOCKER_CONTEXT and Docker's config.json"),
        EngineError::NoSocket(_) => Failure::new(Kind::FarEnd, what)
            .hint("start Docker, or set DOCKER_HOST; a CodeBuild project needs privileged mode"),
        EngineError::SocketDenied(_) => {
            Failure::new(Kind::FarEnd, what).hint("run as root, or as a member of the group `docker`")
        }
        EngineError::Unreachable { source, .. } => Failure::new(Kind::FarEnd, what)
            .because(source)
            .hint("start Docker, or correct DOCKER_HOST"),
        EngineError::Talk(source) => Failure::new(Kind::FarEnd, what).because(source),
        EngineError::Silent(_) | EngineError::Unwell { .. } => {
            Failure::new(Kind::FarEnd, what).hint("look at the Engine's log, and restart it")
        }
        EngineError::BadApiVersion(_) => Failure::new(Kind::Usage, what).hint("unset DOCKER_API_VERSION"),
        EngineError::Negotiate(source) => Failure::new(Kind::FarEnd, what).because(source),
        EngineError::Context(source) => {
            let hint = context_hint(&source);
            Failure::new(Kind::Input, what).because(source).hint(hint)
        }
        EngineError::SecretsNeedBuildKit { .. } | EngineError::NoBuildKit => Failure::new(Kind::Usage, what)
            .hint("let `builder` be `auto`, on an Engine of 20.10 or later with BuildKit"),
        EngineError::OpenSession(source) => Failure::new(Kind::FarEnd, what).because(source),
        EngineError::Build { failure, .. } => of_build(what, *failure),
        EngineError::Gone { source, .. } => Failure::new(Kind::FarEnd, what)
            .because(source)
            .hint("the Engine stopped or ran out of memory: look at its log"),
        EngineError::Garbled { source, .. } => Failure::new(Kind::FarEnd, what)
            .because(source)
            .hint("is DOCKER_HOST really a Docker Engine, and no proxy in front of it?"),
        EngineError::Inspect { source, .. } | EngineError::Tag { source, .. } => {
            Failure::new(Kind::Build, what).because(source)
        }
        EngineError::NoTag(_) => Failure::new(Kind::Bug, what),
        EngineError::Push { failure, .. } | EngineError::RegistryDigest { failure, .. } => {
            of_push_failure(what, *failure)
        }
        EngineError::Stopped { by, .. } => Failure::new(by, what),
    }
}

fn context_hint(error: &ContextError) -> &'static str {
    match error {
        ContextError::ReadContext { .. } | ContextError::NotAFolder(_) => {
            "`context` is a folder that slipway may read"
        }
        ContextError::NoDockerfile(_)
        | ContextError::ReadDockerfile { .. }
        | ContextError::DockerfileName(_) => "`dockerfile` is a file that slipway may read",
        ContextError::ReadIgnoreFile { .. } => "make it a file that can be read, or remove it",
        ContextError::BadIgnoreFile { .. } => "correct that line; `\\` before a `[` takes its meaning away",
        ContextError::ReadEntry { .. } => "make it readable, or leave it out with `.dockerignore`",
        ContextError::Shrank(_) | ContextError::Changed(_) => {
            "leave files that are being written out with `.dockerignore`, and run again"
        }
        ContextError::Cut => "look at the Engine's log, and run again",
    }
}

fn of_build(what: String, failure: BuildFailure) -> Failure {
    let cause = match (&failure.step, failure.exit_code) {
        (Some(step), Some(code)) => format!("step `{step}` ended with exit code {code}"),
        (Some(step), None) => format!("step `{step}`: {}", failure.error),
        (None, _) => failure.error.clone(),
    };
    let hint = match failure.fault {
        BuildFault::MissingFile => Some("check the path, and whether `.dockerignore` leaves the file out"),
        BuildFault::MissingSecret => Some("give the secret with that id in `secrets`"),
        BuildFault::BaseNotFound => Some("check the name and tag of the base image"),
        BuildFault::BaseDenied => {
            Some("sign in to the base image's registry; Docker Hub says the same of what does not exist")
        }
        BuildFault::BaseUnreachable => {
            Some("check the network between the Engine and the base image's registry")
        }
        BuildFault::Platform => Some("set `platform`, or install the Engine's emulation for it"),
        BuildFault::NoSpace => Some("free space where the Engine keeps its data: `docker system prune`"),
        BuildFault::NeedsBuildKit => Some("let `builder` be `auto` or `buildkit`"),
        BuildFault::Step | BuildFault::Dockerfile | BuildFault::NoImage | BuildFault::Other => None,
    };
    let nature = match failure.fault {
        BuildFault::BaseUnreachable | BuildFault::NoSpace => Nature::FarEnd,
        _ => Nature::Plain,
    };
    let place = failure.line.map(|line| format!("line {line} of the Dockerfile"));
    let mut told = Failure::new(Kind::Build, what)
        .nature(nature)
        .cause(cause)
        .evidence(failure.last_lines.clone())
        .because(failure);
    told.place = place;
    told.hints.extend(hint.map(str::to_owned));
    told
}

fn of_push_failure(what: String, failure: PushFailure) -> Failure {
    let (kind, hint) = match failure.fault {
        PushFault::Denied | PushFault::Forbidden => (
            Kind::Registry,
            Some(
                "allow `ecr:BatchCheckLayerAvailability`, `ecr:InitiateLayerUpload`, `ecr:UploadLayerPart`, \
                 `ecr:CompleteLayerUpload` and `ecr:PutImage` on the repository",
            ),
        ),
        PushFault::Unauthorised => (Kind::Registry, Some("sign in to the registry: `docker login`")),
        PushFault::NoRepository => (
            Kind::Registry,
            Some("create the repository, or use `--create-repository`"),
        ),
        PushFault::ImmutableTag => (Kind::Registry, Some("give each build a tag of its own")),
        PushFault::Server => (
            Kind::FarEnd,
            Some("the registry had a passing problem: run again"),
        ),
        PushFault::Connection => (
            Kind::FarEnd,
            Some("check the network between the Engine and the registry, and any proxy"),
        ),
        PushFault::NoSpace => (
            Kind::FarEnd,
            Some("free space where the Engine keeps its data: `docker system prune`"),
        ),
        PushFault::NoImage | PushFault::NoDigest | PushFault::Other => (Kind::Registry, None),
    };
    let nature = match failure.fault {
        // The last of the actions, which nobody else needs.
        PushFault::Denied | PushFault::Forbidden => Nature::denied("ecr:PutImage"),
        _ => Nature::Plain,
    };
    let mut told = Failure::new(kind, what).nature(nature).because(failure);
    told.hints.extend(hint.map(str::to_owned));
    told
}

#[cfg(test)]
mod tests {
    use super::{ContextError, WriteError, of_ecr, of_engine, of_image, of_write};
    use crate::failure::{Kind, Nature};
    use crate::image::daemon::EngineError;
    use crate::image::transcript::{BuildFailure, BuildFault, PushFailure, PushFault};
    use crate::registry::ecr::EcrError;

    #[test]
    fn a_failed_step_is_told_with_its_line_and_its_last_lines() {
        let failure = of_engine(EngineError::Build {
            image: "web".to_owned(),
            failure: Box::new(BuildFailure {
                fault: BuildFault::Step,
                error: "process did not complete".to_owned(),
                step: Some("[2/4] RUN make".to_owned()),
                line: Some(7),
                exit_code: Some(2),
                last_lines: vec!["no rule".to_owned()],
            }),
        });
        assert_eq!(
            (failure.kind, failure.what.as_str()),
            (Kind::Build, "the image `web` did not build")
        );
        assert_eq!(
            failure.cause.as_deref(),
            Some("step `[2/4] RUN make` ended with exit code 2")
        );
        assert_eq!(failure.place.as_deref(), Some("line 7 of the Dockerfile"));
        assert_eq!(failure.evidence, ["no rule"]);
    }

    #[test]
    fn each_fault_of_a_push_has_its_kind() {
        let denied = of_engine(EngineError::Push {
            name: "shop/web:v1".parse().unwrap(),
            failure: Box::new(PushFailure {
                fault: PushFault::Denied,
                text: "no".to_owned(),
            }),
        });
        assert!(matches!(denied.nature, Nature::Denied(denial) if denial.action == "ecr:PutImage"));
        for (fault, kind) in [
            (PushFault::Denied, Kind::Registry),
            (PushFault::Forbidden, Kind::Registry),
            (PushFault::Unauthorised, Kind::Registry),
            (PushFault::NoRepository, Kind::Registry),
            (PushFault::Server, Kind::FarEnd),
            (PushFault::Connection, Kind::FarEnd),
            (PushFault::NoDigest, Kind::Registry),
        ] {
            let failure = Box::new(PushFailure {
                fault,
                text: "no".to_owned(),
            });
            let name = "shop/web:v1".parse().unwrap();
            assert_eq!(
                of_engine(EngineError::Push { name, failure }).kind,
                kind,
                "{fault:?}"
            );
        }
        let by = Kind::Terminated;
        assert_eq!(of_engine(EngineError::Stopped { during: "push", by }).kind, by);
    }

    #[test]
    fn a_missing_repository_says_how_to_create_it() {
        let repository = "shop/web".parse().unwrap();
        let failure = of_ecr(EcrError::NoRepository { repository });
        assert_eq!(failure.kind, Kind::Registry);
        assert!(
            failure.hints[0].contains("--create-repository"),
            "{:?}",
            failure.hints
        );
    }

    #[test]
    fn a_context_that_cannot_be_used_says_which_image_and_what_to_do() {
        let web = crate::stage::build::check::tests::image("web");
        let error = EngineError::Context(ContextError::ReadEntry {
            path: "/context/key".into(),
            source: std::io::ErrorKind::PermissionDenied.into(),
        });
        let failure = of_image(error, &web);
        assert_eq!(
            (failure.kind, failure.place.as_deref()),
            (Kind::Input, Some("image `web`"))
        );
        assert!(failure.hints[0].contains(".dockerignore"), "{:?}", failure.hints);
    }

    #[test]
    fn an_output_that_cannot_be_written_after_the_push_is_no_usage_error() {
        let source = std::io::ErrorKind::StorageFull.into();
        let path = "/out/imagedefinitions.json".into();
        let failure = of_write("imagedefinitions.json", WriteError::NoSpace { path, source });
        assert_eq!(failure.kind, Kind::Unclear);
    }
}
