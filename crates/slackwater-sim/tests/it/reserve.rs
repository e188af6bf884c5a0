//! A journal that is nearly full, and a tick that must tell of much: what was taken in leaves room for it.

use slackwater::face::config::{self, Config};
use slackwater::runtime::clock::{Clock, Stopwatch};
use slackwater::runtime::deliver::{Begun, Group};
use slackwater::runtime::desk::{Declined, Delivery};
use slackwater::runtime::gauge::Gauge;
use slackwater::runtime::instance::{Instance, Settings};
use slackwater::runtime::reopen::{Keep, Opening};
use slackwater_sim::voyage::leg::Harbour;
use slackwater_store::Fault;
use slackwater_store::journal::Limits;
use slackwater_store::store::Store;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

const CONFIG: &str = r#"
[source.t]
kind = "http"
format = "json"
identity = "i"
event_time = "s"
version = "v"
op = "op"
[source.t.fields]
i = "u64"
v = "u64?"
op = "string?"
s = "timestamp_s"
text = "string"
[pipeline.m]
sql = "SELECT count(*) AS events FROM t GROUP BY tumble(s, INTERVAL '1 minute')"
"#;
const MOST: u64 = 100_000;

/// Retractions of events that never came. They are compressed well, and nothing but the tick tells of them.
fn retractions(config: &Config, numbers: Range<u64>) -> Delivery {
    let mut bytes = String::new();
    for number in numbers.clone() {
        let text = "x".repeat(200);
        let _ = writeln!(bytes, r#"{{"i":{number},"v":1,"op":"retract","s":20,"text":"{text}"}}"#);
    }
    let (schema, format) = (&config.plan.sources[0].schema, config.sources[0].format);
    let name = Some(Arc::from(format!("from {}", numbers.start)));
    Delivery::of_bytes((0, schema, format), name, bytes.into_bytes()).expect("no header is needed")
}

fn with<T>(harbour: &Harbour, config: &Config, work: impl FnOnce(&mut Instance<'_>) -> T) -> T {
    let formats: Vec<_> = config.sources.iter().map(|source| source.format).collect();
    harbour.ledger.beside(&harbour.disk);
    let kept = harbour.ledger.clone();
    let mut store = move |keep| {
        if keep == Keep::Nothing {
            kept.empty();
        }
        Ok(Box::new(kept.clone()) as Box<dyn Store>)
    };
    let mut settings = Settings { checkpoints: 1, ..Settings::of_threads(1) };
    settings.journal = Limits { segment_bytes: 4_000, most_bytes: MOST, reserve_bytes: 4_000 };
    let opening = Opening {
        plan: &config.plan,
        formats: &formats,
        settings,
        disk: Arc::new(harbour.disk.clone()),
        store: &mut store,
        clock: Clock::still(1_800_000_000_000_000_000),
        name: *b"one of retracted",
    };
    let (mut instance, _) = Instance::open(opening, &Gauge::default()).expect("opened");
    work(&mut instance)
}

fn synced(instance: &mut Instance<'_>, begun: Begun) -> Option<Group> {
    match begun {
        Begun::Journaled(group, syncing) => {
            if let Some(syncing) = syncing {
                instance.end_sync(syncing.run(), Stopwatch::start()).expect("synced");
            }
            Some(group)
        }
        Begun::Declined(told) => {
            assert!(told.iter().all(|told| matches!(told, Err(Declined::NoRoom(_)))), "{told:?}");
            None
        }
    }
}

#[test]
fn a_tick_has_room_for_all_retractions_that_were_taken_in() {
    let config = config::load(CONFIG, "c.toml").unwrap_or_else(|errors| panic!("{}", errors.render(false)));
    let harbour = Harbour::new();
    with(&harbour, &config, |instance| -> Result<(), Fault> {
        // One group is judged while the next is journaled, as a service does it.
        let (mut before, mut taken, mut declined) = (None::<Group>, 0, 0);
        for round in 0..20 {
            let begun = instance.begin(vec![retractions(&config, round * 60..round * 60 + 60)])?;
            let group = synced(instance, begun);
            match group {
                Some(_) => taken += 1,
                None => declined += 1,
            }
            if let Some(before) = std::mem::replace(&mut before, group) {
                instance.judge(before, &Gauge::default())?;
            }
        }
        if let Some(before) = before {
            instance.judge(before, &Gauge::default())?;
        }
        assert!(taken > 0 && declined > 0, "{taken} taken in, {declined} declined");
        instance.end()?;
        // What was declined is taken in behind a checkpoint.
        for round in 0..20 {
            for part in 0..3 {
                let first = round * 60 + part * 20;
                for again in 0.. {
                    // Some of them came under another name before, which changes nothing.
                    let delivery = retractions(&config, first + 10_000..first + 10_020);
                    match instance.deliver(vec![delivery], &Gauge::default())?.pop().expect("an answer") {
                        Ok(_) => break,
                        Err(Declined::NoRoom(_)) if again < 3 => instance.end()?,
                        Err(declined) => panic!("round {round}: {declined:?}"),
                    }
                }
            }
        }
        instance.end()
    })
    .expect("a clean stop always fits");
    let counted = with(&harbour, &config, |instance| instance.seen().counts()[0].received);
    assert!(counted > 1_200, "{counted}");
}
