//! The awslogs driver: where containers write, and tasks that cannot start for want of a log group.

use super::Ecs;
use super::request::{list, text};
use super::task::Doom;
use crate::sandbox::world::logs::Logs;

impl Ecs {
    /// Dooms tasks whose awslogs group does not exist.
    pub(super) fn check_log_groups(&mut self, logs: &Logs) {
        for task in self.tasks.values_mut().filter(|task| !task.logs_checked) {
            task.logs_checked = true;
            let lacks_group = list(&task.definition, "containerDefinitions")
                .iter()
                .any(|container| {
                    let configuration = &container["logConfiguration"];
                    let options = &configuration["options"];
                    configuration["logDriver"] == "awslogs"
                        && options["awslogs-create-group"] != "true"
                        && text(options, "awslogs-group").is_some_and(|group| !logs.has_group(group))
                });
            if lacks_group && task.doom.is_none() {
                task.doom = Some(Doom::Resources(NO_LOG_GROUP.to_owned()));
            }
        }
    }

    /// The log group and stream of a container with the awslogs driver.
    #[must_use]
    pub fn log_destination(&self, task: &str, container: &str) -> Option<(String, String)> {
        let task = self.tasks.get(task)?;
        let definition = list(&task.definition, "containerDefinitions")
            .iter()
            .find(|definition| definition["name"] == container)?;
        let configuration = &definition["logConfiguration"];
        if configuration["logDriver"] != "awslogs" {
            return None;
        }
        let group = text(&configuration["options"], "awslogs-group")?.to_owned();
        let stream = match text(&configuration["options"], "awslogs-stream-prefix") {
            Some(prefix) => format!("{prefix}/{container}/{}", task.id),
            None => {
                let of_it = task.containers.iter().find(|one| one.name == container)?;
                of_it.runtime_id.clone().unwrap_or_else(|| task.id.clone())
            }
        };
        Some((group, stream))
    }
}

/// What Fargate says of a task whose log group does not exist.
const NO_LOG_GROUP: &str = "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 \
                            times: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log \
                            group does not exist. : exit status 1";
