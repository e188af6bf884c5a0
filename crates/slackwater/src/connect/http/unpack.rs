//! Bodies as they come, packed or not, into bytes that are bounded whatever they claim to hold.

use super::Limits;
use flate2::write::MultiGzDecoder;
use std::io::{self, Write};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Encoding {
    /// What a `Content-Encoding` names; none for what is not known, and for several layers.
    pub fn of(header: Option<&str>) -> Option<Encoding> {
        match header.map(|text| text.trim().to_ascii_lowercase()).as_deref() {
            None | Some("" | "identity") => Some(Encoding::Identity),
            Some("gzip" | "x-gzip") => Some(Encoding::Gzip),
            Some("zstd") => Some(Encoding::Zstd),
            Some(_) => None,
        }
    }
}

/// Why a body cannot be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpackable {
    /// It becomes larger than a body may be.
    TooLarge,
    /// It becomes more than [`Limits::RATIO`] times as large as it came.
    Bomb,
    /// It is not what it says, or ends too early.
    Damaged,
}

/// What came so far.
pub struct Unpacker {
    packed: Packed,
    /// Bytes as they came.
    wire: usize,
    ended: bool,
}

enum Packed {
    Identity(Bounded),
    Gzip(Box<MultiGzDecoder<Bounded>>),
    Zstd(Box<Decoder<'static>>, Bounded),
}

/// Bytes that may grow so far.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
    /// None: as they came.
    ratio: Option<usize>,
    broken: Option<Unpackable>,
}

impl Bounded {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Unpackable> {
        let size = self.bytes.len() + bytes.len();
        let broken = match self.ratio {
            _ if size > self.most => Some(Unpackable::TooLarge),
            Some(allowed) if size > allowed => Some(Unpackable::Bomb),
            _ => None,
        };
        self.broken = self.broken.or(broken);
        match self.broken {
            Some(broken) => Err(broken),
            None => {
                self.bytes.extend_from_slice(bytes);
                Ok(())
            }
        }
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Unpacker {
    /// An unpacker of a body that may become so large.
    pub fn new(encoding: Encoding, most: usize) -> Unpacker {
        let bounded = |ratio| Bounded { bytes: Vec::new(), most, ratio, broken: None };
        let packed = match encoding {
            Encoding::Identity => Packed::Identity(bounded(None)),
            Encoding::Gzip => Packed::Gzip(Box::new(MultiGzDecoder::new(bounded(Some(0))))),
            Encoding::Zstd => {
                let mut decoder = Decoder::new().expect("a decoder needs nothing but memory");
                let window = DParameter::WindowLogMax(Limits::WINDOW_LOG);
                decoder.set_parameter(window).expect("the window is one that the format knows");
                Packed::Zstd(Box::new(decoder), bounded(Some(0)))
            }
        };
        Unpacker { packed, wire: 0, ended: true }
    }

    /// Bytes that it holds.
    pub fn len(&self) -> usize {
        match &self.packed {
            Packed::Identity(bounded) | Packed::Zstd(_, bounded) => bounded.bytes.len(),
            Packed::Gzip(decoder) => decoder.get_ref().bytes.len(),
        }
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes what came.
    ///
    /// # Errors
    /// When it becomes too large, or is damaged.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Unpackable> {
        self.wire += bytes.len();
        let allowed = Some(self.wire.saturating_mul(Limits::RATIO));
        match &mut self.packed {
            Packed::Identity(bounded) => bounded.take(bytes),
            Packed::Gzip(decoder) => {
                decoder.get_mut().ratio = allowed;
                let done = decoder.write_all(bytes);
                done.map_err(|_| decoder.get_ref().broken.unwrap_or(Unpackable::Damaged))
            }
            Packed::Zstd(decoder, bounded) => {
                bounded.ratio = allowed;
                inflate(decoder, bounded, bytes, &mut self.ended)
            }
        }
    }

    /// The bytes of a body that came to its end.
    ///
    /// # Errors
    /// When what was packed did not.
    pub fn finish(self) -> Result<Vec<u8>, Unpackable> {
        let empty = self.wire == 0;
        match self.packed {
            Packed::Identity(bounded) => Ok(bounded.bytes),
            Packed::Gzip(_) | Packed::Zstd(..) if empty => Err(Unpackable::Damaged),
            Packed::Gzip(mut decoder) => match decoder.try_finish() {
                Ok(()) => Ok(std::mem::take(&mut decoder.get_mut().bytes)),
                Err(_) => Err(decoder.get_ref().broken.unwrap_or(Unpackable::Damaged)),
            },
            Packed::Zstd(_, bounded) if self.ended => Ok(bounded.bytes),
            Packed::Zstd(..) => Err(Unpackable::Damaged),
        }
    }
}

/// Unpacks zstd frames. `ended` says whether the last of them came to its end.
fn inflate(
    decoder: &mut Decoder<'static>,
    bounded: &mut Bounded,
    bytes: &[u8],
    ended: &mut bool,
) -> Result<(), Unpackable> {
    let mut input = InBuffer::around(bytes);
    let mut room = [0; 16 << 10];
    loop {
        let mut output = OutBuffer::around(&mut room[..]);
        let before = input.pos();
        let hint = decoder.run(&mut input, &mut output).map_err(|_| Unpackable::Damaged)?;
        let written = output.pos();
        bounded.take(&room[..written])?;
        *ended = hint == 0;
        // A full buffer may have more behind it that needs no further input.
        let more = written == room.len();
        let done = input.pos() == bytes.len() && (hint == 0 || !more);
        if done || input.pos() == before && written == 0 {
            return Ok(());
        }
    }
}

impl std::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpacker").field("wire", &self.wire).field("len", &self.len()).finish_non_exhaustive()
    }
}
