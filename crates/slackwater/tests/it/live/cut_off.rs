//! A running instance that keeps facts for a time only.

use super::{assert_alike, bare, config, folded, open, push, quick, stopped};
use crate::durable::retained::{STEP, keeping, trade};
use crate::durable::trades_every;
use slackwater::face::api::live::Live;
use slackwater::face::config::Config;
use slackwater::runtime::clock::Clock;
use slackwater::runtime::desk::{Declined, Delivery, Load};
use slackwater::runtime::gauge::Gauge;
use slackwater::runtime::instance::{Instance, Settings};
use slackwater_core::cutoff::Cutoff;
use slackwater_core::input::Decision;
use slackwater_store::journal::Limits;
use std::time::Duration;

/// A day, in nanoseconds.
const DAY: i64 = 86_400_000_000_000;

/// Waits until the source is cut off, and gives where.
fn cut_off(live: &Live) -> Cutoff {
    loop {
        if let Some(cutoff) = live.board().standing().sources[0].cutoff {
            return cutoff;
        }
        live.push("trades", None, b"nonsense\n".to_vec()).expect("taken in");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_running_instance_is_cut_off_and_stays_so_across_a_restart() {
    let (text, events) = (keeping("keep_facts = \"3d\""), trades_every(STEP, 0, 3_000));
    let folder = tempfile::tempdir().expect("a folder");
    let (live, _told) = open(&text, folder.path());
    push(&live, &events, 6_000);
    let cutoff = cut_off(&live);
    assert!(cutoff.facts <= cutoff.events && cutoff.lets_go());
    // New and too old; a correction of what is gone; and the first of all again.
    let beyond = trade(20_000, 0, 1.0, 7) + &trade(1, 9, 1.0, 8);
    let counts = push(&live, &beyond, 10).remove(0).counts;
    assert_eq!((counts.received, counts.beyond_retention, counts.facts), (2, 2, 0));
    assert!(counts.balances());
    let again = push(&live, &trades_every(STEP, 0, 1), 10).remove(0).counts;
    assert_eq!((again.duplicates, again.beyond_retention), (again.received, 0));
    stopped(&live);
    let live = Live::open(config(&text), folder.path(), quick()).expect("opened");
    assert!(live.board().standing().sources[0].cutoff.is_some_and(|now| now.events >= cutoff.events));
    let counts = push(&live, &beyond, 10).remove(0).counts;
    assert_eq!((counts.beyond_retention, counts.facts), (2, 0));
    let counts = live.board().standing().sources[0].counts.clone();
    assert!(counts.balances());
    assert_alike(&stopped(&live), &folded(&text, &events), "what is set aside is in no row");
}

/// Delivers lines to a source; whether there was room for them.
fn delivered(instance: &mut Instance<'_>, config: &Config, (source, name): (u16, &str), lines: String) -> bool {
    let number = usize::from(source);
    let of = (source, &config.plan.sources[number].schema, config.sources[number].format);
    let delivery = Delivery::of_bytes(of, Some(name.into()), lines.into_bytes()).expect("no header is needed");
    match instance.deliver(vec![delivery], &Gauge::default()).expect("kept").pop().expect("an answer") {
        Ok(_) => true,
        Err(Declined::NoRoom(_)) => false,
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_cutoff_stays_in_force_though_what_comes_behind_it_finds_no_room() {
    let text = keeping("keep_facts = \"3d\"");
    let (sound, folder) = (config(&text), tempfile::tempdir().expect("a folder"));
    let mut settings = Settings { keep_facts: vec![Some(3 * DAY)], ..Settings::of_threads(1) };
    settings.journal = Limits { most_bytes: 200_000, reserve_bytes: 50_000, ..settings.journal };
    let run = |work: &mut dyn FnMut(&mut Instance<'_>)| {
        bare(&text, folder.path(), (settings.clone(), Clock::start()), |instance, _| work(instance));
    };
    let mut decided = None;
    run(&mut |instance| {
        instance.tune(&[sound.plan.sources[0].knobs.clone()]).expect("tuned");
        instance.guard(&[sound.plan.sources[0].guards.clone()]).expect("guarded");
        assert!(delivered(instance, &sound, (0, "first"), trades_every(STEP, 0, 3_000)));
        instance.pulse(instance.tick_now(vec![0]), false, |_, _| {}).expect("a tick");
        assert!(instance.cut_off().expect("decided"), "the source is cut off");
        decided = instance.standing(Load::default()).sources[0].cutoff;
        let many = trades_every(STEP, 3_000, 30_000);
        assert!(!delivered(instance, &sound, (0, "large"), many), "so much finds no room");
        // Judged under the cutoff, and told so.
        assert!(delivered(instance, &sound, (0, "late"), trade(20_000, 0, 1.0, 7)));
        assert_eq!(instance.seen().counts()[0].beyond_retention, 1);
    });
    assert!(decided.is_some());
    // It is not stopped, so all of it comes from the journal.
    run(&mut |instance| {
        assert_eq!(instance.standing(Load::default()).sources[0].cutoff, decided);
        assert_eq!(instance.seen().counts()[0].beyond_retention, 1);
    });
}

#[test]
fn who_is_interrupted_between_two_cutoffs_makes_no_tick_more() {
    let one = keeping("keep_facts = \"3d\"");
    let text = one.clone() + &one.replace("trades", "others").replace("[pipeline.", "[pipeline.of_");
    let (sound, folders) = (config(&text), [(); 2].map(|()| tempfile::tempdir().expect("a folder")));
    let settings = Settings { keep_facts: vec![Some(3 * DAY); 2], ..Settings::of_threads(1) };
    let run = |at: usize, work: &mut dyn FnMut(&mut Instance<'_>)| {
        bare(&text, folders[at].path(), (settings.clone(), Clock::start()), |instance, _| work(instance));
    };
    let all = |instance: &mut Instance<'_>| {
        let guards: Vec<_> = sound.plan.sources.iter().map(|source| source.guards.clone()).collect();
        instance.guard(&guards).expect("guarded");
        assert!((0..2).all(|source| delivered(instance, &sound, (source, "all"), trades_every(STEP, 0, 3_000))));
    };
    let ended = |instance: &mut Instance<'_>| {
        instance.end().expect("ended");
        let cutoffs: Vec<_> = instance.standing(Load::default()).sources.iter().map(|source| source.cutoff).collect();
        (instance.head().ticks, cutoffs)
    };
    let mut calm = (0, Vec::new());
    run(0, &mut |instance| {
        all(instance);
        calm = ended(instance);
    });
    let &[Some(first), Some(_)] = &calm.1[..] else { panic!("both sources are cut off: {calm:?}") };
    run(1, &mut |instance| {
        all(instance);
        instance.decide(Decision::EndOfInput).expect("decided");
        instance.pulse(instance.tick_now(Vec::new()), true, |_, _| {}).expect("a tick");
        instance.decide(Decision::Cutoff(0, first)).expect("decided");
    });
    run(1, &mut |instance| assert_eq!(ended(instance), calm));
}
