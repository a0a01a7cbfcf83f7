//! The dependency tree keeps to `deny.toml`: licences, banned crates, and no second major version without a reason.
//!
//! `cargo tree` is asked rather than `cargo metadata`: the latter lists optional dependencies that no enabled feature
//! builds, `ring` among them.

#![expect(
    clippy::expect_used,
    reason = "helpers of tests; a failed expectation is the test's failure"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// One crate that the binary is built from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Crate {
    name: String,
    version: String,
    licence: String,
}

impl Crate {
    /// The part of the version that semver keeps compatible: `1`, or `0.22`.
    fn line(&self) -> String {
        let parts: Vec<&str> = self.version.split('.').collect();
        let length = if parts.first() == Some(&"0") { 2 } else { 1 };
        parts.iter().take(length).copied().collect::<Vec<_>>().join(".")
    }
}

/// Every crate of the normal dependency tree (build scripts and tests aside) on a target.
fn tree(target: &str) -> BTreeSet<Crate> {
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "tree",
            "--offline",
            "--locked",
            "--edges",
            "normal",
            "--prefix",
            "none",
        ])
        .args(["--no-dedupe", "--format", "{p}|{l}", "--target", target])
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .expect("cargo prints UTF-8")
        .lines()
        .filter_map(|line| {
            let (package, licence) = line.split_once('|')?;
            let (name, rest) = package.split_once(" v")?;
            let version = rest.split(' ').next()?;
            Some(Crate {
                name: name.to_owned(),
                version: version.to_owned(),
                licence: licence.to_owned(),
            })
        })
        .collect()
}

/// The trees of every target in `deny.toml`, as one.
fn every_tree(deny: &toml::Table) -> BTreeSet<Crate> {
    let crates: BTreeSet<Crate> = strings(&deny["graph"]["targets"])
        .iter()
        .flat_map(|target| tree(target))
        .collect();
    assert!(
        crates.len() > 100,
        "cargo tree listed {} crates only",
        crates.len()
    );
    crates
}

fn deny() -> toml::Table {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml");
    std::fs::read_to_string(path)
        .expect("deny.toml is readable")
        .parse()
        .expect("deny.toml is TOML")
}

fn strings(value: &toml::Value) -> Vec<String> {
    let list = value.as_array().expect("a list");
    list.iter()
        .map(|item| item.as_str().expect("a string").to_owned())
        .collect()
}

/// The `crate` and the `reason` of each table in a list.
fn reasons(value: &toml::Value) -> BTreeMap<String, String> {
    let list = value.as_array().expect("a list of tables");
    list.iter()
        .map(|item| {
            let text = |key: &str| item[key].as_str().expect("a string").to_owned();
            (text("crate"), text("reason"))
        })
        .collect()
}

/// Whether an SPDX expression can be met with the allowed licences alone. Old manifests write `/` for `OR`.
fn permits(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    !words.is_empty() && any_of(&mut rest, allowed) && rest.is_empty()
}

fn any_of(words: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    let mut met = all_of(words, allowed);
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        met |= all_of(words, allowed);
    }
    met
}

fn all_of(words: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    let mut met = one(words, allowed);
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let met = any_of(words, allowed);
            let [")", rest @ ..] = *words else { return false };
            *words = rest;
            met
        }
        [licence, "WITH", exception, rest @ ..] => {
            *words = rest;
            allowed.contains(&format!("{licence} WITH {exception}"))
        }
        [licence, rest @ ..] => {
            *words = rest;
            allowed.contains(*licence)
        }
        [] => false,
    }
}

#[test]
fn every_licence_is_allowed() {
    let deny = deny();
    let allowed: BTreeSet<String> = strings(&deny["licenses"]["allow"]).into_iter().collect();
    let refused: Vec<Crate> = every_tree(&deny)
        .into_iter()
        .filter(|package| !permits(&package.licence, &allowed))
        .collect();
    assert_eq!(refused, []);
}

#[test]
fn no_banned_crate_is_built_and_tls_has_one_provider() {
    let deny = deny();
    let banned = reasons(&deny["bans"]["deny"]);
    let crates = every_tree(&deny);
    for package in &crates {
        if let Some(reason) = banned.get(&package.name) {
            panic!("{} {} is banned: {reason}", package.name, package.version);
        }
    }
    let names: BTreeSet<&str> = crates.iter().map(|package| package.name.as_str()).collect();
    assert!(names.contains("aws-lc-rs") && names.contains("rustls"));
}

#[test]
fn a_second_major_version_has_a_reason_and_no_reason_is_stale() {
    let deny = deny();
    let skipped: BTreeSet<String> = reasons(&deny["bans"]["skip"]).into_keys().collect();
    let mut lines: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in every_tree(&deny) {
        lines
            .entry(package.name.clone())
            .or_default()
            .insert(format!("{}@{}", package.name, package.line()));
    }
    let doubled: BTreeSet<String> = lines.into_values().filter(|of| of.len() > 1).flatten().collect();
    let stale: Vec<&String> = skipped.difference(&doubled).collect();
    assert_eq!(
        stale,
        Vec::<&String>::new(),
        "`bans.skip` names what the tree does not double"
    );

    let unexplained: Vec<&String> = doubled.difference(&skipped).collect();
    let mut names: Vec<&str> = unexplained
        .iter()
        .filter_map(|line| line.split('@').next())
        .collect();
    names.dedup();
    assert_eq!(
        names.len(),
        unexplained.len(),
        "two majors without a reason: {unexplained:?}"
    );
}

#[test]
fn a_licence_expression_is_met_as_spdx_says() {
    let allowed: BTreeSet<String> = ["MIT", "ISC", "Apache-2.0"].map(str::to_owned).into();
    let table = [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT", true),
        ("GPL-3.0-only/MIT", true),
        ("MIT AND GPL-3.0-only", false),
        ("ISC AND (GPL-3.0-only OR MIT)", true),
        ("ISC AND (GPL-3.0-only OR AGPL-3.0-only)", false),
        ("GPL-3.0-only OR ISC AND MIT", true),
        ("Apache-2.0 WITH LLVM-exception", false),
        ("Apache-2.0 WITH LLVM-exception OR MIT", true),
        ("(MIT", false),
        ("MIT ISC", false),
        ("", false),
    ];
    for (expression, met) in table {
        assert_eq!(permits(expression, &allowed), met, "{expression}");
    }
}
