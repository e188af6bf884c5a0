//! The stream: new events, the same again, corrections, retractions, conflicts, what is old, and what is broken.

use super::source::BASES;
use super::{Injected, values};
use crate::oracle::content::version;
use crate::oracle::window;
use crate::rng::Rng;
use crate::world::{Anchor, Datum, Event, Flaw, Format, Identity, Source, Stage, Ty, Windows};
use slackwater_core::poison::Reason;
use std::collections::BTreeMap;

const SECOND: i64 = 1_000_000_000;

/// Where the events of a source come from.
struct Stream<'a> {
    number: usize,
    source: &'a Source,
    /// Sizes and offsets of the windows laid over it.
    edges: Vec<(i64, i64)>,
    /// Pauses that end sessions.
    gaps: Vec<i64>,
    /// Where bars begin anew.
    anchors: Vec<&'a Anchor>,
    base: i64,
    spread: i64,
    next_id: u64,
    sent: Vec<Event>,
    /// By identity, which of those that were sent has the highest version.
    newest: BTreeMap<String, usize>,
}

/// Draws events, in a hostile order.
pub fn draw(rng: &mut Rng, stage: &Stage, count: usize) -> (Vec<Event>, Injected) {
    let mut injected = Injected::default();
    let mut streams: Vec<Stream<'_>> =
        stage.sources.iter().enumerate().map(|(number, source)| Stream::new(rng, stage, number, source)).collect();
    let mut events: Vec<Event> = Vec::new();
    while events.len() < count {
        let number = rng.below(streams.len());
        let event = streams[number].next(rng, &mut injected);
        streams[number].send(event.clone());
        events.push(event);
    }
    disorder(rng, &mut events);
    (events, injected)
}

/// All mixed up, or everything a little late.
fn disorder(rng: &mut Rng, events: &mut [Event]) {
    match rng.below(3) {
        0 => rng.shuffle(events),
        1 => {
            for at in 1..events.len() {
                let back = rng.below(at.min(20) + 1);
                events.swap(at, at - back);
            }
        }
        _ => {}
    }
}

impl<'a> Stream<'a> {
    fn new(rng: &mut Rng, stage: &'a Stage, number: usize, source: &'a Source) -> Self {
        let over = stage.pipelines.iter().filter(|pipeline| pipeline.source == number);
        let (mut edges, mut gaps, mut anchors) = (Vec::new(), Vec::new(), Vec::new());
        for pipeline in over {
            match &pipeline.windows {
                Windows::Fixed { size, offset } => edges.push((*size, *offset)),
                Windows::Hop { slide, size, offset } => {
                    edges.extend([(*slide, *offset), (*slide, offset.saturating_add(*size))]);
                }
                Windows::Session(gap) => gaps.push(*gap),
                Windows::Bars(anchor, _) if *anchor != Anchor::None => anchors.push(anchor),
                _ => {}
            }
        }
        let base = source.min_time.map_or_else(|| *rng.pick(&BASES), |min| min + 40_000_000_000_000);
        let spread = *rng.pick(&[2 * SECOND, 300 * SECOND, 3 * 86_400 * SECOND, 40 * 86_400 * SECOND]);
        Stream {
            number,
            source,
            edges,
            gaps,
            anchors,
            base,
            spread,
            next_id: 0,
            sent: Vec::new(),
            newest: BTreeMap::new(),
        }
    }

    fn next(&mut self, rng: &mut Rng, injected: &mut Injected) -> Event {
        let versions = self.source.version.is_some();
        let known = !self.sent.is_empty();
        match rng.below(100) {
            0..12 if known => {
                injected.note("duplicate");
                rng.pick(&self.sent).clone()
            }
            12..30 if known && versions => self.correction(rng, injected),
            30..40 if known && versions && self.source.op.is_some() => self.retraction(rng, injected),
            40..44 if versions && self.source.op.is_some() => {
                injected.note("retraction_first");
                let mut event = self.fresh(rng);
                self.set_version(&mut event, 3);
                self.set_op(&mut event, Some("retract"));
                event.rubbish = rng.chance(60);
                event
            }
            44..52 if known && matches!(self.source.identity, Identity::Fields(_)) => self.conflict(rng, injected),
            52..57 if known && versions => self.older(rng, injected),
            57..63 => self.broken(rng, injected),
            _ => self.fresh(rng),
        }
    }

    /// An event of an identity that there was not, most likely.
    fn fresh(&mut self, rng: &mut Rng) -> Event {
        let csv = self.source.format == Format::Csv;
        let drawn = |field| values::value(rng, field, csv);
        let values: Vec<Datum> = self.source.fields.iter().map(drawn).collect();
        let mut event = Event { source: self.number, values, flaw: None, rubbish: false };
        if let Identity::Fields(fields) = &self.source.identity {
            self.next_id += 1;
            let number = if rng.chance(6) { u64::MAX - self.next_id } else { self.next_id };
            event.values[fields[0]] = match self.source.fields[fields[0]].ty {
                Ty::U64 => Datum::U64(number),
                _ => Datum::Text(format!("{}{number}", values::text(rng, 9))),
            };
        }
        let time = self.time(rng);
        event.values[self.source.event_time] = Datum::Time(time);
        if let Some(origin) = self.source.origin {
            event.values[origin] = match self.source.fields[origin].ty {
                Ty::Text => Datum::Text(values::text(rng, 4)),
                Ty::U64 => Datum::U64(if rng.chance(5) { u64::MAX } else { rng.below(4) as u64 }),
                _ => Datum::I64(rng.within(-2, 2)),
            };
        }
        let start = if self.source.version.is_some_and(|field| self.source.fields[field].nullable) { 0 } else { 1 };
        let first = rng.within(start, 1) as u64;
        self.set_version(&mut event, first);
        let op = if rng.chance(2) {
            Some("explode")
        } else {
            *rng.pick(&[None, Some("assert"), Some("insert"), Some("upsert")])
        };
        self.set_op(&mut event, op);
        if let (Some(arrival), true) = (self.source.arrival, rng.chance(80)) {
            let behind = if rng.chance(10) { -600 * SECOND } else { rng.within(-59, 30) * SECOND };
            event.values[arrival] = Datum::Time(time.saturating_add(behind));
        }
        event
    }

    /// Often exactly at the edge of a window, or a nanosecond beside it.
    fn time(&self, rng: &mut Rng) -> i64 {
        let time = match rng.below(40) {
            0 => *rng.pick(&[i64::MIN, i64::MAX]),
            1..10 => self.base.saturating_add(rng.within(-40, 40).saturating_mul(3_600 * SECOND)),
            _ => self.base.saturating_add(rng.within(-self.spread, self.spread)),
        };
        if rng.chance(30) {
            return self.near(rng).unwrap_or(time);
        }
        if self.edges.is_empty() || rng.chance(55) {
            return time;
        }
        let (size, offset) = *rng.pick(&self.edges);
        let wide = i128::from(time);
        let edge = wide - (wide - i128::from(offset)).rem_euclid(size.into()) + i128::from(rng.within(-1, 1));
        edge.try_into().unwrap_or(time)
    }

    /// At the time of another fact, a session's gap beside it, or where bars begin anew; or a nanosecond beside that.
    fn near(&self, rng: &mut Rng) -> Option<i64> {
        let Datum::Time(other) = self.sent.get(rng.below(self.sent.len().max(1)))?.values[self.source.event_time]
        else {
            return None;
        };
        let beside = i128::from(rng.within(-1, 1));
        let time = match rng.below(4) {
            0 => i128::from(other),
            1 | 2 if !self.gaps.is_empty() => {
                let gap = i128::from(*rng.pick(&self.gaps)) + beside;
                i128::from(other) + if rng.chance(70) { gap } else { -gap }
            }
            _ if !self.anchors.is_empty() => {
                window::period(self.anchors[rng.below(self.anchors.len())], other)?.0 + beside
            }
            _ => return None,
        };
        time.try_into().ok()
    }

    /// Sets the version's rank: 0 is a null, where there may be one.
    fn set_version(&self, event: &mut Event, rank: u64) {
        let Some(version) = self.source.version else { return };
        event.values[version] = match self.source.fields[version].ty {
            _ if rank == 0 && self.source.fields[version].nullable => Datum::Null,
            Ty::U64 => Datum::U64(rank),
            _ => Datum::Time(rank as i64 * SECOND),
        };
    }

    /// Sets the op; an unknown one, or content, where retractions are not known.
    fn set_op(&self, event: &mut Event, op: Option<&str>) {
        let Some(field) = self.source.op else { return };
        event.values[field] = match op {
            None if self.source.fields[field].nullable => Datum::Null,
            None => Datum::Text("assert".into()),
            Some(op) => Datum::Text(op.into()),
        };
    }

    /// The version of an event, as [`Stream::set_version`] counts.
    fn rank(&self, event: &Event) -> u64 {
        match self.source.version.map(|field| &event.values[field]) {
            Some(Datum::U64(rank)) => *rank,
            Some(Datum::Time(time)) => (time / SECOND) as u64,
            _ => 0,
        }
    }

    /// One that was sent, and the highest version that its identity was sent with.
    fn known(&self, rng: &mut Rng) -> (Event, u64) {
        let event = rng.pick(&self.sent).clone();
        let newest = self.newest.get(&self.identified(&event));
        let rank = newest.map_or(0, |newest| self.rank(&self.sent[*newest]));
        (Event { flaw: None, rubbish: false, ..event }, rank)
    }

    /// Notes an event that is sent.
    fn send(&mut self, event: Event) {
        let (identity, sent) = (self.identified(&event), self.sent.len());
        let newest = self.newest.entry(identity).or_insert(sent);
        if self.sent.get(*newest).is_some_and(|known| version(self.source, &event) >= version(self.source, known)) {
            *newest = sent;
        }
        self.sent.push(event);
    }

    fn identified(&self, event: &Event) -> String {
        let fields = match &self.source.identity {
            Identity::Fields(fields) => &fields[..],
            _ => &[],
        };
        let values = fields.iter().chain(&self.source.origin).map(|field| &event.values[*field]);
        format!("{:?}", values.collect::<Vec<_>>())
    }

    /// The same identity with a higher version and another content: in place, or at another time, or of another key.
    fn correction(&mut self, rng: &mut Rng, injected: &mut Injected) -> Event {
        let (old, newest) = self.known(rng);
        let mut event = self.changed(rng, &old);
        match rng.below(3) {
            0 => {
                injected.note("correction_moves_time");
                event.values[self.source.event_time] = Datum::Time(self.time(rng));
            }
            1 => {
                injected.note("correction_moves_key");
                self.redraw(rng, &mut event, &["sym", "n", "i", "ok"]);
            }
            _ => {}
        }
        injected.note("correction");
        if self.source.retracts(&old) == Some(true) {
            injected.note("revival");
        }
        self.set_version(&mut event, newest.saturating_add(1 + rng.below(2) as u64));
        self.set_op(&mut event, None);
        event
    }

    fn retraction(&mut self, rng: &mut Rng, injected: &mut Injected) -> Event {
        let (mut event, newest) = self.known(rng);
        injected.note("retraction");
        // At the same version it outranks the content too.
        self.set_version(&mut event, newest.saturating_add(u64::from(rng.chance(80))));
        self.set_op(&mut event, Some(*rng.pick(&["retract", "delete"])));
        event.rubbish = rng.chance(60);
        event
    }

    fn conflict(&mut self, rng: &mut Rng, injected: &mut Injected) -> Event {
        let (old, newest) = self.known(rng);
        injected.note("conflict");
        let mut event = self.changed(rng, &old);
        self.set_version(&mut event, newest);
        self.set_op(&mut event, None);
        event
    }

    fn older(&mut self, rng: &mut Rng, injected: &mut Injected) -> Event {
        let (old, newest) = self.known(rng);
        injected.note("older");
        let mut event = self.changed(rng, &old);
        let lower = rng.below(newest.clamp(1, 5) as usize) as u64;
        self.set_version(&mut event, lower);
        self.set_op(&mut event, None);
        event
    }

    /// The same identity with other values.
    fn changed(&self, rng: &mut Rng, old: &Event) -> Event {
        let mut event = old.clone();
        self.redraw(rng, &mut event, &["px", "qty", "f", "g", "big", values::VOLUME, values::RATE]);
        event
    }

    fn redraw(&self, rng: &mut Rng, event: &mut Event, names: &[&str]) {
        let csv = self.source.format == Format::Csv;
        for (index, field) in self.source.fields.iter().enumerate() {
            if names.contains(&field.name.as_str()) {
                event.values[index] = values::value(rng, field, csv);
            }
        }
    }

    /// An event whose bytes are wrong in one way.
    fn broken(&mut self, rng: &mut Rng, injected: &mut Injected) -> Event {
        let mut event = self.fresh(rng);
        self.set_op(&mut event, None);
        let flaw = if rng.chance(40) { self.broken_whole(rng) } else { self.broken_field(rng) };
        injected.note("poison");
        injected.note(flaw.reason.code());
        event.flaw = Some(flaw);
        event
    }

    fn broken_whole(&self, rng: &mut Rng) -> Flaw {
        let reasons: &[Reason] = match self.source.format {
            Format::Json => {
                &[Reason::Malformed, Reason::NotAnObject, Reason::InvalidUtf8, Reason::TooDeep, Reason::DuplicateField]
            }
            Format::Csv => &[Reason::Malformed, Reason::InvalidUtf8, Reason::Ragged],
        };
        let reason = if rng.chance(1) { Reason::TooLarge } else { *rng.pick(reasons) };
        Flaw { reason, field: None }
    }

    fn broken_field(&self, rng: &mut Rng) -> Flaw {
        let index = rng.below(self.source.fields.len());
        let field = &self.source.fields[index];
        let json = self.source.format == Format::Json;
        let mut reasons = match field.ty {
            Ty::Decimal(..) | Ty::U64 | Ty::I64 => {
                vec![Reason::WrongType, Reason::Range, Reason::Scale, Reason::NotFinite]
            }
            Ty::F64 => vec![Reason::WrongType, Reason::Range, Reason::NotFinite],
            Ty::Bool => vec![Reason::WrongType],
            Ty::Text if json => vec![Reason::WrongType, Reason::NulByte],
            Ty::Text => vec![Reason::NulByte],
            Ty::Time => vec![Reason::TimeFormat, Reason::TimeRange, Reason::Scale],
            Ty::Array(_) => unreachable!("no field is an array"),
        };
        if !field.nullable {
            reasons.push(Reason::MissingField);
        }
        Flaw { reason: *rng.pick(&reasons), field: Some(index) }
    }
}
