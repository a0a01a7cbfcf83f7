//! The Engine as a runner needs it: bollard, with the sandbox's names and labels.

use super::owner::{self, CONTAINER, Owner, TASK};
use super::pause::{self, Processor};
use super::words::{cannot_pull, engine_says};
use super::{RunnerConfig, StartError};
use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, HealthConfig, HostConfig, NetworkCreateRequest,
    VolumeCreateRequest,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, InspectContainerOptions,
    RemoveContainerOptionsBuilder, StartContainerOptions, StopContainerOptionsBuilder,
};
use futures_util::TryStreamExt;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// The socket of a local Engine.
const SOCKET: &str = "unix:///var/run/docker.sock";
/// How long the Engine may take to begin an answer: longer than the longest `stopTimeout`, which it waits for.
const PATIENCE: Duration = Duration::from_secs(300);
/// The repository of the images that hold a task's network; each sandbox has its own tag.
pub const PAUSE: &str = "slipway-sandbox/pause";

/// A connection to the Engine, and what it knows of one sandbox.
#[derive(Debug)]
pub struct Engine {
    pub(super) docker: Docker,
    pub(super) config: RunnerConfig,
    pub(super) owner: Owner,
    /// `linux/amd64`.
    pub(super) platform: String,
    processor: Processor,
}

/// Connects to an Engine and agrees on the version of its API.
pub async fn connect(host: Option<&str>) -> Result<Docker, StartError> {
    let unreachable = |source| StartError::Connect {
        host: host.unwrap_or(SOCKET).to_owned(),
        source,
    };
    Docker::connect_with_host(host.unwrap_or(SOCKET))
        .map_err(unreachable)?
        .with_timeout(PATIENCE)
        .negotiate_version()
        .await
        .map_err(unreachable)
}

impl Engine {
    /// Connects for a sandbox.
    pub async fn open(config: RunnerConfig) -> Result<Self, StartError> {
        let docker = connect(config.docker_host.as_deref()).await?;
        let version = docker.version().await.map_err(|source| StartError::Connect {
            host: config.docker_host.clone().unwrap_or_else(|| SOCKET.to_owned()),
            source,
        })?;
        let arch = version.arch.unwrap_or_default();
        let processor =
            Processor::parse(&arch).ok_or_else(|| StartError::Processor { name: arch.clone() })?;
        Ok(Self {
            docker,
            config,
            owner: Owner::this_process().await,
            platform: format!("linux/{arch}"),
            processor,
        })
    }

    /// The name of the sandbox's network.
    pub fn network(&self) -> String {
        format!("slipway-sandbox-{}", self.config.sandbox)
    }

    /// The image of the containers that hold a task's network.
    pub fn pause_image(&self) -> String {
        format!("{PAUSE}:{}", self.config.sandbox)
    }

    /// The labels of everything in the sandbox.
    pub fn labels(&self) -> BTreeMap<String, String> {
        owner::labels(&self.config.sandbox, &self.owner, &self.config.registry_host)
    }

    /// The labels of what belongs to a task.
    pub fn task_labels(&self, task: &str, container: Option<&str>) -> BTreeMap<String, String> {
        let mut labels = self.labels();
        labels.insert(TASK.to_owned(), task.to_owned());
        labels.extend(container.map(|name| (CONTAINER.to_owned(), name.to_owned())));
        labels
    }

    /// Makes the sandbox's network; it is made first, since its labels say whose the rest is.
    pub async fn create_network(&self) -> Result<(), StartError> {
        let request = NetworkCreateRequest {
            name: self.network(),
            driver: Some("bridge".to_owned()),
            labels: Some(self.labels().into_iter().collect()),
            ..NetworkCreateRequest::default()
        };
        let made = self.docker.create_network(request).await;
        made.map(drop).map_err(StartError::Network)
    }

    /// Imports the image of the containers that hold a task's network.
    pub async fn import_pause(&self) -> Result<(), StartError> {
        let tar =
            pause::root_file_system(self.processor).map_err(|source| StartError::Pause(source.into()))?;
        let options = CreateImageOptionsBuilder::default()
            .from_src("-")
            .repo(PAUSE)
            .tag(&self.config.sandbox)
            .build();
        self.docker
            .create_image(Some(options), Some(bollard::body_full(tar.into())), None)
            .try_collect::<Vec<_>>()
            .await
            .map(drop)
            .map_err(StartError::Pause)
    }

    /// Starts the container that holds a task's network; gives its id and address.
    pub async fn start_pause(&self, task: &str) -> Result<(String, IpAddr), Error> {
        let body = ContainerCreateBody {
            image: Some(self.pause_image()),
            cmd: Some(vec![pause::PROGRAM.to_owned()]),
            healthcheck: Some(HealthConfig {
                test: Some(vec!["NONE".to_owned()]),
                ..HealthConfig::default()
            }),
            labels: Some(self.task_labels(task, None).into_iter().collect()),
            host_config: Some(HostConfig {
                network_mode: Some(self.network()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let id = self.create(task, "pause", body).await?;
        self.start(&id).await?;
        let seen = self.inspect(&id).await?;
        let address = address_in(&seen, &self.network()).ok_or_else(|| Error::DockerStreamError {
            error: "the Engine gave the task no network address".to_owned(),
        })?;
        Ok((id, address))
    }

    /// Creates a container; gives its id.
    pub async fn create(&self, task: &str, name: &str, body: ContainerCreateBody) -> Result<String, Error> {
        let name = format!("slipway-{}-{task}-{name}", self.config.sandbox);
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        Ok(self.docker.create_container(Some(options), body).await?.id)
    }

    /// Starts a container.
    pub async fn start(&self, id: &str) -> Result<(), Error> {
        self.docker
            .start_container(id, None::<StartContainerOptions>)
            .await
    }

    /// Looks at a container.
    pub async fn inspect(&self, id: &str) -> Result<ContainerInspectResponse, Error> {
        self.docker
            .inspect_container(id, None::<InspectContainerOptions>)
            .await
    }

    /// SIGTERM, and SIGKILL after `patience`.
    pub async fn stop(&self, id: &str, patience: Duration) -> Result<(), Error> {
        let seconds = i32::try_from(patience.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::default().t(seconds).build();
        self.docker.stop_container(id, Some(options)).await
    }

    /// Removes a container with its anonymous volumes, running or not; one that is gone is no error.
    pub async fn remove(&self, id: &str) -> Result<(), Error> {
        let options = RemoveContainerOptionsBuilder::default()
            .force(true)
            .v(true)
            .build();
        unless_gone(self.docker.remove_container(id, Some(options)).await)
    }

    /// Makes a volume of a task; gives its name.
    pub async fn create_volume(&self, task: &str, volume: &str) -> Result<String, Error> {
        let name = format!("slipway-{}-{task}-{volume}", self.config.sandbox);
        let request = VolumeCreateRequest {
            name: Some(name.clone()),
            labels: Some(self.task_labels(task, None).into_iter().collect()),
            ..VolumeCreateRequest::default()
        };
        self.docker.create_volume(request).await.map(|_| name)
    }

    /// Pulls an image and gives its digest as the runtime reports it, if it has one. An image of the sandbox's own
    /// registry is always asked for; one of another is taken from the Engine when it is there.
    ///
    /// # Errors
    /// The agent's words.
    pub async fn pull(&self, image: &str) -> Result<Option<String>, String> {
        let ours = self.is_ours(image);
        if ours || self.docker.inspect_image(image).await.is_err() {
            let options = CreateImageOptionsBuilder::default()
                .from_image(&with_tag(image))
                .build();
            let credentials = ours.then(|| DockerCredentials {
                username: Some("AWS".to_owned()),
                password: Some(self.config.registry_password.expose().clone()),
                serveraddress: Some(self.config.registry_host.clone()),
                ..DockerCredentials::default()
            });
            self.docker
                .create_image(Some(options), None, credentials)
                .try_for_each(|_| std::future::ready(Ok(())))
                .await
                .map_err(|error| cannot_pull(image, &engine_says(&error), &self.platform))?;
        }
        let seen = self.docker.inspect_image(image).await;
        let seen = seen.map_err(|error| cannot_pull(image, &engine_says(&error), &self.platform))?;
        Ok(digest_of(image, &seen.repo_digests.unwrap_or_default()))
    }

    fn is_ours(&self, image: &str) -> bool {
        image
            .strip_prefix(&self.config.registry_host)
            .is_some_and(|rest| rest.starts_with('/'))
    }
}

/// What is gone already needs no removal.
pub fn unless_gone(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
        other => other,
    }
}

fn address_in(seen: &ContainerInspectResponse, network: &str) -> Option<IpAddr> {
    let networks = seen.network_settings.as_ref()?.networks.as_ref()?;
    networks.get(network)?.ip_address.as_ref()?.parse().ok()
}

/// The repository of a reference: what stands before its tag and digest.
fn repository(image: &str) -> &str {
    let name = image.split('@').next().unwrap_or(image);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

/// A reference with neither tag nor digest would pull every tag.
fn with_tag(image: &str) -> String {
    if repository(image) == image {
        format!("{image}:latest")
    } else {
        image.to_owned()
    }
}

/// The digest among an image's `RepoDigests` that belongs to a reference.
fn digest_of(image: &str, digests: &[String]) -> Option<String> {
    let wanted = image.split_once('@').map(|(_, digest)| digest);
    let mut known = digests
        .iter()
        .filter_map(|entry| entry.split_once('@'))
        .filter(|(name, _)| *name == repository(image))
        .map(|(_, digest)| digest);
    let first = known.clone().next();
    known
        .find(|digest| Some(*digest) == wanted)
        .or(first)
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{digest_of, repository, with_tag};

    #[test]
    fn references_are_split_at_the_tag_and_not_at_the_port() {
        for (image, repo, tagged) in [
            (
                "127.0.0.1:4566/web",
                "127.0.0.1:4566/web",
                "127.0.0.1:4566/web:latest",
            ),
            (
                "127.0.0.1:4566/web:1",
                "127.0.0.1:4566/web",
                "127.0.0.1:4566/web:1",
            ),
            (
                "127.0.0.1:4566/web@sha256:a",
                "127.0.0.1:4566/web",
                "127.0.0.1:4566/web@sha256:a",
            ),
            ("web:1@sha256:a", "web", "web:1@sha256:a"),
            ("web", "web", "web:latest"),
        ] {
            assert_eq!((repository(image), with_tag(image).as_str()), (repo, tagged));
        }
    }

    #[test]
    fn the_digest_is_that_of_the_reference_among_those_of_the_image() {
        let known = ["a/web@sha256:1", "b/web@sha256:2", "b/web@sha256:3"].map(str::to_owned);
        for (image, digest) in [
            ("b/web:1", Some("sha256:2")),
            ("b/web@sha256:3", Some("sha256:3")),
            ("a/web:x@sha256:1", Some("sha256:1")),
            ("c/web", None),
        ] {
            assert_eq!(digest_of(image, &known).as_deref(), digest, "{image}");
        }
    }
}
