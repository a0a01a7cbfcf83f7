//! What a task definition says that may be shown: sizes, platform, ports, checks, logs and where secrets come from.
//!
//! Never a value: of the environment only the values that must be hidden are taken, as secrets.

use super::{TaskDefinition, name_of};
use crate::secret::Secret;
use crate::secret::redact::environment_values;
use serde_json::Value;

/// A task definition without its values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shape {
    /// The task's CPU units, as written.
    pub cpu: Option<String>,
    /// The task's memory in MiB, as written.
    pub memory: Option<String>,
    /// `LINUX/ARM64`, as far as `runtimePlatform` says; ECS takes `LINUX/X86_64` where it says nothing.
    pub platform: Option<String>,
    /// The role that pulls images, reads secrets and writes logs.
    pub execution_role: Option<String>,
    /// The containers, in the document's order.
    pub containers: Vec<ContainerShape>,
}

/// A container of a [`Shape`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerShape {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: Option<String>,
    /// Whether the task ends with it.
    pub essential: bool,
    /// Its hard limit of memory in MiB.
    pub memory: Option<u64>,
    /// The ports that it listens on, as far as they are told.
    pub ports: Vec<u16>,
    /// Its own health check.
    pub check: Option<CheckShape>,
    /// Where its output goes.
    pub logs: LogRoute,
    /// Its secrets: the variable's name and where the value comes from (an ARN or a parameter's name).
    pub secrets: Vec<(String, String)>,
}

/// A container's own health check, without its arguments, which may be secret.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckShape {
    /// The program that it starts.
    pub program: Option<String>,
    /// Seconds in which failures do not count.
    pub start_period: u64,
    /// Seconds between two checks.
    pub interval: u64,
    /// Failures in a row that make the container unhealthy.
    pub retries: u64,
}

/// Where the output of a container goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LogRoute {
    /// There is no `logConfiguration`.
    #[default]
    Nowhere,
    /// To CloudWatch Logs.
    CloudWatch {
        /// The log group.
        group: String,
        /// What the stream's name begins with; without it, the stream is named after the container's runtime id.
        prefix: Option<String>,
        /// The region of the log group; the task's own if it says none.
        region: Option<String>,
    },
    /// To what another driver writes to: `splunk`, `awsfirelens`.
    Driver(String),
}

impl Shape {
    /// The container with this name.
    #[must_use]
    pub fn container(&self, name: &str) -> Option<&ContainerShape> {
        self.containers.iter().find(|container| container.name == name)
    }
}

impl TaskDefinition {
    /// What of it may be shown.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let platform = self.0.get("runtimePlatform").and_then(|platform| {
            let system = text(platform, "operatingSystemFamily").unwrap_or_else(|| "LINUX".to_owned());
            Some(format!("{system}/{}", text(platform, "cpuArchitecture")?))
        });
        let whole = |key: &str| self.0.get(key).and_then(number_or_text);
        Shape {
            cpu: whole("cpu"),
            memory: whole("memory"),
            platform,
            execution_role: whole("executionRoleArn"),
            containers: self.definitions().filter_map(|one| self.container(one)).collect(),
        }
    }

    /// The values of environment variables that no text may show, for whoever shows texts of tasks; the longest first.
    #[must_use]
    pub fn secret_values(&self) -> Vec<Secret<String>> {
        let variables: Vec<(String, String)> = self
            .definitions()
            .flat_map(|definition| list(definition, "environment"))
            .filter_map(|variable| Some((name_of(variable)?.to_owned(), text(variable, "value")?)))
            .collect();
        environment_values(
            variables
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        )
    }

    fn container(&self, definition: &Value) -> Option<ContainerShape> {
        let name = name_of(definition)?;
        let ports = list(definition, "portMappings").filter_map(|mapping| {
            let port = mapping.get("containerPort")?.as_u64()?;
            u16::try_from(port).ok()
        });
        let secrets = list(definition, "secrets")
            .filter_map(|secret| Some((name_of(secret)?.to_owned(), text(secret, "valueFrom")?)));
        Some(ContainerShape {
            name: name.to_owned(),
            image: text(definition, "image"),
            essential: self.is_essential(name),
            memory: definition.get("memory").and_then(Value::as_u64),
            ports: ports.collect(),
            check: self.has_health_check(name).then(|| check(definition)),
            logs: log_route(definition),
            secrets: secrets.collect(),
        })
    }
}

/// RegisterTaskDefinition: an interval of 30 seconds, 3 retries and no start period unless told otherwise.
fn check(definition: &Value) -> CheckShape {
    let check = &definition["healthCheck"];
    let number = |key: &str, usual: u64| check.get(key).and_then(Value::as_u64).unwrap_or(usual);
    let command: Vec<&str> = list(check, "command").filter_map(Value::as_str).collect();
    let program = match command.as_slice() {
        ["CMD-SHELL", line, ..] => line.split_whitespace().next(),
        ["CMD", program, ..] => Some(*program),
        _ => None,
    };
    // A shell's line may begin with an assignment, whose value is nobody's business.
    let program = program.filter(|program| !program.contains('='));
    CheckShape {
        program: program.map(str::to_owned),
        start_period: number("startPeriod", 0),
        interval: number("interval", 30),
        retries: number("retries", 3),
    }
}

fn log_route(definition: &Value) -> LogRoute {
    let Some(logs) = definition.get("logConfiguration") else {
        return LogRoute::Nowhere;
    };
    let Some(driver) = text(logs, "logDriver") else {
        return LogRoute::Nowhere;
    };
    let option = |key: &str| logs.get("options").and_then(|options| text(options, key));
    match option("awslogs-group") {
        Some(group) if driver == "awslogs" => LogRoute::CloudWatch {
            group,
            prefix: option("awslogs-stream-prefix"),
            region: option("awslogs-region"),
        },
        _ => LogRoute::Driver(driver),
    }
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

fn number_or_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::{CheckShape, LogRoute};
    use crate::ecs::task_definition::TaskDefinition;
    use serde_json::{Value, json};

    fn definition(container: Value) -> TaskDefinition {
        let mut document = json!({
            "family": "web", "cpu": "256", "memory": 512, "executionRoleArn": "arn:aws:iam::0:role/pull",
            "runtimePlatform": { "cpuArchitecture": "ARM64" },
        });
        document["containerDefinitions"] = Value::Array(vec![container]);
        TaskDefinition::parse(document.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_shape_has_everything_to_compare_and_no_value() {
        let definition = definition(json!({
            "name": "web", "image": "shop/web:1", "memory": 256,
            "portMappings": [{ "containerPort": 8080 }],
            "healthCheck": { "command": ["CMD-SHELL", "curl -H 'X-Key: canary-argument' localhost"], "retries": 2 },
            "environment": [{ "name": "API_TOKEN", "value": "canary-token" }, { "name": "MODE", "value": "canary-mode" }],
            "secrets": [{ "name": "DB", "valueFrom": "arn:aws:secretsmanager:r:0:secret:db" }],
        }));
        let shape = definition.shape();
        assert_eq!(
            (
                shape.cpu.as_deref(),
                shape.memory.as_deref(),
                shape.platform.as_deref()
            ),
            (Some("256"), Some("512"), Some("LINUX/ARM64"))
        );
        let web = shape.container("web").unwrap();
        assert_eq!(
            (web.memory, web.ports.as_slice(), web.essential),
            (Some(256), &[8080][..], true)
        );
        assert_eq!(
            web.check,
            Some(CheckShape {
                program: Some("curl".to_owned()),
                start_period: 0,
                interval: 30,
                retries: 2
            })
        );
        assert_eq!(
            web.secrets,
            [("DB".to_owned(), "arn:aws:secretsmanager:r:0:secret:db".to_owned())]
        );
        assert!(!format!("{shape:?}").contains("canary"), "{shape:?}");
        let hidden = definition.secret_values();
        assert_eq!(hidden.len(), 1, "a mode is no secret");
        assert_eq!(hidden[0].expose(), "canary-token");
    }

    #[test]
    fn a_check_that_begins_with_an_assignment_has_no_program() {
        let shape = definition(json!({
            "name": "web", "healthCheck": { "command": ["CMD-SHELL", "KEY=canary curl localhost"] },
        }))
        .shape();
        assert_eq!(shape.containers[0].check.as_ref().unwrap().program, None);
    }

    #[test]
    fn every_way_of_logs_is_told_apart() {
        let route = |logs: Value| {
            let mut container = json!({ "name": "web" });
            if !logs.is_null() {
                container["logConfiguration"] = logs;
            }
            definition(container).shape().containers[0].logs.clone()
        };
        assert_eq!(route(Value::Null), LogRoute::Nowhere);
        assert_eq!(
            route(json!({ "logDriver": "awsfirelens", "options": { "Name": "canary" } })),
            LogRoute::Driver("awsfirelens".to_owned())
        );
        let options = json!({
            "awslogs-group": "/g", "awslogs-stream-prefix": "p", "awslogs-region": "us-east-1",
        });
        assert_eq!(
            route(json!({ "logDriver": "awslogs", "options": options })),
            LogRoute::CloudWatch {
                group: "/g".to_owned(),
                prefix: Some("p".to_owned()),
                region: Some("us-east-1".to_owned()),
            }
        );
        assert_eq!(
            route(json!({ "logDriver": "awslogs" })),
            LogRoute::Driver("awslogs".to_owned()),
            "without a group there is nothing to ask"
        );
    }
}
