//! Sources and pipelines of a bench.

use super::canaries;
use super::place::{ARTIFACTS, CLUSTER, KEY, REPOSITORY, SOURCES};
use serde_json::{Value, json};
use std::io::{Cursor, Write as _};

/// A source: the files of a commit.
#[derive(Debug, Clone)]
pub struct Source {
    files: Vec<(String, String)>,
}

impl Source {
    /// One that builds `web` and deploys it to these services; `version` tells it from others.
    pub fn of(services: &[String], version: &str, more: &str) -> Self {
        let mut toml = format!(
            "[image.web]\nrepository = \"{REPOSITORY}\"\ntags = [\"${{commit}}\"]\n\
             args = {{ NOTE = \"${{env:NOTE}}\" }}\n\n[deploy]\ncluster = \"{CLUSTER}\"\ntimeout = \"60m\"\n"
        );
        for service in services {
            toml.push_str(&format!(
                "\n[service.{service}]\nenv.web = {{ TOKEN = \"${{env:TOKEN}}\", OTHER = \"{}\" }}\n{more}",
                canaries::TOML_VALUE
            ));
        }
        Self::with(&[
            ("slipway.toml", &toml),
            (
                "Dockerfile",
                "FROM scratch\nARG NOTE\nRUN echo it says $NOTE\nCOPY . /\n",
            ),
            ("version.txt", version),
        ])
    }

    /// These files.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        Self {
            files: files.collect(),
        }
    }

    /// The same with a file replaced, or added.
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.retain(|(other, _)| other != name);
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// As an archive.
    pub fn zip(&self) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in &self.files {
            let options = zip::write::SimpleFileOptions::default();
            zip.start_file(name, options).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }
}

/// The key of a pipeline's source.
pub fn key_of(pipeline: &str) -> String {
    format!("{pipeline}.zip")
}

/// A pipeline Source -> Build -> Deploy.
pub fn declaration(name: &str, mode: &str, fleet: &str) -> Value {
    let custom = |name: &str, category: &str, commit: &str, input: &str, output: Option<&str>| {
        json!({
            "name": name,
            "actionTypeId": { "category": category, "owner": "Custom", "provider": "Slipway", "version": "1" },
            "configuration": {
                "Fleet": fleet,
                "Commit": commit,
                "Variables": json!({ "NOTE": format!("hello {}", canaries::PROPERTY) }).to_string(),
                "Secrets": json!({ "TOKEN": canaries::PROPERTY }).to_string(),
            },
            "inputArtifacts": [{ "name": input }],
            "outputArtifacts": output.map(|name| json!({ "name": name })).into_iter().collect::<Vec<_>>(),
            "namespace": name,
        })
    };
    let source = json!({
        "name": "Fetch",
        "actionTypeId": { "category": "Source", "owner": "AWS", "provider": "S3", "version": "1" },
        "configuration": { "S3Bucket": SOURCES, "S3ObjectKey": key_of(name), "PollForSourceChanges": "false" },
        "outputArtifacts": [{ "name": "SourceOutput" }],
        "namespace": "Source",
    });
    let build = custom("Build", "Build", "#{Source.ETag}", "SourceOutput", Some("Images"));
    let deploy = custom("Deploy", "Deploy", "#{Source.ETag}", "Images", None);
    let stage = |name: &str, action: Value| json!({ "name": name, "actions": [action] });
    json!({ "pipeline": {
        "name": name,
        "roleArn": "arn:aws:iam::000000000000:role/pipeline",
        "artifactStore": {
            "type": "S3",
            "location": ARTIFACTS,
            "encryptionKey": { "id": KEY, "type": "KMS" },
        },
        "stages": [stage("Source", source), stage("Build", build), stage("Deploy", deploy)],
        "executionMode": mode,
        "pipelineType": "V2",
    } })
}
