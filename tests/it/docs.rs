//! Documents that cannot lie: what they quote is compared with the program.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use crate::golden;
use slipway::cli;
use slipway::config::keys::{KEYS, OTHER_VARIABLES};
use slipway::config::worker;
use slipway::failure::Kind;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The lines between `<!-- name -->` and `<!-- /name -->`.
fn block(text: &str, name: &str) -> String {
    let (_, rest) = text
        .split_once(&format!("<!-- {name} -->\n"))
        .unwrap_or_else(|| panic!("no `<!-- {name} -->`"));
    let (block, _) = rest
        .split_once(&format!("<!-- /{name} -->"))
        .unwrap_or_else(|| panic!("no `<!-- /{name} -->`"));
    block.to_owned()
}

fn exit_codes() -> String {
    let mut table = "| code | meaning |\n| --- | --- |\n| 0 | done, and proven |\n".to_owned();
    for kind in Kind::ALL {
        writeln!(table, "| {} | {} |", kind.exit_code(), kind.meaning()).unwrap();
    }
    table
}

#[test]
fn the_readme_has_the_programs_exit_codes() {
    assert_eq!(block(&read("README.md"), "exit-codes"), exit_codes());
}

#[test]
fn the_help_and_the_documents_show_the_same_exit_codes() {
    let shown: Vec<String> = cli::exit_codes()
        .lines()
        .map(|line| {
            let (code, meaning) = line.trim().split_once("  ").unwrap();
            format!("| {code} | {meaning} |")
        })
        .collect();
    assert_eq!(shown, exit_codes().lines().skip(2).collect::<Vec<_>>());
}

/// `docs/command-line.md`, written by this test.
#[test]
fn the_command_line_is_documented_as_it_is() {
    let mut text = "# Command line\n\nWritten by `tests/it/docs.rs` from the program's own help; `UPDATE_GOLDEN=1 cargo \
                    test --test it docs` renews it.\n"
        .to_owned();
    let mut command = cli::command().term_width(100);
    command.build();
    let help = |command: &mut clap::Command| {
        let long = command.render_long_help().to_string();
        // The exit codes are the same everywhere, and have a section of their own.
        let (help, _) = long.split_once("Exit codes:").unwrap_or((&long, ""));
        let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
        lines.join("\n")
    };
    let whole = help(&mut command);
    write!(text, "\n<!-- help -->\n```text\n{whole}\n```\n<!-- /help -->\n").unwrap();
    for verb in command.get_subcommands_mut() {
        let name = verb.get_name().to_owned();
        write!(
            text,
            "\n## slipway {name}\n\n<!-- help:{name} -->\n```text\n{}\n```\n<!-- /help:{name} -->\n",
            help(verb)
        )
        .unwrap();
        for inner in verb.get_subcommands_mut() {
            let inner_name = inner.get_name().to_owned();
            write!(
                text,
                "\n### slipway {name} {inner_name}\n\n```text\n{}\n```\n",
                help(inner)
            )
            .unwrap();
        }
    }
    write!(text, "\n## Exit codes\n\n{}", exit_codes()).unwrap();
    text.push_str("\n## Environment variables\n\n| variable | sets |\n| --- | --- |\n");
    for key in KEYS {
        if let (Some(variable), Some(flag)) = (key.variable, key.flag) {
            writeln!(text, "| `{variable}` | {}, as `{flag}` |", place(key)).unwrap();
        }
    }
    for (variable, about) in OTHER_VARIABLES {
        writeln!(text, "| `{variable}` | {about} |").unwrap();
    }
    for option in worker::OPTIONS {
        let (variable, about, flag) = (option.variable, option.about, option.flag);
        writeln!(text, "| `{variable}` | {about}; as `{flag}` |").unwrap();
    }
    golden::check("docs/command-line.md", &text);
}

fn place(key: &slipway::config::keys::Key) -> String {
    let section = key.section.name();
    match section {
        "" => format!("`{}`", key.name),
        _ if key.of_one => format!("`{}` of the one `[{section}.NAME]`", key.name),
        _ if key.section.is_named() => format!("`{}` of every `[{section}.NAME]`", key.name),
        _ => format!("`{}` of `[{section}]`", key.name),
    }
}

#[test]
fn every_key_is_described_with_its_variable_and_flag() {
    let text = read("docs/configuration.md");
    for key in KEYS {
        let row = text
            .lines()
            .find(|line| {
                let named = line.starts_with(&format!("| `{}` |", key.name));
                let variable = key
                    .variable
                    .is_none_or(|variable| line.contains(&format!("`{variable}`")));
                let flag = key.flag.is_none_or(|flag| line.contains(&format!("`{flag}")));
                named && variable && flag
            })
            .is_some();
        assert!(
            row,
            "no row for `{}` with {:?} and {:?}",
            key.name, key.variable, key.flag
        );
    }
    for (variable, _) in OTHER_VARIABLES {
        let known = text.contains(variable) || read("docs/command-line.md").contains(variable);
        assert!(known, "{variable}");
    }
}
