//! Removes what sandboxes made: all of one at its end, and what a dead process left behind.

use super::engine::{Engine, PAUSE, unless_gone};
use super::owner::{OWNER, Owner, REGISTRY, SANDBOX};
use bollard::Docker;
use bollard::errors::Error;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptionsBuilder,
    ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptions, RemoveVolumeOptions,
};
use futures_util::future::join_all;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// How often a sandbox is looked through before what is still there is given up: a request of a task that was just
/// halted may make a container after the first look.
const ROUNDS: usize = 4;
/// Between two rounds: what the Engine is already removing needs a moment.
const BREATH: Duration = Duration::from_millis(300);

/// Something that could not be removed.
#[derive(Debug)]
pub struct Leftover {
    /// `container 0123abcd`, `network slipway-sandbox-1`.
    pub what: String,
    /// What the Engine said.
    pub why: Error,
}

impl Leftover {
    /// A warning for whoever ran the sandbox.
    #[must_use]
    pub fn warning(&self) -> String {
        format!(
            "the sandbox could not remove {self}: {}; the next one on this Engine tries again",
            self.why
        )
    }
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// Removes everything of a sandbox: its containers, volumes, images and, last, its network, whose labels say that the
/// sandbox exists.
pub async fn sweep(docker: &Docker, sandbox: &str, registry: Option<&str>) -> Vec<Leftover> {
    let mut left = Vec::new();
    for _ in 0..ROUNDS {
        left = round(docker, sandbox, registry).await;
        if left.is_empty() && containers(docker, sandbox).await.is_ok_and(|ids| ids.is_empty()) {
            break;
        }
        tokio::time::sleep(BREATH).await;
    }
    left
}

/// Removes what earlier sandboxes left whose process is dead. Never touches anything without their labels, nor images
/// of a registry that a living sandbox has.
pub async fn sweep_dead(docker: &Docker, me: &Owner) -> Vec<Leftover> {
    let found = match sandboxes(docker).await {
        Ok(found) => found,
        Err(why) => {
            return vec![Leftover {
                what: "what earlier sandboxes left".to_owned(),
                why,
            }];
        }
    };
    let (dead, living): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| me.sees_dead(&found.owner));
    let taken: BTreeSet<_> = living.into_iter().map(|found| found.registry).collect();
    let mut left = Vec::new();
    for found in dead {
        let registry = Some(found.registry.as_str()).filter(|registry| !taken.contains(*registry));
        left.extend(sweep(docker, &found.sandbox, registry).await);
    }
    left
}

/// A sandbox as its labels tell.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    sandbox: String,
    owner: String,
    registry: String,
}

async fn sandboxes(docker: &Docker) -> Result<BTreeSet<Found>, Error> {
    let read = |label: &dyn Fn(&str) -> Option<String>| {
        Some(Found {
            sandbox: label(SANDBOX)?,
            owner: label(OWNER)?,
            registry: label(REGISTRY)?,
        })
    };
    let filters = labelled(SANDBOX);
    let options = ListNetworksOptionsBuilder::default().filters(&filters).build();
    let networks = docker.list_networks(Some(options)).await?;
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&filters)
        .build();
    let containers = docker.list_containers(Some(options)).await?;
    let labels = networks
        .into_iter()
        .map(|network| network.labels)
        .chain(containers.into_iter().map(|container| container.labels));
    Ok(labels
        .flatten()
        .filter_map(|labels| read(&|key| labels.get(key).cloned()))
        .collect())
}

async fn round(docker: &Docker, sandbox: &str, registry: Option<&str>) -> Vec<Leftover> {
    let mut left = Vec::new();
    left.extend(remove_containers(docker, sandbox).await);
    left.extend(remove_volumes(docker, sandbox).await);
    left.extend(remove_images(docker, sandbox, registry).await);
    // While something needs its labels the network stays.
    if left.is_empty() {
        left.extend(remove_networks(docker, sandbox).await);
    }
    left
}

async fn remove_containers(docker: &Docker, sandbox: &str) -> Vec<Leftover> {
    let ids = match containers(docker, sandbox).await {
        Ok(ids) => ids,
        Err(why) => return vec![unlisted("containers", why)],
    };
    let removals = ids.iter().map(|id| async move {
        let options = RemoveContainerOptionsBuilder::default()
            .force(true)
            .v(true)
            .build();
        let removed = unless_gone(docker.remove_container(id, Some(options)).await);
        leftover("container", id, removed)
    });
    join_all(removals).await.into_iter().flatten().collect()
}

async fn containers(docker: &Docker, sandbox: &str) -> Result<Vec<String>, Error> {
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&labelled(&format!("{SANDBOX}={sandbox}")))
        .build();
    let listed = docker.list_containers(Some(options)).await?;
    Ok(listed.into_iter().filter_map(|container| container.id).collect())
}

async fn remove_volumes(docker: &Docker, sandbox: &str) -> Vec<Leftover> {
    let options = ListVolumesOptionsBuilder::default()
        .filters(&labelled(&format!("{SANDBOX}={sandbox}")))
        .build();
    let listed = match docker.list_volumes(Some(options)).await {
        Ok(listed) => listed.volumes.unwrap_or_default(),
        Err(why) => return vec![unlisted("volumes", why)],
    };
    let mut left = Vec::new();
    for volume in listed {
        let removed = docker
            .remove_volume(&volume.name, None::<RemoveVolumeOptions>)
            .await;
        left.extend(leftover("volume", &volume.name, unless_gone(removed)));
    }
    left
}

/// Removes the sandbox's own image, and every name in its registry's namespace; an image that has other names stays.
async fn remove_images(docker: &Docker, sandbox: &str, registry: Option<&str>) -> Vec<Leftover> {
    let listed = match docker
        .list_images(Some(ListImagesOptionsBuilder::default().build()))
        .await
    {
        Ok(listed) => listed,
        Err(why) => return vec![unlisted("images", why)],
    };
    let pause = format!("{PAUSE}:{sandbox}");
    let ours = |name: &String| {
        *name == pause
            || registry
                .and_then(|registry| name.strip_prefix(registry))
                .is_some_and(|rest| rest.starts_with('/') && !rest.contains("<none>"))
    };
    let names = listed.into_iter().flat_map(|image| {
        let mut names = image.repo_tags;
        names.extend(image.repo_digests);
        names
    });
    let mut left = Vec::new();
    for name in names.filter(ours) {
        let removed = docker.remove_image(&name, None::<RemoveImageOptions>, None).await;
        left.extend(leftover("image", &name, unless_gone(removed.map(drop))));
    }
    left
}

async fn remove_networks(docker: &Docker, sandbox: &str) -> Vec<Leftover> {
    let options = ListNetworksOptionsBuilder::default()
        .filters(&labelled(&format!("{SANDBOX}={sandbox}")))
        .build();
    let listed = match docker.list_networks(Some(options)).await {
        Ok(listed) => listed,
        Err(why) => return vec![unlisted("networks", why)],
    };
    let mut left = Vec::new();
    for network in listed {
        let (Some(id), Some(name)) = (network.id, network.name) else {
            continue;
        };
        left.extend(leftover(
            "network",
            &name,
            unless_gone(docker.remove_network(&id).await),
        ));
    }
    left
}

/// The Engine's filter for what has a label.
#[expect(clippy::disallowed_types, reason = "bollard takes its filters in this type")]
pub fn labelled(label: &str) -> std::collections::HashMap<String, Vec<String>> {
    [("label".to_owned(), vec![label.to_owned()])].into()
}

fn leftover(kind: &str, name: &str, removed: Result<(), Error>) -> Option<Leftover> {
    removed.err().map(|why| Leftover {
        what: format!("{kind} {name}"),
        why,
    })
}

fn unlisted(kind: &str, why: Error) -> Leftover {
    Leftover {
        what: format!("the sandbox's {kind}"),
        why,
    }
}

impl Engine {
    /// Removes everything of this sandbox.
    pub async fn sweep(&self) -> Vec<Leftover> {
        sweep(
            &self.docker,
            &self.config.sandbox,
            Some(&self.config.registry_host),
        )
        .await
    }

    /// Removes a volume; one that is gone is no error.
    pub async fn remove_volume(&self, name: &str) -> Result<(), Error> {
        unless_gone(self.docker.remove_volume(name, None::<RemoveVolumeOptions>).await)
    }
}
