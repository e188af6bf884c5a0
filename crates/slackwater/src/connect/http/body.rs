//! Reading a body: within its time, within its bytes, and within what all bodies together may hold.

use super::Limits;
use super::unpack::{Encoding, Unpackable, Unpacker};
use crate::runtime::clock::Stopwatch;
use axum::body::Body;
use http_body_util::BodyExt;
use hyper::header::{EXPECT, HeaderMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Bytes that one permit stands for.
const PERMIT: usize = 1 << 10;
/// Bytes that are read of a body that was refused, so that its sender sees the answer.
const LINGER_BYTES: usize = 16 << 20;
/// Time that is spent on that, and on waiting for more of it.
const LINGER: Duration = Duration::from_millis(900);
const PAUSE: Duration = Duration::from_millis(300);
/// Bytes that are unpacked before others have their turn.
const TURN: usize = 16 << 10;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It has more bytes than it may have.
    TooLarge,
    /// It pauses for too long.
    Slow,
    /// It comes, but with fewer bytes a second than it must.
    Trickles,
    /// It broke off.
    BrokenOff,
    /// There is no room for it now.
    NoRoom,
    /// It cannot be unpacked.
    Packed(Unpackable),
}

/// What all bodies together may hold.
#[derive(Clone, Debug)]
pub struct Room(Arc<Semaphore>);

impl Room {
    /// Room for so many bytes.
    pub fn new(bytes: usize) -> Room {
        Room(Arc::new(Semaphore::new((bytes / PERMIT).min(Semaphore::MAX_PERMITS))))
    }

    /// Bytes that are free.
    pub fn free(&self) -> usize {
        self.0.available_permits() * PERMIT
    }
}

/// The bytes of a body, and the room that they take up.
#[derive(Debug)]
pub struct Held {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Bytes as they were sent.
    pub wire: usize,
    /// Given back when this is dropped.
    pub room: Option<OwnedSemaphorePermit>,
}

/// Reads a body to its end.
///
/// # Errors
/// When it is too large or too slow, breaks off, or there is no room for it. What is left of it is read and thrown away for
/// a short while, since closing at once could keep the answer from its sender.
pub async fn read(mut body: Body, encoding: Encoding, limits: &Limits, room: &Room) -> Result<Held, Unread> {
    let read = fill(&mut body, encoding, limits, room).await;
    if !matches!(read, Ok(_) | Err(Unread::Slow | Unread::Trickles | Unread::BrokenOff)) {
        discard(body).await;
    }
    read
}

/// Reads a body that is refused by its head for a short while, so that the sender comes to read the answer; not that of one
/// who waits to be told to go on.
pub async fn decline(headers: &HeaderMap, body: Body) {
    if !headers.contains_key(EXPECT) {
        discard(body).await;
    }
}

async fn discard(mut body: Body) {
    let rest = async {
        let mut read = 0;
        while let Ok(Some(Ok(frame))) = timeout(PAUSE, body.frame()).await {
            read += frame.data_ref().map_or(0, |data| data.len());
            if read > LINGER_BYTES {
                break;
            }
        }
    };
    // What cannot be read in that time is not waited for.
    let _ = timeout(LINGER, rest).await;
}

async fn fill(body: &mut Body, encoding: Encoding, limits: &Limits, room: &Room) -> Result<Held, Unread> {
    let mut unpacker = Unpacker::new(encoding, limits.decoded_bytes);
    let (mut wire, mut held): (usize, Option<OwnedSemaphorePermit>) = (0, None);
    let watch = Stopwatch::start();
    loop {
        // What has come is taken, however late: only who is waited for is too slow.
        let patience = limits.patience(wire, watch.elapsed());
        let why = if patience < limits.idle { Unread::Trickles } else { Unread::Slow };
        let Some(frame) = timeout(patience.min(limits.idle), body.frame()).await.map_err(|_| why)? else { break };
        let Ok(data) = frame.map_err(|_| Unread::BrokenOff)?.into_data() else { continue };
        wire += data.len();
        if wire > limits.body_bytes {
            return Err(Unread::TooLarge);
        }
        for piece in data.chunks(TURN) {
            unpacker.push(piece).map_err(Unread::Packed)?;
            let needed = unpacker.len().div_ceil(PERMIT).saturating_sub(held.as_ref().map_or(0, |h| h.num_permits()));
            if needed > 0 {
                let needed = u32::try_from(needed).map_err(|_| Unread::NoRoom)?;
                let more = room.0.clone().try_acquire_many_owned(needed).map_err(|_| Unread::NoRoom)?;
                match &mut held {
                    Some(held) => held.merge(more),
                    None => held = Some(more),
                }
            }
            if encoding != Encoding::Identity {
                tokio::task::yield_now().await;
            }
        }
    }
    let bytes = unpacker.finish().map_err(Unread::Packed)?;
    Ok(Held { bytes, wire, room: held })
}
