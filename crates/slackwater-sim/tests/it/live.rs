//! A running service under a clock that is driven: beside the core that is told of every tick, and beside its own history as
//! it is seen again in a file.

use slackwater::decode::{Chunk, Damaged, Decoder};
use slackwater::face::config::{self, Config};
use slackwater::runtime::arrived;
use slackwater::runtime::board::{Board, News};
use slackwater::runtime::clock::Clock;
use slackwater::runtime::desk::{Delivery, Desk};
use slackwater::runtime::gauge::Gauge;
use slackwater::runtime::instance::Instance;
use slackwater::runtime::orders::{Front, Order, Orders};
use slackwater::runtime::reopen::Opening;
use slackwater::runtime::service::{Pace, Service};
use slackwater_core::delta::Cause;
use slackwater_core::fold::Final;
use slackwater_core::hold::Release;
use slackwater_core::input::{Decision, Input, Tick};
use slackwater_core::machine::Machine;
use slackwater_core::memory::Memory;
use slackwater_core::plan::{Knobs, Plan, Source};
use slackwater_sim::effort;
use slackwater_sim::engine::Chunks;
use slackwater_sim::rng::Rng;
use slackwater_sim::trial::guarded;
use slackwater_sim::voyage::leg::Harbour;
use slackwater_sim::voyage::mishap::Figures;
use slackwater_sim::voyage::script::plain;
use slackwater_store::Fault;
use slackwater_store::store::Store;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Full figure of services, and what all of them must have met at the least.
const SERVICES: usize = 2_000;
const MET: [(&str, usize); 5] =
    [("steps", 100_000), ("ticks", 60_000), ("finals", 100_000), ("late", 8_000), ("held", 1_200)];
/// The same of those whose history is seen again.
const HISTORIES: usize = 1_000;
const SEEN_AGAIN: [(&str, usize); 4] = [("events", 100_000), ("finals", 150_000), ("late", 40_000), ("held", 15_000)];
const STEPS: usize = 60;
const SECOND: i64 = 1_000_000_000;
const BEGUN: i64 = 1_700_000_000 * SECOND;
/// How time passes from one look of the service to the next.
const PASSES: [i64; 7] = [0, SECOND / 10, SECOND, 3 * SECOND, 10 * SECOND, 60 * SECOND, 3_600 * SECOND];
/// In seconds, how it passes from one thing that happens to the next where the service looks every second.
const WAITS: [i64; 5] = [1, 2, 7, 25, 150];

/// Two sources, each with windows of three kinds.
fn config(rng: &mut Rng) -> String {
    let mut text = String::new();
    for source in ["trades", "quotes"] {
        let time = *rng.pick(&["watermark = \"wall_clock\"", "idle_after = \"20s\"", "idle_after = \"2m\"", ""]);
        let late = *rng.pick(&["amend", "hold"]);
        let lag = *rng.pick(&["0s", "2s", "30s"]);
        text += &format!(
            "[source.{source}]\nkind = \"http\"\nformat = \"json\"\nidentity = \"id\"\nevent_time = \"ts\"\n\
             origin = \"venue\"\nlag = \"{lag}\"\nlate = \"{late}\"\n{time}\n\
             [source.{source}.fields]\nid = \"u64\"\nvenue = \"string\"\nts = \"timestamp_ms\"\n"
        );
        let windows = ["tumble(ts, INTERVAL '5 seconds')", "session(ts, INTERVAL '4 seconds')", "tick_bar(3)"];
        for (number, window) in windows.iter().enumerate() {
            text += &format!(
                "[pipeline.{source}{number}]\nsql = \"SELECT count(*) AS n FROM {source} GROUP BY {window}\"\n"
            );
        }
    }
    text
}

fn compiled(text: &str) -> Config {
    config::load(text, "live.toml").unwrap_or_else(|errors| panic!("{}", errors.render(false)))
}

/// An event of a time in milliseconds; of an arrival, where a field has it.
fn event(id: u64, venue: &str, ms: i64, seen: Option<i64>) -> String {
    let seen = seen.map_or(String::new(), |seen| format!(",\"seen\":{seen}"));
    format!("{{\"id\":{id},\"venue\":\"{venue}\",\"ts\":{ms}{seen}}}\n")
}

/// Looks at the service at a time, and gives the finals that it told since the last look.
type Look<'l> = dyn FnMut(i64) -> Result<Vec<Final>, String> + 'l;

/// A service that looks whether a tick is due when it is told to, and only then.
fn serve<T>(config: &Config, work: impl FnOnce(&Front, &mut Look<'_>) -> Result<T, String>) -> Result<T, String> {
    let (Config { plan, sources, .. }, Harbour { disk, ledger }) = (config, Harbour::new());
    let (front, told) = front(plan);
    let since = &*Box::leak(Box::new(AtomicI64::new(0)));
    let formats: Vec<_> = sources.iter().map(|source| source.format).collect();
    ledger.beside(&disk);
    let open = || -> Result<Instance<'_>, Fault> {
        let opening = Opening {
            plan,
            formats: &formats,
            settings: plain(),
            disk: Arc::new(disk.clone()),
            store: &mut |_| Ok(Box::new(ledger.clone()) as Box<dyn Store>),
            clock: Clock::driven(BEGUN, since),
            name: *b"one that waits..",
        };
        Ok(Instance::open(opening, &Gauge::default())?.0)
    };
    let pace = Pace { tick: Duration::ZERO, publish: Duration::ZERO, ..Pace::default() };
    let fed = (Vec::new(), vec![false; sources.len()]);
    let in_words = |fault: Fault| fault.to_string();
    let mut service = Service::start(open, front.clone(), pace, fed, Arc::default()).map_err(in_words)?;
    work(&front, &mut |now| {
        since.store(now - BEGUN, Ordering::Release);
        while service.poll().map_err(in_words)? {}
        Ok(std::mem::take(&mut *told.lock().expect("no panic")))
    })
}

/// Hands events of a source in.
fn hand_in(front: &Front, source: u16, events: String) -> Result<(), &'static str> {
    let delivery = Delivery::new(source, None, events.into_bytes(), (None, 0));
    front.desk.hand_in(delivery, Box::new(drop)).map_err(|_| "the desk is full")
}

/// The core, which is told of every tick.
struct Always<'a> {
    config: &'a Config,
    machine: Machine,
    memories: [Memory; 1],
}

impl Always<'_> {
    fn step(&mut self, input: &Input) -> Vec<Final> {
        self.machine.step(&self.config.plan, input, &mut self.memories).finals
    }

    fn tick(&mut self, at: i64, caught_up: &[u16]) -> Vec<Final> {
        self.step(&Input::Tick(Tick { at, caught_up: caught_up.to_vec() }))
    }

    fn take(&mut self, at: i64, source: u16, bytes: &[u8]) {
        let (part, bytes) = ("unnamed".into(), bytes.to_vec());
        let chunk = Chunk { source, part, offset: 0, line: 1, bytes, header: None, arrival: Some(at) };
        let number = usize::from(source);
        let mut decoder = Decoder::new(&self.config.plan.sources[number], self.config.sources[number].format);
        let batch = decoder.decode(&chunk);
        self.step(&Input::Events(batch));
    }
}

/// What happens between one look of the service and the next, to it and to the core.
struct Doings<'a> {
    rng: Rng,
    front: &'a Front,
    always: Always<'a>,
    /// The number of the last event.
    last: u64,
}

impl Doings<'_> {
    /// Something, or nothing.
    fn befall(&mut self, now: i64) -> Result<(), &'static str> {
        let source = self.rng.below(self.always.config.plan.sources.len()) as u16;
        match self.rng.below(100) {
            0..35 => self.send(source, now),
            35..42 => {
                self.release(source);
                Ok(())
            }
            42..50 => {
                self.tune();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Some events of a source, about now.
    fn send(&mut self, source: u16, now: i64) -> Result<(), &'static str> {
        let mut text = String::new();
        for _ in 0..1 + self.rng.below(3) {
            self.last += 1;
            let ms = (now + self.rng.within(-30 * SECOND, 2 * SECOND)) / 1_000_000;
            let venue = self.rng.pick(&["X", "Y"]);
            text += &event(self.last, venue, ms, None);
        }
        self.always.take(now, source, text.as_bytes());
        hand_in(self.front, source, text)
    }

    /// What a source holds is let in.
    fn release(&mut self, source: u16) {
        let release = Release { source, pipeline: None, identity: None };
        // What nobody holds is no decision.
        if self.always.machine.holds().would_release(&release) > 0 {
            self.always.step(&Input::Decision(Decision::Release(release.clone())));
        }
        self.front.orders.give(Order::Release(release), Box::new(drop));
    }

    /// Every source has another lag.
    fn tune(&mut self) {
        let sources = &self.always.config.plan.sources;
        let turned = |source: &Source| Knobs { lag: self.rng.within(0, 60 * SECOND), ..source.knobs.clone() };
        let knobs: Vec<Knobs> = sources.iter().map(turned).collect();
        for (source, knobs) in (0..).zip(&knobs) {
            self.always.step(&Input::Decision(Decision::Knobs(source, knobs.clone())));
        }
        let guards = sources.iter().map(|source| source.guards.clone()).collect();
        self.front.orders.give(Order::Tune(knobs, guards), Box::new(drop));
    }
}

/// What is shared with a service of a plan, and the finals that it tells.
fn front(plan: &Plan) -> (Front, Arc<Mutex<Vec<Final>>>) {
    let (desk, board) = (Arc::new(Desk::new(plan.sources.len())), Arc::new(Board::new(plan.pipelines.len())));
    let told: Arc<Mutex<Vec<Final>>> = Arc::default();
    let heard = told.clone();
    board.listen(Box::new(move |news| {
        if let News::Committed { finals, .. } = &**news {
            heard.lock().expect("no panic").extend(finals.iter().cloned());
        }
    }));
    (Front { desk, board, orders: Arc::new(Orders::default()) }, told)
}

fn beside_the_core(seed: u64) -> Result<Figures, String> {
    let mut rng = Rng::new(seed);
    let config = compiled(&config(&mut rng));
    let plan = &config.plan;
    let always = Always { config: &config, machine: Machine::new(plan, 1, 1), memories: [Memory::new()] };
    let (caught_up, mut figures) = ((0..plan.sources.len() as u16).collect::<Vec<_>>(), Figures::default());
    serve(&config, |front, look| {
        let (mut doings, mut now) = (Doings { rng, front, always, last: 0 }, BEGUN);
        look(now)?;
        // At its first look it cannot say that anybody is silent.
        doings.always.tick(now, &[]);
        doings.always.tick(now, &caught_up);
        for step in 0..STEPS {
            now += doings.rng.pick(&PASSES);
            doings.befall(now)?;
            let (found, wanted) = (look(now)?, doings.always.tick(now, &caught_up));
            if found != wanted {
                return Err(format!("step {step}: {found:?}\n  and ticking always {wanted:?}"));
            }
            figures.note("finals", found.len());
            figures.note("late", found.iter().filter(|row| row.cause == Cause::Late).count());
        }
        let held = caught_up.iter().map(|source| doings.always.machine.holds().count(*source)).collect::<Vec<_>>();
        figures.note("held", holds(front, &held)? as usize);
        figures.note("steps", STEPS);
        figures.note("ticks", front.board.standing().ticks as usize);
        Ok(figures)
    })
}

/// How much is held, by source as it must be.
fn holds(front: &Front, wanted: &[u64]) -> Result<u64, String> {
    let found: Vec<u64> = front.board.standing().sources.iter().map(|source| source.held).collect();
    if found == wanted {
        Ok(found.iter().sum())
    } else {
        Err(format!("the service holds {found:?}, and not {wanted:?}"))
    }
}

/// A service looks every second, and what it was told is written to a file behind an arrival just before that look.
fn seen_again(seed: u64) -> Result<Figures, String> {
    let mut rng = Rng::new(seed);
    let text = config(&mut rng);
    let (live, mut figures, mut last) = (compiled(&text), Figures::default(), 0);
    let arriving = text.replace("origin = ", "arrival = \"seen\"\norigin = ");
    let arriving =
        compiled(&arriving.replace("ts = \"timestamp_ms\"", "ts = \"timestamp_ms\"\nseen = \"timestamp_ns\""));
    let mut files = vec![String::new(); live.sources.len()];
    let (mut told, held) = serve(&live, |front, look| {
        let (mut told, mut now) = (Vec::new(), BEGUN);
        for _ in 0..STEPS {
            let source = rng.below(files.len());
            let mut text = String::new();
            for _ in 0..1 + rng.below(3) {
                last += 1;
                let (ms, venue) = ((now + rng.within(-30 * SECOND, -SECOND)) / 1_000_000, rng.pick(&["X", "Y"]));
                text += &event(last, venue, ms, None);
                files[source] += &event(last, venue, ms, Some(now - 1));
            }
            hand_in(front, source as u16, text)?;
            for _ in 0..*rng.pick(&WAITS) {
                told.append(&mut look(now)?);
                now += SECOND;
            }
        }
        Ok((told, front.board.standing().sources.iter().map(|source| source.held).collect::<Vec<_>>()))
    })?;
    told.sort_by(Final::order);
    let formats: Vec<_> = arriving.sources.iter().map(|source| source.format).collect();
    let part = |(source, text): (usize, String)| {
        let (source, part, bytes) = (source as u16, "file".into(), text.into_bytes());
        Chunks([Chunk { source, part, offset: 0, line: 1, bytes, header: None, arrival: None }].into())
    };
    let feeds = files.into_iter().enumerate().map(part).collect();
    let quiet = |_: &[_]| Ok::<_, Damaged>(());
    let folded = arrived::fold(&arriving.plan, &formats, feeds, SECOND, &Gauge::default(), quiet);
    let folded = folded.map_err(|damaged| damaged.to_string())?;
    // The end of the file seals what still moved, and sealed sessions that go on with it.
    let mut told = told.into_iter().peekable();
    for row in folded.finals {
        figures.note("finals", 1);
        figures.note("late", usize::from(row.cause == Cause::Late));
        if told.next_if_eq(&row).is_none() && row.cause != Cause::Seal {
            return Err(format!("{row:?} was not told by the service, which told {:?} next", told.peek()));
        }
    }
    if let Some(row) = told.next() {
        return Err(format!("{row:?} was told by the service, and is not seen again"));
    }
    if folded.held != held {
        return Err(format!("the service held {held:?}, and as it arrived {:?}", folded.held));
    }
    figures.note("held", held.iter().sum::<u64>() as usize);
    figures.note("events", last as usize);
    Ok(figures)
}

/// Makes so many, and holds what they met against floors.
fn each(
    name: &str,
    full: usize,
    test: &str,
    floors: &[(&str, usize)],
    make: fn(u64) -> Result<Figures, String>,
) -> Figures {
    let mut figures = Figures::default();
    for seed in effort::seeds(name, full) {
        figures.merge(&guarded(seed, "it", test, || make(seed)).unwrap_or_else(|text| panic!("{text}")));
    }
    let told: Vec<String> = floors.iter().map(|(what, _)| format!("{what}={}", figures.count(what))).collect();
    effort::print(&format!("{name} {} mismatch=0", told.join(" ")));
    if effort::asked_seed().is_none() {
        floors
            .iter()
            .for_each(|(what, floor)| assert!(figures.count(what) >= effort::share(*floor), "{what} are too few"));
    }
    figures
}

#[test]
fn what_a_service_leaves_out_nobody_can_tell() {
    let test = "what_a_service_leaves_out_nobody_can_tell";
    let figures = each("left out", SERVICES, test, &MET, beside_the_core);
    assert!(
        effort::asked_seed().is_some() || figures.count("ticks") < figures.count("steps"),
        "some ticks are left out"
    );
}

#[test]
fn the_history_of_a_service_is_seen_again_as_it_arrived() {
    let test = "the_history_of_a_service_is_seen_again_as_it_arrived";
    each("seen again", HISTORIES, test, &SEEN_AGAIN, seen_again);
}
