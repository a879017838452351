//! The settings.

use std::path::PathBuf;

use process::settings::{ConfigFaults, Effective, Settings};
use store::DatabaseKey;

use crate::sink::SinkAddress;

/// How long CloudWatch Logs keeps the audit log (control A10) and the programs' log lines (control C9), in days.
pub const AUDIT_RETENTION_DAYS: i32 = 365;
/// See [`AUDIT_RETENTION_DAYS`].
pub const APPLICATION_RETENTION_DAYS: i32 = 90;

/// Everything this program needs to run.
pub struct Config {
    /// The database.
    pub database: PathBuf,
    /// Its key.
    pub database_key: DatabaseKey,
    /// Where audit rows go.
    pub audit_sink: SinkAddress,
    /// Where log lines go, if anywhere.
    pub application_sink: Option<SinkAddress>,
    /// What is logged.
    pub log: String,
}

/// The settings and where each came from, or every fault at once.
pub fn read(mut settings: Settings) -> Result<(Config, Vec<Effective>), ConfigFaults> {
    let database = settings.or_default("WARDPOST_DB", "/var/lib/wardpost/wardpost.db", |text| Ok(PathBuf::from(text)));
    let database_key =
        settings.secret("DB_ENCRYPTION_KEY", |text| DatabaseKey::from_hex(text).map_err(|error| error.to_string()));
    let audit_sink = settings.or_default("WARDPOST_AUDIT_SINK", "cloudwatch://wardpost/audit", SinkAddress::parse);
    let application_sink = settings.optional("WARDPOST_APPLICATION_SINK", SinkAddress::parse);
    if let (Some(audit), Some(Some(application))) = (&audit_sink, &application_sink)
        && audit.to_string() == application.to_string()
    {
        settings.fault("WARDPOST_APPLICATION_SINK", "must be another place than WARDPOST_AUDIT_SINK");
    }
    for (name, sink) in [
        ("WARDPOST_AUDIT_SINK", audit_sink.as_ref()),
        ("WARDPOST_APPLICATION_SINK", application_sink.as_ref().and_then(Option::as_ref)),
    ] {
        if let (Some(SinkAddress::File { path, .. }), Some(database)) = (sink, &database)
            && path == database
        {
            settings.fault(name, "must be another file than WARDPOST_DB");
        }
    }
    let log = settings.or_default("WARDPOST_LOG", "info", process::logs::check_filter);
    settings.finish(move || {
        Some(Config {
            database: database?,
            database_key: database_key?,
            audit_sink: audit_sink?,
            application_sink: application_sink?,
            log: log?,
        })
    })
}
