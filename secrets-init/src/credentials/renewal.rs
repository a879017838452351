//! Getting a role's credentials, and new ones long before they end.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use process::backoff;
use tokio::sync::watch;

use super::assume::{AssumeError, assume};
use super::config::{Program, RoleArn};
use crate::system::now;

/// New credentials are there this long before the old ones end, or after half of a life that is short: an outage of STS or
/// of the metadata service is not noticed unless it lasts longer.
const LEAD: Duration = Duration::from_secs(15 * 60);

/// By how much of the time until then chance may bring it forward, so that roles and machines do not ask together.
const JITTER: f64 = 0.1;

/// No pause between tries is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The wall clock is looked at this often: it may be set, and a machine may sleep.
const LOOK: Duration = Duration::from_secs(30);

/// How often it is said again that credentials cannot be had.
const SAY_AGAIN: Duration = Duration::from_secs(600);

/// Keeps credentials of the program's role in `sender`, until the process ends.
pub(super) async fn keep(program: Program, role: RoleArn, sender: watch::Sender<Option<Credentials>>) -> Infallible {
    loop {
        let (credentials, end) = obtain(program, &role).await;
        let renew_at = now() + renew_after(remaining(end), backoff::chance());
        sender.send_replace(Some(credentials));
        while let wait @ 1.. = remaining(renew_at).as_millis() {
            tokio::time::sleep(LOOK.min(Duration::from_millis(u64::try_from(wait).unwrap_or(u64::MAX)))).await;
        }
    }
}

/// Tries until there are credentials; gives them with the time of their end.
async fn obtain(program: Program, role: &RoleArn) -> (Credentials, SystemTime) {
    let mut said = Said::default();
    let mut tries = 0_u32;
    loop {
        tries = tries.saturating_add(1);
        let error = match assume(program, role).await {
            Ok(credentials) => match credentials.expiry().filter(|end| *end > now()) {
                Some(end) => {
                    let until =
                        chrono::DateTime::<chrono::Utc>::from(end).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
                    tracing::info!(for_program = %program, %role, until, tries, "the program has credentials of its role");
                    return (credentials, end);
                }
                None => AssumeError {
                    happened: "STS gave credentials that have ended already".to_owned(),
                    check: "the clock of this machine (timedatectl)",
                },
            },
            Err(error) => error,
        };
        if said.is_news(&error, now()) {
            tracing::error!(for_program = %program, tries, check = error.check, "the program's role cannot be assumed, and is tried again: {}", error.happened);
        }
        tokio::time::sleep(backoff::pause(tries, LONGEST_PAUSE, backoff::chance())).await;
    }
}

/// What was last said about failures in a row.
#[derive(Default)]
struct Said(Option<(&'static str, SystemTime)>);

impl Said {
    /// Whether to say this one: the first, one of another kind, and one every ten minutes.
    fn is_news(&mut self, error: &AssumeError, now: SystemTime) -> bool {
        let known = self.0.is_some_and(|(check, when)| {
            check == error.check && now.duration_since(when).is_ok_and(|since| since < SAY_AGAIN)
        });
        if !known {
            self.0 = Some((error.check, now));
        }
        !known
    }
}

/// When credentials that have so long to live are to be renewed. `chance` is from 0 to 1.
fn renew_after(life: Duration, chance: f64) -> Duration {
    let lead = LEAD.min(life / 2);
    (life - lead).mul_f64(1.0 - JITTER * chance.clamp(0.0, 1.0))
}

/// How long until then; nothing when it is past.
fn remaining(until: SystemTime) -> Duration {
    until.duration_since(now()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn an_hour_is_renewed_a_quarter_of_an_hour_before_its_end_or_a_little_sooner() {
        assert_eq!(renew_after(60 * MINUTE, 0.0), 45 * MINUTE);
        assert_eq!(renew_after(60 * MINUTE, 1.0), Duration::from_secs_f64(40.5 * 60.0));
        assert_eq!(renew_after(20 * MINUTE, 0.0), 10 * MINUTE, "half of a short life");
        assert_eq!(renew_after(Duration::ZERO, 0.5), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn there_are_always_new_ones_before_the_end(seconds in 2_u64..50_000, chance in 0.0..=1.0) {
            let life = Duration::from_secs(seconds);
            let left = life - renew_after(life, chance);
            prop_assert!(left >= LEAD.min(life / 2) && left < life);
        }
    }

    #[test]
    fn a_failure_is_said_once_then_every_ten_minutes_and_another_kind_at_once() {
        let error = |check| AssumeError { happened: "request 1".to_owned(), check };
        let (mut said, start) = (Said::default(), SystemTime::UNIX_EPOCH);
        assert!(said.is_news(&error("network"), start));
        assert!(!said.is_news(&error("network"), start + SAY_AGAIN - MINUTE));
        assert!(said.is_news(&error("policy"), start + MINUTE), "another kind");
        assert!(!said.is_news(&error("policy"), start + SAY_AGAIN));
        assert!(said.is_news(&error("policy"), start + SAY_AGAIN + MINUTE));
    }
}
