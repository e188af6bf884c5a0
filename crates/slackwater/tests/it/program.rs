//! The binary, as a person runs it: a directory of its own, files in it, exit codes and words.

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A directory in which the binary runs.
pub struct Place(TempDir);

/// What a run left behind.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// What a fold that succeeded left behind.
#[derive(Debug)]
pub struct Folded {
    pub summary: Value,
    pub rows: Vec<Value>,
    /// The output file, letter for letter.
    pub bytes: String,
    pub refused: Vec<Value>,
}

impl Place {
    /// An empty directory.
    pub fn new() -> Place {
        Place(TempDir::new().expect("a temporary directory"))
    }

    /// An empty directory in memory, where there is a place for that: for many runs, of which none asks the platter.
    pub fn in_memory() -> Place {
        let memory = Path::new("/dev/shm");
        let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        Place(made.expect("a temporary directory"))
    }

    /// A directory with a configuration `c.toml`.
    pub fn with(config: &str) -> Place {
        let place = Place::new();
        place.write("c.toml", config);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).expect("room for a file");
    }

    pub fn read(&self, name: &str) -> String {
        String::from_utf8(std::fs::read(self.path(name)).expect("the file is there")).expect("it is UTF-8")
    }

    pub fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Names of the files in it.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).expect("a directory");
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<String> = entries.map(|entry| name(entry).into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }

    /// The binary, about to run here.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slackwater"));
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    /// Runs the binary here, to its end. Whatever it is given, it does not panic.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.ran(&mut self.command(args))
    }

    /// Runs a command to its end.
    pub fn ran(&self, command: &mut Command) -> Ran {
        ran(command.output().expect("the binary runs"))
    }

    /// Runs it with something on its standard input.
    pub fn run_with_input(&self, args: &[&str], input: &[u8]) -> Ran {
        let mut command = self.command(args);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        // It may stop before it has read all, which closes the pipe.
        let _ = child.stdin.take().expect("a pipe").write_all(input);
        ran(child.wait_with_output().expect("it ends"))
    }

    /// Runs it with a standard output that nobody reads any more.
    pub fn run_unread(&self, args: &[&str]) -> Ran {
        ran(self.command(args).stdout(closed()).stderr(Stdio::piped()).output().expect("the binary runs"))
    }

    /// Runs it with nobody who reads its standard output or its standard error; gives the exit code.
    pub fn run_unheard(&self, args: &[&str]) -> i32 {
        ran(self.command(args).stdout(closed()).stderr(closed()).output().expect("the binary runs")).code
    }

    /// Runs a shell's line here; `$SLACKWATER` is the binary.
    pub fn shell(&self, line: &str) -> Ran {
        let mut command = Command::new("sh");
        command.args(["-c", line]).env("SLACKWATER", env!("CARGO_BIN_EXE_slackwater")).current_dir(self.0.path());
        ran(command.stdin(Stdio::null()).output().expect("a shell"))
    }

    /// Folds the inputs by `c.toml` into `out.ndjson` and `refused.ndjson`; every event is accounted for.
    pub fn fold(&self, inputs: &[&str], more: &[&str]) -> Folded {
        let mut args = vec!["fold", "-c", "c.toml", "--out", "out.ndjson", "--quarantine", "refused.ndjson", "--json"];
        inputs.iter().for_each(|input| args.extend(["--input", input]));
        args.extend(more);
        let ran = self.run(&args);
        assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
        let summary = conserved(&ran.err);
        let (bytes, refused) = (self.read("out.ndjson"), lines(&self.read("refused.ndjson")));
        let set_aside =
            summary["quarantined"].as_u64().expect("a count") + summary["conflicts"].as_u64().expect("a count");
        assert_eq!(refused.len() as u64, set_aside, "each refused event and each loser of a conflict has its line");
        Folded { summary, rows: lines(&bytes), bytes, refused }
    }

    /// Folds NDJSON lines of the source `trades`.
    pub fn fold_lines(&self, events: &[impl AsRef<[u8]>]) -> Folded {
        self.write("events.ndjson", joined(events));
        self.fold(&["trades=events.ndjson"], &[])
    }
}

fn ran(output: Output) -> Ran {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("what the program says is UTF-8");
    let code = output.status.code().unwrap_or_else(|| panic!("it was killed: {}", output.status));
    let ran = Ran { code, out: text(output.stdout), err: text(output.stderr) };
    assert!(!ran.err.contains("panicked") && ran.code != 101, "it panicked: {ran:?}");
    ran
}

/// A pipe whose reader is gone.
fn closed() -> Stdio {
    let (_, writer) = std::io::pipe().expect("a pipe");
    writer.into()
}

/// Lines, each with its end.
pub fn joined(lines: &[impl AsRef<[u8]>]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.as_ref(), b"\n"].concat()).collect()
}

/// NDJSON as values.
pub fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))).collect()
}

/// Reads a summary, and checks that its sides are equal.
pub fn conserved(summary: &str) -> Value {
    let summary: Value = serde_json::from_str(summary).unwrap_or_else(|error| panic!("{error} in {summary}"));
    let count = |name: &str| summary[name].as_u64().unwrap_or_else(|| panic!("no {name} in {summary}"));
    let sides =
        ["facts", "duplicates", "superseded", "conflicts", "beyond_retention", "quarantined", "in_flight"].map(count);
    assert_eq!(count("received"), sides.iter().sum::<u64>(), "{summary}");
    let reasons = summary["reasons"].as_object().expect("reasons");
    let refused: u64 = reasons.values().map(|count| count.as_u64().expect("a count")).sum();
    assert_eq!(refused, count("quarantined"), "{summary}");
    summary
}

/// `path` as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}
