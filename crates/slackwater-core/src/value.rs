//! One value of a row or of a result: what expressions take and give.

use crate::codec::{self, CodecError, Reader};
use crate::number::I384;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// What a value may be. Declared fields never exceed 38 decimal digits; expressions may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `precision` digits in all, `scale` of them behind the point.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
    },
    /// An IEEE double; finite where it is declared.
    Float64,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 64 bits.
    I64,
    /// True or false.
    Bool,
    /// UTF-8 without NUL.
    Text,
    /// Nanoseconds since the epoch, UTC.
    Timestamp,
    /// Several values of one type: what some aggregates give. No field and no row expression has it.
    Array(Element),
}

/// What the elements of an array may be: any type but an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// `precision` digits in all, `scale` of them behind the point.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
    },
    /// An IEEE double.
    Float64,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 64 bits.
    I64,
    /// True or false.
    Bool,
    /// UTF-8 without NUL.
    Text,
    /// Nanoseconds since the epoch, UTC.
    Timestamp,
}

impl Element {
    /// The type of an element.
    pub fn ty(self) -> Type {
        match self {
            Element::Decimal { precision, scale } => Type::Decimal { precision, scale },
            Element::Float64 => Type::Float64,
            Element::U64 => Type::U64,
            Element::I64 => Type::I64,
            Element::Bool => Type::Bool,
            Element::Text => Type::Text,
            Element::Timestamp => Type::Timestamp,
        }
    }
}

impl Type {
    /// An array of values of this type; none where they are arrays themselves.
    pub fn array(self) -> Option<Type> {
        Some(Type::Array(match self {
            Type::Decimal { precision, scale } => Element::Decimal { precision, scale },
            Type::Float64 => Element::Float64,
            Type::U64 => Element::U64,
            Type::I64 => Element::I64,
            Type::Bool => Element::Bool,
            Type::Text => Element::Text,
            Type::Timestamp => Element::Timestamp,
            Type::Array(_) => return None,
        }))
    }

    /// Digits behind the point of exact numbers, alone or in an array.
    pub fn scale(self) -> Option<u8> {
        match self {
            Type::Array(element) => element.ty().scale(),
            other => other.exact().map(|(_, scale)| scale),
        }
    }

    /// Whether values of this decimal type need more than an i128.
    pub fn is_wide(self) -> bool {
        matches!(self, Type::Decimal { precision, .. } if precision > crate::limits::DECIMAL_DIGITS)
    }

    /// Digits and scale when the values are exact numbers: decimals, and integers as decimals of scale 0.
    pub fn exact(self) -> Option<(u8, u8)> {
        match self {
            Type::Decimal { precision, scale } => Some((precision, scale)),
            Type::U64 => Some((20, 0)),
            Type::I64 => Some((19, 0)),
            _ => None,
        }
    }

    /// Whether arithmetic knows this type.
    pub fn is_numeric(self) -> bool {
        self == Type::Float64 || self.exact().is_some()
    }
}

impl core::fmt::Display for Type {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Type::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Type::Float64 => f.write_str("float64"),
            Type::U64 => f.write_str("u64"),
            Type::I64 => f.write_str("i64"),
            Type::Bool => f.write_str("bool"),
            Type::Text => f.write_str("string"),
            Type::Timestamp => f.write_str("timestamp"),
            Type::Array(element) => write!(f, "an array of {}", element.ty()),
        }
    }
}

/// A value that borrows its text. Its type is known from the plan; a decimal's scale stands there, not here.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Absent: every type has it.
    Null,
    /// A truth value.
    Bool(bool),
    /// A signed integer.
    I64(i64),
    /// An unsigned integer.
    U64(u64),
    /// A double.
    F64(f64),
    /// The mantissa of a decimal of at most 38 digits.
    Decimal(i128),
    /// The mantissa of a wider decimal.
    Wide(I384),
    /// UTF-8 text, validated when it was decoded.
    Text(&'a [u8]),
    /// Nanoseconds since the epoch.
    Time(i64),
    /// The canonical encodings of the elements, one behind the other; none of them is null. [`elements`] reads them.
    Array(&'a [u8]),
}

/// The elements of an array. Whatever their type says, a decimal comes in the narrowest form that holds it.
pub fn elements(array: &[u8]) -> impl Iterator<Item = Value<'_>> {
    const WIDE: Type = Type::Decimal { precision: u8::MAX, scale: 0 };
    let mut reader = Reader::new(array);
    core::iter::from_fn(move || {
        let types = [Type::Bool, Type::I64, Type::U64, Type::Float64, WIDE, Type::Text, Type::Timestamp];
        let tag = usize::from(*reader.rest().first()?);
        let value = Value::decode(&mut reader, *types.get(tag.checked_sub(1)?)?).ok()?;
        Some(match (value, value.as_i128()) {
            (Value::Wide(_), Some(narrow)) => Value::Decimal(narrow),
            _ => value,
        })
    })
}

impl<'a> Value<'a> {
    /// Whether it is null.
    #[inline]
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The truth value; null and everything else give none.
    #[inline]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// An exact number's mantissa, when it fits in an i128. Integers are decimals of scale 0.
    #[inline]
    pub fn as_i128(&self) -> Option<i128> {
        match self {
            Value::Decimal(m) => Some(*m),
            Value::I64(v) => Some(i128::from(*v)),
            Value::U64(v) => Some(i128::from(*v)),
            Value::Wide(w) => w.to_i128(),
            _ => None,
        }
    }

    /// An exact number's mantissa.
    pub fn as_wide(&self) -> Option<I384> {
        match self {
            Value::Wide(w) => Some(*w),
            other => other.as_i128().map(I384::from_i128),
        }
    }

    /// A copy that owns what it says.
    pub fn to_scalar(self) -> Scalar {
        Scalar(match self {
            Value::Null => Owned::Null,
            Value::Bool(v) => Owned::Bool(v),
            Value::I64(v) => Owned::I64(v),
            Value::U64(v) => Owned::U64(v),
            Value::F64(v) => Owned::F64(v),
            Value::Decimal(v) => match i64::try_from(v) {
                Ok(v) => Owned::Decimal(v),
                Err(_) => Owned::Large(Box::new(v)),
            },
            Value::Wide(v) => Owned::Wide(Box::new(v)),
            Value::Text(t) => Owned::Text(t.into()),
            Value::Time(v) => Owned::Time(v),
            Value::Array(bytes) => Owned::Array(bytes.into()),
        })
    }

    /// Total order of two values of one type and scale: null first, false before true, text by bytes, NaN last.
    #[inline]
    pub fn order(&self, other: &Value<'_>) -> Ordering {
        match (self, other) {
            (Value::Decimal(a), Value::Decimal(b)) => a.cmp(b),
            (Value::F64(a), Value::F64(b)) => a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())),
            (Value::Time(a), Value::Time(b)) | (Value::I64(a), Value::I64(b)) => a.cmp(b),
            (Value::U64(a), Value::U64(b)) => a.cmp(b),
            (Value::Text(a), Value::Text(b)) | (Value::Array(a), Value::Array(b)) => a.cmp(b),
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Null, Value::Null) => Ordering::Equal,
            (Value::Null, _) => Ordering::Less,
            (_, Value::Null) => Ordering::Greater,
            _ => match (self.as_wide(), other.as_wide()) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => panic!("values of two types were compared: the plan was not typed"),
            },
        }
    }

    /// Appends the canonical encoding: a tag, then the value. A decimal has one encoding whatever holds it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.push(0),
            Value::Bool(v) => out.extend_from_slice(&[1, u8::from(*v)]),
            Value::I64(v) => {
                out.push(2);
                out.extend_from_slice(&v.to_le_bytes());
            }
            Value::U64(v) => {
                out.push(3);
                out.extend_from_slice(&v.to_le_bytes());
            }
            Value::F64(v) => {
                out.push(4);
                out.extend_from_slice(&v.to_bits().to_le_bytes());
            }
            Value::Decimal(_) | Value::Wide(_) => {
                out.push(5);
                self.as_wide().expect("a decimal has a mantissa").encode(out);
            }
            Value::Text(v) => Value::encode_text(v, out),
            Value::Time(v) => {
                out.push(7);
                out.extend_from_slice(&v.to_le_bytes());
            }
            Value::Array(bytes) => {
                out.push(8);
                codec::put_bytes(out, bytes);
            }
        }
    }

    /// Appends the canonical encoding of a text.
    #[inline]
    pub(crate) fn encode_text(text: &[u8], out: &mut Vec<u8>) {
        out.push(6);
        codec::put_bytes(out, text);
    }

    /// Reads what [`Value::encode`] wrote. A decimal comes back in the form that `ty` has.
    pub fn decode(reader: &mut Reader<'a>, ty: Type) -> Result<Value<'a>, CodecError> {
        let tag = reader.byte()?;
        Ok(match (tag, ty) {
            (0, _) => Value::Null,
            (1, Type::Bool) => match reader.byte()? {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                _ => return reader.fail("0 or 1"),
            },
            (2, Type::I64) => Value::I64(i64::from_le_bytes(reader.array()?)),
            (3, Type::U64) => Value::U64(u64::from_le_bytes(reader.array()?)),
            (4, Type::Float64) => Value::F64(f64::from_bits(u64::from_le_bytes(reader.array()?))),
            (5, Type::Decimal { .. }) => {
                let Some((wide, used)) = I384::decode(reader.rest()) else { return reader.fail("a decimal") };
                reader.skip(used)?;
                match wide.to_i128() {
                    Some(m) if !ty.is_wide() => Value::Decimal(m),
                    _ if ty.is_wide() => Value::Wide(wide),
                    _ => return reader.fail("a decimal of its type"),
                }
            }
            (6, Type::Text) => Value::Text(reader.bytes()?),
            (7, Type::Timestamp) => Value::Time(i64::from_le_bytes(reader.array()?)),
            (8, Type::Array(element)) => {
                let bytes = reader.bytes()?;
                let mut inner = Reader::new(bytes);
                while !inner.rest().is_empty() {
                    if Value::decode(&mut inner, element.ty())?.is_null() {
                        return reader.fail("elements that are not null");
                    }
                }
                Value::Array(bytes)
            }
            _ => return reader.fail("a value of its type"),
        })
    }
}

/// A value that owns what it says, for what outlives an event. Equality is equality of bits.
///
/// There are many: every window holds a few, and every row one a column. So it is small, and what is large is elsewhere.
#[derive(Clone, Debug)]
pub struct Scalar(Owned);

#[derive(Clone, Debug)]
enum Owned {
    Null,
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(f64),
    /// A decimal of 64 bits, as most are.
    Decimal(i64),
    /// One that needs more.
    Large(Box<i128>),
    Wide(Box<I384>),
    Text(Box<[u8]>),
    Time(i64),
    Array(Box<[u8]>),
}

impl Scalar {
    /// Null.
    pub const NULL: Scalar = Scalar(Owned::Null);

    /// A view that expressions can take.
    #[inline]
    pub fn value(&self) -> Value<'_> {
        match &self.0 {
            Owned::Null => Value::Null,
            Owned::Bool(v) => Value::Bool(*v),
            Owned::I64(v) => Value::I64(*v),
            Owned::U64(v) => Value::U64(*v),
            Owned::F64(v) => Value::F64(*v),
            Owned::Decimal(v) => Value::Decimal((*v).into()),
            Owned::Large(v) => Value::Decimal(**v),
            Owned::Wide(v) => Value::Wide(**v),
            Owned::Text(text) => Value::Text(text),
            Owned::Time(v) => Value::Time(*v),
            Owned::Array(bytes) => Value::Array(bytes),
        }
    }

    /// The number in its place, if it is a decimal or a signed integer of 64 bits.
    #[inline]
    pub(crate) fn narrow_mut(&mut self) -> Option<&mut i64> {
        match &mut self.0 {
            Owned::Decimal(v) | Owned::I64(v) => Some(v),
            _ => None,
        }
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        match (self.value(), other.value()) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::I64(a), Value::I64(b)) | (Value::Time(a), Value::Time(b)) => a == b,
            (Value::U64(a), Value::U64(b)) => a == b,
            (Value::F64(a), Value::F64(b)) => a.to_bits() == b.to_bits(),
            (Value::Decimal(a), Value::Decimal(b)) => a == b,
            (a @ (Value::Decimal(_) | Value::Wide(_)), b @ (Value::Decimal(_) | Value::Wide(_))) => {
                a.as_wide() == b.as_wide()
            }
            (Value::Text(a), Value::Text(b)) | (Value::Array(a), Value::Array(b)) => a == b,
            _ => false,
        }
    }
}
