//! The `[image.*]` tables.

use super::check::join;
use super::reader::Reader;
use crate::config::elements;
use crate::config::settings::{BuildSecret, Builder, ImageSettings};
use crate::config::written::{Node, Origin, Table, Value};
use crate::name::{ContainerName, NameError};
use crate::secret::Secret;
use crate::secret::redact::secret_names;
use std::collections::{BTreeMap, BTreeSet};

/// Every image to build; there must be one.
pub fn images(reader: &mut Reader<'_>) -> Vec<ImageSettings> {
    let names = reader.names("image");
    if names.is_empty() {
        reader.missing(
            "image",
            "nothing to build: write `[image.NAME]` in slipway.toml, or give `--repository`",
        );
    }
    names
        .into_iter()
        .filter_map(|(name, origin)| image(reader, &name, &origin))
        .collect()
}

fn image(reader: &mut Reader<'_>, name: &str, origin: &Origin) -> Option<ImageSettings> {
    let section = format!("image.{name}");
    let key = join(&section, "repository");
    let repository = reader.parsed(&section, "repository", elements::repository);
    if repository.is_none() && reader.node(&section, "repository").is_none() {
        reader.missing(
            &key,
            "expected a repository: an ECR name like `shop/web`, or a whole `registry/repository`",
        );
    }
    let context = reader
        .path(&section, "context")
        .unwrap_or_else(|| reader.folder.to_owned());
    let dockerfile = reader
        .path(&section, "dockerfile")
        .unwrap_or_else(|| context.join("Dockerfile"));
    let containers = containers(reader, &section, name, origin);
    let mut labels = known_labels(reader);
    labels.extend(reader.map(&section, "labels"));
    let args = reader.map(&section, "args");
    Some(ImageSettings {
        name: name.to_owned(),
        context,
        dockerfile,
        containers,
        target: reader.text(&section, "target").map(|target| target.value),
        platform: reader.parsed(&section, "platform", elements::platform),
        secret_args: secret_args(reader, &section, &args),
        args,
        labels,
        secrets: secrets(reader, &section),
        tags: reader.names_of(&section, "tags"),
        no_cache: reader.boolean(&section, "no-cache"),
        pull: reader.boolean(&section, "pull"),
        builder: reader
            .parsed(&section, "builder", elements::builder)
            .unwrap_or(Builder::Auto),
        create_repository: reader.boolean(&section, "create-repository"),
        repository: repository?,
    })
}

/// The arguments whose values are secrets, by their own names or by those of the variables that they are written with.
fn secret_args(reader: &Reader<'_>, section: &str, args: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut secret = secret_names(args);
    let Some(Value::Table(written)) = reader.node(section, "args").map(|node| &node.value) else {
        return secret;
    };
    for (name, node) in written {
        let Value::Text(text) = &node.value else { continue };
        let variables = text.split("${env:").skip(1).filter_map(|rest| {
            let (variable, _) = rest.split_once('}')?;
            let value = reader.variables.environment.value(variable)?;
            Some((variable.to_owned(), value.to_owned()))
        });
        if !secret_names(&variables.collect()).is_empty() {
            secret.insert(name.clone());
        }
    }
    secret
}

/// The containers of an image: those that are written, or one by the image's own name.
fn containers(reader: &mut Reader<'_>, section: &str, name: &str, origin: &Origin) -> Vec<ContainerName> {
    if reader.node(section, "containers").is_some() {
        return reader.names_of(section, "containers");
    }
    match name.parse() {
        Ok(container) => vec![container],
        Err(error) => {
            let error: NameError = error;
            reader.wrong(
                origin,
                section,
                format!("{error}; write the container's name in `containers`"),
            );
            Vec::new()
        }
    }
}

/// A container can be named by one image only.
pub fn check_containers(images: &[ImageSettings], reader: &mut Reader<'_>) {
    let mut owners: BTreeMap<&ContainerName, &str> = BTreeMap::new();
    for image in images {
        for container in &image.containers {
            if let Some(other) = owners.insert(container, &image.name) {
                let section = format!("image.{}", image.name);
                let origin = reader.origin(&section, "containers");
                let text = format!("container `{container}` is named by `{other}` too");
                reader.wrong(&origin, &join(&section, "containers"), text);
            }
        }
    }
}

/// Labels whose values the layers know: the commit, and where its repository is.
fn known_labels(reader: &Reader<'_>) -> BTreeMap<String, String> {
    let source = reader.variables.environment.value("CODEBUILD_SOURCE_REPO_URL");
    // An address with credentials in it must not end in an image.
    let source = source.filter(|address| !address.contains('@')).map(str::to_owned);
    let labels = [
        ("org.opencontainers.image.revision", reader.variables.commit()),
        ("org.opencontainers.image.source", source),
    ];
    labels
        .into_iter()
        .filter_map(|(label, value)| Some((label.to_owned(), value?)))
        .collect()
}

fn secrets(reader: &mut Reader<'_>, section: &str) -> Vec<BuildSecret> {
    let Some(Value::List(items)) = reader.node(section, "secrets").map(|node| &node.value) else {
        return Vec::new();
    };
    let mut secrets: Vec<BuildSecret> = Vec::new();
    for item in items {
        let Value::Table(fields) = &item.value else {
            continue;
        };
        match secret(reader, fields) {
            Ok(secret) if secrets.iter().any(|other| other.id == secret.id) => {
                let text = format!("two secrets have the id `{}`", secret.id);
                reader.wrong(&item.origin, &join(section, "secrets"), text);
            }
            Ok(secret) => secrets.push(secret),
            Err(problem) => reader.wrong(&item.origin, &join(section, "secrets"), problem),
        }
    }
    secrets
}

fn secret(reader: &Reader<'_>, fields: &Table) -> Result<BuildSecret, String> {
    let field = |name: &str| match fields.get(name).map(|node: &Node| &node.value) {
        Some(Value::Text(text)) => text.as_str(),
        _ => "",
    };
    let id = field("id");
    if id.is_empty() {
        return Err("the id of a secret is empty".to_owned());
    }
    let value = match (field("env"), field("src")) {
        ("", "") => return Err(format!("secret `{id}` names neither a variable nor a file")),
        ("", file) => {
            let path = reader.folder.join(file);
            (reader.read_file)(&path)
                .map_err(|error| format!("secret `{id}`: read `{}`: {error}", path.display()))?
        }
        (variable, _) => {
            let value = reader.variables.environment.value(variable);
            let value =
                value.ok_or_else(|| format!("secret `{id}`: the variable `{variable}` is not set"))?;
            value.as_bytes().to_vec()
        }
    };
    Ok(BuildSecret {
        id: id.to_owned(),
        value: Secret::new(value),
    })
}
