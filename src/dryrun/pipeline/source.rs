//! The source of a pipeline's dry run: the folder as git would hold it, with its slipway.toml turned to the sandbox.

use crate::artifact::archive::{Content, Entry};
use crate::config::settings::Settings;
use crate::failure::{Failure, Kind};
use crate::name::ImageRef;
use ignore::WalkBuilder;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use toml::{Table, Value};

/// The configuration file, at the root of what is packed.
const FILE: &str = "slipway.toml";

/// A source artifact, and the variables that its configuration names.
#[derive(Debug)]
pub(super) struct Source {
    /// What is packed.
    pub(super) entries: Vec<Entry>,
    /// Names of `${env:NAME}`.
    pub(super) variables: BTreeSet<String>,
    /// Names of variables whose values are build secrets.
    pub(super) secrets: BTreeSet<String>,
}

/// Collects the files of a folder: all but `.git` and what a `.gitignore` leaves out.
///
/// # Errors
/// A file that cannot be read, and a configuration that is none.
pub(super) fn collect(folder: &Path, settings: &Settings, force: bool) -> Result<Source, Failure> {
    let mut entries = Vec::new();
    let walk = WalkBuilder::new(folder)
        .hidden(false)
        .require_git(false)
        .parents(false)
        .ignore(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .build();
    let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| {
        Failure::new(Kind::Input, "the source could not be packed")
            .because(error)
            .left("nothing was done")
    };
    for found in walk {
        let found = found.map_err(|error| unreadable(error.into()))?;
        let path = found.path();
        let Ok(name) = path.strip_prefix(folder) else {
            continue;
        };
        // What a link leads to is packed, as a source action packs it.
        let metadata = fs::metadata(path).map_err(|error| unreadable(error.into()))?;
        if !metadata.is_file() || name == Path::new(FILE) {
            continue;
        }
        let name = name.to_str().ok_or_else(|| {
            let what = format!("`{}` is no UTF-8", name.display());
            unreadable(io::Error::other(what).into())
        })?;
        entries.push(Entry {
            name: name.to_owned(),
            content: Content::File(path.to_owned()),
            mode: metadata.permissions().mode() & 0o777,
        });
    }
    let text = fs::read_to_string(folder.join(FILE)).map_err(|error| {
        Failure::new(Kind::Usage, "a pipeline reads what it does from slipway.toml")
            .because(error)
            .place(folder.display().to_string())
            .left("nothing was done")
            .hint("write one: the flags of `slipway build` and `slipway deploy` have no place in a pipeline")
    })?;
    let mut table: Table = text
        .parse()
        .map_err(|error: toml::de::Error| unreadable(error.into()))?;
    let (variables, secrets) = (variables(&text), secrets(&table));
    turn(&mut table, settings, force);
    entries.push(Entry {
        name: FILE.to_owned(),
        content: Content::Bytes(table.to_string().into_bytes()),
        mode: 0o644,
    });
    Ok(Source {
        entries,
        variables,
        secrets,
    })
}

/// Turns a configuration to the sandbox: repositories keep their path, clusters their name, and nothing is outside.
fn turn(table: &mut Table, settings: &Settings, force: bool) {
    table.remove("region");
    for image in tables(table, "image") {
        let path = image.get("repository").and_then(Value::as_str);
        let path = path.and_then(|name| name.parse::<ImageRef>().ok());
        if let Some(path) = path {
            image.insert("repository".to_owned(), path.repository.to_string().into());
        }
        image.insert("create-repository".to_owned(), true.into());
    }
    for service in tables(table, "service") {
        for elsewhere in ["cluster", "region", "role-arn", "external-id"] {
            service.remove(elsewhere);
        }
    }
    if let Some(Value::Table(output)) = table.get_mut("output") {
        output.remove("artifact");
        output.remove("kms-key");
    }
    let deploy = table
        .entry("deploy")
        .or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(deploy) = deploy {
        for elsewhere in ["region", "role-arn", "external-id", "imagedefinitions"] {
            deploy.remove(elsewhere);
        }
        let cluster = settings.deploy.cluster.clone().unwrap_or_default();
        deploy.insert("cluster".to_owned(), cluster.into());
        if force {
            deploy.insert("force".to_owned(), true.into());
        }
    }
}

/// The tables below a name: `[image.web]`, `[image.api]`.
fn tables<'a>(table: &'a mut Table, name: &str) -> impl Iterator<Item = &'a mut Table> {
    let below = table.get_mut(name).and_then(Value::as_table_mut);
    below
        .into_iter()
        .flat_map(|below| below.iter_mut())
        .filter_map(|(_, value)| value.as_table_mut())
}

/// The names of `${env:NAME}`.
fn variables(text: &str) -> BTreeSet<String> {
    let named = text.split("${env:").skip(1);
    named
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// The variables that build secrets are read from.
fn secrets(table: &Table) -> BTreeSet<String> {
    let images = table.get("image").and_then(Value::as_table);
    let secrets = images
        .into_iter()
        .flat_map(Table::values)
        .filter_map(|image| image.get("secrets")?.as_array())
        .flatten();
    secrets
        .filter_map(|secret| secret.get("env")?.as_str())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{secrets, turn, variables};
    use crate::config::resolve::{Needs, resolve};
    use crate::config::written::Layers;
    use toml::Table;

    #[test]
    fn a_configuration_is_turned_to_the_sandbox_and_says_what_it_needs() {
        let text = r#"
            region = "eu-west-1"
            [image.web]
            repository = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop/web"
            args = { VERSION = "${env:RELEASE}" }
            secrets = [{ id = "npm", env = "NPM_TOKEN" }, { id = "file", file = "x" }]
            [output]
            artifact = "s3://bucket/key"
            [deploy]
            cluster = "arn:aws:ecs:eu-west-1:111122223333:cluster/prod"
            [service.shop]
            cluster = "prod"
            role-arn = "arn:aws:iam::111122223333:role/deploy"
        "#;
        let mut settings = resolve(&Layers::default(), Needs::default(), &|_| Ok(Vec::new()))
            .unwrap()
            .settings;
        settings.deploy.cluster = Some("prod".to_owned());
        let mut table: Table = text.parse().unwrap();
        assert_eq!(variables(text).into_iter().collect::<Vec<_>>(), ["RELEASE"]);
        assert_eq!(secrets(&table).into_iter().collect::<Vec<_>>(), ["NPM_TOKEN"]);
        turn(&mut table, &settings, true);
        let said = table.to_string();
        assert!(
            !said.contains("111122223333") && !said.contains("s3://") && !said.contains("region"),
            "{said}"
        );
        assert_eq!(table["image"]["web"]["repository"].as_str(), Some("shop/web"));
        assert_eq!(table["deploy"]["cluster"].as_str(), Some("prod"));
        assert_eq!(table["deploy"]["force"].as_bool(), Some(true));
    }
}
