//! The settings.

use database::DatabaseSettings;
use process::settings::{Read, Settings};

use crate::sink::SinkAddress;

/// How long CloudWatch Logs keeps the audit log (control A10) and the programs' log lines (control C9), in days.
pub const AUDIT_RETENTION_DAYS: i32 = 365;
/// See [`AUDIT_RETENTION_DAYS`].
pub const APPLICATION_RETENTION_DAYS: i32 = 90;

/// Everything this program needs to run.
pub struct Config {
    /// The database.
    pub database: DatabaseSettings,
    /// Where audit rows go.
    pub audit_sink: SinkAddress,
    /// Where log lines go, if anywhere.
    pub application_sink: Option<SinkAddress>,
}

/// The settings and where each came from, or every error at once.
pub fn read(mut settings: Settings) -> Read<Config> {
    let database_path = database::path(&mut settings);
    let database = DatabaseSettings::read(&mut settings);
    let audit_sink = settings.or_default("WARDPOST_AUDIT_SINK", "cloudwatch://wardpost/audit", SinkAddress::parse);
    let application_sink = settings.optional("WARDPOST_APPLICATION_SINK", SinkAddress::parse);
    if let (Some(audit), Some(Some(application))) = (&audit_sink, &application_sink)
        && audit.to_string() == application.to_string()
    {
        settings.add_error("WARDPOST_APPLICATION_SINK", "must be another place than WARDPOST_AUDIT_SINK");
    }
    for (name, sink) in [
        ("WARDPOST_AUDIT_SINK", audit_sink.as_ref()),
        ("WARDPOST_APPLICATION_SINK", application_sink.as_ref().and_then(Option::as_ref)),
    ] {
        if let (Some(file), Some(database)) = (sink.and_then(SinkAddress::file), &database_path)
            && file == database
        {
            settings.add_error(name, "must be another file than WARDPOST_DB");
        }
    }
    settings.finish(move || {
        Some(Config { database: database?, audit_sink: audit_sink?, application_sink: application_sink? })
    })
}
