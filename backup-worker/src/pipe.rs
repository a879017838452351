//! Between what blocks (pages, compression, encryption) and what waits (the network): chunks through a bounded channel, so
//! that memory stays the same however large a database is. Buffers are used again: hundreds of large ones, made on one thread
//! and freed on another, would leave the heap in pieces that the system does not get back.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Bytes of a chunk; also of a part of an upload, of which S3 wants at least 5 MiB.
pub const CHUNK: usize = 8 << 20;

/// What comes through. A channel that closes without an end has failed, and what came before must not be kept.
pub enum Chunk {
    /// Some bytes; [`CHUNK`] of them, except in the last one.
    Data(Bytes),
    /// There is no more.
    End,
}

/// A pipe with room for one chunk.
pub fn pipe() -> (Sender<Chunk>, Receiver<Chunk>) {
    channel(1)
}

/// Buffers of [`CHUNK`] bytes that nobody uses at the moment.
#[derive(Clone, Default)]
pub(crate) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// An empty one.
    pub(crate) fn take(&self) -> Vec<u8> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| Vec::with_capacity(CHUNK))
    }

    /// What a buffer holds, as a chunk; the buffer comes back when the last user of the chunk has gone.
    pub(crate) fn chunk(&self, bytes: Vec<u8>) -> Chunk {
        Chunk::Data(Bytes::from_owner(Lent { bytes, home: self.clone() }))
    }
}

struct Lent {
    bytes: Vec<u8>,
    home: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        self.home.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

/// The blocking end that is written to.
pub struct ChunkWriter {
    sender: Sender<Chunk>,
    buffers: Buffers,
    buffer: Vec<u8>,
}

impl ChunkWriter {
    /// Writes into a pipe.
    pub fn new(sender: Sender<Chunk>) -> ChunkWriter {
        let buffers = Buffers::default();
        ChunkWriter { sender, buffer: buffers.take(), buffers }
    }

    /// Sends what is left, and the end.
    pub fn finish(mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            let rest = std::mem::take(&mut self.buffer);
            self.send(self.buffers.chunk(rest))?;
        }
        self.send(Chunk::End)
    }

    fn send(&self, chunk: Chunk) -> io::Result<()> {
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the upload broke off");
        self.sender.blocking_send(chunk).map_err(gone)
    }
}

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(CHUNK - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == CHUNK {
            let full = std::mem::take(&mut self.buffer);
            self.send(self.buffers.chunk(full))?;
            self.buffer = self.buffers.take();
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The blocking end that is read from.
pub struct ChunkReader {
    receiver: Receiver<Chunk>,
    chunk: Bytes,
    position: usize,
    ended: bool,
}

impl ChunkReader {
    /// Reads out of a pipe.
    pub fn new(receiver: Receiver<Chunk>) -> ChunkReader {
        ChunkReader { receiver, chunk: Bytes::new(), position: 0, ended: false }
    }
}

impl Read for ChunkReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.position == self.chunk.len() && !self.ended {
            match self.receiver.blocking_recv() {
                Some(Chunk::Data(chunk)) => (self.chunk, self.position) = (chunk, 0),
                Some(Chunk::End) => self.ended = true,
                None => return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the download broke off")),
            }
        }
        let taken = buffer.len().min(self.chunk.len() - self.position);
        buffer[..taken].copy_from_slice(&self.chunk[self.position..self.position + taken]);
        self.position += taken;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_in_chunks_of_one_size() {
        let (sender, receiver) = pipe();
        let bytes: Vec<u8> = (0..CHUNK * 2 + 12_345).map(|number| number as u8).collect();
        let written = bytes.clone();
        let writer = std::thread::spawn(move || {
            let mut writer = ChunkWriter::new(sender);
            for part in written.chunks(70_001) {
                writer.write_all(part).unwrap();
            }
            writer.finish().unwrap();
        });
        let mut read = Vec::new();
        ChunkReader::new(receiver).read_to_end(&mut read).unwrap();
        writer.join().unwrap();
        assert_eq!(read, bytes);
    }

    #[test]
    fn a_buffer_is_used_again_when_its_last_user_has_gone() {
        let buffers = Buffers::default();
        let mut first = buffers.take();
        first.extend_from_slice(b"text");
        let place = first.as_ptr();
        let Chunk::Data(bytes) = buffers.chunk(first) else { unreachable!() };
        let kept = bytes.clone();
        drop(bytes);
        let other = buffers.take();
        assert_ne!(other.as_ptr(), place);
        assert_eq!(&kept[..], b"text");
        drop(kept);
        let again = buffers.take();
        assert_eq!((again.as_ptr(), again.len(), again.capacity()), (place, 0, CHUNK));
    }

    #[test]
    fn a_pipe_that_closes_without_an_end_has_failed() {
        let (sender, receiver) = pipe();
        sender.blocking_send(Chunk::Data(Bytes::from_static(&[1, 2, 3]))).unwrap();
        drop(sender);
        let mut read = Vec::new();
        assert!(ChunkReader::new(receiver).read_to_end(&mut read).is_err());
        let (sender, receiver) = pipe();
        drop(receiver);
        assert!(ChunkWriter::new(sender).finish().is_err());
    }
}
