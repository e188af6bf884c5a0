//! The values of one column, seen as the field that they are of.

use super::super::text::set_number;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, BinaryViewArray};
use arrow_buffer::{BooleanBuffer, NullBuffer, i256};
use arrow_schema::DataType;
use slackwater_core::builder::{RowBuilder, Target, double};
use slackwater_core::columns::Columns;
use slackwater_core::number::decimal::pow10;
use slackwater_core::poison::Reason;
use slackwater_core::schema::Unit;
use slackwater_core::value::Type;
use std::ops::Range;

/// What a column's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Signed,
    Unsigned,
    Float,
    /// Integers of `10^-scale`.
    Decimal {
        scale: u8,
    },
    /// Integers of so many nanoseconds, since the epoch.
    Time {
        nanos: i64,
    },
    Text,
}

/// The values of a column as they are stored.
#[derive(Clone, Copy)]
pub(super) enum Values<'a> {
    Bool(&'a BooleanBuffer),
    I32(&'a [i32]),
    I64(&'a [i64]),
    I128(&'a [i128]),
    I256(&'a [i256]),
    F32(&'a [f32]),
    F64(&'a [f64]),
    Bytes(&'a BinaryViewArray),
}

/// The values of a declared field's column.
#[derive(Clone, Copy)]
pub(super) struct Cells<'a> {
    pub target: Target,
    pub kind: Kind,
    pub values: Values<'a>,
    short: Short,
    nulls: Option<&'a NullBuffer>,
}

/// A value, or one that stands for none where there is none; that is marked.
#[inline(always)]
fn unless<T: Default>(value: Option<T>, odd: &mut bool) -> T {
    *odd |= value.is_none();
    value.unwrap_or_default()
}

/// Whether a text is UTF-8 without a NUL.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    let ascii = |byte: &u8| (1..0x80).contains(byte);
    text.iter().all(ascii) || (std::str::from_utf8(text).is_ok() && !text.contains(&0))
}

/// What needs no more than 64 bits: most columns, most values. The rest goes the long way, and all of it could.
#[derive(Clone, Copy, PartialEq)]
enum Short {
    U64,
    I64,
    /// Times so many nanoseconds.
    Time(i64),
    /// Times a power of ten; a product that is as large as the bound has too many digits.
    Decimal(i64, u64),
    None,
}

impl Short {
    /// The integer that the field has for a stored one; none where that needs the long way.
    #[inline(always)]
    fn convert(self, value: i64) -> Option<i64> {
        match self {
            Short::U64 | Short::I64 => Some(value),
            Short::Time(nanos) => value.checked_mul(nanos),
            Short::Decimal(power, bound) => value.checked_mul(power).filter(|value| value.unsigned_abs() < bound),
            Short::None => None,
        }
    }

    /// The short way of a column of 64-bit integers, if there is one.
    fn of(target: &Target, kind: Kind) -> Short {
        /// Digits of a decimal that takes 64 bits.
        const DIGITS: u8 = 18;
        let stored = if let Kind::Decimal { scale } = kind { scale } else { 0 };
        match (target.ty, kind) {
            (Type::U64, Kind::Unsigned) => Short::U64,
            (Type::I64, Kind::Signed) => Short::I64,
            (Type::Timestamp, Kind::Time { nanos }) => Short::Time(nanos),
            (Type::Timestamp, Kind::Signed) => Short::Time(target.unit.nanos()),
            (Type::Decimal { precision, scale }, Kind::Decimal { .. } | Kind::Signed)
                if precision <= DIGITS && stored <= scale =>
            {
                let power = |digits: u8| 10u64.pow(digits.into());
                Short::Decimal(power(scale - stored) as i64, power(precision))
            }
            _ => Short::None,
        }
    }
}

impl<'a> Cells<'a> {
    /// Sees an array as the values of a field; none when it is not what its kind is stored as.
    pub fn new(target: Target, kind: Kind, array: &'a dyn Array) -> Option<Self> {
        let values = match array.data_type() {
            DataType::Boolean => Values::Bool(array.as_boolean().values()),
            DataType::Int32 => Values::I32(array.as_primitive::<Int32Type>().values()),
            DataType::Int64 => Values::I64(array.as_primitive::<Int64Type>().values()),
            DataType::Decimal128(..) => Values::I128(array.as_primitive::<Decimal128Type>().values()),
            DataType::Decimal256(..) => Values::I256(array.as_primitive::<Decimal256Type>().values()),
            DataType::Float32 => Values::F32(array.as_primitive::<Float32Type>().values()),
            DataType::Float64 => Values::F64(array.as_primitive::<Float64Type>().values()),
            DataType::BinaryView => Values::Bytes(array.as_binary_view()),
            _ => return None,
        };
        let sound = match kind {
            Kind::Bool => matches!(values, Values::Bool(_)),
            Kind::Float => matches!(values, Values::F32(_) | Values::F64(_)),
            Kind::Text => matches!(values, Values::Bytes(_)),
            Kind::Signed | Kind::Unsigned | Kind::Time { .. } => matches!(values, Values::I32(_) | Values::I64(_)),
            Kind::Decimal { .. } => {
                matches!(values, Values::I32(_) | Values::I64(_) | Values::I128(_) | Values::I256(_))
            }
        };
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        let short = if matches!(values, Values::I64(_)) { Short::of(&target, kind) } else { Short::None };
        sound.then_some(Cells { target, kind, values, short, nulls })
    }

    #[inline]
    pub fn is_null(&self, at: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(at))
    }

    /// Bytes of the texts of some rows.
    #[inline]
    pub fn text_len(&self, rows: Range<usize>) -> usize {
        match self.values {
            // The lower half of a view is the length of what it shows.
            Values::Bytes(texts) => texts.views()[rows].iter().map(|view| *view as u32 as usize).sum(),
            _ => 0,
        }
    }

    /// Gives the values of some rows to `columns`; false where they must be set one by one. Marks the rows whose value
    /// needs that, for it is null or does not fit.
    pub fn give(&self, rows: Range<usize>, odd: &mut [bool], columns: &mut Columns<'a>) -> bool {
        if let Some(nulls) = self.nulls {
            odd.iter_mut().zip(rows.clone()).for_each(|(odd, at)| *odd |= nulls.is_null(at));
        }
        let target = &self.target;
        match (self.values, target.ty) {
            (Values::I64(values), _) if self.short != Short::None => {
                let word = |(value, odd): (&i64, _)| unless(self.short.convert(*value).map(i64::to_le_bytes), odd);
                columns.put(target, values[rows].iter().zip(odd).map(word));
            }
            (Values::F64(values), Type::Float64) => {
                let word = |(value, odd): (&f64, _)| unless(double(*value), odd);
                columns.put(target, values[rows].iter().zip(odd).map(word));
            }
            (Values::Bool(values), Type::Bool) => columns.put(target, rows.map(|at| [values.value(at).into()])),
            (Values::Bytes(texts), Type::Text) => {
                // What stands at a null is nobody's text.
                let text = |(at, odd): (usize, &mut bool)| {
                    let text = Some(texts.value(at)).filter(|text| !*odd && is_plain(text));
                    unless(text, odd)
                };
                columns.put_texts(target, rows.zip(odd).map(text).collect());
            }
            _ => return false,
        }
        true
    }

    /// Puts the value of a row into the builder, or its refusal. Gives the bytes of its text.
    #[inline]
    pub fn set(&self, at: usize, row: &mut RowBuilder<'_>) -> usize {
        let target = &self.target;
        if !row.see(target) {
            return 0;
        }
        if self.is_null(at) {
            row.null(target);
            return 0;
        }
        let exact = match self.values {
            Values::I64(values) => match values[at] {
                value if self.set_short(value, row) => return 0,
                value => self.widen(value, value as u64),
            },
            Values::Bytes(texts) => return self.set_text(texts.value(at), row),
            Values::I32(values) => self.widen(values[at].into(), u64::from(values[at] as u32)),
            Values::I128(values) => values[at],
            Values::F64(values) => return self.set_float(values[at], row),
            Values::F32(values) => return self.set_float(values[at].into(), row),
            Values::I256(values) => return self.set_wide(values[at], row),
            Values::Bool(values) => {
                row.set_bool(target, values.value(at));
                return 0;
            }
        };
        self.set_exact(exact, row);
        0
    }

    /// Sets the field the short way; false where that is not its way.
    #[inline]
    fn set_short(&self, value: i64, row: &mut RowBuilder<'_>) -> bool {
        let Some(value) = self.short.convert(value) else { return false };
        match self.short {
            Short::U64 => row.set_u64(&self.target, value as u64),
            Short::I64 => row.set_i64(&self.target, value),
            Short::Time(_) => row.set_time(&self.target, value),
            Short::Decimal(..) => row.set_decimal(&self.target, value.into()),
            Short::None => return false,
        }
        true
    }

    #[inline]
    fn widen(&self, signed: i64, unsigned: u64) -> i128 {
        if self.kind == Kind::Unsigned { unsigned.into() } else { signed.into() }
    }

    #[inline]
    fn set_text(&self, text: &[u8], row: &mut RowBuilder<'_>) -> usize {
        if !text.is_ascii() && std::str::from_utf8(text).is_err() {
            row.refuse(&self.target, Reason::InvalidUtf8);
        } else if self.target.ty == Type::Text {
            row.set_text(&self.target, text);
        } else {
            set_number(row, &self.target, text);
        }
        text.len()
    }

    #[inline]
    fn set_float(&self, value: f64, row: &mut RowBuilder<'_>) -> usize {
        row.set_f64(&self.target, value);
        0
    }

    /// Digits behind the point of what is stored.
    #[inline]
    fn scale(&self) -> u8 {
        if let Kind::Decimal { scale } = self.kind { scale } else { 0 }
    }

    /// Digits behind the point of what the field wants, and what a time is multiplied by after that.
    #[inline]
    fn wanted(&self) -> (u8, i64) {
        match (self.target.ty, self.target.unit) {
            (Type::Decimal { scale, .. }, _) => (scale, 1),
            (Type::Timestamp, Unit::Seconds) => (9, 1),
            (Type::Timestamp, Unit::Millis) => (6, 1),
            (Type::Timestamp, unit) => (0, unit.nanos()),
            _ => (0, 1),
        }
    }

    /// Sets the field from an exact number, as its text would in other formats.
    fn set_exact(&self, value: i128, row: &mut RowBuilder<'_>) {
        if let Kind::Time { nanos } = self.kind {
            // Both came from 64 bits, so the product fits.
            return match i64::try_from(value * i128::from(nanos)) {
                Ok(time) => row.set_time(&self.target, time),
                Err(_) => row.refuse(&self.target, Reason::TimeRange),
            };
        }
        if self.target.ty == Type::Float64 {
            return row.set_f64(&self.target, nearest(value, self.scale()));
        }
        self.put(rescale(value, self.scale(), self.wanted().0), row);
    }

    #[cold]
    fn set_wide(&self, value: i256, row: &mut RowBuilder<'_>) -> usize {
        if self.target.ty == Type::Float64 {
            row.set_f64(&self.target, parse(&format!("{value}e-{}", self.scale())));
        } else {
            self.put(rescale_wide(value, self.scale(), self.wanted().0), row);
        }
        0
    }

    /// Sets the field from an integer at the scale it wants.
    fn put(&self, value: Result<i128, Reason>, row: &mut RowBuilder<'_>) {
        let target = &self.target;
        let set = value.and_then(|value| {
            match self.target.ty {
                Type::Decimal { precision, .. } if value.unsigned_abs() < pow10(precision.into()).unsigned_abs() => {
                    row.set_decimal(target, value);
                }
                Type::U64 => row.set_u64(target, u64::try_from(value).map_err(|_| Reason::Range)?),
                Type::I64 => row.set_i64(target, i64::try_from(value).map_err(|_| Reason::Range)?),
                Type::Timestamp => {
                    let value = i64::try_from(value).ok().and_then(|value| value.checked_mul(self.wanted().1));
                    row.set_time(target, value.ok_or(Reason::Range)?);
                }
                _ => return Err(Reason::Range),
            }
            Ok(())
        });
        match set {
            Err(Reason::Range) if self.target.ty == Type::Timestamp => row.refuse(target, Reason::TimeRange),
            Err(reason) => row.refuse(target, reason),
            Ok(()) => {}
        }
    }
}

/// `value * 10^-from` as an integer of `10^-to`. Too many digits behind the point are told before too many in all.
#[inline]
fn rescale(value: i128, from: u8, to: u8) -> Result<i128, Reason> {
    if from == to {
        return Ok(value);
    }
    if from > 38 {
        return rescale_wide(i256::from_i128(value), from, to);
    }
    let power = pow10(from.abs_diff(to).into());
    if from < to {
        return value.checked_mul(power).ok_or(Reason::Range);
    }
    if value % power == 0 { Ok(value / power) } else { Err(Reason::Scale) }
}

#[cold]
fn rescale_wide(value: i256, from: u8, to: u8) -> Result<i128, Reason> {
    let power = (0..from.abs_diff(to)).fold(i256::ONE, |power, _| power.wrapping_mul(i256::from_i128(10)));
    let scaled = if from <= to {
        value.checked_mul(power)
    } else if value.checked_rem(power) == Some(i256::ZERO) {
        value.checked_div(power)
    } else {
        return Err(Reason::Scale);
    };
    scaled.and_then(i256::to_i128).ok_or(Reason::Range)
}

/// The double nearest to `value * 10^-scale`.
#[inline]
fn nearest(value: i128, scale: u8) -> f64 {
    /// Powers of ten that a double holds exactly; so does it integers of 53 bits, and one division rounds once.
    const EXACT: u8 = 22;
    if scale == 0 {
        value as f64
    } else if value.unsigned_abs() < 1 << 53 && scale <= EXACT {
        value as f64 / pow10(scale.into()) as f64
    } else {
        parse(&format!("{value}e-{scale}"))
    }
}

#[cold]
fn parse(text: &str) -> f64 {
    text.parse().expect("digits and an exponent are a number")
}
