//! What an event of a source declares: its fields, and which of them say who it is, when it happened, and how it ranks.

use crate::limits;
use crate::value::Type;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The unit of a timestamp that arrives as a number. Inside, every time is nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds; may carry a fraction.
    Seconds,
    /// Milliseconds; may carry a fraction.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
}

impl Unit {
    /// Nanoseconds in one unit.
    pub fn nanos(self) -> i64 {
        match self {
            Unit::Seconds => 1_000_000_000,
            Unit::Millis => 1_000_000,
            Unit::Micros => 1_000,
            Unit::Nanos => 1,
        }
    }
}

/// One declared field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name in the event and in SQL.
    pub name: String,
    /// Type of its values.
    pub ty: Type,
    /// Unit of a number in a timestamp field; of no meaning elsewhere.
    pub unit: Unit,
    /// Whether it may be null (`?`).
    pub nullable: bool,
}

/// What makes two events the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityRule {
    /// These fields, in this order.
    Fields(Vec<usize>),
    /// The digest of the declared fields.
    Content,
    /// Where it stood: file or partition, and offset.
    Position,
}

/// Which fields have a meaning beyond their value. Indices into the fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Who the event is.
    pub identity: IdentityRule,
    /// When it happened.
    pub event_time: usize,
    /// The venue, device or shard that it came from; none: the source itself.
    pub origin: Option<usize>,
    /// The origin's own numbering.
    pub sequence: Option<usize>,
    /// `order = "sequence"`: the canonical order puts the sequence before the id, and the sequence is content.
    pub order_by_sequence: bool,
    /// Rank among events of one identity.
    pub version: Option<usize>,
    /// Content or retraction.
    pub op: Option<usize>,
    /// When it was first seen, by the event's own word.
    pub arrival: Option<usize>,
}

/// Where a field's value stands in a row's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Byte offset in the fixed part.
    pub offset: u32,
    /// Bytes there.
    pub width: u8,
    /// Bit in the null bitmap, when the field may be null.
    pub null_bit: Option<u16>,
    /// Which of the texts it is, counted from 0.
    pub text: u16,
    /// Byte offset of the end of the text before, in the fixed part, if it is a text and not the first one.
    pub before: Option<u32>,
    /// How the bytes are a value.
    pub kind: Kind,
}

/// How the bytes of a field are a value, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A decimal in eight bytes.
    Narrow,
    /// A decimal in sixteen.
    Wide,
    U64,
    I64,
    F64,
    Bool,
    /// Four bytes: the end of its text.
    Text,
    Time,
}

impl Kind {
    fn of(ty: Type) -> Kind {
        match ty {
            Type::Decimal { precision, .. } if precision > 18 => Kind::Wide,
            Type::Decimal { .. } => Kind::Narrow,
            Type::U64 => Kind::U64,
            Type::I64 => Kind::I64,
            Type::Float64 => Kind::F64,
            Type::Bool => Kind::Bool,
            Type::Text => Kind::Text,
            Type::Timestamp => Kind::Time,
            Type::Array(_) => unreachable!("no field is an array"),
        }
    }

    fn width(self) -> u8 {
        match self {
            Kind::Bool => 1,
            Kind::Text => 4,
            Kind::Wide => 16,
            _ => 8,
        }
    }
}

/// A source's fields and roles, checked, with the layout of a row's content worked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    fields: Vec<Field>,
    roles: Roles,
    slots: Vec<Option<Slot>>,
    texts: Vec<Slot>,
    fixed: usize,
    asked: Asked,
}

/// What every row is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Its event time.
    pub time: Option<Slot>,
    /// Its id, where that is one `u64`.
    pub number: Option<Slot>,
    /// Its origin, where a field says that.
    pub origin: Option<Slot>,
}

/// A schema that cannot be: which field, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaError {
    /// The field at fault, by index, where there is one.
    pub field: Option<usize>,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl Schema {
    /// Checks the roles against the fields and lays out the content.
    pub fn new(fields: Vec<Field>, roles: Roles) -> Result<Schema, SchemaError> {
        if fields.len() > limits::FIELDS {
            let message = format!("{} fields are declared; at most {} are allowed", fields.len(), limits::FIELDS);
            return Err(SchemaError { field: None, message });
        }
        check_fields(&fields, &roles)?;
        check_roles(&fields, &roles)?;
        let asked = Asked::default();
        let mut schema = Schema { slots: Vec::new(), texts: Vec::new(), fixed: 0, asked, fields, roles };
        schema.lay_out();
        schema.asked = schema.ask();
        Ok(schema)
    }

    /// The fields in declared order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The roles.
    pub fn roles(&self) -> &Roles {
        &self.roles
    }

    /// Index of the field of this name.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// Whether the field is part of an event's content: digest, SQL, archive. Arrival and sequence are not.
    pub fn is_content(&self, field: usize) -> bool {
        self.roles.arrival != Some(field) && (self.roles.sequence != Some(field) || self.roles.order_by_sequence)
    }

    #[inline]
    pub(crate) fn slot(&self, field: usize) -> Option<&Slot> {
        self.slots[field].as_ref()
    }

    /// Where the answers stand to what every row is asked for.
    #[inline]
    pub(crate) fn asked(&self) -> &Asked {
        &self.asked
    }

    fn ask(&self) -> Asked {
        let slot = |field: usize| self.slot(field).copied();
        let number = match &self.roles.identity {
            IdentityRule::Fields(ids) if ids.len() == 1 => slot(ids[0]).filter(|slot| slot.kind == Kind::U64),
            _ => None,
        };
        Asked { time: slot(self.roles.event_time), number, origin: self.roles.origin.and_then(slot) }
    }

    #[inline]
    pub(crate) fn fixed_len(&self) -> usize {
        self.fixed
    }

    /// Bytes of the null bitmap.
    pub(crate) fn null_bytes(&self) -> usize {
        self.slots.iter().flatten().filter(|slot| slot.null_bit.is_some()).count().div_ceil(8)
    }

    pub(crate) fn text_count(&self) -> usize {
        self.texts.len()
    }

    /// The slot of the text with this number.
    #[inline]
    pub(crate) fn text_slot(&self, text: usize) -> &Slot {
        &self.texts[text]
    }

    /// Null bitmap first, then every content field at a fixed offset in declared order, then the texts.
    fn lay_out(&mut self) {
        let content: Vec<bool> = (0..self.fields.len()).map(|i| self.is_content(i)).collect();
        let nullable = self.fields.iter().zip(&content).filter(|(field, content)| field.nullable && **content).count();
        let (mut offset, mut null_bit, mut text) = (nullable.div_ceil(8), 0, 0);
        for (field, content) in self.fields.iter().zip(content) {
            if !content {
                self.slots.push(None);
                continue;
            }
            let kind = Kind::of(field.ty);
            let (width, is_text) = (kind.width(), kind == Kind::Text);
            let bit = field.nullable.then_some(null_bit);
            let before = self.texts.last().filter(|_| is_text).map(|before| before.offset);
            let slot = Slot { offset: offset as u32, width, null_bit: bit, text, before, kind };
            self.slots.push(Some(slot));
            if is_text {
                self.texts.push(slot);
            }
            offset += usize::from(width);
            null_bit += u16::from(field.nullable);
            text += u16::from(is_text);
        }
        self.fixed = offset;
    }
}

fn check_fields(fields: &[Field], roles: &Roles) -> Result<(), SchemaError> {
    for (index, field) in fields.iter().enumerate() {
        if fields[..index].iter().any(|other| other.name == field.name) {
            let message = format!("field `{}` is declared twice: take one of them away", field.name);
            return Err(SchemaError { field: Some(index), message });
        }
    }
    let identity: &[usize] = if let IdentityRule::Fields(ids) = &roles.identity { ids } else { &[] };
    let Roles { origin, sequence, version, op, arrival, .. } = roles;
    let named = [*origin, *sequence, *version, *op, *arrival].into_iter().flatten();
    if identity.iter().copied().chain(named).chain([roles.event_time]).any(|index| index >= fields.len()) {
        return Err(SchemaError { field: None, message: String::from("a role names a field that is not there") });
    }
    if roles.identity == IdentityRule::Fields(Vec::new()) {
        let message = String::from("identity names no field: name one, or \"content\" or \"position\"");
        return Err(SchemaError { field: None, message });
    }
    Ok(())
}

fn check_roles(fields: &[Field], roles: &Roles) -> Result<(), SchemaError> {
    let fail = |field: usize, message: String| Err(SchemaError { field: Some(field), message });
    let mut required: Vec<(usize, &str)> = Vec::new();
    required.push((roles.event_time, "event_time"));
    if let IdentityRule::Fields(ids) = &roles.identity {
        required.extend(ids.iter().map(|id| (*id, "identity")));
    }
    required.extend(roles.origin.map(|i| (i, "origin")));
    for (index, role) in required {
        let field = &fields[index];
        if field.nullable {
            let message = format!("field `{}` is the {role} and so cannot be null: take the `?` away", field.name);
            return fail(index, message);
        }
    }
    let wanted: [(Option<usize>, &str, &[Type], &str); 6] = [
        (Some(roles.event_time), "event_time", &[Type::Timestamp], "a timestamp"),
        (roles.arrival, "arrival", &[Type::Timestamp], "a timestamp"),
        (roles.origin, "origin", &[Type::Text, Type::U64, Type::I64], "a string, u64 or i64"),
        (roles.sequence, "sequence", &[Type::U64], "a u64"),
        (roles.version, "version", &[Type::U64, Type::Timestamp], "a u64 or a timestamp"),
        (roles.op, "op", &[Type::Text], "a string"),
    ];
    for (index, role, types, text) in wanted {
        let Some(index) = index else { continue };
        let field = &fields[index];
        if !types.contains(&field.ty) {
            return fail(index, format!("{role} = \"{}\" must be {text}, and is {}", field.name, field.ty));
        }
    }
    if let IdentityRule::Fields(ids) = &roles.identity {
        for id in ids {
            if fields[*id].ty == Type::Float64 {
                let message =
                    format!("field `{}` is a float64 and cannot be an identity: declare a decimal", fields[*id].name);
                return fail(*id, message);
            }
        }
    }
    check_hidden(fields, roles)?;
    if let (Some(field), false) = (roles.version.or(roles.op), matches!(roles.identity, IdentityRule::Fields(_))) {
        let message = String::from(
            "version and op need identity = \"FIELD\": where content or position is the identity, no two events share one",
        );
        return fail(field, message);
    }
    if let (Some(op), None) = (roles.op, roles.version) {
        return fail(op, String::from("op needs version: a retraction must outrank what it removes"));
    }
    if roles.order_by_sequence && roles.sequence.is_none() {
        let message = String::from("order = \"sequence\" needs sequence = \"FIELD\"");
        return Err(SchemaError { field: None, message });
    }
    Ok(())
}

/// What is no content has no second role, for all others are read from the content.
fn check_hidden(fields: &[Field], roles: &Roles) -> Result<(), SchemaError> {
    let hidden = [(roles.arrival, "arrival"), (roles.sequence.filter(|_| !roles.order_by_sequence), "sequence")];
    let ids: &[usize] = if let IdentityRule::Fields(ids) = &roles.identity { ids } else { &[] };
    let single = [(roles.origin, "origin"), (roles.version, "version"), (roles.op, "op")];
    let single = single.into_iter().filter_map(|(field, role)| Some((field?, role)));
    let others = ids.iter().map(|id| (*id, "identity")).chain([(roles.event_time, "event_time")]).chain(single);
    for (field, role) in hidden {
        let Some((field, other)) = others.clone().find(|(other, _)| Some(*other) == field) else { continue };
        let name = &fields[field].name;
        let message =
            format!("field `{name}` is {role}, which is no content, and so cannot be {other} too: name another field");
        return Err(SchemaError { field: Some(field), message });
    }
    Ok(())
}
