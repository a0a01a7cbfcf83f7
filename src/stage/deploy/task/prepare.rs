//! What can be found wrong with a one-off task before anything is changed.

use super::earlier::{self, Earlier};
use crate::config::settings::TaskSettings;
use crate::ecs::mark::{KEYS, Mark};
use crate::ecs::oneoff::{LONGEST_OVERRIDES, Overrides, Policy, started_by};
use crate::ecs::task_definition::TaskDefinition;
use crate::failure::{Failure, Kind};
use crate::name::{ContainerName, TaskName};
use crate::report::event::Event;
use crate::stage::Tools;
use crate::stage::deploy::DeployPlan;
use crate::stage::deploy::definitions::Images;
use crate::stage::deploy::prepare::{Prepared, UNCHANGED, read_file};

/// The tasks of a deploy.
#[derive(Debug, Default)]
pub(in crate::stage::deploy) struct Tasks {
    /// Those that are to run, in their order.
    pub(in crate::stage::deploy) due: Vec<PreparedTask>,
    /// The images that tasks with a task definition of their own take, whether they run or not.
    pub(in crate::stage::deploy) images: Vec<Images>,
}

/// A task that can be run.
#[derive(Debug)]
pub(in crate::stage::deploy) struct PreparedTask {
    pub(in crate::stage::deploy) name: TaskName,
    /// The place of its service among the prepared ones.
    pub(super) service: usize,
    /// What to register for it alone; none if it runs the service's revision.
    pub(in crate::stage::deploy) own: Option<TaskDefinition>,
    pub(in crate::stage::deploy) overrides: Overrides,
    pub(super) policy: Policy,
    pub(super) started_by: String,
    /// What an earlier attempt of the same execution did of it.
    pub(super) earlier: Earlier,
}

impl PreparedTask {
    /// The task definition that it runs.
    pub(super) fn definition<'a>(&'a self, prepared: &'a Prepared) -> &'a TaskDefinition {
        self.own.as_ref().unwrap_or(&prepared.wanted)
    }
}

/// Prepares every task whose service is about to change, or says what is wrong with the first.
pub(in crate::stage::deploy) async fn all(
    tools: &Tools,
    plan: &DeployPlan,
    mark: Option<&Mark>,
    images: &Images,
    prepared: &[Prepared],
) -> Result<Tasks, Failure> {
    let mut tasks = Tasks::default();
    // All tasks did their work before the first service was updated.
    let updated = prepared.iter().find(|one| one.adopted.is_some());
    for settings in &plan.tasks {
        let Some(at) = prepared.iter().position(|one| one.name == settings.service) else {
            return Err(wrong(
                settings,
                format!("service `{}` is not deployed", settings.service),
            ));
        };
        let service = &prepared[at];
        let differs = plan.deploy.force || !service.is_unchanged() || service.adopted.is_some();
        let undue = match updated {
            _ if !differs => Some(format!("nothing differs in service `{}`", service.name)),
            Some(updated) => Some(format!(
                "an earlier attempt did, before it updated service `{}`",
                updated.name
            )),
            None => None,
        };
        let task = Task {
            settings,
            service,
            at,
            undue,
        };
        if let Some(task) = task.prepare(tools, mark, images, &mut tasks.images).await? {
            tasks.due.push(task);
        }
    }
    Ok(tasks)
}

/// A task that is to be prepared.
struct Task<'a> {
    settings: &'a TaskSettings,
    service: &'a Prepared,
    /// The place of its service.
    at: usize,
    /// Why it is not run, if it is not.
    undue: Option<String>,
}

impl Task<'_> {
    async fn prepare(
        &self,
        tools: &Tools,
        mark: Option<&Mark>,
        images: &Images,
        taken: &mut Vec<Images>,
    ) -> Result<Option<PreparedTask>, Failure> {
        let (settings, service) = (self.settings, self.service);
        let (own, images) = own_definition(settings, images).await?;
        let definition = own.as_ref().unwrap_or(&service.wanted);
        let container = container(settings, definition)?;
        for name in settings.env.keys() {
            if !definition.has(name) {
                let known = listed(definition.containers());
                return Err(wrong(
                    settings,
                    format!(
                        "`env` names container `{name}`, which its task definition does not have, only {known}"
                    ),
                ));
            }
        }
        let overrides = Overrides::new(
            &container,
            &settings.command,
            &settings.env,
            settings.cpu,
            settings.memory,
        );
        let length = overrides.length();
        if length > LONGEST_OVERRIDES {
            let what = format!(
                "its command and environment have {length} characters, ECS takes {LONGEST_OVERRIDES}"
            );
            return Err(
                wrong(settings, what).hint("put what is long into the image, or into the task definition")
            );
        }
        let expected = match (&own, images.get(&container)) {
            (None, _) => service.expected.get(&container).cloned(),
            (Some(_), Some(image)) => service.ecs.expected(image).await,
            (Some(_), None) => None,
        };
        let essential = essential(definition)
            .filter(|name| *name != container.as_str())
            .filter_map(|name| name.parse().ok())
            .collect();
        taken.push(images);
        if let Some(why) = &self.undue {
            tools.tell.tell(Event::Note(format!(
                "task `{}`: not run, since {why}",
                settings.name
            )));
            return Ok(None);
        }
        let started_by = started_by(&service.name, &settings.name);
        let policy = Policy {
            container,
            essential,
            expected,
            timeout: settings.timeout,
        };
        let earlier = match mark {
            Some(mark) => {
                let definition = own.as_ref().unwrap_or(&service.wanted);
                earlier::of(settings, service, definition, &policy, &started_by, mark).await?
            }
            None => {
                none_runs(settings, service, &started_by).await?;
                Earlier::Nothing
            }
        };
        Ok(Some(PreparedTask {
            name: settings.name.clone(),
            service: self.at,
            own,
            overrides,
            policy,
            started_by,
            earlier,
        }))
    }
}

/// The task's own task definition with the images that it has containers for, and those images.
async fn own_definition(
    settings: &TaskSettings,
    images: &Images,
) -> Result<(Option<TaskDefinition>, Images), Failure> {
    let Some(path) = &settings.task_definition else {
        return Ok((None, Images::new()));
    };
    let definition = read_file(path)
        .await
        .map(|definition| definition.without_tags(&KEYS))
        .map_err(|failure| failure.left(UNCHANGED).place(named(settings)))?;
    let chosen: Images = images
        .iter()
        .filter(|(name, _)| definition.has(name))
        .map(|(name, image)| (name.clone(), image.clone()))
        .collect();
    if chosen.is_empty() {
        // An image of its own, which nobody builds here.
        return Ok((Some(definition), chosen));
    }
    let definition = definition.with_images(&chosen).map_err(|error| {
        Failure::new(
            Kind::Input,
            format!("the task definition of task `{}` does not fit", settings.name),
        )
        .because(error)
        .left(UNCHANGED)
    })?;
    Ok((Some(definition), chosen))
}

/// The container that does the work: the one that is written, or the only essential one. The task ends with it.
fn container(settings: &TaskSettings, definition: &TaskDefinition) -> Result<ContainerName, Failure> {
    let Some(name) = &settings.container else {
        let essential: Vec<&str> = essential(definition).collect();
        return match essential.as_slice() {
            [only] => only
                .parse()
                .map_err(|error| wrong(settings, "its container cannot be named".to_owned()).because(error)),
            _ => Err(wrong(
                settings,
                format!(
                    "which container does its work? {} are essential",
                    listed(essential.into_iter())
                ),
            )
            .hint("write its name in `container`")),
        };
    };
    if !definition.has(name) {
        let known = listed(definition.containers());
        return Err(wrong(
            settings,
            format!("its task definition has no container `{name}`, only {known}"),
        ));
    }
    if !definition.is_essential(name.as_str()) {
        return Err(wrong(
            settings,
            format!("container `{name}` is not essential: the task would go on when its work is done"),
        )
        .hint("give the task a `task-definition` of its own, in which the container is essential"));
    }
    Ok(name.clone())
}

fn essential(definition: &TaskDefinition) -> impl Iterator<Item = &str> {
    definition
        .containers()
        .filter(|name| definition.is_essential(name))
}

/// Two migrations at a time may do harm: a task of an earlier run, which nobody watches any more, is waited for.
async fn none_runs(settings: &TaskSettings, service: &Prepared, started_by: &str) -> Result<(), Failure> {
    let running = service.ecs.running_of(started_by).await.map_err(|error| {
        error
            .into_failure(format!(
                "whether task `{}` of an earlier run still runs cannot be seen",
                settings.name
            ))
            .left(UNCHANGED)
            .place(place(service))
    })?;
    match running {
        Some(id) => Err(wrong_again(settings, service, started_by, &id)),
        None => Ok(()),
    }
}

/// A task of another run that is still at work.
pub(super) fn wrong_again(
    settings: &TaskSettings,
    service: &Prepared,
    started_by: &str,
    id: &str,
) -> Failure {
    let (name, cluster) = (&settings.name, &service.cluster);
    Failure::new(Kind::Gate, format!("task `{name}` of an earlier run still runs"))
        .cause(format!(
            "task {id} was started as `{started_by}` and has not ended"
        ))
        .place(place(service))
        .left(UNCHANGED)
        .hint(format!(
            "wait until it has ended, or stop it: `aws ecs stop-task --cluster {cluster} --task {id}`"
        ))
}

pub(super) fn place(service: &Prepared) -> String {
    format!("service `{}` in cluster `{}`", service.name, service.cluster)
}

fn named(settings: &TaskSettings) -> String {
    format!("task `{}`", settings.name)
}

/// Something that is written and does not fit.
fn wrong(settings: &TaskSettings, cause: String) -> Failure {
    Failure::new(Kind::Usage, format!("task `{}` cannot be run", settings.name))
        .cause(cause)
        .place(format!("`[task.{}]` of slipway.toml", settings.name))
        .left(UNCHANGED)
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}
