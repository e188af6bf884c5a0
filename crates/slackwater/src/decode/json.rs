//! One JSON object to the fields of a row.
//!
//! `jiter` reads the tokens; numbers go from their digits into exact values and never through a float. What no field
//! declares is skipped, but must be JSON. Events of a source mostly repeat their keys, so what jiter made of a key's
//! bytes is remembered by the key's place in the object.

use super::plain;
use super::text::set_number;
use jiter::{Jiter, JiterError, JiterErrorType, JsonErrorType, Peek};
use slackwater_core::builder::RowBuilder;
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

    /// Puts the fields of an object into `row`. `line` is UTF-8.
    #[inline]
    pub(super) fn event(&mut self, line: &[u8], row: &mut RowBuilder<'_>) -> Result<(), Refusal> {
        let mut cursor = Cursor { line, at: 0 };
        let outcome = object(&mut cursor, &mut self.keys, row);
        outcome.map_err(|stop| stop.refusal(&line[cursor.at..]))
    }
}

/// A line, and how far it has been read.
struct Cursor<'j> {
    line: &'j [u8],
    at: usize,
}

impl<'j> Cursor<'j> {
    /// Lets jiter read on from here. It keeps nothing but its place between two tokens, so it may begin at any. Where it
    /// stops for good, the cursor stays where it began.
    fn jiter<T>(&mut self, read: impl FnOnce(&mut Jiter<'j>) -> Result<T, Stop>) -> Result<T, Stop> {
        // It reads NaN and Infinity too, so that a field can refuse them by name.
        let mut json = Jiter::new(&self.line[self.at..]).with_allow_inf_nan();
        let read = read(&mut json)?;
        self.at += json.current_index();
        Ok(read)
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
    #[cold]
    fn refusal(self, rest: &[u8]) -> Refusal {
        use JsonErrorType::{ControlCharacterWhileParsingString as ControlCharacter, NumberOutOfRange};
        Refusal::event(match self {
            Stop::Refused(reason) => reason,
            Stop::Json(JiterError { error_type: JiterErrorType::JsonError(error), index }) => match error {
                NumberOutOfRange => Reason::Range,
                ControlCharacter if rest.get(index) == Some(&0) => Reason::NulByte,
                _ => Reason::Malformed,
            },
            Stop::Json(_) => Reason::Malformed,
        })
    }
}

#[inline]
fn object(cursor: &mut Cursor<'_>, keys: &mut Keys<'_>, row: &mut RowBuilder<'_>) -> Result<(), Stop> {
    if cursor.line.first() != Some(&b'{') {
        cursor.jiter(to_object)?;
    }
    let mut place = 0;
    while let Some(key) = keys.next(cursor, place)? {
        place += 1;
        match key {
            Key::Field(field) if row.see(field) => match plain::take(cursor.line, cursor.at, field, row) {
                Some(end) => cursor.at = end,
                None => cursor.jiter(|json| value(json, field, row))?,
            },
            _ => cursor.jiter(|json| {
                let peek = json.peek()?;
                skip(json, peek, 1)
            })?,
        }
    }
    if cursor.at < cursor.line.len() {
        cursor.jiter(|json| Ok(json.finish()?))?;
    }
    Ok(())
}

/// Passes over what stands before the brace of an object.
#[cold]
fn to_object(json: &mut Jiter<'_>) -> Result<(), Stop> {
    let peek = json.peek()?;
    if peek != Peek::Object {
        skip(json, peek, 0)?;
        json.finish()?;
        return Err(Stop::Refused(Reason::NotAnObject));
    }
    Ok(())
}

/// Takes the value of a declared field.
fn value(json: &mut Jiter<'_>, field: usize, row: &mut RowBuilder<'_>) -> Result<(), Stop> {
    let (peek, ty) = (json.peek()?, row.schema().fields()[field].ty);
    match (peek, ty) {
        (Peek::String, Type::Text) => row.set_text(field, json.known_str()?.as_bytes()),
        (Peek::True | Peek::False, Type::Bool) => row.set_bool(field, json.known_bool(peek)?),
        (Peek::Null, _) => {
            json.known_null()?;
            row.null(field);
        }
        (_, Type::Text | Type::Bool) => {
            skip(json, peek, 1)?;
            row.refuse(field, Reason::WrongType);
        }
        (Peek::String, _) => set_number(row, field, json.known_str()?.as_bytes()),
        _ if peek.is_num() => set_number(row, field, json.known_number_bytes(peek)?),
        _ => {
            skip(json, peek, 1)?;
            row.refuse(field, Reason::WrongType);
        }
    }
    Ok(())
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
}

/// The keys of a schema, and those that were last found, by their place in the object.
#[derive(Debug)]
struct Keys<'s> {
    sorted: Vec<(&'s str, usize)>,
    learned: Vec<Learned>,
}

/// The bytes from the end of the value before (or from the brace) to the key's colon, and what they mean. The same
/// bytes in the same place mean the same, for jiter looks at no byte behind the colon.
#[derive(Debug)]
struct Learned {
    bytes: Vec<u8>,
    /// The first sixteen bytes as two numbers, and which of their bits the key has: most keys are no longer.
    head: [u64; 2],
    mask: [u64; 2],
    key: Key,
}

impl Learned {
    fn new(bytes: &[u8], key: Key) -> Self {
        let (mut head, mut mask) = ([0; 16], [0; 16]);
        let short = bytes.len().min(16);
        head[..short].copy_from_slice(&bytes[..short]);
        mask[..short].fill(0xff);
        Learned { bytes: bytes.to_vec(), head: words(&head), mask: words(&mask), key }
    }

    /// Whether `line` begins with this key.
    #[inline]
    fn begins(&self, line: &[u8]) -> bool {
        let Some(first) = line.first_chunk::<16>() else { return line.starts_with(&self.bytes) };
        let found = words(first);
        let alike = (found[0] ^ self.head[0]) & self.mask[0] | (found[1] ^ self.head[1]) & self.mask[1];
        alike == 0 && (self.bytes.len() <= 16 || line.starts_with(&self.bytes))
    }
}

#[inline]
fn words(bytes: &[u8; 16]) -> [u64; 2] {
    let word = |half: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[half * 8..half * 8 + 8]);
        u64::from_le_bytes(word)
    };
    [word(0), word(1)]
}

impl<'s> Keys<'s> {
    /// Longest key that is worth remembering, with its punctuation, in bytes.
    const LONGEST: usize = 128;

    fn new(schema: &'s Schema) -> Self {
        let mut sorted: Vec<_> = schema.fields().iter().enumerate().map(|(i, field)| (&*field.name, i)).collect();
        sorted.sort_unstable();
        Keys { sorted, learned: Vec::new() }
    }

    /// The next key of an object, which is its `place`-th; none at the object's end.
    #[inline]
    fn next(&mut self, cursor: &mut Cursor<'_>, place: usize) -> Result<Option<Key>, Stop> {
        let rest = &cursor.line[cursor.at..];
        match self.learned.get(place) {
            Some(learned) if learned.begins(rest) => {
                cursor.at += learned.bytes.len();
                Ok(Some(learned.key))
            }
            _ if place > 0 && rest.first() == Some(&b'}') => {
                cursor.at += 1;
                Ok(None)
            }
            _ => self.read(cursor, place),
        }
    }

    fn read(&mut self, cursor: &mut Cursor<'_>, place: usize) -> Result<Option<Key>, Stop> {
        let (start, sorted) = (cursor.at, &self.sorted);
        let key = cursor.jiter(|json| {
            let name = if place == 0 { json.known_object()? } else { json.next_key()? };
            Ok(name.map(|name| match sorted.binary_search_by(|(known, _)| (*known).cmp(name)) {
                Ok(found) => Key::Field(sorted[found].1),
                Err(_) => Key::Other,
            }))
        })?;
        let Some(key) = key else { return Ok(None) };
        let bytes = &cursor.line[start..cursor.at];
        if bytes.len() <= Self::LONGEST && place < limits::FIELDS {
            let learned = Learned::new(bytes, key);
            // It is larger still where a key before it was too long to be remembered.
            match place.cmp(&self.learned.len()) {
                Ordering::Less => self.learned[place] = learned,
                Ordering::Equal => self.learned.push(learned),
                Ordering::Greater => {}
            }
        }
        Ok(Some(key))
    }
}
