//! Authorization codes and what each stands for. A code works once, for a minute, whatever becomes of the attempt.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::people::DemoPerson;

/// How long a code may be exchanged. RFC 6749 section 4.1.2 allows up to ten minutes; a redirect takes a second.
const LIFETIME: Duration = Duration::from_secs(60);

/// What the person agreed to, and what must be shown to collect it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) person: DemoPerson,
    pub(crate) redirect_uri: String,
    pub(crate) nonce: Option<String>,
    /// The PKCE challenge: base64url of the SHA-256 of the verifier.
    pub(crate) challenge: String,
}

/// The codes that were given out and not yet exchanged.
#[derive(Default)]
pub(crate) struct Grants(HashMap<String, (Instant, Grant)>);

impl Grants {
    /// Keeps `grant` under `code` and forgets those that ran out.
    pub(crate) fn give(&mut self, code: String, grant: Grant, now: Instant) {
        self.0.retain(|_, (given, _)| now.duration_since(*given) < LIFETIME);
        self.0.insert(code, (now, grant));
    }

    /// Uses the code up. `None` when it was never given, was used before, or ran out.
    pub(crate) fn take(&mut self, code: &str, now: Instant) -> Option<Grant> {
        let (given, grant) = self.0.remove(code)?;
        (now.duration_since(given) < LIFETIME).then_some(grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        Grant {
            person: DemoPerson::outsider(),
            redirect_uri: "http://127.0.0.1:1/back".to_owned(),
            nonce: None,
            challenge: "challenge".to_owned(),
        }
    }

    #[test]
    fn a_code_works_once() {
        let (mut grants, now) = (Grants::default(), Instant::now());
        grants.give("code".to_owned(), grant(), now);
        assert_eq!(grants.take("code", now), Some(grant()));
        assert_eq!(grants.take("code", now), None);
    }

    #[test]
    fn a_code_runs_out_after_a_minute() {
        let (mut grants, now) = (Grants::default(), Instant::now());
        grants.give("early".to_owned(), grant(), now);
        grants.give("late".to_owned(), grant(), now);
        assert!(grants.take("early", now + LIFETIME - Duration::from_millis(1)).is_some());
        assert_eq!(grants.take("late", now + LIFETIME), None);
    }
}
