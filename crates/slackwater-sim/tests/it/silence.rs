//! A running service leaves out ticks that can bring nothing, and nobody can tell: what it gives is what ticking always gives.

use slackwater::decode::{Chunk, Decoder};
use slackwater::face::config::{self, Config};
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

const TEST: &str = "what_a_service_leaves_out_nobody_can_tell";
/// Full figure of services, and what all of them must have met at the least.
const SERVICES: usize = 2_000;
const MET: [(&str, usize); 5] =
    [("steps", 100_000), ("ticks", 60_000), ("finals", 100_000), ("late", 8_000), ("held", 1_200)];
const STEPS: usize = 60;
const SECOND: i64 = 1_000_000_000;
const BEGUN: i64 = 1_700_000_000 * SECOND;
/// How time passes from one look of the service to the next.
const PASSES: [i64; 7] = [0, SECOND / 10, SECOND, 3 * SECOND, 10 * SECOND, 60 * SECOND, 3_600 * SECOND];

fn config(rng: &mut Rng) -> Config {
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
    config::load(&text, "silence.toml").unwrap_or_else(|errors| panic!("{}", errors.render(false)))
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
            let (id, ms) = (self.last, (now + self.rng.within(-30 * SECOND, 2 * SECOND)) / 1_000_000);
            let venue = self.rng.pick(&["X", "Y"]);
            text += &format!("{{\"id\":{id},\"venue\":\"{venue}\",\"ts\":{ms}}}\n");
        }
        self.always.take(now, source, text.as_bytes());
        let delivery = Delivery::new(source, None, text.into_bytes(), (None, 0));
        self.front.desk.hand_in(delivery, Box::new(drop)).map_err(|_| "the desk is full")
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

fn service(seed: u64) -> Result<Figures, String> {
    let mut rng = Rng::new(seed);
    let config = config(&mut rng);
    let (Config { plan, sources, .. }, Harbour { disk, ledger }) = (&config, Harbour::new());
    let (front, told) = front(plan);
    let (since, mut now) = (&*Box::leak(Box::new(AtomicI64::new(0))), BEGUN);
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
    // It looks whether a tick is due whenever it is asked.
    let pace = Pace { tick: Duration::ZERO, publish: Duration::ZERO, ..Pace::default() };
    let fed = (Vec::new(), vec![false; sources.len()]);
    let in_words = |fault: Fault| fault.to_string();
    let mut service = Service::start(open, front.clone(), pace, fed, Arc::default()).map_err(in_words)?;
    let always = Always { config: &config, machine: Machine::new(plan, 1, 1), memories: [Memory::new()] };
    let (mut doings, mut figures) = (Doings { rng, front: &front, always, last: 0 }, Figures::default());
    let caught_up: Vec<u16> = (0..sources.len() as u16).collect();
    while service.poll().map_err(in_words)? {}
    // At its first look it cannot say that anybody is silent.
    doings.always.tick(now, &[]);
    doings.always.tick(now, &caught_up);
    for step in 0..STEPS {
        now += doings.rng.pick(&PASSES);
        since.store(now - BEGUN, Ordering::Release);
        doings.befall(now)?;
        while service.poll().map_err(in_words)? {}
        let (found, wanted) =
            (std::mem::take(&mut *told.lock().expect("no panic")), doings.always.tick(now, &caught_up));
        if found != wanted {
            return Err(format!("step {step}: {found:?}\n  and ticking always {wanted:?}"));
        }
        figures.note("finals", found.len());
        figures.note("late", found.iter().filter(|row| row.cause == Cause::Late).count());
    }
    let standing = front.board.standing();
    for (number, source) in (0..).zip(&standing.sources) {
        let wanted = doings.always.machine.holds().count(number);
        if source.held != wanted {
            return Err(format!("source {number} holds {}, and {wanted} where it ticks always", source.held));
        }
        figures.note("held", wanted as usize);
    }
    figures.note("steps", STEPS);
    figures.note("ticks", standing.ticks as usize);
    Ok(figures)
}

#[test]
fn what_a_service_leaves_out_nobody_can_tell() {
    let mut figures = Figures::default();
    for seed in effort::seeds("silence", SERVICES) {
        figures.merge(&guarded(seed, "it", TEST, || service(seed)).unwrap_or_else(|text| panic!("{text}")));
    }
    let told: Vec<String> = MET.iter().map(|(what, _)| format!("{what}={}", figures.count(what))).collect();
    effort::print(&format!("silence {} mismatch=0", told.join(" ")));
    if effort::asked_seed().is_none() {
        assert!(figures.count("ticks") < figures.count("steps"), "some ticks are left out");
        MET.iter()
            .for_each(|(what, floor)| assert!(figures.count(what) >= effort::share(*floor), "{what} are too few"));
    }
}
