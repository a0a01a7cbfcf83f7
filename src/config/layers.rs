//! The one reader of the environment and of `slipway.toml`: raw layers, nothing understood yet.

use super::checkout;
use super::written::{Document, Environment, Given, Layers};
use crate::aws::AwsSettings;
use crate::image::endpoint::EngineEnv;
use crate::secret::Secret;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The file that is looked for in PATH.
pub const FILE_NAME: &str = "slipway.toml";

/// The most that a configuration file may hold; nobody writes as much.
const MOST_BYTES: u64 = 1 << 20;

/// Why a layer could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// PATH is no folder.
    #[error("find the folder `{path}`")]
    FindFolder {
        /// The path as it was given.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The configuration file cannot be read.
    #[error("read `{path}`")]
    ReadFile {
        /// The file as it was given.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Takes the environment, once; bytes that are no UTF-8 are replaced.
#[must_use]
pub fn environment() -> Environment {
    std::env::vars_os()
        .map(|(name, value)| {
            (
                name.to_string_lossy().into_owned(),
                value.to_string_lossy().into_owned(),
            )
        })
        .collect()
}

/// Reads every layer: `slipway.toml` in `path` (or the file named by `--config` or `SLIPWAY_CONFIG`), the environment,
/// the flags, and the checkout around the folder.
///
/// # Errors
/// [`LayerError`] when PATH is no folder, or a file is there and cannot be read.
pub fn read(
    path: Option<&Path>,
    config: Option<&Path>,
    environment: Environment,
    flags: Vec<Given>,
) -> Result<Layers, LayerError> {
    let named = config
        .map(Path::to_owned)
        .or_else(|| environment.value("SLIPWAY_CONFIG").map(PathBuf::from));
    let start = match (path, &named) {
        (Some(path), _) => path.to_owned(),
        (None, Some(file)) => file.parent().map(Path::to_owned).unwrap_or_default(),
        (None, None) => PathBuf::new(),
    };
    let folder = find_folder(&start)?;
    let file = match &named {
        Some(named) => Some(read_document(named)?),
        None => {
            let file = start.join(FILE_NAME);
            match read_document(&file) {
                Err(LayerError::ReadFile { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
                read => Some(read?),
            }
        }
    };
    Ok(Layers {
        checkout: checkout::read(&folder),
        folder,
        file,
        environment,
        flags,
    })
}

fn find_folder(path: &Path) -> Result<PathBuf, LayerError> {
    let shown = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let found = shown.canonicalize().and_then(|folder| {
        let is_folder = folder.metadata()?.is_dir();
        if is_folder {
            Ok(folder)
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    });
    found.map_err(|source| LayerError::FindFolder {
        path: shown.display().to_string(),
        source,
    })
}

fn read_document(path: &Path) -> Result<Document, LayerError> {
    let place = path.display().to_string();
    match read_text(path) {
        Ok(text) => Ok(Document {
            place,
            text: Secret::new(text),
        }),
        Err(source) => Err(LayerError::ReadFile { path: place, source }),
    }
}

/// Reads a text of a size that people write: a device has no end.
fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read <= MOST_BYTES) {
        return Ok(text);
    }
    let what = format!("it is larger than {} MiB", MOST_BYTES >> 20);
    Err(io::Error::new(io::ErrorKind::FileTooLarge, what))
}

/// Reads a file that a setting names, such as the source of a build secret.
///
/// # Errors
/// The error of the file system.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path)
}

/// What the environment says about the Engine, by the names that Docker's own command line reads.
#[must_use]
pub fn engine(environment: &Environment) -> EngineEnv {
    let text = |name| environment.value(name).map(str::to_owned);
    let home = || {
        environment
            .value("HOME")
            .map(|home| Path::new(home).join(".docker"))
    };
    EngineEnv {
        host: text("DOCKER_HOST"),
        context: text("DOCKER_CONTEXT"),
        tls_verify: text("DOCKER_TLS_VERIFY"),
        cert_path: text("DOCKER_CERT_PATH").map(PathBuf::from),
        config_dir: text("DOCKER_CONFIG").map(PathBuf::from).or_else(home),
        api_version: text("DOCKER_API_VERSION"),
    }
}

/// What the layers say about AWS. Endpoints, credentials and profiles stay with the SDK, which reads them by AWS's own
/// rules.
#[must_use]
pub fn aws(region: Option<String>) -> AwsSettings {
    AwsSettings {
        region,
        ..AwsSettings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Environment, LayerError, engine, read};
    use std::fs;
    use std::path::Path;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn the_file_in_the_folder_is_read_and_its_absence_is_fine() {
        let folder = tempfile::tempdir().unwrap();
        let layers = read(Some(folder.path()), None, Environment::default(), Vec::new()).unwrap();
        assert!(layers.file.is_none() && layers.folder.is_absolute());
        fs::write(folder.path().join("slipway.toml"), "region = 'x'").unwrap();
        let layers = read(Some(folder.path()), None, Environment::default(), Vec::new()).unwrap();
        assert_eq!(layers.file.unwrap().text.expose(), "region = 'x'");
    }

    #[test]
    fn a_file_that_is_named_must_exist_and_gives_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("other.toml");
        let named = environment(&[("SLIPWAY_CONFIG", file.to_str().unwrap())]);
        let missing = read(None, None, named.clone(), Vec::new()).unwrap_err();
        assert!(matches!(missing, LayerError::ReadFile { .. }));
        fs::write(&file, "").unwrap();
        let layers = read(None, None, named, Vec::new()).unwrap();
        assert_eq!(layers.folder, folder.path().canonicalize().unwrap());
    }

    #[test]
    fn a_path_that_is_no_folder_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for path in [file.path(), Path::new("/nonexistent-folder")] {
            let refused = read(Some(path), None, Environment::default(), Vec::new()).unwrap_err();
            assert!(matches!(refused, LayerError::FindFolder { .. }), "{path:?}");
        }
    }

    #[test]
    fn the_engine_is_described_by_dockers_variables() {
        let none = engine(&environment(&[("DOCKER_HOST", "")]));
        assert_eq!(none, Default::default());
        let some = engine(&environment(&[
            ("HOME", "/root"),
            ("DOCKER_HOST", "tcp://127.0.0.1:1"),
        ]));
        assert_eq!(some.config_dir.as_deref(), Some(Path::new("/root/.docker")));
        assert_eq!(some.host.as_deref(), Some("tcp://127.0.0.1:1"));
        let moved = engine(&environment(&[("HOME", "/root"), ("DOCKER_CONFIG", "/d")]));
        assert_eq!(moved.config_dir.as_deref(), Some(Path::new("/d")));
    }
}
