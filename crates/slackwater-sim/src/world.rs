//! What adversary and oracle both speak of: sources, pipelines, expressions and events, before any spelling.

use num_bigint::BigInt;
use slackwater_core::poison::Reason;

/// A type, as a configuration or a SELECT names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ty {
    /// Digits in all, and behind the point.
    Decimal(u32, u32),
    /// A double.
    F64,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 64 bits.
    I64,
    /// True or false.
    Bool,
    /// Text.
    Text,
    /// Nanoseconds since the epoch.
    Time,
    /// Several values of a type.
    Array(Item),
}

/// A type of what stands in an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// Digits in all, and behind the point.
    Decimal(u32, u32),
    /// A double.
    F64,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 64 bits.
    I64,
    /// True or false.
    Bool,
    /// Text.
    Text,
    /// Nanoseconds since the epoch.
    Time,
}

impl Ty {
    /// Several values of this type.
    pub fn array(self) -> Ty {
        Ty::Array(match self {
            Ty::Decimal(precision, scale) => Item::Decimal(precision, scale),
            Ty::F64 => Item::F64,
            Ty::U64 => Item::U64,
            Ty::I64 => Item::I64,
            Ty::Bool => Item::Bool,
            Ty::Text => Item::Text,
            Ty::Time => Item::Time,
            Ty::Array(item) => item,
        })
    }

    /// Digits and scale of an exact number.
    pub fn exact(self) -> Option<(u32, u32)> {
        match self {
            Ty::Decimal(precision, scale) => Some((precision, scale)),
            Ty::U64 => Some((20, 0)),
            Ty::I64 => Some((19, 0)),
            _ => None,
        }
    }

    /// Whether arithmetic knows it.
    pub fn is_number(self) -> bool {
        self == Ty::F64 || self.exact().is_some()
    }
}

/// A value. A decimal is its mantissa at its type's scale.
#[derive(Clone, Debug)]
pub enum Datum {
    /// Absent.
    Null,
    /// True or false.
    Bool(bool),
    /// Unsigned.
    U64(u64),
    /// Signed.
    I64(i64),
    /// A double.
    F64(f64),
    /// A mantissa.
    Decimal(BigInt),
    /// Text.
    Text(String),
    /// Nanoseconds.
    Time(i64),
    /// Several values.
    Array(Vec<Datum>),
}

/// Equality of bits.
impl PartialEq for Datum {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Datum::Null, Datum::Null) => true,
            (Datum::Bool(a), Datum::Bool(b)) => a == b,
            (Datum::U64(a), Datum::U64(b)) => a == b,
            (Datum::I64(a), Datum::I64(b)) => a == b,
            (Datum::F64(a), Datum::F64(b)) => a.to_bits() == b.to_bits(),
            (Datum::Decimal(a), Datum::Decimal(b)) => a == b,
            (Datum::Text(a), Datum::Text(b)) => a == b,
            (Datum::Time(a), Datum::Time(b)) => a == b,
            (Datum::Array(a), Datum::Array(b)) => a == b,
            _ => false,
        }
    }
}

/// How a time that arrives as a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
}

/// A declared field.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Ty,
    /// Its unit, for a time.
    pub unit: Unit,
    /// Whether it may be null.
    pub nullable: bool,
}

/// What makes two events the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// These fields.
    Fields(Vec<usize>),
    /// All that is content.
    Content,
    /// Where it stood.
    Position,
}

/// How events come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// NDJSON.
    Json,
    /// CSV.
    Csv,
}

/// A source.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// How its events come.
    pub format: Format,
    /// Its fields.
    pub fields: Vec<Field>,
    /// What makes two events the same.
    pub identity: Identity,
    /// The field of the event time.
    pub event_time: usize,
    /// The field of the origin.
    pub origin: Option<usize>,
    /// The origins that may send.
    pub origins: Option<Vec<String>>,
    /// The field of the sequence.
    pub sequence: Option<usize>,
    /// Whether the sequence orders.
    pub by_sequence: bool,
    /// The field of the version.
    pub version: Option<usize>,
    /// The field of the op.
    pub op: Option<usize>,
    /// The field of the arrival.
    pub arrival: Option<usize>,
    /// Nanoseconds.
    pub max_future: Option<i64>,
    /// Nanoseconds since the epoch.
    pub min_time: Option<i64>,
    /// Nanoseconds since the epoch.
    pub max_time: Option<i64>,
    /// Guards.
    pub require: Vec<Ex>,
    /// Nanoseconds by which the watermark stays behind.
    pub lag: i64,
    /// What some origins have instead.
    pub lag_by_origin: Vec<(String, i64)>,
    /// Nanoseconds of silence behind which an origin is left out.
    pub idle_after: Option<i64>,
    /// Whether the watermark follows the ticks.
    pub wall_clock: bool,
    /// Whether it holds what is late.
    pub holds: bool,
    /// The columns of a CSV file: a declared field, or one that none declares.
    pub columns: Vec<Option<usize>>,
}

impl Source {
    /// Whether a field is part of the content.
    pub fn is_content(&self, field: usize) -> bool {
        self.arrival != Some(field) && (self.sequence != Some(field) || self.by_sequence)
    }

    /// What an event says of itself through its op: content, a retraction, or nothing known.
    pub fn retracts(&self, event: &Event) -> Option<bool> {
        match self.op.map(|op| &event.values[op]) {
            None | Some(Datum::Null) => Some(false),
            Some(Datum::Text(op)) => match op.as_str() {
                "assert" | "insert" | "update" | "upsert" => Some(false),
                "retract" | "delete" => Some(true),
                _ => None,
            },
            Some(other) => panic!("an op is a text and not {other:?}"),
        }
    }

    /// Whether a retraction says this too.
    pub fn identifies(&self, field: usize) -> bool {
        let id = matches!(&self.identity, Identity::Fields(fields) if fields.contains(&field));
        id || [self.origin, self.version, self.op].contains(&Some(field))
    }
}

/// What the bytes of an event have wrong, and the reason that must be given for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The reason.
    pub reason: Reason,
    /// The field, where one is to blame.
    pub field: Option<usize>,
}

/// One logical event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Index of its source.
    pub source: usize,
    /// A value for every declared field.
    pub values: Vec<Datum>,
    /// What is wrong with its bytes.
    pub flaw: Option<Flaw>,
    /// Whether everything that a retraction may leave out is spelled as rubbish.
    pub rubbish: bool,
}

/// A sign of arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// +
    Add,
    /// -
    Subtract,
    /// *
    Multiply,
    /// /
    Divide,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cmp {
    /// =
    Eq,
    /// <>
    Ne,
    /// <
    Lt,
    /// <=
    Le,
    /// >
    Gt,
    /// >=
    Ge,
}

/// An expression.
#[derive(Clone, Debug)]
pub enum Ex {
    /// A field of the row.
    Field(usize),
    /// A group-by column.
    Key(usize),
    /// A field of the key's previous row.
    Prev(usize),
    /// An aggregate.
    Call(Box<Call>),
    /// An exact constant: its mantissa and scale.
    Exact(i64, u32),
    /// A float constant.
    Float(f64),
    /// A text constant.
    Text(String),
    /// A time constant.
    Time(i64),
    /// A truth constant.
    Bool(bool),
    /// NULL.
    Null,
    /// -a
    Negate(Box<Ex>),
    /// abs(a)
    Abs(Box<Ex>),
    /// sqrt(a)
    Root(Box<Ex>),
    /// a + b and its like
    Arith(Op, Box<Ex>, Box<Ex>),
    /// a < b and its like
    Compare(Cmp, Box<Ex>, Box<Ex>),
    /// a AND b
    And(Box<Ex>, Box<Ex>),
    /// a OR b
    Or(Box<Ex>, Box<Ex>),
    /// NOT a
    Not(Box<Ex>),
    /// a IS NULL, or IS NOT NULL
    IsNull(Box<Ex>, bool),
    /// x BETWEEN a AND b, or NOT BETWEEN
    Between(Box<Ex>, Box<Ex>, Box<Ex>, bool),
    /// x IN (...), or NOT IN
    In(Box<Ex>, Vec<Ex>, bool),
    /// CASE WHEN ... THEN ... ELSE ... END
    Case(Vec<(Ex, Ex)>, Option<Box<Ex>>),
    /// coalesce(...)
    Coalesce(Vec<Ex>),
    /// nullif(a, b)
    NullIf(Box<Ex>, Box<Ex>),
    /// CAST(a AS type)
    Cast(Box<Ex>, Ty),
}

/// An aggregate function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// count(*)
    CountRows,
    /// count(x)
    Count,
    /// count(DISTINCT x)
    Distinct,
    /// sum(x)
    Sum,
    /// avg(x)
    Avg,
    /// min(x)
    Min,
    /// max(x)
    Max,
    /// first(x)
    First,
    /// last(x)
    Last,
    /// var_pop(x)
    VarPop,
    /// var_samp(x)
    VarSamp,
    /// stddev_pop(x)
    StddevPop,
    /// stddev_samp(x)
    StddevSamp,
    /// wavg(x, w)
    Wavg,
    /// sum_product(x, y)
    SumProduct,
    /// percentile_disc(p) WITHIN GROUP (ORDER BY x)
    PercentileDisc,
    /// percentile_cont(p) WITHIN GROUP (ORDER BY x)
    PercentileCont,
    /// top_k(x, n)
    TopK,
    /// approx_distinct(x)
    ApproxDistinct,
    /// approx_percentile(x, p)
    ApproxPercentile,
}

impl Function {
    /// All of them.
    pub const ALL: [Function; 20] = [
        Function::CountRows,
        Function::Count,
        Function::Distinct,
        Function::Sum,
        Function::Avg,
        Function::Min,
        Function::Max,
        Function::First,
        Function::Last,
        Function::VarPop,
        Function::VarSamp,
        Function::StddevPop,
        Function::StddevSamp,
        Function::Wavg,
        Function::SumProduct,
        Function::PercentileDisc,
        Function::PercentileCont,
        Function::TopK,
        Function::ApproxDistinct,
        Function::ApproxPercentile,
    ];
}

/// A call of an aggregate.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which.
    pub function: Function,
    /// None, one or two arguments over the row.
    pub arguments: Vec<Ex>,
    /// FILTER (WHERE ...)
    pub filter: Option<Ex>,
    /// Constants beside the arguments, for those that take them.
    pub with: With,
}

/// Constants of a call.
#[derive(Clone, Copy, Debug, Default)]
pub struct With {
    /// The mantissa and the scale of a percentile, from 0 to 1.
    pub p: (i64, u32),
    /// Whether the order is descending.
    pub descending: bool,
    /// How many of the largest.
    pub most: usize,
}

/// How windows lie.
#[derive(Clone, Debug)]
pub enum Windows {
    /// Every `size` nanoseconds from the epoch plus `offset`.
    Fixed {
        /// Nanoseconds.
        size: i64,
        /// Nanoseconds.
        offset: i64,
    },
    /// Local days, or weeks of them.
    Days(i64, String),
    /// Local months.
    Months(i64, String),
    /// Nanoseconds that divide a day, from local midnight.
    Parts(i64, String),
    /// Windows that overlap, or leave gaps. All in nanoseconds.
    Hop {
        /// From one start to the next.
        slide: i64,
        /// Length.
        size: i64,
        /// Where a window starts, relative to the epoch.
        offset: i64,
    },
    /// Facts without a pause that is longer than so many nanoseconds.
    Session(i64),
    /// Runs of facts that the facts themselves cut.
    Bars(Anchor, Cut),
}

/// Where bars begin anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Never.
    None,
    /// At local midnight.
    Day(String),
    /// Every day at a local minute.
    At(i64, String),
}

/// What ends a bar.
#[derive(Clone, Debug)]
pub enum Cut {
    /// So many facts.
    Ticks(usize),
    /// A total that reaches a threshold: a mantissa and its scale.
    Measure(Vec<usize>, (i64, u32), Rule),
    /// A condition that is true of the fact that begins the next bar.
    Break(Ex),
}

/// What becomes of the fact that reaches a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It is inside, and the next bar starts at zero.
    Whole,
    /// It is inside, and the total runs on.
    Carry,
    /// It is cut.
    Split,
}

impl Windows {
    /// The fields that are multiplied to measure a fact, where facts are cut. The last of them is what is cut.
    pub fn split(&self) -> Option<&[usize]> {
        match self {
            Windows::Bars(_, Cut::Measure(fields, _, Rule::Split)) => Some(fields),
            _ => None,
        }
    }

    /// One word for each kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Windows::Fixed { .. } => "tumble",
            Windows::Days(..) | Windows::Months(..) | Windows::Parts(..) => "calendar",
            Windows::Hop { .. } => "hop",
            Windows::Session(_) => "session",
            Windows::Bars(_, Cut::Ticks(_)) => "tick_bar",
            Windows::Bars(_, Cut::Break(_)) => "break_when",
            Windows::Bars(_, Cut::Measure(fields, _, rule)) => match (fields.len(), rule) {
                (1, Rule::Whole) => "volume_bar_whole",
                (1, Rule::Carry) => "volume_bar_carry",
                (1, Rule::Split) => "volume_bar_split",
                (_, Rule::Whole) => "value_bar_whole",
                (_, Rule::Carry) => "value_bar_carry",
                (_, Rule::Split) => "value_bar_split",
            },
        }
    }

    /// All that [`Windows::kind`] gives.
    pub const KINDS: [&str; 12] = [
        "tumble",
        "calendar",
        "hop",
        "session",
        "tick_bar",
        "break_when",
        "volume_bar_whole",
        "volume_bar_carry",
        "volume_bar_split",
        "value_bar_whole",
        "value_bar_carry",
        "value_bar_split",
    ];
}

/// The product of fields, in the order in which it is written.
pub fn product(fields: &[usize]) -> Ex {
    let factors = fields.iter().map(|field| Ex::Field(*field));
    factors.reduce(|a, b| Ex::Arith(Op::Multiply, Box::new(a), Box::new(b))).expect("a measure has a factor")
}

/// A pipeline.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Its name.
    pub name: String,
    /// Index of its source.
    pub source: usize,
    /// WHERE.
    pub filter: Option<Ex>,
    /// Group-by columns: names and expressions over the row. A plain field keeps its own name.
    pub key: Vec<(String, Ex)>,
    /// The window.
    pub windows: Windows,
    /// Selected columns.
    pub columns: Vec<(String, Ex)>,
    /// HAVING.
    pub having: Option<Ex>,
}

/// Sources and pipelines: what a configuration says.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The sources.
    pub sources: Vec<Source>,
    /// The pipelines.
    pub pipelines: Vec<Pipeline>,
}
