//! The primitives of every canonical encoding: fixed little-endian integers, minimal varints, length-prefixed bytes.
//!
//! Canonical means that a value has one encoding: the reader refuses every other one, so equal bytes and equal values
//! are the same statement.

use alloc::vec::Vec;

/// Why bytes are not the encoding of anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecError {
    /// Offset in bytes at which reading stopped.
    pub at: usize,
    /// What was expected there.
    pub expected: &'static str,
}

impl core::fmt::Display for CodecError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "byte {}: expected {}", self.at, self.expected)
    }
}

impl core::error::Error for CodecError {}

/// Appends `value` as a minimal little-endian base-128 varint (1 to 10 bytes).
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends `value` zigzag-coded, so that small magnitudes of either sign are short.
#[inline]
pub fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends a varint length, then the bytes.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends 0, or 1 and the value.
pub fn put_option(out: &mut Vec<u8>, value: Option<i64>) {
    match value {
        None => out.push(0),
        Some(v) => {
            out.push(1);
            put_signed(out, v);
        }
    }
}

/// Reads canonical encodings from a slice; every length is checked against what remains before it is used.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    /// The error that reading stopped here, for want of `expected`.
    pub fn fail<T>(&self, expected: &'static str) -> Result<T, CodecError> {
        Err(CodecError { at: self.at, expected })
    }

    /// Offset of the next byte.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Passes over `count` bytes that another decoder consumed.
    pub fn skip(&mut self, count: usize) -> Result<(), CodecError> {
        self.take(count).map(|_| ())
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], CodecError> {
        match self.bytes.get(self.at..).and_then(|rest| rest.get(..count)) {
            Some(found) => {
                self.at += count;
                Ok(found)
            }
            None => self.fail("more bytes"),
        }
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, CodecError> {
        Ok(self.take(1)?[0])
    }

    /// A byte that is 0 or 1.
    pub fn flag(&mut self) -> Result<bool, CodecError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => self.fail("0 or 1"),
        }
    }

    /// A minimal varint.
    pub fn varint(&mut self) -> Result<u64, CodecError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return self.fail("a varint of 64 bits");
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 { self.fail("a minimal varint") } else { Ok(value) };
            }
        }
        self.fail("a varint of 64 bits")
    }

    /// A zigzag-coded varint.
    pub fn signed(&mut self) -> Result<i64, CodecError> {
        let raw = self.varint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// A varint that must fit in `T`.
    pub fn number<T: TryFrom<u64>>(&mut self) -> Result<T, CodecError> {
        let value = self.varint()?;
        T::try_from(value).or_else(|_| self.fail("a smaller number"))
    }

    /// Length-prefixed bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8], CodecError> {
        let count = self.number::<usize>()?;
        self.take(count)
    }

    /// Length-prefixed UTF-8 text.
    pub fn text(&mut self) -> Result<&'a str, CodecError> {
        let bytes = self.bytes()?;
        core::str::from_utf8(bytes).or_else(|_| self.fail("UTF-8 text"))
    }

    /// What [`put_option`] wrote.
    pub fn option(&mut self) -> Result<Option<i64>, CodecError> {
        Ok(if self.flag()? { Some(self.signed()?) } else { None })
    }

    /// Ends reading: nothing may remain.
    pub fn finish(self) -> Result<(), CodecError> {
        if self.at == self.bytes.len() { Ok(()) } else { self.fail("the end") }
    }
}
