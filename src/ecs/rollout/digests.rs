//! Whether what runs is what was deployed, by digest: as the tasks' runtimes report it, or as ECS resolved the images
//! of our revision.

use super::{Doubt, Loss, Rollout, Verdict, WaitingOn};
use crate::ecs::observation::{Observation, Revision, Task};
use crate::name::{ContainerName, Digest};

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
