//! Where events go: CloudWatch Logs, or a file for machines without AWS. Both answer for each event.

mod cloudwatch;
mod file;

use std::fmt;
use std::path::{Path, PathBuf};

pub use cloudwatch::CloudWatchSink;
pub use file::FileSink;

use store::Timestamp;

use crate::batch::OutgoingEvent;
use crate::event::parse;

/// The size at which a file is put aside, where the address names none.
const ROTATE_MEGABYTES: u64 = 100;

/// The address of a sink, as a setting names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkAddress {
    /// `cloudwatch://GROUP`
    CloudWatch {
        /// The log group.
        group: String,
    },
    /// `file:///path`, with `?rotate_mb=N`
    File {
        /// The file.
        path: PathBuf,
        /// It is put aside when it has reached this many megabytes.
        rotate_megabytes: u64,
    },
}

impl SinkAddress {
    /// Reads a setting. The error is a sentence for the operator.
    pub fn parse(text: &str) -> Result<SinkAddress, String> {
        if let Some(group) = text.strip_prefix("cloudwatch://") {
            // The characters and the length are CloudWatch's own rule for names of log groups.
            let legal = |c: char| c.is_ascii_alphanumeric() || "_-/.#".contains(c);
            if (1..=512).contains(&group.len()) && group.chars().all(legal) {
                return Ok(SinkAddress::CloudWatch { group: group.to_owned() });
            }
            return Err(format!("`{text}` does not name a log group: letters, digits and _-/.# make a name"));
        }
        if let Some(rest) = text.strip_prefix("file://") {
            let (path, rotate) = rest.split_once("?rotate_mb=").map_or((rest, None), |(path, mb)| (path, Some(mb)));
            let rotate = rotate.map_or(Some(ROTATE_MEGABYTES), |mb| mb.parse().ok().filter(|mb| *mb > 0));
            let path = PathBuf::from(path);
            if let (true, Some(_), Some(rotate_megabytes)) = (path.is_absolute(), path.file_name(), rotate) {
                return Ok(SinkAddress::File { path, rotate_megabytes });
            }
        }
        Err(format!(
            "`{text}` is neither cloudwatch://LOG-GROUP nor file:///path.jsonl (with ?rotate_mb=100, if you like)"
        ))
    }

    /// The file that it writes to, where it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            SinkAddress::CloudWatch { .. } => None,
            SinkAddress::File { path, .. } => Some(path),
        }
    }
}

impl fmt::Display for SinkAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SinkAddress::CloudWatch { group } => write!(out, "cloudwatch://{group}"),
            // Without the size: the same file is the same copy, however it is cut.
            SinkAddress::File { path, .. } => write!(out, "file://{}", path.display()),
        }
    }
}

/// What became of one event of a call that went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is kept.
    Accepted,
    /// It was refused as too old.
    TooOld,
    /// It was refused as too far ahead.
    TooNew,
}

/// Why a call did not go through. The texts are for a log: never an event's content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Nothing is wrong with the events; trying again later helps, if need be after an operator has helped.
    #[error("{0}")]
    Outage(String),
    /// The service refuses these events as such.
    #[error("{0}")]
    Invalid(String),
}

/// A piece of a copy that is read by itself: a stream of a group, or all of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// The stream's name; none where only the lines tell.
    pub stream: Option<String>,
    /// When the stream was made, as the service says.
    pub created: Option<Timestamp>,
}

/// Where a copy can be read on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageToken {
    /// The service's own token.
    CloudWatch(String),
    /// A file of the rotated ones, by number, and a position in it.
    File {
        /// Which file, in the order they were written.
        file: usize,
        /// The position in it.
        offset: u64,
    },
}

/// How long a sink keeps events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// So many days.
    Days(i32),
    /// Without end.
    Forever,
    /// It does not say, or it is a file.
    Untold,
}

/// A piece of a copy that was read back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Lines.
    pub texts: Vec<String>,
    /// Where it goes on; none at the end.
    pub next: Option<PageToken>,
}

/// An open sink.
pub enum Sink {
    /// CloudWatch Logs.
    CloudWatch(Box<CloudWatchSink>),
    /// A file.
    File(FileSink),
}

impl Sink {
    /// Opens what the address names. Nobody is asked yet: what is wrong there, the first call says.
    pub async fn open(address: &SinkAddress, stream: &str, retention_days: i32) -> Sink {
        match address {
            SinkAddress::CloudWatch { group } => {
                Sink::CloudWatch(Box::new(CloudWatchSink::open(group, stream, retention_days).await))
            }
            SinkAddress::File { path, rotate_megabytes } => Sink::File(FileSink::new(path, rotate_megabytes << 20)),
        }
    }

    /// Sends events that are within the limits of one call, see [`crate::batch::plan`]; gives a verdict for each.
    pub async fn send(&mut self, events: Vec<OutgoingEvent>) -> Result<Vec<Verdict>, SendError> {
        match self {
            Sink::CloudWatch(sink) => sink.send(events).await,
            Sink::File(sink) => sink.send(events).await,
        }
    }

    /// How long events are kept.
    pub async fn retention(&mut self) -> Result<Retention, SendError> {
        match self {
            Sink::CloudWatch(sink) => sink.retention().await,
            Sink::File(_) => Ok(Retention::Untold),
        }
    }

    /// Everything that there is in the place: all streams of the group, of whatever origin; or the file with those that were
    /// put aside, as one section.
    pub async fn sections(&mut self) -> Result<Vec<Section>, SendError> {
        match self {
            Sink::CloudWatch(sink) => sink.sections().await,
            Sink::File(_) => Ok(vec![Section::default()]),
        }
    }

    /// Whether the place was in use before: it has another stream than `own`, or its file begins with another one's line.
    pub async fn has_others(&mut self, own: &str) -> Result<bool, SendError> {
        let sections = self.sections().await?;
        if sections.iter().any(|section| section.stream.as_ref().is_some_and(|stream| stream != own)) {
            return Ok(true);
        }
        match self {
            Sink::CloudWatch(_) => Ok(false),
            Sink::File(sink) => {
                let page = sink.read_back(None).await?;
                Ok(page.texts.first().is_some_and(|line| parse(line).is_none_or(|parsed| parsed.stream() != own)))
            }
        }
    }

    /// Whether an event that was accepted a moment ago may not be there to be read yet.
    pub fn shows_late(&self) -> bool {
        match self {
            Sink::CloudWatch(_) => true,
            Sink::File(_) => false,
        }
    }

    /// Reads a section back, from its start or from where a page said.
    pub async fn read_back(&mut self, section: &Section, from: Option<PageToken>) -> Result<Page, SendError> {
        match self {
            Sink::CloudWatch(sink) => sink.read_back(section, from).await,
            Sink::File(sink) => sink.read_back(from).await,
        }
    }

    /// Reads back, from all streams, at least the rows that tell of backups; from the start or from where a page said.
    pub async fn read_backups(&mut self, from: Option<PageToken>) -> Result<Page, SendError> {
        match self {
            Sink::CloudWatch(sink) => sink.read_backups(from).await,
            // A file holds all streams, one row after the other.
            Sink::File(sink) => sink.read_back(from).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_written_the_same_way() {
        for text in ["cloudwatch://wardpost/audit", "cloudwatch:///aws/x", "file:///var/log/wardpost/audit.jsonl"] {
            assert_eq!(SinkAddress::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_size_of_the_pieces_does_not_make_it_another_copy() {
        let address = SinkAddress::parse("file:///a.jsonl?rotate_mb=7").unwrap();
        assert_eq!(address, SinkAddress::File { path: "/a.jsonl".into(), rotate_megabytes: 7 });
        assert_eq!(address.to_string(), "file:///a.jsonl");
    }

    #[test]
    fn what_names_no_place_is_refused() {
        for text in [
            "",
            "wardpost",
            "cloudwatch://",
            "cloudwatch://a b",
            "cloudwatch://a:b",
            "file://",
            "file://a.jsonl",
            "file:///",
            "file:///a?rotate_mb=0",
            "file:///a?rotate_mb=x",
            "s3://bucket",
        ] {
            assert!(SinkAddress::parse(text).is_err(), "{text}");
        }
    }
}
