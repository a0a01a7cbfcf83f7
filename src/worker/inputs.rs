//! A job's input artifacts on disk, and the settings that they hold.

use super::confine;
use super::properties::Properties;
use crate::config::layers::{self, LayerError};
use crate::config::resolve::{Needs, resolve};
use crate::config::settings::{DefinitionsSource, Settings};
use crate::config::written::Layers;
use crate::failure::{Failure, Kind};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};

/// What a build leaves in its output artifact so that a deploy knows the commit: CodePipeline gives artifacts between
/// actions no revision.
pub const SOURCE: &str = "slipway.source.json";

/// The artifacts of a job, each unpacked in a folder of its own.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// The folder that they are in, links followed.
    pub folder: PathBuf,
    /// Their names, in the job's order; each is the name of a folder.
    pub names: Vec<String>,
}

/// The settings of a job, and where they were found.
#[derive(Debug)]
pub struct Settled {
    /// The settings.
    pub settings: Settings,
    /// The artifact of slipway.toml.
    pub artifact: PathBuf,
    /// The configuration file.
    pub file: PathBuf,
    /// What is odd about it.
    pub warnings: Vec<String>,
    layers: Layers,
}

impl Inputs {
    /// The first artifact that has a file.
    fn with(&self, file: &Path) -> Option<PathBuf> {
        let folders = self.names.iter().map(|name| self.folder.join(name));
        folders.into_iter().find(|artifact| artifact.join(file).is_file())
    }

    /// Finds slipway.toml and makes settings of it.
    ///
    /// # Errors
    /// A file that is missing or wrong: what is wrong is said as `slipway` says it elsewhere.
    pub fn settle(&self, properties: &Properties, needs: Needs) -> Result<Settled, Failure> {
        let path = properties.path.join(&properties.config);
        let Some(artifact) = self.with(&path) else {
            let shown = path.display();
            return Err(Failure::new(Kind::Input, format!("no input artifact has a `{shown}`"))
                .cause(format!("the input artifacts are {}", listed(&self.names)))
                .left("nothing was done")
                .hint(
                    "slipway.toml configures what the action does: commit one, or name its folder in the action's `Path` and \
                     its name in `Config`",
                ));
        };
        let file = artifact.join(&path);
        let folder = file.parent().map(Path::to_owned).unwrap_or_default();
        let read = layers::read(
            Some(&folder),
            Some(&file),
            properties.environment.clone(),
            Vec::new(),
        );
        let mut layers = read.map_err(unreadable)?;
        layers.checkout = properties.checkout.clone();
        if layers.checkout.commit.is_none() {
            layers.checkout = self.source().unwrap_or(layers.checkout);
        }
        if let Some(document) = &mut layers.file {
            let shown = file.strip_prefix(&self.folder).unwrap_or(&file);
            document.place = shown.display().to_string();
        }
        let read_file = |file: &Path| confine::read(file, &self.folder, layers::read_file);
        let resolved = resolve(&layers, needs, &read_file).map_err(|problems| {
            let problems = problems.iter().map(ToString::to_string).collect();
            Failure::misconfigured("slipway.toml", problems)
        })?;
        let mut settings = resolved.settings;
        if let DefinitionsSource::File(wanted) = &settings.deploy.source
            && needs.deploy
            && !wanted.is_file()
            && let Some(name) = wanted.file_name()
            && let Some(other) = self.with(Path::new(name))
        {
            settings.deploy.source = DefinitionsSource::File(other.join(name));
        }
        let services = settings.services.iter_mut();
        let services = services.filter_map(|service| service.task_definition.as_mut());
        let tasks = settings.tasks.iter_mut();
        let tasks = tasks.filter_map(|task| task.task_definition.as_mut());
        for file in services.chain(tasks).filter(|file| goes_nowhere(file)) {
            // `..` of a folder that the build did not take along.
            *file = plain(file).unwrap_or_else(|| file.clone());
        }
        confine::check(&settings, &self.folder)?;
        Ok(Settled {
            settings,
            artifact,
            file,
            warnings: resolved.warnings,
            layers,
        })
    }

    /// The commit and the branch that a build of the same pipeline noted.
    fn source(&self) -> Option<crate::config::written::Checkout> {
        let artifact = self.with(Path::new(SOURCE))?;
        let bytes = layers::read_file(&artifact.join(SOURCE)).ok()?;
        let noted: Value = serde_json::from_slice(&bytes).ok()?;
        let text = |name: &str| noted.get(name)?.as_str().map(str::to_owned);
        Some(crate::config::written::Checkout {
            commit: text("commit"),
            branch: text("branch"),
        })
    }
}

impl Settled {
    /// What a deploy of the same file needs besides imagedefinitions.json: the file, and the task definitions that it
    /// names; each with its name in the artifact. Why it cannot be told is told where the deploy would fail.
    pub fn companions(&self, inputs: &Inputs) -> (Vec<(String, PathBuf)>, Option<String>) {
        let mut files = vec![self.file.clone()];
        let read_file = |file: &Path| confine::read(file, &inputs.folder, layers::read_file);
        let needs = Needs {
            build: false,
            deploy: true,
        };
        let mut warning = None;
        match resolve(&self.layers, needs, &read_file) {
            // The artifact is for whoever may read it: nothing else of the worker's disk gets there.
            Ok(resolved) => match confine::check(&resolved.settings, &inputs.folder) {
                Ok(()) => {
                    let services = resolved.settings.services.into_iter();
                    files.extend(services.filter_map(|service| service.task_definition));
                    let tasks = resolved.settings.tasks.into_iter();
                    files.extend(tasks.filter_map(|task| task.task_definition));
                }
                Err(failure) => warning = Some(unusable(failure.root_cause().unwrap_or(failure.what))),
            },
            Err(problems) => {
                let first = problems.first().map(ToString::to_string).unwrap_or_default();
                warning = Some(unusable(first));
            }
        }
        let mut named = BTreeMap::new();
        let mut misleading = Vec::new();
        for file in files.into_iter().filter(|file| file.is_file()) {
            let Some((name, there)) = self.name_in_artifact(&file) else {
                continue;
            };
            if there.canonicalize().ok() == file.canonicalize().ok() {
                named.insert(name, file);
            } else {
                misleading.push(name);
            }
        }
        for name in misleading {
            // Behind a link to a folder `..` leads elsewhere than its words say. The output has no links, so the deploy would
            // take what has that name there: nothing may have it.
            named.remove(&name);
            warning.get_or_insert_with(|| {
                unusable(format!("a path to `{name}` leads elsewhere through a link"))
            });
        }
        (named.into_iter().collect(), warning)
    }

    /// The name of a file in the artifact of slipway.toml, by the words of its path alone, and where that is; none if it is
    /// not there.
    fn name_in_artifact(&self, file: &Path) -> Option<(String, PathBuf)> {
        let there = plain(file)?;
        let name = there.strip_prefix(&self.artifact).ok()?.to_str()?.to_owned();
        Some((name, there))
    }

    /// What is noted of the source.
    #[must_use]
    pub fn source(&self) -> String {
        let checkout = &self.layers.checkout;
        json!({ "commit": checkout.commit, "branch": checkout.branch }).to_string()
    }
}

/// Whether a path goes back from a folder that does not exist.
fn goes_nowhere(path: &Path) -> bool {
    let mut so_far = PathBuf::new();
    path.components().any(|component| {
        let nowhere = component == Component::ParentDir && !so_far.exists();
        so_far.push(component);
        nowhere
    })
}

/// A path without `.` and `..`, by its words alone; none if it leaves its root.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_none() => return None,
            Component::ParentDir => drop(plain.pop()),
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => plain.push(component),
        }
    }
    Some(plain)
}

fn listed(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

fn unreadable(error: LayerError) -> Failure {
    Failure::new(Kind::Input, "slipway.toml could not be read")
        .because(error)
        .left("nothing was done")
}

fn unusable(why: impl fmt::Display) -> String {
    format!("a deploy action could not use this slipway.toml as it is: {why}")
}
