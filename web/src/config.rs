//! The site's settings: raw text becomes one checked struct before anything is served.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use database::DatabaseSettings;
use ipnet::IpNet;
use process::settings::{Read, Settings};
use secrecy::SecretString;
use store::{DatabaseKey, SessionLimits};
use url::{Host, Url};

use crate::limits::{self, LimitSettings};
use crate::metrics;
use crate::sign_in::staff_list;
use crate::sign_in::staff_rule::StaffRule;

/// Everything the site needs to run.
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where to tell numbers about the site; nowhere unless set.
    pub metrics_listen: Option<SocketAddr>,
    /// The database file.
    pub database: DatabaseSettings,
    /// What people type into their browsers.
    pub public_url: PublicUrl,
    /// Idle and absolute limits of a session.
    pub session_limits: SessionLimits,
    /// Whose X-Forwarded-For counts.
    pub trusted_proxies: Vec<IpNet>,
    /// How often somebody may ask.
    pub limits: LimitSettings,
    /// Who may sign in, and through whom.
    pub sign_in: SignInConfig,
}

/// How people prove who they are.
pub struct SignInConfig {
    /// The OpenID Connect issuer, without a trailing slash unless the provider has one.
    pub issuer: Url,
    /// This site's name at the provider.
    pub client_id: String,
    /// This site's password at the provider.
    pub client_secret: SecretString,
    /// Seals the cookie that carries a sign-in from its start to its callback.
    pub app_secret: SecretString,
    /// The one before, which still opens what it has sealed.
    pub previous_app_secret: Option<SecretString>,
    /// Which verified accounts are staff.
    pub staff: StaffRule,
}

/// The site's address: https, or http on a loopback address, without a path.
#[derive(Clone, Debug)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// Reads an address such as `https://messages.clinic.example`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = parse_trustworthy_url(text)?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("`{text}` must end after the host and port"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not name a user or password".to_owned());
        }
        Ok(Self(url))
    }

    /// Whether it is https; if not, it is http on a loopback address.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// As browsers write it into an Origin header.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Whether a request's host, as HTTP writes it, is the site's: the name in any case, and the port unless it is the
    /// scheme's own.
    pub fn is_named(&self, authority: &str) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let Some((name, port)) = authority.split_at_checked(host.len()) else {
            return false;
        };
        let expected = self.0.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
        name.eq_ignore_ascii_case(host) && (port == expected || port.is_empty() && self.0.port().is_none())
    }

    /// The absolute address of a path of this site.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.origin())
    }
}

/// The `web` program's settings and where each came from, or every fault at once.
pub fn read(mut settings: Settings) -> Read<Config> {
    let database = DatabaseSettings::read(&mut settings);
    let listen = listen(&mut settings);
    let metrics_listen = settings.optional("WARDPOST_METRICS_LISTEN", metrics::listener::parse_address);
    let public_url = settings.required("WARDPOST_PUBLIC_URL", PublicUrl::parse);
    let idle = settings.or_default("WARDPOST_SESSION_IDLE_MINUTES", "24", |text| {
        whole_number(text, 2, 30).map(|minutes| Duration::from_secs(minutes * 60))
    });
    let absolute = settings.or_default("WARDPOST_SESSION_MAX_HOURS", "12", |text| {
        whole_number(text, 1, 24).map(|hours| Duration::from_secs(hours * 3600))
    });
    let trusted_proxies = settings.or_default("WARDPOST_TRUSTED_PROXIES", "127.0.0.1/32,::1/128", parse_networks);
    let limits = limits::settings::read(&mut settings);
    let sign_in = read_sign_in(&mut settings);
    settings.finish(move || {
        Some(Config {
            listen: listen?,
            metrics_listen: metrics_listen?,
            database: database?,
            public_url: public_url?,
            session_limits: SessionLimits { idle: idle?, absolute: absolute? },
            trusted_proxies: trusted_proxies?,
            limits: limits?,
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

fn read_sign_in(settings: &mut Settings) -> Option<SignInConfig> {
    let issuer = settings.or_default("WARDPOST_OIDC_ISSUER", "https://accounts.google.com", parse_trustworthy_url);
    let client_id = settings.required("GOOGLE_CLIENT_ID", |text| Ok(text.to_owned()));
    let client_secret = settings.secret("GOOGLE_CLIENT_SECRET", |text| Ok(SecretString::from(text)));
    let app_secret = settings.secret("APP_SECRET", parse_app_secret);
    let previous_app_secret = settings.optional("WARDPOST_APP_SECRET_PREVIOUS", parse_app_secret);
    let domains = settings.optional("WARDPOST_STAFF_DOMAINS", |text| parse_each(text, staff_list::domain));
    let emails = settings.optional("WARDPOST_STAFF_EMAILS", |text| parse_each(text, staff_list::address));
    let (domains, emails) = (domains?.unwrap_or_default(), emails?.unwrap_or_default());
    let staff = StaffRule::new(domains, emails);
    if staff.is_none() {
        settings.fault(
            "WARDPOST_STAFF_DOMAINS",
            "says nobody may sign in: set it to the clinic's e-mail domains, or set WARDPOST_STAFF_EMAILS to the addresses of the staff",
        );
    }
    Some(SignInConfig {
        issuer: issuer?,
        client_id: client_id?,
        client_secret: client_secret?,
        app_secret: app_secret?,
        previous_app_secret: previous_app_secret?,
        staff: staff?,
    })
}

fn parse_app_secret(text: &str) -> Result<SecretString, String> {
    if text.len() < 32 {
        return Err("must be at least 32 bytes long".to_owned());
    }
    Ok(SecretString::from(text))
}

/// https, or http where nothing leaves the machine.
fn parse_trustworthy_url(text: &str) -> Result<Url, String> {
    let url =
        Url::parse(text).map_err(|_| format!("`{text}` is not an address such as https://messages.clinic.example"))?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        None => return Err(format!("`{text}` names no host")),
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        _ => Err(format!("`{text}` must begin with https:// (http:// serves loopback addresses alone)")),
    }
}

fn whole_number(text: &str, least: u64, most: u64) -> Result<u64, String> {
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("`{text}` is not a whole number from {least} to {most}")),
    }
}

fn parse_networks(text: &str) -> Result<Vec<IpNet>, String> {
    parse_names(text)?
        .into_iter()
        .map(|name| {
            name.parse::<IpNet>()
                .or_else(|_| name.parse::<IpAddr>().map(IpNet::from))
                .map_err(|_| format!("`{name}` is not a network such as 10.0.0.0/24"))
        })
        .collect()
}

/// A comma-separated list, all of whose faults are told.
fn parse_each(text: &str, parse: impl Fn(String) -> Result<String, String>) -> Result<Vec<String>, String> {
    let (mut names, mut faults) = (Vec::new(), Vec::new());
    for entry in parse_names(text)? {
        match parse(entry) {
            Ok(name) => names.push(name),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(names) } else { Err(faults.join("; ")) }
}

/// A comma-separated list; names are compared in lower case.
fn parse_names(text: &str) -> Result<Vec<String>, String> {
    let names: Vec<_> = text.split(',').map(|name| name.trim().to_lowercase()).collect();
    if names.iter().any(String::is_empty) {
        return Err("has an empty entry between its commas".to_owned());
    }
    Ok(names)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_public_url_is_https_or_loopback() {
        assert_eq!(
            PublicUrl::parse("https://messages.clinic.example").unwrap().origin(),
            "https://messages.clinic.example"
        );
        assert_eq!(PublicUrl::parse("http://127.0.0.1:8080/").unwrap().join("/x"), "http://127.0.0.1:8080/x");
        for bad in [
            "http://clinic.example",
            "ftp://clinic.example",
            "clinic",
            "https://a.example/b",
            "https://a.example/?x",
            "https://me@a.example",
            "http://localhost.clinic.example",
            "http://clinic.localhost",
            "http://127.0.0.1.clinic.example",
            "http://192.168.1.20:8080",
            "http://0.0.0.0:8080",
            "http://[::]:8080",
            "http://[fe80::1]",
        ] {
            assert!(PublicUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lists_are_trimmed_lowered_and_refuse_empty_entries() {
        assert_eq!(parse_names("A.example, b.example").unwrap(), ["a.example", "b.example"]);
        assert!(parse_names("a.example,,b.example").is_err());
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
        assert_eq!(config.session_limits.idle, Duration::from_secs(24 * 60));
        assert_eq!(config.session_limits.absolute, Duration::from_secs(12 * 3600));
        assert!(config.trusted_proxies.iter().all(|network| network.network().is_loopback()));
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
                    let url = config.public_url.origin();
                    prop_assert!(url.starts_with("https://") || url.starts_with("http://localhost") || url.starts_with("http://127.") || url.starts_with("http://[::1]"));
                    prop_assert!(http::HeaderValue::from_str(&config.public_url.join("/")).is_ok());
                }
                Err(faults) => {
                    let faults = faults.to_string();
                    prop_assert!(faults.contains(name), "{}", faults);
                    let secret = process::SECRET_NAMES.contains(&name) && value.chars().count() > 5;
                    prop_assert!(!(secret && faults.contains(&value)), "{}", faults);
                }
            }
        }

        /// A host that is taken for ours is, byte for byte but for its case, what a browser would write.
        #[test]
        fn a_public_url_is_named_by_what_browsers_write(host in "[a-z]{1,8}(\\.[a-z]{1,8}){0,2}", port in proptest::option::of(1..=65_535_u16)) {
            let port_text = port.map(|port| format!(":{port}")).unwrap_or_default();
            let site = PublicUrl::parse(&format!("https://{host}{port_text}")).unwrap();
            let authority = site.origin().strip_prefix("https://").unwrap().to_owned();
            prop_assert!(site.is_named(&authority) && site.is_named(&authority.to_uppercase()));
            let (longer, prefixed) = (format!("{authority}."), format!("x{authority}"));
            prop_assert!(!site.is_named(&longer) && !site.is_named(&prefixed));
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
