//! The settings.

use database::DatabaseSettings;
use process::names::SECRET_VERSION;
use process::settings::{Read, Settings};

use crate::age_keys::BackupRecipient;
use crate::schedule::Schedule;
use crate::target::{ServerEncryption, TargetAddress};

/// Everything this program needs to run.
pub struct Config {
    /// The database.
    pub database: DatabaseSettings,
    /// Where backups are kept.
    pub target: TargetAddress,
    /// How S3 encrypts.
    pub encryption: ServerEncryption,
    /// Who can open them beside, or instead of, the holder of the database key.
    pub recipients: Vec<BackupRecipient>,
    /// Whether the derived key is left out.
    pub offline_only: bool,
    /// When a backup is made.
    pub schedule: Schedule,
    /// When one is restored on trial; none for never.
    pub drill_schedule: Option<Schedule>,
    /// How long a directory keeps them.
    pub keep_days: u32,
    /// Which version of the secret this machine runs with, where the secret has versions.
    pub secret_version: Option<String>,
}

/// The settings and where each came from, or every error at once.
pub fn read(mut settings: Settings) -> Read<Config> {
    let database = DatabaseSettings::read(&mut settings);
    let target = settings.required("WARDPOST_BACKUP_TARGET", TargetAddress::parse);
    let kms_key = settings.optional("WARDPOST_BACKUP_KMS_KEY", |text| Ok(text.to_owned()));
    let recipients = settings.optional("WARDPOST_BACKUP_RECIPIENTS", |text| {
        text.split(',').map(|one| BackupRecipient::parse(one.trim())).collect::<Result<Vec<_>, _>>()
    });
    let offline_only = settings.or_default("WARDPOST_BACKUP_OFFLINE_ONLY", "false", |text| match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("`{text}` is neither true nor false")),
    });
    if offline_only == Some(true) && matches!(recipients, Some(None)) {
        settings.add_error(
            "WARDPOST_BACKUP_OFFLINE_ONLY",
            "leaves nobody who could open a backup: set WARDPOST_BACKUP_RECIPIENTS to the clinic's age public keys",
        );
    }
    let schedule = settings.or_default("WARDPOST_BACKUP_SCHEDULE", "0 0 2 * * *", Schedule::parse);
    let drill_schedule = settings.or_default("WARDPOST_DRILL_SCHEDULE", "0 30 3 * * *", |text| match text {
        "off" => Ok(None),
        text => Schedule::parse(text).map(Some),
    });
    let keep_days = settings.or_default("WARDPOST_BACKUP_KEEP_DAYS", "30", |text| match text.parse() {
        Ok(days @ 1..=3650) => Ok(days),
        _ => Err(format!("`{text}` is not a whole number of days from 1 to 3650")),
    });
    let secret_version = settings.optional(SECRET_VERSION, parse_secret_version);
    settings.finish(move || {
        Some(Config {
            database: database?,
            target: target?,
            encryption: kms_key?.map_or(ServerEncryption::Aes256, |key| ServerEncryption::Kms { key }),
            recipients: recipients?.unwrap_or_default(),
            offline_only: offline_only?,
            schedule: schedule?,
            drill_schedule: drill_schedule?,
            keep_days: keep_days?,
            secret_version: secret_version?,
        })
    })
}

/// What Secrets Manager calls a version. Whatever else somebody wrote there must not stand in a manifest.
fn parse_secret_version(text: &str) -> Result<String, String> {
    let plain = text.len() <= 100 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if plain { Ok(text.to_owned()) } else { Err("is no version of a secret: leave it to secrets-init".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_what_secrets_manager_gives_and_nothing_else() {
        let version = "0f8c3a52-1111-4222-8333-944445555666";
        assert_eq!(parse_secret_version(version).unwrap(), version);
        for wrong in ["\u{202e}x", "a b", "a\nb", &"a".repeat(101)] {
            assert!(parse_secret_version(wrong).is_err(), "{wrong:?}");
        }
    }
}
