//! A connection that is closed when its other side is too slow: with a head, between requests, or at taking an answer.

use super::Limits;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// What a connection is at. A new one waits for a head that must come at once.
#[derive(Clone, Debug, Default)]
pub struct Phase(Arc<AtomicU8>);

/// A head is coming.
const HEAD: u8 = 0;
/// A request is being answered; its body has its own times.
const BUSY: u8 = 1;
/// Nothing was asked yet since the last answer.
const IDLE: u8 = 2;

impl Phase {
    /// A head has come.
    pub fn busy(&self) {
        self.0.store(BUSY, Ordering::Relaxed);
    }

    /// An answer was given.
    pub fn idle(&self) {
        self.0.store(IDLE, Ordering::Relaxed);
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection with its times.
pub struct Paced<S> {
    inner: S,
    phase: Phase,
    header: Duration,
    keep_alive: Duration,
    stall: Duration,
    /// Runs while something to read is waited for, in the phase that it was set in.
    reading: Option<(u8, Pin<Box<Sleep>>)>,
    /// Runs while something cannot be written.
    writing: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    /// A new connection.
    pub fn new(inner: S, phase: Phase, limits: &Limits) -> Self {
        let Limits { header, keep_alive, idle, .. } = *limits;
        let reading = Some((HEAD, Box::pin(sleep(header))));
        Paced { inner, phase, header, keep_alive, stall: idle, reading, writing: None }
    }

    /// Whether what is waited for took too long.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let phase = self.phase.get();
        let time = match phase {
            HEAD => self.header,
            IDLE => self.keep_alive,
            _ => {
                self.reading = None;
                return false;
            }
        };
        if self.reading.as_ref().is_none_or(|(set, _)| *set != phase) {
            self.reading = Some((phase, Box::pin(sleep(time))));
        }
        self.reading.as_mut().is_some_and(|(_, sleep)| sleep.as_mut().poll(cx).is_ready())
    }

    fn written<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.writing = None;
            return poll;
        }
        let stall = self.stall;
        let waiting = self.writing.get_or_insert_with(|| Box::pin(sleep(stall)));
        match waiting.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if poll.is_ready() && buffer.filled().len() > before && self.phase.get() == IDLE {
            self.phase.0.store(HEAD, Ordering::Relaxed);
        }
        // A head that trickles in is as late as one that does not come.
        match self.is_late(cx) {
            true => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            false => poll,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.written(cx, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.inner).poll_write_vectored(cx, pieces);
        self.written(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.inner).poll_flush(cx);
        self.written(cx, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.written(cx, poll)
    }
}
