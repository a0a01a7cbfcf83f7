//! A container definition of ECS as the Engine's settings.

use super::words;
use crate::sandbox::world::orders::{ContainerSpec, TaskSpec};
use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountType, ResourcesUlimits,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// `stopTimeout` when the definition has none (ContainerDefinition).
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// `startTimeout` when the definition has none: the agent's `ECS_CONTAINER_START_TIMEOUT`.
const START_TIMEOUT: Duration = Duration::from_secs(180);
/// The smallest CPU share that Linux has; a definition with less gets it.
const FEWEST_SHARES: i64 = 2;
/// A byte count of a mebibyte, the unit of `memory`.
const MEBIBYTE: i64 = 1024 * 1024;

/// Where a container of a task lives.
#[derive(Debug, Clone)]
pub struct Place {
    /// The Engine's id of the container that holds the task's network.
    pub network_of: String,
    /// The Engine's volume of each volume of the task definition.
    pub volumes: BTreeMap<String, String>,
    /// The labels of the container.
    pub labels: BTreeMap<String, String>,
}

/// The volumes of a task, which the Engine must make: those without a host path.
///
/// # Errors
/// The agent's words for a kind of volume that the sandbox does not have.
pub fn volumes(task_definition: &Value) -> Result<Vec<&str>, String> {
    items(&task_definition["volumes"])
        .iter()
        .map(|volume| {
            let name = volume["name"].as_str().unwrap_or_default();
            let kinds = [
                "efsVolumeConfiguration",
                "fsxWindowsFileServerVolumeConfiguration",
                "dockerVolumeConfiguration",
                "configuredAtLaunch",
            ];
            if let Some(kind) = kinds.iter().find(|kind| is_set(&volume[**kind])) {
                return Err(words::not_in_the_sandbox(&format!("`{kind}` of volume {name}")));
            }
            if is_set(&volume["host"]["sourcePath"]) {
                return Err(words::not_in_the_sandbox(&format!(
                    "the host path of volume {name}"
                )));
            }
            Ok(name)
        })
        .collect()
}

/// Why a container cannot run here, whatever the Engine says: what it needs and the sandbox does not have.
pub fn refusal(definition: &Value) -> Option<String> {
    if let Some(secret) = items(&definition["secrets"]).first() {
        let text = |key: &str| secret[key].as_str().unwrap_or_default();
        return Some(words::no_secret(text("name"), text("valueFrom")));
    }
    [
        ("environmentFiles", "environment files"),
        ("volumesFrom", "`volumesFrom`"),
    ]
    .iter()
    .find(|(key, _)| !items(&definition[*key]).is_empty())
    .map(|(_, what)| words::not_in_the_sandbox(what))
}

/// How long a container may take to end after SIGTERM.
pub fn stop_timeout(definition: &Value) -> Duration {
    seconds(&definition["stopTimeout"]).unwrap_or(STOP_TIMEOUT)
}

/// How long others wait for a container to reach what they depend on.
pub fn start_timeout(definition: &Value) -> Duration {
    seconds(&definition["startTimeout"]).unwrap_or(START_TIMEOUT)
}

/// What the Engine is asked to create.
pub fn container(spec: &TaskSpec, container: &ContainerSpec, place: &Place) -> ContainerCreateBody {
    let definition = &container.definition;
    let changed = overrides(spec, &container.name);
    let command = texts(&changed["command"]).or_else(|| texts(&definition["command"]));
    ContainerCreateBody {
        image: Some(container.pull.clone()),
        cmd: command,
        entrypoint: texts(&definition["entryPoint"]),
        env: Some(environment(definition, &changed)),
        user: text(&definition["user"]),
        working_dir: text(&definition["workingDirectory"]),
        tty: definition["pseudoTerminal"].as_bool(),
        open_stdin: definition["interactive"].as_bool(),
        healthcheck: Some(health_check(&definition["healthCheck"])),
        stop_timeout: i64::try_from(stop_timeout(definition).as_secs()).ok(),
        labels: Some(place.labels.clone().into_iter().collect()),
        host_config: Some(host_config(spec, definition, &changed, place)),
        ..ContainerCreateBody::default()
    }
}

fn host_config(spec: &TaskSpec, definition: &Value, changed: &Value, place: &Place) -> HostConfig {
    let setting = |name: &str| number(&changed[name]).or_else(|| number(&definition[name]));
    let memory = setting("memory").or_else(|| number(&spec.task_definition["memory"]));
    let memory = memory.map(|mebibytes| mebibytes.saturating_mul(MEBIBYTE));
    let linux = &definition["linuxParameters"];
    HostConfig {
        network_mode: Some(format!("container:{}", place.network_of)),
        memory,
        // As much as `memory`: without swap a task that needs more is killed, as on Fargate.
        memory_swap: memory,
        memory_reservation: setting("memoryReservation").map(|mebibytes| mebibytes.saturating_mul(MEBIBYTE)),
        cpu_shares: setting("cpu").map(|units| units.max(FEWEST_SHARES)),
        init: linux["initProcessEnabled"].as_bool(),
        cap_add: texts(&linux["capabilities"]["add"]),
        cap_drop: texts(&linux["capabilities"]["drop"]),
        shm_size: number(&linux["sharedMemorySize"]).map(|mebibytes| mebibytes.saturating_mul(MEBIBYTE)),
        tmpfs: Some(items(&linux["tmpfs"]).iter().filter_map(tmpfs).collect()),
        readonly_rootfs: definition["readonlyRootFilesystem"].as_bool(),
        privileged: definition["privileged"].as_bool(),
        ulimits: Some(items(&definition["ulimits"]).iter().map(ulimit).collect()),
        mounts: Some(mounts(definition, place)),
        // The Engine's own default may be one that cannot be read back.
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: None,
        }),
        ..HostConfig::default()
    }
}

fn mounts(definition: &Value, place: &Place) -> Vec<Mount> {
    let mount = |point: &Value| {
        let volume = place.volumes.get(point["sourceVolume"].as_str()?)?;
        Some(Mount {
            typ: Some(MountType::VOLUME),
            source: Some(volume.clone()),
            target: text(&point["containerPath"]),
            read_only: point["readOnly"].as_bool(),
            ..Mount::default()
        })
    };
    items(&definition["mountPoints"])
        .iter()
        .filter_map(mount)
        .collect()
}

/// A `tmpfs` mount: its path and its options, `size` in mebibytes among them.
fn tmpfs(mount: &Value) -> Option<(String, String)> {
    let size = number(&mount["size"]).map(|mebibytes| format!("size={mebibytes}m"));
    let options = texts(&mount["mountOptions"]).unwrap_or_default();
    let options: Vec<String> = size.into_iter().chain(options).collect();
    Some((text(&mount["containerPath"])?, options.join(",")))
}

fn ulimit(limit: &Value) -> ResourcesUlimits {
    ResourcesUlimits {
        name: text(&limit["name"]),
        soft: number(&limit["softLimit"]),
        hard: number(&limit["hardLimit"]),
    }
}

/// The check of the task definition, with the defaults of HealthCheck; the image's own is never run.
fn health_check(check: &Value) -> HealthConfig {
    let Some(test) = texts(&check["command"]) else {
        return HealthConfig {
            test: Some(vec!["NONE".to_owned()]),
            ..HealthConfig::default()
        };
    };
    let nanoseconds = |name: &str, default: i64| {
        let seconds = number(&check[name]).unwrap_or(default);
        Some(seconds.saturating_mul(1_000_000_000))
    };
    HealthConfig {
        test: Some(test),
        interval: nanoseconds("interval", 30),
        timeout: nanoseconds("timeout", 5),
        retries: Some(number(&check["retries"]).unwrap_or(3)),
        start_period: nanoseconds("startPeriod", 0),
        start_interval: None,
    }
}

/// The definition's variables and those of the overrides, which win.
fn environment(definition: &Value, changed: &Value) -> Vec<String> {
    let pairs = |from: &Value| -> Vec<(String, String)> {
        let entries = items(&from["environment"]).iter();
        entries
            // A variable may well be set to nothing.
            .filter_map(|entry| Some((text(&entry["name"])?, entry["value"].as_str()?.to_owned())))
            .collect()
    };
    let mut variables: BTreeMap<String, String> = pairs(definition).into_iter().collect();
    variables.extend(pairs(changed));
    variables
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

/// The overrides of one container (ContainerOverride).
fn overrides(spec: &TaskSpec, container: &str) -> Value {
    let overrides = spec.overrides.as_ref().unwrap_or(&Value::Null);
    items(&overrides["containerOverrides"])
        .iter()
        .find(|entry| entry["name"] == container)
        .cloned()
        .unwrap_or_default()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn is_set(value: &Value) -> bool {
    !value.is_null() && value != &Value::Bool(false)
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn texts(value: &Value) -> Option<Vec<String>> {
    let texts: Vec<String> = items(value)
        .iter()
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect();
    (!texts.is_empty()).then_some(texts)
}

/// A number, or a number in a text as tasks' `memory` is.
fn number(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_str()?.parse().ok())
        .filter(|number| *number > 0)
}

fn seconds(value: &Value) -> Option<Duration> {
    u64::try_from(number(value)?).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::{Place, container, refusal, start_timeout, stop_timeout, volumes};
    use crate::sandbox::world::orders::{ContainerSpec, TaskSpec};
    use serde_json::{Value, json};
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn created(task: Value, definition: Value, overrides: Option<Value>) -> Value {
        let spec = TaskSpec {
            task: "0123".to_owned(),
            group: "service:web".to_owned(),
            revision: "web:1".to_owned(),
            task_definition: task,
            overrides,
            containers: vec![ContainerSpec {
                name: "web".to_owned(),
                image: "web:1".to_owned(),
                pull: "web@sha256:1".to_owned(),
                definition,
            }],
        };
        let place = Place {
            network_of: "pause-id".to_owned(),
            volumes: BTreeMap::from([("data".to_owned(), "slipway-data".to_owned())]),
            labels: BTreeMap::new(),
        };
        serde_json::to_value(container(&spec, &spec.containers[0], &place)).unwrap()
    }

    #[test]
    fn a_definition_becomes_the_settings_of_the_engine() {
        let definition = json!({
            "name": "web", "image": "web:1",
            "entryPoint": ["/web"], "command": ["--port", "8080"],
            "environment": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}, {"name": "C", "value": ""}],
            "user": "1000:1000", "workingDirectory": "/srv", "readonlyRootFilesystem": true,
            "cpu": 1, "memory": 64, "memoryReservation": 32, "stopTimeout": 5,
            "ulimits": [{"name": "nofile", "softLimit": 10, "hardLimit": 20}],
            "linuxParameters": {
                "initProcessEnabled": true, "capabilities": {"drop": ["ALL"]},
                "tmpfs": [{"containerPath": "/tmp", "size": 8, "mountOptions": ["noexec"]}]
            },
            "mountPoints": [{"sourceVolume": "data", "containerPath": "/data", "readOnly": true}],
            "healthCheck": {"command": ["CMD", "/web", "check"], "interval": 5, "startPeriod": 10}
        });
        let seen = created(json!({"memory": "512"}), definition, None);
        for (path, value) in [
            ("/Image", json!("web@sha256:1")),
            ("/Entrypoint", json!(["/web"])),
            ("/Cmd", json!(["--port", "8080"])),
            ("/Env", json!(["A=1", "B=2", "C="])),
            ("/User", json!("1000:1000")),
            ("/WorkingDir", json!("/srv")),
            ("/StopTimeout", json!(5)),
            ("/Healthcheck/Test", json!(["CMD", "/web", "check"])),
            ("/Healthcheck/Interval", json!(5_000_000_000_i64)),
            ("/Healthcheck/Timeout", json!(5_000_000_000_i64)),
            ("/Healthcheck/Retries", json!(3)),
            ("/Healthcheck/StartPeriod", json!(10_000_000_000_i64)),
            ("/HostConfig/NetworkMode", json!("container:pause-id")),
            ("/HostConfig/Memory", json!(67_108_864)),
            ("/HostConfig/MemorySwap", json!(67_108_864)),
            ("/HostConfig/MemoryReservation", json!(33_554_432)),
            ("/HostConfig/CpuShares", json!(2)),
            ("/HostConfig/Init", json!(true)),
            ("/HostConfig/CapDrop", json!(["ALL"])),
            ("/HostConfig/Tmpfs", json!({"/tmp": "size=8m,noexec"})),
            ("/HostConfig/ReadonlyRootfs", json!(true)),
            (
                "/HostConfig/Ulimits/0",
                json!({"Name": "nofile", "Soft": 10, "Hard": 20}),
            ),
            ("/HostConfig/Mounts/0/Source", json!("slipway-data")),
            ("/HostConfig/Mounts/0/Target", json!("/data")),
            ("/HostConfig/Mounts/0/ReadOnly", json!(true)),
        ] {
            assert_eq!(seen.pointer(path), Some(&value), "{path} of {seen}");
        }
    }

    #[test]
    fn a_check_of_the_image_is_switched_off_and_a_task_limits_its_containers() {
        let seen = created(json!({"memory": "512"}), json!({"name": "web"}), None);
        assert_eq!(seen["Healthcheck"]["Test"], json!(["NONE"]));
        assert_eq!(seen["HostConfig"]["Memory"], json!(536_870_912));
        assert_eq!(seen["Cmd"], Value::Null, "the image's own command runs");
    }

    #[test]
    fn overrides_win() {
        let overrides = json!({"containerOverrides": [
            {"name": "other", "command": ["no"]},
            {"name": "web", "command": ["once"], "environment": [{"name": "A", "value": "9"}], "memory": 8}
        ]});
        let definition = json!({
            "command": ["serve"], "memory": 64,
            "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
        });
        let seen = created(json!({}), definition, Some(overrides));
        assert_eq!(seen["Cmd"], json!(["once"]));
        assert_eq!(seen["Env"], json!(["A=9", "B=2"]));
        assert_eq!(seen["HostConfig"]["Memory"], json!(8_388_608));
    }

    #[test]
    fn what_the_sandbox_does_not_have_is_refused_in_the_agents_words() {
        assert_eq!(refusal(&json!({"name": "web"})), None);
        let secret = json!({"secrets": [{"name": "DB", "valueFrom": "/db"}]});
        assert!(
            refusal(&secret)
                .unwrap()
                .starts_with("ResourceInitializationError: unable to pull secrets")
        );
        let files = json!({"environmentFiles": [{"type": "s3", "value": "arn"}]});
        assert_eq!(
            refusal(&files).unwrap(),
            "ResourceInitializationError: the sandbox does not have environment files"
        );
        assert_eq!(
            volumes(&json!({"volumes": [{"name": "a"}, {"name": "b", "host": {}}]})),
            Ok(vec!["a", "b"])
        );
        assert_eq!(
            volumes(&json!({"volumes": [{"name": "a", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}]})),
            Err(
                "ResourceInitializationError: the sandbox does not have `efsVolumeConfiguration` of volume a"
                    .to_owned()
            )
        );
    }

    #[test]
    fn time_limits_have_the_defaults_of_the_agent() {
        let set = json!({"stopTimeout": 2, "startTimeout": 7});
        assert_eq!(
            (stop_timeout(&set), start_timeout(&set)),
            (Duration::from_secs(2), Duration::from_secs(7))
        );
        assert_eq!(
            (stop_timeout(&json!({})), start_timeout(&json!({}))),
            (Duration::from_secs(30), Duration::from_secs(180))
        );
    }
}
