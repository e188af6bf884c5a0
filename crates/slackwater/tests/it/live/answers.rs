//! What deliveries are answered, and what they are answered when they come again.

use super::{config, open, push, quick, stopped};
use crate::durable::{CONFIG, trades};
use slackwater::face::api::live::{Live, PushError};
use slackwater::runtime::desk::{Answer, Declined, Delivery, Desk};
use std::collections::BTreeMap;

#[test]
fn a_named_delivery_is_answered_as_before_also_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let (live, _told) = open(CONFIG, folder.path());
    let (first, other) = (trades(0, 50).into_bytes(), trades(50, 50).into_bytes());
    let receipt = live.push("trades", Some("one"), first.clone()).expect("taken in");
    assert!(!receipt.repeated && receipt.counts.facts > 0 && receipt.counts.balances());
    let again = live.push("trades", Some("one"), first.clone()).expect("known");
    assert!(again.repeated && again.counts == receipt.counts);
    let taken = live.push("trades", Some("one"), other.clone());
    assert!(matches!(taken, Err(PushError::Declined(Declined::NameTaken))));
    assert!(!live.push("trades", Some("two"), other).expect("taken in").repeated);
    let received = |live: &Live| live.board().standing().sources[0].counts.received;
    let before = (stopped(&live).len(), received(&live));
    let (live, _told) = open(CONFIG, folder.path());
    let again = live.push("trades", Some("one"), first).expect("known");
    assert!(again.repeated && again.counts == receipt.counts);
    assert_eq!((stopped(&live).len(), received(&live)), before, "nothing was judged again");
}

#[test]
fn counts_say_what_became_of_each_event() {
    let folder = tempfile::tempdir().expect("a folder");
    let (live, _told) = open(CONFIG, folder.path());
    let trade = |id: u64, rest: &str| format!(r#"{{"id":{id},"symbol":"A","ts":1767225600000,"size":1{rest}}}"#) + "\n";
    let events = [
        trade(1, r#","price":1"#),
        trade(1, r#","price":1"#),
        trade(1, r#","price":2,"v":2"#),
        trade(1, r#","price":1"#),
        trade(2, r#","price":5"#),
        trade(2, r#","price":6"#),
        trade(3, ""),
        "nonsense\n".to_string(),
    ];
    let counts = &push(&live, &events.concat(), 100)[0].counts;
    assert_eq!((counts.received, counts.facts, counts.duplicates), (8, 2, 1));
    assert_eq!((counts.superseded, counts.conflicts, counts.refused()), (2, 1, 2));
    assert!(counts.balances());
}

#[test]
fn a_source_of_csv_takes_a_header_and_refuses_another() {
    let text = CONFIG.replace(r#"format = "json""#, r#"format = "csv""#);
    let folder = tempfile::tempdir().expect("a folder");
    let (live, _told) = open(&text, folder.path());
    let sound = "id,symbol,ts,price,size\n1,A,1767225600000,1.5,2\n2,B,1767225600001,2.5,2\n";
    let receipt = live.push("trades", None, sound.into()).expect("taken in");
    assert_eq!((receipt.counts.received, receipt.counts.facts), (2, 2));
    let wrong = live.push("trades", None, "id,symbol,time,price,size\n3,A,1,1,1\n".into());
    let Err(PushError::Header(why)) = wrong else { panic!("{wrong:?}") };
    assert!(why.to_string().contains("no column `ts`"), "{why}");
    assert_eq!(stopped(&live).iter().filter(|row| row.pipeline == 0).count(), 2);
}

#[test]
fn a_full_desk_refuses_and_keeps_what_it_has() {
    let plan = config(CONFIG).plan;
    let desk = Desk::bounded(1, 10_000);
    let delivery = |len: usize| {
        let shape = (0, &plan.sources[0].schema, slackwater::decode::Format::Json);
        Delivery::of_bytes(shape, None, vec![b'\n'; len]).expect("a delivery")
    };
    let quiet = || -> Answer { Box::new(|_| {}) };
    assert!(desk.hand_in(delivery(50_000), quiet()).is_ok(), "one alone always fits");
    let full = desk.hand_in(delivery(1), quiet()).expect_err("no room");
    assert!(full.retry_after.as_secs() >= 1);
    assert_eq!((desk.load().deliveries, desk.load().bound), (1, 10_000));
}

#[test]
fn pushes_of_many_threads_are_all_counted_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let live = Live::open(config(CONFIG), folder.path(), quick()).expect("opened");
    let received: u64 = std::thread::scope(|scope| {
        let pushers: Vec<_> = (0..8u64)
            .map(|pusher| {
                let live = live.clone();
                scope.spawn(move || {
                    let receipts = push(&live, &trades(pusher * 300, 400), 40);
                    receipts.iter().map(|receipt| receipt.counts.received).sum::<u64>()
                })
            })
            .collect();
        pushers.into_iter().map(|pusher| pusher.join().expect("no panic")).sum()
    });
    let mut all = BTreeMap::new();
    for id in 0..8u64 {
        all.extend(trades(id * 300, 400).lines().map(|line| (line.to_string(), ())));
    }
    let events: String = all.into_keys().map(|line| line + "\n").collect();
    let rows = stopped(&live);
    super::assert_alike(&rows, &super::folded(CONFIG, &events), "by eight threads");
    assert_eq!(live.board().standing().sources[0].counts.received, received);
}
