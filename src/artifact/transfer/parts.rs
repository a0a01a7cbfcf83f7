//! A zip on its way into parts: packed on a thread of its own, which waits while too many parts are in memory.

use super::checksum::encode;
use crate::artifact::archive::{ArchiveError, Entry, WriteFault, pack_into};
use aws_smithy_checksums::ChecksumAlgorithm;
use aws_smithy_checksums::http::HttpChecksum;
use bytes::Bytes;
use std::io::{self, Write};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinHandle, spawn_blocking};

/// How many parts are in memory: those that are sent, and the one that is filled.
const IN_MEMORY: usize = 3;

/// A part of a zip.
#[derive(Debug)]
pub struct Part {
    /// Its number, from 1.
    pub number: i32,
    /// Its bytes.
    pub bytes: Bytes,
    /// Their CRC-64/NVME, as S3 writes it.
    pub crc: String,
    /// Makes room for another part when it goes.
    _room: OwnedSemaphorePermit,
}

/// A zip that is packed whole.
#[derive(Debug)]
pub struct Packed {
    /// All of it, if it is shorter than one part; the last part is sent otherwise.
    pub whole: Option<Vec<u8>>,
    /// How long it is.
    pub length: u64,
    /// Its CRC-64/NVME, as S3 writes it.
    pub crc: String,
}

/// A zip that is being packed. Packing ends when this is dropped.
pub struct Packing {
    /// Its parts, when it is longer than one.
    pub parts: mpsc::Receiver<Part>,
    /// What it is when it is packed whole.
    pub packed: JoinHandle<Result<Packed, ArchiveError>>,
}

impl Packing {
    /// Begins to pack in parts of `size` bytes.
    pub fn begin(entries: Vec<Entry>, size: usize) -> Self {
        let (to, parts) = mpsc::channel(1);
        let writer = Writer {
            to,
            size,
            buffer: Vec::new(),
            room: Arc::new(Semaphore::new(IN_MEMORY)),
            taken: None,
            number: 0,
            length: 0,
            crc: ChecksumAlgorithm::Crc64Nvme.into_impl(),
            runtime: Handle::current(),
        };
        let packed = spawn_blocking(move || {
            let writer = pack_into(entries, writer)?;
            writer
                .finish()
                .map_err(|error| ArchiveError::Pack(WriteFault::Write(error)))
        });
        Self { parts, packed }
    }
}

struct Writer {
    to: mpsc::Sender<Part>,
    size: usize,
    buffer: Vec<u8>,
    room: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
    number: i32,
    length: u64,
    crc: Box<dyn HttpChecksum>,
    runtime: Handle,
}

impl Writer {
    fn send(&mut self) -> io::Result<()> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let bytes = Bytes::from(std::mem::take(&mut self.buffer));
        let mut crc = ChecksumAlgorithm::Crc64Nvme.into_impl();
        crc.update(&bytes);
        self.number += 1;
        let part = Part {
            number: self.number,
            bytes,
            crc: encode(crc),
            _room: self.taken.take().ok_or_else(gone)?,
        };
        self.to.blocking_send(part).map_err(|_| gone())
    }

    fn finish(mut self) -> io::Result<Packed> {
        let whole = if self.number == 0 {
            Some(std::mem::take(&mut self.buffer))
        } else {
            if !self.buffer.is_empty() {
                self.send()?;
            }
            None
        };
        Ok(Packed {
            whole,
            length: self.length,
            crc: encode(self.crc),
        })
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() == self.size {
            self.send()?;
        }
        if self.taken.is_none() {
            let room = Arc::clone(&self.room).acquire_owned();
            self.taken = Some(self.runtime.block_on(room).map_err(io::Error::other)?);
            self.buffer.reserve_exact(self.size);
        }
        let most = bytes.len().min(self.size - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..most]);
        self.crc.update(&bytes[..most]);
        self.length += most as u64;
        Ok(most)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
