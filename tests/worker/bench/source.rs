//! Sources and pipelines of a bench.

use super::place::{ARTIFACTS, CLUSTER, DEPLOYER, EXTERNAL_ID, FIRST_IMAGE, KEY, REPOSITORY, SOURCES};
use super::{FLEET, canaries};
use serde_json::{Value, json};
use std::io::{Cursor, Write as _};

/// A source: the files of a commit.
#[derive(Debug, Clone)]
pub struct Source {
    files: Vec<(String, String)>,
    links: Vec<(String, String)>,
}

impl Source {
    /// One that builds `web` and deploys it to these services; `version` tells it from others, `more` is added to its
    /// slipway.toml.
    pub fn of(services: &[String], version: &str, more: &str) -> Self {
        let mut toml = format!(
            "[image.web]\nrepository = \"{REPOSITORY}\"\ntags = [\"${{commit}}\"]\n\
             args = {{ NOTE = \"${{env:NOTE}}\" }}\n\n[deploy]\ncluster = \"{CLUSTER}\"\ntimeout = \"60m\"\n\
             role-arn = \"{DEPLOYER}\"\nexternal-id = \"{EXTERNAL_ID}\"\n"
        );
        for service in services {
            toml.push_str(&format!(
                "\n[service.{service}]\nenv.web = {{ TOKEN = \"${{env:TOKEN}}\", OTHER = \"{}\" }}\n",
                canaries::TOML_VALUE
            ));
        }
        toml.push_str(more);
        Self::with(&[
            ("slipway.toml", &toml),
            (
                "Dockerfile",
                "FROM scratch\nARG NOTE\nRUN echo it says $NOTE\nCOPY . /\n",
            ),
            ("version.txt", version),
        ])
    }

    /// One that changes nothing: it names the image that these services run.
    pub fn unchanged(services: &[String]) -> Self {
        let mut toml = format!("[deploy]\ncluster = \"{CLUSTER}\"\ntimeout = \"4h\"\n");
        for service in services {
            toml.push_str(&format!("\n[service.{service}]\n"));
        }
        let definitions = json!([{ "name": "web", "imageUri": FIRST_IMAGE }]).to_string();
        Self::with(&[("slipway.toml", &toml), ("imagedefinitions.json", &definitions)])
    }

    /// These files.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        Self {
            files: files.collect(),
            links: Vec::new(),
        }
    }

    /// The same in a folder.
    pub fn below(mut self, folder: &str) -> Self {
        for (name, _) in &mut self.files {
            *name = format!("{folder}/{name}");
        }
        self
    }

    /// The same with a file replaced, or added.
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.retain(|(other, _)| other != name);
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// The same with a symbolic link.
    pub fn link(mut self, name: &str, target: &str) -> Self {
        self.links.push((name.to_owned(), target.to_owned()));
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
        for (name, target) in &self.links {
            let options = zip::write::SimpleFileOptions::default();
            zip.add_symlink(name, target, options).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }
}

/// The key of a pipeline's source.
pub fn key_of(pipeline: &str) -> String {
    format!("{pipeline}.zip")
}

/// A pipeline Source -> Build -> Deploy; without its build if there is nothing to build.
pub fn declaration(name: &str, mode: &str, builds: bool) -> Value {
    let source = json!({
        "name": "Fetch",
        "actionTypeId": { "category": "Source", "owner": "AWS", "provider": "S3", "version": "1" },
        "configuration": { "S3Bucket": SOURCES, "S3ObjectKey": key_of(name), "PollForSourceChanges": "false" },
        "outputArtifacts": [{ "name": "SourceOutput" }],
        "namespace": "Source",
    });
    let stage = |name: &str, action: Value| json!({ "name": name, "actions": [action] });
    let mut stages = vec![stage("Source", source)];
    if builds {
        stages.push(stage("Build", custom("Build", "SourceOutput", &["Images"])));
        stages.push(stage("Deploy", custom("Deploy", "Images", &[])));
    } else {
        stages.push(stage("Deploy", custom("Deploy", "SourceOutput", &[])));
    }
    json!({ "pipeline": {
        "name": name,
        "roleArn": "arn:aws:iam::000000000000:role/pipeline",
        "artifactStore": {
            "type": "S3",
            "location": ARTIFACTS,
            "encryptionKey": { "id": KEY, "type": "KMS" },
        },
        "stages": stages,
        "executionMode": mode,
        "pipelineType": "V2",
    } })
}

/// A pipeline whose Build and Deploy are changed.
pub fn changed(mut declaration: Value, change: impl Fn(&mut Value)) -> Value {
    for stage in declaration["pipeline"]["stages"].as_array_mut().unwrap() {
        let action = &mut stage["actions"][0];
        if action["actionTypeId"]["owner"] == "Custom" {
            change(action);
        }
    }
    declaration
}

/// An action of ours, named by its category.
fn custom(category: &str, input: &str, outputs: &[&str]) -> Value {
    let outputs = outputs.iter().map(|name| json!({ "name": name }));
    json!({
        "name": category,
        "actionTypeId": { "category": category, "owner": "Custom", "provider": "Slipway", "version": "1" },
        "configuration": {
            "Fleet": FLEET,
            "Commit": "#{Source.ETag}",
            "Variables": json!({ "NOTE": format!("hello {}", canaries::PROPERTY) }).to_string(),
            "Secrets": json!({ "TOKEN": canaries::PROPERTY }).to_string(),
        },
        "inputArtifacts": [{ "name": input }],
        "outputArtifacts": outputs.collect::<Vec<_>>(),
        "namespace": category,
    })
}
