//! Workers of a bench: in this process, where a stop is a switch, and in one of their own, where `kill -9` is real.

use super::canaries::WORKER_KEY;
use super::told::Told;
use super::{Bench, FLEET, place};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use slipway::app::logs;
use slipway::aws::{AwsOnDemand, AwsSettings, StaticKeys};
use slipway::clock::{Clock, Lapse};
use slipway::config::worker::{ArtifactCredentials, LostBuilds, OnAbandon, WorkerSettings};
use slipway::ecs::recorder::Recorder;
use slipway::failure::{Failure, Kind};
use slipway::image::endpoint::EngineEnv;
use slipway::pipeline::pace::Limits;
use slipway::report::event::Tell;
use slipway::report::reporter::{Format, Manner, Reporter, Volume};
use slipway::shutdown::{self, ShutdownSwitch};
use slipway::stage::Tools;
use slipway::worker;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

/// The variable that makes the test binary a worker, and says which.
pub const VARIABLE: &str = "SLIPWAY_TEST_WORKER";

/// What a test says of a worker; seconds are the clock's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    pub deploys: usize,
    pub builds: usize,
    pub stretch: u64,
    pub grace: u64,
    /// How long a build may take, in seconds.
    pub build_timeout: u64,
    pub roll_back_abandoned: bool,
    pub retry_lost_builds: bool,
    pub poll_idle: u64,
    /// The state directory, below the bench's folder: workers that share it heal each other.
    pub state: String,
    pub health: Option<u16>,
    /// Whether artifacts are read and written as the worker, and not with the keys of the job.
    pub own_keys: bool,
    /// Whether a process logs objects instead of lines.
    pub json: bool,
    pub fleets: Vec<String>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            deploys: 4,
            builds: 2,
            stretch: 20,
            grace: 600,
            build_timeout: 3600,
            roll_back_abandoned: false,
            retry_lost_builds: true,
            poll_idle: 6,
            state: "state".to_owned(),
            health: None,
            own_keys: false,
            json: false,
            fleets: vec![FLEET.to_owned()],
        }
    }
}

/// Where a worker finds its bench.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Place {
    endpoint: String,
    socket: PathBuf,
    folder: PathBuf,
    speed: u32,
    plan: Plan,
}

impl Place {
    fn settings(&self) -> WorkerSettings {
        let plan = &self.plan;
        WorkerSettings {
            region: Some(place::REGION.to_owned()),
            action_types: ["Build/Slipway/1", "Deploy/Slipway/1"]
                .map(|id| id.parse().unwrap())
                .to_vec(),
            fleets: plan.fleets.clone(),
            deploys: plan.deploys,
            builds: plan.builds,
            state_dir: self.folder.join(&plan.state),
            work_dir: self.folder.join("work"),
            artifact_credentials: if plan.own_keys {
                ArtifactCredentials::Worker
            } else {
                ArtifactCredentials::Job
            },
            stretch: Duration::from_secs(plan.stretch),
            grace: Duration::from_secs(plan.grace),
            build_timeout: Duration::from_secs(plan.build_timeout),
            on_abandon: if plan.roll_back_abandoned {
                OnAbandon::Rollback
            } else {
                OnAbandon::Leave
            },
            lost_builds: if plan.retry_lost_builds {
                LostBuilds::Retry
            } else {
                LostBuilds::Fail
            },
            pace: Limits {
                busy: Duration::from_secs(3),
                idle: Duration::from_secs(plan.poll_idle),
            },
            health: plan.health.map(|port| ([127, 0, 0, 1], port).into()),
            wake_queue: None,
        }
    }

    fn tools(&self, tell: Tell) -> (Tools, ShutdownSwitch) {
        let (switch, view) = shutdown::switch();
        let keys = StaticKeys {
            access_key_id: "sandbox".to_owned().into(),
            secret_access_key: WORKER_KEY.to_owned().into(),
            session_token: None,
        };
        let aws = AwsOnDemand::new(AwsSettings {
            region: Some(place::REGION.to_owned()),
            endpoint: Some(self.endpoint.clone()),
            credentials: Some(keys),
        })
        .paced_by(Clock::Lapse(Lapse { speed: self.speed }));
        let tools = Tools {
            aws,
            clock: Clock::Lapse(Lapse { speed: self.speed }),
            shutdown: view,
            tell,
            engine: EngineEnv {
                host: Some(format!("unix://{}", self.socket.display())),
                config_dir: Some(self.folder.clone()),
                ..EngineEnv::default()
            },
            record: Recorder::default(),
        };
        (tools, switch)
    }
}

/// A worker in this process.
pub struct Running {
    pub switch: ShutdownSwitch,
    pub told: Told,
    work: JoinHandle<Result<(), Failure>>,
}

impl Running {
    /// Asks it to stop, as SIGTERM does.
    pub fn terminate(&self) {
        self.switch.raise(Kind::Terminated);
    }

    pub fn is_over(&self) -> bool {
        self.work.is_finished()
    }

    /// Asks it to stop, and waits until it has.
    pub async fn stop(self) -> Told {
        self.terminate();
        self.end().await
    }

    /// Waits until it has stopped.
    pub async fn end(self) -> Told {
        let ended = self.work.await.unwrap();
        assert!(ended.is_ok(), "{:?}", ended.err().map(|failure| failure.what));
        self.told
    }
}

/// A worker in a process of its own.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Whether it has ended, and how.
    pub fn code(&mut self) -> Option<Option<i32>> {
        self.child.try_wait().unwrap().map(|status| status.code())
    }

    /// Everything that it wrote.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already is all the better.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Bench {
    fn place(&self, plan: &Plan) -> Place {
        Place {
            endpoint: self.sandbox.endpoint().to_owned(),
            socket: self.engine.socket().to_owned(),
            folder: self.folder.path().to_owned(),
            speed: self.speed,
            plan: plan.clone(),
        }
    }

    /// Starts a worker in this process.
    pub fn worker(&self, plan: &Plan) -> Running {
        let place = self.place(plan);
        let told = Told::default();
        let (tools, switch) = place.tools(told.tell());
        let work = tokio::spawn(async move { Box::pin(worker::run(place.settings(), &tools)).await });
        Running { switch, told, work }
    }

    /// Starts the program itself, whose clock is the machine's.
    pub fn program(&self) -> Process {
        let engine = format!("unix://{}", self.engine.socket().display());
        self.spawn(
            Command::new(env!("CARGO_BIN_EXE_slipway"))
                .args(["worker", "--poll-idle", "2s", "--fleet", FLEET, "--state-dir"])
                .arg(self.path("state"))
                .arg("--work-dir")
                .arg(self.path("work"))
                .env_clear()
                .env("AWS_ENDPOINT_URL", self.sandbox.endpoint())
                .env("AWS_REGION", place::REGION)
                .env("AWS_ACCESS_KEY_ID", "sandbox")
                .env("AWS_SECRET_ACCESS_KEY", WORKER_KEY)
                .env("AWS_EC2_METADATA_DISABLED", "true")
                .env("DOCKER_HOST", engine)
                .env("HOME", self.folder.path()),
        )
    }

    /// Starts a worker in a process of its own.
    pub fn process(&self, plan: &Plan) -> Process {
        self.spawn(
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "child::is_a_worker_if_it_is_told_to_be", "--nocapture"])
                .env(VARIABLE, serde_json::to_string(&self.place(plan)).unwrap()),
        )
    }

    /// Starts a process, which writes its log to a file of the bench's.
    fn spawn(&self, command: &mut Command) -> Process {
        let log = self.path(&format!("worker-{:08x}.log", fastrand::u32(..)));
        let file = File::create(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Process { child, log }
    }
}

/// Is the worker that the variable describes, until SIGTERM or its end.
pub async fn be(described: &str) {
    let place: Place = serde_json::from_str(described).unwrap();
    let manner = Manner {
        format: if place.plan.json {
            Format::Json
        } else {
            Format::Human
        },
        volume: Volume::Verbose,
        lasting: true,
        ..Manner::default()
    };
    logs::start(&manner);
    let reporter = Reporter::new(manner, Clock::Lapse(Lapse { speed: place.speed }));
    let (tools, switch) = place.tools(reporter.tell());
    let mut signals = signal(SignalKind::terminate()).unwrap();
    let mut work = Box::pin(worker::run(place.settings(), &tools));
    loop {
        tokio::select! {
            ended = &mut work => {
                if let Err(failure) = ended {
                    reporter.failure(&failure);
                    panic!("the worker failed");
                }
                return;
            }
            _ = signals.recv() => switch.raise(Kind::Terminated),
        }
    }
}
