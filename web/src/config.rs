//! The site's settings: raw text becomes one checked struct before anything is served.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use database::DatabaseSettings;
use ipnet::IpNet;
use process::settings::{Read, Settings};
use store::{DatabaseKey, SessionLimits};

use crate::app::site::SiteSettings;
use crate::exporter;
use crate::features::sign_in::{self, SignInConfig};
use crate::http::form::comma_separated;
use crate::http::public_url::PublicUrl;
use crate::limits;

/// Everything the site needs to run.
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where Prometheus reads metrics; nowhere unless set.
    pub metrics_listen: Option<SocketAddr>,
    /// The database file.
    pub database: DatabaseSettings,
    /// What the site needs.
    pub site: SiteSettings,
    /// Who may sign in, and through whom.
    pub sign_in: SignInConfig,
}

/// The `web` program's settings and where each came from, or every error at once.
pub fn read(mut settings: Settings) -> Read<Config> {
    let database = DatabaseSettings::read(&mut settings);
    let listen = listen(&mut settings);
    let metrics_listen = settings.optional("WARDPOST_METRICS_LISTEN", exporter::parse_address);
    let public_url = settings.required("WARDPOST_PUBLIC_URL", PublicUrl::parse);
    let idle = settings.or_default("WARDPOST_SESSION_IDLE_MINUTES", "24", |text| {
        whole_number(text, 2, 30).map(|minutes| Duration::from_secs(minutes * 60))
    });
    let absolute = settings.or_default("WARDPOST_SESSION_MAX_HOURS", "12", |text| {
        whole_number(text, 1, 24).map(|hours| Duration::from_secs(hours * 3600))
    });
    let trusted_proxies = settings.or_default("WARDPOST_TRUSTED_PROXIES", "127.0.0.1/32,::1/128", parse_networks);
    let limits = limits::settings::read(&mut settings);
    let sign_in = sign_in::config::read(&mut settings);
    settings.finish(move || {
        Some(Config {
            listen: listen?,
            metrics_listen: metrics_listen?,
            database: database?,
            site: SiteSettings {
                public_url: public_url?,
                session_limits: SessionLimits { idle: idle?, absolute: absolute? },
                trusted_proxies: trusted_proxies?,
                limits: limits?,
            },
            sign_in: sign_in?,
        })
    })
}

/// The settings of the commands that need the database and nothing else.
pub fn read_database(mut settings: Settings) -> Read<DatabaseSettings> {
    let database = DatabaseSettings::read(&mut settings);
    settings.finish(move || database)
}

/// The settings of `web emergency-access grant`: the database, and the site that the link leads to, where it is known: on
/// a bad day a shell without the service's settings must do.
pub fn read_emergency(mut settings: Settings) -> Read<(DatabaseSettings, Option<PublicUrl>)> {
    let database = DatabaseSettings::read(&mut settings);
    let public_url = settings.optional("WARDPOST_PUBLIC_URL", PublicUrl::parse);
    settings.finish(move || Some((database?, public_url?)))
}

/// The settings of `web rekey`: the database, and the key it is to have.
pub fn read_rekey(mut settings: Settings) -> Read<(DatabaseSettings, Option<DatabaseKey>)> {
    let database = DatabaseSettings::read(&mut settings);
    let new = settings
        .optional("DB_ENCRYPTION_KEY_NEW", |text| DatabaseKey::from_hex(text).map_err(|error| error.to_string()));
    settings.finish(move || Some((database?, new?)))
}

/// The one setting of the health check.
pub fn read_listen(mut settings: Settings) -> Read<SocketAddr> {
    let listen = listen(&mut settings);
    settings.finish(move || listen)
}

fn listen(settings: &mut Settings) -> Option<SocketAddr> {
    settings.or_default("WARDPOST_LISTEN", "127.0.0.1:8080", |text| {
        text.parse().map_err(|_| format!("`{text}` is not an address and port such as 127.0.0.1:8080"))
    })
}

fn whole_number(text: &str, least: u64, most: u64) -> Result<u64, String> {
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("`{text}` is not a whole number from {least} to {most}")),
    }
}

fn parse_networks(text: &str) -> Result<Vec<IpNet>, String> {
    comma_separated(text)?
        .into_iter()
        .map(|name| {
            name.parse::<IpNet>()
                .or_else(|_| name.parse::<IpAddr>().map(IpNet::from))
                .map_err(|_| format!("`{name}` is not a network such as 10.0.0.0/24"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_are_trimmed_lowered_and_refuse_empty_entries() {
        assert_eq!(comma_separated("A.example, b.example").unwrap(), ["a.example", "b.example"]);
        assert!(comma_separated("a.example,,b.example").is_err());
        assert!(parse_networks("10.0.0.0/8,::1").is_ok());
        assert!(parse_networks("10.0.0.0/40").is_err());
    }

    fn settings(more: &[(&str, &str)]) -> Settings {
        let secret = "0".repeat(64);
        let least = [
            ("WARDPOST_PUBLIC_URL", "https://messages.clinic.example"),
            ("WARDPOST_STAFF_DOMAINS", "clinic.example"),
            ("GOOGLE_CLIENT_ID", "client"),
            ("GOOGLE_CLIENT_SECRET", "secret"),
            ("APP_SECRET", &secret),
            ("DB_ENCRYPTION_KEY", &secret),
        ];
        Settings::from_parts(least.iter().chain(more).map(|(name, value)| (name.into(), value.into())), None)
    }

    #[test]
    fn what_is_not_set_is_safe() {
        let (config, _) = read(settings(&[])).unwrap();
        assert!(config.listen.ip().is_loopback(), "only the edge is public");
        assert_eq!(config.metrics_listen, None);
        assert_eq!(config.site.session_limits.idle, Duration::from_secs(24 * 60));
        assert_eq!(config.site.session_limits.absolute, Duration::from_secs(12 * 3600));
        assert!(config.site.trusted_proxies.iter().all(|network| network.network().is_loopback()));
        assert_eq!(config.sign_in.issuer.as_str(), "https://accounts.google.com/");
    }

    proptest! {
        /// Any text in any setting: refused with its name, on lines that command no terminal, or taken. A secret is not
        /// repeated.
        #[test]
        fn whatever_is_set_is_taken_or_refused_by_name(
            name in proptest::sample::select(vec![
                "WARDPOST_PUBLIC_URL", "WARDPOST_LISTEN", "WARDPOST_OIDC_ISSUER", "WARDPOST_STAFF_DOMAINS",
                "WARDPOST_TRUSTED_PROXIES", "WARDPOST_SESSION_IDLE_MINUTES", "WARDPOST_LIMIT_SEND_PER_MINUTE",
                "APP_SECRET", "DB_ENCRYPTION_KEY", "WARDPOST_APP_SECRET_PREVIOUS",
            ]),
            value in "(https?|ftp|javascript)://(localhost|127\\.0\\.0\\.1|\\[::1\\]|a\\.example|\\PC{0,6})(:[0-9]{1,6})?/?|[0-9./,:]{1,20}|\\PC{1,40}|(.|\\n){1,20}",
        ) {
            match read(settings(&[(name, &value)])) {
                Ok((config, _)) => {
                    let url = config.site.public_url.origin();
                    prop_assert!(url.starts_with("https://") || url.starts_with("http://localhost") || url.starts_with("http://127.") || url.starts_with("http://[::1]"));
                    prop_assert!(http::HeaderValue::from_str(&config.site.public_url.join("/")).is_ok());
                }
                Err(errors) => {
                    let errors = errors.to_string();
                    prop_assert!(errors.contains(name), "{}", errors);
                    let secret = process::SECRET_NAMES.contains(&name) && value.chars().count() > 5;
                    prop_assert!(!(secret && errors.contains(&value)), "{}", errors);
                }
            }
        }
    }

    #[test]
    fn limits_beyond_what_the_controls_allow_are_refused() {
        for wrong in [
            ("WARDPOST_SESSION_IDLE_MINUTES", "1"),
            ("WARDPOST_SESSION_IDLE_MINUTES", "31"),
            ("WARDPOST_SESSION_MAX_HOURS", "25"),
            ("APP_SECRET", "too short"),
            ("WARDPOST_APP_SECRET_PREVIOUS", "too short"),
            ("WARDPOST_METRICS_LISTEN", "0.0.0.0:9464"),
        ] {
            assert!(read(settings(&[wrong])).is_err(), "{wrong:?}");
        }
    }
}
