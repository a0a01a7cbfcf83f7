//! How DescribeTasks shows a task.

use super::ids::Place;
use super::request::{set, stamp};
use super::task::{Container, Stage, Task};
use crate::sandbox::world::orders::ContainerHealth;
use serde_json::{Map, Value, json};
use std::net::IpAddr;

impl Task {
    /// As DescribeTasks shows it.
    #[must_use]
    pub fn shape(&self, place: &Place) -> Value {
        let mut shape = Map::new();
        shape.insert("attachments".into(), self.attachments());
        let attributes = json!([{ "name": "ecs.cpu-architecture", "value": self.architecture() }]);
        shape.insert("attributes".into(), attributes);
        shape.insert("availabilityZone".into(), json!(place.zone()));
        shape.insert("clusterArn".into(), json!(place.cluster(&self.cluster)));
        if let Some(connected) = self.times.connected {
            shape.insert("connectivity".into(), json!("CONNECTED"));
            shape.insert("connectivityAt".into(), stamp(connected));
        }
        let containers: Vec<Value> = self
            .containers
            .iter()
            .map(|container| self.container_shape(container, place))
            .collect();
        shape.insert("containers".into(), Value::Array(containers));
        set(&mut shape, "cpu", self.definition.get("cpu").cloned());
        shape.insert("createdAt".into(), stamp(self.times.created));
        let desired = if self.is_live() { "RUNNING" } else { "STOPPED" };
        shape.insert("desiredStatus".into(), json!(desired));
        shape.insert("group".into(), json!(self.group));
        shape.insert("healthStatus".into(), json!(self.health()));
        shape.insert("lastStatus".into(), json!(self.stage.as_str()));
        set(&mut shape, "memory", self.definition.get("memory").cloned());
        shape.insert("overrides".into(), self.overrides_shape());
        for (key, time) in [
            ("pullStartedAt", self.times.pull_started),
            ("pullStoppedAt", self.times.pull_stopped),
            ("startedAt", self.times.started),
            ("stoppingAt", self.times.stopping),
            ("executionStoppedAt", self.times.executed),
            ("stoppedAt", self.times.stopped),
        ] {
            set(&mut shape, key, time.map(stamp));
        }
        set(
            &mut shape,
            "startedBy",
            self.started_by.clone().map(Value::String),
        );
        if let Some((code, reason)) = &self.stop {
            shape.insert("stopCode".into(), json!(code.as_str()));
            shape.insert("stoppedReason".into(), json!(reason));
        }
        shape.insert("taskArn".into(), json!(self.arn(place)));
        shape.insert("taskDefinitionArn".into(), json!(self.definition_arn));
        shape.insert("version".into(), json!(self.version));
        for (key, value) in &self.shown {
            shape.insert(key.clone(), value.clone());
        }
        Value::Object(shape)
    }

    fn architecture(&self) -> &'static str {
        match self.definition["runtimePlatform"]["cpuArchitecture"].as_str() {
            Some("ARM64") => "arm64",
            _ => "x86_64",
        }
    }

    fn attachments(&self) -> Value {
        if !self.awsvpc {
            return json!([]);
        }
        let status = match self.stage {
            Stage::Provisioning => "PRECREATED",
            Stage::Deprovisioning => "DETACHING",
            Stage::Stopped => "DELETED",
            Stage::Pending | Stage::Activating | Stage::Running | Stage::Deactivating | Stage::Stopping => {
                "ATTACHED"
            }
        };
        let mut details = vec![json!({ "name": "subnetId", "value": "subnet-00000000000000001" })];
        if let Some(address) = self.address {
            details
                .push(json!({ "name": "networkInterfaceId", "value": format!("eni-0{}", &self.id[..16]) }));
            details.push(
                json!({ "name": "privateDnsName", "value": format!("ip-{}.internal", dashed(address)) }),
            );
            details.push(json!({ "name": "privateIPv4Address", "value": address.to_string() }));
        }
        json!([{ "id": self.attachment, "type": "ElasticNetworkInterface", "status": status, "details": details }])
    }

    fn container_shape(&self, container: &Container, place: &Place) -> Value {
        let mut shape = Map::new();
        let arn = format!("container/{}/{}/{}", self.cluster, self.id, container.uuid);
        shape.insert("containerArn".into(), json!(place.arn(&arn)));
        shape.insert("taskArn".into(), json!(self.arn(place)));
        shape.insert("name".into(), json!(container.name));
        shape.insert("image".into(), json!(container.image));
        set(
            &mut shape,
            "imageDigest",
            container.image_digest.clone().map(Value::String),
        );
        set(
            &mut shape,
            "runtimeId",
            container.runtime_id.clone().map(Value::String),
        );
        let status = if container.exit_code.is_some() || self.stage >= Stage::Deprovisioning {
            "STOPPED"
        } else if container.runtime_id.is_some() {
            "RUNNING"
        } else {
            "PENDING"
        };
        shape.insert("lastStatus".into(), json!(status));
        set(
            &mut shape,
            "exitCode",
            container.exit_code.map(|code| json!(code)),
        );
        set(&mut shape, "reason", container.reason.clone().map(Value::String));
        shape.insert("networkBindings".into(), json!([]));
        let interfaces = match self.address {
            Some(address) if self.awsvpc => {
                json!([{ "attachmentId": self.attachment, "privateIpv4Address": address.to_string() }])
            }
            _ => json!([]),
        };
        shape.insert("networkInterfaces".into(), interfaces);
        let health = match container.health {
            Some(ContainerHealth::Healthy) => "HEALTHY",
            Some(ContainerHealth::Unhealthy) => "UNHEALTHY",
            None => "UNKNOWN",
        };
        shape.insert("healthStatus".into(), json!(health));
        for (key, size) in ["cpu", "memory", "memoryReservation"]
            .iter()
            .zip(&container.sizes)
        {
            set(&mut shape, key, size.clone().map(Value::String));
        }
        Value::Object(shape)
    }

    /// The overrides, with an entry for every container, as ECS answers them.
    fn overrides_shape(&self) -> Value {
        let mut overrides = match &self.overrides {
            Some(Value::Object(given)) => given.clone(),
            _ => Map::new(),
        };
        let given = overrides.remove("containerOverrides").unwrap_or_default();
        let each: Vec<Value> = self
            .containers
            .iter()
            .map(|container| {
                let mut all = given.as_array().into_iter().flatten();
                all.rfind(|one| one["name"] == container.name.as_str())
                    .cloned()
                    .unwrap_or_else(|| json!({ "name": container.name }))
            })
            .collect();
        overrides.insert("containerOverrides".into(), Value::Array(each));
        overrides
            .entry("inferenceAcceleratorOverrides")
            .or_insert_with(|| json!([]));
        Value::Object(overrides)
    }
}

fn dashed(address: IpAddr) -> String {
    address.to_string().replace(['.', ':'], "-")
}
