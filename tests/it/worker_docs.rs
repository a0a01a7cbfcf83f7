//! The worker's documents and examples: what they name exists, and what they would start starts.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use serde_json::Value;
use slipway::cli::{self, Typed, Verb};
use slipway::config::worker::{OPTIONS, WorkerSettings, resolve};
use slipway::config::written::Environment;
use slipway::pipeline::action_type::{LogLink, Place, define, properties};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file below a folder with this ending.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut folders = vec![root().join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn example(name: &str) -> Value {
    json(&root().join("examples/worker").join(name))
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().unwrap();
    list.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

fn typed(words: &[String]) -> Typed {
    let line = std::iter::once("slipway".to_owned()).chain(words.iter().cloned());
    cli::parse(line.map(Into::into)).unwrap_or_else(|error| panic!("{error}"))
}

/// What a container of a task definition would be told, by its command and its environment.
fn settings(container: &Value) -> WorkerSettings {
    let environment: Environment = container["environment"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["name"].as_str().unwrap().to_owned(),
                one["value"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let resolved = resolve(&environment, &typed(&texts(&container["command"])).flags)
        .unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(resolved.warnings, [""; 0]);
    resolved.settings
}

#[test]
fn every_option_has_its_row() {
    let text = read("docs/worker.md");
    for option in OPTIONS {
        let begins = format!("| `{}` | `{}` | ", option.flag, option.variable);
        let row = text
            .lines()
            .find(|line| line.starts_with(&begins))
            .unwrap_or_else(|| panic!("no row for {}", option.flag));
        let default = format!("| `{}` |", option.default);
        assert!(option.default.is_empty() || row.contains(&default), "{row}");
    }
    for property in define(
        "Deploy/Slipway/1".parse().unwrap(),
        &Place::in_region("eu-west-1"),
        &LogLink::default(),
    )
    .shape
    .properties
    {
        assert!(
            text.contains(&format!("\n| `{}` | ", property.name)),
            "{}",
            property.name
        );
    }
}

/// The flags that a text names between backticks or behind `slipway`.
fn flags(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .filter(|word| word.starts_with("--") && word.len() > 4)
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_guide_names_only_flags_that_exist_and_files_that_are_there() {
    let text = read("docs/worker.md");
    let mut command = cli::command();
    command.build();
    let mut known: BTreeSet<String> = BTreeSet::new();
    let mut commands = vec![&command];
    while let Some(next) = commands.pop() {
        known.extend(
            next.get_arguments()
                .filter_map(|it| it.get_long())
                .map(|it| format!("--{it}")),
        );
        commands.extend(next.get_subcommands());
    }
    // Docker's own, in the line that starts the image.
    known.extend(["--rm", "--group-add"].map(str::to_owned));
    let unknown: Vec<_> = flags(&text).difference(&known).cloned().collect();
    assert_eq!(unknown, [""; 0]);
    let links: Vec<&str> = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(link, _)| link)
        .collect();
    assert!(links.len() > 10);
    for link in links {
        assert!(root().join("docs").join(link).exists(), "{link}");
    }
    // And none of them is forgotten.
    for file in files("examples/worker", "json") {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(text.contains(name), "{name}");
    }
}

#[test]
fn the_sample_tasks_start_workers_whose_health_they_check() {
    for (file, builds) in [("task-definition.json", 0), ("task-definition-builds.json", 2)] {
        let definition = example(file);
        let container = &definition["containerDefinitions"][0];
        let worker = settings(container);
        assert_eq!(worker.builds, builds, "{file}");
        let mounted: Vec<&Value> = container["mountPoints"]
            .as_array()
            .unwrap()
            .iter()
            .map(|point| &point["containerPath"])
            .collect();
        assert!(
            mounted
                .iter()
                .any(|path| **path == *worker.state_dir.to_str().unwrap()),
            "{file}"
        );
        // A build that cannot end is told before ECS kills the worker.
        let stop = container["stopTimeout"].as_u64().unwrap();
        assert!(builds == 0 || worker.grace.as_secs() < stop, "{file}");
        let probe = texts(&container["healthCheck"]["command"]);
        assert_eq!(probe[..2], ["CMD", "/usr/local/bin/slipway"]);
        let Verb::Worker(args) = typed(&probe[2..]).cli.verb else {
            panic!("{file}: not a worker")
        };
        assert_eq!(args.probe.unwrap(), worker.health.unwrap().to_string());
        assert_eq!(
            container["logConfiguration"]["options"]["awslogs-group"],
            "/slipway/worker"
        );
    }
}

#[test]
fn the_image_starts_a_worker_whose_health_it_checks() {
    let text = read("Dockerfile");
    // Backslashes go on in the next line.
    let text = text.replace("\\\n", " ");
    let after = |instruction: &str| -> Vec<String> {
        let line = text
            .lines()
            .map(str::trim)
            .rfind(|line| line.starts_with(instruction))
            .unwrap_or_else(|| panic!("no {instruction}"));
        let (_, list) = line.split_once('[').unwrap();
        texts(&serde_json::from_str(&format!("[{list}")).unwrap())
    };
    let environment: Environment = text
        .lines()
        .find_map(|line| line.strip_prefix("ENV "))
        .unwrap()
        .split_whitespace()
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    // Where nothing else can be written, an artifact that slipway.toml names is spooled beside those of jobs.
    assert_eq!(environment.value("TMPDIR"), environment.value("SLIPWAY_WORK_DIR"));
    let worker = resolve(&environment, &typed(&after("CMD")).flags).unwrap();
    assert_eq!(worker.warnings, [""; 0]);
    let probe = after("HEALTHCHECK");
    let Verb::Worker(args) = typed(&probe[1..]).cli.verb else {
        panic!("not a worker")
    };
    assert_eq!(args.probe.unwrap(), worker.settings.health.unwrap().to_string());
    let volumes = after("VOLUME");
    for folder in [&worker.settings.state_dir, &worker.settings.work_dir] {
        assert!(
            volumes.iter().any(|volume| Path::new(volume) == folder),
            "{folder:?}"
        );
    }
    // What is copied into the build can be copied.
    for line in text.lines().filter_map(|line| line.strip_prefix("COPY ")) {
        let names = line.split_whitespace().filter(|name| !name.starts_with("--"));
        let names: Vec<&str> = names.collect();
        for name in &names[..names.len() - 1] {
            let is_ours = !name.starts_with('/');
            assert!(!is_ours || root().join(name).exists(), "{name}");
            assert!(
                !is_ours || read(".dockerignore").contains(&format!("!{name}\n")),
                "{name}"
            );
        }
    }
}

#[test]
fn the_sample_pipeline_uses_the_types_as_they_are() {
    let pipeline = example("pipeline.json");
    let mut checked = 0;
    for stage in pipeline["pipeline"]["stages"].as_array().unwrap() {
        for action in stage["actions"].as_array().unwrap() {
            let kind = &action["actionTypeId"];
            if kind["owner"] != "Custom" {
                continue;
            }
            let part = |name: &str| kind[name].as_str().unwrap();
            let id = format!("{}/{}/{}", part("category"), part("provider"), part("version"));
            let shape = define(
                id.parse().unwrap(),
                &Place::in_region("eu-west-1"),
                &LogLink::default(),
            )
            .shape;
            let configured = action["configuration"].as_object().unwrap();
            for name in configured.keys() {
                assert!(
                    shape.properties.iter().any(|property| property.name == *name),
                    "{id}: {name}"
                );
            }
            for property in shape.properties.iter().filter(|property| property.required) {
                assert!(configured.contains_key(&property.name), "{id}: {}", property.name);
            }
            let count = |list: &Value| list.as_array().map_or(0, Vec::len);
            assert!((1..=5).contains(&count(&action["inputArtifacts"])));
            assert!(count(&action["outputArtifacts"]) <= usize::from(shape.outputs.most));
            assert_eq!(configured[properties::FLEET], "default");
            checked += 1;
        }
    }
    assert_eq!(checked, 2);
}

/// The services whose calls are named by their IAM actions.
const SERVICES: [&str; 7] = [
    "codepipeline",
    "ecr",
    "ecs",
    "elasticloadbalancing",
    "logs",
    "sqs",
    "sts",
];

/// The IAM actions that slipway names where it calls AWS, the sandbox apart.
fn called() -> BTreeSet<String> {
    let mut called = BTreeSet::new();
    for file in files("src", "rs") {
        let name = file.file_name().unwrap().to_string_lossy();
        let is_test = name.ends_with("tests.rs") || file.components().any(|part| part.as_os_str() == "tests");
        if file.starts_with(root().join("src/sandbox")) || is_test {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for quoted in text.split('"') {
            let is_action = quoted.split_once(':').is_some_and(|(service, action)| {
                let is_word = action.chars().all(|c| c.is_ascii_alphanumeric());
                SERVICES.contains(&service) && is_word && action.starts_with(|c: char| c.is_ascii_uppercase())
            });
            if is_action {
                called.insert(quoted.to_owned());
            }
        }
    }
    called
}

#[test]
fn the_policies_allow_what_is_called_and_each_statement_is_whole() {
    let mut allowed = BTreeSet::new();
    for file in files("examples/worker/policies", "json") {
        let policy = json(&file);
        let name = file.display();
        assert_eq!(policy["Version"], "2012-10-17", "{name}");
        for statement in policy["Statement"].as_array().unwrap() {
            assert_eq!(statement["Effect"], "Allow", "{name}");
            assert!(
                statement.get("Resource").is_some() != statement.get("Principal").is_some(),
                "{name}"
            );
            match &statement["Action"] {
                Value::String(action) => drop(allowed.insert(action.clone())),
                list => allowed.extend(texts(list)),
            }
        }
    }
    let called = called();
    assert!(called.len() > 25, "{called:?}");
    // Creating a repository is for who asks for it, and who one is may be asked without leave.
    let optional = BTreeSet::from(["ecr:CreateRepository", "sts:GetCallerIdentity"].map(str::to_owned));
    let missing: Vec<_> = called
        .difference(&allowed)
        .filter(|it| !optional.contains(*it))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    // Checked by AWS beside a call, or called by the Engine that pushes.
    let beside = BTreeSet::from(
        [
            "ecs:TagResource",
            "ecr:BatchCheckLayerAvailability",
            "ecr:CompleteLayerUpload",
            "ecr:GetDownloadUrlForLayer",
            "ecr:InitiateLayerUpload",
            "ecr:PutImage",
            "ecr:UploadLayerPart",
        ]
        .map(str::to_owned),
    );
    let is_ours = |action: &String| SERVICES.contains(&action.split(':').next().unwrap_or_default());
    let unused: Vec<_> = allowed
        .iter()
        .filter(|it| is_ours(it) && !called.contains(*it) && !beside.contains(*it))
        .collect();
    assert!(unused.is_empty(), "allowed, and never asked for: {unused:?}");
}
