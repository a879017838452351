//! What the process and its disk are like at this moment, under the names that every Prometheus client gives them.

use std::fmt;
use std::path::Path;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeValLike;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use store::{Room, Sizes, Store, Timestamp};

/// What could be found out; what could not is left out.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) files: Option<Sizes>,
    pub(super) disk: Option<Room>,
    process: Process,
}

#[derive(Debug)]
struct Process {
    started: Timestamp,
    resident_bytes: Option<u64>,
    open_files: Option<usize>,
    most_files: Option<u64>,
    cpu_seconds: Option<f64>,
}

impl Machine {
    /// Looks, off the async threads: a folder with thousands of open files takes a millisecond to list.
    pub(super) async fn look(store: Store, started: Timestamp) -> Option<Self> {
        let looked = tokio::task::spawn_blocking(move || Self {
            files: store.sizes().ok(),
            disk: store.room().ok(),
            process: Process::look(started),
        });
        looked.await.ok()
    }
}

impl Process {
    fn look(started: Timestamp) -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            started,
            resident_bytes: resident_bytes(&status),
            // One of them is the listing itself.
            open_files: std::fs::read_dir(Path::new("/proc/self/fd")).ok().map(|files| files.count().saturating_sub(1)),
            most_files: getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft),
            cpu_seconds: getrusage(UsageWho::RUSAGE_SELF).ok().map(|usage| {
                (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6
            }),
        }
    }
}

/// Out of `/proc/self/status`.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

impl Collector for Machine {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Process { started, resident_bytes, open_files, most_files, cpu_seconds } = &self.process;
        let started = Some(started.as_millis() as f64 / 1e3);
        gauge(&mut encoder, "process_start_time_seconds", "When the process started, since 1970.", started)?;
        gauge(&mut encoder, "process_resident_memory_bytes", "Memory that is resident.", *resident_bytes)?;
        gauge(&mut encoder, "process_open_fds", "Files and connections that are open.", *open_files)?;
        gauge(&mut encoder, "process_max_fds", "How many may be.", *most_files)?;
        counter(&mut encoder, "process_cpu_seconds", "Processor time, of all threads.", *cpu_seconds)
    }
}

/// Writes a gauge, where there is a value.
pub(super) fn gauge<N>(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: Option<N>) -> fmt::Result
where
    ConstGauge<N>: EncodeMetric,
{
    match value.map(ConstGauge::new) {
        Some(gauge) => gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?),
        None => Ok(()),
    }
}

/// Writes a counter, where there is a value. The format adds `_total` to its name.
pub(super) fn counter<N>(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: Option<N>) -> fmt::Result
where
    ConstCounter<N>: EncodeMetric,
{
    match value.map(ConstCounter::new) {
        Some(counter) => counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_its_line() {
        assert_eq!(resident_bytes("Name:\tweb\nVmRSS:\t   22528 kB\nThreads: 3"), Some(22_528 * 1024));
        assert_eq!(resident_bytes("Name:\tVmRSS: 1 kB"), None);
    }

    #[tokio::test]
    async fn this_process_can_be_looked_at() {
        let place = testkit::TemporaryStore::new();
        let machine = Machine::look(place.open().await, Timestamp::now()).await.unwrap();
        assert!(machine.files.is_some() && machine.disk.is_some());
        let Process { resident_bytes, open_files, most_files, cpu_seconds, .. } = machine.process;
        assert!(resident_bytes.unwrap() > 1 << 20);
        assert!((3..most_files.unwrap()).contains(&(open_files.unwrap() as u64)));
        assert!(cpu_seconds.unwrap() >= 0.0);
    }
}
