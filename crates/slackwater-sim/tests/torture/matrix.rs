//! Every crash point of the real binary, at its first, its second and any occurrence, by abort, signal and fault.

use crate::bench::{Bench, CONFIG, PIPELINES, Ran, trades};
use slackwater_sim::effort;
use slackwater_sim::rng::Rng;
use slackwater_store::crash::CrashPoint;
use std::collections::BTreeMap;

/// A chunk is a round, and a checkpoint follows every round.
const FIRST: &[&str] = &[
    "fold",
    "-c",
    "c.toml",
    "--data",
    "data",
    "--input",
    "trades=a.ndjson",
    "--input",
    "trades=b.ndjson",
    "--out",
    "out.ndjson",
    "--quarantine",
    "refused.ndjson",
    "--checkpoint",
    "1ns",
    "--threads",
    "2",
    "--json",
];
/// A later file amends what the first command sealed.
const LATER: &[&str] = &[
    "fold",
    "-c",
    "c.toml",
    "--data",
    "data",
    "--input",
    "trades=later.ndjson",
    "--out",
    "amended.ndjson",
    "--quarantine",
    "refused.ndjson",
    "--generations",
    "--checkpoint",
    "1ns",
    "--threads",
    "2",
    "--json",
];
const COMMANDS: [&[&str]; 2] = [FIRST, LATER];

/// Everything that a bench says when both commands are done.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    out: String,
    amended: String,
    generations: String,
    refused: String,
}

fn bench() -> Bench {
    // Event bytes go too, so that what tells them again has crash points of its own.
    let bench = Bench::new(&CONFIG.replace("kind = \"files\"", "kind = \"files\"\nkeep_raw = \"none\""));
    bench.write("a.ndjson", trades(0, 2_600));
    bench.write("b.ndjson", trades(2_000, 2_400));
    bench.write("later.ndjson", trades(3_600, 1_600));
    bench
}

fn told(bench: &Bench) -> Told {
    Told {
        out: bench.read("out.ndjson"),
        amended: bench.read("amended.ndjson"),
        generations: bench.generations(&PIPELINES),
        refused: bench.read("refused.ndjson"),
    }
}

/// How often the undisturbed commands pass each point, by command.
fn passes(bench: &Bench) -> BTreeMap<String, [usize; 2]> {
    let mut passes: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for (number, args) in COMMANDS.iter().enumerate() {
        let log = bench.path("passed.log");
        let ran: Ran = bench.command(args).env("SLACKWATER_CRASH_LOG", &log).output().expect("the binary runs").into();
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let names = std::fs::read_to_string(&log).expect("points were passed");
        names.lines().for_each(|name| passes.entry(name.to_string()).or_default()[number] += 1);
        std::fs::remove_file(log).expect("it was there");
    }
    passes
}

/// Where a run is to end: in which command, behind which crash, at which pass of a point and how.
#[derive(Clone, Debug)]
struct Case {
    command: usize,
    /// A crash that comes before, so that the point is reached when its command recovers.
    before: Option<String>,
    armed: String,
    /// A crash in the recovery, if it comes that far.
    then: Option<String>,
}

const WAYS: [&str; 3] = ["abort", "kill", "error"];

/// The first, the second and any pass of every point, each in three ways.
fn cases(passes: &BTreeMap<String, [usize; 2]>, rng: &mut Rng) -> Vec<Case> {
    let mut cases = Vec::new();
    for point in CrashPoint::ALL {
        let name = format!("{point:?}");
        // What only a recovery passes is passed behind a crash between a manifest and its commit.
        let in_recovery = !passes.contains_key(&name);
        let [first, later] = if in_recovery { passes["ManifestWritten"] } else { passes[&name] };
        for (number, which) in [0, 1.min(first + later - 1), rng.below(first + later)].into_iter().enumerate() {
            let (command, pass) = if which < first { (0, which + 1) } else { (1, which - first + 1) };
            for way in WAYS {
                let (before, armed) = match in_recovery {
                    true => (Some(format!("ManifestWritten:{pass}:kill")), format!("{name}:1:{way}")),
                    false => (None, format!("{name}:{pass}:{way}")),
                };
                let then = (number == 2).then(|| format!("{:?}:1:kill", rng.pick(&CrashPoint::ALL)));
                cases.push(Case { command, before, armed, then });
            }
        }
    }
    cases
}

/// Runs a case, and says what is wrong with its end.
fn run(case: &Case, expected: &Told) -> Result<(), String> {
    let bench = bench();
    for (number, args) in COMMANDS.iter().enumerate() {
        let mut crashes: Vec<&str> = Vec::new();
        if number == case.command {
            crashes.extend(case.before.as_deref());
            crashes.push(&case.armed);
            crashes.extend(case.then.as_deref());
        }
        for (nth, armed) in crashes.iter().enumerate() {
            let ran = bench.run(args, Some(armed));
            let way = armed.rsplit(':').next();
            let right = match way {
                Some("abort") => ran.signal == Some(6),
                Some("kill") => ran.signal == Some(9),
                _ => ran.code == Some(6) && ran.err.contains("a test asked for this fault"),
            };
            let may_end = Some(nth) == case.then.as_ref().map(|_| crashes.len() - 1) && ran.code == Some(0);
            if !right && !may_end {
                return Err(format!("{armed} ended otherwise: {ran:?}"));
            }
            bench.sound().map_err(|what| format!("right after {armed}: {what}"))?;
        }
        let ran = bench.run(args, None);
        if ran.code != Some(0) {
            return Err(format!("it does not go on: {}", ran.err));
        }
    }
    let found = told(&bench);
    if found == *expected {
        return Ok(());
    }
    Err(difference(expected, &found))
}

/// What two tellings differ in: what was lost, what is there twice, or else the first line that differs.
fn difference(expected: &Told, found: &Told) -> String {
    let sides = [
        ("out", &expected.out, &found.out),
        ("amended", &expected.amended, &found.amended),
        ("generations", &expected.generations, &found.generations),
        ("refused", &expected.refused, &found.refused),
    ];
    let (name, expected, found) = sides.into_iter().find(|(_, a, b)| a != b).expect("they differ");
    let (mine, theirs) = (expected.lines().count(), found.lines().count());
    let what = if theirs < mine {
        "lost"
    } else if theirs > mine {
        "dup"
    } else {
        "mismatch"
    };
    let line = expected.lines().zip(found.lines()).find(|(a, b)| a != b);
    format!("{what}: {name} has {theirs} lines and had {mine}; first difference {line:?}")
}

#[test]
fn a_crash_at_any_point_loses_nothing_and_counts_nothing_twice() {
    let bench = bench();
    let passes = passes(&bench);
    let expected = told(&bench);
    assert!(expected.generations.contains(r#""cause":"late""#) && expected.refused.lines().count() > 100);
    let seed = effort::asked_seed().unwrap_or(5);
    let mut cases = cases(&passes, &mut Rng::new(seed));
    // A tenth: each point once, at another pass and in another way each.
    if effort::share(10) < 10 {
        let every: Vec<Case> =
            cases.chunks(9).enumerate().map(|(n, nine)| nine[(n * 4 + seed as usize) % 9].clone()).collect();
        cases = every;
    }
    let (mut wrong, mut reached) = (Vec::new(), std::collections::BTreeSet::new());
    for case in &cases {
        match run(case, &expected) {
            Ok(()) => drop(reached.insert(case.armed.split(':').next())),
            Err(what) => wrong.push(format!("{case:?}: {what}")),
        }
    }
    let count = |what: &str| wrong.iter().filter(|found| found.contains(&format!(": {what}: "))).count();
    let (lost, dup) = (count("lost"), count("dup"));
    effort::print(&format!(
        "crash_points={}/{} runs={} lost={lost} dup={dup} mismatch={}",
        reached.len(),
        CrashPoint::ALL.len(),
        cases.len(),
        wrong.len() - lost - dup
    ));
    assert!(wrong.is_empty(), "{} of {} (seed {seed}):\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!(reached.len(), CrashPoint::ALL.len(), "a point was never reached: {passes:?}");
}
