//! Whether what runs is what was deployed, by digest: as the tasks' runtimes report it, or as ECS resolved the images
//! of our revision.

use super::{Doubt, Loss, Rollout, Verdict, WaitingOn};
use crate::ecs::observation::{Observation, Revision, Service, Task};
use crate::name::{ContainerName, Digest};

/// A container whose image was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The container.
    pub container: ContainerName,
    /// The digest that runs.
    pub digest: Digest,
    /// In how many tasks.
    pub tasks: usize,
}

/// What proves each of these containers in a look that the judge called healthy: what its tasks report, or where none of
/// them may be seen, what ECS resolved for the revision.
pub fn proofs<'a>(containers: impl IntoIterator<Item = &'a ContainerName>, seen: &Observation) -> Vec<Proof> {
    let proof = |container: &ContainerName| {
        let tasks = seen.tasks.iter().flatten().filter(|task| task.runs());
        let reported: Vec<&Digest> = tasks.flat_map(|task| digests(task, container)).collect();
        let resolved = seen
            .revision
            .iter()
            .flat_map(|revision| resolved(revision, container));
        let primary = seen.seen_service().and_then(Service::primary);
        Some(Proof {
            container: container.clone(),
            digest: reported.iter().copied().chain(resolved).next()?.clone(),
            tasks: match reported.len() {
                0 => primary.map_or(0, |primary| {
                    usize::try_from(primary.running).unwrap_or(usize::MAX)
                }),
                reported => reported,
            },
        })
    };
    containers.into_iter().filter_map(proof).collect()
}

impl Rollout {
    /// A running container with another digest than any that proves its image, or a revision with one.
    pub(super) fn wrong_digest(&self, tasks: &[&Task], seen: &Observation) -> Result<(), Verdict> {
        let revision = self.our_revision(seen);
        for (name, expected) in &self.policy.images {
            let reported = tasks.iter().flat_map(|task| digests(task, name));
            let resolved = revision.into_iter().flat_map(|revision| resolved(revision, name));
            for found in reported.chain(resolved) {
                if *found == expected.deployed || expected.platforms.contains(found) {
                    continue;
                }
                let (container, found) = (name.clone(), found.clone());
                return Err(Verdict::Lost(if expected.resolved {
                    Loss::WrongDigest {
                        container,
                        expected: expected.deployed.clone(),
                        found,
                    }
                } else {
                    Loss::CannotTell(Doubt::UnreadableIndex { container, found })
                }));
            }
        }
        Ok(())
    }

    /// Every running task reports every container's digest, or ECS resolved it for the revision; `wrong_digest` has
    /// compared them. Without tasks only the revision proves it.
    pub(super) fn digests(&self, tasks: Option<&[&Task]>, seen: &Observation) -> Result<(), Verdict> {
        let revision = self.our_revision(seen);
        for name in self.policy.images.keys() {
            let reported =
                tasks.is_some_and(|tasks| tasks.iter().all(|task| digests(task, name).next().is_some()));
            let resolved = revision.is_some_and(|revision| resolved(revision, name).next().is_some());
            if !reported && !resolved {
                return Err(Verdict::Wait(WaitingOn::Digest {
                    container: name.clone(),
                }));
            }
        }
        Ok(())
    }

    /// The look's service revision, if it has the number of our deployment.
    fn our_revision<'a>(&self, seen: &'a Observation) -> Option<&'a Revision> {
        let number = self.ours.deployment.rsplit('/').next();
        seen.revision
            .as_ref()
            .filter(|revision| revision.arn.rsplit('/').next() == number)
    }
}

fn digests<'a>(task: &'a Task, name: &'a ContainerName) -> impl Iterator<Item = &'a Digest> {
    let of_name = task
        .containers
        .iter()
        .filter(move |container| container.name == name.as_str());
    of_name.filter_map(|container| container.digest.as_ref())
}

fn resolved<'a>(revision: &'a Revision, name: &'a ContainerName) -> impl Iterator<Item = &'a Digest> {
    let of_name = revision
        .images
        .iter()
        .filter(move |image| image.container == name.as_str());
    of_name.filter_map(|image| image.digest.as_ref())
}
