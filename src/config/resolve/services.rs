//! The `[service.*]` tables.

use super::check::join;
use super::reader::Reader;
use crate::config::settings::{Place, Role, ServiceSettings};
use crate::config::written::{Origin, Value};
use crate::name::{Arn, ContainerName, NameError};
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
        place: place(reader, &section),
        task_definition: reader.path(&section, "task-definition"),
        env: env(reader, &section),
        containers: reader.names_of(&section, "containers"),
        name: parsed.ok()?,
    })
}

/// Where a service is: as its own table says, else as `[deploy]` does. A role comes with its own external id.
fn place(reader: &mut Reader<'_>, section: &str) -> Place {
    let own_region = reader.parsed(section, "region", region);
    let region = own_region.or_else(|| reader.parsed("deploy", "region", region));
    let own_role = reader.parsed(section, "role-arn", role_arn);
    let own_id = reader.parsed(section, "external-id", external_id);
    let is_own = own_role.is_some();
    let arn = own_role.or_else(|| reader.parsed("deploy", "role-arn", role_arn));
    let of_deploy = reader.parsed("deploy", "external-id", external_id);
    if arn.is_none() {
        for (section, written) in [(section, own_id.is_some()), ("deploy", of_deploy.is_some())] {
            if written {
                let origin = reader.origin(section, "external-id");
                reader.wrong(
                    &origin,
                    &join(section, "external-id"),
                    "is of no use without `role-arn`",
                );
            }
        }
    }
    let external_id = own_id.or_else(|| of_deploy.filter(|_| !is_own));
    Place {
        region,
        role: arn.map(|arn| Role { arn, external_id }),
    }
}

fn region(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=63).contains(&text.len()) && !text.starts_with('-') && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err("expected a region, such as `eu-west-1`".to_owned())
}

fn role_arn(text: &str) -> Result<String, String> {
    let is_role = text
        .parse::<Arn>()
        .is_ok_and(|arn| arn.service() == "iam" && arn.resource().starts_with("role/"));
    if is_role && !text.contains(['|', ' ']) {
        return Ok(text.to_owned());
    }
    Err("expected the ARN of an IAM role: `arn:aws:iam::111122223333:role/deploy`".to_owned())
}

/// What AssumeRole takes: 2 to 1224 of letters, digits and some signs.
fn external_id(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c);
    if (2..=1224).contains(&text.len()) && text.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    Err("expected 2 to 1224 letters, digits and `_+=,.@:/-`".to_owned())
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
