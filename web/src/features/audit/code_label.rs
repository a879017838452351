//! Labels for what audit rows have as codes: reasons, filters, names of backups, sizes.

use std::ops::RangeInclusive;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::Value;
use store::{Action, Timestamp};

use super::label;
use super::sentence::Names;

/// Why a sign-in failed, from the word that stands in its row.
pub(super) fn failure(reason: &str) -> String {
    match reason {
        "provider_unreachable" => "the sign-in service did not answer",
        "provider_nonsense" => "the sign-in service's answer was unusable",
        "no_code" | "state" | "denied" => "it was broken off at the sign-in service",
        "expired" => "the sign-in service's answer had expired",
        "audience" | "issuer" | "nonce" | "subject" | "signature" | "id_token" => {
            "the sign-in service's answer did not hold"
        }
        "internal" => "it is not set up right",
        other => return readable(other),
    }
    .to_owned()
}

/// Why an account was refused.
pub(super) fn denial(reason: &str) -> String {
    match reason {
        "not_staff" => "not on the list of staff",
        "hosted_domain" => "not managed by the clinic",
        "unverified_email" => "the e-mail address is not verified",
        "disabled" => "switched off",
        other => return readable(other),
    }
    .to_owned()
}

/// Why a session ended.
pub(super) fn session_end(reason: &str) -> String {
    match reason {
        "idle" => "nothing had happened for too long",
        "absolute" => "the session had lasted as long as one may",
        "emergency_over" => "the emergency access was over",
        "emergency_revoked" => "the emergency access was taken back",
        "restored" => "the database was restored from a backup",
        "disabled" => "switched off",
        other => return readable(other),
    }
    .to_owned()
}

/// Why an emergency access ended.
pub(super) fn grant_end(reason: &str) -> String {
    match reason {
        "unused" => "nobody used the code in time".to_owned(),
        "replaced" => "another sign-in in the same browser".to_owned(),
        "elsewhere" => "ended from another device".to_owned(),
        "revoked" => "taken back".to_owned(),
        other => session_end(other),
    }
}

/// Why a one-time code was refused.
pub(super) fn refused_code(reason: &str) -> String {
    match reason {
        "used" => "the code was used before",
        "too_old" => "the code was too old",
        "revoked" => "the code had been taken back",
        "disabled" => "switched off",
        other => return readable(other),
    }
    .to_owned()
}

fn readable(code: &str) -> String {
    code.replace('_', " ")
}

/// A filter as a row or a page has it, in words: "person Noor Haddad, message 7". Empty for the whole log.
pub(super) fn filter(details: &Value, names: &Names) -> String {
    let mut words = Vec::new();
    if let Some(person) = details.get("person").and_then(Value::as_i64).and_then(store::PersonId::new) {
        words.push(format!("person {}", names.get(person)));
    }
    if let Some(action) = details.get("action").and_then(Value::as_str) {
        let name = match Action::parse(action) {
            Some(action) => label::of(action),
            None => action,
        };
        words.push(format!("action “{name}”"));
    }
    if let Some(message) = details.get("message").and_then(Value::as_i64) {
        words.push(format!("message {message}"));
    }
    for (field, word) in [("from", "from"), ("to", "before")] {
        if let Some(at) = details.get(field).and_then(Value::as_str) {
            words.push(format!("{word} {}", minute(at)));
        }
    }
    if details.get("without").is_some_and(|without| !without.is_null()) {
        words.push("without mere looks".to_owned());
    }
    if let Some(before) = details.get("before").and_then(Value::as_i64) {
        words.push(format!("older than row {before}"));
    }
    words.join(", ")
}

fn minute(at: &str) -> String {
    match DateTime::parse_from_rfc3339(at) {
        Ok(at) => at.to_utc().format("%-d %b %Y, %H:%M UTC").to_string(),
        Err(_) => at.to_owned(),
    }
}

/// When a backup was begun, out of its name: `wardpost-20261123T020000Z.sqlite.gz.age`.
pub(super) fn moment_of_backup(name: &str) -> Option<Timestamp> {
    let moment = name.strip_prefix("wardpost-")?.get(..15)?;
    let moment = NaiveDateTime::parse_from_str(moment, "%Y%m%dT%H%M%S").ok()?;
    Some(Timestamp::from_millis(moment.and_utc().timestamp_millis()))
}

/// One number or a range of them, as details have it: `3` or `5-9`.
pub(super) fn range(text: &str) -> Option<RangeInclusive<i64>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.parse::<u32>().ok().map(i64::from);
    Some(number(first)?..=number(last)?)
}

/// Whether two moments are of one day, in UTC.
pub(super) fn same_day(one: Timestamp, other: Timestamp) -> bool {
    let day = |at: Timestamp| DateTime::<Utc>::from_timestamp_millis(at.as_millis()).map(|time| time.date_naive());
    day(one) == day(other)
}

/// "12.3 MB", in decimal units.
pub(super) fn size(bytes: i64) -> String {
    let tenths = |unit: i64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        ..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", tenths(1_000)),
        1_000_000..1_000_000_000 => format!("{} MB", tenths(1_000_000)),
        _ => format!("{} GB", tenths(1_000_000_000)),
    }
}
