//! Where the secret comes from: an address that says so, and the waiting until it can be had.

mod file;
mod secrets_manager;

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use process::{backoff, ready};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::error::FetchError;
use crate::retry;
pub(crate) use secrets_manager::SecretId;

/// The most a secret may be: what Secrets Manager itself stores (65,536 bytes).
const MOST_BYTES: usize = 65_536;

/// One try, from the region to the reply. Longer than the SDK's own limits together, so that it can say what it met.
const TRY_LIMIT: Duration = Duration::from_secs(20);

/// The address of a secret, as WARDPOST_SECRET says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// `aws-secretsmanager://NAME-or-ARN`, with `?stage=AWSPREVIOUS` for another version than the current one.
    SecretsManager(SecretId),
    /// `file:///path.json`
    File(PathBuf),
}

/// A secret as it came: its text, and its version where the source has such a thing.
pub(crate) struct Fetched {
    pub(crate) text: Zeroizing<String>,
    pub(crate) version: Option<String>,
}

impl Address {
    /// Reads an address.
    pub(crate) fn parse(text: &str) -> Result<Address, String> {
        if let Some(id) = text.strip_prefix("aws-secretsmanager://") {
            return SecretId::parse(id).map(Address::SecretsManager);
        }
        match text.strip_prefix("file://") {
            Some(path) if path.starts_with('/') && !path.ends_with('/') => Ok(Address::File(PathBuf::from(path))),
            Some(_) => Err(format!(
                "`{text}` does not name a file by its absolute path, such as file:///etc/wardpost/secret.json"
            )),
            None => Err(format!("`{text}` is neither aws-secretsmanager://NAME-or-ARN nor file:///path.json")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::SecretsManager(id) => write!(f, "aws-secretsmanager://{id}"),
            Address::File(path) => write!(f, "file://{}", path.display()),
        }
    }
}

/// Fetches the secret, trying again until the deadline as long as what stands in the way may pass. What it gives up with
/// says how long it tried.
pub(crate) async fn fetch(address: &Address, deadline: Duration) -> Result<Fetched, FetchError> {
    let start = Instant::now();
    let mut last_met = None;
    for failures in 1.. {
        let limit = TRY_LIMIT.min(deadline.saturating_sub(start.elapsed()));
        let error = match timeout(limit, try_once(address)).await {
            Ok(Ok(fetched)) => return Ok(fetched),
            Ok(Err(error)) => error,
            // What an earlier try met says more than that this one was cut off.
            Err(_) => last_met.unwrap_or_else(|| FetchError::no_answer(address, limit)),
        };
        if !error.passing {
            return Err(error);
        }
        let elapsed = start.elapsed();
        let Some(pause) = retry::pause(failures, elapsed, deadline, backoff::chance()) else {
            return Err(error.after(failures, elapsed));
        };
        tracing::warn!(tries = failures, next_in_ms = pause.as_millis() as u64, "not yet: {}", error.happened);
        ready::notify_status(&format!("waiting for {address}: {}", error.happened));
        tokio::time::sleep(pause).await;
        last_met = Some(error);
    }
    // Four thousand million tries do not fit into an hour.
    Err(FetchError::no_answer(address, deadline))
}

async fn try_once(address: &Address) -> Result<Fetched, FetchError> {
    let fetched = match address {
        Address::SecretsManager(id) => secrets_manager::fetch(id).await?,
        Address::File(path) => file::read(path)?,
    };
    if fetched.text.len() > MOST_BYTES {
        return Err(FetchError::too_large(address, fetched.text.len(), MOST_BYTES));
    }
    Ok(fetched)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_it_was_written() {
        for text in [
            "aws-secretsmanager://wardpost/app-secrets",
            "aws-secretsmanager://wardpost/app-secrets?stage=AWSPREVIOUS",
            "aws-secretsmanager://arn:aws:secretsmanager:eu-central-1:123456789012:secret:wardpost/app-secrets-AbCdEf",
            "file:///etc/wardpost/secret.json",
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_address_of_another_kind_is_refused_with_an_example() {
        for text in ["wardpost/app-secrets", "file://secret.json", "file://", "file:///", "https://example.org/x", ""] {
            let error = Address::parse(text).unwrap_err();
            assert!(error.contains("file:///"), "{text}: {error}");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_not_waited_for() {
        let address = Address::File("/nonexistent/secret.json".into());
        let error = fetch(&address, Duration::from_secs(3600)).await.err().unwrap();
        assert!(!error.passing && error.happened.contains("/nonexistent/secret.json"), "{error:?}");
    }
}
