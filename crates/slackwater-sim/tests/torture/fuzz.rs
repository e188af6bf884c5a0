//! Hostile bytes for every reader: valid ones, changed by chance.

use crate::bench::{Bench, trades};
use crate::small::{self, INPUTS};
use slackwater::runtime::clock::Stopwatch;
use slackwater_sim::effort;
use slackwater_sim::hostile::{self, TARGETS, Target};
use slackwater_sim::rng::Rng;
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

/// Inputs for each target.
const EXECS: usize = 100_000;
/// No reader may take longer over a few thousand bytes.
const MOST: Duration = Duration::from_secs(2);

/// Valid bytes by target.
fn corpora() -> BTreeMap<&'static str, Vec<Vec<u8>>> {
    let (bench, config) = (Bench::new(""), small::config());
    let data = bench.path("data");
    small::lay(&data, &BTreeMap::new());
    small::fold(&data, &config, &INPUTS).expect("an undisturbed fold");
    let files = small::files(&data);
    let of = |folder: &str, ending: &str| -> Vec<Vec<u8>> {
        let chosen = files.iter().filter(|(name, _)| name.starts_with(folder) && name.ends_with(ending));
        chosen.map(|(_, bytes)| bytes.clone()).collect()
    };
    let manifests = of("checkpoint/", ".manifest");
    let contents = |files: &[Vec<u8>]| files.iter().map(|file| hostile::content(file)).collect::<Vec<_>>();
    let lines = trades(0, 60).into_bytes();
    let small: Vec<Vec<u8>> = INPUTS.iter().map(|(_, text)| text.as_bytes().to_vec()).collect();
    let csv = b"i,v,s,p\n1,2,3,4\n5,,\"6\",7\n\"8\",9,10,\"1\"\"1\"\n".to_vec();
    BTreeMap::from([
        ("journal", of("journal/", "")),
        ("record", of("record/", "")),
        ("parcel", manifests.clone()),
        ("manifest", contents(&manifests)),
        ("groups", contents(&of("checkpoint/", ".chunk"))),
        ("state", contents(&manifests)),
        ("archive", of("archive/", "")),
        ("index", of("index/", "")),
        ("config", vec![hostile::CONFIG.as_bytes().to_vec(), crate::bench::CONFIG.as_bytes().to_vec()]),
        ("ndjson", [small, vec![lines]].concat()),
        ("csv", vec![csv]),
    ])
}

/// Changes bytes in a few places.
fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    for _ in 0..=rng.below(4) {
        let at = rng.below(bytes.len() + 1);
        let len = rng.below(16).min(bytes.len() - at);
        match rng.below(8) {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << rng.below(8),
            2 if at < bytes.len() => bytes[at] = *rng.pick(&[0, 1, 0x7f, 0x80, 0xff, b'"', b'{', b'\n']),
            3 => bytes[at..at + len].fill(*rng.pick(&[0, 0xff, 0x80])),
            4 => bytes.truncate(at),
            5 => {
                let piece = bytes[at..at + len].to_vec();
                bytes.splice(at..at, piece);
            }
            6 => drop(bytes.drain(at..at + len)),
            _ => {
                let other = rng.pick(others);
                let from = rng.below(other.len() + 1);
                let piece = other[from..(from + rng.below(64)).min(other.len())].to_vec();
                bytes.splice(at..at + len, piece);
            }
        }
    }
}

/// Mends checksums where a target has some.
fn seal(name: &str, bytes: &mut [u8]) {
    match name {
        "journal" => hostile::seal_journal(bytes),
        "record" => hostile::seal_record(bytes),
        "parcel" => hostile::seal_parcel(bytes),
        "index" => hostile::seal_index(bytes),
        _ => {}
    }
}

/// Runs a target over many inputs; gives what made it panic, or take too long.
fn torment(name: &str, target: Target, corpus: &[Vec<u8>], seed: u64) -> Vec<String> {
    let (mut rng, mut crashes) = (Rng::new(seed), Vec::new());
    for bytes in corpus {
        target(bytes);
    }
    for number in 0..effort::share(EXECS) {
        let mut bytes = rng.pick(corpus).clone();
        mutate(&mut rng, &mut bytes, corpus);
        if rng.chance(75) {
            seal(name, &mut bytes);
        }
        let watch = Stopwatch::start();
        let outcome = catch_unwind(AssertUnwindSafe(|| target(&bytes)));
        let took = watch.elapsed();
        if outcome.is_err() || took > MOST {
            let hex: String = bytes.iter().take(200).map(|byte| format!("{byte:02x}")).collect();
            crashes.push(format!("{name} {number} (seed {seed}), {took:?}, panic {}: {hex}", outcome.is_err()));
        }
    }
    crashes
}

/// Writes what is valid where a fuzzer begins with it, if that was asked for: `SLACKWATER_CORPUS=DIR`.
fn hand_out(corpora: &BTreeMap<&str, Vec<Vec<u8>>>) {
    let Some(folder) = std::env::var_os("SLACKWATER_CORPUS") else { return };
    for (name, corpus) in corpora {
        let folder = Path::new(&folder).join(name);
        fs::create_dir_all(&folder).expect("a folder");
        for (number, bytes) in corpus.iter().enumerate() {
            fs::write(folder.join(format!("valid_{number}")), bytes).expect("a file");
        }
    }
}

#[test]
fn no_bytes_make_a_reader_panic_or_hang() {
    let corpora = corpora();
    hand_out(&corpora);
    let seed = effort::asked_seed().unwrap_or(8);
    let mut crashes = Vec::new();
    for (name, target) in TARGETS {
        let corpus = &corpora[name];
        assert!(!corpus.is_empty() && corpus.iter().all(|bytes| !bytes.is_empty()), "there is a corpus for {name}");
        crashes.extend(torment(name, target, corpus, seed));
    }
    let execs = TARGETS.len() * effort::share(EXECS);
    effort::print(&format!("targets={} execs={execs} crashes={}", TARGETS.len(), crashes.len()));
    assert!(crashes.is_empty(), "{}", crashes[..crashes.len().min(20)].join("\n"));
}
