//! One JSON object to the fields of a row.
//!
//! `jiter` reads the tokens; numbers go from their digits into exact values and never through a float. What no field
//! declares is skipped, but must be JSON. Events of a source mostly repeat their keys, so what jiter made of a key's
//! bytes is remembered by the key's place in the object.

use super::Format;
use super::frame::{self, Record};
use super::plain::Plain;
use super::text::set_number;
use jiter::{Jiter, JiterError, JiterErrorType, JsonErrorType, Peek};
use slackwater_core::builder::{RowBuilder, Target};
use slackwater_core::limits;
use slackwater_core::poison::{Reason, Refusal};
use slackwater_core::schema::Schema;
use slackwater_core::value::Type;
use std::cmp::Ordering;

/// Reads events of one schema.
#[derive(Debug)]
pub(super) struct Reader<'s> {
    keys: Keys<'s>,
}

impl<'s> Reader<'s> {
    pub(super) fn new(schema: &'s Schema) -> Self {
        Reader { keys: Keys::new(schema) }
    }

    /// Puts the fields of an object into `row`, which is all of `event`. It is UTF-8.
    pub(super) fn event(&mut self, event: &[u8], row: &mut RowBuilder<'_>) -> Result<(), Refusal> {
        let record = Record { body: event, size: event.len() };
        let mut line = Line { bytes: event, record: Some(record) };
        object(&mut line, &mut self.keys, row).map_err(Refusal::event)
    }

    /// The same for the line that `bytes` begin with; they are UTF-8. Where it ends shows when it has been read.
    #[inline]
    pub(super) fn line<'j>(&mut self, bytes: &'j [u8], row: &mut RowBuilder<'_>) -> (Record<'j>, Result<(), Refusal>) {
        let mut line = Line { bytes, record: None };
        let read = object(&mut line, &mut self.keys, row).map_err(Refusal::event);
        (line.record(), read)
    }
}

/// A line at the beginning of some bytes. Nobody looks for its end until he must: no key that was learned and no plain
/// value has a line end in it, so what consists of them is within the line.
struct Line<'j> {
    bytes: &'j [u8],
    record: Option<Record<'j>>,
}

impl<'j> Line<'j> {
    fn record(&mut self) -> Record<'j> {
        *self.record.get_or_insert_with(|| frame::first(Format::Json, self.bytes))
    }

    /// Notes that the line ends before `rest`, if it does. Where a carriage return makes it too large, it is cut as all
    /// lines are.
    #[inline]
    fn ends_before(&mut self, rest: &[u8]) -> bool {
        let end = self.bytes.len() - rest.len();
        let more = match rest {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] if end < limits::EVENT_BYTES => 2,
            _ => return self.record().body.len() == end,
        };
        self.record = Some(Record { body: &self.bytes[..end], size: end + more });
        true
    }

    /// Lets jiter read `rest` on to the line's end. It keeps nothing but its place between two tokens, so it may begin at
    /// any.
    fn jiter(&mut self, rest: &'j [u8], read: impl FnOnce(&mut Jiter<'j>) -> Result<(), Stop>) -> Read {
        let rest = &self.record().body[self.bytes.len() - rest.len()..];
        // It reads NaN and Infinity too, so that a field can refuse them by name.
        let mut json = Jiter::new(rest).with_allow_inf_nan();
        match read(&mut json) {
            Ok(()) => Read { size: json.current_index(), stop: None },
            Err(stop) => Read { size: 0, stop: Some(stop.reason(rest)) },
        }
    }
}

/// What jiter made of the rest of a line. A result would be in one place with its error, and be taken apart at every value.
struct Read {
    /// Bytes that it read.
    size: usize,
    /// Why it stopped before the end of what it was to read.
    stop: Option<Reason>,
}

impl Read {
    /// What stands behind it.
    #[inline]
    fn behind(self, rest: &[u8]) -> Result<&[u8], Reason> {
        if let Some(reason) = self.stop { Err(reason) } else { Ok(&rest[self.size..]) }
    }
}

/// Why reading an event stopped before its end.
enum Stop {
    Json(JiterError),
    Refused(Reason),
}

impl From<JiterError> for Stop {
    #[inline]
    fn from(error: JiterError) -> Self {
        Stop::Json(error)
    }
}

impl Stop {
    /// The reason, where jiter began at `rest`.
    #[cold]
    fn reason(self, rest: &[u8]) -> Reason {
        use JsonErrorType::{ControlCharacterWhileParsingString as ControlCharacter, NumberOutOfRange};
        match self {
            Stop::Refused(reason) => reason,
            Stop::Json(JiterError { error_type: JiterErrorType::JsonError(error), index }) => match error {
                NumberOutOfRange => Reason::Range,
                ControlCharacter if rest.get(index) == Some(&0) => Reason::NulByte,
                _ => Reason::Malformed,
            },
            Stop::Json(_) => Reason::Malformed,
        }
    }
}

#[inline(never)]
fn object(line: &mut Line<'_>, keys: &mut Keys<'_>, row: &mut RowBuilder<'_>) -> Result<(), Reason> {
    let mut rest = line.bytes;
    if rest.first() != Some(&b'{') {
        rest = to_object(line).behind(rest)?;
    }
    let mut place = 0;
    loop {
        let field = match keys.learned.get(place) {
            Some(learned) if learned.begins(rest) => {
                rest = &rest[learned.bytes.len()..];
                learned.field.as_ref()
            }
            _ if place > 0 && rest.first() == Some(&b'}') => {
                rest = &rest[1..];
                break;
            }
            _ => {
                let (read, key) = keys.read(line, rest, place);
                rest = read.behind(rest)?;
                match key {
                    Key::Field(field) => Some(&keys.fields[field]),
                    Key::Other => None,
                    Key::None => break,
                }
            }
        };
        place += 1;
        rest = match field.filter(|field| row.see(&field.target)) {
            Some(field) => match field.take(rest, row) {
                Some(behind) => behind,
                None => value(line, rest, &field.target, row).behind(rest)?,
            },
            None => pass(line, rest).behind(rest)?,
        };
    }
    if line.ends_before(rest) { Ok(()) } else { finish(line, rest).behind(rest).map(drop) }
}

/// Passes over what stands before the brace of an object.
#[cold]
fn to_object(line: &mut Line<'_>) -> Read {
    line.jiter(line.bytes, |json| {
        let peek = json.peek()?;
        if peek != Peek::Object {
            skip(json, peek, 0)?;
            json.finish()?;
            return Err(Stop::Refused(Reason::NotAnObject));
        }
        Ok(())
    })
}

/// Takes the value of a declared field.
#[inline(never)]
fn value<'j>(line: &mut Line<'j>, rest: &'j [u8], target: &Target, row: &mut RowBuilder<'_>) -> Read {
    line.jiter(rest, |json| {
        let peek = json.peek()?;
        match (peek, target.ty) {
            (Peek::String, Type::Text) => row.set_text(target, json.known_str()?.as_bytes()),
            (Peek::True | Peek::False, Type::Bool) => row.set_bool(target, json.known_bool(peek)?),
            (Peek::Null, _) => {
                json.known_null()?;
                row.null(target);
            }
            (_, Type::Text | Type::Bool) => {
                skip(json, peek, 1)?;
                row.refuse(target, Reason::WrongType);
            }
            (Peek::String, _) => set_number(row, target, json.known_str()?.as_bytes()),
            _ if peek.is_num() => set_number(row, target, json.known_number_bytes(peek)?),
            _ => {
                skip(json, peek, 1)?;
                row.refuse(target, Reason::WrongType);
            }
        }
        Ok(())
    })
}

/// Passes over the value of what is not declared, or was there before.
#[inline(never)]
fn pass<'j>(line: &mut Line<'j>, rest: &'j [u8]) -> Read {
    line.jiter(rest, |json| {
        let peek = json.peek()?;
        skip(json, peek, 1)
    })
}

/// Nothing but white space may follow the object.
#[cold]
fn finish<'j>(line: &mut Line<'j>, rest: &'j [u8]) -> Read {
    line.jiter(rest, |json| Ok(json.finish()?))
}

/// Passes over a value, which must be JSON, and stands inside `depth` objects and arrays.
fn skip(json: &mut Jiter<'_>, peek: Peek, depth: usize) -> Result<(), Stop> {
    match peek {
        Peek::String => drop(json.known_bytes()?),
        Peek::Null => json.known_null()?,
        Peek::True | Peek::False => drop(json.known_bool(peek)?),
        Peek::Array | Peek::Object if depth == limits::JSON_DEPTH => return Err(Stop::Refused(Reason::TooDeep)),
        Peek::Array => {
            let mut item = json.known_array()?;
            while let Some(peek) = item {
                skip(json, peek, depth + 1)?;
                item = json.array_step()?;
            }
        }
        Peek::Object => {
            let mut more = json.known_object()?.is_some();
            while more {
                let peek = json.peek()?;
                skip(json, peek, depth + 1)?;
                more = json.next_key()?.is_some();
            }
        }
        // NaN and Infinity are JSON nowhere; only a numeric field says so more kindly.
        _ if json.known_number_bytes(peek)?.last().is_some_and(u8::is_ascii_alphabetic) => {
            return Err(Stop::Refused(Reason::Malformed));
        }
        _ => {}
    }
    Ok(())
}

/// What a key names.
#[derive(Clone, Copy, Debug)]
enum Key {
    /// A declared field, by index.
    Field(usize),
    /// Nothing declared.
    Other,
    /// There is no key: the object ends.
    None,
}

/// The keys of a schema, and those that were last found, by their place in the object.
#[derive(Debug)]
struct Keys<'s> {
    sorted: Vec<(&'s str, usize)>,
    /// By index.
    fields: Vec<Plain>,
    learned: Vec<Learned>,
}

/// The bytes from the end of the value before (or from the brace) to the key's colon, and what they mean. The same
/// bytes in the same place mean the same, for jiter looks at no byte behind the colon.
#[derive(Debug)]
struct Learned {
    bytes: Vec<u8>,
    /// The first sixteen bytes as a number, and which of its bits the key has: most keys are no longer.
    head: u128,
    mask: u128,
    /// What it names, if that is declared.
    field: Option<Plain>,
}

impl Learned {
    fn new(bytes: &[u8], field: Option<Plain>) -> Self {
        let (mut head, mut mask) = ([0; 16], [0; 16]);
        let short = bytes.len().min(16);
        head[..short].copy_from_slice(&bytes[..short]);
        mask[..short].fill(0xff);
        Learned { bytes: bytes.to_vec(), head: u128::from_le_bytes(head), mask: u128::from_le_bytes(mask), field }
    }

    /// Whether `line` begins with this key.
    #[inline]
    fn begins(&self, line: &[u8]) -> bool {
        let Some(first) = line.first_chunk::<16>() else { return line.starts_with(&self.bytes) };
        let other = (u128::from_le_bytes(*first) ^ self.head) & self.mask;
        other == 0 && (self.bytes.len() <= 16 || line.starts_with(&self.bytes))
    }
}

impl<'s> Keys<'s> {
    /// Longest key that is worth remembering, with its punctuation, in bytes.
    const LONGEST: usize = 128;

    fn new(schema: &'s Schema) -> Self {
        let mut sorted: Vec<_> = schema.fields().iter().enumerate().map(|(i, field)| (&*field.name, i)).collect();
        sorted.sort_unstable();
        let fields = Target::all(schema).into_iter().map(Plain::new).collect();
        Keys { sorted, fields, learned: Vec::new() }
    }

    /// Reads and learns the next key of an object, which is its `place`-th.
    #[inline(never)]
    fn read<'j>(&mut self, line: &mut Line<'j>, rest: &'j [u8], place: usize) -> (Read, Key) {
        let (mut key, sorted) = (Key::None, &self.sorted);
        let read = line.jiter(rest, |json| {
            let name = if place == 0 { json.known_object()? } else { json.next_key()? };
            if let Some(name) = name {
                let found = sorted.binary_search_by(|(known, _)| (*known).cmp(name));
                key = found.map_or(Key::Other, |found| Key::Field(sorted[found].1));
            }
            Ok(())
        });
        let field = match key {
            Key::Field(field) => Some(self.fields[field]),
            Key::Other => None,
            Key::None => return (read, key),
        };
        if read.size <= Self::LONGEST && place < limits::FIELDS {
            let learned = Learned::new(&rest[..read.size], field);
            // It is larger still where a key before it was too long to be remembered.
            match place.cmp(&self.learned.len()) {
                Ordering::Less => self.learned[place] = learned,
                Ordering::Equal => self.learned.push(learned),
                Ordering::Greater => {}
            }
        }
        (read, key)
    }
}
