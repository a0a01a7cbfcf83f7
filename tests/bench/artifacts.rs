//! Artifacts by hand, for benchmarks and referees: the library's own calls, and nothing else.
//!
//! ```text
//! artifacts unpack ARCHIVE FOLDER               artifacts fetch ENDPOINT BUCKET KEY FOLDER
//! artifacts pack FOLDER ZIP                     artifacts store ENDPOINT BUCKET KEY FOLDER
//! ```
//!
//! Prints one JSON object: seconds, bytes (of the files, or of the zip), and the most memory that the process ever had.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool of scripts: what it measured goes to stdout, what went wrong to stderr"
)]

use serde_json::json;
use slipway::artifact::archive::{Content, Entry, pack_into};
use slipway::artifact::transfer::{Bucket, fetch, store};
use slipway::artifact::unpack::{Limits, unpack};
use slipway::aws::{Aws, AwsSettings, StaticKeys};
use slipway::clock::Clock;
use slipway::config::settings::ArtifactTarget;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // Cargo gives benchmarks a flag of its own.
    let arguments: Vec<&str> = arguments.into_iter().filter(|it| *it != "--bench").collect();
    let began = Clock::System.now();
    let bytes = match arguments[..] {
        ["unpack", archive, folder] => unpack_file(Path::new(archive), Path::new(folder)),
        ["pack", folder, zip] => pack_folder(Path::new(folder), Path::new(zip)),
        ["fetch", endpoint, bucket, key, folder] => fetch_into(endpoint, bucket, key, folder.into()).await,
        ["store", endpoint, bucket, key, folder] => store_from(endpoint, bucket, key, folder.into()).await,
        _ => Err("usage: see tests/bench/artifacts.rs".into()),
    };
    let seconds = (Clock::System.now() - began).as_secs_f64();
    match bytes {
        Ok(bytes) => {
            println!(
                "{}",
                json!({ "seconds": seconds, "bytes": bytes, "peak-kib": peak() })
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            tell(&*error);
            ExitCode::FAILURE
        }
    }
}

fn tell(error: &dyn Error) {
    eprintln!("error: {error}");
    let mut next = error.source();
    while let Some(cause) = next {
        eprintln!("cause: {cause}");
        next = cause.source();
    }
}

fn unpack_file(archive: &Path, folder: &Path) -> Result<u64> {
    Ok(unpack(File::open(archive)?, folder, &Limits::default())?.bytes)
}

fn pack_folder(folder: &Path, zip: &Path) -> Result<u64> {
    let file = BufWriter::with_capacity(1024 * 1024, File::create(zip)?);
    pack_into(entries(folder)?, file)?;
    Ok(fs::metadata(zip)?.len())
}

async fn fetch_into(endpoint: &str, bucket: &str, key: &str, folder: PathBuf) -> Result<u64> {
    let aws = connect(endpoint).await?;
    let spool = tempfile::tempfile()?;
    let archive = fetch(&Bucket::new(&aws.s3), (bucket, key), spool).await?;
    let unpacked = tokio::task::spawn_blocking(move || unpack(archive, &folder, &Limits::default()));
    Ok(unpacked.await??.bytes)
}

async fn store_from(endpoint: &str, bucket: &str, key: &str, folder: PathBuf) -> Result<u64> {
    let aws = connect(endpoint).await?;
    let target = ArtifactTarget {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        kms_key: None,
    };
    let entries = entries(&folder)?;
    Ok(store(&Bucket::new(&aws.s3), &target, entries).await?.bytes)
}

async fn connect(endpoint: &str) -> Result<Aws> {
    let keys = StaticKeys {
        access_key_id: "sandbox".to_owned().into(),
        secret_access_key: "sandbox".to_owned().into(),
        session_token: None,
    };
    let settings = AwsSettings {
        region: Some("eu-west-1".to_owned()),
        endpoint: Some(endpoint.to_owned()),
        credentials: Some(keys),
    };
    Ok(Aws::connect(settings).await?)
}

/// Every file below a folder.
fn entries(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(here) = left.pop() {
        for entry in fs::read_dir(here)? {
            let path = entry?.path();
            let metadata = path.metadata()?;
            if metadata.is_dir() {
                left.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).map_err(io::Error::other)?;
            entries.push(Entry {
                name: name.to_string_lossy().into_owned(),
                mode: metadata.permissions().mode(),
                content: Content::File(path),
            });
        }
    }
    Ok(entries)
}

/// The most memory that this process ever had, in KiB.
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
