//! What the layers mean, case by case.

use super::{DEFAULTS, Needs, Resolved, resolve};
use crate::config::keys::{KEYS, Section};
use crate::config::settings::{
    Builder, DefinitionsSource, OnFailure, Place, RepositoryTarget, Role, Settings, Until,
};
use crate::config::written::{Checkout, Document, Given, Layers};
use crate::name::Tag;
use crate::secret::Secret;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

const BUILD: Needs = Needs {
    build: true,
    deploy: false,
};
const DEPLOY: Needs = Needs {
    build: false,
    deploy: true,
};
const BOTH: Needs = Needs {
    build: true,
    deploy: true,
};

/// Layers of a file, variables and flags, in the folder `/shop`.
fn layers(file: &str, variables: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Layers {
    let mut given: Vec<Given> = Vec::new();
    for (flag, value) in flags {
        match given.iter_mut().find(|given| given.flag == *flag) {
            Some(given) => given.values.push((*value).to_owned()),
            None => given.push(Given {
                flag,
                values: vec![(*value).to_owned()],
            }),
        }
    }
    Layers {
        folder: PathBuf::from("/shop"),
        file: (!file.is_empty()).then(|| Document {
            place: "slipway.toml".to_owned(),
            text: Secret::new(file.to_owned()),
        }),
        environment: variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        flags: given,
        checkout: Checkout::default(),
    }
}

fn files(path: &Path) -> io::Result<Vec<u8>> {
    match path.to_str() {
        Some("/shop/build.key") => Ok(b"key".to_vec()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

fn resolved(layers: &Layers, needs: Needs) -> Resolved {
    resolve(layers, needs, &files).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn settings(layers: &Layers, needs: Needs) -> Settings {
    resolved(layers, needs).settings
}

fn problems(layers: &Layers, needs: Needs) -> Vec<String> {
    let problems = resolve(layers, needs, &files).expect_err("there are problems");
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn paths_are_told_without_dots_that_mean_nothing() {
    let web = settings(&layers("", &[], &[("--repository", "shop/web")]), BUILD)
        .images
        .remove(0);
    assert_eq!(
        (web.context.as_os_str(), web.dockerfile.as_os_str()),
        ("/shop".as_ref(), "/shop/Dockerfile".as_ref())
    );
}

const SHOP: &str = r#"
region = "eu-west-1"
[image.web]
repository = "shop/web"
args = { VERSION = "${CODEBUILD_RESOLVED_SOURCE_VERSION}" }
secrets = [{ id = "npm", env = "NPM_TOKEN" }, { id = "key", src = "build.key" }]
tags = ["${short-commit}", "${branch}-latest"]
[deploy]
cluster = "prod"
timeout = "10m"
[service.shop-web]
task-definition = "taskdef.json"
env = { web = { RELEASE = "${short-commit}" } }
"#;

const CODEBUILD: &[(&str, &str)] = &[
    (
        "CODEBUILD_RESOLVED_SOURCE_VERSION",
        "0123456789abcdef0123456789abcdef01234567",
    ),
    ("CODEBUILD_SOURCE_VERSION", "refs/heads/main"),
    ("NPM_TOKEN", "canary"),
];

#[test]
fn a_file_is_understood_with_its_variables_secrets_and_paths() {
    let settings = settings(&layers(SHOP, CODEBUILD, &[]), BOTH);
    let web = &settings.images[0];
    assert_eq!(web.args["VERSION"], "0123456789abcdef0123456789abcdef01234567");
    assert_eq!(
        web.labels["org.opencontainers.image.revision"],
        web.args["VERSION"]
    );
    let tags: Vec<&str> = web.tags.iter().map(Tag::as_str).collect();
    assert_eq!(tags, ["0123456", "main-latest"]);
    let secrets: Vec<_> = web
        .secrets
        .iter()
        .map(|it| (it.id.as_str(), it.value.expose().as_slice()))
        .collect();
    assert_eq!(secrets, [("npm", b"canary".as_slice()), ("key", b"key")]);
    assert_eq!(web.dockerfile, Path::new("/shop/Dockerfile"));
    let service = &settings.services[0];
    assert_eq!(
        service.task_definition.as_deref(),
        Some(Path::new("/shop/taskdef.json"))
    );
    assert_eq!(
        service.env[&"web".parse().unwrap()]["RELEASE"].expose(),
        "0123456"
    );
    assert_eq!(settings.deploy.timeout, Duration::from_secs(600));
    assert_eq!(
        settings.deploy.source,
        DefinitionsSource::File(PathBuf::from("/shop/imagedefinitions.json"))
    );
    assert!(!format!("{settings:?}").contains("canary"));
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let variables = [
        CODEBUILD,
        &[
            ("SLIPWAY_TIMEOUT", "5m"),
            ("SLIPWAY_UNTIL", "steady"),
            ("AWS_REGION", "us-east-1"),
        ],
    ]
    .concat();
    let flags = [
        ("--timeout", "90s"),
        ("--on-failure", "leave"),
        ("--build-arg", "EXTRA=1"),
        ("--tag", "only"),
    ];
    let settings = settings(&layers(SHOP, &variables, &flags), BOTH);
    assert_eq!(settings.deploy.timeout, Duration::from_secs(90));
    assert_eq!(settings.deploy.until, Until::Steady);
    assert_eq!(settings.deploy.on_failure, OnFailure::Leave);
    assert_eq!(settings.region.as_deref(), Some("us-east-1"));
    let web = &settings.images[0];
    assert_eq!(web.args.keys().collect::<Vec<_>>(), ["EXTRA", "VERSION"]);
    assert_eq!(web.tags.len(), 1);
}

#[test]
fn flags_alone_are_enough_for_one_image_and_one_service() {
    let flags = [
        ("--repository", "shop/web"),
        ("--container", "app"),
        ("--service", "shop-web"),
        ("--cluster", "prod"),
        ("--no-cache", "true"),
        ("--builder", "classic"),
        ("--secret", "id=key,src=build.key"),
        ("--artifact", "s3://bucket/a/b.zip"),
    ];
    let settings = settings(&layers("", &[], &flags), BOTH);
    let image = &settings.images[0];
    assert_eq!(
        (image.name.as_str(), image.builder, image.no_cache),
        ("app", Builder::Classic, true)
    );
    assert!(matches!(&image.repository, RepositoryTarget::Ecr(name) if name.as_str() == "shop/web"));
    assert_eq!(image.secrets[0].id, "key");
    assert_eq!(settings.services[0].name.as_str(), "shop-web");
    assert_eq!(settings.outputs.artifact.unwrap().key, "a/b.zip");
}

#[test]
fn all_problems_are_reported_at_once_each_with_its_place() {
    let file = r#"regoin = "eu-west-1"
[image.web]
repository = "shop/web:1"
platform = "amd64"
plattform = "linux/amd64"
tags = ["ok", "not ok", 3]
no-cache = "yes"
args = { A = "${sha}", B = "${build}" }
secrets = [{ id = "npm", env = "NPM_TOKEN" }]
[deploy]
cluster = "prod"
timeout = 15
[service.shop-web]
env = "RELEASE=1"
repository = "x"
"#;
    let variables = [("SLIPWAY_TIMEOUT", "soon"), ("SLIPWAY_ALLOW_ZERO", "maybe")];
    let flags = [("--until", "later"), ("--label", "no-equals-sign")];
    assert_eq!(
        problems(&layers(file, &variables, &flags), BOTH),
        [
            "slipway.toml:1: regoin: unknown key; did you mean `region`?",
            "slipway.toml:3: image.web.repository: expected a repository without tag or digest, found `shop/web:1`; \
             tags belong in `tags`",
            "slipway.toml:4: image.web.platform: expected one platform like `linux/amd64` or `linux/arm64`, found \
             `amd64`",
            "slipway.toml:5: image.web.plattform: unknown key; did you mean `platform`?",
            "slipway.toml:6: image.web.tags: expected a list of strings, found an integer in it",
            "slipway.toml:7: image.web.no-cache: expected `true` or `false`, found a string",
            "slipway.toml:8: image.web.args.A: a `${...}` names no variable; there are `${commit}`, \
             `${short-commit}`, `${branch}`, `${build}`, `${env:NAME}`, `${CODEBUILD_...}`; `$${` stands for a plain \
             `${`",
            "slipway.toml:8: image.web.args.B: `${build}` has no value here: CODEBUILD_BUILD_NUMBER is not set",
            "slipway.toml:9: image.web.secrets: secret `npm`: the variable `NPM_TOKEN` is not set",
            "slipway.toml:12: deploy.timeout: expected a string, found an integer",
            "slipway.toml:14: service.shop-web.env: expected a table of tables of strings, found a string",
            "slipway.toml:15: service.shop-web.repository: unknown key here; it belongs in `[image.NAME]`",
            "SLIPWAY_ALLOW_ZERO: expected `true` or `false`, found `maybe`",
            "SLIPWAY_TIMEOUT: expected a duration like `15m`, `90s` or `1h30m`, found `soon`",
            "--label: expected `NAME=VALUE`",
            "--until: expected `healthy` or `steady`, found `later`",
        ]
    );
}

#[test]
fn one_wrong_line_is_one_problem() {
    for (file, problem) in [
        (
            "[image]\nrepository = \"a\"",
            "slipway.toml:2: image.repository: expected a table: `[image.NAME]` with `repository` inside",
        ),
        (
            "image = 3",
            "slipway.toml:1: image: expected one table per name: `[image.NAME]`",
        ),
        (
            "deploy = 3\n[image.a]\nrepository = \"a\"",
            "slipway.toml:1: deploy: expected a table",
        ),
        (
            "[image.'*']\nrepository = \"a\"",
            "slipway.toml:1: image.*: write the image's name for `*`",
        ),
        (
            "cluster = \"x\"\n[image.a]\nrepository = \"a\"",
            "slipway.toml:1: cluster: unknown key here; it belongs in `[deploy]`",
        ),
        (
            "[image.a]\nrepository = 3",
            "slipway.toml:2: image.a.repository: expected a string, found an integer",
        ),
        (
            "[image.a]",
            "image.a.repository: expected a repository: an ECR name like `shop/web`, or a whole `registry/repository`",
        ),
        (
            "[image.'a b']\nrepository = \"a\"",
            "slipway.toml:1: image.a b: `a b` is not a valid container name: ' ' at byte 1; letters, digits, `-` and `_` are allowed; write the container's name in `containers`",
        ),
        (
            "[image.a]\nrepository = \"a\"\n[output]\nkms-key = \"k\"",
            "slipway.toml:4: output.kms-key: is of no use without `artifact`",
        ),
        (
            "[image.a]\nrepository = \"a\"\nsecrets = [{ id = \"x\", evn = \"Y\" }]",
            "slipway.toml:3: image.a.secrets: expected a list of `{ id = ..., env = ... }` or `{ id = ..., src = ... }`, found a table in it",
        ),
        (
            "[image.a]\nrepository = \"a\"\n[dry-run]\nport = 70000",
            "slipway.toml:4: dry-run.port: expected a port from 1 to 65535",
        ),
    ] {
        assert_eq!(problems(&layers(file, &[], &[]), BUILD), [problem], "{file}");
    }
}

#[test]
fn nothing_to_do_says_what_to_write() {
    assert_eq!(
        problems(&layers("", &[], &[]), BOTH),
        [
            "image: nothing to build: write `[image.NAME]` in slipway.toml, or give `--repository`",
            "service: nothing to deploy to: write `[service.NAME]` in slipway.toml, or give `--service`",
        ]
    );
    assert_eq!(
        problems(&layers("", &[], &[("--service", "web")]), DEPLOY),
        ["deploy.cluster: write it, or give `--cluster` or `SLIPWAY_CLUSTER`"]
    );
}

#[test]
fn arguments_are_secret_by_their_names_and_by_those_of_their_variables() {
    let file = "[image.web]\nrepository = \"shop/web\"\n\
                args = { VERSION = \"${env:VERSION}\", NPM = \"x ${env:NPM_TOKEN}\", DB_PASSWORD = \"hunter22\" }\n";
    let environment = [("VERSION", "1.2.3-hello"), ("NPM_TOKEN", "canary-1")];
    let settings = settings(&layers(file, &environment, &[]), BUILD);
    let secret: Vec<&String> = settings.images[0].secret_args.iter().collect();
    assert_eq!(secret, ["DB_PASSWORD", "NPM"]);
}

#[test]
fn a_deploy_reads_no_secret_and_a_build_needs_no_cluster() {
    let deploy = settings(&layers(SHOP, &CODEBUILD[..2], &[]), DEPLOY);
    assert_eq!((deploy.images.len(), deploy.services.len()), (0, 1));
    let build = settings(
        &layers("[image.a]\nrepository = \"a\"\n[service.b]", &[], &[]),
        BUILD,
    );
    assert_eq!((build.images.len(), build.services.len()), (1, 0));
}

#[test]
fn a_flag_of_one_image_is_refused_where_there_are_two() {
    let two = "[image.a]\nrepository = \"a\"\n[image.b]\nrepository = \"b\"\n";
    assert_eq!(
        problems(&layers(two, &[], &[("--target", "x")]), BUILD),
        ["--target: speaks of one image, and there are 2: `a`, `b`; write it in their tables"]
    );
    let both = settings(&layers(two, &[], &[("--platform", "linux/arm64")]), BUILD);
    assert!(
        both.images
            .iter()
            .all(|image| image.platform.as_deref() == Some("linux/arm64"))
    );
    let detail = problems(&layers(two, &[("SLIPWAY_IMAGE_DETAIL", "d.json")], &[]), BUILD);
    assert_eq!(detail, ["SLIPWAY_IMAGE_DETAIL: holds one image, and there are 2"]);
}

#[test]
fn a_container_belongs_to_one_image() {
    let file = "[image.a]\nrepository = \"a\"\n[image.b]\nrepository = \"b\"\ncontainers = [\"a\"]\n";
    assert_eq!(
        problems(&layers(file, &[], &[]), BUILD),
        ["slipway.toml:5: image.b.containers: container `a` is named by `a` too"]
    );
}

#[test]
fn services_are_chosen_among_those_of_the_file() {
    let file = "[deploy]\ncluster = \"c\"\n[service.a]\n[service.b]\ncluster = \"d\"\n";
    let chosen = settings(
        &layers(file, &[("SLIPWAY_SERVICE", "a, b")], &[("--service", "b")]),
        DEPLOY,
    );
    assert_eq!(chosen.services.len(), 1);
    assert_eq!(chosen.services[0].cluster.as_ref().unwrap().as_str(), "d");
    assert_eq!(
        problems(
            &layers(file, &[], &[("--service", "c"), ("--service", "a")]),
            DEPLOY
        ),
        ["--service: `c` is none of the services in the file: `a`, `b`"]
    );
}

#[test]
fn broken_toml_is_reported_alone() {
    let found = problems(
        &layers("[image.web\nregion = ", &[], &[("--until", "later")]),
        BUILD,
    );
    assert!(
        found.iter().all(|problem| problem.starts_with("slipway.toml:")),
        "{found:?}"
    );
}

#[test]
fn a_strange_variable_is_a_warning() {
    let flags = [("--repository", "a")];
    let found = resolved(
        &layers(
            "",
            &[
                ("SLIPWAY_CLUSTERS", "x"),
                ("SLIPWAY_QQQ", "y"),
                // What a build's env file sets for the commands after it.
                ("SLIPWAY_WEB_IMAGE", "i"),
                ("SLIPWAY_WEB_DIGEST", "d"),
                ("SLIPWAY_WEB_TAG", "t"),
            ],
            &flags,
        ),
        BUILD,
    )
    .warnings;
    assert_eq!(
        found,
        [
            "`SLIPWAY_CLUSTERS` is no variable of slipway; did you mean `SLIPWAY_CLUSTER`?",
            "`SLIPWAY_QQQ` is no variable of slipway",
        ]
    );
}

/// `defaults.toml` with every example brought to life, and names for its stars.
fn template() -> String {
    let alive = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if rest.split(' ').nth(1) == Some("=") => rest.to_owned(),
        _ => line.to_owned(),
    };
    let lines: Vec<String> = DEFAULTS.lines().map(alive).collect();
    lines
        .join("\n")
        .replace("[image.'*']", "[image.web]")
        .replace("[service.'*']", "[service.shop-web]")
        .replace("[task.'*']", "[task.migrate]")
}

#[test]
fn the_template_holds_every_key_and_every_example_in_it_is_right() {
    let (table, problems) =
        crate::config::document::parse(&template(), &|line| super::Origin::Default { line });
    assert!(problems.is_empty(), "{problems:?}");
    for key in KEYS {
        let section = match key.section {
            Section::Top => Some(&table),
            Section::Image => inner(&table, "image").and_then(|it| inner(it, "web")),
            Section::Service => inner(&table, "service").and_then(|it| inner(it, "shop-web")),
            Section::Task => inner(&table, "task").and_then(|it| inner(it, "migrate")),
            Section::Output | Section::Deploy | Section::DryRun => inner(&table, key.section.name()),
        };
        assert!(
            section.unwrap().contains_key(key.name),
            "{:?} {}",
            key.section,
            key.name
        );
    }
    settings(&layers(&template(), CODEBUILD, &[]), BOTH);
}

#[test]
fn the_template_names_every_variable_and_flag_beside_its_key() {
    for key in KEYS {
        for name in key.variable.iter().chain(&key.flag) {
            assert!(DEFAULTS.contains(name), "{name}");
        }
    }
}

fn inner<'a>(
    table: &'a super::super::written::Table,
    name: &str,
) -> Option<&'a super::super::written::Table> {
    match &table.get(name)?.value {
        super::super::written::Value::Table(table) => Some(table),
        _ => None,
    }
}

const TASKS: &str = r#"
[deploy]
cluster = "prod"
[service.api]
[service.web]
[task.seed]
service = "web"
task-definition = "seed.json"
cpu = 512
memory = 1024
timeout = "1h"
[task.migrate]
service = "api"
container = "app"
command = ["./manage", "migrate", "${HOME}"]
env = { app = { RELEASE = "${short-commit}", KEY = "canary" } }
"#;

#[test]
fn tasks_are_understood_in_the_order_of_the_file() {
    let settings = settings(&layers(TASKS, CODEBUILD, &[]), DEPLOY);
    let [seed, migrate] = settings.tasks.as_slice() else {
        panic!("two tasks, not {:?}", settings.tasks);
    };
    assert_eq!((seed.name.as_str(), seed.service.as_str()), ("seed", "web"));
    assert_eq!(
        seed.task_definition.as_deref(),
        Some(Path::new("/shop/seed.json"))
    );
    assert_eq!(
        (seed.cpu, seed.memory, seed.timeout),
        (Some(512), Some(1024), Duration::from_secs(3600))
    );
    assert!(seed.command.is_empty() && seed.container.is_none());
    assert_eq!(migrate.container.as_ref().unwrap().as_str(), "app");
    assert_eq!(
        migrate.command,
        ["./manage", "migrate", "${HOME}"],
        "a shell's own variables are left alone"
    );
    assert_eq!(migrate.timeout, Duration::from_secs(900));
    assert_eq!(
        migrate.env[&"app".parse().unwrap()]["RELEASE"].expose(),
        "0123456"
    );
    assert!(!format!("{settings:?}").contains("canary"));
}

#[test]
fn a_task_belongs_to_a_service_and_goes_with_it() {
    let names = |flags: &[(&'static str, &str)]| -> Vec<String> {
        let settings = settings(&layers(TASKS, CODEBUILD, flags), DEPLOY);
        settings.tasks.iter().map(|task| task.name.to_string()).collect()
    };
    assert_eq!(names(&[("--service", "web")]), ["seed"]);
    assert_eq!(names(&[("--service", "api")]), ["migrate"]);
    assert_eq!(
        names(&[("--service", "web"), ("--service", "api")]),
        ["seed", "migrate"]
    );
    let only = "[deploy]\ncluster = \"c\"\n[service.a]\n[task.t]\ncommand = [\"x\"]\n";
    let task = settings(&layers(only, &[], &[]), DEPLOY).tasks.remove(0);
    assert_eq!(task.service.as_str(), "a", "the only one");
    let flags = [("--service", "b"), ("--cluster", "c")];
    let named = "[task.t]\ncommand = [\"x\"]\n";
    let task = settings(&layers(named, &[], &flags), DEPLOY).tasks.remove(0);
    assert_eq!(task.service.as_str(), "b", "the only one, by a flag");
    let build = "[image.a]\nrepository = \"a\"\n[task.t]\ncommand = [\"x\"]\n";
    assert!(settings(&layers(build, &[], &[]), BUILD).tasks.is_empty());
}

#[test]
fn tasks_that_are_skipped_are_named() {
    for layers in [
        layers(TASKS, CODEBUILD, &[("--skip-tasks", "true")]),
        layers(TASKS, &[CODEBUILD, &[("SLIPWAY_SKIP_TASKS", "1")]].concat(), &[]),
    ] {
        let resolved = resolved(&layers, DEPLOY);
        assert!(resolved.settings.tasks.is_empty());
        let [warning] = resolved.warnings.as_slice() else {
            panic!("one warning, not {:?}", resolved.warnings);
        };
        assert!(
            warning.ends_with(": not run: task `seed`, `migrate`"),
            "{warning}"
        );
    }
}

#[test]
fn what_is_wrong_with_a_task_is_told_with_its_place() {
    let file = r#"[deploy]
cluster = "prod"
[service.api]
[service.web]
[task.a]
command = []
service = "db"
[task.b]
command = "migrate"
service = "web"
when = "after"
cpu = 0
[task.c]
service = "web"
timeout = "soon"
[task.'d e']
service = "web"
command = ["x"]
comand = ["x"]
container = "not one"
[task.f]
command = ["x"]
"#;
    assert_eq!(
        problems(&layers(file, &[], &[]), DEPLOY),
        [
            "task.c.command: write what the task runs, such as `[\"./manage\", \"migrate\"]`, or a `task-definition` \
             that says it",
            "slipway.toml:6: task.a.command: expected a command and its arguments, found nothing",
            "slipway.toml:7: task.a.service: `db` is none of the services: `api`, `web`",
            "slipway.toml:9: task.b.command: expected a list of strings, found a string",
            "slipway.toml:11: task.b.when: expected `before`, found `after`: tasks run before the services are \
             updated, and at no other time",
            "slipway.toml:12: task.b.cpu: expected a number above 0",
            "slipway.toml:15: task.c.timeout: expected a duration like `15m`, `90s` or `1h30m`, found `soon`",
            "slipway.toml:16: task.d e: `d e` is not a valid task name: ' ' at byte 1; letters, digits, `-` and `_` \
             are allowed",
            "slipway.toml:19: task.d e.comand: unknown key; did you mean `command`?",
            "slipway.toml:20: task.d e.container: `not one` is not a valid container name: ' ' at byte 3; letters, \
             digits, `-` and `_` are allowed",
            "slipway.toml:21: task.f.service: write to which service it belongs: `api`, `web`",
        ]
    );
    let inline = "task = { b = { command = [\"x\"] }, a = { command = [\"y\"] } }\n[deploy]\ncluster = \"c\"\n[service.s]\n";
    assert_eq!(
        problems(&layers(inline, &[], &[]), DEPLOY),
        [
            "slipway.toml:1: task.b: stands on the line of `a`: write each task on its own, in the order to run them"
        ]
    );
}

#[test]
fn a_service_is_where_its_table_or_that_of_the_deploy_says() {
    let file = "[deploy]\ncluster = \"prod\"\nregion = \"us-east-1\"\nrole-arn = \"arn:aws:iam::111122223333:role/a\"\n\
        external-id = \"shop\"\n[service.api]\n[service.jobs]\nexternal-id = \"jobs\"\n[service.web]\nregion = \"eu-west-1\"\n\
        role-arn = \"arn:aws:iam::444455556666:role/team/b\"\n";
    let place = |region: &str, arn: &str, external_id: Option<&str>| Place {
        region: Some(region.to_owned()),
        role: Some(Role {
            arn: arn.to_owned(),
            external_id: external_id.map(str::to_owned),
        }),
    };
    let places: Vec<Place> = settings(&layers(file, &[], &[]), DEPLOY)
        .services
        .into_iter()
        .map(|service| service.place)
        .collect();
    let (a, b) = (
        "arn:aws:iam::111122223333:role/a",
        "arn:aws:iam::444455556666:role/team/b",
    );
    assert_eq!(
        places,
        [
            place("us-east-1", a, Some("shop")),
            place("us-east-1", a, Some("jobs")),
            place("eu-west-1", b, None),
        ]
    );
    let written = layers(
        "[deploy]\ncluster = \"prod\"\n[service.api]\n",
        &[
            ("SLIPWAY_DEPLOY_REGION", "eu-central-1"),
            ("SLIPWAY_EXTERNAL_ID", "id"),
        ],
        &[("--role-arn", a)],
    );
    let places = settings(&written, DEPLOY).services.remove(0).place;
    assert_eq!(places, place("eu-central-1", a, Some("id")));
    let nowhere = settings(
        &layers("[deploy]\ncluster = \"prod\"\n[service.api]\n", &[], &[]),
        DEPLOY,
    );
    assert_eq!(nowhere.services[0].place, Place::default());
}

#[test]
fn a_place_that_cannot_be_is_told() {
    let of = |lines: &str| {
        let file = format!("[deploy]\ncluster = \"prod\"\n[service.api]\n{lines}\n");
        problems(&layers(&file, &[], &[]), DEPLOY)
    };
    for (lines, says) in [
        ("region = \"eu west\"", "expected a region"),
        ("role-arn = \"deploy\"", "expected the ARN of an IAM role"),
        (
            "role-arn = \"arn:aws:iam::1:user/a\"",
            "expected the ARN of an IAM role",
        ),
        ("external-id = \"shop\"", "is of no use without `role-arn`"),
        (
            "role-arn = \"arn:aws:iam::111122223333:role/a\"\nexternal-id = \"a b\"",
            "expected 2 to 1224 letters",
        ),
    ] {
        let told = of(lines);
        assert!(told.len() == 1 && told[0].contains(says), "{lines}: {told:?}");
    }
}
