//! The names of all settings. A name that any program knows is allowed for all of them, since they share one env file;
//! any other `WARDPOST_*` name is refused, because a setting that is misspelt and ignored is worse than none.

/// Every name a program of Wardpost reads.
pub const KNOWN_NAMES: &[&str] = &[
    "APP_SECRET",
    "DB_ENCRYPTION_KEY",
    "DB_ENCRYPTION_KEY_NEW",
    "GOOGLE_CLIENT_ID",
    "GOOGLE_CLIENT_SECRET",
    "WARDPOST_APPLICATION_SINK",
    "WARDPOST_APP_SECRET_PREVIOUS",
    "WARDPOST_AUDIT_SINK",
    "WARDPOST_BACKUP_KEEP_DAYS",
    "WARDPOST_BACKUP_KMS_KEY",
    "WARDPOST_BACKUP_OFFLINE_ONLY",
    "WARDPOST_BACKUP_RECIPIENTS",
    "WARDPOST_BACKUP_SCHEDULE",
    "WARDPOST_BACKUP_TARGET",
    "WARDPOST_CREDENTIALS_LISTEN",
    "WARDPOST_CREDENTIALS_TOKENS",
    "WARDPOST_DB",
    "WARDPOST_DRILL_SCHEDULE",
    "WARDPOST_ENV_FILE",
    "WARDPOST_ENV_KEYS",
    "WARDPOST_ENV_OWNER",
    "WARDPOST_LIMIT_DRAFT_PER_MINUTE",
    "WARDPOST_LIMIT_EXPORT_PER_MINUTE",
    "WARDPOST_LIMIT_REQUESTS_PER_SECOND",
    "WARDPOST_LIMIT_SEND_PER_MINUTE",
    "WARDPOST_LIMIT_SIGN_IN_PER_MINUTE",
    "WARDPOST_LISTEN",
    "WARDPOST_LOG",
    "WARDPOST_METRICS_LISTEN",
    "WARDPOST_OIDC_ISSUER",
    "WARDPOST_PUBLIC_URL",
    "WARDPOST_ROLE_BACKUP_WORKER",
    "WARDPOST_ROLE_LOG_SHIPPER",
    "WARDPOST_ROLE_SECRETS_INIT",
    "WARDPOST_SECRET",
    "WARDPOST_SECRET_DEADLINE_SECONDS",
    "WARDPOST_SECRET_VERSION",
    "WARDPOST_SESSION_IDLE_MINUTES",
    "WARDPOST_SESSION_MAX_HOURS",
    "WARDPOST_STAFF_DOMAINS",
    "WARDPOST_STAFF_EMAILS",
    "WARDPOST_TRUSTED_PROXIES",
];

/// Those of them whose value is never shown, whichever way a program reads it.
pub const SECRET_NAMES: &[&str] = &[
    "APP_SECRET",
    "DB_ENCRYPTION_KEY",
    "DB_ENCRYPTION_KEY_NEW",
    "GOOGLE_CLIENT_SECRET",
    "WARDPOST_APP_SECRET_PREVIOUS",
];

/// Which version of the secret the env file holds: secrets-init writes it, and nobody sets it.
pub const SECRET_VERSION: &str = "WARDPOST_SECRET_VERSION";

/// The setting that says what is logged.
pub(crate) const LOG: &str = "WARDPOST_LOG";

/// The setting that names the env file.
pub(crate) const ENV_FILE: &str = "WARDPOST_ENV_FILE";

/// All settings of our own begin like this.
pub(crate) const PREFIX: &str = "WARDPOST_";

/// A slip of more letters than this is more likely another word.
const CLOSE: usize = 2;

/// Whether a program of Wardpost reads this name.
pub fn is_known(name: &str) -> bool {
    KNOWN_NAMES.contains(&name)
}

/// The known name that `name` was probably meant to be, if one is close enough.
pub fn nearest(name: &str) -> Option<&'static str> {
    // In a word of two letters, two slips make any word of any other.
    let own_part = name.strip_prefix(PREFIX).unwrap_or(name);
    let close = CLOSE.min(own_part.chars().count() / 2);
    KNOWN_NAMES
        .iter()
        .map(|known| (edit_distance(name, known), *known))
        .filter(|(distance, _)| (1..=close).contains(distance))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// How many letters have to be added, removed or changed to make one word of the other (Levenshtein).
fn edit_distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    // The row of the table for the letters of `one` seen so far; entry j is the distance to the first j letters of `other`.
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        row[0] = left;
        for (j, against) in other.iter().enumerate() {
            let change = diagonal + usize::from(letter != *against);
            diagonal = row[j + 1];
            left = change.min(diagonal + 1).min(left + 1);
            row[j + 1] = left;
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_counted_in_letters() {
        for (one, other, distance) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("LISTEN", "LITSEN", 2),
            ("é", "e", 1),
        ] {
            assert_eq!(edit_distance(one, other), distance, "{one:?} to {other:?}");
            assert_eq!(edit_distance(other, one), distance, "{other:?} to {one:?}");
        }
    }

    #[test]
    fn a_slip_of_two_letters_is_recognised_and_one_of_three_is_not() {
        assert_eq!(nearest("WARDPOST_LITSEN"), Some("WARDPOST_LISTEN"));
        assert_eq!(nearest("WARDPOST_STAFF_DOMAIN"), Some("WARDPOST_STAFF_DOMAINS"));
        assert_eq!(nearest("WARDPOST_LISTxyz"), None);
        assert_eq!(nearest("WARDPOST_DC"), Some("WARDPOST_DB"));
        assert_eq!(nearest("WARDPOST_X"), None, "nothing of DB is left in it");
        assert_eq!(nearest("WARDPOST_LISTEN"), None, "a right name needs no help");
    }

    #[test]
    fn the_table_is_sorted_and_every_secret_is_in_it() {
        assert!(KNOWN_NAMES.is_sorted());
        assert!(SECRET_NAMES.iter().all(|name| is_known(name)));
    }
}
