//! What a run was asked to do, after every layer of configuration was read: plain data without origins.

use crate::name::{ClusterName, ContainerName, ImageRef, Repository, ServiceName, Tag, TaskName};
use crate::secret::Secret;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything that `slipway.toml`, the environment and the flags say.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder of `slipway.toml`, or PATH; relative paths start here.
    pub folder: PathBuf,
    /// The region, if any layer names one; the AWS profile decides otherwise.
    pub region: Option<String>,
    /// One per `[image.*]` table, in the order of their names.
    pub images: Vec<ImageSettings>,
    /// What a build writes, and where.
    pub outputs: Outputs,
    /// The `[deploy]` table.
    pub deploy: DeploySettings,
    /// One per `[service.*]` table, in the order of their names.
    pub services: Vec<ServiceSettings>,
    /// One per `[task.*]` table of these services, in the file's order; none if they are to be skipped.
    pub tasks: Vec<TaskSettings>,
    /// The `[dry-run]` table.
    pub dry_run: DryRunSettings,
}

/// One image to build and push.
#[derive(Debug, Clone)]
pub struct ImageSettings {
    /// The table's name: `web`.
    pub name: String,
    /// The context folder, absolute.
    pub context: PathBuf,
    /// The Dockerfile, absolute; it may lie outside the context.
    pub dockerfile: PathBuf,
    /// Where it is pushed.
    pub repository: RepositoryTarget,
    /// Container names for `imagedefinitions.json`.
    pub containers: Vec<ContainerName>,
    /// The Dockerfile stage to build; the last one if absent.
    pub target: Option<String>,
    /// `linux/amd64` and the like; the Engine's own if absent.
    pub platform: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// The names of those arguments whose values are secrets.
    pub secret_args: BTreeSet<String>,
    /// Labels, in addition to the `org.opencontainers.image.*` that slipway sets; one written here wins.
    pub labels: BTreeMap<String, String>,
    /// BuildKit secrets.
    pub secrets: Vec<BuildSecret>,
    /// Tags to push, the first one is the build's own; `slipway-<time>` if none is given.
    pub tags: Vec<Tag>,
    /// Ignore the build cache.
    pub no_cache: bool,
    /// Ask the registry for newer base images.
    pub pull: bool,
    /// Which builder to use.
    pub builder: Builder,
    /// Create the ECR repository when it is missing (scan on push, immutable tags).
    pub create_repository: bool,
}

/// Where an image is pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepositoryTarget {
    /// A repository of the account's own ECR registry in the region: `shop/web`.
    Ecr(Repository),
    /// A whole `registry/repository`, without tag or digest; an ECR host is treated as ECR, another one as a plain
    /// registry whose credentials come from Docker's configuration.
    Full(ImageRef),
}

/// A secret for `RUN --mount=type=secret,id=...`.
#[derive(Debug, Clone)]
pub struct BuildSecret {
    /// The id that the Dockerfile names.
    pub id: String,
    /// Its value, read from the environment or a file.
    pub value: Secret<Vec<u8>>,
}

/// Which builder of the Engine to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Builder {
    /// BuildKit, or the classic builder where the Engine has no BuildKit.
    #[default]
    Auto,
    /// BuildKit or nothing.
    BuildKit,
    /// The classic builder.
    Classic,
}

/// What a build writes; absolute paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outputs {
    /// `imagedefinitions.json`; default: in the folder.
    pub imagedefinitions: PathBuf,
    /// `imageDetail.json`, if wanted (one image only).
    pub image_detail: Option<PathBuf>,
    /// A metadata JSON, if wanted.
    pub metadata: Option<PathBuf>,
    /// A file of `export` lines that a buildspec can source, if wanted.
    pub env_file: Option<PathBuf>,
    /// Where the artifact zip goes, if wanted.
    pub artifact: Option<ArtifactTarget>,
}

impl Outputs {
    /// What each file is, and where; imagedefinitions.json last.
    #[must_use]
    pub fn files(&self) -> Vec<(&'static str, &Path)> {
        let optional = [
            ("the metadata", &self.metadata),
            ("the env file", &self.env_file),
            ("imageDetail.json", &self.image_detail),
        ];
        let mut files: Vec<_> = optional
            .into_iter()
            .filter_map(|(what, path)| Some((what, path.as_deref()?)))
            .collect();
        files.push(("imagedefinitions.json", &self.imagedefinitions));
        files
    }
}

/// An S3 object to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactTarget {
    /// Bucket.
    pub bucket: String,
    /// Key.
    pub key: String,
    /// KMS key id, ARN or alias; `aws:kms` with the account's default key if absent and `kms` is set.
    pub kms_key: Option<String>,
}

/// When a rollout counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Until {
    /// All tasks of the target revision run, are healthy by every check, and have the right digest.
    #[default]
    Healthy,
    /// Healthy, and the old tasks are gone and drained.
    Steady,
}

/// What to do with a service whose rollout failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// Bring back the revision that completed last.
    #[default]
    Rollback,
    /// Bring it back in every service that the run changed, healthy ones too.
    RollbackAll,
    /// Leave it.
    Leave,
}

/// What becomes of the other services when one is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFirstFailure {
    /// Each is watched to its own verdict.
    #[default]
    KeepGoing,
    /// They are not begun, or not watched any more; ECS goes on with those that are under way.
    FailFast,
}

/// Where imagedefinitions.json is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefinitionsSource {
    /// A JSON file or a zip with `imagedefinitions.json` at its root; told apart by its first bytes.
    File(PathBuf),
    /// The same as an S3 object.
    S3 {
        /// Bucket.
        bucket: String,
        /// Key.
        key: String,
    },
}

/// Where in AWS a service is, seen from the credentials of the run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// Its region; the run's own if absent.
    pub region: Option<String>,
    /// The role to assume there; the run's own credentials if absent.
    pub role: Option<Role>,
}

/// A role of another account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// What its trust policy asks for, so that nobody is tricked into using it for somebody else; no secret.
    pub external_id: Option<String>,
}

/// The `[deploy]` table.
#[derive(Debug, Clone)]
pub struct DeploySettings {
    /// The cluster: short name or ARN; per service it can be overridden.
    pub cluster: Option<String>,
    /// imagedefinitions.json.
    pub source: DefinitionsSource,
    /// From UpdateService to giving up; default 15 minutes.
    pub timeout: Duration,
    /// When it is done.
    pub until: Until,
    /// What to do on failure.
    pub on_failure: OnFailure,
    /// What to do with the others when the first service failed.
    pub on_first_failure: OnFirstFailure,
    /// Register and deploy even when nothing differs, or when the service's limits leave no room to replace a task.
    pub force: bool,
    /// Accept a service whose desired count is 0, where nothing can be proven.
    pub allow_zero: bool,
}

/// One service to deploy.
#[derive(Debug, Clone)]
pub struct ServiceSettings {
    /// The service.
    pub name: ServiceName,
    /// Its cluster, if it is not the one of `[deploy]`.
    pub cluster: Option<ClusterName>,
    /// Where it is; what `[deploy]` says is in it already.
    pub place: Place,
    /// A task definition file (JSON), absolute; the revision that the service runs if absent.
    pub task_definition: Option<PathBuf>,
    /// Environment variables to set: container name -> name -> value. Values never appear in any output.
    pub env: BTreeMap<ContainerName, BTreeMap<String, Secret<String>>>,
    /// Only these containers of imagedefinitions.json; all that the task definition has if empty.
    pub containers: Vec<ContainerName>,
}

/// A one-off task that runs before the services are updated.
#[derive(Debug, Clone)]
pub struct TaskSettings {
    /// The table's name: `migrate`.
    pub name: TaskName,
    /// The service whose cluster, network and capacity it takes, and whose task definition unless it has its own.
    pub service: ServiceName,
    /// The container that does the work; the only essential one if absent.
    pub container: Option<ContainerName>,
    /// What that container runs; what the task definition says if empty.
    pub command: Vec<String>,
    /// A task definition file (JSON) of its own, absolute.
    pub task_definition: Option<PathBuf>,
    /// Environment variables to set: container name -> name -> value. Values never appear in any output.
    pub env: BTreeMap<ContainerName, BTreeMap<String, Secret<String>>>,
    /// CPU units of the whole task, instead of the task definition's.
    pub cpu: Option<u32>,
    /// Mebibytes of the whole task, instead of the task definition's.
    pub memory: Option<u32>,
    /// From RunTask to giving up; default 15 minutes.
    pub timeout: Duration,
}

/// The `[dry-run]` table: what the sandbox holds before the run.
#[derive(Debug, Clone, Default)]
pub struct DryRunSettings {
    /// Build arguments of the version that runs before (version 1); other arguments are the image's own.
    pub before_args: BTreeMap<String, String>,
    /// Desired count of each service; default 2.
    pub desired_count: Option<u32>,
    /// Container port behind the sandbox's load balancer; no load balancer if absent.
    pub port: Option<u16>,
    /// Path of the target group's health check; `/` if absent.
    pub health_path: Option<String>,
    /// Health check command of the container (`CMD` form), if any.
    pub health_command: Vec<String>,
    /// Requests per second that the client sends through the load balancer during the roll; default 50, 0 for none.
    pub requests_per_second: Option<u32>,
}
