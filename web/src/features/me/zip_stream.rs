//! A ZIP file that is written without a place to seek in: what was written is taken away as it comes.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use process::sanitize;
use serde_json::Value;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipWriter};

/// A ZIP file whose bytes are taken away as they come.
pub(super) struct Zip {
    writer: Option<ZipWriter<StreamWriter<Outlet>>>,
    outlet: Outlet,
    file: &'static str,
}

impl Zip {
    /// An empty one.
    pub(super) fn new() -> Self {
        let outlet = Outlet::default();
        Self { writer: Some(ZipWriter::new_stream(outlet.clone())), outlet, file: "" }
    }

    /// What is written next belongs to this file.
    pub(super) fn file(&mut self, name: &'static str) -> Result<(), io::Error> {
        if self.file == name {
            return Ok(());
        }
        self.file = name;
        // Fast: texts become a third all the same, and a page of them takes milliseconds.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(1))
            .unix_permissions(0o600);
        self.writer()?.start_file(name, options).map_err(io::Error::other)
    }

    /// One JSON value in a line of its own, of which nothing turns a line round where a person looks at it.
    pub(super) fn line(&mut self, value: &Value) -> Result<(), io::Error> {
        let text = value.to_string();
        self.write(sanitize::one_line(&text).as_bytes())?;
        self.write(b"\n")
    }

    /// More of the file.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), io::Error> {
        self.writer()?.write_all(bytes)
    }

    /// Writes the list of files, with which it ends.
    pub(super) fn finish(&mut self) -> Result<(), io::Error> {
        self.writer.take().map_or(Ok(()), |writer| writer.finish().map(drop).map_err(io::Error::other))
    }

    fn writer(&mut self) -> Result<&mut ZipWriter<StreamWriter<Outlet>>, io::Error> {
        self.writer.as_mut().ok_or_else(|| io::Error::other("the archive is finished"))
    }

    /// What has come since the last time.
    pub(super) fn take(&self) -> Bytes {
        std::mem::take(&mut *self.outlet.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

/// Where the writer leaves its bytes.
#[derive(Clone, Default)]
struct Outlet(Arc<Mutex<Vec<u8>>>);

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
