//! A bench for workers: a sandbox in this process whose time passes faster than the machine's, with pipelines Source ->
//! Build -> Deploy, a double of the Engine, and workers that run in this process or in one of their own.

pub mod canaries;
pub mod outcome;
pub mod place;
pub mod source;
pub mod told;
pub mod workers;

use crate::engine::EngineDouble;
use bytes::Bytes;
use http::Method;
use place::{SOURCES, furnish, pipeline, s3};
use serde_json::{Value, json};
use slipway::clock::{Clock, Lapse};
use slipway::sandbox::scenario::Scenario;
use slipway::sandbox::server::{Options, Sandbox, Tasks};
use slipway::sandbox::world::ecs::Timings;
use slipway::sandbox::world::pipeline::{ExecutionView, JobView};
use slipway::shutdown::Shutdown;
use source::{Source, declaration, key_of};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;
use tempfile::TempDir;

/// How much faster time passes, unless a setup says otherwise: a second in which the machine has no time for a worker is
/// no more than twenty of the worker's.
pub const SPEED: u32 = 20;

/// How much faster than on AWS things happen in the sandbox besides: a roll takes half a minute, and a job that is handed
/// back is offered again after eight seconds.
const HASTE: f64 = 4.0;

/// Between two looks at whether something is so yet.
const LOOK: Duration = Duration::from_millis(500);

/// The only fleet.
pub const FLEET: &str = "blue";

/// How a bench is set up.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What goes wrong, besides what the bench says itself.
    pub scenario: String,
    pub speed: u32,
    /// Services that run version 1.
    pub services: Vec<String>,
    /// Whether they are behind a load balancer.
    pub balanced: bool,
    /// Whether the tags of the repository are.
    pub immutable: bool,
    /// Whether the referees read the sandbox's journal: not what a fault made other than AWS's.
    pub refereed: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            scenario: String::new(),
            speed: SPEED,
            services: vec!["shop".to_owned()],
            balanced: true,
            immutable: true,
            refereed: false,
        }
    }
}

/// The journal of the running test, where the referees find it (`tests/referees/run.py`).
fn refereed() -> PathBuf {
    let test = std::thread::current().name().unwrap().replace("::", "-");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("journals");
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(format!("worker-{test}.jsonl"))
}

pub struct Bench {
    /// Serves as long as the bench lives.
    pub sandbox: Sandbox,
    pub clock: Clock,
    pub speed: u32,
    pub engine: EngineDouble,
    pub folder: TempDir,
    pub services: Vec<String>,
    pipelines: Mutex<Vec<String>>,
    journal: PathBuf,
}

impl Bench {
    /// An account whose services run version 1, and no pipeline yet.
    pub async fn new(setup: &Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = if setup.refereed {
            refereed()
        } else {
            folder.path().join("journal.jsonl")
        };
        let clock = Clock::Lapse(Lapse { speed: setup.speed });
        let role = format!(
            "[[role]]\narn = \"{}\"\nexternal-id = \"{}\"\n",
            place::DEPLOYER,
            place::EXTERNAL_ID
        );
        let mut scenario = Scenario::parse(&format!("{}\n{role}", setup.scenario)).unwrap();
        scenario.codepipeline.start_when_created = false;
        let sandbox = Box::pin(Sandbox::start(Options {
            port: 0,
            journal: Some(journal.clone()),
            scenario,
            region: place::REGION.to_owned(),
            tasks: Tasks::Simulated,
            timings: Timings::default().scaled(HASTE),
            clock: clock.clone(),
            docker_host: None,
        }))
        .await
        .unwrap();
        furnish(&sandbox, setup).await;
        let engine = EngineDouble::start(folder.path(), clock.clone());
        let bench = Self {
            sandbox,
            clock,
            speed: setup.speed,
            engine,
            folder,
            services: setup.services.clone(),
            pipelines: Mutex::default(),
            journal,
        };
        for service in &setup.services {
            let steady = || bench.primary(service)["rolloutState"] == "COMPLETED";
            bench.until("version 1 is steady", 900, steady).await;
        }
        bench
    }

    /// The same with the pipeline `shop`, and its source.
    pub async fn with_pipeline(setup: &Setup) -> Self {
        let bench = Self::new(setup).await;
        bench.add_pipeline("shop", "SUPERSEDED").await;
        bench
    }

    /// The same, where the tasks of revision 2 start so many seconds later than usual: there is time to do something while
    /// they are waited for.
    pub async fn starting_after(seconds: u32) -> Self {
        let scenario =
            format!("[[fate]]\nfamily = \"shop\"\nrevision = 2\nstarts-after-seconds = {seconds}\n");
        Self::with_pipeline(&Setup {
            scenario,
            ..Setup::default()
        })
        .await
    }

    /// Adds a pipeline that deploys the image that it builds to every service.
    pub async fn add_pipeline(&self, name: &str, mode: &str) {
        let source = Source::of(&self.services, "2", "");
        self.add(name, &source, &declaration(name, mode, true)).await;
    }

    /// Adds a pipeline that builds nothing, and deploys what every service runs.
    pub async fn add_deploys(&self, name: &str) {
        let source = Source::unchanged(&self.services);
        self.add(name, &source, &declaration(name, "PARALLEL", false))
            .await;
    }

    /// Adds a pipeline.
    pub async fn add(&self, name: &str, source: &Source, declaration: &Value) {
        self.commit(name, source).await;
        self.ask("CreatePipeline", declaration);
        self.pipelines.lock().unwrap().push(name.to_owned());
    }

    /// Every execution of a pipeline, the oldest first.
    pub fn executions(&self, pipeline: &str) -> Vec<ExecutionView> {
        self.sandbox
            .world()
            .visit(|world, _| world.pipeline.executions(pipeline))
    }

    /// Puts a pipeline's source.
    pub async fn commit(&self, pipeline: &str, source: &Source) {
        let path = format!("/{SOURCES}/{}", key_of(pipeline));
        s3(&self.sandbox, Method::PUT, &path, Bytes::from(source.zip())).await;
    }

    /// An operation of CodePipeline, past the wire.
    pub fn ask(&self, operation: &str, input: &Value) -> Value {
        pipeline(&self.sandbox, operation, input)
    }

    /// Starts an execution; gives its id.
    pub fn release(&self, pipeline: &str) -> String {
        let started = self.ask("StartPipelineExecution", &json!({ "name": pipeline }));
        started["pipelineExecutionId"].as_str().unwrap().to_owned()
    }

    /// An execution.
    pub fn execution(&self, id: &str) -> ExecutionView {
        let pipelines = self.pipelines.lock().unwrap().clone();
        self.sandbox.world().visit(|world, _| {
            let mut all = pipelines.iter().flat_map(|name| world.pipeline.executions(name));
            all.find(|execution| execution.id == id).unwrap()
        })
    }

    /// The primary deployment of a service.
    pub fn primary(&self, service: &str) -> Value {
        let input = json!({ "cluster": place::CLUSTER, "services": [service] });
        let described = place::ecs(&self.sandbox, "DescribeServices", &input);
        let primary = &described["services"][0]["deployments"][0];
        assert_eq!(primary["status"], "PRIMARY", "{described}");
        primary.clone()
    }

    /// Lets so many seconds of the clock pass.
    pub async fn let_pass(&self, seconds: u64) {
        let never = Shutdown::never();
        let _ = self.clock.pause(Duration::from_secs(seconds), &never).await;
    }

    /// Waits until something is so, for so many seconds of the clock at the most.
    pub async fn until(&self, what: &str, seconds: u64, is_so: impl Fn() -> bool) {
        assert!(
            self.comes_true(seconds, is_so).await,
            "not within {seconds} s: {what}"
        );
    }

    /// Whether something becomes so within so many seconds of the clock.
    pub async fn comes_true(&self, seconds: u64, is_so: impl Fn() -> bool) -> bool {
        let never = Shutdown::never();
        let end = self.clock.now() + Duration::from_secs(seconds);
        while !is_so() {
            if self.clock.now() >= end {
                return false;
            }
            let _ = self.clock.pause(LOOK, &never).await;
        }
        true
    }

    /// A folder of the bench's.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The journal's file.
    pub fn journal_file(&self) -> &Path {
        &self.journal
    }

    /// The requests that came over the wire, in the order of their answers.
    pub fn journal(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.journal).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// From now on this goes wrong on the wire, and nothing else.
    pub fn set_fault(&self, scenario: &str) {
        self.sandbox.set_faults(Scenario::parse(scenario).unwrap().faults);
    }

    /// Waits until a fault hits a request, for as long as an execution is under way; whether one did.
    pub async fn strikes(&self, execution: &str, seconds: u64) -> bool {
        let struck = self.sandbox.struck();
        let is_time = || *struck.borrow() > 0 || self.is_over(execution);
        let _ = self.comes_true(seconds, is_time).await;
        *struck.borrow() > 0
    }

    /// The jobs that are so.
    pub fn jobs(&self, are: impl Fn(&JobView) -> bool) -> Vec<JobView> {
        let mut jobs = self.sandbox.world().visit(|world, _| world.pipeline.jobs());
        jobs.retain(are);
        jobs
    }

    /// Every file of the state directory that is there to be read just now: workers write and remove them meanwhile.
    pub fn kept(&self) -> Vec<(PathBuf, String)> {
        let mut folders = vec![self.path("state")];
        let mut kept = Vec::new();
        while let Some(folder) = folders.pop() {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            for path in entries.map(|entry| entry.path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(bytes) = std::fs::read(&path) {
                    kept.push((path, String::from_utf8_lossy(&bytes).into_owned()));
                }
            }
        }
        kept
    }

    /// What the state directory says of jobs: the text of each entry.
    pub fn state(&self) -> Vec<String> {
        let is_entry = |path: &Path| {
            let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
            folder.to_string_lossy().starts_with("worker-") && path.extension().is_some_and(|it| it == "json")
        };
        let entries = self.kept().into_iter().filter(|(path, _)| is_entry(path));
        entries.map(|(_, text)| text).collect()
    }

    /// What the state directory still says of jobs, once there was time to clean up; each in words.
    pub async fn left_in_journal(&self) -> Vec<String> {
        if self.comes_true(300, || self.state().is_empty()).await {
            return Vec::new();
        }
        let entries = self.state().into_iter();
        let words = |entry| format!("the journal of a worker keeps no job that is over: {entry}");
        entries.map(words).collect()
    }

    /// How many requests of a sort came.
    pub fn count(&self, service: &str, operation: &str) -> usize {
        let of = |entry: &&Value| entry["service"] == service && entry["operation"] == operation;
        self.journal().iter().filter(of).count()
    }

    /// The image that a service's primary deployment wants.
    pub fn image_of(&self, service: &str) -> String {
        let revision = self.primary(service)["taskDefinition"].clone();
        let input = json!({ "taskDefinition": revision });
        let described = place::ecs(&self.sandbox, "DescribeTaskDefinition", &input);
        let image = &described["taskDefinition"]["containerDefinitions"][0]["image"];
        image.as_str().unwrap().to_owned()
    }
}
