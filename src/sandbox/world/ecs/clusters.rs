//! Clusters: CreateCluster, DescribeClusters, ListClusters, DeleteCluster.

use super::Ecs;
use super::request::{
    described, invalid, list, listing, missing, page, required, set, short, text, texts, wants_tags,
};
use super::service::{ServiceStatus, count};
use crate::sandbox::world::error::ApiError;
use serde_json::{Map, Value, json};

/// The cluster that is meant when none is named.
const DEFAULT: &str = "default";

/// One cluster.
#[derive(Debug, Default)]
pub struct Cluster {
    /// Its tags.
    pub tags: Vec<Value>,
    /// Capacity providers and the like, as given.
    shown: Map<String, Value>,
}

impl Ecs {
    pub(super) fn create_cluster(&mut self, input: &Value) -> Result<Value, ApiError> {
        let name = text(input, "clusterName").unwrap_or(DEFAULT);
        if name.parse::<crate::name::ClusterName>().is_err() {
            return Err(invalid("Invalid cluster name."));
        }
        if !self.clusters.contains_key(name) {
            let mut cluster = Cluster {
                tags: list(input, "tags").to_vec(),
                shown: Map::new(),
            };
            for key in ["configuration", "serviceConnectDefaults"] {
                set(
                    &mut cluster.shown,
                    key,
                    input.get(key).filter(|v| !v.is_null()).cloned(),
                );
            }
            for (key, usual) in [
                (
                    "settings",
                    json!([{ "name": "containerInsights", "value": "disabled" }]),
                ),
                ("capacityProviders", json!([])),
                ("defaultCapacityProviderStrategy", json!([])),
            ] {
                let given = input.get(key).filter(|value| !value.is_null()).cloned();
                set(&mut cluster.shown, key, Some(given.unwrap_or(usual)));
            }
            self.clusters.insert(name.to_owned(), cluster);
        }
        Ok(json!({ "cluster": self.cluster_shape(name, "ACTIVE", true) }))
    }

    pub(super) fn describe_clusters(&self, input: &Value) -> Result<Value, ApiError> {
        let mut names = texts(input, "clusters");
        if names.is_empty() {
            names.push(DEFAULT);
        }
        if names.len() > 100 {
            return Err(invalid("clusters can have at most 100 items."));
        }
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for name in names {
            if self.clusters.contains_key(short(name)) {
                found.push(self.cluster_shape(short(name), "ACTIVE", wants_tags(input)));
            } else {
                failures.push(missing(&self.place.cluster(short(name))));
            }
        }
        Ok(described("clusters", found, failures))
    }

    pub(super) fn list_clusters(&self, input: &Value) -> Result<Value, ApiError> {
        let arns: Vec<Value> = self
            .clusters
            .keys()
            .map(|name| json!(self.place.cluster(name)))
            .collect();
        Ok(listing("clusterArns", page(input, arns, 100, 100)?))
    }

    pub(super) fn delete_cluster(&mut self, input: &Value) -> Result<Value, ApiError> {
        let name = short(required(input, "cluster")?).to_owned();
        if !self.clusters.contains_key(&name) {
            return Err(unknown_cluster());
        }
        let services = self.services.values();
        if services
            .filter(|service| service.key.cluster == name)
            .any(|service| service.status != ServiceStatus::Inactive)
        {
            let text = "The Cluster cannot be deleted while Services are active.";
            return Err(ApiError::new("ClusterContainsServicesException", text));
        }
        let tasks = self.tasks.values().filter(|task| task.cluster == name);
        if count(tasks) != (0, 0) {
            let text = "The Cluster cannot be deleted while Tasks are active.";
            return Err(ApiError::new("ClusterContainsTasksException", text));
        }
        let shape = self.cluster_shape(&name, "INACTIVE", false);
        self.clusters.remove(&name);
        self.services.retain(|key, _| key.cluster != name);
        Ok(json!({ "cluster": shape }))
    }

    /// The name of the cluster that a request means.
    ///
    /// # Errors
    /// `ClusterNotFoundException`.
    pub(super) fn cluster_of(&self, input: &Value) -> Result<String, ApiError> {
        let given = text(input, "cluster").unwrap_or(DEFAULT);
        let name = short(given);
        // An ARN of another region or account names another cluster.
        let is_here = !given.starts_with("arn:") || given == self.place.cluster(name);
        match is_here && self.clusters.contains_key(name) {
            true => Ok(name.to_owned()),
            false => Err(unknown_cluster()),
        }
    }

    /// The name in a service's or task's name or ARN; an ARN must be of the request's cluster, which is `default` when
    /// the request names none.
    ///
    /// # Errors
    /// `InvalidParameterException`.
    pub(super) fn name_in<'a>(&self, cluster: &str, kind: &str, given: &'a str) -> Result<&'a str, ApiError> {
        let Some(path) = given.strip_prefix("arn:") else {
            return Ok(given);
        };
        let (_, resource) = path.rsplit_once(':').unwrap_or_default();
        match resource.split('/').collect::<Vec<_>>().as_slice() {
            [it, of, _] if *it == kind && *of != cluster => Err(invalid(format!(
                "Invalid identifier: Identifier is for cluster {of}. Your cluster is {cluster}"
            ))),
            // ARNs of the old form name no cluster.
            [it, _] | [it, _, _] if *it == kind => Ok(short(given)),
            [it, ..] => Err(invalid(format!("Unsupported resource type: {it}"))),
            [] => Err(invalid("Invalid identifier")),
        }
    }

    fn cluster_shape(&self, name: &str, status: &str, tags: bool) -> Value {
        let (running, pending) = count(self.tasks.values().filter(|task| task.cluster == name));
        let services = self
            .services
            .values()
            .filter(|service| service.key.cluster == name && service.status == ServiceStatus::Active)
            .count();
        let mut shape = Map::new();
        shape.insert("clusterArn".into(), json!(self.place.cluster(name)));
        shape.insert("clusterName".into(), json!(name));
        shape.insert("status".into(), json!(status));
        shape.insert("registeredContainerInstancesCount".into(), json!(0));
        shape.insert("runningTasksCount".into(), json!(running));
        shape.insert("pendingTasksCount".into(), json!(pending));
        shape.insert("activeServicesCount".into(), json!(services));
        shape.insert("statistics".into(), json!([]));
        let cluster = self.clusters.get(name);
        let shown = cluster.into_iter().flat_map(|cluster| cluster.shown.iter());
        for (key, value) in shown {
            shape.insert(key.clone(), value.clone());
        }
        let shown_tags = cluster
            .filter(|_| tags)
            .map_or(json!([]), |cluster| json!(cluster.tags));
        shape.insert("tags".into(), shown_tags);
        Value::Object(shape)
    }
}

/// The error for a cluster that does not exist.
pub fn unknown_cluster() -> ApiError {
    ApiError::new("ClusterNotFoundException", "Cluster not found.")
}
