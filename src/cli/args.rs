//! clap's types: verbs, arguments, flags, and their help.

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;

/// From a Dockerfile to healthy Amazon ECS tasks, and never a false success.
#[derive(Debug, Parser)]
#[command(
    name = "slipway",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// Flags of every verb.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Build the images, push them, write imagedefinitions.json.
    ///
    /// The file is written last, and only when every image is in its registry and its digest confirmed; one left over
    /// from an earlier run is removed first. Prints one `registry/repository@digest` per image on stdout.
    Build(BuildArgs),
    /// Deploy imagedefinitions.json to ECS services, and watch until the tasks are proven healthy.
    ///
    /// Registers a new task definition revision, updates the service, follows this one deployment, and compares the
    /// digest of the running tasks with the one to deploy. Prints one JSON object per service on stdout.
    Deploy(DeployArgs),
    /// Build, then deploy, in one process.
    ///
    /// Prints one JSON object per service on stdout.
    Run(RunArgs),
    /// Do the same against a sandbox on this machine: no AWS account, real containers.
    ///
    /// Starts the sandbox on loopback, puts an earlier version of each service into it, does what the stage does against
    /// AWS, sends requests to the service meanwhile, and cleans up.
    DryRun(DryRunArgs),
    /// Serve the sandbox on loopback, for any AWS client.
    ///
    /// It answers for ECR and its registry, ECS, S3 objects, load balancer targets, CloudWatch Logs and STS as AWS does,
    /// and runs ECS tasks as containers of the local Engine. Prints its address on stdout; a signal ends it.
    Sandbox(SandboxArgs),
    /// Say why a deployment failed: from a capture, or a live service's last one; changes nothing.
    ///
    /// Tells what the deploy told, and prints one JSON object per service on stdout unless that is a terminal. Without
    /// FILE, the services of slipway.toml, or those of `--cluster` and `--service`, are looked at with read-only calls. The
    /// exit code says whether it could be explained (0); what the deploy ended with is `exit_code` in the JSON.
    Explain(ExplainArgs),
    /// Poll CodePipeline for jobs of the custom actions, and do them.
    ///
    /// Runs until it is stopped. What a job does is in the slipway.toml of its input artifact. After the first signal no
    /// more jobs are taken, deploys are handed back at once for another worker to go on with, and builds have `--grace` to
    /// end; after the second it ends now. Every job that it held is reported or handed back, also when it is killed: the
    /// next worker on the same `--state-dir` sees to that.
    Worker(WorkerArgs),
    /// Print, register, list or delete the custom action types that workers serve.
    ///
    /// A type is registered once in each account and region whose pipelines use it, and can never be changed: what differs
    /// gets another version.
    ActionType(ActionTypeArgs),
    /// Print a completion script for a shell.
    Completions(CompletionsArgs),
}

/// Flags of every verb.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// How progress and failures are told on stderr [default: human] [env: SLIPWAY_LOG_FORMAT].
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<FormatArg>,
    /// Tell warnings and failures only.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Tell also what slipway and its clients log; never a request or answer body.
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Use colours [default: auto, which heeds NO_COLOR].
    #[arg(long, global = true, value_name = "WHEN")]
    pub color: Option<ColourArg>,
    /// The AWS region [env: SLIPWAY_REGION, AWS_REGION].
    #[arg(long, global = true)]
    pub region: Option<String>,
    /// The configuration file [default: slipway.toml in PATH] [env: SLIPWAY_CONFIG].
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// A shape of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// Lines for people; live rows on a terminal.
    Human,
    /// One JSON object per line.
    Json,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColourArg {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// `slipway build`.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// The folder of slipway.toml; without one, the build context [default: .].
    pub path: Option<PathBuf>,
    /// What to build.
    #[command(flatten)]
    pub image: ImageArgs,
    /// What to write.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// The image flags; each is a key of `[image.NAME]`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Image options")]
pub struct ImageArgs {
    /// Where it is pushed: an ECR repository's name, or a whole registry/repository.
    #[arg(long, value_name = "REPOSITORY")]
    pub repository: Option<String>,
    /// A container's name in imagedefinitions.json; repeatable [default: the image's name].
    #[arg(long, value_name = "NAME")]
    pub container: Vec<String>,
    /// The Dockerfile [default: Dockerfile in the context].
    #[arg(long, value_name = "FILE")]
    pub dockerfile: Option<String>,
    /// The Dockerfile's stage to build [default: the last one].
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,
    /// The platform to build for, such as linux/arm64 [default: the builder's own].
    #[arg(long)]
    pub platform: Option<String>,
    /// A build argument; repeatable. It stays readable in the image: use --secret for secrets.
    #[arg(long, value_name = "NAME=VALUE")]
    pub build_arg: Vec<String>,
    /// A label; repeatable.
    #[arg(long, value_name = "NAME=VALUE")]
    pub label: Vec<String>,
    /// A secret for RUN --mount=type=secret, from a variable or a file; repeatable.
    #[arg(long, value_name = "id=ID,env=VARIABLE|src=FILE")]
    pub secret: Vec<String>,
    /// A tag to push; repeatable [default: slipway- and the time].
    #[arg(long)]
    pub tag: Vec<String>,
    /// Ignore the build cache.
    #[arg(long)]
    pub no_cache: bool,
    /// Ask the registries for newer base images.
    #[arg(long)]
    pub pull: bool,
    /// The builder to use [default: auto].
    #[arg(long, value_parser = ["auto", "buildkit", "classic"])]
    pub builder: Option<String>,
    /// Create the ECR repository when it is missing: scan on push, immutable tags.
    #[arg(long)]
    pub create_repository: bool,
}

/// The output flags; each is a key of `[output]`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output options")]
pub struct OutputArgs {
    /// Where imagedefinitions.json goes [default: imagedefinitions.json in the folder].
    #[arg(long, value_name = "FILE")]
    pub output: Option<String>,
    /// Write imageDetail.json too, for blue/green actions; one image only.
    #[arg(long, value_name = "FILE")]
    pub image_detail: Option<String>,
    /// Write a JSON file with everything known about the build.
    #[arg(long, value_name = "FILE")]
    pub metadata: Option<String>,
    /// Write a file of `export` lines that a buildspec can source.
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<String>,
    /// Store a zip with imagedefinitions.json at its root.
    #[arg(long, value_name = "s3://BUCKET/KEY")]
    pub artifact: Option<String>,
    /// The KMS key of that object: id, ARN or alias.
    #[arg(long, value_name = "KEY")]
    pub kms_key: Option<String>,
}

/// `slipway deploy`.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// The folder of slipway.toml [default: .].
    pub path: Option<PathBuf>,
    /// Where to deploy.
    #[command(flatten)]
    pub services: ServiceArgs,
    /// What to deploy: a JSON file, a zip, or an S3 object [default: what the build writes].
    #[arg(long, value_name = "FILE|s3://BUCKET/KEY", help_heading = "Deploy options")]
    pub imagedefinitions: Option<String>,
    /// Watch and prove what an earlier run left under way, by the token that it printed; repeatable.
    ///
    /// Nothing is registered or updated but to undo what failed. What the run was asked for is in the token; --timeout
    /// counts from now.
    #[arg(
        long,
        value_name = "TOKEN",
        help_heading = "Deploy options",
        conflicts_with_all = [
            "cluster", "service", "task_definition", "until", "on_failure", "on_first_failure", "force", "allow_zero",
            "imagedefinitions",
        ]
    )]
    pub resume: Vec<String>,
    /// What to keep.
    #[command(flatten)]
    pub record: RecordArgs,
}

/// The deploy flags; each is a key of `[deploy]` or `[service.NAME]`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Deploy options")]
pub struct ServiceArgs {
    /// The cluster's name or ARN.
    #[arg(long)]
    pub cluster: Option<String>,
    /// A service: one of slipway.toml's, or with none there, any; repeatable.
    #[arg(long)]
    pub service: Vec<String>,
    /// A task definition in JSON [default: the revision that the service runs].
    #[arg(long, value_name = "FILE")]
    pub task_definition: Option<String>,
    /// From the update of the service to giving up, such as 90s or 1h30m [default: 15m].
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<String>,
    /// When it is done: the new tasks are proven healthy, or also the old ones drained [default: healthy].
    #[arg(long, value_parser = ["healthy", "steady"])]
    pub until: Option<String>,
    /// Bring back the revision that completed last, or leave the failed one [default: rollback].
    /// With several services, rollback-all brings back all that the run changed, healthy ones too.
    #[arg(long, value_parser = ["rollback", "rollback-all", "leave"])]
    pub on_failure: Option<String>,
    /// With several services: watch the others to their ends, or stop at the first that fails [default: keep-going].
    #[arg(long, value_parser = ["keep-going", "fail-fast"])]
    pub on_first_failure: Option<String>,
    /// Register and deploy even when nothing differs, or when the service's limits leave no room to replace a task.
    #[arg(long)]
    pub force: bool,
    /// Accept a service whose desired count is 0, where nothing can be proven.
    #[arg(long)]
    pub allow_zero: bool,
    /// Run no one-off task before the services are updated.
    #[arg(long)]
    pub skip_tasks: bool,
    /// The region of the services, if it is not that of everything else.
    #[arg(long, value_name = "REGION")]
    pub deploy_region: Option<String>,
    /// The role to assume in the account of the services.
    #[arg(long, value_name = "ARN")]
    pub role_arn: Option<String>,
    /// The external id that the role's trust policy asks for.
    #[arg(long, value_name = "ID")]
    pub external_id: Option<String>,
}

/// What a deploy keeps.
#[derive(Debug, Args)]
#[command(next_help_heading = "Deploy options")]
pub struct RecordArgs {
    /// Keep what is seen in a new file, so that `slipway explain FILE` can judge it again without AWS.
    ///
    /// It holds answers of AWS and the last log lines of a container that failed. No environment, credential or token is
    /// in it; in log lines, values of variables and what looks like a credential are masked, but for values that are short
    /// or ordinary words. Only its owner may read it. A file that is there already is refused.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

/// `slipway run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The folder of slipway.toml; without one, the build context [default: .].
    pub path: Option<PathBuf>,
    /// What to build.
    #[command(flatten)]
    pub image: ImageArgs,
    /// What to write.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Where to deploy.
    #[command(flatten)]
    pub services: ServiceArgs,
    /// What to keep.
    #[command(flatten)]
    pub record: RecordArgs,
}

/// What a dry-run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    /// Build and push into the sandbox's registry.
    Build,
    /// Deploy what is in imagedefinitions.json.
    Deploy,
    /// Both.
    Run,
    /// Both, by a worker, in a pipeline: Source, Build, Deploy.
    Pipeline,
}

/// `slipway dry-run`.
#[derive(Debug, Args)]
pub struct DryRunArgs {
    /// What to do.
    #[arg(value_enum, default_value = "run")]
    pub stage: Stage,
    /// The folder of slipway.toml; without one, the build context [default: .].
    pub path: Option<PathBuf>,
    /// Simulate tasks: no containers, and minutes pass in an instant.
    #[arg(long, help_heading = "Sandbox options")]
    pub simulated: bool,
    /// Write every request and answer, one JSON object per line.
    #[arg(long, value_name = "FILE", help_heading = "Sandbox options")]
    pub journal: Option<PathBuf>,
    /// A TOML file that says what goes wrong, and when.
    #[arg(long, value_name = "FILE", help_heading = "Sandbox options")]
    pub scenario: Option<PathBuf>,
    /// Requests per second that a client sends while the service rolls; 0 for none [default: 50].
    #[arg(long, value_name = "NUMBER", help_heading = "Sandbox options")]
    pub requests_per_second: Option<String>,
    /// What to build.
    #[command(flatten)]
    pub image: ImageArgs,
    /// What to write.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Where to deploy.
    #[command(flatten)]
    pub services: ServiceArgs,
    /// What to deploy, if nothing is built: a JSON file, a zip, or an S3 object [default: what a build writes].
    #[arg(long, value_name = "FILE|s3://BUCKET/KEY", help_heading = "Deploy options")]
    pub imagedefinitions: Option<String>,
    /// What to keep.
    #[command(flatten)]
    pub record: RecordArgs,
}

/// `slipway sandbox`.
#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// The port on 127.0.0.1; 0 for a free one.
    #[arg(long, default_value_t = 4566)]
    pub port: u16,
    /// Write every request and answer, one JSON object per line.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// A TOML file that says what goes wrong, and when.
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// How many times faster than AWS things happen.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
    /// Simulate tasks: no containers.
    #[arg(long)]
    pub simulated: bool,
}

fn speed(text: &str) -> Result<f64, String> {
    let factor: f64 = text
        .parse()
        .map_err(|_| "expected a number, such as 10 or 0.5".to_owned())?;
    if factor.is_finite() && factor > 0.0 {
        Ok(factor)
    } else {
        Err("expected a number above 0".to_owned())
    }
}

/// `slipway explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A capture that `--record` wrote; without one, live services are looked at.
    pub file: Option<PathBuf>,
    /// The live service's cluster, by name or ARN.
    #[arg(long, conflicts_with = "file")]
    pub cluster: Option<String>,
    /// A service, of the capture or live; repeatable [default: all of them].
    #[arg(long)]
    pub service: Vec<String>,
    /// Tell also, look by look, what changed.
    #[arg(long)]
    pub timeline: bool,
    /// Keep what is seen of live services in a new file.
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    pub record: Option<PathBuf>,
}

/// `slipway worker`; each flag is one of `config::worker::OPTIONS`.
#[derive(Debug, Args)]
pub struct WorkerArgs {
    /// An action type to serve; repeatable [default: Build/Slipway/1 and Deploy/Slipway/1].
    #[arg(long, value_name = "CATEGORY/PROVIDER/VERSION", help_heading = "Jobs")]
    pub action_type: Vec<String>,
    /// A value of the actions' `Fleet` to serve; repeatable [default: default].
    #[arg(long, value_name = "VALUE", help_heading = "Jobs")]
    pub fleet: Vec<String>,
    /// Deploys at the same time; 0 for none [default: 20].
    #[arg(long, value_name = "NUMBER", help_heading = "Jobs")]
    pub jobs: Option<String>,
    /// Builds at the same time; 0 for none [default: 2].
    #[arg(long, value_name = "NUMBER", help_heading = "Jobs")]
    pub builds: Option<String>,
    /// How long a deploy is watched before it is handed back with its progress [default: 60s].
    #[arg(long, value_name = "TIME", help_heading = "Jobs")]
    pub stretch: Option<String>,
    /// Whose keys read and write artifacts: the job's own, or the worker's role's [default: job].
    #[arg(long, value_parser = ["job", "worker"], help_heading = "Jobs")]
    pub artifact_credentials: Option<String>,
    /// Where artifacts are unpacked [default: slipway in TMPDIR or /tmp].
    #[arg(long, value_name = "FOLDER", help_heading = "Jobs")]
    pub work_dir: Option<String>,
    /// Where it writes down which jobs it holds; workers may share one [default: /var/lib/slipway].
    #[arg(long, value_name = "FOLDER", help_heading = "Stops and losses")]
    pub state_dir: Option<String>,
    /// How long builds may go on after the first signal [default: 10m].
    #[arg(long, value_name = "TIME", help_heading = "Stops and losses")]
    pub grace: Option<String>,
    /// How long a build may take, from its job to its artifact; one that hangs is reported failed [default: 1h].
    #[arg(long, value_name = "TIME", help_heading = "Stops and losses")]
    pub build_timeout: Option<String>,
    /// When somebody abandons an execution: leave ECS as it is, or roll the deployment back [default: leave].
    #[arg(long, value_parser = ["leave", "rollback"], help_heading = "Stops and losses")]
    pub on_abandon: Option<String>,
    /// Builds whose worker died: build again, once, or report the failure [default: retry].
    #[arg(long, value_parser = ["retry", "fail"], help_heading = "Stops and losses")]
    pub lost_builds: Option<String>,
    /// The pause between polls of an action type while jobs come [default: 1s].
    #[arg(long, value_name = "TIME", help_heading = "Polls and health")]
    pub poll_busy: Option<String>,
    /// The same while none do; times the number of fleets [default: 20s].
    #[arg(long, value_name = "TIME", help_heading = "Polls and health")]
    pub poll_idle: Option<String>,
    /// An SQS queue that EventBridge feeds with started actions; it shortens the wait for a poll.
    #[arg(long, value_name = "URL", help_heading = "Polls and health")]
    pub wake_queue: Option<String>,
    /// Serve /livez, /readyz and /metrics here; a port alone is one of 127.0.0.1.
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Polls and health")]
    pub health_listen: Option<String>,
    /// Ask the worker whose health is served there whether it is alive, and do nothing else.
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        help_heading = "Polls and health",
        exclusive = true
    )]
    pub probe: Option<String>,
}

/// `slipway action-type`.
#[derive(Debug, Args)]
pub struct ActionTypeArgs {
    /// What to do with the types.
    #[command(subcommand)]
    pub verb: ActionTypeVerb,
}

/// What to do with action types.
#[derive(Debug, Subcommand)]
pub enum ActionTypeVerb {
    /// Print the definitions on stdout, for another tool to register; asks AWS nothing.
    ///
    /// As JSON, one input of CreateCustomActionType for each type, with the console's links of one region. As
    /// CloudFormation, one template, whose links follow the stack's region unless one is given.
    Print(PrintTypesArgs),
    /// Register the types, unless the very same are registered.
    ///
    /// Compares with what the region has. A type with the same name and another definition is left alone: the difference
    /// and the next free version are told, and nothing is registered. Prints one type per line on stdout.
    Register(WantedTypesArgs),
    /// List the custom action types of the region, ours and others'.
    ///
    /// Prints one JSON object per line on stdout. `standing` is `same` where slipway would register the very same,
    /// `differs` where it is slipway's with another definition, and `other` else.
    List(OfProviderArgs),
    /// Delete types, for good.
    ///
    /// Pipelines that have an action of the type stop there from then on, and a version that was deleted can be registered
    /// again with the definition that it had, and with no other.
    Delete(DeleteTypesArgs),
}

/// Which action types are meant.
#[derive(Debug, Args)]
pub struct WantedTypesArgs {
    /// Which of the two types.
    #[arg(long, value_enum, default_value = "both")]
    pub category: CategoryArg,
    /// The version: 1 to 9 letters, digits, _ and -.
    #[arg(long, value_name = "VERSION", default_value = crate::pipeline::action_type::VERSION)]
    pub version: String,
    /// Whose they are, and where their links lead.
    #[command(flatten)]
    pub of: OfProviderArgs,
}

/// Whose action types are meant, and where their links lead.
#[derive(Debug, Args)]
pub struct OfProviderArgs {
    /// The provider's name: 1 to 35 letters, digits, _ and -.
    #[arg(long, value_name = "NAME", default_value = crate::pipeline::action_type::PROVIDER)]
    pub provider: String,
    /// The log group of the workers, for the link from a build to its log [default: /slipway/worker].
    #[arg(long, value_name = "GROUP")]
    pub log_group: Option<String>,
    /// That link when logs are elsewhere: a URL with {ExternalExecutionId}, which is the action execution's id.
    #[arg(long, value_name = "URL", conflicts_with = "log_group")]
    pub log_url: Option<String>,
}

/// `slipway action-type print`.
#[derive(Debug, Args)]
pub struct PrintTypesArgs {
    /// Which types.
    #[command(flatten)]
    pub wanted: WantedTypesArgs,
    /// For which tool.
    #[arg(long, value_enum, default_value = "json")]
    pub format: TypeFormatArg,
}

/// `slipway action-type delete`.
#[derive(Debug, Args)]
pub struct DeleteTypesArgs {
    /// A type to delete, such as Deploy/Slipway/1.
    #[arg(value_name = "CATEGORY/PROVIDER/VERSION", required = true)]
    pub types: Vec<String>,
    /// Do it.
    #[arg(long)]
    pub yes: bool,
}

/// Which of the two action types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CategoryArg {
    /// The one that builds images.
    Build,
    /// The one that deploys them.
    Deploy,
    /// Both.
    Both,
}

/// The tool that a definition is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TypeFormatArg {
    /// The AWS CLI: `aws codepipeline create-custom-action-type --cli-input-json`.
    Json,
    /// CloudFormation: a template in JSON.
    Cloudformation,
}

/// `slipway completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    pub shell: Shell,
}
