//! A job's artifacts: inputs to its folder, its output to where CodePipeline looks for it.

use super::crew::LAST_WORDS;
use super::inputs::Inputs;
use super::job::{Bench, Ended, Role};
use super::workspace::JobFolder;
use crate::artifact::archive::Entry;
use crate::artifact::store::StoreError;
use crate::artifact::transfer::{self, Bucket};
use crate::artifact::unpack::{Limits, UnpackError, unpack_unless};
use crate::config::settings::ArtifactTarget;
use crate::config::worker::ArtifactCredentials;
use crate::failure::{Failure, Kind, Nature};
use crate::pipeline::credentials;
use crate::pipeline::job::Artifact;
use crate::shutdown::Urgency;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A folder for the job, which goes when it is dropped.
pub(super) fn folder(bench: &Bench<'_>) -> Result<JobFolder, Failure> {
    bench.crew.workspace.job().map_err(|error| {
        Failure::new(Kind::FarEnd, "the worker has no folder for the job's artifacts")
            .nature(Nature::FarEnd)
            .because(error)
            .left("nothing was done")
            .hint("the worker's `--work-dir` must be there, writable, and have space")
    })
}

/// Fetches and unpacks every input artifact, each to a folder of its name. A stop ends it, with a failure of that kind.
pub(super) async fn inputs(bench: &Bench<'_>, folder: &Path) -> Result<Inputs, Ended> {
    let job = bench.claimed.job();
    if job.inputs.is_empty() {
        let what = "the action has no input artifact";
        let failure = Failure::new(Kind::Usage, what)
            .left("nothing was done")
            .hint("name one in the action's `inputArtifacts`: it holds slipway.toml");
        return Err(Ended::failed(failure));
    }
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let mut names = Vec::new();
    for artifact in &job.inputs {
        let ours = |failure: Failure| Ended::Failed {
            failure: failure.left("nothing was done"),
            whose: owner(bench),
            external: None,
        };
        one_input(bench, artifact, &whole.join(&artifact.name))
            .await
            .map_err(ours)?;
        names.push(artifact.name.clone());
    }
    Ok(Inputs { folder: whole, names })
}

/// Whose keys artifacts are read and written with.
pub(super) fn owner(bench: &Bench<'_>) -> Role {
    match bench.crew.settings.artifact_credentials {
        ArtifactCredentials::Job => Role::Pipeline,
        ArtifactCredentials::Worker => Role::Worker,
    }
}

/// S3, with the keys that artifacts are read and written with.
async fn bucket(bench: &Bench<'_>) -> Result<Bucket, Failure> {
    let aws = bench.tools.aws.get().await?;
    Ok(match bench.crew.settings.artifact_credentials {
        ArtifactCredentials::Job => Bucket::new(&credentials::s3(aws, bench.claimed.credentials())),
        ArtifactCredentials::Worker => Bucket::new(&aws.s3),
    })
}

async fn one_input(bench: &Bench<'_>, artifact: &Artifact, into: &Path) -> Result<(), Failure> {
    let bucket = bucket(bench).await?;
    let place = (artifact.bucket.as_str(), artifact.key.as_str());
    let spool = tempfile::tempfile_in(into.parent().unwrap_or(into)).map_err(no_room)?;
    let shutdown = &bench.tools.shutdown;
    let archive = tokio::select! {
        biased;
        stop = shutdown.reached(Urgency::WindDown) => return Err(stopped(stop, artifact)),
        archive = transfer::fetch(&bucket, place, spool) => archive.map_err(|error| of_input(error, artifact))?,
    };
    let into = into.to_owned();
    let unwanted = Arc::new(AtomicBool::new(false));
    let until = Arc::clone(&unwanted);
    let mut unpacked = tokio::task::spawn_blocking(move || {
        fs::create_dir(&into).map_err(UnpackError::Folder)?;
        unpack_unless(archive, &into, &Limits::default(), until)
    });
    let unpacked = tokio::select! {
        unpacked = &mut unpacked => unpacked,
        stop = shutdown.reached(Urgency::WindDown) => {
            unwanted.store(true, Ordering::Relaxed);
            // Its folder is removed next, so its thread is let end.
            let _ = unpacked.await;
            return Err(stopped(stop, artifact));
        }
    };
    match unpacked {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(of_archive(error, artifact)),
        Err(_) => Err(Failure::new(
            Kind::Bug,
            format!("artifact `{}` could not be unpacked", artifact.name),
        )),
    }
}

fn stopped(stop: Kind, artifact: &Artifact) -> Failure {
    let what = format!(
        "stopped while input artifact `{}` was being fetched",
        artifact.name
    );
    Failure::new(stop, what)
}

fn no_room(error: io::Error) -> Failure {
    Failure::new(Kind::FarEnd, "the worker has no room for the job's artifacts")
        .nature(Nature::FarEnd)
        .because(error)
        .hint("the worker's `--work-dir` must be there, writable, and have space")
}

fn of_input(error: StoreError, artifact: &Artifact) -> Failure {
    error
        .into_failure()
        .place(format!("input artifact `{}`", artifact.name))
}

fn of_archive(error: UnpackError, artifact: &Artifact) -> Failure {
    let (advice, kind) = (error.advice(), error.kind());
    let what = format!("input artifact `{}` cannot be unpacked", artifact.name);
    let failure = Failure::new(kind, what)
        .because(error)
        .place(format!("s3://{}/{}", artifact.bucket, artifact.key));
    match advice {
        Some(advice) => failure.hint(advice),
        None => failure,
    }
}

/// Why an output artifact is not known to be stored.
pub(super) struct Unstored {
    pub(super) failure: Failure,
    /// Whether it may be there all the same.
    pub(super) may_be_there: bool,
}

impl From<Failure> for Unstored {
    /// A failure before anything was sent.
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            may_be_there: false,
        }
    }
}

/// Stores an output artifact, and says where. S3 holds the whole of it when this ends well.
pub(super) async fn store(
    bench: &Bench<'_>,
    output: &Artifact,
    entries: Vec<Entry>,
) -> Result<String, Unstored> {
    let bucket = bucket(bench).await?;
    let target = ArtifactTarget {
        bucket: output.bucket.clone(),
        key: output.key.clone(),
        kms_key: bench.claimed.job().key.clone(),
    };
    let stored = tokio::select! {
        biased;
        stored = transfer::store(&bucket, &target, entries) => stored,
        stop = bench.tools.shutdown.reached(Urgency::WindDown) => {
            let clock = &bench.tools.clock;
            // Parts are paid for until they are gone.
            tokio::select! {
                () = bucket.aborted() => {}
                () = clock.reaches(clock.now() + LAST_WORDS) => {}
            }
            let what = format!("stopped while output artifact `{}` was being stored", output.name);
            return Err(Unstored {
                failure: Failure::new(stop, what),
                may_be_there: true,
            });
        }
    };
    stored.map(|stored| stored.place).map_err(|error| Unstored {
        may_be_there: error.may_be_there(),
        failure: error
            .into_failure()
            .place(format!("output artifact `{}`", output.name)),
    })
}
