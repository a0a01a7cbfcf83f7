//! What the tests against a real Engine share: folders, requests, what was told, a registry.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

use slipway::config::settings::{BuildSecret, Builder, ImageSettings, RepositoryTarget};
use slipway::image::daemon::{BuildRequest, Engine};
use slipway::image::endpoint::EngineEnv;
use slipway::name::ImageRef;
use slipway::report::event::{Event, StepState, Tell};
use slipway::secret::Secret;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// The Engine that the tests use.
#[expect(
    clippy::disallowed_methods,
    reason = "tests choose the Engine as its own client does"
)]
pub fn env() -> EngineEnv {
    EngineEnv {
        host: std::env::var("DOCKER_HOST").ok(),
        tls_verify: std::env::var("DOCKER_TLS_VERIFY").ok(),
        cert_path: std::env::var_os("DOCKER_CERT_PATH").map(PathBuf::from),
        ..EngineEnv::default()
    }
}

/// The variables of this process that name the Engine, for a program that is started without its environment.
#[expect(
    clippy::disallowed_methods,
    reason = "tests choose the Engine as its own client does"
)]
pub fn docker_variables() -> Vec<(&'static str, std::ffi::OsString)> {
    ["DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"]
        .into_iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)))
        .collect()
}

pub async fn engine() -> Engine {
    Engine::connect(&env()).await.unwrap()
}

/// Builds with the classic builder take turns: on the containerd store it loses its leases when another build ends
/// beside it.
pub async fn turn() -> tokio::sync::MutexGuard<'static, ()> {
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    TURN.lock().await
}

/// A context folder.
pub fn context(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    root
}

/// A context whose image has a shell: a static busybox, since nothing can be pulled.
pub struct Busybox {
    folder: tempfile::TempDir,
    label: String,
}

impl Busybox {
    /// The Dockerfile has four lines before `steps`.
    pub fn new(test: &str, steps: &str) -> Self {
        let label = unique(test);
        let install = "COPY busybox /bin/sh\nCOPY busybox /bin/busybox\n";
        let dockerfile = format!("FROM scratch\nLABEL slipway-test={label}\n{install}{steps}");
        let folder = context(&[("Dockerfile", &dockerfile)]);
        let busybox = folder.path().join("busybox");
        fs::copy("/bin/busybox", &busybox).unwrap();
        fs::set_permissions(&busybox, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder, label }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// The classic builder keeps the images of its steps, also of a build that failed; one that was cancelled may still
/// have been given its names.
impl Drop for Busybox {
    fn drop(&mut self) {
        let filter = format!("label=slipway-test={}", self.label);
        // The container of a step that was cancelled holds its image until it is removed.
        for _ in 0..100 {
            docker(&["image", "prune", "-f", "--filter", &filter]);
            let left = docker(&["images", "-q", "--filter", &filter]);
            if left.is_empty() {
                break;
            }
            let remove: Vec<&str> = ["rmi", "-f"].into_iter().chain(left.lines()).collect();
            docker(&remove);
        }
    }
}

/// A name that no other test and no other run uses.
pub fn unique(name: &str) -> String {
    format!("slipway-test-{}-{name}", std::process::id())
}

pub fn request(root: &Path, builder: Builder, names: &[&str]) -> BuildRequest {
    let repository: ImageRef = "registry.invalid/test".parse().unwrap();
    BuildRequest {
        image: ImageSettings {
            name: "web".to_owned(),
            context: root.to_owned(),
            dockerfile: root.join("Dockerfile"),
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
        names: names.iter().map(|name| name.parse().unwrap()).collect(),
        auth: BTreeMap::new(),
    }
}

pub fn secret(id: &str, value: &str) -> BuildSecret {
    BuildSecret {
        id: id.to_owned(),
        value: Secret::new(value.as_bytes().to_vec()),
    }
}

/// Everything that was told.
#[derive(Clone, Default)]
pub struct Told(Arc<Mutex<Vec<Event>>>);

impl Told {
    pub fn tell(&self) -> Tell {
        let events = self.0.clone();
        Tell::new(move |event| events.lock().unwrap().push(event))
    }

    pub fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    /// The lines that build steps printed.
    pub fn lines(&self) -> Vec<String> {
        self.events()
            .into_iter()
            .filter_map(|event| match event {
                Event::BuildLine { line, .. } => Some(line),
                _ => None,
            })
            .collect()
    }

    /// The steps with what happened to them.
    pub fn steps(&self) -> Vec<(String, StepState)> {
        self.events()
            .into_iter()
            .filter_map(|event| match event {
                Event::BuildStep { step, state, .. } => Some((step, state)),
                _ => None,
            })
            .collect()
    }
}

/// Images that are removed when the test ends, however it ends.
pub struct Images(pub Vec<String>);

impl Drop for Images {
    fn drop(&mut self) {
        for image in &self.0 {
            docker(&["rmi", "-f", image]);
        }
    }
}

/// Runs the Docker client and gives what it printed.
pub fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A registry of the distribution project on a free loopback port.
pub struct Registry {
    process: Child,
    pub host: String,
    _folders: Vec<tempfile::TempDir>,
}

impl Registry {
    /// A registry that lets everybody in.
    pub async fn start() -> Self {
        Self::serve("").await
    }

    /// A registry that lets `me` with the password `canary` in.
    pub async fn start_private() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let users = folder.path().join("users");
        fs::write(
            &users,
            "me:$2y$04$abcdefghijklmnopqrstuuDID1/tx.qq/9b0XGGVoFA5x6CWhZpGW\n",
        )
        .unwrap();
        let auth = format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", users.display());
        let mut registry = Self::serve(&auth).await;
        registry._folders.push(folder);
        registry
    }

    async fn serve(auth: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let host = format!("127.0.0.1:{port}");
        let config = folder.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{host}'}}\n{auth}",
            folder.path().join("data").display()
        );
        fs::write(&config, text).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Self {
            process,
            host,
            _folders: vec![folder],
        };
        while tokio::net::TcpStream::connect(&registry.host).await.is_err() {
            tokio::task::yield_now().await;
        }
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A folder of one big file without content on disk.
pub fn sparse(root: &Path, name: &str, bytes: u64) -> PathBuf {
    let path = root.join(name);
    fs::File::create(&path).unwrap().set_len(bytes).unwrap();
    path
}
