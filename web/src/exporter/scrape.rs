//! What is looked at when somebody asks, and the text that comes of it.
//!
//! A look reads: the database on a connection for reading, the files from outside. Nothing of it waits for the writer. Where
//! the database does not answer in time, its numbers are left out, and `wardpost_scrape_complete` says so.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use store::{Action, AuditId, Distribution, Statistics, StepKind, StoreError, UrgentState, WriterNumbers};

use super::machine::{Machine, counter, gauge};
use crate::app::site::Site;
use crate::features::Features;
use crate::features::audit::chain_watch::ChainSeen;
use crate::limits::Rule;

/// How long the database may take. Prometheus waits ten seconds by default.
const DATABASE_WAIT: Duration = Duration::from_secs(5);

/// How many audit rows of each kind there are, counted on from look to look.
struct AuditTotals {
    counted: AuditId,
    actions: HashMap<Action, u64>,
    urgent_steps: HashMap<StepKind, u64>,
    urgent_answers: HashMap<UrgentState, u64>,
}

impl Default for AuditTotals {
    fn default() -> Self {
        Self {
            counted: AuditId::ZERO,
            actions: HashMap::new(),
            urgent_steps: HashMap::new(),
            urgent_answers: HashMap::new(),
        }
    }
}

impl AuditTotals {
    /// Counts up to the end of the log. Of a log that has never been looked at, that is all of it: where the time does not
    /// suffice, the next look goes on.
    async fn catch_up(&mut self, site: &Site) -> Result<Statistics, StoreError> {
        loop {
            let limits = site.session_limits;
            let statistics = site.store.statistics(self.counted, limits, site.store.now()).await?;
            self.counted = statistics.counted;
            for (action, count) in &statistics.actions {
                *self.actions.entry(*action).or_default() += count;
            }
            for (kind, count) in &statistics.urgent_steps {
                *self.urgent_steps.entry(*kind).or_default() += count;
            }
            for (answer, count) in &statistics.urgent_answers {
                *self.urgent_answers.entry(*answer).or_default() += count;
            }
            if statistics.counted >= statistics.head {
                return Ok(statistics);
            }
        }
    }
}

/// What a scrape looks at.
pub(super) struct Scrape {
    site: Arc<Site>,
    features: Arc<Features>,
    audit: tokio::sync::Mutex<AuditTotals>,
}

impl Scrape {
    pub(super) fn new(site: Arc<Site>, features: Arc<Features>) -> Self {
        Self { site, features, audit: Default::default() }
    }

    /// Everything there is to export, in Prometheus' text format.
    pub(super) async fn text(&self) -> Result<String, fmt::Error> {
        let site = &self.site;
        let (database, machine) =
            tokio::join!(Database::look(site, &self.audit), Machine::look(site.store.clone(), site.started));
        let mut looked = Registry::with_prefix("wardpost");
        looked.register_collector(Box::new(Looked {
            complete: database.is_some()
                && machine.as_ref().is_some_and(|machine| machine.files.is_some() && machine.disk.is_some()),
            database,
            files: machine.as_ref().and_then(|machine| machine.files),
            disk: machine.as_ref().and_then(|machine| machine.disk),
            writer: site.store.writer_numbers(),
            chain: self.features.chain.seen(),
            live_streams: self.features.messages.feed.open(),
            limit_refusals: site.limits.refused(),
        }));
        let mut process = Registry::default();
        if let Some(machine) = machine {
            process.register_collector(Box::new(machine));
        }
        let mut text = String::new();
        for registry in [&site.metrics.registry, &looked, &process] {
            prometheus_text::encode(&mut text, registry)?;
        }
        Ok(text)
    }
}

#[derive(Debug)]
struct Database {
    head: AuditId,
    live_sessions: usize,
    audit_rows: HashMap<Action, u64>,
    urgent_steps: HashMap<StepKind, u64>,
    urgent_answers: HashMap<UrgentState, u64>,
    urgent_open: usize,
    /// The age of the oldest urgent message that nobody has answered; 0 for none.
    unanswered: Duration,
}

impl Database {
    async fn look(site: &Site, totals: &tokio::sync::Mutex<AuditTotals>) -> Option<Self> {
        let look = async {
            let mut totals = totals.lock().await;
            let statistics = totals.catch_up(site).await?;
            let urgent = site.store.urgent_messages().await?;
            let waiting = urgent.iter().filter(|urgent| urgent.state == UrgentState::Waiting);
            let now = site.store.now();
            Ok::<_, StoreError>(Self {
                urgent_open: urgent.len(),
                unanswered: waiting.map(|urgent| now.since(urgent.sent_at)).max().unwrap_or_default(),
                urgent_steps: totals.urgent_steps.clone(),
                urgent_answers: totals.urgent_answers.clone(),
                head: statistics.head,
                live_sessions: statistics.live_sessions,
                audit_rows: totals.actions.clone(),
            })
        };
        match tokio::time::timeout(DATABASE_WAIT, look).await {
            Ok(Ok(database)) => Some(database),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the metrics lack the database's numbers");
                None
            }
            Err(_) => {
                tracing::warn!("the metrics lack the database's numbers: it did not answer within {DATABASE_WAIT:?}");
                None
            }
        }
    }
}

#[derive(Debug)]
struct Looked {
    complete: bool,
    database: Option<Database>,
    files: Option<store::Sizes>,
    disk: Option<store::Room>,
    writer: WriterNumbers,
    chain: ChainSeen,
    live_streams: usize,
    limit_refusals: [(Rule, u64); Rule::ALL.len()],
}

impl Collector for Looked {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let out = &mut encoder;
        gauge(out, "scrape_complete", "1 where nothing is missing from this answer.", Some(u32::from(self.complete)))?;
        gauge(out, "live_streams", "Lists that are open for live updates.", Some(self.live_streams))?;
        let refusals = self.limit_refusals.map(|(rule, count)| (rule.name(), count));
        counters(out, "limit_refusals", "Requests that were too many, by limit.", "limit", &refusals)?;
        self.encode_writer(out)?;
        self.encode_chain(out)?;
        gauge(out, "database_bytes", "Size of the database file.", self.files.map(|files| files.database))?;
        gauge(out, "wal_bytes", "Size of its write-ahead log.", self.files.map(|files| files.write_ahead_log))?;
        gauge(out, "disk_free_bytes", "Room left for the database.", self.disk.map(|disk| disk.free_bytes))?;
        gauge(out, "disk_size_bytes", "Size of the file system it lies on.", self.disk.map(|disk| disk.size_bytes))?;
        let Some(database) = &self.database else { return Ok(()) };
        gauge(out, "sessions", "Sessions that are live.", Some(database.live_sessions))?;
        gauge(out, "audit_head_row", "Number of the newest audit row.", Some(database.head.get()))?;
        let rows: Vec<_> = Action::ALL
            .iter()
            .map(|action| (action.as_str(), database.audit_rows.get(action).copied().unwrap_or(0)))
            .collect();
        counters(
            out,
            "audit_rows",
            "Rows of the audit log, whichever program wrote them, by action.",
            "action",
            &rows,
        )?;
        database.encode_urgent(out)
    }
}

impl Database {
    fn encode_urgent(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        use StepKind::*;
        gauge(out, "urgent_open", "Urgent messages about which not everything is over.", Some(self.urgent_open))?;
        let help = "Age of the oldest urgent message that nobody has answered, 0 where there is none.";
        gauge(out, "urgent_unanswered_seconds", help, Some(self.unanswered.as_secs()))?;
        let steps = [Reminder, Teammates, Everyone, Unanswered]
            .map(|kind| (kind.as_str(), self.urgent_steps.get(&kind).copied().unwrap_or(0)));
        counters(out, "urgent_steps", "Steps of urgent messages that were carried out, by kind.", "kind", &steps)?;
        let answers =
            [("on_my_way", UrgentState::OnTheWay), ("cannot", UrgentState::Cannot), ("done", UrgentState::Done)]
                .map(|(word, answer)| (word, self.urgent_answers.get(&answer).copied().unwrap_or(0)));
        counters(out, "urgent_answers", "Answers to urgent messages, by what was said.", "answer", &answers)
    }
}

impl Looked {
    fn encode_writer(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let writer = &self.writer;
        gauge(out, "writer_queue_jobs", "Writes that wait for the writer.", Some(writer.waiting))?;
        gauge(out, "writer_queue_capacity_jobs", "How many may.", Some(writer.capacity))?;
        let refused = "Writes that found no room in the queue.";
        counter(out, "writer_refused_jobs", refused, Some(writer.refused))?;
        counter(out, "writer_failed_transactions", "Transactions that failed as a whole.", Some(writer.failed))?;
        let commit = "How long the COMMIT of a transaction took: the disk.";
        histogram(out, "writer_commit_duration_seconds", commit, &writer.commit_seconds)?;
        let transaction = "How long a transaction took: the lock, its writes, the COMMIT.";
        histogram(out, "writer_transaction_duration_seconds", transaction, &writer.transaction_seconds)?;
        histogram(out, "writer_transaction_jobs", "Writes that shared a transaction.", &writer.jobs)
    }

    fn encode_chain(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (state, verified) = match self.chain {
            ChainSeen::Unchecked { up_to } => ("unchecked", up_to),
            ChainSeen::Sound { up_to } => ("sound", up_to),
            ChainSeen::Broken { row } => ("broken", AuditId::new(row.get() - 1).unwrap_or(AuditId::ZERO)),
        };
        let help = "1 for what is known of the audit chain, 0 for the other two.";
        let mut family = out.encode_descriptor("audit_chain", help, None, MetricType::Gauge)?;
        for known in ["unchecked", "sound", "broken"] {
            let labels = [("state", known)];
            ConstGauge::new(u32::from(known == state)).encode(family.encode_family(&labels)?)?;
        }
        let help =
            "The audit rows up to this number were verified, most lately at a start, every six hours, or by a look.";
        gauge(out, "audit_chain_verified_row", help, Some(verified.get()))
    }
}

/// Counters that one label tells apart.
fn counters(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &'static str,
    values: &[(&'static str, u64)],
) -> fmt::Result {
    let mut family = out.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (value, count) in values {
        let labels = [(label, *value)];
        ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn histogram(out: &mut DescriptorEncoder<'_>, name: &str, help: &str, values: &Distribution) -> fmt::Result {
    let mut metric = out.encode_descriptor(name, help, None, MetricType::Histogram)?;
    metric.encode_histogram::<NoLabelSet>(values.sum, values.count, &values.buckets, None)
}
