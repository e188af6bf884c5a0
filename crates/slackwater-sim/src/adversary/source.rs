//! Sources: fields of every type, and every way to say who an event is, when it happened, and how it ranks.

use super::select;
use super::values;
use crate::rng::Rng;
use crate::typing::Place;
use crate::world::{Cmp, Ex, Field, Format, Identity, Source, Ty, Unit};

/// Where most event times lie: around both changes of the clocks in Berlin, a new year, and the ends of i64 nanoseconds.
pub const BASES: [i64; 5] = [
    1_743_296_400_000_000_000, // 2025-03-30T01:00:00Z
    1_761_440_400_000_000_000, // 2025-10-26T01:00:00Z
    1_735_689_600_000_000_000, // 2025-01-01T00:00:00Z
    i64::MIN + 90_000_000_000,
    i64::MAX - 90_000_000_000,
];

/// Draws the source with this number.
pub fn draw(rng: &mut Rng, number: usize, positions: bool) -> Source {
    let mut fields = Vec::new();
    let mut add = |name: &str, ty: Ty, unit: Unit, nullable: bool| {
        fields.push(Field { name: name.to_string(), ty, unit, nullable });
        fields.len() - 1
    };
    let units = [Unit::S, Unit::Ms, Unit::Us, Unit::Ns];
    let origin_ty = *rng.pick(&[Ty::Text, Ty::Text, Ty::U64, Ty::I64]);
    let origin = rng.chance(60).then(|| add("venue", origin_ty, Unit::Ns, false));
    let identity = match rng.below(10) {
        0..4 => Identity::Fields(vec![add("id", Ty::U64, Unit::Ns, false)]),
        4..6 => Identity::Fields(vec![add("id", Ty::Text, Unit::Ns, false)]),
        6..8 => {
            let second =
                *rng.pick(&[Ty::U64, Ty::I64, Ty::Decimal(12, 3), Ty::Decimal(30, 2), Ty::Bool, Ty::Time, Ty::Text]);
            let first = *rng.pick(&[Ty::Text, Ty::U64]);
            let fields = vec![add("book", first, Unit::Ns, false), add("leg", second, Unit::Us, false)];
            Identity::Fields(fields)
        }
        8 if positions => Identity::Position,
        _ => Identity::Content,
    };
    let event_time = add("ts", Ty::Time, *rng.pick(&units), false);
    let by_fields = matches!(identity, Identity::Fields(_));
    let version_ty = *rng.pick(&[Ty::U64, Ty::U64, Ty::Time]);
    let version_null = rng.chance(30);
    let version = (by_fields && rng.chance(80)).then(|| add("v", version_ty, Unit::S, version_null));
    let op_null = rng.chance(70);
    let op = (version.is_some() && rng.chance(75)).then(|| add("op", Ty::Text, Unit::Ns, op_null));
    let sequence = rng.chance(35).then(|| add("seq", Ty::U64, Unit::Ns, true));
    let arrival = rng.chance(35).then(|| add("recv", Ty::Time, Unit::Us, true));
    fields.extend(contents(rng, &units));
    let by_sequence = sequence.is_some() && rng.chance(60);
    let format = if rng.chance(65) { Format::Json } else { Format::Csv };
    let mut source = Source {
        name: format!("s{number}"),
        format,
        fields,
        identity,
        event_time,
        origin,
        origins: None,
        sequence,
        by_sequence,
        version,
        op,
        arrival,
        max_future: (arrival.is_some() && rng.chance(60)).then_some(60_000_000_000),
        min_time: None,
        max_time: None,
        require: Vec::new(),
        lag: *rng.pick(&[0, 5_000_000_000, 90_000_000_000]),
        lag_by_origin: Vec::new(),
        idle_after: rng.chance(50).then(|| *rng.pick(&[0, 1, 20_000_000_000, 120_000_000_000])),
        wall_clock: rng.chance(15),
        holds: false,
        columns: Vec::new(),
    };
    if origin.is_some() && rng.chance(40) {
        // One that every draw of origins knows.
        let name = if origin_ty == Ty::Text { "a" } else { "1" };
        source.lag_by_origin.push((name.into(), *rng.pick(&[0, 30_000_000_000, 200_000_000_000])));
    }
    guard(rng, &mut source, origin_ty);
    source.columns = (0..source.fields.len()).map(Some).collect();
    source.columns.extend([None, None]);
    rng.shuffle(&mut source.columns);
    source
}

/// What an event says beside who it is: every source has these.
fn contents(rng: &mut Rng, units: &[Unit]) -> Vec<Field> {
    let types = [
        ("sym", Ty::Text),
        ("px", *rng.pick(&[Ty::Decimal(18, 8), Ty::Decimal(10, 2), Ty::Decimal(24, 6)])),
        ("qty", *rng.pick(&[Ty::Decimal(18, 8), Ty::Decimal(9, 0), Ty::Decimal(6, 6)])),
        (values::VOLUME, *rng.pick(&[Ty::Decimal(18, 8), Ty::Decimal(9, 0), Ty::Decimal(6, 2), Ty::Decimal(30, 10)])),
        (values::RATE, *rng.pick(&[Ty::Decimal(18, 8), Ty::Decimal(10, 2), Ty::Decimal(24, 6)])),
        ("big", Ty::Decimal(38, 18)),
        ("f", Ty::F64),
        ("g", Ty::F64),
        ("n", Ty::U64),
        ("i", Ty::I64),
        ("ok", Ty::Bool),
        ("at", Ty::Time),
    ];
    let mut field = |name: &str, ty| {
        // A measure of bars is never null.
        let nullable = rng.chance(45) && name != values::VOLUME && name != values::RATE;
        Field { name: name.into(), ty, nullable, unit: *rng.pick(units) }
    };
    types.map(|(name, ty)| field(name, ty)).into()
}

/// What a source refuses.
fn guard(rng: &mut Rng, source: &mut Source, origin_ty: Ty) {
    if source.origin.is_some() && rng.chance(40) {
        // Those that a small draw makes; all others are refused.
        source.origins = Some(match origin_ty {
            Ty::Text => vec![values::text(&mut Rng::new(1), 3), "a".into(), "b".into(), "日本".into()],
            Ty::U64 => vec!["0".into(), "1".into(), "2".into(), "3".into(), "18446744073709551615".into()],
            _ => vec!["0".into(), "1".into(), "-1".into(), "2".into(), "-2".into()],
        });
    }
    if rng.chance(25) {
        let base = *rng.pick(&BASES[..3]);
        (source.min_time, source.max_time) = (Some(base - 40_000_000_000_000), Some(base + 400_000_000_000_000));
    }
    measures(rng, source);
    if rng.chance(35) {
        let px = source.fields.iter().position(|field| field.name == "px").expect("every source has a px");
        source.require.push(Ex::Compare(Cmp::Ge, Box::new(Ex::Field(px)), Box::new(Ex::Exact(0, 0))));
    }
    if rng.chance(15) {
        let drawn = select::condition(rng, Place::Row(source), 1);
        // Mostly true, so that a world is left.
        let n = source.fields.iter().position(|field| field.name == "n").expect("every source has an n");
        let rare = Ex::Compare(Cmp::Ne, Box::new(Ex::Field(n)), Box::new(Ex::Exact(5, 0)));
        source.require.push(Ex::Or(
            Box::new(Ex::IsNull(Box::new(rare.clone()), true)),
            Box::new(Ex::Or(Box::new(rare), Box::new(drawn))),
        ));
    }
}

/// What bars are measured in is never below zero, in one of the ways in which a guard may say so.
fn measures(rng: &mut Rng, source: &mut Source) {
    let named = |name: &str| source.fields.iter().position(|field| field.name == name).expect("every source has it");
    let (volume, rate) = (Box::new(Ex::Field(named(values::VOLUME))), Box::new(Ex::Field(named(values::RATE))));
    let zero = || Box::new(Ex::Exact(0, 0));
    let volume = Ex::Compare(Cmp::Ge, volume, zero());
    let rate = Ex::Compare(Cmp::Le, zero(), rate);
    match rng.chance(50) {
        true => source.require.extend([volume, rate]),
        false => source.require.push(Ex::And(Box::new(rate), Box::new(volume))),
    }
}
