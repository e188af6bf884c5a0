//! Every time has exactly one window, which holds it and lies where the rule puts it.

use super::law;
use proptest::prelude::*;
use slackwater_core::window::{Anchor, Calendar, Hop, Window, WindowRule};
use slackwater_sim::oracle::window;
use slackwater_sim::world::{self, Windows};
use std::sync::OnceLock;

const HOUR: i64 = 3_600_000_000_000;

const ZONES: [&str; 9] = [
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Asia/Gaza",
    "America/St_Johns",
    "Pacific/Apia",
    "Australia/Lord_Howe",
    "UTC",
];

/// Rules of a calendar, each made once.
fn calendars() -> &'static [(Windows, WindowRule)] {
    static ALL: OnceLock<Vec<(Windows, WindowRule)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all = Vec::new();
        for zone in ZONES {
            let name = || zone.to_string();
            let rule = |months, nanos| WindowRule::Calendar(Calendar::new(months, nanos, zone).expect("a calendar"));
            for days in [1, 2, 7, 30, 365] {
                all.push((Windows::Days(days, name()), rule(0, days * 24 * HOUR)));
            }
            for months in [1, 2, 3, 12, 5] {
                all.push((Windows::Months(months, name()), rule(months, 0)));
            }
            for size in [HOUR, 4 * HOUR, 12 * HOUR, HOUR / 4, 864_000_000_000] {
                all.push((Windows::Parts(size, name()), rule(0, size)));
            }
        }
        all
    })
}

fn times() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        // The ends of what i64 nanoseconds hold.
        (0i64..200_000_000_000_000).prop_map(|behind| i64::MAX - behind),
        (0i64..200_000_000_000_000).prop_map(|ahead| i64::MIN + ahead),
        // The years in which most zones changed their clocks, by the quarter of an hour and a nanosecond beside it.
        (-2_000_000i64..3_000_000, -1i64..=1).prop_map(|(quarter, beside)| quarter * (HOUR / 4) + beside),
        // Both changes of 2025 in Berlin, to the second.
        (-90_000i64..90_000).prop_map(|second| (1_743_296_400 + second) * 1_000_000_000),
        (-90_000i64..90_000).prop_map(|second| (1_761_440_400 + second) * 1_000_000_000),
    ]
}

fn rules() -> impl Strategy<Value = (Windows, WindowRule)> {
    let sizes = prop_oneof![
        1i64..100,
        any::<i64>().prop_map(|size| size.checked_abs().unwrap_or(1).max(1)),
        Just(i64::MAX),
        Just(60_000_000_000)
    ];
    let fixed = (sizes, prop_oneof![Just(0i64), -100i64..100, any::<i64>()]);
    prop_oneof![
        fixed.prop_map(|(size, offset)| (Windows::Fixed { size, offset }, WindowRule::Tumble { size, offset })),
        (0..calendars().len()).prop_map(|number| calendars()[number].clone()),
    ]
}

#[test]
fn every_time_has_exactly_one_window_in_its_place() {
    law("every_time_has_exactly_one_window_in_its_place", (rules(), times()), |((windows, rule), time)| {
        let found = whole(&rule, time);
        prop_assert_eq!((found.start, found.end), window::of(&windows, time), "the oracle's");
        prop_assert!(found.contains(time) && found.start < found.end);
        if let WindowRule::Tumble { size, offset } = rule {
            prop_assert_eq!(found.end - found.start, i128::from(size));
            prop_assert_eq!((found.start - i128::from(offset)).rem_euclid(size.into()), 0, "aligned");
        }
        same_at(&rule, found, found.start)?;
        same_at(&rule, found, found.end - 1)?;
        // Half-open: the end belongs to the next, the nanosecond before the start to the one before.
        beside(&rule, found.end, |next| next.start == found.end)?;
        beside(&rule, found.start - 1, |before| before.end == found.start)
    });
}

#[test]
fn a_hop_puts_a_time_into_the_floor_or_the_ceiling_of_size_over_slide() {
    let lengths = || prop_oneof![1i64..50, 1i64..5_000, Just(HOUR), Just(i64::MAX), Just(i64::MAX / 3)];
    let hops = (lengths(), lengths(), prop_oneof![Just(0i64), -100i64..100, any::<i64>()], times());
    let hops = hops.prop_filter("few windows", |(slide, size, ..)| size / slide < 100);
    let test = "a_hop_puts_a_time_into_the_floor_or_the_ceiling_of_size_over_slide";
    law(test, hops, |(slide, size, offset, time)| {
        let rule = WindowRule::Hop(Hop::new(slide, size, offset).expect("lengths above zero"));
        let slice = rule.slice(time);
        let found: Vec<(i128, i128)> =
            slice.into_iter().flat_map(|slice| rule.windows(slice)).map(|window| (window.start, window.end)).collect();
        prop_assert_eq!(&found, &window::all(&Windows::Hop { slide, size, offset }, time), "the oracle's");
        // The ceiling where the time lies in what is over when slides are taken from the size.
        let into = (i128::from(time) - i128::from(offset)).rem_euclid(slide.into());
        let wanted = size / slide + i64::from(into < i128::from(size % slide));
        prop_assert_eq!(found.len() as i64, wanted);
        let last = slice.map(|slice| rule.last_end(slice));
        prop_assert_eq!(last, found.last().map(|(_, end)| *end), "the last of them");
        // Half-open, and a slice is in all windows of each of its times.
        for (start, end) in found {
            prop_assert!(start <= i128::from(time) && i128::from(time) < end);
            prop_assert_eq!((start - i128::from(offset)).rem_euclid(slide.into()), 0, "aligned");
        }
        for at in slice.into_iter().flat_map(|slice| [slice.start, slice.end - 1]) {
            if let Ok(at) = i64::try_from(at) {
                prop_assert_eq!(rule.slice(at), slice, "one slice for all that it holds");
            }
        }
        Ok(())
    });
}

#[test]
fn every_time_lies_between_two_anchors_in_their_places() {
    let anchors = (0..ZONES.len(), 0i64..1_440, times());
    law("every_time_lies_between_two_anchors_in_their_places", anchors, |(zone, minute, time)| {
        let anchor = Anchor::daily((minute / 60) as i8, (minute % 60) as i8, ZONES[zone]).expect("a time of day");
        let found = anchor.period(time);
        let wanted = window::period(&world::Anchor::At(minute, ZONES[zone].into()), time);
        prop_assert_eq!(Some((found.start, found.end)), wanted, "the oracle's");
        prop_assert!(found.contains(time));
        for at in [found.start, found.end - 1] {
            if let Ok(at) = i64::try_from(at) {
                prop_assert_eq!(anchor.period(at), found, "one period for all that it holds");
            }
        }
        Ok(())
    });
}

fn same_at(rule: &WindowRule, window: Window, at: i128) -> Result<(), TestCaseError> {
    if let Ok(at) = i64::try_from(at) {
        prop_assert_eq!(whole(rule, at), window, "one window for all that it holds: {}", at);
    }
    Ok(())
}

fn beside(rule: &WindowRule, at: i128, touches: impl Fn(Window) -> bool) -> Result<(), TestCaseError> {
    if let Ok(at) = i64::try_from(at) {
        let window = whole(rule, at);
        prop_assert!(touches(window), "windows touch and do not overlap: {:?} at {}", window, at);
    }
    Ok(())
}

/// The one window that covers a time.
fn whole(rule: &WindowRule, time: i64) -> Window {
    let slice = rule.slice(time).expect("some window covers every time");
    let windows: Vec<Window> = rule.windows(slice).collect();
    assert_eq!(windows, [slice], "a slice is the one window that it is part of");
    slice
}
