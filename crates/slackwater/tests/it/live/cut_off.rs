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

/// Delivers lines to the first source; whether there was room for them.
fn delivered(instance: &mut Instance<'_>, config: &Config, name: &str, lines: String) -> bool {
    let of = (0, &config.plan.sources[0].schema, config.sources[0].format);
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
        assert!(delivered(instance, &sound, "first", trades_every(STEP, 0, 3_000)));
        instance.pulse(vec![0], false, |_, _| {}).expect("a tick");
        assert!(instance.cut_off().expect("decided"), "the source is cut off");
        decided = instance.standing(Load::default()).sources[0].cutoff;
        let many = trades_every(STEP, 3_000, 30_000);
        assert!(!delivered(instance, &sound, "large", many), "so much finds no room");
        // Judged under the cutoff, and told so.
        assert!(delivered(instance, &sound, "late", trade(20_000, 0, 1.0, 7)));
        assert_eq!(instance.seen().counts()[0].beyond_retention, 1);
    });
    assert!(decided.is_some());
    // It is not stopped, so all of it comes from the journal.
    run(&mut |instance| {
        assert_eq!(instance.standing(Load::default()).sources[0].cutoff, decided);
        assert_eq!(instance.seen().counts()[0].beyond_retention, 1);
    });
}
