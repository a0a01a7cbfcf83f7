//! A small image, made here: a static busybox, and nothing that would have to be pulled.

use flate2::{Compression, write::GzEncoder};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What a registry serves.
pub struct Image {
    /// Every blob by its digest.
    pub blobs: BTreeMap<String, Vec<u8>>,
    /// The manifest.
    pub manifest: Vec<u8>,
    /// The manifest's digest.
    pub digest: String,
}

/// The media type of the manifest.
pub const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// An image with busybox as its shell and a health check that always fails, which ECS ignores. Each name makes another
/// one: of two sandboxes that pull the same image, one that removes its last name takes it from the other's hands.
pub fn busybox(name: &str) -> Image {
    let layer = layer();
    let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::Write::write_all(&mut zipped, &layer).unwrap();
    let zipped = zipped.finish().unwrap();
    let architecture = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    };
    let config = serde_json::to_vec(&json!({
        "architecture": architecture,
        "os": "linux",
        "config": {
            "Env": ["PATH=/bin"],
            "Cmd": ["/bin/sh", "-c", "echo the image's own command"],
            "Labels": {"slipway.test": name},
            "Healthcheck": {"Test": ["CMD", "/bin/false"], "Interval": 1_000_000_000, "Retries": 1}
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]}
    }))
    .unwrap();
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": config.len(), "digest": digest(&config)
        },
        "layers": [{
            "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "size": zipped.len(), "digest": digest(&zipped)
        }]
    }))
    .unwrap();
    Image {
        digest: digest(&manifest),
        blobs: [config, zipped].map(|blob| (digest(&blob), blob)).into(),
        manifest,
    }
}

fn layer() -> Vec<u8> {
    // Debian's busybox-static.
    let program = std::fs::read("/bin/busybox").unwrap();
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(program.len() as u64);
    header.set_mode(0o755);
    tar.append_data(&mut header, "bin/busybox", program.as_slice())
        .unwrap();
    for name in [
        "sh", "sleep", "httpd", "wget", "cat", "false", "id", "test", "touch", "rm",
    ] {
        let mut link = tar::Header::new_ustar();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        tar.append_link(&mut link, format!("bin/{name}"), "busybox")
            .unwrap();
    }
    let mut page = tar::Header::new_ustar();
    page.set_size(3);
    page.set_mode(0o644);
    tar.append_data(&mut page, "www/index.html", &b"hi\n"[..])
        .unwrap();
    tar.into_inner().unwrap()
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold("sha256:".to_owned(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
}
