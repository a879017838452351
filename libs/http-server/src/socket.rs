//! The socket of a connection, and what its client does with it: whether it sends, and whether it takes what it is sent.

use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use nix::sys::socket::sockopt::{RcvBuf, SndBuf, TcpNoDelay, TcpUserTimeout};
use nix::sys::socket::{Backlog, listen, setsockopt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::slot::Slot;

/// A client must take this many bytes of a reply, or the rest of it, within [`super::Timeouts::reply`]: about 1 kB a
/// second, less than the slowest telephone does.
pub(crate) const LEAST_TAKEN: usize = 32 * 1024;

/// What the kernel may hold for one connection, either way, beyond what it counts for its own (it doubles both). Left
/// alone, it lets a client that does not read grow its buffer to megabytes, which count as our memory.
const SEND_BUFFER: usize = 128 * 1024;
const RECEIVE_BUFFER: usize = 64 * 1024;
/// How long what was sent may go without an answer of the other side's kernel.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// Lets the kernel keep as many newcomers as the system allows until they are accepted, and sets what every accepted
/// socket inherits from the one that listens.
pub(crate) fn prepare(listener: &impl AsFd) -> nix::Result<()> {
    // Where that queue is full, the kernel drops a newcomer's first packet, and she waits one, three or seven seconds.
    listen(listener, Backlog::MAXALLOWABLE)?;
    // Small replies must not wait for an acknowledgement of the one before.
    setsockopt(listener, TcpNoDelay, &true)?;
    setsockopt(listener, SndBuf, &SEND_BUFFER)?;
    setsockopt(listener, RcvBuf, &RECEIVE_BUFFER)?;
    setsockopt(listener, TcpUserTimeout, &u32::try_from(UNACKNOWLEDGED.as_millis()).unwrap_or(u32::MAX))
}

/// A stream that notes in its slot what the client does.
pub(crate) struct Socket {
    stream: TcpStream,
    slot: Arc<Slot>,
    /// Read already, and not used yet.
    ahead: Bytes,
    /// Taken since the client was last given its time.
    taken: usize,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, slot: Arc<Slot>) -> Self {
        Self { stream, slot, ahead: Bytes::new(), taken: 0 }
    }

    /// The same with bytes that were read from it and belong to what comes next.
    pub(crate) fn with_ahead(mut self, bytes: Bytes) -> Self {
        self.ahead = bytes;
        self
    }

    pub(crate) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    /// Waits until there is something to read; false when the client has closed. A look, not tokio's word: that calls a new
    /// socket readable.
    pub(crate) async fn has_something(&self) -> bool {
        matches!(self.stream.peek(&mut [0]).await, Ok(1..))
    }

    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    fn note(&mut self, written: &Poll<io::Result<usize>>, offered: usize) {
        match written {
            Poll::Ready(Ok(taken)) if *taken == offered => {
                self.slot.flows();
                self.taken = 0;
            }
            Poll::Ready(Ok(taken)) => {
                self.taken += taken;
                if self.taken >= LEAST_TAKEN {
                    self.taken = 0;
                    self.slot.moves_on();
                }
            }
            Poll::Pending => self.slot.blocks(offered),
            Poll::Ready(Err(_)) => {}
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.has_remaining() {
            let some = self.ahead.remaining().min(into.remaining());
            into.put_slice(&self.ahead.split_to(some));
            self.slot.bytes_came();
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, into);
        if into.filled().len() > before {
            self.slot.bytes_came();
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(&written, bytes.len());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.note(&written, parts.iter().map(|part| part.len()).sum());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
