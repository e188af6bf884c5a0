//! Damage while nothing runs: every bit of every own file, every length, files that are gone, swapped or doubled, and bits
//! of the store. What is said afterwards is the same, or a refusal that names the file.

use crate::bench::Bench;
use crate::small::{self, INPUTS, LATER, Told};
use slackwater::face::config::Config;
use slackwater_sim::effort;
use slackwater_sim::rng::Rng;
use slackwater_store::sqlite::FILE;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// Bytes of own files, at most, so that every bit can be tried.
const MOST_BYTES: usize = 16 << 10;
/// Flips of bits of the store.
const STORE_FLIPS: usize = 20_000;

type Files = BTreeMap<String, Vec<u8>>;

#[derive(Debug, Default)]
struct Figures {
    flips: usize,
    truncations: usize,
    moves: usize,
    silent_wrong: usize,
    panics: usize,
    masked: usize,
    degraded: usize,
    detected: usize,
    /// What is wrong, as far as anybody would read.
    wrong: Vec<String>,
}

struct Sweep {
    _bench: Bench,
    data: PathBuf,
    config: Config,
    files: Files,
    /// What is said of the whole directory, and after what came later.
    told: [Told; 2],
    figures: Figures,
}

impl Sweep {
    fn new() -> Sweep {
        let bench = Bench::new("");
        let (data, config) = (bench.path("data"), small::config());
        let said = "an undisturbed fold";
        small::lay(&data, &Files::new());
        small::fold(&data, &config, &INPUTS[..2]).expect(said);
        small::fold(&data, &config, &INPUTS).expect(said);
        let files = small::files(&data);
        let told = small::query(&data, &config).expect(said);
        assert_eq!(small::fold(&data, &config, &INPUTS).expect(said), Vec::<String>::new());
        small::fold(&data, &config, &[LATER]).expect(said);
        let later = small::query(&data, &config).expect(said);
        assert!(told.len() > 20 && later.len() > told.len());
        Sweep { _bench: bench, data, config, files, told: [told, later], figures: Figures::default() }
    }

    fn own(&self) -> Vec<(String, Vec<u8>)> {
        let own = self.files.iter().filter(|(name, _)| *name != FILE);
        own.map(|(name, bytes)| (name.clone(), bytes.clone())).collect()
    }

    /// Asks a damaged directory everything. `names` are the files that were touched.
    fn ask(&mut self, files: &Files, names: &[&str], what: &str) {
        small::lay(&self.data, files);
        let (data, config, told) = (&self.data, &self.config, &self.told);
        // What a refusal said; else whether anything was noted.
        let outcome = catch_unwind(AssertUnwindSafe(|| -> Result<Result<bool, String>, String> {
            let same = |found: Result<Told, small::Refused>, of: usize, place: &str| match found {
                Ok(found) if found == told[of] => Ok(Ok(())),
                Ok(found) => Err(format!("{place}: {:?}", found.iter().zip(&told[of]).find(|(a, b)| a != b))),
                Err(small::Refused(said)) => Ok(Err(said)),
            };
            // A query reads the store alone.
            let first = match names.contains(&FILE) {
                true => same(small::query(data, config), 0, "query")?,
                false => Ok(()),
            };
            let noted = match small::fold(data, config, &INPUTS) {
                Ok(notes) => !notes.is_empty(),
                Err(small::Refused(said)) => return Ok(Err(said)),
            };
            if let Err(said) = same(small::query(data, config), 0, "query after the fold")? {
                return Ok(Err(said));
            }
            if let Err(small::Refused(said)) = small::fold(data, config, &[LATER]) {
                return Ok(Err(said));
            }
            let last = same(small::query(data, config), 1, "query after a later fold")?;
            Ok(last.map(|()| noted || first.is_err()))
        }));
        let figures = &mut self.figures;
        let mut wrong = |text: String| {
            if figures.wrong.len() < 40 {
                figures.wrong.push(format!("{what}: {text}"));
            }
        };
        match outcome {
            Err(_) => {
                figures.panics += 1;
                wrong("it panicked".to_string());
            }
            Ok(Err(rows)) => {
                figures.silent_wrong += 1;
                wrong(format!("other rows: {rows}"));
            }
            Ok(Ok(Ok(false))) => figures.masked += 1,
            Ok(Ok(Ok(true))) => figures.degraded += 1,
            Ok(Ok(Err(said))) => {
                figures.detected += 1;
                let derived =
                    |name: &&str| ["index", "archive", "checkpoint"].contains(&name.split('/').next().unwrap_or(""));
                if names.iter().all(derived) {
                    wrong(format!("a refusal, and journal and record have all of it: {said}"));
                }
                // What is not there is told by its neighbour, with the entries that it had.
                let gone = said.contains("are missing before it");
                if !gone && !names.iter().any(|name| said.contains(name)) {
                    wrong(format!("a refusal that does not name it: {said}"));
                }
            }
        }
    }

    fn flip(&mut self, name: &str, bit: usize) {
        let mut files = self.files.clone();
        files.get_mut(name).expect("a file")[bit / 8] ^= 1 << (bit % 8);
        self.figures.flips += 1;
        let detected = self.figures.detected;
        self.ask(&files, &[name], &format!("bit {bit} of {name}"));
        if name.starts_with("journal/") && self.figures.detected > detected {
            self.figures.wrong.push(format!("bit {bit} of {name}: a refusal, and a checkpoint covers all of it"));
        }
    }

    fn cut(&mut self, name: &str, len: usize) {
        let mut files = self.files.clone();
        files.get_mut(name).expect("a file").truncate(len);
        self.figures.truncations += 1;
        self.ask(&files, &[name], &format!("{name} cut to {len}"));
    }

    fn end(self, name: &str) {
        let Figures { flips, truncations, moves, silent_wrong, panics, masked, degraded, detected, wrong } =
            self.figures;
        effort::print(&format!(
            "{name} flips={flips} truncations={truncations} moves={moves} silent_wrong={silent_wrong} panics={panics} \
             masked={masked} degraded={degraded} detected={detected}"
        ));
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!((silent_wrong, panics), (0, 0));
        assert!(detected + degraded > 0, "nothing was found, so nothing was damaged");
    }
}

/// One of so many: a tenth of what is there, or all.
fn stride() -> usize {
    100 / effort::share(100)
}

#[test]
fn no_bit_of_an_own_file_gives_other_rows() {
    let mut sweep = Sweep::new();
    let own = sweep.own();
    let bytes: usize = own.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(bytes <= MOST_BYTES, "{bytes} bytes: {:?}", own.iter().map(|(n, b)| (n, b.len())).collect::<Vec<_>>());
    for folder in ["instance", "journal/", "record/", "archive/", "index/", "checkpoint/"] {
        assert!(own.iter().any(|(name, _)| name.starts_with(folder)), "there is {folder}");
    }
    // The bits are counted over all files, so that a stride meets every place of a byte.
    let (stride, mut number) = (stride() + 1, 0);
    for (name, bytes) in &own {
        for bit in 0..bytes.len() * 8 {
            if stride == 2 || number % stride == 0 {
                sweep.flip(name, bit);
            }
            number += 1;
        }
    }
    sweep.end("own");
}

#[test]
fn no_length_of_an_own_file_gives_other_rows() {
    let mut sweep = Sweep::new();
    for (name, bytes) in sweep.own() {
        for len in (0..bytes.len()).step_by(stride()) {
            sweep.cut(&name, len);
        }
    }
    sweep.end("cut");
}

#[test]
fn files_that_are_gone_swapped_or_doubled_give_no_other_rows() {
    let mut sweep = Sweep::new();
    let names: Vec<String> = sweep.files.keys().cloned().collect();
    let folder = |name: &str| name.rsplit_once('/').map(|(folder, _)| folder.to_string());
    for name in &names {
        let mut files = sweep.files.clone();
        let bytes = files.remove(name).expect("a file");
        sweep.figures.moves += 1;
        sweep.ask(&files, &[name, &folder(name).unwrap_or(name.clone())], &format!("{name} is gone"));
        for other in names.iter().filter(|other| *other != name && folder(other) == folder(name) && *other != FILE) {
            let mut files = sweep.files.clone();
            files.insert(other.clone(), bytes.clone());
            sweep.figures.moves += 1;
            sweep.ask(&files, &[name, other], &format!("{name} over {other}"));
            if other > name {
                files.insert(name.clone(), sweep.files[other].clone());
                sweep.figures.moves += 1;
                sweep.ask(&files, &[name, other], &format!("{name} and {other} swapped"));
            }
        }
        let mut again = sweep.files.clone();
        let (stem, ending) = name.split_at(name.find('.').unwrap_or(name.len()));
        let Some((folder, number)) = stem.rsplit_once('/') else { continue };
        let number: u64 = number.parse().expect("files are numbered");
        for more in [1, 100] {
            let doubled = format!("{folder}/{:020}{ending}", number + more);
            if again.insert(doubled.clone(), bytes.clone()).is_none() {
                sweep.figures.moves += 1;
                sweep.ask(&again, &[name, &doubled], &format!("{name} also as {doubled}"));
            }
            again.remove(&doubled);
        }
    }
    sweep.end("moved");
}

#[test]
fn no_bit_of_the_store_gives_other_rows() {
    let mut sweep = Sweep::new();
    let store = sweep.files[FILE].clone();
    let mut rng = Rng::new(effort::asked_seed().unwrap_or(1));
    // Most of a small store is room that nothing uses yet, so every other flip is where something stands.
    let used: Vec<usize> = (0..store.len()).filter(|at| store[*at] != 0).collect();
    for number in 0..effort::share(STORE_FLIPS) {
        let bit = rng.below(8);
        let at = if number % 2 == 0 { rng.below(store.len()) } else { *rng.pick(&used) };
        sweep.flip(FILE, at * 8 + bit);
    }
    sweep.end("store");
}
