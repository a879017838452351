//! When backups are made: schedules, and what was missed. Pure, but for [`start`].

use std::str::FromStr;

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds};
use store::Timestamp;
use tokio::sync::mpsc::Sender;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

/// A schedule of six fields in UTC: second, minute, hour, day of month, month, weekday.
#[derive(Clone, Debug)]
pub struct Schedule {
    text: String,
    cron: Cron,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// Make a backup.
    Backup,
    /// Restore the newest one on trial.
    Drill,
}

impl Schedule {
    /// Reads a setting. The error is a sentence for the operator.
    pub fn parse(text: &str) -> Result<Schedule, String> {
        let parser = CronParser::builder().seconds(Seconds::Required).build();
        let schedule = match parser.parse(text) {
            Ok(cron) if Cron::from_str(text).is_ok() => Schedule { text: text.to_owned(), cron },
            _ => {
                return Err(format!(
                    "`{text}` is not a schedule of six fields (second minute hour day month weekday), such as 0 0 2 * * *"
                ));
            }
        };
        // The 30th of February parses as well.
        match schedule.next_after(Timestamp::from_millis(0)) {
            Some(_) => Ok(schedule),
            None => Err(format!("`{text}` never comes")),
        }
    }

    /// Whether a run was due after `last` (ever, if none) and up to `now`.
    pub fn is_overdue(&self, last: Option<Timestamp>, now: Timestamp) -> bool {
        let Some(last) = last.and_then(utc) else { return true };
        let next = self.cron.find_next_occurrence(&last, false);
        next.is_ok_and(|next| utc(now).is_some_and(|now| next <= now))
    }

    /// When the next run is due.
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&utc(now)?, false).ok()?;
        Some(Timestamp::from_millis(next.timestamp() * 1000))
    }
}

fn utc(at: Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(at.as_millis())
}

/// Says so in its channel when a schedule is due. Where the channel is full, the same is waiting to be done already. Ends when
/// the scheduler is shut down.
pub async fn start(schedules: Vec<(Schedule, Sender<()>)>) -> Result<JobScheduler, JobSchedulerError> {
    let scheduler = JobScheduler::new().await?;
    for (schedule, due) in schedules {
        let job = Job::new(schedule.text.as_str(), move |_, _| {
            if due.try_send(()).is_err() {
                tracing::warn!("a run is due while the one before it still waits; it is left out");
            }
        })?;
        scheduler.add(job).await?;
    }
    scheduler.start().await?;
    Ok(scheduler)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn a_run_is_overdue_once_its_time_has_passed_since_the_last_one() {
        let nightly = Schedule::parse("0 0 2 * * *").unwrap();
        let last = at("2026-11-22T02:00:05Z");
        for (now, overdue) in [
            ("2026-11-22T02:00:06Z", false),
            ("2026-11-23T01:59:59Z", false),
            ("2026-11-23T02:00:00Z", true),
            ("2026-11-29T12:00:00Z", true),
            // The clock was set back.
            ("2026-11-20T12:00:00Z", false),
        ] {
            assert_eq!(nightly.is_overdue(Some(last), at(now)), overdue, "{now}");
        }
        assert!(nightly.is_overdue(None, last), "none was ever made");
        assert_eq!(nightly.next_after(last), Some(at("2026-11-23T02:00:00Z")));
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in ["0 0 2 * * *", "0 30 3 * * 1-5", "*/2 * * * * *"] {
            assert!(Schedule::parse(text).is_ok(), "{text}");
        }
        for text in ["", "daily", "0 2 * * *", "0 0 25 * * *", "0 0 2 * *", "0 0 2 * * * * *"] {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
        assert!(Schedule::parse("0 0 2 30 2 *").unwrap_err().contains("never comes"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// What is accepted comes due, is overdue then and not before; what is refused is refused in words, without a wait.
        #[test]
        fn a_schedule_that_is_accepted_comes_due(text in "([0-9*/,#LW?-]{1,4} ){5}[0-7*LMONSUN#-]{1,4}|[0-9]{1,2} [0-9]{1,2} [0-9]{1,2} [0-9*]{1,2} [0-9*]{1,2} [0-7*]|\\PC{0,30}") {
            let began = std::time::Instant::now();
            let now = at("2026-11-22T02:00:05Z");
            if let Ok(schedule) = Schedule::parse(&text)
                && let Some(next) = schedule.next_after(now)
            {
                prop_assert!(next > now);
                prop_assert!(schedule.is_overdue(Some(now), next), "{}", text);
                prop_assert!(!schedule.is_overdue(Some(now), Timestamp::from_millis(next.as_millis() - 1)), "{}", text);
            }
            prop_assert!(began.elapsed() < std::time::Duration::from_secs(5), "{} took {:?}", text, began.elapsed());
        }
    }
}
