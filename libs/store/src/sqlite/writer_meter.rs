//! What the writer counts of itself, for monitoring: how much waits, how long commits take, how many jobs share one.
//!
//! The writer's thread only adds to atomic numbers, and who reads them only reads: a look at them never holds up a commit.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::sqlite::writer::QUEUE;

/// Upper bounds of times, in microseconds: a commit on a good disk takes some hundred, one that waits for a lock up to ten
/// million.
const TIMES: [u64; 14] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 2_000_000, 10_000_000];
/// Upper bounds of how many jobs share a commit.
const JOBS: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/// How often a value lay where.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// All values added up, in the unit of the values.
    pub sum: f64,
    /// How many there were.
    pub count: u64,
    /// Upper bounds, and how many values lay between the bound before and this one; the last bound is infinite.
    pub buckets: Vec<(f64, u64)>,
}

/// The writer of this process since the database was opened.
#[derive(Clone, Debug, PartialEq)]
pub struct WriterNumbers {
    /// Jobs that wait in the queue now.
    pub waiting: u64,
    /// How many may wait.
    pub capacity: u64,
    /// Jobs that found no room and heard [`StoreError::Busy`](crate::StoreError::Busy).
    pub refused: u64,
    /// Transactions that failed as a whole, and every job in them.
    pub failed: u64,
    /// Seconds that the COMMIT of each transaction took, which is how long the disk did. Of transactions that changed
    /// nothing, none is counted.
    pub commit_seconds: Distribution,
    /// Seconds of each transaction as a whole: waiting for the lock, its jobs, its COMMIT.
    pub transaction_seconds: Distribution,
    /// Jobs of each transaction.
    pub jobs: Distribution,
}

/// The counting end.
pub(crate) struct WriterMeter {
    waiting: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    commit: Histogram,
    transaction: Histogram,
    jobs: Histogram,
}

impl Default for WriterMeter {
    fn default() -> Self {
        WriterMeter {
            waiting: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            commit: Histogram::new(&TIMES),
            transaction: Histogram::new(&TIMES),
            jobs: Histogram::new(&JOBS),
        }
    }
}

impl WriterMeter {
    /// A job is about to be queued.
    pub(crate) fn queued(&self) {
        self.waiting.fetch_add(1, Relaxed);
    }

    /// It found no room.
    pub(crate) fn refused(&self) {
        self.waiting.fetch_sub(1, Relaxed);
        self.refused.fetch_add(1, Relaxed);
    }

    /// So many wait no longer.
    pub(crate) fn taken(&self, jobs: usize) {
        self.waiting.fetch_sub(jobs as u64, Relaxed);
    }

    /// A transaction is on the disk.
    pub(crate) fn committed(&self, jobs: usize, transaction: Duration, commit: Duration) {
        self.commit.observe(micros(commit));
        self.transaction.observe(micros(transaction));
        self.jobs.observe(jobs as u64);
    }

    /// A transaction came to nothing.
    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    /// What was counted.
    pub(crate) fn read(&self) -> WriterNumbers {
        WriterNumbers {
            waiting: self.waiting.load(Relaxed),
            capacity: QUEUE as u64,
            refused: self.refused.load(Relaxed),
            failed: self.failed.load(Relaxed),
            commit_seconds: self.commit.read(1e6),
            transaction_seconds: self.transaction.read(1e6),
            jobs: self.jobs.read(1.0),
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Counts whole numbers by where they lie.
struct Histogram {
    bounds: &'static [u64],
    /// One for each bound, and one beyond.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    fn new(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram { bounds, counts, sum: AtomicU64::new(0) }
    }

    fn observe(&self, value: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        self.counts[place].fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
    }

    /// What was counted, each value divided by `unit`.
    fn read(&self, unit: f64) -> Distribution {
        let bounds = self.bounds.iter().map(|bound| *bound as f64 / unit).chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|count| count.load(Relaxed));
        let buckets: Vec<_> = bounds.zip(counts).collect();
        Distribution {
            sum: self.sum.load(Relaxed) as f64 / unit,
            // Of the very numbers that are given, whatever was added meanwhile.
            count: buckets.iter().map(|(_, count)| count).sum(),
            buckets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_lies_below_it_and_none_is_lost() {
        let histogram = Histogram::new(&JOBS);
        for value in [1, 2, 3, 4, 256, 257, u64::MAX / 2] {
            histogram.observe(value);
        }
        let read = histogram.read(1.0);
        let counts: Vec<u64> = read.buckets.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [1, 1, 2, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!((read.count, read.buckets.last().map(|last| last.0)), (7, Some(f64::INFINITY)));
    }

    #[test]
    fn times_are_given_in_seconds() {
        let meter = WriterMeter::default();
        meter.committed(3, Duration::from_millis(700), Duration::from_micros(150));
        let numbers = meter.read();
        assert_eq!(numbers.commit_seconds.sum, 0.000_15);
        assert_eq!(numbers.commit_seconds.buckets[1], (0.000_25, 1));
        assert_eq!(numbers.transaction_seconds.buckets[12], (2.0, 1));
        assert_eq!((numbers.jobs.sum, numbers.jobs.count), (3.0, 1));
    }
}
