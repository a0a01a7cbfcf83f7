//! What the layers mean: pure, and every problem at once.
//!
//! `check` compares what was written with the table of keys, `merge` lays the layers over each other, `reader` takes
//! values out, `images`, `services` and `tasks` make settings of them.

mod check;
mod images;
mod merge;
mod reader;
mod services;
mod tasks;

pub(super) use check::strange_variables;

use super::document;
use super::elements;
use super::settings::{
    ArtifactTarget, DefinitionsSource, DeploySettings, DryRunSettings, OnFailure, OnFirstFailure, Outputs,
    Settings, Until,
};
use super::substitution::Variables;
use super::written::{Layers, Origin, Problem};
use crate::name::{Arn, ClusterName};
use reader::Reader;
use std::io;
use std::path::Path;
use std::time::Duration;

/// The embedded defaults, commented: also the template that people copy from.
pub const DEFAULTS: &str = include_str!("../defaults.toml");

/// What a verb is going to do, and so what must be written and which secrets are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Images are built.
    pub build: bool,
    /// Services are deployed.
    pub deploy: bool,
}

/// Reads a file that a setting names; `layers::read_file` outside tests.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<Vec<u8>>;

/// What the layers mean, and what is odd about them without being wrong.
#[derive(Debug)]
pub struct Resolved {
    /// The settings.
    pub settings: Settings,
    /// One line each.
    pub warnings: Vec<String>,
}

/// Makes settings of what was written.
///
/// # Errors
/// Every problem, in the order of the layers and lines.
pub fn resolve(layers: &Layers, needs: Needs, read_file: ReadFile<'_>) -> Result<Resolved, Vec<Problem>> {
    let (defaults, mut problems) = document::parse(DEFAULTS, &|line| Origin::Default { line });
    let mut written = match &layers.file {
        Some(file) => {
            let place = |line| Origin::File {
                file: file.place.clone(),
                line,
            };
            let (table, wrong) = document::parse(file.text.expose(), &place);
            problems.extend(wrong);
            table
        }
        None => Default::default(),
    };
    // A file that is no TOML has lost keys; what else is missing would mislead.
    if !problems.is_empty() {
        return Err(problems);
    }
    let refused = check::check(&mut written, &mut problems);
    let services_of_file = tasks::services_of_file(&written);
    let tree = merge::merge(&defaults, written, layers, needs, &mut problems);
    let mut reader = Reader {
        tree: &tree,
        refused,
        problems,
        folder: &layers.folder,
        variables: Variables {
            environment: &layers.environment,
            checkout: &layers.checkout,
        },
        read_file,
    };
    let mut warnings = check::strange_variables(&layers.environment);
    let outputs = outputs(&mut reader);
    let settings = Settings {
        folder: layers.folder.clone(),
        region: reader.text("", "region").map(|region| region.value),
        images: if needs.build {
            images::images(&mut reader)
        } else {
            Vec::new()
        },
        deploy: deploy(&mut reader, &outputs),
        outputs,
        services: if needs.deploy {
            services::services(&mut reader)
        } else {
            Vec::new()
        },
        tasks: if needs.deploy {
            tasks::tasks(&mut reader, &services_of_file, &mut warnings)
        } else {
            Vec::new()
        },
        dry_run: dry_run(&mut reader),
    };
    check_together(&settings, needs, &mut reader);
    let mut problems = reader.problems;
    if problems.is_empty() {
        return Ok(Resolved { settings, warnings });
    }
    problems.sort();
    problems.dedup();
    Err(problems)
}

fn outputs(reader: &mut Reader<'_>) -> Outputs {
    let artifact = reader.parsed("output", "artifact", elements::s3_address);
    let kms_key = reader.text("output", "kms-key");
    if let (None, Some(key)) = (&artifact, &kms_key) {
        reader.wrong(&key.origin, "output.kms-key", "is of no use without `artifact`");
    }
    Outputs {
        imagedefinitions: reader
            .path("output", "imagedefinitions")
            .unwrap_or_else(|| reader.folder.join("imagedefinitions.json")),
        image_detail: reader.path("output", "image-detail"),
        metadata: reader.path("output", "metadata"),
        env_file: reader.path("output", "env-file"),
        artifact: artifact.map(|(bucket, key)| ArtifactTarget {
            bucket,
            key,
            kms_key: kms_key.map(|key| key.value),
        }),
    }
}

fn deploy(reader: &mut Reader<'_>, outputs: &Outputs) -> DeploySettings {
    let source = match reader.text("deploy", "imagedefinitions") {
        Some(text) if text.value.starts_with("s3://") => match elements::s3_address(&text.value) {
            Ok((bucket, key)) => DefinitionsSource::S3 { bucket, key },
            Err(problem) => {
                reader.wrong(&text.origin, "deploy.imagedefinitions", problem);
                DefinitionsSource::File(outputs.imagedefinitions.clone())
            }
        },
        Some(text) => DefinitionsSource::File(reader.folder.join(text.value)),
        None => DefinitionsSource::File(outputs.imagedefinitions.clone()),
    };
    DeploySettings {
        cluster: reader.parsed("deploy", "cluster", cluster),
        source,
        timeout: reader
            .parsed("deploy", "timeout", elements::duration)
            .unwrap_or(Duration::from_secs(15 * 60)),
        until: reader
            .parsed("deploy", "until", elements::until)
            .unwrap_or(Until::Healthy),
        on_failure: reader
            .parsed("deploy", "on-failure", elements::on_failure)
            .unwrap_or(OnFailure::Rollback),
        on_first_failure: reader
            .parsed("deploy", "on-first-failure", elements::on_first_failure)
            .unwrap_or(OnFirstFailure::KeepGoing),
        force: reader.boolean("deploy", "force"),
        allow_zero: reader.boolean("deploy", "allow-zero"),
    }
}

/// A cluster's short name or ARN.
fn cluster(text: &str) -> Result<String, String> {
    let named = text.parse::<ClusterName>();
    let is_arn = || {
        text.parse::<Arn>()
            .is_ok_and(|arn| arn.service() == "ecs" && arn.resource().starts_with("cluster/"))
    };
    match named {
        Ok(_) => Ok(text.to_owned()),
        Err(_) if is_arn() => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn dry_run(reader: &mut Reader<'_>) -> DryRunSettings {
    let port = reader.number("dry-run", "port").and_then(|port| {
        let fits = u16::try_from(port.value).ok().filter(|port| *port > 0);
        if fits.is_none() {
            reader.wrong(&port.origin, "dry-run.port", "expected a port from 1 to 65535");
        }
        fits
    });
    DryRunSettings {
        before_args: reader.map("dry-run", "before-args"),
        desired_count: reader.number("dry-run", "desired-count").map(|count| count.value),
        port,
        health_path: reader.text("dry-run", "health-path").map(|path| path.value),
        health_command: reader
            .list("dry-run", "health-command")
            .into_iter()
            .map(|word| word.value)
            .collect(),
        requests_per_second: reader
            .number("dry-run", "requests-per-second")
            .map(|rate| rate.value),
    }
}

/// Rules that hold between settings.
fn check_together(settings: &Settings, needs: Needs, reader: &mut Reader<'_>) {
    if needs.build && settings.images.len() > 1 && settings.outputs.image_detail.is_some() {
        let origin = reader.origin("output", "image-detail");
        reader.wrong(
            &origin,
            "output.image-detail",
            format!("holds one image, and there are {}", settings.images.len()),
        );
    }
    if needs.build {
        images::check_containers(&settings.images, reader);
    }
    let clusterless = settings.services.iter().any(|service| service.cluster.is_none());
    if needs.deploy && clusterless && settings.deploy.cluster.is_none() {
        reader.missing(
            "deploy.cluster",
            "write it, or give `--cluster` or `SLIPWAY_CLUSTER`",
        );
    }
}

#[cfg(test)]
mod tests;
