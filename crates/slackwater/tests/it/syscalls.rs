//! The binary as it ships, with one system call at a time that fails, is cut short, or is its last.
//!
//! A call is answered otherwise by `strace`; where that is not there, or the machine lets no process trace another, these
//! tests say that they are skipped.

use crate::durable::{CONFIG, durable, trades};
use crate::program::Place;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

/// Calls by which something is kept. A machine may lack some of them.
const CALLS: [&str; 11] = [
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "ftruncate",
    "unlink",
    "unlinkat",
    "openat",
];

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kill,
    Error(&'static str),
}

const FATES: [Fate; 4] = [Fate::Kill, Fate::Error("EIO"), Fate::Error("ENOSPC"), Fate::Error("EINTR")];

/// One of so many sites is tried, unless all are asked for.
fn stride() -> usize {
    let all = std::env::var("SLACKWATER_EFFORT").is_ok_and(|effort| effort == "full");
    if all { 1 } else { 10 }
}

/// Whether `strace` may be used here.
fn has_strace() -> bool {
    let probe = ["-f", "-qq", "-e", "trace=write", "-o", "/dev/null", "true"];
    let there = Command::new("strace").args(probe).stdin(Stdio::null()).output().is_ok_and(|out| out.status.success());
    if !there {
        println!("skipped: strace is not there, or may not be used here");
    }
    there
}

fn place() -> Place {
    let place = Place::in_memory();
    place.write("c.toml", CONFIG);
    place.write("events.ndjson", trades(0, 400));
    place.write("more.ndjson", trades(300, 300));
    place
}

fn args() -> Vec<&'static str> {
    on("1")
}

/// The same on so many threads.
fn on(threads: &'static str) -> Vec<&'static str> {
    let more = [
        "--input",
        "trades=more.ndjson",
        "--quarantine",
        "refused.ndjson",
        "--checkpoint",
        "1ns",
        "--threads",
        threads,
    ];
    durable("trades=events.ndjson", &more)
}

/// What both files are when nothing goes wrong.
type Outputs = (String, String);

fn outputs(place: &Place) -> Outputs {
    (place.read("out.ndjson"), place.read("refused.ndjson"))
}

/// Runs the binary under strace; gives its exit code (none: a signal), what it said, and the lines of the trace.
fn traced(place: &Place, args: &[&str], asked: &[String]) -> (Option<i32>, String, String) {
    let trace = place.path("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(&trace).args(asked).arg(env!("CARGO_BIN_EXE_slackwater")).args(args);
    let output = command.current_dir(place.path("")).stdin(Stdio::null()).output().expect("strace runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said, std::fs::read_to_string(trace).unwrap_or_default())
}

/// How often an undisturbed fold makes each call, and what it gives.
fn undisturbed() -> (BTreeMap<&'static str, usize>, Outputs) {
    let place = place();
    let all: Vec<String> = CALLS.iter().map(|call| format!("?{call}")).collect();
    let (code, said, trace) = traced(&place, &args(), &["-e".to_string(), format!("trace={}", all.join(","))]);
    assert_eq!(code, Some(0), "{said}");
    let calls = |call: &str| trace.lines().filter(|line| line.contains(&format!(" {call}("))).count();
    (CALLS.iter().map(|call| (*call, calls(call))).filter(|(_, count)| *count > 0).collect(), outputs(&place))
}

/// Runs the same command again, undisturbed, and holds what it gives against what it must be.
fn goes_on(place: &Place, expected: &Outputs) -> Result<(), String> {
    let ran = place.run(&args());
    match ran.code {
        0 if outputs(place) == *expected => Ok(()),
        0 => Err("the same command again gives other bytes".to_string()),
        code => Err(format!("the same command again ends with exit {code}: {}", ran.err)),
    }
}

/// Lets one call meet its fate. None: the fold ended before it came to it.
fn meet(call: &str, fate: Fate, number: usize, expected: &Outputs) -> Option<Result<(), String>> {
    let place = place();
    let how = match fate {
        Fate::Kill => "signal=SIGKILL".to_string(),
        Fate::Error(error) => format!("error={error}"),
    };
    let asked =
        ["-e".to_string(), format!("trace={call}"), "-e".to_string(), format!("inject={call}:{how}:when={number}")];
    let (code, said, trace) = traced(&place, &args(), &asked);
    let met = trace.contains("INJECTED") || trace.contains("killed by SIGKILL");
    if !met {
        assert_eq!(code, Some(0), "{said}");
        return None;
    }
    let check = || {
        // What has its name must be whole, whatever came behind it.
        for (name, whole) in [("out.ndjson", &expected.0), ("refused.ndjson", &expected.1)] {
            if place.has(name) && place.read(name) != **whole {
                return Err(format!("{name} is there, and is not what it must be"));
            }
        }
        let masked = fate == Fate::Error("EINTR") && ["write", "pwrite64", "openat", "ftruncate"].contains(&call);
        match (fate, code) {
            (Fate::Kill, None | Some(137)) => {}
            (Fate::Error(_), Some(0)) if outputs(&place) == *expected => {}
            (Fate::Error(_), Some(2..=6)) if !masked && said.contains("error: ") => {}
            // It never came to run: the loader could not read a library.
            (Fate::Error(_), Some(127)) if said.contains("loading shared libraries") => {}
            _ => return Err(format!("exit {code:?}: {said}")),
        }
        goes_on(&place, expected)
    };
    Some(check())
}

#[test]
fn a_system_call_that_fails_or_is_the_last_leaves_nothing_wrong() {
    if !has_strace() {
        return;
    }
    let (calls, expected) = undisturbed();
    assert!(calls.len() >= 6, "{calls:?}");
    let (mut injections, mut wrong) = (0, Vec::new());
    for (at, (call, count)) in calls.iter().enumerate() {
        for (nth, fate) in FATES.into_iter().enumerate() {
            // Each fate meets other ones of the calls, and every call its first.
            let sites: BTreeSet<usize> =
                std::iter::once(1).chain((1 + (at + 3 * nth) % stride()..=*count).step_by(stride())).collect();
            for number in sites {
                match meet(call, fate, number, &expected) {
                    Some(outcome) => {
                        injections += 1;
                        wrong.extend(outcome.err().map(|what| format!("{call} {number}, {fate:?}: {what}")));
                    }
                    // The number of some calls depends on what was there before.
                    None => break,
                }
            }
        }
    }
    let sites: usize = calls.values().sum();
    println!("syscall_sites={sites} injections={injections} wrong={} {calls:?}", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(injections >= sites * FATES.len() / stride() / 2, "{injections} of {sites} sites met a fate");
}

#[test]
fn threads_that_the_machine_does_not_give_are_done_without() {
    if !has_strace() {
        return;
    }
    let expected = {
        let place = place();
        assert_eq!(place.run(&args()).code, 0);
        outputs(&place)
    };
    let mut refused = 0;
    for first in (1..).step_by(stride().min(3)) {
        let place = place();
        let asked =
            ["-e", "trace=clone3", "-e", &format!("inject=clone3:error=EAGAIN:when={first}+")].map(str::to_string);
        let (code, said, trace) = traced(&place, &on("3"), &asked);
        if !trace.contains("INJECTED") {
            break;
        }
        assert_eq!(code, Some(0), "from thread {first} on: {said}");
        assert!(outputs(&place) == expected, "from thread {first} on");
        refused += 1;
    }
    println!("threads_refused_from={refused} wrong=0");
    assert!(refused > 3, "{refused} times there was no thread");
}

#[test]
fn a_write_that_is_cut_short_by_a_limit_leaves_nothing_wrong() {
    let expected = {
        let place = place();
        assert_eq!(place.run(&args()).code, 0);
        outputs(&place)
    };
    let mut short = 0;
    for kib in 0.. {
        let place = place();
        let line = args().join(" ");
        // A write that reaches over the limit is cut short at it, and the next one fails.
        let ran = place.shell(&format!("trap '' XFSZ; ulimit -f {kib}; exec \"$SLACKWATER\" {line}"));
        if ran.code == 0 {
            assert_eq!(outputs(&place), expected);
            break;
        }
        assert!((2..=6).contains(&ran.code) && ran.err.contains("error: "), "{kib} KiB: {ran:?}");
        goes_on(&place, &expected).unwrap_or_else(|what| panic!("a limit of {kib} KiB: {what}"));
        short += 1;
    }
    println!("short_writes={short} wrong=0");
    assert!(short > 5, "{short} limits were met");
}
