//! A stage as a person would write it: TOML, and SELECTs within.

use crate::world::{
    Anchor, Call, Cmp, Cut, Ex, Field, Format, Function, Identity, Op, Pipeline, Rule, Source, Stage, Ty, Unit,
    Windows, product,
};
use std::fmt::Write as _;

/// Names that expressions use.
struct Names<'a> {
    source: &'a Source,
    key: &'a [(String, Ex)],
}

/// The configuration file of a stage.
pub fn config(stage: &Stage) -> String {
    let mut out = String::new();
    for source in &stage.sources {
        put_source(&mut out, source).expect("a String takes any text");
    }
    for pipeline in &stage.pipelines {
        let sql = select(&stage.sources[pipeline.source], pipeline);
        writeln!(out, "[pipeline.{}]\nsql = {}\n", pipeline.name, quoted(&sql)).expect("a String takes any text");
    }
    out
}

fn put_source(out: &mut String, source: &Source) -> std::fmt::Result {
    let name = |index: usize| quoted(&source.fields[index].name);
    writeln!(out, "[source.{}]\nkind = \"files\"", source.name)?;
    writeln!(out, "format = \"{}\"", if source.format == Format::Json { "json" } else { "csv" })?;
    match &source.identity {
        Identity::Fields(fields) if fields.len() == 1 => writeln!(out, "identity = {}", name(fields[0]))?,
        Identity::Fields(fields) => {
            let names: Vec<String> = fields.iter().map(|field| name(*field)).collect();
            writeln!(out, "identity = [{}]", names.join(", "))?;
        }
        Identity::Content => writeln!(out, "identity = \"content\"")?,
        Identity::Position => writeln!(out, "identity = \"position\"")?,
    }
    let roles = [
        ("event_time", Some(source.event_time)),
        ("origin", source.origin),
        ("sequence", source.sequence),
        ("version", source.version),
        ("op", source.op),
        ("arrival", source.arrival),
    ];
    for (role, field) in roles {
        if let Some(field) = field {
            writeln!(out, "{role} = {}", name(field))?;
        }
    }
    if source.by_sequence {
        writeln!(out, "order = \"sequence\"")?;
    }
    if let Some(origins) = &source.origins {
        let texts: Vec<String> = origins.iter().map(|origin| quoted(origin)).collect();
        writeln!(out, "origins = [{}]", texts.join(", "))?;
    }
    writeln!(out, "lag = \"{}ns\"", source.lag)?;
    for (origin, lag) in &source.lag_by_origin {
        writeln!(out, "lag_by_origin = {{ {} = \"{lag}ns\" }}", quoted(origin))?;
    }
    if source.holds {
        writeln!(out, "late = \"hold\"")?;
    }
    if let Some(after) = source.idle_after {
        writeln!(out, "idle_after = \"{after}ns\"")?;
    }
    if source.wall_clock {
        writeln!(out, "watermark = \"wall_clock\"")?;
    }
    if let Some(most) = source.max_future {
        writeln!(out, "max_future = \"{most}ns\"")?;
    }
    for (key, time) in [("min_time", source.min_time), ("max_time", source.max_time)] {
        if let Some(time) = time {
            writeln!(out, "{key} = \"{}\"", rfc3339(time))?;
        }
    }
    if !source.require.is_empty() {
        let names = Names { source, key: &[] };
        let guards: Vec<String> = source.require.iter().map(|guard| quoted(&names.text(guard))).collect();
        writeln!(out, "require = [{}]", guards.join(", "))?;
    }
    writeln!(out, "[source.{}.fields]", source.name)?;
    for field in &source.fields {
        writeln!(out, "{} = \"{}{}\"", field.name, ty_text(field), if field.nullable { "?" } else { "" })?;
    }
    writeln!(out)
}

fn ty_text(field: &Field) -> String {
    match (field.ty, field.unit) {
        (Ty::Decimal(precision, scale), _) => format!("decimal({precision},{scale})"),
        (Ty::F64, _) => "float64".into(),
        (Ty::U64, _) => "u64".into(),
        (Ty::I64, _) => "i64".into(),
        (Ty::Bool, _) => "bool".into(),
        (Ty::Text, _) => "string".into(),
        (Ty::Time, Unit::S) => "timestamp_s".into(),
        (Ty::Time, Unit::Ms) => "timestamp_ms".into(),
        (Ty::Time, Unit::Us) => "timestamp_us".into(),
        (Ty::Time, Unit::Ns) => "timestamp_ns".into(),
        (Ty::Array(_), _) => unreachable!("no field is an array"),
    }
}

/// A TOML text.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t"))
}

/// A time in UTC.
pub fn rfc3339(time: i64) -> String {
    jiff::Timestamp::from_nanosecond(time.into()).expect("within the calendar").to_string()
}

fn select(source: &Source, pipeline: &Pipeline) -> String {
    let row = Names { source, key: &[] };
    let group = Names { source, key: &pipeline.key };
    let (mut items, mut groups) = (Vec::new(), Vec::new());
    for (name, ex) in &pipeline.key {
        if !matches!(ex, Ex::Field(_)) {
            items.push(format!("{} AS {name}", row.text(ex)));
        }
        groups.push(name.clone());
    }
    items.extend(pipeline.columns.iter().map(|(name, ex)| format!("{} AS {name}", group.text(ex))));
    let time = &source.fields[source.event_time].name;
    groups.push(match &pipeline.windows {
        Windows::Fixed { size, offset: 0 } => format!("tumble({time}, INTERVAL '{size} nanoseconds')"),
        Windows::Fixed { size, offset } => {
            format!("tumble({time}, INTERVAL '{size} nanoseconds', INTERVAL '{offset} nanoseconds')")
        }
        Windows::Days(days, zone) => format!("tumble({time}, INTERVAL '{days} days', '{zone}')"),
        Windows::Months(months, zone) => format!("tumble({time}, INTERVAL '{months} months', '{zone}')"),
        Windows::Parts(size, zone) => format!("tumble({time}, INTERVAL '{size} nanoseconds', '{zone}')"),
        Windows::Hop { slide, size, offset: 0 } => {
            format!("hop({time}, INTERVAL '{slide} nanoseconds', INTERVAL '{size} nanoseconds')")
        }
        Windows::Hop { slide, size, offset } => format!(
            "hop({time}, INTERVAL '{slide} nanoseconds', INTERVAL '{size} nanoseconds', INTERVAL '{offset} nanoseconds')"
        ),
        Windows::Session(gap) => format!("session({time}, INTERVAL '{gap} nanoseconds')"),
        Windows::Bars(anchor, cut) => bars(source, anchor, cut),
    });
    let mut sql = format!("SELECT {}\nFROM {}", items.join(",\n  "), source.name);
    if let Some(filter) = &pipeline.filter {
        sql += &format!("\nWHERE {}", row.text(filter));
    }
    sql += &format!("\nGROUP BY {}", groups.join(", "));
    if let Some(having) = &pipeline.having {
        sql += &format!("\nHAVING {}", group.text(having));
    }
    sql
}

/// Bars, with what need not be said left out.
fn bars(source: &Source, anchor: &Anchor, cut: &Cut) -> String {
    let row = Names { source, key: &[] };
    let behind = match anchor {
        Anchor::None => String::new(),
        Anchor::Day(zone) => format!(", 'day {zone}'"),
        Anchor::At(minute, zone) => format!(", '{:02}:{:02} {zone}'", minute / 60, minute % 60),
    };
    match cut {
        Cut::Ticks(count) => format!("tick_bar({count}{behind})"),
        Cut::Break(condition) => format!("break_when({}{behind})", row.text(condition)),
        Cut::Measure(fields, (mantissa, scale), rule) => {
            let name = if fields.len() == 1 { "volume_bar" } else { "value_bar" };
            let rule = match rule {
                Rule::Whole => ", 'whole'",
                Rule::Carry => ", 'carry'",
                Rule::Split if *anchor == Anchor::None => "",
                Rule::Split => ", 'split'",
            };
            let (of, most) = (row.text(&product(fields)), row.text(&Ex::Exact(*mantissa, *scale)));
            format!("{name}({of}, {most}{rule}{behind})")
        }
    }
}

impl Names<'_> {
    fn text(&self, ex: &Ex) -> String {
        let t = |ex: &Ex| self.text(ex);
        let not = |negated: &bool| if *negated { "NOT " } else { "" };
        match ex {
            Ex::Field(field) => self.source.fields[*field].name.clone(),
            Ex::Prev(field) => format!("prev({})", self.source.fields[*field].name),
            Ex::Key(key) => self.key[*key].0.clone(),
            Ex::Call(call) => self.call(call),
            Ex::Exact(mantissa, 0) => mantissa.to_string(),
            Ex::Exact(mantissa, scale) => {
                let digits = format!("{mantissa:0>width$}", width = *scale as usize + 1);
                let (whole, fraction) = digits.split_at(digits.len() - *scale as usize);
                format!("{whole}.{fraction}")
            }
            Ex::Float(x) => format!("{x:e}"),
            Ex::Text(text) => format!("'{}'", text.replace('\'', "''")),
            Ex::Time(time) => format!("TIMESTAMP '{}'", rfc3339(*time)),
            Ex::Bool(true) => "TRUE".into(),
            Ex::Bool(false) => "FALSE".into(),
            Ex::Null => "NULL".into(),
            Ex::Negate(a) => format!("(- {})", t(a)),
            Ex::Root(a) => format!("sqrt({})", t(a)),
            Ex::Abs(a) => format!("abs({})", t(a)),
            Ex::Arith(op, a, b) => format!("({} {} {})", t(a), sign(*op), t(b)),
            Ex::Compare(cmp, a, b) => format!("({} {} {})", t(a), comparison(*cmp), t(b)),
            Ex::And(a, b) => format!("({} AND {})", t(a), t(b)),
            Ex::Or(a, b) => format!("({} OR {})", t(a), t(b)),
            Ex::Not(a) => format!("(NOT {})", t(a)),
            Ex::IsNull(a, wanted) => format!("({} IS {}NULL)", t(a), not(&!wanted)),
            Ex::Between(x, low, high, negated) => {
                format!("({} {}BETWEEN {} AND {})", t(x), not(negated), t(low), t(high))
            }
            Ex::In(x, list, negated) => {
                let list: Vec<String> = list.iter().map(t).collect();
                format!("({} {}IN ({}))", t(x), not(negated), list.join(", "))
            }
            Ex::Case(branches, otherwise) => {
                let whens: Vec<String> = branches.iter().map(|(c, v)| format!("WHEN {} THEN {}", t(c), t(v))).collect();
                let otherwise = otherwise.as_ref().map_or(String::new(), |other| format!(" ELSE {}", t(other)));
                format!("CASE {}{otherwise} END", whens.join(" "))
            }
            Ex::Coalesce(list) => format!("coalesce({})", list.iter().map(t).collect::<Vec<_>>().join(", ")),
            Ex::NullIf(a, b) => format!("nullif({}, {})", t(a), t(b)),
            Ex::Cast(a, ty) => format!("CAST({} AS {})", t(a), cast_ty(*ty)),
        }
    }

    fn call(&self, call: &Call) -> String {
        let row = Names { source: self.source, key: &[] };
        let arguments: Vec<String> = call.arguments.iter().map(|argument| row.text(argument)).collect();
        let arguments = arguments.join(", ");
        let text = match call.function {
            Function::CountRows => "count(*)".to_string(),
            Function::Distinct => format!("count(DISTINCT {arguments})"),
            Function::ApproxPercentile => {
                let p = self.text(&Ex::Exact(call.with.p.0, call.with.p.1));
                format!("approx_percentile({arguments}, {p})")
            }
            Function::TopK => format!("top_k({arguments}, {})", call.with.most),
            Function::PercentileDisc | Function::PercentileCont => {
                let p = self.text(&Ex::Exact(call.with.p.0, call.with.p.1));
                let direction = if call.with.descending { " DESC" } else { "" };
                format!("{}({p}) WITHIN GROUP (ORDER BY {arguments}{direction})", function(call.function))
            }
            other => format!("{}({arguments})", function(other)),
        };
        match &call.filter {
            Some(filter) => format!("{text} FILTER (WHERE {})", row.text(filter)),
            None => text,
        }
    }
}

fn function(function: Function) -> &'static str {
    match function {
        Function::CountRows | Function::Count | Function::Distinct => "count",
        Function::Sum => "sum",
        Function::Avg => "avg",
        Function::Min => "min",
        Function::Max => "max",
        Function::First => "first",
        Function::Last => "last",
        Function::VarPop => "var_pop",
        Function::VarSamp => "var_samp",
        Function::StddevPop => "stddev_pop",
        Function::StddevSamp => "stddev_samp",
        Function::Wavg => "wavg",
        Function::SumProduct => "sum_product",
        Function::PercentileDisc => "percentile_disc",
        Function::PercentileCont => "percentile_cont",
        Function::TopK => "top_k",
        Function::ApproxDistinct => "approx_distinct",
        Function::ApproxPercentile => "approx_percentile",
    }
}

fn sign(op: Op) -> char {
    match op {
        Op::Add => '+',
        Op::Subtract => '-',
        Op::Multiply => '*',
        Op::Divide => '/',
    }
}

fn comparison(cmp: Cmp) -> &'static str {
    match cmp {
        Cmp::Eq => "=",
        Cmp::Ne => "<>",
        Cmp::Lt => "<",
        Cmp::Le => "<=",
        Cmp::Gt => ">",
        Cmp::Ge => ">=",
    }
}

fn cast_ty(ty: Ty) -> String {
    match ty {
        Ty::Decimal(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        Ty::F64 => "DOUBLE PRECISION".into(),
        Ty::I64 => "BIGINT".into(),
        Ty::U64 => "u64".into(),
        other => panic!("nothing is cast to {other:?}"),
    }
}
