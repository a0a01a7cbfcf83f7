//! The `[service.*]` tables.

use super::check::join;
use super::reader::Reader;
use crate::config::settings::ServiceSettings;
use crate::config::written::{Origin, Value};
use crate::name::{ContainerName, NameError};
use crate::secret::Secret;
use std::collections::BTreeMap;

/// Every service to deploy; there must be one.
pub fn services(reader: &mut Reader<'_>) -> Vec<ServiceSettings> {
    let names = reader.names("service");
    // `--service` named none of the file's, and that was told.
    let misnamed = reader.problems.iter().any(|problem| problem.key == "service");
    if names.is_empty() && !misnamed {
        reader.missing(
            "service",
            "nothing to deploy to: write `[service.NAME]` in slipway.toml, or give `--service`",
        );
    }
    names
        .into_iter()
        .filter_map(|(name, origin)| service(reader, &name, &origin))
        .collect()
}

fn service(reader: &mut Reader<'_>, name: &str, origin: &Origin) -> Option<ServiceSettings> {
    let section = format!("service.{name}");
    let parsed = name.parse();
    if let Err(error) = &parsed {
        let error: &NameError = error;
        reader.wrong(origin, &section, error.to_string());
    }
    let cluster = reader.parsed(&section, "cluster", |text| {
        text.parse().map_err(|error: NameError| error.to_string())
    });
    Some(ServiceSettings {
        cluster,
        place: Default::default(),
        task_definition: reader.path(&section, "task-definition"),
        env: env(reader, &section),
        containers: reader.names_of(&section, "containers"),
        name: parsed.ok()?,
    })
}

/// Environment variables by container.
pub fn env(
    reader: &mut Reader<'_>,
    section: &str,
) -> BTreeMap<ContainerName, BTreeMap<String, Secret<String>>> {
    let mut env = BTreeMap::new();
    let Some(Value::Table(containers)) = reader.node(section, "env").map(|node| &node.value) else {
        return env;
    };
    for (name, node) in containers {
        let key = join(&join(section, "env"), name);
        let Value::Table(table) = &node.value else {
            continue;
        };
        let values = reader.expand_all(table, &key);
        match name.parse::<ContainerName>() {
            Ok(container) => {
                let secret = |(name, value)| (name, Secret::new(value));
                env.insert(container, values.into_iter().map(secret).collect());
            }
            Err(error) => reader.wrong(&node.origin, &key, error.to_string()),
        }
    }
    env
}
