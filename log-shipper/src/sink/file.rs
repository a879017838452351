//! A copy in a file: one event a line, on the disk before it counts as accepted.
//!
//! Files that have reached their size are put aside as `NAME.000001`, `NAME.000002`, ... and never removed here. Several
//! programs may write to one file (a second database, say); a lock keeps their batches apart.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::{Page, PageToken, SendError, Verdict};
use crate::batch::OutgoingEvent;
use crate::event::LONGEST_TEXT;

/// How many bytes are read back at once, somewhat exceeded by the last line.
const PAGE_BYTES: u64 = 1 << 20;

/// Digits of the number of a file that was put aside.
const DIGITS: usize = 6;

/// The file, which need not be there yet.
pub struct FileSink {
    path: PathBuf,
    rotate_bytes: u64,
}

impl FileSink {
    /// A sink on a file that is put aside when it has reached `rotate_bytes`.
    pub fn new(path: &Path, rotate_bytes: u64) -> FileSink {
        FileSink { path: path.to_owned(), rotate_bytes }
    }

    pub(super) async fn send(&self, events: Vec<OutgoingEvent>) -> Result<Vec<Verdict>, SendError> {
        let (path, rotate_bytes) = (self.path.clone(), self.rotate_bytes);
        let count = events.len();
        let appended = tokio::task::spawn_blocking(move || append(&path, rotate_bytes, &events)).await;
        match appended.unwrap_or_else(|_| Err(io::Error::other("writing the file panicked"))) {
            Ok(()) => Ok(vec![Verdict::Accepted; count]),
            Err(error) => Err(SendError::Outage(format!("{} cannot be written: {error}", self.path.display()))),
        }
    }

    pub(super) async fn read_back(&self, from: Option<PageToken>) -> Result<Page, SendError> {
        let (file, offset) = match from {
            Some(PageToken::File { file, offset }) => (file, offset),
            _ => (0, 0),
        };
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || read_page(&path, file, offset)).await;
        read.unwrap_or_else(|_| Err(io::Error::other("reading the file panicked")))
            .map_err(|error| SendError::Outage(format!("{} cannot be read: {error}", self.path.display())))
    }
}

fn append(path: &Path, rotate_bytes: u64, events: &[OutgoingEvent]) -> io::Result<()> {
    let mut file = open_locked(path)?;
    let mut end = cut_half_line(&mut file)?;
    if end >= rotate_bytes {
        put_aside(path)?;
        file = open_locked(path)?;
        end = cut_half_line(&mut file)?;
    }
    let mut bytes = Vec::with_capacity(events.iter().map(|event| event.text.len() + 1).sum());
    for event in events {
        // A line break inside an event (a log line that is no JSON) would make two of it.
        bytes.extend(event.text.bytes().map(|byte| if byte == b'\n' { b' ' } else { byte }));
        bytes.push(b'\n');
    }
    let written = file.write_all(&bytes).and_then(|()| file.sync_data());
    if written.is_err() {
        // A full disk: what was not acknowledged is taken back, as far as possible; the next writer looks again.
        let _ = file.set_len(end);
    }
    written
}

/// The file under its lock. The process that held the lock before may have put the file aside meanwhile.
fn open_locked(path: &Path) -> io::Result<Flock<File>> {
    loop {
        let is_new = !path.exists();
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let file = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| io::Error::from(errno))?;
        if is_new {
            sync_directory(path)?;
        }
        if same_file(&file, path)? {
            return Ok(file);
        }
    }
}

fn same_file(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let own = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(named) => Ok((own.dev(), own.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes what a crash left of a line that was never acknowledged; gives the length. A file that ends in more than half a
/// line can be is not ours, and stays as it is.
fn cut_half_line(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut end = length;
    let mut chunk = [0; 4096];
    while end > 0 {
        if length - end > LONGEST_TEXT as u64 {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                "it does not end in a line: is it another program's file?",
            ));
        }
        let start = end.saturating_sub(chunk.len() as u64);
        let part = &mut chunk[..usize::try_from(end - start).unwrap_or(0)];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(last) = part.iter().rposition(|byte| *byte == b'\n') {
            end = start + last as u64 + 1;
            break;
        }
        end = start;
    }
    if end < length {
        file.set_len(end)?;
    }
    Ok(end)
}

fn put_aside(path: &Path) -> io::Result<()> {
    let next = put_aside_files(path)?.len() + 1;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{next:0DIGITS$}"));
    if Path::new(&name).exists() {
        return Err(io::Error::new(ErrorKind::AlreadyExists, "the numbers of the files put aside have a gap"));
    }
    std::fs::rename(path, &name)?;
    sync_directory(path)
}

/// Those put aside, oldest first.
fn put_aside_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Err(io::Error::other("the path names no file"));
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let other = entry.file_name();
        let number = other.to_str().and_then(|other| other.strip_prefix(name)?.strip_prefix('.'));
        if number.is_some_and(|number| number.len() >= DIGITS && number.bytes().all(|byte| byte.is_ascii_digit())) {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

fn read_page(path: &Path, number: usize, offset: u64) -> io::Result<Page> {
    let mut files = put_aside_files(path)?;
    files.push(path.to_owned());
    let Some(current) = files.get(number) else { return Ok(Page::default()) };
    let next_file = (number + 1 < files.len()).then_some(PageToken::File { file: number + 1, offset: 0 });
    let mut file = match File::open(current) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Page { texts: Vec::new(), next: next_file }),
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(offset))?;
    let mut reader = BufReader::new(file);
    let (mut texts, mut at, mut line) = (Vec::new(), offset, Vec::new());
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line)?;
        // Half a line at the end was never acknowledged, or is being written.
        if line.pop() != Some(b'\n') {
            return Ok(Page { texts, next: next_file });
        }
        texts.push(String::from_utf8_lossy(&line).into_owned());
        at += length as u64;
        if at - offset >= PAGE_BYTES {
            return Ok(Page { texts, next: Some(PageToken::File { file: number, offset: at }) });
        }
    }
}

#[cfg(test)]
mod tests;
